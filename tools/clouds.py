"""Cloud and cloud shadow: from the quality layer of the files, else by the U-Nets of ukis-csmask.

The networks (Wieland, Fichtner and Martinis 2022,
doi:10.5194/isprs-archives-XLIII-B3-2022-217-2022; trained on CloudSEN12+ and SPARCS) are made for
reflectance at about 30 m, so a finer scene is read coarser and the mask brought back to its pixels.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.datasets.scene import Scene
from terralogue.tools.baselines import UNSEEN
from terralogue.tools.grid import whole
from terralogue.tools.run import Progress
from terralogue.tools.tiling import Tile, blend, stream, tiles

CLEAR, CLOUD, SHADOW = 0, 1, 2
_NO_DATA = 255
_SAMPLE = 256  # pixels along a side, in which every band must show something
_METRES = 30.0
_TILE = 256
_OVERLAP = 0.2
_CONTEXT = 64  # pixels of 30 m below which a scene shows too little for the networks
# Shadow is about as large as the cloud that casts it, unless that lies outside the scene.
_ODD_RATIO = 3.0
_ODD_SHARE = 0.05
_SIX = ("B", "G", "R", "N", "S1", "S2")
_FOUR = ("B", "G", "R", "N")
_LAYERS = {
    "scl": "Sentinel-2 scene classification (SCL) of the file",
    "landsat_qa": "Landsat QA_PIXEL band of the file",
    "landsat_bqa": "Landsat BQA band of the file",
    "fmask": "Fmask band of the file",
}

Classes = NDArray[np.uint8]
_SCREENED: WeakKeyDictionary[Scene, dict[tuple[int, int, int, int], Classes]] = WeakKeyDictionary()


@dataclass(frozen=True)
class CloudScreen:
    """Where a scene is clouded or in cloud shadow.

    `method` None means that nothing could be screened; the reason is in `warnings`.
    """

    method: str | None
    classes: Callable[[Window], Classes]
    warnings: tuple[str, ...] = field(default=())

    def hidden(self, window: Window) -> NDArray[np.bool_]:
        """Cloud, cloud shadow or missing, on a window of the scene: bool (H, W)."""
        hidden: NDArray[np.bool_] = self.classes(window) != CLEAR
        return hidden


@dataclass(frozen=True)
class CloudModel:
    """Cloud or cloud shadow as a target; a `Model`."""

    scene: Scene
    clouds: CloudScreen
    target: str
    threshold: float | None = None

    @property
    def method(self) -> str:
        """What screened the scene."""
        return str(self.clouds.method)

    @property
    def warnings(self) -> tuple[str, ...]:
        """None of its own: the screening has said them."""
        return ()

    def run(
        self, window: Window, executor: Executor, progress: Progress | None
    ) -> Iterator[tuple[Window, Classes]]:
        """Cover a window; see `Model`."""
        wanted = CLOUD if self.target == "cloud" else SHADOW

        def piece(tile: Tile) -> Classes:
            classes = self.clouds.classes(tile.core)
            # Missing in any band is enough; the first one tells of the scene's edges and gaps.
            valid = self.scene.read([self.scene.bands[0].name], tile.core).valid
            found: Classes = (classes == wanted).astype(np.uint8)
            found[(classes == _NO_DATA) | ~valid] = UNSEEN
            return found

        for tile, found in stream(
            piece, tiles(window), executor, progress=progress, message="Measuring"
        ):
            yield tile.core, found


def screen(
    scene: Scene,
    executor: Executor,
    progress: Progress | None = None,
    *,
    window: Window | None = None,
) -> CloudScreen:
    """Screen a window of a scene (None: all of it), by the best means that it allows.

    Outside the window the result is clear. Scenes by radar need no screening.
    """
    if scene.quality is not None:
        return _from_quality(scene)
    if all(band.kind in ("sar", "elevation") for band in scene.bands):
        return CloudScreen("not needed: radar and elevation see through cloud", _clear)
    reason = why_not_network(scene)
    if reason is not None:
        return CloudScreen(None, _clear, (f"Clouds were not screened: {reason}.",))
    return _by_network(scene, executor, progress, window or whole(scene))


def why_not_network(scene: Scene) -> str | None:
    """Why the networks cannot screen a scene, in a few words; None where they can."""
    if scene.sensor is None or product_level(scene) is None:
        return "there is no quality layer, and the networks serve Sentinel-2 and Landsat 5-9 only"
    if not scene.calibrated:
        return "the scene holds uncalibrated digital numbers and no quality layer"
    if not scene.has(*_FOUR):
        missing = [name for name in _FOUR if not scene.has(name)]
        return f"the networks need the bands B, G, R and N, and {', '.join(missing)} is missing"
    if importlib.util.find_spec("ukis_csmask") is None:
        return "the networks are not installed (pip install 'terralogue[cloud]')"
    return None


def product_level(scene: Scene) -> str | None:
    """Say "l1c" (top of atmosphere) or "l2a" (surface); None of a sensor they do not serve."""
    key = scene.sensor.key if scene.sensor else ""
    if key == "sentinel2_l1c":
        return "l1c"
    if key in ("sentinel2_l2a", "hls_l30", "hls_s30"):
        return "l2a"
    if key in ("landsat5", "landsat7", "landsat8", "landsat9"):
        # Names of USGS products carry the level: LC08_L1TP_…, LC08_L2SP_….
        return "l1c" if any("_L1" in path.name.upper() for path in scene.paths) else "l2a"
    return None


def _clear(window: Window) -> Classes:
    return np.zeros((int(window.height), int(window.width)), dtype=np.uint8)


def _from_quality(scene: Scene) -> CloudScreen:
    assert scene.quality is not None

    def classes(window: Window) -> Classes:
        found = _clear(window)
        pixels = scene.read_quality(window)
        assert pixels is not None
        found[pixels.cloud] = CLOUD
        found[pixels.shadow & ~pixels.cloud] = SHADOW
        found[pixels.nodata] = _NO_DATA
        return found

    return CloudScreen(_LAYERS.get(scene.quality.kind, "quality layer of the file"), classes)


@dataclass(frozen=True)
class _Network:
    session: Any
    input: str
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    def scores(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities (3, 256, 256) of reflectance (bands, 256, 256)."""
        scaled = (image - self.mean[:, None, None]) / self.deviation[:, None, None]
        logits = self.session.run(None, {self.input: scaled[None].astype(np.float32)})[0][0]
        odds = np.exp(logits - logits.max(axis=0, keepdims=True))
        probabilities: NDArray[np.float32] = odds / odds.sum(axis=0, keepdims=True)
        return probabilities


