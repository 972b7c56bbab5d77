"""Networks over slots beside the rules, on simulated scenes that no training has seen.

    python -m terralogue.tools.dense_ms_simulated --sensor sentinel1_grd --model DIR

Real radar scenes with water masks are not at hand, so that radar is measured here alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.dense_covers import COVERS, cover_codes
from terralogue.datasets.dense_slots import slot_planes
from terralogue.datasets.errors import RefusalError
from terralogue.datasets.synthetic import simulate_scene
from terralogue.datasets.synthetic_render import Simulated
from terralogue.tools import rules
from terralogue.tools.dense_checkpoint import WEIGHTS_FOLDER
from terralogue.tools.dense_ms_checkpoint import SlotCheckpoint, read_slots
from terralogue.tools.dense_ms_rule import rule_water
from terralogue.tools.dense_ms_water import WaterScore, water_score

SEED: Final = 2_000_000
"""Of the first scene; training has those below a million, validation those from there."""
# Places with water, and places that look like it to radar: sand, asphalt, flat fields.
LAYOUTS: Final = ("river", "lake", "flood", "coast", "fields", "desert", "airfield", "city")
_SIDE = 256


def scenes(sensor: str, count: int) -> Iterator[Simulated]:
    """Clear scenes of one sensor, layout after layout."""
    for number in range(count):
        layout = LAYOUTS[number % len(LAYOUTS)]
        yield simulate_scene(sensor, layout=layout, size=_SIDE, seed=SEED + number, clouds=0.0)


def truth_of(scene: Simulated) -> NDArray[np.bool_]:
    """Where water is, flood included: bool (H, W)."""
    return np.asarray(cover_codes(scene) == COVERS.index("water"), np.bool_)


def by_rule(scene: Simulated) -> NDArray[np.bool_]:
    """Water by the rule that `segment` takes without a network; empty where it refuses."""
    bands = {band.common: plane for band, plane in zip(scene.bands, scene.data, strict=True)}
    if "VV" not in bands:
        planes, _ = slot_planes(scene.data, scene.bands)
        return rule_water(planes, rules.MNDWI)
    value = rules.SPLIT_VV.value({"VV": bands["VV"]})
    try:
        return np.asarray(value < rules.SPLIT_VV.fit_values(value, "the scene").threshold)
    except RefusalError:
        return np.zeros(value.shape, np.bool_)


def by_network(scene: Simulated, checkpoint: SlotCheckpoint, only: str = "") -> NDArray[np.bool_]:
    """Water by a network, where it is the likeliest class; `only` one band where given."""
    import torch

    bands = [band for band in scene.bands if not only or band.common == only]
    data = scene.data[[scene.bands.index(band) for band in bands]]
    planes, present = slot_planes(data, bands)
    there = torch.from_numpy(present.astype(np.float32))[None]
    likely = checkpoint.shares(torch.from_numpy(planes)[None], there)[0].argmax(0).numpy()
    return np.asarray(likely == list(checkpoint.net.config.classes).index("water"))


def compare(sensor: str, count: int, checkpoint: SlotCheckpoint) -> dict[str, WaterScore]:
    """Pooled scores of the rule and the network."""
    found: dict[str, list[NDArray[np.bool_]]] = {"rule": [], "network": []}
    if sensor.startswith("sentinel1"):
        found["network, VV alone"] = []
    truth = []
    for scene in scenes(sensor, count):
        truth.append(truth_of(scene))
        found["rule"].append(by_rule(scene))
        found["network"].append(by_network(scene, checkpoint))
        if "network, VV alone" in found:
            found["network, VV alone"].append(by_network(scene, checkpoint, "VV"))
    return {name: water_score(np.stack(each), np.stack(truth)) for name, each in found.items()}


def main() -> None:
    """Print one line per method."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sensor", default="sentinel1_grd", help="key in SENSORS")
    parser.add_argument("--count", type=int, default=48, help="scenes")
    parser.add_argument("--model", type=Path, default=WEIGHTS_FOLDER / "water")
    args = parser.parse_args()
    for name, score in compare(args.sensor, args.count, read_slots(args.model)).items():
        print(f"{args.sensor} {name}: {score.text}")


if __name__ == "__main__":
    main()
