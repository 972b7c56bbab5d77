"""What a dense network learns from: its heads, its sources, and what it is for.

★ RECIPES is the table of `terralogue train dense NAME`; each module holds a `RECIPE`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Final

from terralogue.datasets.errors import InputError
from terralogue.datasets.parts import Part
from terralogue.tools.dense_checkpoint import DenseFacts
from terralogue.tools.dense_data import DensePack, read_pack, write_pack

Maker = Callable[[Path, Part], DensePack]
"""Makes the pack of a part from the folder of the data sets; raises InputError where it lacks."""


@dataclass(frozen=True)
class DenseRecipe:
    """One network.

    Attributes:
        heads: classes by head.
        targets: what the network is used for: head and classes by target.
        sources: makers of packs by source name.
        facts: written beside the weights.
        partners: checkpoint of the package, head and classes that have a voice too, by target.
    """

    heads: Mapping[str, Sequence[str]]
    targets: Mapping[str, tuple[str, tuple[str, ...]]]
    sources: Mapping[str, Maker]
    facts: DenseFacts
    partners: Mapping[str, tuple[str, str, tuple[str, ...]]] = field(default_factory=dict)


# ★ One line per network.
RECIPES: Final = {
    "rgb_cover": "terralogue.tools.dense_rgb",
    "rgb_road": "terralogue.tools.dense_rgb_road",
    "rgb_held_out": "terralogue.tools.dense_rgb_held_out",
}


def recipe(name: str) -> DenseRecipe:
    """The recipe of that name.

    Raises:
        InputError: there is none.
    """
    if name not in RECIPES:
        raise InputError(f"unknown network {name!r}; the networks are: {', '.join(RECIPES)}")
    found: DenseRecipe = import_module(RECIPES[name]).RECIPE
    return found


def prepare(
    name: str, part: Part, packs: Path, data: Path | None, sources: Sequence[str] | None = None
) -> list[DensePack]:
    """Packs of a part, those that are there read from `packs`, others made from `data`.

    Args:
        name: key of RECIPES.
        part: which.
        packs: folder in which packs are kept.
        data: folder of the data sets; not needed for packs that are there.
        sources: names of the recipe's sources; None for all.

    Raises:
        InputError: an unknown source, or a data set that is missing.
    """
    makers = recipe(name).sources
    found = []
    for source in sources or makers:
        if source not in makers:
            raise InputError(f"unknown source {source!r}; those of {name} are: {', '.join(makers)}")
        path = packs / f"{name}_{source}_{part}.npz"
        if not path.is_file() and data is not None:
            write_pack(path, makers[source](data, part))
        found.append(read_pack(path))
    # Some sources are too small for every part.
    return [pack for pack in found if len(pack.images)]
