"""Change of built-up land told from features of a pair, by logistic regression.

Features are spectral and textural, and how differently the frozen image tower sees the dates
(`change_depth`). Each is standardised over the scene itself, since what a season does to the whole
scene is no change of the ground; that carries over to places never seen better than what a
convolutional network learns from a dozen places. The weights lie in `config.json`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from terralogue.datasets.errors import InputError
from terralogue.datasets.sensors import SENSORS
from terralogue.tools.change_depth import HALO, TOWER, Depth, fit_depth
from terralogue.tools.change_facts import CONFIG, ChangeFacts, facts_of

BANDS: Final = ("B", "G", "R", "RE1", "RE2", "RE3", "N", "N2", "S1", "S2")
REQUIRED: Final = ("B", "G", "R", "N", "S1", "S2")
_BANDS: Final = tuple(
    next(band for band in SENSORS["sentinel2_l1c"].bands if band.common == name) for name in BANDS
)
_TRUNCATE: Final = 3.0
_MAD: Final = 1.4826
_BOUND: Final = 6.0
# Features whose amount counts as well as their sign.
_AMOUNTS: Final = (
    "d_R", "d_B", "d_N", "d_S1", "d_S2", "ndvi_d", "ndbi_d", "gr_d", "s12_d", "ndvi_b", "ndvi_a",
    "ndbi_a", "R_a", "R_b", "S1_a",
)  # fmt: skip

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


class Piece(NamedTuple):
    """Part of a pair: reflectance (bands, H, W) of BANDS on either date, and what was seen."""

    before: Floats
    after: Floats
    seen: Bools


@dataclass(frozen=True)
class _Robust:
    """Median and robust spread of each band of either date, and of their difference."""

    middle: Floats
    spread: Floats
    centre: Floats
    noise: Floats

    def __call__(self, before: Floats, after: Floats) -> Floats:
        """Difference in robust standard deviations: (bands, H, W)."""
        middle, spread = self.middle[:, :, None, None], self.spread[:, :, None, None]
        brought = (after - middle[1]) * (spread[0] / spread[1]) + middle[0]
        centre, noise = self.centre[:, None, None], self.noise[:, None, None]
        return np.asarray((brought - before - centre) / noise, np.float32)


def _robust(before: Floats, after: Floats) -> _Robust:
    """Learn from samples (bands, pixels); of bands that are lacking nothing, which is NaN."""
    dates = np.stack([before, after])
    there = np.asarray(np.isfinite(dates).all(axis=(0, 2)))
    parts = _learnt(dates[:, there])
    found = [np.full((*part.shape[:-1], len(there)), np.nan, np.float32) for part in parts]
    for full, part in zip(found, parts, strict=True):
        full[..., there] = part
    return _Robust(*found)


def _learnt(dates: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Middle and spread (2, bands), centre and noise (bands,) of (2, bands, pixels)."""
    before, after = dates
    middle = np.median(dates, axis=2)
    spread = _MAD * np.median(np.abs(dates - middle[..., None]), axis=2) + 1e-4
    brought = (after - middle[1][:, None]) * (spread[0] / spread[1])[:, None] + middle[0][:, None]
    difference = brought - before
    centre = np.median(difference, axis=1)
    noise = _MAD * np.median(np.abs(difference - centre[:, None]), axis=1) + 1e-4
    return middle, spread, centre, noise


@dataclass(frozen=True)
class PairFeatures:
    """Features of one pair, once what is normal for it is known; see `fit_pair`."""

    plain: _Robust
    smooth: _Robust
    mean: Floats
    spread: Floats
    depth: Depth

    def __call__(self, piece: Piece) -> Floats:
        """Standardised features (FEATURES, H, W), within -6 to 6; 0 where not observed."""
        raw = _raw(piece, self.plain, self.smooth)
        shape = (-1, 1, 1)
        scaled = (raw - self.mean.reshape(shape)) / self.spread.reshape(shape)
        found = np.clip(np.nan_to_num(scaled), -_BOUND, _BOUND)
        amounts = np.abs(found[[RAW.index(name) for name in _AMOUNTS]])
        planes = np.concatenate([found, amounts, self.depth(piece)])
        return np.asarray(planes * piece.seen, np.float32)


def fit_pair(pieces: Sequence[Piece]) -> PairFeatures:
    """Learn what is normal for a pair from parts of it, together a fair sample."""
    looks = [(_roots(piece), _smooth_roots(piece)) for piece in pieces]
    samples = []
    for which in (0, 1):
        dates = [
            np.concatenate([look[which][date][:, p.seen] for look, p in zip(looks, pieces,
                                                                           strict=True)], axis=1)
            for date in (0, 1)
        ]  # fmt: skip
        samples.append(_robust(dates[0][:, ::3], dates[1][:, ::3]))
    raw = np.concatenate(
        [_raw(piece, samples[0], samples[1])[:, piece.seen] for piece in pieces], axis=1
    )
    mean, spread = np.nanmean(raw, axis=1), np.nanstd(raw, axis=1) + 1e-6
    return PairFeatures(
        samples[0], samples[1], mean.astype(np.float32), spread.astype(np.float32),
        fit_depth(pieces, BANDS, _BANDS),
    )  # fmt: skip


def _gauss(values: Floats, sigma: float) -> Floats:
    """Gaussian mean over the last two axes."""
    wide = (*([0.0] * (values.ndim - 2)), sigma, sigma)
    return np.asarray(ndimage.gaussian_filter(values, wide, truncate=_TRUNCATE), np.float32)


