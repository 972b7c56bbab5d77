"""Woodland is described by its patches, edges and core, before and after a change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from terralogue.datasets.scene import Scene
from terralogue.tools.change import detect_change
from terralogue.tools.forest_patches import Patches, measure_patches
from terralogue.tools.grid import Frame
from terralogue.tools.run import Run
from terralogue.tools.store import Store

MakeScene = Callable[..., Scene]
UTM = Affine(10, 0, 600_000, 0, -10, 5_000_000)


def measured(
    mask: NDArray[np.bool_], observed: NDArray[np.bool_] | None = None, transform: Affine = UTM
) -> Patches:
    height, width = mask.shape
    frame = Frame("grid", width, height, CRS.from_epsg(32632), transform, True)
    seen = np.ones_like(mask) if observed is None else observed
    return measure_patches(mask & seen, seen, frame)


def test_a_square_of_forest_has_the_edge_and_the_core_of_a_square() -> None:
    mask = np.zeros((100, 120), np.bool_)
    mask[20:70, 30:80] = True
    found = measured(mask)
    assert found.number == 1
    assert found.largest_area == pytest.approx(25e4, rel=0.002)
    assert found.edge == pytest.approx(2000, rel=0.002)
    assert found.density == pytest.approx(2000 / 120, rel=0.002)
    # Ten pixels from each side are edge: 30 by 30 of 50 by 50 are left.
    assert found.core_share == pytest.approx(100 * 900 / 2500, rel=0.01)


def test_specks_below_the_area_of_a_forest_are_no_patches_and_corners_join() -> None:
    mask = np.zeros((100, 100), np.bool_)
    mask[5, 5:9] = True  # 0.04 ha
    mask[30:40, 30:40] = True
    mask[40:50, 40:50] = True
    mask[70:80, 10:20] = True
    found = measured(mask)
    assert found.number == 2
    assert found.mean_area == pytest.approx(1.5e4, rel=0.002)


def test_the_rim_of_the_image_and_what_was_not_seen_are_no_edge() -> None:
    mask = np.ones((60, 60), np.bool_)
    observed = np.ones_like(mask)
    observed[:, 50:] = False
    found = measured(mask, observed)
    assert found.edge == 0
    assert found.core_share == pytest.approx(100)
    assert measured(~mask) == Patches(0, 0.0, 0.0, 0.0, 0.0, 0.0)


def test_large_grids_are_measured_in_tiles_without_seams() -> None:
    mask = np.zeros((64, 2100), np.bool_)
    mask[4:60, 10:2090] = True
    found = measured(mask, transform=Affine(20, 0, 600_000, 0, -20, 5_000_000))
    assert found.number == 1
    # Five pixels of 20 m from each side.
    assert found.core_share == pytest.approx(100 * 46 * 2070 / (56 * 2080), rel=0.005)


def test_a_road_through_a_forest_breaks_it_up(make_scene: MakeScene, tmp_path: Path) -> None:
    scenes = []
    for year in (2020, 2021):
        red = np.full((120, 120), 0.15, np.float32)
        infrared = np.full((120, 120), 0.17, np.float32)
        red[20:100, 10:110], infrared[20:100, 10:110] = 0.03, 0.4
        if year == 2021:
            red[20:100, 56:64], infrared[20:100, 56:64] = 0.15, 0.17
        bands = {"B03": red, "B04": red, "B08": infrared, "B11": np.full_like(red, 0.2)}
        scenes.append(make_scene(f"y{year}", bands, time=f"{year}-07-01"))
    run = Run(Store(tmp_path / "workspace"))
    result = detect_change(*scenes, "vegetation", run=run)
    told = {each.name: each for each in result.measurements}
    assert (told["before_patches"].value, told["after_patches"].value) == (1, 2)
    assert told["before_mean_patch_area"].value == pytest.approx(80, rel=0.03)
    assert told["after_mean_patch_area"].value == pytest.approx(36.8, rel=0.03)
    assert told["after_edge_length"].value > told["before_edge_length"].value + 1
    assert told["after_core_share"].value < told["before_core_share"].value
    assert told["after_edge_density"].unit == "m/ha"
    other = detect_change(*scenes, "water", run=run)
    assert not [each for each in other.measurements if each.name.endswith("patches")]
