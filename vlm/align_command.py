"""`terralogue train align`: the options of alignment."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from terralogue.datasets.errors import InputError
from terralogue.vlm.align_config import AlignConfig

if TYPE_CHECKING:
    from terralogue.vlm.align_data import Source


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are `InputError`s."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Raise what argparse found wrong."""
        raise InputError(f"{message[:1].upper()}{message[1:]}; see {self.prog} --help.")


def parser() -> argparse.ArgumentParser:
    """The options; those of `AlignConfig` mirror its fields."""
    made = Parser(prog="terralogue train align", description="Align images with texts.")
    add = made.add_argument
    add("--data", type=Path, default=os.environ.get("TERRALOGUE_DATA"), metavar="DIR",
        help="folder of the data sets; TERRALOGUE_DATA otherwise")  # fmt: skip
    add("--out", type=Path, required=True, metavar="DIR", help="state, log and weights; a run "
        "that was cut short goes on from here")  # fmt: skip
    add("--sources", nargs="+", default=["pictures"], metavar="NAME", help="what to train on: "
        "pictures, scenes, or single sources")  # fmt: skip
    add("--cache", type=Path, metavar="DIR", help="keep decoded arrays and "
        "the vectors of fixed texts here between runs")  # fmt: skip
    add("--init", type=Path, nargs="+", default=[], metavar="DIR", help="begin with the weights of "
        "this checkpoint, or the mean of several of one shape")  # fmt: skip
    add("--weights", nargs="+", default=[], metavar="NAME=W", help="how often sources are drawn, "
        "where it should not be as in the table")  # fmt: skip
    add("--with-validation", action="store_true", help="train on the validation parts too, once "
        "everything has been chosen; scores are then of the test parts")  # fmt: skip
    for field in fields(AlignConfig):
        option = f"--{field.name.replace('_', '-')}"
        default = field.default
        if isinstance(default, bool):
            add(option, action=argparse.BooleanOptionalAction, default=default)
        elif isinstance(default, tuple):
            add(option, type=int, nargs="+", default=default, metavar="N")
        else:
            kind = float if default is None else type(default)
            add(option, type=kind, default=default)
    return made


def _weighted(sources: Sequence[Source], told: Sequence[str]) -> list[Source]:
    """The sources with the weights told as NAME=W.

    Raises:
        InputError: no such source among them, or no positive number.
    """
    weights = {source.name: source.weight for source in sources}
    for text in told:
        name, _, number = text.partition("=")
        try:
            value = float(number)
        except ValueError:
            value = 0.0
        if name not in weights or not 0 < value < float("inf"):
            raise InputError(
                f"--weights {text} cannot be used; give NAME=W with one of {', '.join(weights)} "
                "and a number above 0"
            )
        weights[name] = value
    return [replace(source, weight=weights[source.name]) for source in sources]


def _shared(train: Source, more: Source) -> tuple[Source, Source]:
    """Both sources with the training one's weight, divided by their numbers of images."""
    total = len(train) + len(more)
    return (
        replace(train, weight=train.weight * len(train) / total),
        replace(more, weight=train.weight * len(more) / total),
    )


def main(argv: Sequence[str]) -> int:
    """Train; 0 when the schedule is done.

    Raises:
        InputError: an option, or a data set that is missing.
    """
    args = vars(parser().parse_args(argv))
    names = [field.name for field in fields(AlignConfig)]
    chosen = {name: args[name] for name in names}
    config = AlignConfig(**{**chosen, "sizes": tuple(chosen["sizes"])})
    for name in ("steps", "every", "batch", "rank"):
        if getattr(config, name) < 1:
            raise InputError(f"--{name} {getattr(config, name)} is too little; give 1 or more")
    if config.minutes is not None and config.minutes <= 0:
        raise InputError(f"--minutes {config.minutes} is too little; give more than 0")
    if (config.fixed_text or config.only_stem) and not args["init"]:
        raise InputError("--fixed-text and --only-stem go on from a checkpoint; give --init")
    if args["data"] is None or not Path(args["data"]).is_dir():
        raise InputError(
            "the folder of the data sets is missing; give --data or set TERRALOGUE_DATA"
        )
    from terralogue.vlm.align import Trainer
    from terralogue.vlm.align_sources import load_sources

    data, cache = Path(args["data"]), args["cache"]
    sources = _weighted(load_sources(args["sources"], data, "train", cache=cache), args["weights"])
    measured = load_sources(args["sources"], data, "val", cache=cache)
    if args["with_validation"]:
        # Together they are drawn as often as the training part was, image by image.
        sources = [
            share for pair in zip(sources, measured, strict=True) for share in _shared(*pair)
        ]
        measured = load_sources(args["sources"], data, "test", cache=cache)
    Trainer(config, sources, measured, args["out"], init=args["init"], cache=cache).run()
    return 0
