"""How fast the embedded image tower is, against CLIP's ResNet-50 on the same machine.

    python -m terralogue.eval.bench_tower --out out/bench [--batch 32] [--rounds 7]

The ResNet-50 is open_clip's image tower with random weights: speed does not depend on them. Rounds
alternate between the towers, so that whatever else the machine does meets all of them; the ratio of
a round compares neighbours in time, and the median over rounds is reported. Both run in float32,
channels last, on ready tensors: decoding and resizing are not counted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from terralogue.datasets.errors import EOError, InputError
from terralogue.datasets.pictures import RGB_BANDS
from terralogue.datasets.tiles import TILE
from terralogue.eval.inputs import positive

RN50_SIZE: Final = 224

Run = Callable[[], object]


def contenders(model: str, batch: int) -> dict[str, Run]:
    """One batch of each tower at each size, ready to run.

    Args:
        model: specification of an embedded model.
        batch: images.

    Raises:
        InputError: the model is another than an embedded one, or cannot be loaded.
    """
    import open_clip
    import torch

    from terralogue.vlm.clip import load_geoclip
    from terralogue.vlm.embedded_clip import EmbeddedCLIP

    clip = load_geoclip(model)
    if not isinstance(clip, EmbeddedCLIP):
        raise InputError(f"{model} has no embedded tower; give embedded or embedded:PATH.")
    tower = clip.tower.eval()
    resnet = open_clip.create_model("RN50", pretrained=None, load_weights=False).visual.eval()
    resnet = resnet.to(memory_format=torch.channels_last)
    random = torch.Generator().manual_seed(0)

    def images(size: int) -> torch.Tensor:
        drawn = torch.rand((batch, 3, size, size), generator=random) * 2 - 1
        return drawn.contiguous(memory_format=torch.channels_last)

    def embedded(size: int) -> Run:
        pixels = images(size)
        return lambda: tower(pixels, RGB_BANDS)

    def rn50() -> Run:
        pixels = images(RN50_SIZE)
        return lambda: resnet(pixels)

    return {
        f"embedded_{TILE}": embedded(TILE),
        f"embedded_{RN50_SIZE}": embedded(RN50_SIZE),
        f"rn50_{RN50_SIZE}": rn50(),
    }


def measure(runs: dict[str, Run], batch: int, rounds: int) -> dict[str, list[float]]:
    """Images per second of each tower in each round, after one round that is not counted."""
    import torch

    rates: dict[str, list[float]] = {name: [] for name in runs}
    with torch.inference_mode():
        for number in range(rounds + 1):
            for name, run in runs.items():
                began = time.perf_counter()
                run()
                if number:
                    rates[name].append(batch / (time.perf_counter() - began))
    return rates


def compare(rates: dict[str, list[float]]) -> dict[str, Any]:
    """Medians of the rates, and how many times as fast the embedded tower is."""
    resnet = rates[f"rn50_{RN50_SIZE}"]

    def ratio(name: str) -> dict[str, float]:
        each = [own / other for own, other in zip(rates[name], resnet, strict=True)]
        return {"median": statistics.median(each), "lowest": min(each), "highest": max(each)}

    return {
        "images_per_second": {name: statistics.median(values) for name, values in rates.items()},
        "times_as_fast_own_sizes": ratio(f"embedded_{TILE}"),
        "times_as_fast_equal_size": ratio(f"embedded_{RN50_SIZE}"),
    }


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write `bench_tower.json`; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    parser.add_argument("--model", default="embedded", help="embedded (default) or embedded:PATH")
    parser.add_argument("--batch", type=positive, default=32, help="images per call (default 32)")
    parser.add_argument("--rounds", type=positive, default=7, help="rounds counted (default 7)")
    options = parser.parse_args(argv)
    try:
        runs = contenders(options.model, options.batch)
    except EOError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    import torch

    report = {
        **compare(measure(runs, options.batch, options.rounds)),
        "batch": options.batch,
        "rounds": options.rounds,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    text = json.dumps(report, indent=2)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "bench_tower.json").write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
