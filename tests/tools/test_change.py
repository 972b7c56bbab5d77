"""What changed is found, measured and drawn; what cannot be compared is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from matplotlib.image import imread
from numpy.typing import NDArray
from scipy import ndimage

from terralogue.datasets.errors import (
    InputError,
    NoOverlapError,
    RefusalError,
)
from terralogue.datasets.scene import Scene, open_scene
from terralogue.tools.change import BY_BANDS, detect_change
from terralogue.tools.region import Region
from terralogue.tools.run import Run
from terralogue.tools.schemas import Change
from terralogue.tools.store import Store

MakeScene = Callable[..., Scene]
Bands = dict[str, NDArray[np.float32]]
SIZE = 160
# Reflectance in B03, B04, B08, B11, B12.
NAMES = ("B03", "B04", "B08", "B11", "B12")
LAND = (0.09, 0.07, 0.30, 0.22, 0.12)
WATER = (0.06, 0.04, 0.03, 0.01, 0.01)
BURNT = (0.06, 0.07, 0.12, 0.22, 0.25)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(Store(tmp_path / "workspace"), ("first", "second"))


def scenery(seed: int, *places: tuple[tuple[slice, slice], tuple[float, ...]]) -> Bands:
    """Land with fields and noise, and rectangles of something else."""
    fields = ndimage.gaussian_filter(np.random.default_rng(0).normal(0, 1, (SIZE, SIZE)), 4)
    light = 1 + 0.15 * np.digitize(fields, np.quantile(fields, (0.3, 0.7)))
    noise = np.random.default_rng(seed + 1)
    bands = {}
    for number, name in enumerate(NAMES):
        band = LAND[number] * light
        for place, values in places:
            band[place] = values[number]
        bands[name] = (band + noise.normal(0, 0.003, band.shape)).clip(0.001).astype(np.float32)
    return bands


def told(change: Change) -> dict[str, float]:
    return {each.name: each.value for each in change.measurements}


LAKE = (slice(20, 60), slice(20, 70))
POND = (slice(100, 130), slice(90, 120))
# Whole pixels of 30 m that begin at (20, 20).
COARSE = (slice(101, 131), slice(92, 122))


def test_gain_and_loss_of_water_have_their_areas_and_files(make_scene: MakeScene, run: Run) -> None:
    before = make_scene("before", scenery(0, (LAKE, WATER)), time="2020-06-01")
    after = make_scene("after", scenery(1, (POND, WATER)), time="2022-06-10")
    change = detect_change(before, after, "water", run=run)
    found = told(change)
    assert found["gain_area"] == pytest.approx(9.0, rel=0.01)
    assert found["loss_area"] == pytest.approx(20.0, rel=0.01)
    assert found["net_area"] == pytest.approx(-11.0, rel=0.02)
    assert found["before_area"] == pytest.approx(20.0, rel=0.01)
    assert found["observed_share"] == pytest.approx(100)
    # One model on both dates is told once.
    assert change.why.endswith(", on both dates")
    with rasterio.open(change.artefacts[0].path) as mask:
        codes = mask.read(1)
        assert mask.nodata == 255
        assert mask.transform == before.transform
    truth = np.zeros((SIZE, SIZE), np.uint8)
    truth[POND], truth[LAKE] = 1, 2
    assert (codes == truth).mean() > 0.995
    for artefact, kind in zip(change.artefacts[1:3], ("gain", "loss"), strict=True):
        collection = json.loads(Path(artefact.path).read_text(encoding="utf-8"))
        areas = [each["properties"]["area_m2"] for each in collection["features"]]
        assert sum(areas) / 1e4 == pytest.approx(found[f"{kind}_area"], rel=0.05)
    assert imread(change.artefacts[3].path).shape[1] > 600
    assert (change.before, change.after) == ("first", "second")
    assert not any("time" in text for text in change.warnings)


def test_scenes_given_in_the_wrong_order_are_swapped(make_scene: MakeScene, run: Run) -> None:
    before = make_scene("before", scenery(0), time="2020-06-01")
    after = make_scene("after", scenery(1, (POND, WATER)), time="2022-06-10")
    change = detect_change(after, before, "water", run=run)
    assert told(change)["gain_area"] == pytest.approx(9.0, rel=0.02)
    assert (change.before, change.after) == ("second", "first")
    assert any("later one first" in text for text in change.warnings)


def test_any_change_stands_out_through_haze_and_light(make_scene: MakeScene, run: Run) -> None:
    first = scenery(0)
    second = {name: 0.7 * band + 0.02 for name, band in scenery(1, (POND, WATER)).items()}
    change = detect_change(make_scene("before", first), make_scene("after", second), run=run)
    with rasterio.open(change.artefacts[0].path) as mask:
        codes = mask.read(1)
    truth = np.zeros((SIZE, SIZE), np.bool_)
    truth[POND] = True
    both = (codes == 1) & truth
    assert both.sum() / truth.sum() > 0.95
    assert both.sum() / (codes == 1).sum() > 0.97
    assert change.target is None
    assert any("date of" in text for text in change.warnings)


def test_the_same_scene_twice_has_not_changed(make_scene: MakeScene, run: Run) -> None:
    bands = scenery(0, (LAKE, WATER))
    scenes = [make_scene(name, bands) for name in ("one", "two")]
    for target in (None, "water", "vegetation"):
        assert told(detect_change(scenes[0], scenes[1], target, run=run))["area"] == 0


def test_a_burn_falls_by_the_published_amount(make_scene: MakeScene, run: Run) -> None:
    before = make_scene("before", scenery(0), time="2021-07-01")
    after = make_scene("after", scenery(1, (LAKE, BURNT), (POND, WATER)), time="2021-12-20")
    change = detect_change(before, after, "burned_area", run=run, unit="km2")
    assert told(change)["gain_area"] == pytest.approx(0.2, rel=0.02)
    assert "0.27" in change.method
    assert any("months apart" in text for text in change.warnings)


def test_another_grid_and_another_sensor_are_compared_on_the_coarser_one(
    make_scene: MakeScene, run: Run
) -> None:
    before = make_scene("sentinel", scenery(0))
    blocks = {}
    for name, band in zip(
        ("B3", "B4", "B5", "B6", "B7"), scenery(1, (COARSE, WATER)).values(), strict=True
    ):
        part = band[20:140, 20:140]
        blocks[name] = part.reshape(40, 3, 40, 3).mean(axis=(1, 3))
    moved = Affine(30, 0, 600_200, 0, -30, 4_999_800)
    # Collection 2 scaling: reflectance = number * 2.75e-5 - 0.2.
    stored = {name: (band + 0.2) / 2.75e-5 for name, band in blocks.items()}
    after = make_scene("landsat", stored, sensor="landsat8", transform=moved, dtype="uint16")
    change = detect_change(before, after, "water", run=run)
    with rasterio.open(change.artefacts[0].path) as mask:
        assert mask.transform.a == pytest.approx(30)
        assert (mask.width, mask.height) == (40, 40)
    assert told(change)["gain_area"] == pytest.approx(9.0, rel=0.03)
    assert any("different sensors" in text for text in change.warnings)


def test_only_the_region_counts_and_missing_pixels_are_hidden(
    make_scene: MakeScene, run: Run
) -> None:
    second = scenery(1, (LAKE, WATER), (POND, WATER))
    for band in second.values():
        band[80:160, 80:100] = np.nan
    before, after = make_scene("before", scenery(0)), make_scene("after", second)
    inverse = before.transform
    west, north = inverse @ (80, 80)
    east, south = inverse @ (160, 160)
    corners = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    region = Region.parse(
        {
            "type": "Polygon",
            "coordinates": [corners],
            "crs": {"type": "name", "properties": {"name": "EPSG:32632"}},
        }
    )
    found = told(detect_change(before, after, "water", run=run, region=region))
    assert found["gain_area"] == pytest.approx(6.0, rel=0.02)
    assert found["hidden_area"] == pytest.approx(16.0, rel=0.02)
    assert found["observed_share"] == pytest.approx(75, abs=0.5)


def test_pictures_without_georeference_give_pixels(make_scene: MakeScene, run: Run) -> None:
    first = {name: band * 400 for name, band in zip("RGB", scenery(0).values(), strict=False)}
    second = {n: b * 400 for n, b in zip("RGB", scenery(1, (POND, WATER)).values(), strict=False)}
    options = {"sensor": "unknown_rgb", "crs": None, "dtype": "uint8"}
    scenes = [make_scene(n, b, **options) for n, b in (("one", first), ("two", second))]
    change = detect_change(scenes[0], scenes[1], run=run, model=BY_BANDS)
    found = told(change)
    assert "area" not in found
    assert found["pixels"] == pytest.approx(900, rel=0.03)
    assert any("Neither scene is georeferenced" in text for text in change.warnings)


def test_what_cannot_be_compared_is_refused(make_scene: MakeScene, run: Run) -> None:
    optical = make_scene("optical", scenery(0))
    far = make_scene("far", scenery(0), transform=Affine(10, 0, 700_000, 0, -10, 5e6))
    grey = np.full((SIZE, SIZE), 90, np.float32)
    picture = make_scene("picture", dict.fromkeys("RGB", grey), sensor="rgb_aerial", dtype="uint8")
    radar = make_scene("radar", {"VV": grey - 100}, sensor="sentinel1_grd")
    with pytest.raises(NoOverlapError, match="same ground"):
        detect_change(optical, far, run=run)
    with pytest.raises(RefusalError, match="share no band"):
        detect_change(optical, radar, run=run)
    with pytest.raises(RefusalError, match="picture"):
        detect_change(optical, picture, "water", run=run)
    with pytest.raises(InputError, match="targets are"):
        detect_change(optical, optical, "ship", run=run)
    empty = make_scene("empty", {name: np.full((SIZE, SIZE), np.nan, np.float32) for name in NAMES})
    with pytest.raises(InputError, match="No valid pixel"):
        detect_change(optical, empty, run=run)


def test_a_river_that_moved_is_found_on_real_scenes(data_dir: Path, run: Run) -> None:
    folder = data_dir / "scenes" / "pucallpa_landsat_1985_2020"
    scenes = [open_scene(folder / f"{y}.tif", sensor="landsat5:S1,N,R,G") for y in (1985, 2020)]
    found = told(detect_change(scenes[0], scenes[1], "water", run=run, unit="km2"))
    assert 30 < found["gain_area"] < 80
    assert 50 < found["loss_area"] < 120
