from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from terralogue.datasets.errors import InputError
from terralogue.datasets.sensors import SENSORS
from terralogue.datasets.synthetic import (
    CLASSES,
    LAYOUTS,
    Simulated,
    simulate_scene,
    simulate_views,
)


def ratio(scene: Simulated, one: str, other: str) -> np.ndarray:
    """Normalised difference of two bands."""
    a, b = scene.band(one), scene.band(other)
    return np.asarray((a - b) / (a + b))


@pytest.mark.parametrize("sensor", SENSORS)
def test_every_sensor_is_simulated_with_its_own_bands_and_unit(sensor: str) -> None:
    scene = simulate_scene(sensor, layout="river", size=24, seed=3, season=0.5)
    assert scene.data.shape == (len(scene.bands), 24, 24)
    assert scene.data.dtype == np.float32
    assert np.isfinite(scene.data).all()
    assert {band.name for band in scene.bands} <= {band.name for band in SENSORS[sensor].bands}
    low, high = {"dB": (-45, 25), "m": (-500, 5000), "DN": (0, 255)}.get(scene.unit, (0, 1.5))
    for band, plane in zip(scene.bands, scene.data, strict=True):
        if band.kind == "thermal":
            assert 240 < plane.min() <= plane.max() < 340
        else:
            assert low <= plane.min() <= plane.max() <= high


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_has_one_true_class_everywhere(layout: str) -> None:
    scene = simulate_scene(layout=layout, size=32, seed=4, season=0.5, clouds=0)
    shares = scene.fractions()
    assert sum(shares.values()) == pytest.approx(1)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    for name, share in shares.items():
        assert share == pytest.approx(scene.where(name).mean())
    assert scene.areas()[next(iter(shares))] == pytest.approx(max(shares.values()) * 320**2)


def test_a_seed_stands_for_one_scene() -> None:
    first, again, other = (simulate_scene(size=32, seed=seed) for seed in (8, 8, 9))
    np.testing.assert_array_equal(first.data, again.data)
    np.testing.assert_array_equal(first.classes, again.classes)
    assert first.data.shape != other.data.shape or (first.data != other.data).any()


