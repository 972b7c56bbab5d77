"""Speed and memory of measuring, as ratios taken in one run.

    python -m terralogue.eval.bench --out out/bench [--size 10980]

Writes a synthetic scene of 4 bands, masks its water in a process of its own, and compares time and
peak memory with plainly reading the same two bands tile by tile, and with the size of the scene.
The lines go to `bench.json` too.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from rasterio.windows import Window

BANDS = 4


@dataclass(frozen=True)
class Cost:
    """What one piece of work took: wall-clock seconds, and peak resident memory in MiB."""

    seconds: float
    peak_mib: float


def _cost(work: Callable[[], object]) -> Cost:
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    # Linux counts kibibytes, macOS bytes.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return Cost(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)


def write_scene(scene_path: Path, size: int) -> Cost:
    """Write the scene that the others work on."""
    from terralogue.datasets.synthetic import make_large_scene

    return _cost(lambda: make_large_scene(scene_path, size=size, bands=BANDS))


def read_only(scene_path: Path) -> Cost:
    """Read green and near infrared once, in tiles of 1024 pixels: the floor for any index."""
    from terralogue.datasets.scene import open_scene

    def work() -> None:
        scene = open_scene(scene_path)
        for row in range(0, scene.height, 1024):
            for column in range(0, scene.width, 1024):
                height, width = min(1024, scene.height - row), min(1024, scene.width - column)
                scene.read(["G", "N"], window=Window(column, row, width, height))

    return _cost(work)


def water_mask(scene_path: Path, workspace: Path) -> Cost:
    """Mask the water, with polygons, preview and areas; prints its progress."""
    from terralogue.tools.run import Run
    from terralogue.tools.segment import segment
    from terralogue.tools.store import Store

    def report(done: float, total: float | None, message: str) -> None:
        print(f"\r{message} {done:.0f}/{total or 0:.0f}   ", end="", file=sys.stderr)

    def work() -> None:
        store = Store(workspace)
        scene_id = store.add_scene([scene_path])
        with Run(store, (scene_id,), report) as run:
            result = segment(store.open(scene_id), "water", run=run)
        for measurement in result.measurements:
            print(f"{measurement.name}: {measurement.value:.4g} {measurement.unit}")

    return _cost(work)


def _alone(work: Callable[..., Cost], *arguments: Path | int) -> Cost:
    """Run in a fresh process, so that its peak memory is its own.

    A forked process starts with its parent's peak on Linux, so the parent does no work itself.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(work, *arguments).result()


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write `bench.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    parser.add_argument("--size", type=int, default=10980, help="rows and columns of the scene")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    scene = options.out / f"large_{options.size}.tif"
    if not scene.exists():
        _alone(write_scene, scene, options.size)
    floor = _alone(read_only, scene)
    mask = _alone(water_mask, scene, options.out / "workspace")
    raw_mib = options.size**2 * BANDS * 2 / 2**20
    report = {
        "scene": f"{options.size} x {options.size} x {BANDS} bands, {raw_mib:.0f} MiB raw",
        "read_only": asdict(floor),
        "water_mask": asdict(mask),
        "time_over_reading": mask.seconds / floor.seconds,
        "peak_over_raw_size": mask.peak_mib / raw_mib,
        "peak_gib": mask.peak_mib / 1024,
    }
    text = json.dumps(report, indent=2)
    (options.out / "bench.json").write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
