r"""`terralogue train detect`: train a detector of things.

    terralogue train detect aerial --data DATA --pack packs/aerial.npz --out out/aerial --minutes 30
    terralogue train detect aerial --pack packs/aerial.npz --out out/a --device cuda --minutes 4

The pack is made from the data where it does not exist; nothing else reads them, so that it can be
taken to another machine. Test parts are not in it. `--learn train` leaves the validation parts out
(and scores on them), `--learn all` learns from both, and `--learn K/N` leaves out every N-th run of
neighbouring pictures for cross-validation. Thresholds and probabilities come last, from what a
network finds that was trained by the same recipe without those pictures:

    terralogue train detect aerial --pack packs/aerial.npz --out out/aerial --learn 3/3 \
        --calibrate out/aerial_3of3
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from terralogue.datasets.errors import InputError
from terralogue.datasets.parts import as_fold
from terralogue.tools.detect_calibrate import as_settings, calibrate
from terralogue.tools.detect_checkpoint import read_detector, write_detector
from terralogue.tools.detect_pack import (
    RECIPES,
    Example,
    Recipe,
    make_pack,
    read_pack,
    recipe_of,
)
from terralogue.tools.detect_scores import average_precision, f1_at
from terralogue.tools.detect_training import Settings, adopt, score, train


def main(argv: Sequence[str]) -> int:
    """Train.

    Raises:
        InputError: data or options that cannot be used.
    """
    options = _parser().parse_args(argv)
    recipe = recipe_of(options.detector)
    if not options.pack.is_file():
        if options.data is None:
            raise InputError(f"{options.pack} does not exist; give the data with --data.")
        make_pack(options.pack, recipe, options.data)
    classes, examples = read_pack(options.pack)
    if classes != recipe.classes:
        raise InputError(f"{options.pack} was made for other classes; remove it.")
    learnt, held = divide(examples, options.learn)
    print(f"{options.detector}: {len(learnt)} pictures to learn from, {len(held)} held out")
    if options.calibrate is not None:
        _calibrate(options, recipe, held)
        return 0
    settings = Settings(
        batch=options.batch, side=options.side, seconds=options.minutes * 60,
        every=options.every, seed=options.seed, lr=options.lr, trunk_lr=options.trunk_lr,
    )  # fmt: skip
    net = adopt(recipe, read_detector(options.init).net) if options.init else None
    keep = partial(write_detector, options.out, options.detector)
    train(
        recipe,
        learnt,
        held,
        settings,
        options.device,
        keep,
        net=net,
        say=partial(print, flush=True),
    )
    return 0


def _calibrate(options: argparse.Namespace, recipe: Recipe, held: Sequence[Example]) -> None:
    """Set the thresholds of the checkpoint in --out."""
    if not held:
        raise InputError("--calibrate needs held-out pictures; give --learn train or K/N.")
    other, final = read_detector(options.calibrate), read_detector(options.out)
    found = score(other.net.to(options.device), recipe, held, options.device, recipe.iou)
    facts = calibrate(found)
    for name, each in facts.items():
        precision, f1 = average_precision(found[name]), f1_at(found[name], each.threshold)
        if precision is not None and f1 is not None:
            print(f"{name}: AP {precision:.3f}, F1 {f1:.3f} from {each.threshold:.3f}")
    about = {"iou": recipe.iou, "calibrated_on": len(held), "classes": as_settings(facts)}
    write_detector(options.out, options.detector, final.net, {**final.facts, **about})


def divide(examples: Sequence[Example], learn: str) -> tuple[list[Example], list[Example]]:
    """Examples to learn from, and those held out; see the module.

    Raises:
        InputError: neither "train" nor "all" nor a fold.
    """
    if learn == "all":
        return list(examples), []
    if learn == "train":
        held = [each for each in examples if each.part == "val"]
    else:
        fold, count = as_fold(learn)
        held = [each for each in examples if each.run % count == fold]
    names = {id(each) for each in held}
    return [each for each in examples if id(each) not in names], held


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="terralogue train detect", description="Train a detector of things."
    )
    add = parser.add_argument
    default = Settings()
    add("detector", metavar="DETECTOR", help=f"one of: {', '.join(RECIPES)}")
    add("--data", type=Path, metavar="DIR", help="folder of the data sets")
    add("--pack", type=Path, required=True, metavar="FILE", help="made from --data if absent")
    add("--out", type=Path, required=True, metavar="DIR", help="where the checkpoint goes")
    add(
        "--init",
        type=Path,
        metavar="DIR",
        help="go on with a checkpoint, or with what fits of another detector's",
    )
    add("--calibrate", type=Path, metavar="DIR", help="do not train: set the thresholds of "
        "--out by what this checkpoint finds on what --learn leaves out")  # fmt: skip
    add("--learn", default="train", metavar="PART", help="train (default), all, or K/N")
    add("--device", default="cpu", help="cpu (default) or cuda")
    add("--minutes", type=float, default=30.0, help="length of the schedule (default 30)")
    add("--batch", type=int, default=default.batch, help=f"default {default.batch}")
    add("--side", type=int, default=default.side, help=f"of crops (default {default.side})")
    add("--lr", type=float, default=default.lr, help=f"default {default.lr:g}")
    add("--trunk-lr", type=float, default=default.trunk_lr, help=f"default {default.trunk_lr:g}")
    add("--every", type=float, default=default.every, metavar="SECONDS", help="between scores")
    add("--seed", type=int, default=0)
    return parser
