"""Spectral indices by name, evaluated on bands named as spyndex names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import spyndex
from numpy.typing import NDArray

Bands = Mapping[str, NDArray[np.float32]]

# spyndex calls these parameters "constants" and gives each a default.
_CONSTANTS = {name: float(item.default) for name, item in spyndex.constants.items() if item.default}

# spyndex's AWEInsh adds the last term, which Feyisa et al. 2014 subtract; the others it has not.
CORRECTED = {"AWEInsh": "4.0*(G-S1)-(0.25*N+2.75*S2)"}
_OURS = {
    **CORRECTED,
    "BR": "B-R",
    "BU": "(S1-N)/(S1+N)-(N-R)/(N+R)",
}
BAND_NAMES = frozenset(spyndex.bands) | {"VV", "VH", "HH", "HV"}


def formula(index: str) -> str:
    """The formula of an index, or the name itself where it is a band."""
    if index in BAND_NAMES:
        return index
    return _OURS.get(index) or str(spyndex.indices[index].formula)


@lru_cache(maxsize=256)
def _compiled(index: str) -> tuple[object, tuple[str, ...]]:
    code = compile(formula(index), index, "eval")
    return code, tuple(code.co_names)


def bands_of(*indices: str) -> tuple[str, ...]:
    """The bands that indices need, each once, in the order of their first use."""
    names = [name for index in indices for name in _compiled(index)[1] if name in BAND_NAMES]
    return tuple(dict.fromkeys(names))


def evaluate(index: str, bands: Bands) -> NDArray[np.float32]:
    """An index of bands of any one shape: float32, NaN where it is not defined."""
    code, names = _compiled(index)
    values = {name: bands[name] if name in bands else _CONSTANTS[name] for name in names}
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        result = np.asarray(eval(code, {"__builtins__": {}}, values), dtype=np.float32)  # type: ignore[arg-type]
    return np.where(np.isfinite(result), result, np.float32(np.nan))


def named(names: Sequence[str], data: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Bands (bands, H, W) by the names under which they were asked for."""
    return dict(zip(names, data, strict=True))
