"""Change by a trained model, where one serves the pair and earns it.

A model serves when it was trained for such scenes; it is preferred when, on places that it had not
seen, it had the better F1 than change vector analysis on the same places.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.tools.change_facts import CONFIG, WEIGHTS_FOLDER, ChangeFacts
from terralogue.tools.change_features import Piece, read_features
from terralogue.tools.differencing import GAIN, NONE, UNSEEN, AnyChange, Floats
from terralogue.tools.grid import Frame, whole
from terralogue.tools.pairs import Pair, land_bands

CHANGE_NETS: Final = ("change_s2", "change_rgb")
"""Folders of checkpoints in tools/weights, in the order in which they are asked."""
# A pair up to this many pixels along a side is learned from as a whole, a larger one from
# _ACROSS x _ACROSS parts.
_WHOLE: Final = 1400
_PART, _ACROSS = 384, 4


class Learned(NamedTuple):
    """A model for a pair, why it was chosen, and what has to be said."""

    difference: LearnedChange
    why: str
    warnings: tuple[str, ...]


class ChangeModel(Protocol):
    """Tells change from the bands of two dates.

    Attributes:
        facts: what it is for and how good.
        fingerprint: of its weights.
        bands: common names of what it takes; those that a scene lacks are NaN.
        halo: pixels of surroundings that it looks at.
        what: in a few words.
    """

    @property
    def facts(self) -> ChangeFacts: ...  # noqa: D102
    @property
    def fingerprint(self) -> str: ...  # noqa: D102
    @property
    def bands(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def halo(self) -> int: ...  # noqa: D102
    @property
    def what(self) -> str: ...  # noqa: D102

    def begin(self, pieces: Sequence[Piece]) -> Callable[[Piece], Floats]:
        """Learn what is normal for a pair; gives what maps a piece to probabilities (H, W)."""


@dataclass
class LearnedChange:
    """Change that a model was taught to see; a `Difference`.

    Beside it, change vector analysis tells of what the model was not taught; see `other`.

    Attributes:
        pair: the scenes.
        model: see `ChangeModel`.
        name: of the checkpoint.
        anything: what is compared with it.
    """

    pair: Pair
    model: ChangeModel
    name: str
    anything: AnyChange
    _look: Callable[[Piece], Floats] | None = field(default=None, init=False, repr=False)

    @property
    def halo(self) -> int:
        """Pixels of surroundings that either method looks at."""
        return max(self.model.halo, self.anything.halo)

    @property
    def method(self) -> str:
        """Model, its bands and its threshold."""
        bands, facts = self._bands(), self.model.facts
        lacking = [name for name in self.model.bands if name not in bands]
        short = f"; lacking: {', '.join(lacking)}" if lacking else ""
        return (
            f"{self.name} ({self.model.fingerprint}): {self.model.what}, from {', '.join(bands)}"
            f"{short}; changed where the calibrated probability is at least {facts.threshold:.2f} "
            "(chosen on held-out places)"
        )

    @property
    def area_factors(self) -> tuple[float, float]:
        """True area over expected area on nine of ten held-out places, lowest and highest."""
        return self.model.facts.area_factors

    def sample(self, window: Window) -> Floats:
        """What `anything` learns from; see `Difference`."""
        return self.anything.sample(window)

    def fit(self, samples: Floats) -> None:
        """Learn what is normal, from samples and from parts all over the pair; see `Difference`."""
        self.anything.fit(samples)
        parts = [self._read(window) for window in _parts(self.pair.frame)]
        seen = [piece for piece in parts if piece.seen.any()]
        self._look = self.model.begin(seen) if seen else None

    def probability(self, window: Window) -> Floats:
        """Calibrated probability of change: float32 (H, W), NaN where not observed."""
        piece = self._read(window)
        if self._look is None or not piece.seen.any():
            return np.full(piece.seen.shape, np.nan, np.float32)
        return np.where(piece.seen, self._look(piece), np.float32(np.nan))

    def decided(self, probability: Floats) -> NDArray[np.uint8]:
        """Changed or not by the threshold: `Difference.codes` of a probability (H, W)."""
        codes = np.where(probability >= self.model.facts.threshold, GAIN, NONE)
        codes[np.isnan(probability)] = UNSEEN
        return codes.astype(np.uint8)

    def codes(self, window: Window) -> NDArray[np.uint8]:
        """Changed or not; see `Difference`."""
        return self.decided(self.probability(window))

    def other(self, window: Window) -> NDArray[np.bool_]:
        """Where the bands differ unusually, whatever the model says: bool (H, W)."""
        return np.asarray(self.anything.codes(window) == GAIN)

    def _bands(self) -> list[str]:
        first, second = self.pair.scenes
        return [name for name in self.model.bands if first.has(name) and second.has(name)]

    def _read(self, window: Window) -> Piece:
        bands = self._bands()
        places = [self.model.bands.index(name) for name in bands]
        seen = ~self.pair.hidden(window)
        dates = []
        for side in (self.pair.before, self.pair.after):
            full = np.full((len(self.model.bands), *seen.shape), np.nan, np.float32)
            full[places] = side.read(bands, window)
            seen &= np.isfinite(full[places]).all(axis=0)
            dates.append(full)
        return Piece(dates[0], dates[1], seen)


def _parts(frame: Frame) -> list[Window]:
    """Windows that a model learns from: all of a small pair, parts all over a large one."""
    if max(frame.width, frame.height) <= _WHOLE:
        return [whole(frame)]
    rows = np.linspace(0, max(frame.height - _PART, 0), _ACROSS).round().astype(int)
    columns = np.linspace(0, max(frame.width - _PART, 0), _ACROSS).round().astype(int)
    width, height = min(_PART, frame.width), min(_PART, frame.height)
    return [
        Window(int(column), int(row), width, height)
        for row in dict.fromkeys(rows)
        for column in dict.fromkeys(columns)
    ]


def learned_change(
    pair: Pair, names: Sequence[str] = CHANGE_NETS, target: str | None = None
) -> tuple[Learned | None, str]:
    """The model for a pair, or None and why there is none.

    Args:
        pair: the scenes.
        names: checkpoints to choose from: names in the package, or folders.
        target: only what was taught changes of this.

    Raises:
        InputError: a checkpoint is broken.
    """
    why_not = ["no network was trained for these sensors"]
    for name in names:
        folder = Path(name) if Path(name).is_dir() else WEIGHTS_FOLDER / name
        if not folder.is_dir():
            continue
        facts = _facts(folder)
        if target and facts.get("target") != target:
            continue
        text = _why_not(pair, facts)
        if text:
            why_not.append(f"{folder.name} {text}")
            continue
        anything = AnyChange(pair, land_bands(*pair.scenes))
        difference = LearnedChange(pair, _model(folder), folder.name, anything)
        why = (
            f"F1 {facts['f1']:.2f} of the changed class on {facts['how']}; change vector analysis "
            f"{facts['baseline_f1']:.2f} on the same"
        )
        return Learned(difference, why, tuple(_warnings(pair, facts))), ""
    return None, why_not[-1]


def _model(folder: Path) -> ChangeModel:
    """A network where the folder has weights of one, else a regression."""
    if not (folder / "change.safetensors").is_file():
        return read_features(folder)
    # Brings torch.
    from terralogue.tools.change_net import read_change

    return read_change(folder)


@lru_cache(maxsize=8)
def _facts(folder: Path) -> dict[str, Any]:
    """Facts of a checkpoint, without its weights or torch."""
    settings = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
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
        if facts["reflectance"] and scene.unit != "reflectance":
            return f"needs reflectance, {scene.name} holds {scene.unit}"
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
