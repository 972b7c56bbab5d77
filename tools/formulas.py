"""An index that a person names: whether a scene can give it, and its values.

    formula = formula_for(scene, "NDVI")
    values = formula.values(scene.read(formula.bands).data)

`spectral.py` evaluates; this file finds the name, the bands, the kernels and the constants, and
refuses what the numbers of the scene do not carry.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
import spyndex
from numpy.typing import NDArray

from terralogue.datasets.errors import (
    ClarifyError,
    InputError,
    MissingBandError,
    RefusalError,
)
from terralogue.datasets.scene import Scene
from terralogue.tools.spectral import evaluate
from terralogue.tools.spectral import formula as formula_text

Floats = NDArray[np.float32]

# spyndex writes k(N, R) as kNR; its default kernel is the radial basis function.
_KERNEL = re.compile(r"k([A-Z])([A-Z])")
_WAVELENGTH = re.compile(r"lambda([A-Z]\d?)")
# Ratios whose denominator is next to nothing are noise, and would rule every statistic.
_LARGEST = 1e6
# Names that people use, where spyndex has another.
_ALIASES = {"awei": "AWEInsh", "bsi": "BI", "ndbsi": "BI", "ndre": "NDREI"}


@dataclass(frozen=True)
class Formula:
    """An index on one scene.

    Attributes:
        name: spyndex's short name.
        title: In words.
        text: The formula, with spyndex's band names.
        reference: Address of the paper.
        bands: Common names to read, in the order that `values` expects.
        constants: Values of everything else in the formula.
        normalised: A gain on all bands leaves it as it is, as with every normalised difference.
        power: The bands are dB and the formula is made for linear power.
        note: What has to be said beside every figure, such as "on uncalibrated digital numbers".
    """

    name: str
    title: str
    text: str
    reference: str
    bands: tuple[str, ...]
    constants: dict[str, float] = field(default_factory=dict)
    normalised: bool = False
    power: bool = False
    note: str = ""

    @property
    def method(self) -> str:
        """Name, formula, constants and note in one line, for results."""
        constants = ", ".join(f"{key} = {value:g}" for key, value in self.constants.items())
        parts = [f"{self.name} = {self.text}", constants, self.note]
        return "; ".join(part for part in parts if part)

    def values(self, data: Floats) -> Floats:
        """Evaluate: bands (bands, H, W) to index values (H, W), NaN where there is none."""
        if self.power:
            data = np.power(10, data / 10, dtype=np.float32)
        found = _evaluate(self.name, dict(zip(self.bands, data, strict=True)), self.constants)
        found = np.broadcast_to(found, data.shape[1:]).astype(np.float32)
        unusable = ~(np.abs(found) < _LARGEST) | np.isnan(data).any(axis=0)
        return np.where(unusable, np.float32(np.nan), found)


def find_index(name: str) -> str:
    """Spell an index name as spyndex does; case and punctuation are ignored.

    Raises:
        InputError: no such index; lists the closest names.
    """
    if name in spyndex.indices:
        return name
    folded = {_fold(key): key for key in reversed(list(spyndex.indices))}
    titles = {_fold(item.long_name): key for key, item in spyndex.indices.items()}
    names = {**titles, **folded, **_ALIASES}
    if _fold(name) in names:
        return str(names[_fold(name)])
    close = [folded[key] for key in difflib.get_close_matches(_fold(name), folded, n=5, cutoff=0.5)]
    hint = f"close names are {', '.join(close)}" if close else "such as NDVI, MNDWI, NBR or BI"
    raise InputError(f"{name!r} is none of the {len(folded)} spectral indices known here; {hint}.")


def formula_for(scene: Scene, index: str) -> Formula:
    """The formula of an index, ready for the bands of a scene.

    Raises:
        InputError: unknown index.
        ClarifyError: the sensor of the scene is not known, and its bands do not say enough.
        MissingBandError: the scene lacks a band; says which, and which sensors have it.
        RefusalError: the formula needs reflectance, or a quantity that no scene carries.
    """
    name = find_index(index)
    entry = spyndex.indices[name]
    bands = _bands_of(entry.bands)
    if not scene.has(*bands):
        require_sensor(scene)
    for band in bands:
        try:
            scene.band(band)
        except MissingBandError as error:
            raise MissingBandError(f"{name} cannot be computed: {error}") from None
    formula = Formula(
        name=name,
        title=entry.long_name,
        text=formula_text(name),
        reference=entry.reference,
        bands=bands,
        constants=_constants(scene, name, entry.bands),
        normalised=_degree(name) == 0,
    )
    if scene.unit == "dB":
        return replace(formula, power=True, note="on linear backscatter power")
    if scene.calibrated:
        return formula
    if _degree(name) is None:
        raise RefusalError(
            f"{name} has constants made for reflectance, and {scene.name} holds uncalibrated "
            "digital numbers; use a plain normalised difference such as NDVI or NDWI, or a "
            "reflectance product of the scene.",
            reason="sensor",
        )
    return replace(formula, note="on uncalibrated digital numbers")


def require_sensor(scene: Scene) -> None:
    """Ask for the sensor where nothing can be computed without it.

    Raises:
        ClarifyError: the sensor is not known.
    """
    if scene.sensor is not None:
        return
    question = scene.recognition.question or f"Which sensor took {scene.name}?"
    raise ClarifyError(question, slot="sensor", options=tuple(scene.recognition.options))


def _fold(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _parts(symbols: Sequence[str]) -> list[str]:
    """The symbols of a formula, each kernel replaced by the two that it takes."""
    found = [_KERNEL.fullmatch(symbol) for symbol in symbols]
    pairs = zip(symbols, found, strict=True)
    return [part for name, kernel in pairs for part in (kernel.groups() if kernel else (name,))]


def _bands_of(symbols: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(p for p in _parts(symbols) if p not in spyndex.constants))


def _constants(scene: Scene, name: str, symbols: Sequence[str]) -> dict[str, float]:
    """Defaults of spyndex, and wavelengths of the scene's bands in nanometres as it wants them."""
    found: dict[str, float] = {}
    if any(_KERNEL.fullmatch(symbol) for symbol in symbols):
        found["sigma"] = float(spyndex.constants.sigma.default)
    for part in _parts(symbols):
        if part not in spyndex.constants:
            continue
        value = spyndex.constants[part].default
        if (wave := _WAVELENGTH.fullmatch(part)) is not None:
            micrometres = scene.band(wave[1]).wavelength
            value = None if micrometres is None else 1000 * micrometres
        if value is None:
            raise RefusalError(
                f"{name} needs {spyndex.constants[part].description} ({part}), which "
                f"{scene.name} does not carry; choose another index.",
                reason="sensor",
            )
        found[part] = float(value)
    return found