@lru_cache(maxsize=2)
def load_network(bands: int, level: str) -> _Network:
    """One of the four networks: 4 or 6 bands, level "l1c" or "l2a".

    The package makes a new session for every image; this keeps one, and gives the same result.
    """
    import onnxruntime  # type: ignore[import-untyped, unused-ignore]

    spec = importlib.util.find_spec("ukis_csmask")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).with_name(f"model_{bands}b_{level}.onnx")
    facts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    mean, deviation = facts["data"]["dataset_statistics"]["img"]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return _Network(
        session,
        session.get_inputs()[0].name,
        np.asarray(mean, np.float32),
        np.asarray(deviation, np.float32),
    )


def _by_network(
    scene: Scene, executor: Executor, progress: Progress | None, window: Window
) -> CloudScreen:
    names = _SIX if scene.has(*_SIX) else _FOUR
    level = product_level(scene)
    assert level is not None
    step = max(1.0, max(window.width, window.height) / _SAMPLE)
    small = (max(1, round(window.height / step)), max(1, round(window.width / step)))
    layers = scene.read(names, window, small).data
    empty = [name for name, layer in zip(names, layers, strict=True) if np.isnan(layer).all()]
    if empty:
        reason = f"the networks need {', '.join(empty)}, which holds no data here"
        return CloudScreen(None, _clear, (f"Clouds were not screened: {reason}.",))
    network = load_network(len(names), level)
    coarser = max(1.0, _METRES / scene.gsd) if scene.gsd else 1.0
    height = max(1, round(window.height / coarser))
    width = max(1, round(window.width / coarser))

    def read(rows: slice, columns: slice) -> NDArray[np.float32]:
        part = _scaled(window, (height, width), rows, columns)
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        return np.nan_to_num(scene.read(names, part, shape).data, nan=0.0)

    # The first question about a scene pays for the screening; the next ones do not.
    known = _SCREENED.setdefault(scene, {})
    key = (window.col_off, window.row_off, window.width, window.height)
    if key not in known:
        known[key] = classify(network, read, height, width, executor, progress)
    found = known[key]

    def classes(asked: Window) -> Classes:
        rows = np.arange(asked.row_off, asked.row_off + asked.height) - window.row_off
        columns = np.arange(asked.col_off, asked.col_off + asked.width) - window.col_off
        inside_rows = (rows >= 0) & (rows < window.height)
        inside_columns = (columns >= 0) & (columns < window.width)
        rows = ((rows + 0.5) * height / window.height).astype(int).clip(0, height - 1)
        columns = ((columns + 0.5) * width / window.width).astype(int).clip(0, width - 1)
        part = found[rows[:, None], columns[None, :]]
        return np.where(inside_rows[:, None] & inside_columns[None, :], part, CLEAR)

    warnings = []
    if scene.gsd is None:
        warnings.append(
            "The pixel size is not known, so clouds were screened as if it were about 30 m."
        )
    if min(height, width) < _CONTEXT:
        warnings.append(
            f"The scene shows only {width} x {height} pixels of 30 m, too little context for the "
            "cloud networks: trust the cloud screening less."
        )
    warnings += odd_shadow(found)
    return CloudScreen(
        f"ukis-csmask 1.0, {len(names)} bands, {level.upper()}", classes, tuple(warnings)
    )


