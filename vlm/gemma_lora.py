"""`terralogue train lora --vlm gemma`: a projector and LoRA adapters for Gemma 3 270M."""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

from terralogue.datasets.errors import InputError
from terralogue.vlm.align_command import Parser

if TYPE_CHECKING:
    from terralogue.vlm.gemma_training import Answered, GemmaTraining
    from terralogue.vlm.vlm_calibration import Calibration

_LONGEST: Final = 48


def _parser() -> argparse.ArgumentParser:
    from terralogue.vlm.gemma_base import PACKAGE
    from terralogue.vlm.gemma_training import GemmaTraining

    made = Parser(prog="terralogue train lora --vlm gemma",
                  description="Train a projector and LoRA adapters for Gemma 3 270M.")  # fmt: skip
    add = made.add_argument
    add("--vlm", default="gemma", help="this model")
    add("--data", type=Path, default=os.environ.get("TERRALOGUE_DATA") or None, metavar="DIR",
        help="folder of the data sets; TERRALOGUE_DATA otherwise; not needed for packs that are "
        "there")  # fmt: skip
    add("--packs", type=Path, default=Path("packs"), metavar="DIR",
        help="prepared examples are kept here between runs")  # fmt: skip
    add("--out", type=Path, required=True, metavar="DIR", help="adapter, log and answers")
    add("--base", default=PACKAGE, metavar="DIR", help="folder with a Gemma 3 text model; the "
        f"package {PACKAGE} otherwise")  # fmt: skip
    add("--tower", type=Path, metavar="DIR", help="checkpoint of `train align`; the embedded one "
        "otherwise")  # fmt: skip
    add("--sources", nargs="+", metavar="NAME", help="what to train on; all otherwise")
    add("--device", default="cpu", help="of torch")
    add("--with-validation", action="store_true", help="train on the validation parts too")
    add("--fold", metavar="K/N", help="leave out fold K of N of the benchmarks' pictures, and "
        "train on all others, whatever their part")  # fmt: skip
    for field in fields(GemmaTraining):
        option = f"--{field.name.replace('_', '-')}"
        if isinstance(field.default, bool):
            add(option, action=argparse.BooleanOptionalAction, default=field.default)
        else:
            kind = float if field.default is None else type(field.default)
            add(option, type=kind, default=field.default)
    return made


def _config(args: argparse.Namespace) -> GemmaTraining:
    from terralogue.vlm.gemma_training import GemmaTraining

    config = GemmaTraining(**{f.name: getattr(args, f.name) for f in fields(GemmaTraining)})
    for name, least in (("steps", 1), ("batch", 2), ("rank", 1), ("every", 1)):
        if getattr(config, name) < least:
            raise InputError(
                f"--{name} {getattr(config, name)} is too little; give {least} or more"
            )
    if config.minutes is not None and config.minutes <= 0:
        raise InputError(f"--minutes {config.minutes} is too little; give more than 0")
    return config


def main(argv: Sequence[str]) -> int:
    """Train, answer validation parts and calibrate by the real questions; 0 when it is done.

    Raises:
        InputError: an option, a base that cannot be read, or a data set that is missing.
    """
    args = _parser().parse_args(argv)
    config = _config(args)
    import torch

    from terralogue.vlm.embedded_clip import load
    from terralogue.vlm.gemma_base import load_base
    from terralogue.vlm.gemma_model import GemmaReader
    from terralogue.vlm.gemma_text import Pieces
    from terralogue.vlm.gemma_training import JUDGED, GemmaTrainer, adapted, answers, questions
    from terralogue.vlm.gemma_vlm import Settings, save
    from terralogue.vlm.vlm_command import chosen_packs
    from terralogue.vlm.vlm_config import TASKS
    from terralogue.vlm.vlm_mixture import Mixture
    from terralogue.vlm.vlm_sources import BENCHMARKS, SOURCES
    from terralogue.vlm.vlm_store import Store, Variant
    from terralogue.vlm.vlm_tokens import token_width

    train, val = chosen_packs(args, "lora")
    base = load_base(args.base)
    clip = load(str(args.tower or ""), args.device)
    variants: list[Variant] = ["clean", "turned", *(["corrupted"] if config.robust else [])]  # type: ignore[list-item]
    weights = {name: source.qa + source.caption for name, source in SOURCES.items()}
    mixture = Mixture(train, weights, TASKS, config.seed)
    store = Store.of(clip.tower, train, variants, seed=config.seed, device=args.device)
    judged = Store.of(clip.tower, val, device=args.device)

    pieces = Pieces(base.tokenizer)
    said = pieces.said(each.answer for each in mixture.examples)
    torch.manual_seed(config.seed)
    width = 3 * token_width(clip.tower)
    reader = GemmaReader(adapted(base.language, config.rank), said, width, pieces.end)
    GemmaTrainer(reader, pieces, config, store, mixture, val, judged, args.out).run()

    found = [
        answer
        for number, pack in enumerate(val)
        for answer in answers(
            reader,
            pieces,
            judged,
            number,
            pack,
            questions(pack, None if pack.name in BENCHMARKS else JUDGED),
        )
    ]
    _write(args.out / "answers.jsonl", found)
    settings = Settings(base.name, clip.fingerprint, width, tuple(said), _LONGEST)
    save(args.out, reader, settings, _calibrated(found))
    return 0


def _write(path: Path, found: Sequence[Answered]) -> None:
    """Answers of the validation parts, one a line."""
    lines = [
        json.dumps({"source": each.pack, "picture": each.picture, "kind": each.example.kind,
                    "question": each.example.question, "gold": each.example.answer,
                    "answer": each.text, "log": round(each.log, 4), "right": each.right})
        for each in found
    ]  # fmt: skip
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _calibrated(found: Sequence[Answered]) -> Calibration | None:
    """Fitted to the answers to real questions; None, and said so, where there are too few."""
    from terralogue.vlm.hf_calibration import fit_calibration
    from terralogue.vlm.vlm_sources import BENCHMARKS

    real = [each for each in found if each.pack in BENCHMARKS]
    try:
        fitted = fit_calibration(
            [math.exp(each.log) for each in real], [each.right for each in real],
            [each.picture for each in real],
        )  # fmt: skip
    except InputError as error:
        print(f"without confidence: {error}")
        return None
    print(f"calibrated on {fitted.answers} answers, {fitted.accuracy:.3f} of them right, "
          f"calibration error {fitted.ece:.3f}")  # fmt: skip
    return fitted.calibration
