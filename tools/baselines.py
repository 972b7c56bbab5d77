"""Physical baselines: spectral rules with published thresholds, or split where there is none.

A `Rule` is fixed (calibrated reflectance), a `SplitRule` takes its threshold from the scene
(digital numbers, radar). Both become a `PixelModel`, which classifies arrays of bands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy.ndimage import uniform_filter

from terralogue.datasets.errors import RefusalError
from terralogue.datasets.scene import Scene
from terralogue.tools.run import Progress
from terralogue.tools.spectral import Bands, bands_of, evaluate, formula
from terralogue.tools.thresholds import Split, split
from terralogue.tools.tiling import Tile, stream, tiles

Mask = NDArray[np.bool_]
Hidden = Callable[[Window], Mask]
# Reads bands float32 (bands, H, W) of a window, NaN where not observed.
Read = Callable[[Sequence[str], Window], NDArray[np.float32]]

NO, YES, UNSEEN = 0, 1, 255
SAMPLE = 1024  # pixels along the longer side of the sample that thresholds are taken from
_OTHER_DATE = "@reference"


class Model(Protocol):
    """What a specialist builds for one scene: anything that gives a mask, window by window."""

    @property
    def method(self) -> str:
        """Formula or network, with threshold and source."""

    @property
    def threshold(self) -> float | None:
        """On the main index, where there is one."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person has to know, one sentence each."""

    def run(
        self, window: Window, executor: Executor, progress: Progress | None
    ) -> Iterator[tuple[Window, NDArray[np.uint8]]]:
        """Cover a window in pieces: 1 target, 0 not, 255 not observed; uint8 (H, W) each."""


@dataclass(frozen=True)
class Condition:
    """An index (or band) strictly between two values."""

    index: str
    low: float = -math.inf
    high: float = math.inf

    def holds(self, bands: Bands) -> Mask:
        """Where it is fulfilled, bool (H, W); NaN never is."""
        value = evaluate(self.index, bands)
        return (value > self.low) & (value < self.high)

    @property
    def text(self) -> str:
        """For people, such as "MNDWI > 0"."""
        if math.isinf(self.high):
            return f"{self.index} > {self.low:g}"
        if math.isinf(self.low):
            return f"{self.index} < {self.high:g}"
        return f"{self.low:g} < {self.index} < {self.high:g}"


def _possible(
    groups: tuple[tuple[Condition, ...], ...], scene: Scene
) -> tuple[tuple[Condition, ...], ...]:
    """Those exclusions that a scene has the bands for."""
    return tuple(
        group for group in groups if scene.has(*bands_of(*(condition.index for condition in group)))
    )


@dataclass(frozen=True)
class Rule:
    """All conditions hold, and none of the exclusions does.

    An exclusion is a set of conditions that hold together; it is left out on a scene that lacks
    a band for it.
    """

    conditions: tuple[Condition, ...]
    exclude: tuple[tuple[Condition, ...], ...] = ()
    source: str = ""

    @property
    def bands(self) -> tuple[str, ...]:
        """What it cannot do without."""
        return bands_of(*(condition.index for condition in self.conditions))

    @property
    def all_bands(self) -> tuple[str, ...]:
        """With those of the exclusions."""
        others = (condition.index for group in self.exclude for condition in group)
        return bands_of(*(condition.index for condition in self.conditions), *others)

    @property
    def text(self) -> str:
        """For people."""
        main = " and ".join(condition.text for condition in self.conditions)
        without = [" and ".join(each.text for each in group) for group in self.exclude]
        return main + "".join(f", not where {group}" for group in without)

    def on(self, scene: Scene) -> Rule:
        """The rule with those exclusions that the scene has the bands for."""
        return replace(self, exclude=_possible(self.exclude, scene))

    def holds(self, bands: Bands) -> Mask:
        """Where it is fulfilled: bool (H, W)."""
        found = np.logical_and.reduce([condition.holds(bands) for condition in self.conditions])
        for group in self.exclude:
            found &= ~np.logical_and.reduce([condition.holds(bands) for condition in group])
        return np.asarray(found, dtype=np.bool_)