def _roots(piece: Piece) -> tuple[Floats, Floats]:
    """Square roots of reflectance, as noise is alike in them; lacking bands are NaN."""
    before, after = (
        np.sqrt(np.clip(np.where(piece.seen, date, 0), 0, 1)).astype(np.float32)
        for date in (piece.before, piece.after)
    )
    for date, given in ((before, piece.before), (after, piece.after)):
        date[np.isnan(given).all(axis=(1, 2))] = np.nan
    return before, after


def _smooth_roots(piece: Piece) -> tuple[Floats, Floats]:
    first, second = _roots(piece)
    return _gauss(first, 1), _gauss(second, 1)


def _raw(piece: Piece, plain: _Robust, smooth: _Robust) -> Floats:
    """Features before they are standardised, in the order of RAW: (RAW, H, W)."""
    roots, smoothed = _roots(piece), _smooth_roots(piece)
    at = {name: number for number, name in enumerate(BANDS)}
    differences = smooth(*smoothed)
    found = {
        "cva0": _magnitude(plain(*roots)),
        "cva1": _magnitude(differences),
    }
    found |= {f"d_{n}": np.clip(differences[at[n]], -15, 15) for n in ("R", "B", "N", "S1", "S2")}
    pairs = {"ndvi": ("N", "R"), "ndbi": ("S1", "N"), "gr": ("G", "R"), "s12": ("S1", "S2")}
    for name, (first, second) in pairs.items():
        before, after = (_gauss(_index(date[at[first]], date[at[second]]), 1) for date in roots)
        found |= {f"{name}_b": before, f"{name}_a": after, f"{name}_d": after - before}
    for name in ("R", "S1"):
        found |= {f"{name}_b": smoothed[0][at[name]], f"{name}_a": smoothed[1][at[name]]}
    for side, date in zip("ba", roots, strict=True):
        found[f"tex2_{side}"] = _texture(date[at["R"]], 2)
    found["dtex3"] = _texture(differences[at["R"]], 3)
    return np.stack([found[name] for name in RAW]).astype(np.float32)


def _magnitude(differences: Floats) -> Floats:
    """Logarithm of the root mean square over the bands there are."""
    size = np.sqrt(np.nanmean(np.square(differences), axis=0))
    return np.asarray(np.log(size + 0.1), np.float32)


def _index(first: Floats, second: Floats) -> Floats:
    a, b = first**2, second**2
    return np.asarray((a - b) / (a + b + 1e-3), np.float32)


def _texture(values: Floats, sigma: float) -> Floats:
    """Standard deviation within a Gaussian window."""
    variance = _gauss(values**2, sigma) - _gauss(values, sigma) ** 2
    return np.asarray(np.sqrt(np.maximum(variance, 0)), np.float32)


RAW: Final = (
    "cva0", "cva1", "d_R", "d_B", "d_N", "d_S1", "d_S2", "ndvi_b", "ndvi_a", "ndvi_d", "ndbi_b",
    "ndbi_a", "ndbi_d", "R_a", "R_b", "S1_a", "S1_b", "tex2_a", "tex2_b", "dtex3", "gr_d", "s12_d",
)  # fmt: skip
"""Features: cva change vectors in robust deviations (of pixels, of smoothed pixels); d_ difference
of a band; _b before, _a after, _d after minus before; tex texture of red; dtex of its change."""
FEATURES: Final = (*RAW, *(f"abs_{name}" for name in _AMOUNTS), *TOWER)
"""RAW, the amounts of some, and how differently the image tower sees the dates."""


@dataclass(frozen=True)
class FeatureModel:
    """Logistic regression over FEATURES.

    Attributes:
        weights: one for each feature.
        intercept: of the logit.
        facts: what it is for and how good.
        fingerprint: first 16 hex digits of the SHA-256 of the weights.
    """

    weights: Floats
    intercept: float
    facts: ChangeFacts
    fingerprint: str = ""
    bands: tuple[str, ...] = BANDS
    halo: int = HALO

    @property
    def what(self) -> str:
        """In a few words."""
        return f"logistic regression on {len(FEATURES)} features of the pair"

    def begin(self, pieces: Sequence[Piece]) -> Callable[[Piece], Floats]:
        """Learn what is normal for a pair; gives what maps a piece to probabilities (H, W)."""
        features = fit_pair(pieces)

        def probability(piece: Piece) -> Floats:
            logits = np.tensordot(self.weights, features(piece), 1) + self.intercept
            return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))), np.float32)

        return probability


def write_features(folder: Path, model: FeatureModel) -> str:
    """Write `config.json`, whole or not at all; gives the SHA-256 of the weights."""
    weights = dict(zip(FEATURES, (round(float(w), 5) for w in model.weights), strict=True))
    body = {"features": weights, "intercept": round(model.intercept, 5)}
    settings = {**body, "facts": asdict(model.facts), "sha256": _digest(body)}
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{CONFIG}.part"
    part.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    part.replace(folder / CONFIG)
    return _digest(body)


def _digest(body: Mapping[str, object]) -> str:
    text = json.dumps({name: body[name] for name in ("features", "intercept")}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=4)
def read_features(folder: Path) -> FeatureModel:
    """Read a model, and check its weights against the SHA-256 beside them.

    Raises:
        InputError: the file is missing or broken, or somebody changed the weights.
    """
    try:
        settings = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        weights = np.array([settings["features"][name] for name in FEATURES], np.float32)
        facts, expected = facts_of(settings["facts"]), settings["sha256"]
        digest, intercept = _digest(settings), float(settings["intercept"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / CONFIG} cannot be read ({error}); train again.") from error
    if digest != expected:
        raise InputError(
            f"the weights in {folder / CONFIG} have SHA-256 {digest[:12]}…, beside them stands "
            f"{expected[:12]}…; train again."
        )
    return FeatureModel(weights, intercept, facts, digest[:16])