def _evaluate(name: str, bands: dict[str, Floats], constants: dict[str, float]) -> Floats:
    values = {key: np.asarray(value, np.float32) for key, value in constants.items()} | bands
    for symbol in spyndex.indices[name].bands:
        if (kernel := _KERNEL.fullmatch(symbol)) is not None:
            first, second = (values[part] for part in kernel.groups())
            params = {"a": first, "b": second, "sigma": constants["sigma"]}
            values[symbol] = spyndex.computeKernel("RBF", params)
    return evaluate(name, values)


@cache
def _degree(name: str) -> float | None:
    """By which power of a common gain on all bands an index changes; None: by no power.

    A normalised difference has degree 0: but for their offset, raw numbers give the same as
    reflectance. Found by trying, at a few points.
    """
    symbols = spyndex.indices[name].bands
    bands = _bands_of(symbols)
    at = np.random.default_rng(0).uniform(0.05, 0.6, (len(bands), 64)).astype(np.float32)
    constants = {"sigma": 0.5}
    for number, part in enumerate(_parts(symbols)):
        if part in spyndex.constants:
            default = spyndex.constants[part].default
            # Wavelengths must differ, or formulas with their differences divide by zero.
            constants[part] = 500.0 + 150 * number if default is None else float(default)
    gained = [
        _evaluate(name, dict(zip(bands, at * np.float32(gain), strict=True)), constants)
        for gain in (1, 2, 4)
    ]
    with np.errstate(all="ignore"):
        powers = np.log2(np.abs([gained[1] / gained[0], gained[2] / gained[1]]))
    powers = powers[np.isfinite(powers)]
    if not powers.size or float(np.ptp(powers)) > 0.01:
        return None
    return round(float(np.median(powers)), 2)