def test_layouts_seasons_and_clouds_are_drawn_from_the_seed() -> None:
    scenes = [simulate_scene(size=8, seed=seed) for seed in range(40)]
    assert len({scene.layout for scene in scenes}) > 12
    assert len({scene.climate for scene in scenes}) >= 4
    assert 0 < sum(scene.cloud.any() for scene in scenes) < 20
    assert np.ptp([scene.season for scene in scenes]) > 0.5


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sensor": "kodak"}, "unknown sensor 'kodak'"),
        ({"layout": "moon"}, "unknown layout 'moon'; valid are: valley, river"),
        ({"size": 0}, "needs 8 or more pixels"),
        ({"gsd": -1.0}, "needs 8 or more pixels"),
    ],
)
def test_what_cannot_be_simulated_is_named(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        simulate_scene(**wrong)  # type: ignore[arg-type]


def test_an_unknown_class_or_band_is_named() -> None:
    scene = simulate_scene(size=8, layout="sea")
    with pytest.raises(InputError, match="unknown class 'forest'; valid are: water, tree_cover"):
        scene.where("forest")
    with pytest.raises(InputError, match="sentinel2_l2a has no band 'VV'"):
        scene.band("VV")


def test_several_sensors_see_the_same_place() -> None:
    fine, coarse, radar, height = simulate_views(
        ["sentinel2_l2a", "landsat8", "sentinel1_rtc", "elevation"],
        layout="lake", size=32, seed=2, season=0.5, clouds=0,
    )  # fmt: skip
    assert fine.data.shape[1:] == (96, 96)
    assert coarse.data.shape[1:] == (32, 32)
    blocks = fine.where("water").reshape(32, 3, 32, 3).mean((1, 3)) > 0.5
    assert (blocks == coarse.where("water")).mean() > 0.97
    assert radar.where("water").mean() == pytest.approx(fine.where("water").mean(), abs=0.01)
    wet = radar.where("water")
    assert np.median(radar.band("VH")[wet]) < np.median(radar.band("VH")[~wet]) - 4
    assert height.unit == "m"


def test_views_of_one_pixel_size_lie_on_each_other() -> None:
    first, second = simulate_views(["landsat8", "sentinel1_grd"], size=24, gsd=20, seed=6)
    np.testing.assert_array_equal(first.classes, second.classes)
    assert first.season == second.season
    assert not second.cloud.any()


def test_classes_have_the_spectra_they_are_known_by() -> None:
    """Thresholds that published indices use, on the median of each class in midsummer."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for layout in ("forest", "river", "lake", "city", "burn", "desert", "solar"):
        scene = simulate_scene(layout=layout, size=48, seed=21, season=0.5, clouds=0)
        indices = [ratio(scene, *pair) for pair in (("N", "R"), ("G", "S1"), ("N2", "S2"))]
        for name in scene.fractions():
            where = scene.where(name)
            if where.sum() > 30:
                values = tuple(float(np.median(index[where])) for index in indices)
                found.setdefault(name, []).append(values)  # type: ignore[arg-type]
    medians = {name: np.median(values, axis=0) for name, values in found.items()}
    assert medians["tree_cover"][0] > 0.65
    assert medians["water"][1] > 0.1
    assert medians["building"][0] < 0.35
    assert medians["burned_area"][2] < 0.05 < medians["tree_cover"][2]
    assert medians["bare_soil"][0] < 0.3


def test_leaves_fall_and_crops_are_harvested() -> None:
    summer, winter = (
        simulate_scene(layout="fields", size=48, seed=3, season=season, clouds=0)
        for season in (0.46, 0.78)
    )
    np.testing.assert_array_equal(summer.classes, winter.classes)
    assert summer.green.mean() > winter.green.mean() + 0.1


def test_winter_brings_snow_to_the_north() -> None:
    scenes = [
        simulate_scene(layout="fields", size=32, seed=seed, season=0.04, clouds=0)
        for seed in range(30)
    ]
    snowy = [scene for scene in scenes if scene.fractions().get("snow_ice", 0) > 0.3]
    assert snowy
    assert {scene.climate for scene in snowy} <= {"temperate", "boreal"}
    index = ratio(snowy[0], "G", "S1")
    assert np.median(index[snowy[0].where("snow_ice")]) > 0.4


def test_clouds_hide_their_share_and_count_as_what_is_seen() -> None:
    scene = simulate_scene(layout="fields", size=96, seed=5, season=0.5, clouds=0.3)
    shares = scene.fractions()
    assert 0.2 < shares["cloud"] < 0.4
    assert sum(shares.values()) == pytest.approx(1)
    assert np.median(scene.band("B02")[scene.cloud]) > 0.3
    assert not (scene.cloud & scene.shadow).any()
    assert (scene.scene_classification()[scene.cloud] == 9).all()


def test_haze_is_bluest_and_the_cirrus_band_sees_no_ground() -> None:
    top, ground = (
        simulate_scene(sensor, layout="forest", size=32, seed=6, season=0.5, clouds=0)
        for sensor in ("sentinel2_l1c", "sentinel2_l2a")
    )
    lift = {name: float((top.band(name) - ground.band(name)).mean()) for name in ("B01", "B04")}
    assert lift["B01"] > lift["B04"] + 0.03 > 0.03
    assert top.band("B10").max() < 0.01


def test_water_is_cooler_than_roofs_on_a_summer_morning() -> None:
    scene = simulate_scene("landsat8", layout="river", size=64, seed=1, season=0.5, clouds=0)
    warm = scene.band("T1")
    assert np.median(warm[scene.where("water")]) < np.median(warm[scene.where("road")]) - 3


def test_speckle_has_the_looks_of_the_product() -> None:
    scene = simulate_scene("sentinel1_grd", layout="sea", size=64, seed=12)
    # Away from ships, whose echo spreads into the water beside them.
    open_water = ndimage.binary_erosion(scene.where("water"), iterations=6)
    power = 10 ** (scene.band("VV")[open_water] / 10)
    assert 3.3 < power.mean() ** 2 / power.var() < 6


def test_terrain_correction_flattens_slopes() -> None:
    raw, flat = (
        simulate_scene(sensor, layout="mountains", size=64, seed=2, season=0.5)
        for sensor in ("sentinel1_grd", "sentinel1_rtc")
    )
    assert raw.band("VV").std() > flat.band("VV").std() + 0.5


def test_ships_are_boxed_where_they_lie() -> None:
    scene = simulate_scene("rgb_satellite", layout="sea", size=96, gsd=2, seed=7)
    boxes = [box.bounds for box in scene.boxes if box.label == "ship"]
    assert boxes
    inside = np.zeros((96, 96), bool)
    for left, top, right, bottom in boxes:
        assert scene.where("ship")[top:bottom, left:right].mean() > 0.1
        inside[top:bottom, left:right] = True
    assert scene.where("ship")[~inside].sum() <= 2


def test_cars_and_houses_are_boxed_only_where_they_can_be_seen() -> None:
    fine, coarse = (
        simulate_scene("rgb_aerial", layout=layout, size=96, gsd=gsd, seed=4, season=0.5)
        for layout, gsd in (("parking", 0.3), ("suburb", 10))
    )
    assert sum(box.label == "vehicle" for box in fine.boxes) > 5
    assert not any(box.label == "vehicle" for box in coarse.boxes)
    assert "building" in coarse.uncounted


def test_a_picture_has_whole_numbers_and_uses_their_range() -> None:
    picture = simulate_scene("rgb_satellite", layout="city", size=96, gsd=0.6, seed=3)
    np.testing.assert_array_equal(picture.data, np.rint(picture.data))
    assert np.ptp(picture.data) > 150


def test_trees_and_houses_throw_shadows_at_fine_pixels() -> None:
    scene = simulate_scene("pleiades", layout="suburb", size=96, gsd=0.5, seed=9, season=0.4)
    street = scene.band("R")[scene.where("road")]
    assert np.quantile(street, 0.02) < 0.7 * np.median(street)


def test_real_sentinel_2_pictures_have_the_simulated_colours(data_dir: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    layouts = {"Forest": "forest", "AnnualCrop": "fields", "Residential": "suburb"}
    for label, layout in layouts.items():
        files = sorted((data_dir / "eurosat_rgb" / label).iterdir())[::120][:16]
        real = np.mean([np.asarray(image.open(file).convert("RGB")) for file in files], (0, 1, 2))
        ours = []
        for seed in range(12):
            scene = simulate_scene(
                "sentinel2_l1c", layout=layout, size=48, seed=seed, season=0.3 + seed / 30, clouds=0
            )
            # EuroSAT's pictures are top-of-atmosphere reflectance, 0.275 at 255.
            ours.append([np.clip(scene.band(c) / 0.275, 0, 1).mean() * 255 for c in "RGB"])
        np.testing.assert_allclose(np.mean(ours, 0), real, atol=40)


def test_plants_may_come_from_prosail() -> None:
    pytest.importorskip("prosail")
    measured, modelled = (
        simulate_scene(layout="forest", size=16, seed=2, season=0.5, clouds=0, prosail=prosail)
        for prosail in (False, True)
    )
    np.testing.assert_array_equal(measured.classes, modelled.classes)
    assert (measured.data != modelled.data).mean() > 0.9
    trees = modelled.where("tree_cover")
    assert np.median(ratio(modelled, "N", "R")[trees]) > 0.6


def test_the_classes_are_the_targets_of_the_design() -> None:
    assert {"water", "tree_cover", "cropland", "building", "road", "flooded_area"} <= set(CLASSES)
    assert len(set(CLASSES)) == len(CLASSES)
