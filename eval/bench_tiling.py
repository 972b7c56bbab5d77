"""Speed and memory of tiling on a whole Sentinel-2 tile, each as a ratio taken in one run.

    python -m terralogue.eval.bench_tiling --out out/tiling                  # rates
    python -m terralogue.eval.bench_tiling --out out/tiling --whole water    # and the whole tile

Writes a synthetic scene of 13 bands once. A corner of it goes through one network in three ways,
in turns: the bare network on tiles that lie in memory; `blend_batches`, which reads, blends and
writes; and `tiled_inference` of TerraTorch, where that is installed, with the same weights, overlap
and batch, between reading the corner as a whole and writing it. Then each runs in a process of its
own for its peak memory, on the corner and on half of it. `--whole TARGET` runs `segment` on the
whole tile in a process of its own. The lines go to `tiling.json` too.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window

if TYPE_CHECKING:
    import torch

SIZE: Final = 10_980
TILE: Final = 256
OVERLAP: Final = 0.2
BATCH: Final = 4
STEP: Final = int(TILE - TILE * OVERLAP)
CLASSES: Final = 2
_SCENERY: Final = 549  # pixels that are simulated; a twentieth of a tile
Floats = NDArray[np.float32]


def write_scene(path: Path, size: int) -> None:
    """Write a scene of 13 bands with little memory: one landscape, mirrored again and again."""
    from terralogue.datasets.synthetic import simulate_scene

    scene = simulate_scene("sentinel2_l1c", layout="river", size=min(_SCENERY, size), clouds=0.0)
    numbers = np.clip(np.rint(scene.data * 10_000), 1, 65_535).astype(np.uint16)
    turn = np.arange(size) % (2 * numbers.shape[1])
    mirror = np.minimum(turn, 2 * numbers.shape[1] - 1 - turn)
    profile = {
        "driver": "GTiff", "width": size, "height": size, "count": len(numbers), "nodata": 0,
        "dtype": "uint16", "crs": "EPSG:32632", "interleave": "band", "tiled": True,
        "transform": Affine(10, 0, 600_000, 0, -10, 5_000_000), "blockxsize": 512,
        "blockysize": 512, "compress": "deflate", "zlevel": 1,
    }  # fmt: skip
    with rasterio.Env(GDAL_CACHEMAX=64), rasterio.open(path, "w", **profile) as file:
        file.descriptions = tuple(band.name for band in scene.bands)
        for top in range(0, size, 512):
            rows = mirror[top : top + 512]
            file.write(numbers[:, rows][:, :, mirror], window=Window(0, top, size, len(rows)))


def network() -> torch.nn.Module:
    """A U-Net over MobileNet-V2 with 13 bands; what its weights are does not matter for speed."""
    import segmentation_models_pytorch as smp  # type: ignore[import-untyped, unused-ignore]
    import torch

    torch.manual_seed(0)
    net: torch.nn.Module = smp.Unet(
        "mobilenet_v2", encoder_weights=None, in_channels=13, classes=CLASSES
    )
    return net.eval().to(memory_format=torch.channels_last)


def _forward(net: torch.nn.Module, images: torch.Tensor) -> Floats:
    import torch

    with torch.inference_mode():
        scores = net(images.contiguous(memory_format=torch.channels_last)).softmax(1)
    found: Floats = scores.numpy()
    return found


def bare(path: Path, extent: int, net: torch.nn.Module, out: Path) -> int:
    """Run the network on as many tiles as `ours`, which lie in memory; how many they were."""
    import torch

    with rasterio.open(path) as file:
        tile = file.read(window=Window(0, 0, TILE, TILE)).astype(np.float32) / 10_000
    count = (1 + math.ceil((extent - TILE) / STEP)) ** 2
    batches = [torch.from_numpy(np.stack([tile] * BATCH)) for _ in range(4)]
    for number in range(-(-count // BATCH)):
        size = min(BATCH, count - number * BATCH)
        _forward(net, batches[number % 4][:size])
    return count


def ours(path: Path, extent: int, net: torch.nn.Module, out: Path) -> int:
    """Go from the file to the written mask; how many tiles it took."""
    import torch

    from terralogue.datasets.scene import open_scene
    from terralogue.tools.dense_network import mirrored
    from terralogue.tools.export import RasterWriter
    from terralogue.tools.grid import crop
    from terralogue.tools.run import default_executor
    from terralogue.tools.tiling import blend_batches

    tiles = 0
    with open_scene(path) as scene:
        frame = crop(scene, Window(0, 0, extent, extent))

        def read(window: Window) -> Floats:
            rows = mirrored(int(window.row_off), TILE, extent)
            columns = mirrored(int(window.col_off), TILE, extent)
            top, left = int(rows.min()), int(columns.min())
            inside = Window(left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top)
            data = scene.read(window=inside).data
            return data[:, (rows - top)[:, None], (columns - left)[None, :]]

        def forward(images: Sequence[Floats]) -> Floats:
            nonlocal tiles
            tiles += len(images)
            return _forward(net, torch.from_numpy(np.stack(images)))

        with RasterWriter(out, frame, dtype="uint8", nodata=255) as writer:
            for strip, scores in blend_batches(
                read, forward, extent, extent, default_executor(), size=TILE, overlap=OVERLAP,
                batch=BATCH, in_flight=3,
            ):  # fmt: skip
                writer.write(scores.argmax(axis=0).astype(np.uint8), strip)
    return tiles


def terratorch(path: Path, extent: int, net: torch.nn.Module, out: Path) -> int:
    """As `ours` by TerraTorch: the corner is read as a whole, as its own tasks hand it over."""
    import torch
    from terratorch.tasks.tiled_inference import (  # type: ignore[import-not-found, unused-ignore]
        tiled_inference,
    )

    from terralogue.datasets.scene import open_scene
    from terralogue.tools.export import RasterWriter
    from terralogue.tools.grid import crop

    tiles = 0

    def forward(images: torch.Tensor) -> torch.Tensor:
        nonlocal tiles
        tiles += len(images)
        return torch.from_numpy(_forward(net, images))

    with open_scene(path) as scene:
        window = Window(0, 0, extent, extent)
        image = torch.from_numpy(scene.read(window=window).data)[None]
        scores = tiled_inference(
            forward, image, crop=TILE, stride=STEP, delta=0, batch_size=BATCH, padding=False
        )
        with RasterWriter(out, crop(scene, window), dtype="uint8", nodata=255) as writer:
            writer.write(scores[0].argmax(0).to(torch.uint8).numpy(), window)
    return tiles


WAYS: dict[str, Callable[[Path, int, Any, Path], int]] = {
    "bare": bare,
    "ours": ours,
    "terratorch": terratorch,
}


def rates(path: Path, extent: int, rounds: int, ways: Sequence[str], out: Path) -> dict[str, Any]:
    """Time of each way in each round, taken in turns, and medians of their ratios.

    Beside wall-clock seconds those that all threads spent on the processor, which hold on a
    machine that has other work to do.
    """
    net = network()
    clocks = {"wall": time.perf_counter, "processor": time.process_time}
    seconds: dict[str, dict[str, list[float]]] = {c: {way: [] for way in ways} for c in clocks}
    tiles: dict[str, int] = {}
    for way in ways:
        WAYS[way](path, 2 * TILE, net, out / "warm.tif")
    for _ in range(rounds):
        for way in ways:
            began = {name: clock() for name, clock in clocks.items()}
            tiles[way] = WAYS[way](path, extent, net, out / f"{way}.tif")
            for name, clock in clocks.items():
                seconds[name][way].append(clock() - began[name])
    found: dict[str, Any] = {"extent": extent, "tiles": tiles, "seconds": seconds}
    for name in clocks:
        each = {way: np.array(seconds[name][way]) for way in ways}
        found[f"rate_over_bare_{name}"] = float(
            np.median(each["bare"] / tiles["bare"] / (each["ours"] / tiles["ours"]))
        )
        if "terratorch" in ways:
            ratio = each["terratorch"] / each["ours"]
            found[f"terratorch_time_over_ours_{name}"] = float(np.median(ratio))
    return found


def peak(way: str, path: Path, extent: int, out: Path) -> float:
    """Peak resident memory in MiB of this process after one run."""
    WAYS[way](path, extent, network(), out / f"{way}.tif")
    return _peak_mib()


def whole(path: Path, target: str, model: str | None, workspace: Path) -> dict[str, Any]:
    """Segment the whole scene as a person would, and what it took."""
    from terralogue.tools.run import Run
    from terralogue.tools.segment import segment
    from terralogue.tools.store import Store

    def report(done: float, total: float | None, message: str) -> None:
        print(f"\r{message} {done:.0f}/{total or 0:.0f}   ", end="", file=sys.stderr)

    store = Store(workspace)
    scene_id = store.add_scene(path)
    began = time.perf_counter()
    with Run(store, (scene_id,), report) as run:
        result = segment(store.open(scene_id), target, run=run, model=model)
    return {
        "target": target,
        "model": result.model,
        "seconds": time.perf_counter() - began,
        "peak_mib": _peak_mib(),
        "measurements": {each.name: each.value for each in result.measurements},
    }


def _peak_mib() -> float:
    # Linux counts kibibytes, macOS bytes.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _alone(work: Callable[..., Any], *arguments: object) -> Any:
    """Run in a fresh process, so that its peak memory is its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(work, *arguments).result()


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write `tiling.json`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--out", type=Path, default=Path("out/tiling"))
    add("--size", type=int, default=SIZE, help="rows and columns of the scene")
    add("--extent", type=int, default=2048, help="rows and columns of the corner for the rates")
    add("--rounds", type=int, default=3)
    add("--whole", metavar="TARGET", help="segment the whole scene too")
    add("--model", metavar="NAME", help="by this model, and not by the router's choice")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    scene = options.out / f"tile_{options.size}.tif"
    if not scene.exists():
        _alone(write_scene, scene, options.size)
    present = importlib.util.find_spec("terratorch") is not None
    ways = ["bare", "ours", *(["terratorch"] if present else [])]
    extent = min(options.extent, options.size)
    report: dict[str, Any] = {"scene": f"{options.size} x {options.size} x 13", "batch": BATCH}
    report["rates"] = _alone(rates, scene, extent, options.rounds, ways, options.out)
    report["peak_mib"] = {
        way: {str(side): _alone(peak, way, scene, side, options.out)
              for side in (extent // 2, extent)}
        for way in ways[1:]
    }  # fmt: skip
    if options.whole:
        report["whole"] = _alone(
            whole, scene, options.whole, options.model, options.out / "workspace"
        )
    text = json.dumps(report, indent=2)
    (options.out / "tiling.json").write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