@dataclass
class PixelModel:
    """Classifies pixels by their bands (and, with a halo, their neighbours').

    `bands` names what `classify` needs; names that end in "@reference" are of the reference.
    """

    read: Read
    bands: tuple[str, ...]
    classify: Callable[[Bands], Mask]
    method: str
    threshold: float | None = None
    warnings: tuple[str, ...] = ()
    halo: int = 0
    reference: Read | None = None

    def run(
        self, window: Window, executor: Executor, progress: Progress | None
    ) -> Iterator[tuple[Window, NDArray[np.uint8]]]:
        """Cover a window; see `Model`."""
        pieces = tiles(window, halo=self.halo)
        for tile, found in stream(
            self._piece, pieces, executor, progress=progress, message="Measuring"
        ):
            yield tile.core, found

    def _piece(self, tile: Tile) -> NDArray[np.uint8]:
        bands = self.fetch(tile.read)
        seen = np.logical_and.reduce([np.isfinite(values) for values in bands.values()])
        found = np.where(seen, self.classify(bands), UNSEEN).astype(np.uint8)
        return found[tile.inner]

    def fetch(self, window: Window) -> dict[str, NDArray[np.float32]]:
        """The bands of a window that `classify` takes."""
        own = [name for name in self.bands if not name.endswith(_OTHER_DATE)]
        other = [name for name in self.bands if name.endswith(_OTHER_DATE)]
        found = dict(zip(own, self.read(own, window), strict=True))
        if other and self.reference is not None:
            plain = [name.removesuffix(_OTHER_DATE) for name in other]
            found.update(zip(other, self.reference(plain, window), strict=True))
        return found


def scene_reader(scene: Scene) -> Read:
    """Reads a scene on its own grid."""
    return lambda bands, window: scene.read(bands, window).data


def rule_model(rule: Rule, scene: Scene) -> PixelModel:
    """A fixed rule on one scene."""
    fitted = rule.on(scene)
    indices = [each.index for each in fitted.conditions]
    indices += [each.index for group in fitted.exclude for each in group]
    main = fitted.conditions[0]
    return PixelModel(
        read=scene_reader(scene),
        bands=bands_of(*indices),
        classify=fitted.holds,
        method=f"{fitted.text}; {_formulas(indices)} ({fitted.source})",
        threshold=main.low if math.isfinite(main.low) else main.high,
    )


def _formulas(indices: Sequence[str]) -> str:
    pairs = [(name, formula(name)) for name in dict.fromkeys(indices)]
    return ", ".join(f"{name} = {text}" for name, text in pairs if name != text)


def new_since(model: PixelModel, earlier: PixelModel, reference: Read) -> PixelModel:
    """What a model finds now and did not find in the reference scene, read on the same grid."""

    def classify(bands: Bands) -> Mask:
        before = {
            name.removesuffix(_OTHER_DATE): values
            for name, values in bands.items()
            if name.endswith(_OTHER_DATE)
        }
        return model.classify(bands) & ~earlier.classify(before)

    return PixelModel(
        read=model.read,
        bands=(*model.bands, *(name + _OTHER_DATE for name in earlier.bands)),
        classify=classify,
        method=f"now: {model.method}; and not so in the reference scene: {earlier.method}",
        threshold=model.threshold,
        warnings=(*model.warnings, *earlier.warnings),
        halo=max(model.halo, earlier.halo),
        reference=reference,
    )


def decreased(rule: Rule, index: str, by: float, scene: Scene, reference: Read) -> PixelModel:
    """Where an index fell by more than `by` since the reference scene, and a rule holds now."""
    base = rule_model(rule, scene)
    needed = bands_of(index)

    def classify(bands: Bands) -> Mask:
        before = {name: bands[name + _OTHER_DATE] for name in needed}
        fall = evaluate(index, before) - evaluate(index, bands)
        return (fall > by) & base.classify(bands)

    return PixelModel(
        read=base.read,
        bands=(
            *dict.fromkeys((*base.bands, *needed)),
            *(name + _OTHER_DATE for name in needed),
        ),
        classify=classify,
        method=f"d{index} > {by:g}, {index} before minus now, {_formulas([index])} "
        f"({rule.source}); where {rule.text}",
        threshold=by,
        reference=reference,
    )


