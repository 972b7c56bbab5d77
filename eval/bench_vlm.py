"""Seconds for an answer, reading its file included, and what asking together saves.

    python -m terralogue.eval.bench_vlm --out out/bench_vlm [--data rsvqa_hr] [--model SPEC]

The same questions are asked one by one, each opening its file, and together in pieces, as the task
`vqa` asks; both in alternating rounds of one process after one that is not counted, so that their
ratio does not depend on the machine. `overhead` is what the run on inspect_ai adds to the
second. Without --data, pictures of smooth noise are written and questions made up: neither is what
is measured. The figures go to `bench_vlm.json` too.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from terralogue.datasets.registry import read_vqa
from terralogue.eval.answerers import PICTURES, QUESTIONS, load_answerer
from terralogue.eval.asks import Ask, asks_of, chunks
from terralogue.eval.inputs import positive
from terralogue.eval.inspect_run import read_answers
from terralogue.eval.journal import Journal

_SIDE: Final = 512
_ROUNDS: Final = 3
_THINGS: Final = (
    "a road", "a forest", "water", "a building", "a field", "an airplane", "a ship", "a bridge",
)  # fmt: skip


def made_up(folder: Path, questions: int, per_picture: int) -> list[Ask]:
    """Questions on JPEG pictures of smooth noise, 512 pixels a side, that are written first."""
    random = np.random.default_rng(0)
    asks = []
    for number in range(questions):
        path = folder / f"{number // per_picture}.jpg"
        if not path.exists():
            coarse = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            size = (_SIDE, _SIDE)
            Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path, quality=90)
        thing = _THINGS[number % len(_THINGS)]
        asks.append(Ask(str(number), path.stem, (path,), f"Is there {thing} here?", ("no",)))
    return asks


def measure(asks: Sequence[Ask], spec: str, device: str = "cpu") -> dict[str, float | int | str]:
    """Ask in both ways.

    Args:
        asks: questions, those on one picture as neighbours.
        spec: of the model.
        device: of torch.
    """
    answerer = load_answerer(spec, device=device)
    pieces = [[asks[i] for i in piece] for piece in chunks(asks, QUESTIONS, PICTURES)]

    def run() -> None:
        read_answers(
            answerer, asks, lambda i, reading: 0.0, task="bench", journal=Journal(None, {})
        )

    answerer.read(pieces[0], None)
    single: list[float] = []
    together: list[float] = []
    on_inspect: list[float] = []
    for _ in range(_ROUNDS):
        single += [_seconds(lambda ask=ask: answerer.read([ask], None)) for ask in asks]  # type: ignore[misc]
        together.append(sum(_seconds(lambda p=piece: answerer.read(p, None)) for piece in pieces))  # type: ignore[misc]
        on_inspect.append(_seconds(run))
    batched = float(np.median(together)) / len(asks)
    return {
        "model": answerer.title,
        "questions": len(asks),
        "pictures": len({ask.place for ask in asks}),
        "seconds_one_by_one": float(np.median(single)),
        "seconds_one_by_one_p95": float(np.percentile(single, 95)),
        "seconds_together": batched,
        "times_faster": float(np.mean(single)) / batched,
        "overhead": float(np.median(on_inspect)) / len(asks) / batched - 1,
    }


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write `bench_vlm.json`.

    Raises:
        EOError: data or model cannot be read.
    """
    parser = argparse.ArgumentParser(description="Seconds for an answer, alone and together.")
    parser.add_argument("--data", type=Path, help="questions (default: made up)")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("out/bench_vlm"))
    parser.add_argument("--questions", type=positive, default=64)
    parser.add_argument("--per-picture", type=positive, default=8, help="of those made up")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="terralogue-bench-") as folder:
        if options.data is None:
            asks = made_up(Path(folder), options.questions, options.per_picture)
        else:
            asks = asks_of(read_vqa(options.data).items[: options.questions])
        figures = measure(asks, options.model, options.device)
    options.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(figures, indent=1)
    (options.out / "bench_vlm.json").write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