def odd_shadow(classes: Classes) -> list[str]:
    """A warning where far more cloud shadow than cloud was found in a mask (H, W)."""
    cloud, shadow = (classes == CLOUD).mean(), (classes == SHADOW).mean()
    if shadow <= max(_ODD_RATIO * cloud, _ODD_SHARE):
        return []
    return [
        f"The cloud networks mark {100 * shadow:.0f} % as cloud shadow but only "
        f"{100 * cloud:.1f} % as cloud; dark forest or water may be mistaken for shadow, and "
        "then too much counts as hidden."
    ]


def _scaled(window: Window, shape: tuple[int, int], rows: slice, columns: slice) -> Window:
    """The part of a full-resolution window under pixels of its coarser version."""
    top = round(rows.start * window.height / shape[0])
    left = round(columns.start * window.width / shape[1])
    bottom = max(round(rows.stop * window.height / shape[0]), top + 1)
    right = max(round(columns.stop * window.width / shape[1]), left + 1)
    return Window(window.col_off + left, window.row_off + top, right - left, bottom - top)


def classify(
    network: _Network,
    read: Callable[[slice, slice], NDArray[np.float32]],
    height: int,
    width: int,
    executor: Executor,
    progress: Progress | None = None,
) -> Classes:
    """Run a network over an image in overlapping tiles: classes uint8 (height, width).

    Args:
        network: from `load_network`.
        read: gives reflectance float32 (bands, H, W) of rows and columns inside the image.
        height: rows of the image.
        width: columns of the image.
        executor: runs the tiles.
        progress: told after each tile.
    """

    def predict(tile: Window) -> NDArray[np.float32]:
        rows = _mirrored(tile.row_off, height)
        columns = _mirrored(tile.col_off, width)
        top, left = int(rows.min()), int(columns.min())
        image = read(slice(top, int(rows.max()) + 1), slice(left, int(columns.max()) + 1))
        return network.scores(image[:, (rows - top)[:, None], (columns - left)[None, :]])

    found = np.zeros((height, width), dtype=np.uint8)
    for strip, scores in blend(
        predict,
        width,
        height,
        executor,
        size=_TILE,
        overlap=_OVERLAP,
        progress=progress,
        message="Looking for clouds",
        in_flight=2,
    ):
        found[strip.toslices()] = scores.argmax(axis=0)
    return found


def _mirrored(start: int, length: int) -> NDArray[np.int64]:
    """Pixel numbers of a tile that may hang over the edges, mirrored at them."""
    period = np.arange(start, start + _TILE) % (2 * length)
    return np.minimum(period, 2 * length - 1 - period)
