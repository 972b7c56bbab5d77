"""`terralogue train dense NAME`: a dense network from a recipe, and what is measured of it.

terralogue train dense rgb_cover --data DATA --out out/rgb_cover --minutes 60
terralogue train dense rgb_cover --data DATA --out out/rgb_cover --score test
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from terralogue.datasets.errors import InputError
from terralogue.datasets.parts import PARTS, Part
from terralogue.vlm.align_command import Parser

if TYPE_CHECKING:
    from terralogue.tools.dense_data import DensePack


def _parser() -> argparse.ArgumentParser:
    from terralogue.tools.dense_recipe import RECIPES
    from terralogue.tools.dense_training import DenseTraining

    made = Parser(prog="terralogue train dense", description="Train a network for dense maps.")
    add = made.add_argument
    add("name", metavar="NAME", choices=RECIPES, help=f"which: {', '.join(RECIPES)}")
    add("--data", type=Path, default=os.environ.get("TERRALOGUE_DATA") or None, metavar="DIR",
        help="folder of the data sets; TERRALOGUE_DATA otherwise; not needed for packs that are "
        "there")  # fmt: skip
    add("--packs", type=Path, default=Path("packs"), metavar="DIR",
        help="prepared images are kept here between runs")  # fmt: skip
    add("--out", type=Path, required=True, metavar="DIR", help="weights, state and log; a run that "
        "was cut short goes on from here")  # fmt: skip
    add("--sources", nargs="+", metavar="NAME", help="what to train on; all otherwise")
    add("--init", default="tower", metavar="WHAT", help="encoder to begin with: tower (the "
        "embedded one), imagenet, or a folder with a dense checkpoint")  # fmt: skip
    add("--backbone", metavar="SPEC", help="train a UPerNet on a pretrained encoder instead, "
        "which stays frozen; see: terralogue models list")  # fmt: skip
    add("--device", default="cpu", help="of torch")
    add("--prepare-only", action="store_true", help="write the packs and stop")
    add("--score", choices=PARTS, help="train nothing and score the weights in --out on a part; "
        "val calibrates them first")  # fmt: skip
    for field in fields(DenseTraining):
        option = f"--{field.name.replace('_', '-')}"
        if isinstance(field.default, bool):
            add(option, action=argparse.BooleanOptionalAction, default=field.default)
        else:
            add(option, type=type(field.default), default=field.default)
    return made


def main(argv: Sequence[str]) -> int:
    """Train; 0 when the schedule is done.

    Raises:
        InputError: an option, or a data set that is missing.
    """
    from terralogue.tools.dense_recipe import prepare, recipe
    from terralogue.tools.dense_training import DenseTraining

    args = _parser().parse_args(argv)
    config = DenseTraining(**{f.name: getattr(args, f.name) for f in fields(DenseTraining)})
    if config.minutes <= 0:
        raise InputError(f"--minutes {config.minutes} is too little; give more than 0")
    if config.size < 64 or config.size % 32:
        raise InputError(f"--size {config.size} cannot be used; give a multiple of 32 from 64 on")
    if args.score:
        packs = prepare(args.name, args.score, args.packs, args.data, args.sources)
        _score(args.name, args.out, packs, args.score)
        return 0
    train = prepare(args.name, "train", args.packs, args.data, args.sources)
    val = prepare(args.name, "val", args.packs, args.data, args.sources)
    if args.prepare_only:
        return 0
    from terralogue.tools.dense_model import DenseConfig, DenseNet
    from terralogue.tools.dense_training import DenseTrainer

    asked = recipe(args.name)
    taught = {head for pack in train for head in pack.labels}
    heads = {head: classes for head, classes in asked.heads.items() if head in taught}
    if args.backbone:
        from terralogue.tools.backbone_decoder import backbone_net

        net: DenseNet = backbone_net(args.backbone, heads)
    else:
        net = DenseNet.begin(DenseConfig(heads), args.init)
    trainer = DenseTrainer(net, config, train, val, args.out, facts=asked.facts, device=args.device)
    best = trainer.run()
    print(f"best validation score {best:.4f}")
    if val:
        _score(args.name, args.out, val, "val")
    return 0


def _score(name: str, folder: Path, packs: Sequence[DensePack], part: Part) -> None:
    """Score the weights in a folder, calibrated first if by validation, into scores_<part>.json."""
    from terralogue.tools.dense_calibrate import calibrate, measure
    from terralogue.tools.dense_checkpoint import read_dense, write_dense
    from terralogue.tools.dense_recipe import recipe
    from terralogue.tools.dense_voices import Voice, load

    dense, targets = read_dense(folder), recipe(name).targets
    partners = {
        target: (Voice(load(other), head, classes),)
        for target, (other, head, classes) in recipe(name).partners.items()
    }
    if part == "val":
        write_dense(folder, dense.net, calibrate(dense, packs, targets, partners))
        dense = read_dense(folder)
    text = json.dumps(measure(dense, packs, targets, partners), indent=1)
    (folder / f"scores_{part}.json").write_text(text + "\n", encoding="utf-8")
    print(text)
