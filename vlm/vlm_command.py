"""`terralogue train base`, and `terralogue train lora --vlm embedded`: the embedded model."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from terralogue.datasets.errors import InputError
from terralogue.datasets.parts import PARTS, as_fold, folds
from terralogue.vlm.align_command import Parser

if TYPE_CHECKING:
    from terralogue.vlm.embedded_clip import EmbeddedCLIP
    from terralogue.vlm.vlm import Task
    from terralogue.vlm.vlm_pack import Pack
    from terralogue.vlm.vlm_training import ReaderTraining

_ADAPTERS: Final = ("qa", "caption")


def _parser(stage: str) -> argparse.ArgumentParser:
    from terralogue.vlm.vlm_training import ReaderTraining

    made = Parser(prog=f"terralogue train {stage}", description="Train the embedded model.")
    add = made.add_argument
    add("--data", type=Path, default=os.environ.get("TERRALOGUE_DATA") or None, metavar="DIR",
        help="folder of the data sets; TERRALOGUE_DATA otherwise; not needed for packs that are "
        "there")  # fmt: skip
    add("--packs", type=Path, default=Path("packs"), metavar="DIR",
        help="prepared examples are kept here between runs")  # fmt: skip
    add("--out", type=Path, required=True, metavar="DIR", help="weights, state and log; a run that "
        "was cut short goes on from here")  # fmt: skip
    add("--tower", type=Path, metavar="DIR", help="checkpoint of `train align`; the embedded one "
        "otherwise")  # fmt: skip
    add("--sources", nargs="+", metavar="NAME", help="what to train on; all otherwise")
    add("--whole-only", nargs="*", default=[], metavar="NAME", help="sources whose pictures are "
        "shown without their enlarged parts")  # fmt: skip
    add("--device", default="cpu", help="of torch")
    add("--with-validation", action="store_true", help="train on the validation parts too")
    if stage == "lora":
        add("--vlm", default="embedded")
        add("--init", type=Path, metavar="DIR", help="base model; the embedded one otherwise")
        add("--adapter", choices=_ADAPTERS, default="qa", help="which adapter to train")
        add("--fold", metavar="K/N", help="leave out fold K of N of the benchmarks' pictures, and "
            "train on all others, whatever their part")  # fmt: skip
    for field in fields(ReaderTraining):
        option = f"--{field.name.replace('_', '-')}"
        if isinstance(field.default, bool):
            add(option, action=argparse.BooleanOptionalAction, default=field.default)
        else:
            kind = float if field.default is None else type(field.default)
            add(option, type=kind, default=field.default)
    return made


def _options(stage: str, argv: Sequence[str]) -> tuple[argparse.Namespace, ReaderTraining]:
    from terralogue.vlm.vlm_training import ReaderTraining

    args = _parser(stage).parse_args(argv)
    config = ReaderTraining(**{f.name: getattr(args, f.name) for f in fields(ReaderTraining)})
    for name in ("steps", "batch", "rank", "every"):
        if getattr(config, name) < 1:
            raise InputError(f"--{name} {getattr(config, name)} is too little; give 1 or more")
    if stage == "lora" and args.fold:
        as_fold(args.fold)
    if config.minutes is not None and config.minutes <= 0:
        raise InputError(f"--minutes {config.minutes} is too little; give more than 0")
    return args, config


def chosen_packs(args: argparse.Namespace, stage: str) -> tuple[list[Pack], list[Pack]]:
    """Packs to train on and packs to judge by."""
    from terralogue.vlm.vlm_sources import BENCHMARKS, SOURCES, held_out, prepare

    names = list(args.sources or SOURCES)
    train = prepare(args.data, args.packs, names, "train")
    judged = [name for name in names if not name.startswith("sim_pairs")]
    val = prepare(args.data, args.packs, judged, "val")
    if args.with_validation:
        train += prepare(args.data, args.packs, names, "val")
    if stage == "lora" and args.fold:
        fold, count = as_fold(args.fold)
        asked = [name for name in names if name in BENCHMARKS]
        everything = [p for part in PARTS for p in prepare(args.data, args.packs, asked, part)]
        keys = {
            name: folds([k for p in everything if p.name == name for k in p.keys], count)
            for name in asked
        }
        train = [pack for pack in train if pack.name not in asked]
        train += [held_out(p, lambda k, n=p.name: keys[n][k] != fold) for p in everything]  # type: ignore[misc]
        val = [held_out(p, lambda k, n=p.name: keys[n][k] == fold) for p in everything]  # type: ignore[misc]
    return train, [pack for pack in val if pack.examples]


def _towers(args: argparse.Namespace) -> EmbeddedCLIP:
    from terralogue.vlm.embedded_clip import load

    return load(str(args.tower or ""), args.device)


def _train(
    model: Any, config: ReaderTraining, args: argparse.Namespace, train: Sequence[Pack],
    val: Sequence[Pack], weights: dict[str, float], tasks: Sequence[Task], clip: EmbeddedCLIP,
) -> None:  # fmt: skip
    from terralogue.vlm.vlm_mixture import Mixture
    from terralogue.vlm.vlm_store import Store, Variant
    from terralogue.vlm.vlm_training import ReaderTrainer

    variants: list[Variant] = ["clean", "turned"]
    if config.robust:
        variants.append("corrupted")
    mixture = Mixture(train, weights, tasks, config.seed)
    store = Store.of(
        clip.tower, train, variants, seed=config.seed, device=args.device, whole=args.whole_only
    )
    store.hear(clip.text, mixture.questions)
    judged = Store.of(clip.tower, val, device=args.device)
    judged.hear(clip.text, [each.question for pack in val for each in pack.examples])
    ReaderTrainer(model, config, store, mixture, val, judged, args.out).run()


def main(argv: Sequence[str]) -> int:
    """`terralogue train base`; 0 when the schedule is done.

    Raises:
        InputError: an option, or a data set that is missing.
    """
    args, config = _options("base", argv)
    from terralogue.vlm.vlm_checkpoint import write
    from terralogue.vlm.vlm_config import TASKS, ReaderConfig
    from terralogue.vlm.vlm_model import ReaderModel
    from terralogue.vlm.vlm_sources import SOURCES
    from terralogue.vlm.vlm_tokens import token_width
    from terralogue.vlm.vlm_words import Words

    train, val = chosen_packs(args, "base")
    clip = _towers(args)
    words = Words.of({each.answer for pack in train for each in pack.examples})
    model = ReaderModel.begin(
        ReaderConfig(
            vocabulary=list(words.pieces),
            image_width=token_width(clip.tower),
            tower=clip.fingerprint,
        )
    )
    weights = {name: source.base for name, source in SOURCES.items()}
    _train(model, config, args, train, val, weights, TASKS, clip)
    write(model, args.out)
    return 0


def lora(argv: Sequence[str]) -> int:
    """`terralogue train lora --vlm embedded`; 0 when the schedule is done.

    Raises:
        InputError: an option, a base that cannot be read, or a data set that is missing.
    """
    args, config = _options("lora", argv)
    from terralogue.vlm.vlm_checkpoint import FOLDER, read_base, write
    from terralogue.vlm.vlm_sources import SOURCES
    from terralogue.vlm.vlm_training import with_adapter

    train, val = chosen_packs(args, "lora")
    clip = _towers(args)
    base = read_base(args.init or FOLDER, clip.fingerprint)
    model = with_adapter(base, args.adapter, config.rank)
    weights = {name: getattr(source, args.adapter) for name, source in SOURCES.items()}
    _train(model, config, args, train, val, weights, [args.adapter], clip)
    write(model, args.out)
    return 0
