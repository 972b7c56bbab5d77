"""Where two dates differ: any change by its magnitude, or gain and loss of a target.

Both methods look at a sample of the scene first (`fit`), then decide pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy import ndimage

from terralogue.tools import edges
from terralogue.tools.baselines import Rule
from terralogue.tools.common_grid import OnGrid
from terralogue.tools.pairs import Pair
from terralogue.tools.spectral import bands_of, evaluate, named

Floats = NDArray[np.float32]
Codes = NDArray[np.uint8]
Bools = NDArray[np.bool_]

NONE, GAIN, LOSS, UNSEEN = 0, 1, 2, 255

# 1.4826 times the median absolute deviation is the standard deviation of a normal distribution.
_MAD = 1.4826
# Robust standard deviations, root mean square over the bands. Near the best on either half of the
# fourteen OSCD training cities: `python -m terralogue.eval.change_baseline` (F1 36.6 on all).
ANY_CHANGE = 4.0
# Robust standard deviations of what is normal: where the class has to change as well, only pixels
# at its border are kept from flickering; where the index alone decides, it has to stand out.
BESIDES_CLASS = 1.0
INDEX_ALONE = 3.0
# Neighbours averaged before comparing: single pixels are noise and misregistration.
_SIGMA = 1.0


class Difference(Protocol):
    """A way to compare two dates."""

    @property
    def halo(self) -> int:
        """Pixels around a window whose results its neighbours change."""

    @property
    def method(self) -> str:
        """Formula with threshold and source, after `fit`."""

    def sample(self, window: Window) -> Floats:
        """What `fit` needs of a window: (features, pixels)."""

    def fit(self, samples: Floats) -> None:
        """Learn what is normal from all samples: (features, pixels)."""

    def codes(self, window: Window) -> Codes:
        """NONE, GAIN (for any change: changed), LOSS or UNSEEN: uint8 (H, W)."""


@dataclass
class AnyChange:
    """Change of any kind: how unusual the difference of the bands is for this pair.

    Each band of the later date is brought to the median and spread of the earlier one (relative
    radiometric normalisation, robust: most pixels did not change), and the differences are
    divided by their own robust spread. The root mean square over the bands is change vector
    analysis on standardised differences (Malila 1980; Bovolo and Bruzzone 2007,
    doi:10.1109/TGRS.2006.885408). It is taken of the pixels and of their smoothed neighbourhood,
    and the smaller counts: single odd pixels are noise, and smoothing alone widens what changed.
    """

    pair: Pair
    bands: Sequence[str]
    threshold: float = ANY_CHANGE
    _normal: tuple[_Normal, ...] = field(default=(), init=False, repr=False)

    @property
    def halo(self) -> int:
        """Pixels of surroundings that smoothing needs."""
        return int(np.ceil(4 * _SIGMA))

    @property
    def method(self) -> str:
        """Formula with threshold and source."""
        return (
            f"change vector analysis on {len(self.bands)} band(s) ({', '.join(self.bands)}), "
            "brought to one another by median and spread; changed where a pixel and its "
            f"neighbourhood both differ by more than {self.threshold:g} robust standard "
            "deviations (root mean square over the bands; Bovolo and Bruzzone 2007, "
            "doi:10.1109/TGRS.2006.885408)"
        )

    def sample(self, window: Window) -> Floats:
        """Both dates, plain and smoothed, one above the other; see `Difference`."""
        looks, seen = self._read(window)
        return np.concatenate([date[:, seen] for look in looks for date in look])

    def fit(self, samples: Floats) -> None:
        """Learn gain, offset and spread of each band; see `Difference`."""
        count = len(self.bands)
        dates = [samples[start : start + count] for start in range(0, len(samples), count)]
        self._normal = tuple(_normal(*dates[start : start + 2]) for start in (0, 2))

    def magnitude(self, window: Window) -> Floats:
        """Robust standard deviations of a window: float32 (H, W), NaN where not observed."""
        looks, seen = self._read(window)
        sizes = [
            normal.magnitude(before, after)
            for normal, (before, after) in zip(self._normal, looks, strict=True)
        ]
        return np.where(seen, np.minimum(*sizes), np.float32(np.nan)).astype(np.float32)

    def codes(self, window: Window) -> Codes:
        """Changed or not; see `Difference`."""
        size = self.magnitude(window)
        found = np.where(size > self.threshold, GAIN, NONE).astype(np.uint8)
        found[np.isnan(size)] = UNSEEN
        return found

    def _read(self, window: Window) -> tuple[tuple[tuple[Floats, Floats], ...], Bools]:
        """Before and after, first plain and then smoothed, and what was observed on both dates."""
        before = self.pair.before.read(self.bands, window)
        after = self.pair.after.read(self.bands, window)
        seen = np.logical_and.reduce(np.isfinite(before) & np.isfinite(after))
        seen &= ~self.pair.hidden(window)
        return ((before, after), (_smooth(before, seen), _smooth(after, seen))), seen


@dataclass(frozen=True)
class _Normal:
    """What is normal for a pair: after * gain + offset - before has the median 0 and `spread`."""

    gain: Floats
    offset: Floats
    spread: Floats

    def magnitude(self, before: Floats, after: Floats) -> Floats:
        """Root mean square over the bands (bands, H, W), in robust standard deviations: (H, W)."""
        gain, offset, spread = (
            part[:, None, None] for part in (self.gain, self.offset, self.spread)
        )
        change = (after * gain + offset - before) / spread
        size: Floats = np.sqrt(np.mean(np.square(change), axis=0))
        return size


def _normal(before: Floats, after: Floats) -> _Normal:
    """Learn from samples (bands, pixels)."""
    middle, spread = _robust(before)
    middle_after, spread_after = _robust(after)
    gain = np.where(spread_after > 0, spread / np.maximum(spread_after, 1e-12), 1.0)
    offset = middle - gain * middle_after
    difference = after * gain[:, None] + offset[:, None] - before
    centre, noise = _robust(difference.astype(np.float32))
    # Numbers that do not vary at all on most pixels have no spread to compare with.
    step = np.maximum(1e-3 * np.maximum(np.abs(middle), spread), 1e-9)
    parts = (gain, offset - centre, np.maximum(noise, step))
    return _Normal(*(part.astype(np.float32) for part in parts))


@dataclass
class TargetChange:
    """Gain and loss of a target: its class changed, and its index by more than noise.

    Attributes:
        pair: The scenes.
        index: Index (or band) that tells the target from the rest; empty where there is none.
        sign: 1 where the target has high values, -1 where it has low ones.
        states: Gives the target of either date on a window of the frame: 0, 1, 255 (H, W).
        minimum: Least difference of the index, where one is published.
        source: Of the minimum.
        smooth: Standard deviation in pixels of the smoothing of a speckled band.
        avoid: Indices above zero, on either date, on what is another thing: a burn is neither
            where water was nor where it came.
        already: Rules that find the target on one date: where one holds on the other date too,
            nothing is new, whatever the class says.
        against: Band that has to go the other way, and stand out: the near infrared of new water
            falls, while that of a stream that only widened does not.
        edge: Bands whose difference between the dates tells the edges; see `edges`.
    """

    pair: Pair
    index: str
    sign: int
    states: Callable[[Window], tuple[Codes, Codes]] | None = None
    minimum: float = 0.0
    source: str = ""
    smooth: float = 0.0
    avoid: tuple[str, ...] = ()
    already: tuple[Rule, ...] = ()
    against: str = ""
    edge: tuple[str, ...] = ()
    _middle: float = field(default=0.0, init=False)
    _noise: float = field(default=0.0, init=False)
    _band: tuple[float, float] = field(default=(0.0, 0.0), init=False)

    @property
    def halo(self) -> int:
        """Pixels of surroundings that smoothing and edges need."""
        return max(int(np.ceil(4 * self.smooth)), edges.HALO if self.edge else 0)

    @property
    def threshold(self) -> float:
        """Least difference of the index that counts, from the normal one."""
        return max(self.minimum, self._times * self._noise)

    @property
    def _times(self) -> float:
        return BESIDES_CLASS if self.states else INDEX_ALONE

    @property
    def method(self) -> str:
        """Formula with threshold and source."""
        sides = "its class differs between the dates" if self.states else ""
        if self.already:
            rules = " or ".join(rule.conditions[0].text for rule in self.already)
            sides += f", not where {rules} tells the same of both"
        if not self.index:
            return sides
        sides += " and " if sides else ""
        published = f", at least {self.minimum:g} ({self.source})" if self.minimum else ""
        return (
            f"{sides}{self.index} differs by more than {self.threshold:.3g} from the median "
            f"difference {self._middle:.3g} of unchanged pixels "
            f"({self._times:g} x 1.4826 x their median absolute deviation{published})"
            + (f", and {self.against} the other way by {INDEX_ALONE:g} x" if self.against else "")
            + "".join(f"; not where {index} > 0" for index in self.avoid)
            + (f"; {edges.method(self.edge)}" if self.edge else "")
        )

    def sample(self, window: Window) -> Floats:
        """The difference of pixels whose class is the same; see `Difference`."""
        difference, before, after = self._look(window)
        stable = np.isfinite(difference) & (before == after)
        rows = [difference[stable]]
        if self.against:
            rows.append(self._change(self.against, window)[stable])
        return np.stack(rows)

    def fit(self, samples: Floats) -> None:
        """Learn what difference is normal; see `Difference`."""
        if not self.index:
            return
        middle, noise = _robust(samples)
        self._middle, self._noise = float(middle[0]), float(noise[0])
        if self.against:
            self._band = float(middle[1]), INDEX_ALONE * float(noise[1])
        if abs(self._middle) > self.minimum > 0:
            # More than half of the pixels changed: what is normal cannot be told from them.
            self._middle = self._noise = 0.0

    def codes(self, window: Window) -> Codes:
        """Gain and loss; see `Difference`."""
        difference, before, after = self._look(window)
        beyond = self.sign * (difference - self._middle)
        gain, loss = beyond > self.threshold, beyond < -self.threshold
        if not self.index:
            gain, loss = np.ones_like(gain), np.ones_like(loss)
        if self.against:
            middle, least = self._band
            other = -self.sign * (self._change(self.against, window) - middle)
            gain &= other > least
            loss &= other < -least
        if self.states is not None:
            gain &= (after == 1) & (before == 0)
            loss &= (before == 1) & (after == 0)
        for index in self.avoid:
            for side in (self.pair.before, self.pair.after):
                not_it = self._index(index, side, window) > 0
                gain, loss = gain & ~not_it, loss & ~not_it
        for rule in self.already:
            gain &= ~_holds(rule, self.pair.before, window)
            loss &= ~_holds(rule, self.pair.after, window)
        unseen = np.isnan(difference)
        if self.edge:
            dates = self.pair.after.read, self.pair.before.read
            darker = edges.brightness(self.edge, *dates)(window)
            gain, loss = _settled(gain, unseen, darker), _settled(loss, unseen, -darker)
        found = np.zeros(difference.shape, np.uint8)
        found[gain], found[loss] = GAIN, LOSS
        found[unseen] = UNSEEN
        return found

    def beyond(self, window: Window) -> Floats:
        """How much more the index moved towards the target than on unchanged pixels: (H, W)."""
        difference, _, _ = self._look(window)
        return np.asarray(self.sign * (difference - self._middle), np.float32)

    def _index(self, name: str, side: OnGrid, window: Window) -> Floats:
        bands = bands_of(name)
        return evaluate(name, named(bands, side.read(bands, window)))

    def _change(self, name: str, window: Window) -> Floats:
        first = self._index(name, self.pair.before, window)
        return self._index(name, self.pair.after, window) - first

    def _look(self, window: Window) -> tuple[Floats, Codes, Codes]:
        difference = np.zeros((int(window.height), int(window.width)), np.float32)
        if self.index:
            difference = self._change(self.index, window)
        difference[self.pair.hidden(window)] = np.nan
        if self.smooth:
            difference = _smooth(difference[None], np.isfinite(difference), self.smooth)[0]
        same = np.zeros(difference.shape, np.uint8)
        before, after = (same, same) if self.states is None else self.states(window)
        difference[(before == UNSEEN) | (after == UNSEEN)] = np.nan
        return difference, before, after


def _holds(rule: Rule, side: OnGrid, window: Window) -> Bools:
    fitted = rule.on(side.scene)
    return fitted.holds(named(fitted.all_bands, side.read(fitted.all_bands, window)))


def _settled(mask: Bools, unseen: Bools, darker: Floats) -> Bools:
    """A mask with its edges set, by what is lower on it."""
    codes = np.where(unseen, UNSEEN, mask).astype(np.uint8)
    return np.asarray(edges.settle(codes, darker) == 1)


class Robust(NamedTuple):
    """Median and robust standard deviation of each feature."""

    middle: Floats
    spread: Floats


def _robust(values: Floats) -> Robust:
    """Of (features, pixels)."""
    if not values.shape[1]:
        return Robust(np.zeros(len(values), np.float32), np.zeros(len(values), np.float32))
    middle = np.median(values, axis=1)
    spread = _MAD * np.median(np.abs(values - middle[:, None]), axis=1)
    return Robust(middle.astype(np.float32), spread.astype(np.float32))


def _smooth(data: Floats, seen: Bools, sigma: float = _SIGMA) -> Floats:
    """Gaussian mean of the observed neighbours of each pixel: (bands, H, W)."""
    weight = ndimage.gaussian_filter(seen.astype(np.float32), sigma)
    filled = np.where(seen, data, np.float32(0))
    total = ndimage.gaussian_filter(filled, (0, sigma, sigma))
    with np.errstate(divide="ignore", invalid="ignore"):
        smooth = total / weight
    return np.where(seen, smooth, np.float32(np.nan)).astype(np.float32)
