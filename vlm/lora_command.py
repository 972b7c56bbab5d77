"""`terralogue train lora`: adapters for models that answer, our own and full-size ones.

    terralogue train lora --vlm hf:Qwen/Qwen2.5-VL-3B-Instruct --data rsvqa_lr --out out/lr
    terralogue ask scene.tif -q "Is there a river?" --vlm hf:Qwen/…+lora:out/lr

Full-size models are trained as `hf_lora.py` says.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

from terralogue.datasets.errors import InputError
from terralogue.vlm.align_command import Parser

# ★ Providers whose training has options of its own: module and function.
OWN: Final = {
    "embedded": ("terralogue.vlm.vlm_command", "lora"),
    "gemma": ("terralogue.vlm.gemma_lora", "main"),
}
_POSITIVE = ("steps", "minutes", "rank", "lr", "batch", "accumulate", "every", "limit")


def parser() -> argparse.ArgumentParser:
    """The options for full-size models."""
    made = Parser(
        prog="terralogue train lora",
        description="Train an adapter (LoRA) for a full-size model; --vlm embedded or gemma with "
        "--help tells the options of these.",
    )
    add = made.add_argument
    add("--vlm", required=True, metavar="SPEC", help="hf:<repo or folder>[+4bit]; its weights stay "
        "as they are")  # fmt: skip
    add("--data", action="append", required=True, metavar="NAME_OR_PATH", help="a benchmark: its "
        "file or folder, or its name below TERRALOGUE_DATA; repeatable")  # fmt: skip
    add("--split", default="train", help="of every --data; all for everything")
    add("--out", type=Path, required=True, metavar="DIR", help="adapter and state; a run that was "
        "cut short goes on from here")  # fmt: skip
    add("--adapter", default="qa", metavar="NAME", help="what it is for: qa (questions and "
        "answers) or caption")  # fmt: skip
    add("--steps", type=int, default=1000, help="of the optimiser")
    add("--minutes", type=float, help="stop after so many, whatever the steps")
    add("--seed", type=int, default=0)
    add("--rank", type=int, default=16, help="of the adapter's matrices")
    add("--lr", type=float, default=1e-4, help="learning rate at its highest")
    add("--batch", type=int, default=2, help="samples at once on each device")
    add("--accumulate", type=int, default=8, help="batches in a step")
    add("--every", type=int, default=100, help="steps between saved states")
    add("--limit", type=int, metavar="N", help="samples of every --data, spread evenly")
    add("--calibrate", metavar="SPLIT", help="when trained, answer up to 1000 questions of this "
        "split of every --data, and write calibration.json")  # fmt: skip
    add("--device", default="cpu", help="of torch; auto lets accelerate choose")
    add("--save-memory", action="store_true", help="compute activations twice instead of keeping "
        "them (gradient checkpointing)")  # fmt: skip
    return made


def data_path(name: str) -> Path:
    """A benchmark's file or folder: the path itself, or a name below TERRALOGUE_DATA.

    Raises:
        InputError: neither exists.
    """
    path = Path(name)
    if path.exists():
        return path
    root = os.environ.get("TERRALOGUE_DATA", "")
    below = Path(root) / name
    if root and below.exists():
        return below
    where = f", nor below {root}" if root else "; TERRALOGUE_DATA is not set"
    raise InputError(
        f"--data {name} does not exist{where}; give a file, a folder, or a name below "
        "TERRALOGUE_DATA"
    )


def _provider(argv: Sequence[str]) -> str:
    """The provider of the model that the options name."""
    told = argparse.ArgumentParser(add_help=False)
    told.add_argument("--vlm", default="embedded")
    known, _ = told.parse_known_args(argv)
    return str(known.vlm).partition(":")[0]


def main(argv: Sequence[str]) -> int:
    """Train; 0 when the steps are done.

    Raises:
        InputError: an option, or data that is missing.
    """
    stage = OWN.get(_provider(argv))
    if stage is not None:
        code: int = getattr(import_module(stage[0]), stage[1])(argv)
        return code
    args = parser().parse_args(argv)
    for name in _POSITIVE:
        value = getattr(args, name)
        if value is not None and not value > 0:
            raise InputError(f"--{name} {value} is too little; give more than 0")
    args.data = [data_path(name) for name in args.data]
    provider, _, base = args.vlm.partition(":")
    if provider != "hf" or not base:
        raise InputError(
            f"--vlm {args.vlm} cannot be trained; give embedded, gemma or "
            "hf:<repo or folder>[+4bit]"
        )
    try:
        from terralogue.vlm.hf_lora import LoraSettings, Trainer
    except ImportError as error:
        raise InputError(
            f"training needs {error.name}; run: pip install 'terralogue[train]'"
        ) from error

    settings = LoraSettings(
        vlm=base, data=tuple(map(str, args.data)), split=args.split, adapter=args.adapter,
        steps=args.steps, seed=args.seed, rank=args.rank, lr=args.lr, batch=args.batch,
        accumulate=args.accumulate, limit=args.limit, save_memory=args.save_memory,
    )  # fmt: skip
    trainer = Trainer(settings, args.out, device=args.device, every=args.every)
    # What they lack is known before hours of training.
    questions = trainer.questions(args.calibrate) if args.calibrate else []
    trainer.run(minutes=args.minutes)
    if questions:
        trainer.calibrate(questions)
    return 0
