"""Change of any kind by a trained network, where one serves the pair and earns it.

A network serves when it was trained for such scenes; it is preferred when, on places that it had
not seen, it had the better F1 than change vector analysis on the same places.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.tools.differencing import GAIN, NONE, UNSEEN, AnyChange, Floats
from terralogue.tools.pairs import Pair, land_bands

if TYPE_CHECKING:
    from terralogue.tools.change_net import Ensemble, Standard

CHANGE_NETS: Final = ("change_s2", "change_rgb")
"""Folders of checkpoints in tools/weights, in the order in which they are asked."""
_FOLDER: Final = Path(__file__).parent / "weights"
# Surroundings in pixels that are read with a window and cut off again.
_HALO: Final = 48


class Learned(NamedTuple):
    """A network for a pair, why it was chosen, and what has to be said."""

    difference: LearnedChange
    why: str
    warnings: tuple[str, ...]


@dataclass
class LearnedChange:
    """Change that a network was taught to see; a `Difference`.

    Beside it, change vector analysis tells of what the network was not taught; see `other`.

    Attributes:
        pair: the scenes.
        ensemble: the networks.
        name: of the checkpoint.
        anything: what is compared with it.
    """

    pair: Pair
    ensemble: Ensemble
    name: str
    anything: AnyChange
    _standards: tuple[Standard, ...] = field(default=(), init=False, repr=False)

    @property
    def halo(self) -> int:
        """Pixels of surroundings that the networks look at."""
        return _HALO

    @property
    def bands(self) -> list[str]:
        """Common names of the bands that both scenes have and the networks know."""
        first, second = self.pair.scenes
        return [name for name in self.ensemble.bands if first.has(name) and second.has(name)]

    @property
    def method(self) -> str:
        """Model, its bands and its threshold."""
        facts, lacking = self.ensemble.facts, len(self.ensemble.bands) - len(self.bands)
        short = f", {lacking} bands that it knows are lacking" if lacking else ""
        return (
            f"{self.name} ({self.ensemble.fingerprint}): {len(self.ensemble.nets)} Siamese "
            f"networks on {', '.join(self.bands)}{short}, each date standardised by itself; "
            f"changed where the calibrated probability is at least {facts.threshold:.2f} (chosen "
            "on held-out places)"
        )

    @property
    def area_factors(self) -> tuple[float, float]:
        """True area over expected area on nine of ten held-out places, lowest and highest."""
        return self.ensemble.facts.area_factors

    def sample(self, window: Window) -> Floats:
        """Both dates for the networks, then those of `anything`; see `Difference`."""
        dates, seen = self._read(window)
        plain = np.concatenate(dates)[:, seen]
        rest = self.anything.sample(window)
        # Either method leaves out what it could not see.
        count = min(plain.shape[1], rest.shape[1])
        return np.concatenate([plain[:, :count], rest[:, :count]])

    def fit(self, samples: Floats) -> None:
        """Learn how each date is standardised, and what is normal; see `Difference`."""
        from terralogue.tools.change_net import standard

        count = len(self.bands)
        root = self.pair.scenes[0].unit == "reflectance"
        self._standards = tuple(
            standard(samples[start : start + count], root=root) for start in (0, count)
        )
        self.anything.fit(samples[2 * count :])

    def probability(self, window: Window) -> Floats:
        """Calibrated probability of change: float32 (H, W), NaN where not observed."""
        dates, seen = self._read(window)
        places = [self.ensemble.bands.index(name) for name in self.bands]
        inputs = []
        for each, date in zip(self._standards, dates, strict=True):
            full = np.zeros((len(self.ensemble.bands), *seen.shape), np.float32)
            full[places] = each(date) * seen
            inputs.append(full)
        found = self.ensemble.probability(inputs[0], inputs[1])
        return np.where(seen, found, np.float32(np.nan))

    def decided(self, probability: Floats) -> NDArray[np.uint8]:
        """Changed or not by the threshold: `Difference.codes` of a probability (H, W)."""
        codes = np.where(probability >= self.ensemble.facts.threshold, GAIN, NONE)
        codes[np.isnan(probability)] = UNSEEN
        return codes.astype(np.uint8)

    def codes(self, window: Window) -> NDArray[np.uint8]:
        """Changed or not; see `Difference`."""
        return self.decided(self.probability(window))

    def other(self, window: Window) -> NDArray[np.bool_]:
        """Where the bands differ unusually, whatever the networks say: bool (H, W)."""
        return np.asarray(self.anything.codes(window) == GAIN)

    def _read(self, window: Window) -> tuple[list[Floats], NDArray[np.bool_]]:
        dates = [side.read(self.bands, window) for side in (self.pair.before, self.pair.after)]
        seen = ~self.pair.hidden(window)
        for date in dates:
            seen &= np.isfinite(date).all(axis=0)
        return dates, seen


def learned_change(pair: Pair, names: Sequence[str] = CHANGE_NETS) -> tuple[Learned | None, str]:
    """The network for a pair, or None and why there is none.

    Args:
        pair: the scenes.
        names: checkpoints to choose from: names in the package, or folders.

    Raises:
        InputError: a checkpoint is broken.
    """
    why_not = ["no network was trained for these sensors"]
    for name in names:
        folder = Path(name) if Path(name).is_dir() else _FOLDER / name
        if not folder.is_dir():
            continue
        facts = _facts(folder)
        text = _why_not(pair, facts)
        if text:
            why_not.append(f"{folder.name} {text}")
            continue
        from terralogue.tools.change_net import read_change

        anything = AnyChange(pair, land_bands(*pair.scenes))
        difference = LearnedChange(pair, read_change(folder), folder.name, anything)
        why = (
            f"F1 {facts['f1']:.2f} of the changed class on {facts['how']}; change vector analysis "
            f"{facts['baseline_f1']:.2f} on the same"
        )
        return Learned(difference, why, tuple(_warnings(pair, facts))), ""
    return None, why_not[-1]


@lru_cache(maxsize=8)
def _facts(folder: Path) -> dict[str, Any]:
    """Facts of a checkpoint, without its weights or torch."""
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    facts: dict[str, Any] = settings["facts"]
    return facts


def _why_not(pair: Pair, facts: dict[str, Any]) -> str:
    """Why a network does not serve; empty where it does."""
    for scene in pair.scenes:
        key = scene.sensor.key if scene.sensor else ""
        if key not in facts["sensors"]:
            return f"was not trained for {scene.sensor.title if scene.sensor else scene.name}"
        lacking = [name for name in facts["required"] if not scene.has(name)]
        if lacking:
            return f"cannot do without the band {lacking[0]}"
        low, high = facts["gsd"]
        if scene.gsd is not None and not low <= scene.gsd <= high:
            return f"was trained at {low:g} to {high:g} m a pixel, not {scene.gsd:.3g} m"
    if len({scene.unit for scene in pair.scenes}) > 1:
        return "needs two scenes of one unit"
    if facts["f1"] <= facts["baseline_f1"]:
        return "is no better than change vector analysis"
    return ""


def _warnings(pair: Pair, facts: dict[str, Any]) -> list[str]:
    said = [facts["caution"]] if facts["caution"] else []
    if any(scene.gsd is None for scene in pair.scenes):
        low, high = facts["gsd"]
        said.append(
            f"The size of a pixel is not known; the network was trained at {low:g} to {high:g} m."
        )
    return said
