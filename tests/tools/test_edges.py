"""Areas through a blurring sensor: edges lie where a pixel is half the target."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from terralogue.datasets.scene import Scene
from terralogue.tools.change import detect_change
from terralogue.tools.edges import HALO, settle, settle_window
from terralogue.tools.grid import whole
from terralogue.tools.run import Run
from terralogue.tools.schemas import Change, Segmentation, TimeSeries
from terralogue.tools.segment import segment
from terralogue.tools.series import time_series
from terralogue.tools.store import Store

MakeScene = Callable[..., Scene]
Floats = NDArray[np.float32]
# Reflectance in B02, B03, B04, B08, B11, B12.
NAMES = ("B02", "B03", "B04", "B08", "B11", "B12")
LAND = (0.06, 0.09, 0.07, 0.30, 0.22, 0.12)
# As bright as this in the short-wave infrared, MNDWI has its zero far out on the slope.
WATER = (0.06, 0.06, 0.04, 0.03, 0.004, 0.004)
BURNT = (0.05, 0.06, 0.07, 0.12, 0.22, 0.25)
SIZE, FINE = 128, 4
RADIUS = 30.3
HECTARES = np.pi * RADIUS**2 / 100


def disc(radius: float, *, row: float = 64, column: float = 64) -> Floats:
    """Share of each pixel inside a disc (SIZE, SIZE), from cells of a quarter of a pixel."""
    y, x = (np.mgrid[: SIZE * FINE, : SIZE * FINE] + 0.5) / FINE
    cells = np.hypot(y - row, x - column) < radius
    return cells.reshape(SIZE, FINE, SIZE, FINE).mean((1, 3)).astype(np.float32)


def seen(
    share: Floats, inside: tuple[float, ...], *, seed: int = 0, blue: bool = False
) -> dict[str, Floats]:
    """Bands in which a share of each pixel is another surface, blurred as sensors do, and noisy.

    With blue the network for water serves, and the one that screens clouds.
    """
    noise = np.random.default_rng(seed)
    bands = {}
    for name, near, far in zip(NAMES, inside, LAND, strict=True):
        sharp = far + share * (near - far)
        # The short-wave bands have pixels of 20 m.
        blurred = ndimage.gaussian_filter(sharp, 1.0 if name in ("B11", "B12") else 0.5)
        bands[name] = (blurred + noise.normal(0, 0.002, share.shape)).clip(0.001)
    return {name: bands[name].astype(np.float32) for name in NAMES[0 if blue else 1 :]}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(Store(tmp_path / "workspace"), ("first", "second", "third"))


def told(result: Segmentation | Change | TimeSeries, name: str) -> float:
    return next(each.value for each in result.measurements if each.name == name)


@pytest.mark.parametrize("model", ["mndwi", "awei", "ms_water"])
def test_a_lake_has_its_true_area_whichever_model_found_it(
    make_scene: MakeScene, run: Run, model: str
) -> None:
    found = segment(
        make_scene("lake", seen(disc(RADIUS), WATER, blue=True)), "water", run=run, model=model
    )
    assert told(found, "area") == pytest.approx(HECTARES, rel=0.01)
    assert "edges where N is half way between both sides" in found.method


def test_a_burn_has_its_true_area_by_either_tool(make_scene: MakeScene, run: Run) -> None:
    before = make_scene("before", seen(disc(0), BURNT, seed=1), time="2024-06-01")
    after = make_scene("after", seen(disc(RADIUS), BURNT), time="2024-08-01")
    alone = segment(after, "burned_area", run=run, reference=before)
    assert told(alone, "area") == pytest.approx(HECTARES, rel=0.015)
    change = detect_change(before, after, "burned_area", run=run)
    assert told(change, "gain_area") == pytest.approx(HECTARES, rel=0.015)
    assert told(change, "loss_area") == 0
    assert "edges where N - S2 is half way" in change.method
    # NBR falls from 0.43 to -0.35: all but the rim burned badly.
    severity = {
        name: told(change, f"{name}_severity_area")
        for name in ("low", "moderate_low", "moderate_high", "high")
    }
    assert sum(severity.values()) == pytest.approx(told(change, "gain_area"))
    assert severity["high"] > 0.8 * told(change, "gain_area")
    nothing = detect_change(before, before, "burned_area", run=run)
    assert not [each for each in nothing.measurements if "severity" in each.name]


def test_a_lake_that_grew_gained_the_ring_and_a_series_follows_it(
    make_scene: MakeScene, run: Run
) -> None:
    scenes = [
        make_scene(f"in{year}", seen(disc(radius), WATER, seed=year), time=f"{year}-06-10")
        for year, radius in ((2020, 20.4), (2021, 25.2), (2022, RADIUS))
    ]
    first, last = (np.pi * radius**2 / 100 for radius in (20.4, RADIUS))
    change = detect_change(scenes[0], scenes[2], "water", run=run)
    assert told(change, "gain_area") == pytest.approx(last - first, rel=0.02)
    assert told(change, "loss_area") == 0
    series = time_series(scenes, "water", run=run)
    assert told(series, "first") == pytest.approx(first, rel=0.02)
    assert told(series, "last") == pytest.approx(last, rel=0.02)


def test_a_stream_that_the_network_overlooks_is_not_flooded(
    make_scene: MakeScene, run: Run
) -> None:
    stream = np.zeros((SIZE, SIZE), np.float32)
    stream[:, 63:65] = 1
    before = make_scene("before", seen(stream, WATER, seed=1, blue=True), time="2024-06-01")
    wide = np.maximum(stream, disc(RADIUS))
    after = make_scene("after", seen(wide, WATER, blue=True), time="2024-06-20")
    new = float((wide - stream).sum()) / 100
    change = detect_change(before, after, "flooded_area", run=run)
    assert told(change, "gain_area") == pytest.approx(new, rel=0.05)
    assert "MNDWI > 0" in change.method
    alone = segment(after, "flooded_area", run=run, reference=before)
    assert told(alone, "area") == told(change, "gain_area")
    assert "N the other way" in alone.method


def test_an_edge_between_surfaces_that_are_not_apart_stays_where_it_was() -> None:
    codes = (disc(RADIUS) > 0.5).astype(np.uint8)
    noise = np.random.default_rng(0).normal(0.2, 0.02, codes.shape).astype(np.float32)
    assert (settle(codes, noise) == codes).all()
    # Neither does the target turn into what is brighter than its surroundings.
    bright = (0.1 + 0.3 * disc(RADIUS)).astype(np.float32)
    assert (settle(codes, bright) == codes).all()


def test_what_is_narrow_or_not_observed_is_left_alone() -> None:
    codes = np.zeros((40, 40), np.uint8)
    codes[:, 20] = 1
    value = np.where(codes == 1, 0.05, 0.3).astype(np.float32)
    assert (settle(codes, value) == codes).all()
    codes[:, :20], codes[5:9] = 1, 255
    wider = np.broadcast_to(np.where(np.arange(40) < 22, 0.05, 0.3), codes.shape)
    moved = settle(codes, wider.astype(np.float32))
    assert (moved[5:9] == 255).all()
    assert (moved[12:, :22] == 1).all()
    assert (moved[12:, 22:] == 0).all()
    value[:] = np.nan
    assert (settle(codes, value) == codes).all()


def test_pieces_are_set_as_the_whole_is(make_scene: MakeScene) -> None:
    random = np.random.default_rng(3)
    rough = ndimage.gaussian_filter(random.normal(0, 1, (600, 600)), 9)
    value = (0.2 + 0.15 * np.tanh(8 * rough / rough.std())).astype(np.float32)
    codes = (ndimage.gaussian_filter(rough, 2) < 0).astype(np.uint8)
    once = settle(codes, value)
    assert (once != codes).any()
    pieces = codes.copy()
    window = whole(make_scene("grid", {"B08": np.ones((600, 600), np.float32)}))
    with ThreadPoolExecutor(2) as executor:
        settle_window(pieces, window, lambda of: value[of.toslices()], executor, None)
    assert (pieces == once).all()
    assert HALO < 16
