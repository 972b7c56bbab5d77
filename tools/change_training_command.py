"""`terralogue train change`: networks that compare two dates, one for each fold of places.

    terralogue train change s2 --data OSCD --pack packs/oscd.npz --fold 1/4 --out out/s2/1
    terralogue train change s2 --pack packs/oscd.npz --join out/s2/*/last --data OSCD --out WEIGHTS

Each fold's network never sees the places of that fold, which it is scored on. `--join` puts them
together: thresholds and calibration come from the places that each network has not seen.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

from terralogue.datasets.change_pairs import fold_of, read_change_pairs
from terralogue.datasets.errors import InputError
from terralogue.datasets.parts import as_fold
from terralogue.vlm.align_command import Parser

if TYPE_CHECKING:
    from terralogue.tools.change_net import ChangeNet
    from terralogue.tools.change_training_data import Place


@dataclass(frozen=True)
class Recipe:
    """What a kind of network is trained with by default.

    Attributes:
        kind: of ChangeConfig.
        bands: common names.
        width: of ChangeConfig.
        size: of a patch in pixels.
        batch: patches in a step.
        lr: largest learning rate.
    """

    kind: str
    bands: tuple[str, ...]
    width: int
    size: int
    batch: int
    lr: float


# ★ One line per kind of network.
RECIPES: Final = {
    "s2": Recipe("unet", ("A", "B", "G", "R", "RE1", "RE2", "RE3", "N", "N2", "WV", "B10", "S1",
                          "S2"), 16, 128, 24, 2e-3),
    "rgb": Recipe("tower", ("R", "G", "B"), 32, 256, 12, 1e-3),
}  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    from terralogue.tools.change_training import ChangeTraining

    made = Parser(prog="terralogue train change", description="Train networks that compare dates.")
    add = made.add_argument
    add("name", metavar="NAME", choices=RECIPES, help=f"which: {', '.join(RECIPES)}")
    add("--pack", type=Path, required=True, nargs="+", metavar="FILE",
        help="prepared places; the first is made from --data where it is not there")  # fmt: skip
    add("--data", type=Path, metavar="DIR", help="folder of a change data set (OSCD, SZTAKI "
        "AirChange, or A, B and label)")  # fmt: skip
    add("--fold", default="", metavar="K/N", help="hold these places out; none otherwise")
    add("--out", type=Path, required=True, metavar="DIR", help="weights")
    add("--join", type=Path, nargs="+", metavar="DIR", help="networks of all folds, in order, to "
        "be scored on their held-out places and put together")  # fmt: skip
    add(
        "--baseline-f1",
        type=float,
        default=0.0,
        metavar="F1",
        help="of change vector analysis on "
        "the same places (eval change --model baseline), to be written beside the score",
    )
    add("--init", type=Path, metavar="DIR", help="go on from the network in this folder")
    add("--fuse", choices=("difference", "both"), default="difference",
        help="what the decoder sees of the two dates' features")  # fmt: skip
    add("--device", default="cpu", help="of torch")
    for field in fields(ChangeTraining):
        option = f"--{field.name.replace('_', '-')}"
        default = None if field.name in ("size", "batch", "lr") else field.default
        add(option, type=type(field.default), default=default)
    return made


def main(argv: Sequence[str]) -> int:
    """Train one fold, or join them; 0 when done.

    Raises:
        InputError: an option, or a data set or pack that is missing.
    """
    args = _parser().parse_args(argv)
    places = _places(args)
    if args.join:
        from terralogue.tools.change_training_scores import join

        options = {"baseline_f1": args.baseline_f1, "device": args.device}
        for line in join(args.name, args.join, places, args.out, **options):
            print(line, flush=True)
        return 0
    from terralogue.tools.change_net import ChangeConfig
    from terralogue.tools.change_training import ChangeTraining, train

    recipe = RECIPES[args.name]
    given = {field.name: getattr(args, field.name) for field in fields(ChangeTraining)}
    given |= {n: getattr(recipe, n) for n in ("size", "batch", "lr") if given[n] is None}
    training = ChangeTraining(**given)
    if training.minutes <= 0 or training.batch < 1:
        raise InputError("--minutes and --batch have to be above 0.")
    if training.size < 64 or training.size % 16:
        raise InputError(f"--size {training.size} cannot be used; give a multiple of 16 from 64.")
    learnt, held = _parted(places, args.fold)
    config = ChangeConfig(recipe.kind, recipe.bands, recipe.width, args.fuse)
    begin = _begin(recipe.kind, args.init)
    train(config, training, learnt, held, args.out, device=args.device, begin=begin)
    return 0


def _places(args: argparse.Namespace) -> list[Place]:
    """Places of all packs, with the bands of the recipe; the first pack is made where missing."""
    from terralogue.tools.change_training_data import (
        banded,
        places_of,
        read_places,
        write_places,
    )

    first = args.pack[0]
    if not first.exists():
        if args.data is None:
            raise InputError(f"{first} is not there; give the data that it is made from as --data.")
        write_places(first, places_of(read_change_pairs(args.data)))
    bands = RECIPES[args.name].bands
    return [banded(place, bands) for path in args.pack for place in read_places(path)]


def _parted(places: Sequence[Place], fold: str) -> tuple[list[Place], list[Place]]:
    """Places to learn from, and those held out."""
    if not fold:
        return list(places), []
    number, count = as_fold(fold)
    real = [place.name for place in places if not place.name.startswith("simulated")]
    held = {name for name, where in fold_of(real, count).items() if where == number}
    learnt = [place for place in places if place.name not in held]
    if not held or not learnt:
        raise InputError(f"--fold {fold} leaves nothing; there are {len(real)} places.")
    return learnt, [place for place in places if place.name in held]


def _begin(kind: str, init: Path | None) -> Callable[[ChangeNet], None] | None:
    """What gives a network its first weights: a trained one, or the embedded tower's stages."""
    from terralogue.tools.change_net import read_change
    from terralogue.tools.change_tower import TowerLevels
    from terralogue.vlm.checkpoint import read_checkpoint
    from terralogue.vlm.embedded_clip import FOLDER

    def go_on(net: ChangeNet) -> None:
        assert init is not None
        (taught,) = read_change(init).nets
        net.load_state_dict(taught.state_dict())

    def adopt(net: ChangeNet) -> None:
        assert isinstance(net.encoder, TowerLevels)
        net.encoder.adopt(read_checkpoint(FOLDER).tower)

    if init is not None:
        return go_on
    return adopt if kind == "tower" else None


if __name__ == "__main__":
    import sys

    sys.exit(main(sys.argv[1:]))
