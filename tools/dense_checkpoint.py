"""Checkpoints of dense networks: fp16 safetensors, and a config.json that says what they are for.

dense = read_dense(WEIGHTS_FOLDER / "rgb_cover")
dense.net, dense.facts.heads["building"].temperature
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from terralogue.tools.dense_model import DenseConfig, DenseNet
from terralogue.vlm.weight_files import read_weights, write_weights

WEIGHTS_FOLDER: Final = Path(__file__).parent / "weights"
"""Folders of the checkpoints in the package."""
WEIGHTS: Final = "dense.safetensors"


@dataclass(frozen=True)
class HeadFacts:
    """What was measured of one head on validation data.

    Attributes:
        temperature: that logits are divided by, so that probabilities are calibrated.
        thresholds: probability from which a pixel belongs to a class, by class; a class that is
            not named here goes by the largest probability.
        area_factors: by class, true area over the sum of probabilities, in nine of ten
            validation images (5th and 95th percentile).
        calibration_error: expected calibration error (15 bins) after the temperature.
    """

    temperature: float = 1.0
    thresholds: Mapping[str, float] = field(default_factory=dict)
    area_factors: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    calibration_error: float | None = None


@dataclass(frozen=True)
class DenseFacts:
    """What a checkpoint is for.

    Attributes:
        sensors: keys of SENSORS that it was trained for.
        gsd: metres per pixel, lowest and highest, that it was trained at.
        bands: common names of the bands that it was trained with.
        heads: by head.
        normalisation: how numbers are brought to -1 to 1.
    """

    sensors: tuple[str, ...] = ()
    gsd: tuple[float, float] = (0.0, 0.0)
    bands: tuple[str, ...] = ()
    heads: Mapping[str, HeadFacts] = field(default_factory=dict)
    normalisation: str = "datasets.tiles"


@dataclass(frozen=True)
class Dense:
    """What a folder with a checkpoint holds: the network (evaluation mode, float32) and its facts.

    `fingerprint` is the first 16 hex digits of the SHA-256 of the weights file.
    """

    net: DenseNet
    facts: DenseFacts
    fingerprint: str


def write_dense(folder: Path, net: DenseNet, facts: DenseFacts) -> str:
    """Write weights in half precision; each of the two files appears whole or not at all.

    Returns:
        SHA-256 of the weights file.
    """
    settings = {"net": net.config.settings, "facts": asdict(facts)}
    return write_weights(folder, WEIGHTS, net.state_dict(), settings)


def read_dense(folder: Path) -> Dense:
    """Read a checkpoint and check it against the SHA-256 in its configuration.

    Raises:
        InputError: a file is missing or broken, or the weights are not those of the configuration.
    """
    (net, facts), tensors, digest = read_weights(
        folder, WEIGHTS, lambda known: (_built(known["net"]), _facts(known["facts"]))
    )
    net.load_state_dict(tensors)
    return Dense(net.eval(), facts, digest[:16])


def _built(settings: Mapping[str, Any]) -> DenseNet:
    """The network that a configuration describes, without its weights."""
    if "backbone" not in settings:
        return DenseNet(DenseConfig(**settings))
    from terralogue.tools.backbone_decoder import restored

    return restored(settings)


def _facts(given: Mapping[str, Any]) -> DenseFacts:
    heads = {
        name: HeadFacts(
            temperature=float(head["temperature"]),
            thresholds=head["thresholds"],
            area_factors={name: (low, high) for name, (low, high) in head["area_factors"].items()},
            calibration_error=head["calibration_error"],
        )
        for name, head in given["heads"].items()
    }
    low, high = given["gsd"]
    return DenseFacts(
        tuple(given["sensors"]), (low, high), tuple(given["bands"]), heads, given["normalisation"]
    )