@dataclass(frozen=True)
class SplitRule:
    """A threshold on one index taken from the scene, with what its two groups must be like.

    `above` says which side is the target. `target_mean` and `other_mean` bound the means of the
    two groups (low, high): two groups that are something else are not taken for the target.
    `speckle` is the side in pixels of the window over which radar is averaged. `instead` says
    what a person can do where it fails.
    """

    index: str
    above: bool
    what: str
    target_mean: tuple[float, float] = (-math.inf, math.inf)
    other_mean: tuple[float, float] = (-math.inf, math.inf)
    speckle: int = 0
    exclude: tuple[tuple[Condition, ...], ...] = ()
    instead: str = "choose a region that shows both, or use a reflectance product of the scene"

    @property
    def bands(self) -> tuple[str, ...]:
        """What it cannot do without."""
        return bands_of(self.index)

    @property
    def all_bands(self) -> tuple[str, ...]:
        """With those of the exclusions."""
        others = (condition.index for group in self.exclude for condition in group)
        return bands_of(self.index, *others)

    def on(self, scene: Scene) -> SplitRule:
        """The rule with those exclusions that the scene has the bands for."""
        return replace(self, exclude=_possible(self.exclude, scene))

    def value(self, bands: Bands) -> NDArray[np.float32]:
        """The index, NaN where excluded; of radar the mean power of a window, in dB."""
        if not self.speckle:
            found = evaluate(self.index, bands)
            for group in self.exclude:
                out = np.logical_and.reduce([condition.holds(bands) for condition in group])
                found = np.where(out, np.float32(np.nan), found)
            return found
        power = np.power(10, evaluate(self.index, bands) / 10, dtype=np.float32)
        seen = np.isfinite(power)
        total = uniform_filter(np.where(seen, power, 0), self.speckle, mode="nearest")
        share = uniform_filter(seen.astype(np.float32), self.speckle, mode="nearest")
        with np.errstate(divide="ignore", invalid="ignore"):
            smooth = 10 * np.log10(total / share)
        return np.where(seen, smooth, np.float32(np.nan)).astype(np.float32)

    def fit(self, scene: Scene, hidden: Hidden | None = None) -> Split:
        """Take the threshold from a sample of the whole scene, hidden pixels left out.

        Raises:
            RefusalError: there are no two groups, or they cannot be the target and the rest.
        """
        return self.fit_values(self.value(self._sample(scene, hidden)), scene.name)

    def fit_values(self, values: NDArray[np.float32], name: str) -> Split:
        """As `fit`, on values of the index (H, W)."""
        found = split(values, dip=not self.speckle)
        if found is None:
            raise RefusalError(
                f"{self.what} cannot be told from the rest in {name}: the index {self.index} forms "
                f"one group of values, so either none or all of it may be; {self.instead}.",
                reason="sensor",
            )
        target, other = found.high_mean, found.low_mean
        if not self.above:
            target, other = other, target
        within = self.target_mean[0] <= target <= self.target_mean[1]
        if not (within and self.other_mean[0] <= other <= self.other_mean[1]):
            raise RefusalError(
                f"{self.what} cannot be told from the rest in {name}: the index {self.index} forms "
                f"two groups, around {found.low_mean:.2g} and {found.high_mean:.2g}, and neither "
                f"is typical of {self.what.lower()}; {self.instead}.",
                reason="sensor",
            )
        return found

    def _sample(self, scene: Scene, hidden: Hidden | None) -> dict[str, NDArray[np.float32]]:
        step = max(1.0, max(scene.width, scene.height) / SAMPLE)
        shape = (max(1, round(scene.height / step)), max(1, round(scene.width / step)))
        data = scene.read(self.all_bands, shape=shape).data
        if hidden is not None:
            rows = np.linspace(0, scene.height - 1, shape[0]).round().astype(int)
            columns = np.linspace(0, scene.width - 1, shape[1]).round().astype(int)
            for number, row in enumerate(rows):
                line = hidden(Window(0, int(row), scene.width, 1))[0, columns]
                data[:, number, line] = np.nan
        return dict(zip(self.all_bands, data, strict=True))

    def model(self, scene: Scene, hidden: Hidden | None = None) -> PixelModel:
        """The rule with its threshold, on one scene; raises as `fit` does."""
        rule = self.on(scene)
        return rule._fitted(scene, rule.fit(scene, hidden))

    def _fitted(self, scene: Scene, found: Split) -> PixelModel:
        """The rule with a threshold that was found."""

        def classify(bands: Bands) -> Mask:
            value = self.value(bands)
            return value > found.threshold if self.above else value < found.threshold

        sign = ">" if self.above else "<"
        smooth = f" of {self.speckle} x {self.speckle} pixel means" if self.speckle else ""
        without = [" and ".join(each.text for each in group) for group in self.exclude]
        others = [each.index for group in self.exclude for each in group]
        formulas = _formulas([self.index, *others])
        return PixelModel(
            read=scene_reader(scene),
            bands=self.all_bands,
            classify=classify,
            method=f"{self.index}{smooth} {sign} {found.threshold:.3g}"
            + "".join(f", not where {group}" for group in without)
            + f"; {found.text}"
            + (f"; {formulas}" if formulas else ""),
            threshold=found.threshold,
            halo=self.speckle // 2,
        )
