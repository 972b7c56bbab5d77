"""The parts below a simulated scene: the canvas, what is painted on it, how it looks and is lit."""

from __future__ import annotations

import numpy as np
import pytest

from terralogue.datasets import synthetic_built as built
from terralogue.datasets import synthetic_farm as farm
from terralogue.datasets import synthetic_nature as nature
from terralogue.datasets.sensors import SENSORS
from terralogue.datasets.spectra import WAVELENGTHS, convolve
from terralogue.datasets.synthetic_canvas import Canvas, Grid, hashed, line_distance
from terralogue.datasets.synthetic_changes import CHANGES, apply_change
from terralogue.datasets.synthetic_layouts import LAYOUT_TABLE, LAYOUTS, choose_place, lay_out
from terralogue.datasets.synthetic_looks import greenness, look
from terralogue.datasets.synthetic_materials import (
    CLASSES,
    CLIMATES,
    MATERIALS,
    TARGET_OF,
    VARIANTS,
)
from terralogue.datasets.synthetic_optics import average
from terralogue.datasets.synthetic_sky import direct_light, draw_sky
from terralogue.datasets.synthetic_town import parking, town


def blank(
    size: int = 120, cell: float = 1.0, *, seed: int = 1, climate: str = "temperate"
) -> Canvas:
    return Canvas(Grid(size, cell), seed, size * cell, CLIMATES[climate], 0.5)


def everywhere(canvas: Canvas) -> np.ndarray:
    return np.ones_like(canvas.things, bool)


def share(canvas: Canvas, target: str) -> float:
    return float((TARGET_OF[canvas.material] == CLASSES.index(target)).mean())


def test_noise_belongs_to_the_place_and_not_to_the_grid() -> None:
    fine, coarse = (
        Canvas(Grid(size, 1200 / size), 4, 1200.0, CLIMATES["temperate"], 0.5).layers("hill", 200)
        for size in (240, 60)
    )
    np.testing.assert_allclose(average(fine, 4), coarse, atol=0.06)


def test_noise_has_unit_variance_and_differs_by_name() -> None:
    canvas = blank(400, 10)
    first, second = canvas.noise("a", 40), canvas.noise("b", 40)
    assert first.std() == pytest.approx(1, abs=0.1)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.1
    assert not canvas.noise("a", 5).any()


def test_hashes_are_even_and_do_not_follow_the_ids() -> None:
    values = hashed(np.arange(20_000), 3)
    assert 0 <= values.min() < values.max() < 1
    np.testing.assert_allclose(np.histogram(values, 10, (0, 1))[0] / 2000, 1, atol=0.1)
    assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.03


def test_the_distance_to_a_line_is_in_metres() -> None:
    canvas = blank(100, 2.0)
    _, across = canvas.turned(0.7, 10, -5)
    np.testing.assert_allclose(line_distance(3 * across, 2.0), np.abs(across), atol=0.05)


def test_painting_covers_what_was_there() -> None:
    canvas = blank(20)
    left = canvas.x < 0
    canvas.thing(everywhere(canvas), "ship")
    canvas.paint(left, "lake", light=np.full(left.shape, 0.7, np.float32), top=3.0)
    assert canvas.is_any("lake").sum() == left.sum() == 200
    assert (canvas.light[left] == np.float32(0.7)).all()
    assert (canvas.light[~left] == 1).all()
    assert (canvas.things[left] == 0).all()
    assert (canvas.things[~left] == 1).all()


@pytest.mark.parametrize("style", farm.STYLES)
def test_fields_are_parcels_of_a_few_hectares(style: str) -> None:
    canvas = blank(300, 10)
    land = farm.parcels(canvas, style)
    _, sizes = np.unique(land.ids, return_counts=True)
    hectares = float(np.median(sizes)) / 100
    low, high = {"paddies": (0.1, 2), "strips": (0.2, 4), "large": (3, 45)}.get(style, (1, 50))
    assert low < hectares < high
    assert land.edge.min() >= 0


def test_fields_carry_the_crops_of_their_climate() -> None:
    canvas = blank(200, 10, climate="tropical")
    farm.fields(canvas, everywhere(canvas), "patchwork")
    names = [list(MATERIALS)[code] for code in np.unique(canvas.material)]
    assert {"rice", "maize"} <= set(names)
    assert "rapeseed" not in names
    assert share(canvas, "cropland") > 0.8


def test_pivots_are_circles_on_dry_land() -> None:
    canvas = blank(240, 10, climate="arid")
    nature.open_land(canvas, "dry_grass")
    farm.pivots(canvas, everywhere(canvas))
    # Circles fill pi / 4 of their squares, a few of which are left dry.
    assert 0.45 < share(canvas, "cropland") < 0.8


@pytest.mark.parametrize(
    ("style", "built_up"), [("suburb", (0.08, 0.45)), ("city", (0.2, 0.7)), ("works", (0.08, 0.7))]
)
def test_towns_have_streets_and_separate_buildings(
    style: str, built_up: tuple[float, float]
) -> None:
    canvas = blank(400, 1.0)
    town(canvas, everywhere(canvas), style)
    low, high = built_up
    assert low < share(canvas, "building") < high
    assert 0.05 < share(canvas, "road") < 0.4
    houses = [kind for kind in canvas.kinds if kind == "building"]
    assert len(houses) > (20 if style != "works" else 1)
    assert canvas.top[canvas.is_any("tile_roof", "flat_roof", "hall_roof")].min() > 2


def test_parked_cars_are_as_large_as_cars() -> None:
    canvas = blank(300, 0.2)
    parking(canvas, everywhere(canvas), canvas.x, canvas.y, np.zeros((300, 300), np.int64), 5)
    assert set(canvas.kinds) == {"vehicle"}
    areas = np.bincount(canvas.things.ravel())[1:] * 0.2**2
    assert 6 < np.median(areas) < 9.5


def test_a_ship_floats_from_end_to_end() -> None:
    canvas = blank(100, 2.0)
    canvas.paint(canvas.x > 0, "sea")
    built.ship(canvas, 0, 0, 60, 0.0, wake=False)
    assert not canvas.kinds
    built.ship(canvas, 60, 0, 60, 1.57, wake=False)
    assert canvas.kinds == ["ship"]
    rows = np.nonzero(canvas.things.any(1))[0]
    assert len(rows) * 2 == pytest.approx(60, abs=4)


def test_tanks_are_whole_circles() -> None:
    canvas = blank(300, 1.0)
    built.tank_farm(canvas, np.hypot(canvas.x, canvas.y) < 120)
    assert "storage_tank" in canvas.kinds
    areas = np.bincount(canvas.things.ravel())[1:]
    assert areas.min() > 0.3 * areas.max()


def test_a_river_has_its_width_and_runs_across() -> None:
    canvas = blank(300, 10)
    nature.river(canvas, 120.0, angle=0.0, wooded=False, bars=False)
    wet = canvas.is_any("river")
    assert wet.any(axis=0).mean() > 0.95
    # Meanders make it longer than the place is wide.
    assert 100 < wet.sum() * 100 / 3000 < 400


def test_beaches_lie_between_sea_and_land() -> None:
    canvas = blank(300, 4)
    shore = nature.sea(canvas, share=0.5, beach=40)
    assert 0.3 < share(canvas, "water") < 0.7
    strand = canvas.features["beach"]
    assert strand.any()
    assert shore[strand].min() >= 0
    assert shore[strand].max() < 120


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_leaves_the_rest_as_it_was(change: str) -> None:
    place = choose_place(3, CHANGES[change][0], 960, 10)
    canvas, again = (lay_out(place, Grid(192, 5.0), 0.5) for _ in range(2))
    apply_change(again, change)
    touched = canvas.material != again.material
    assert 0 < touched.mean() < 0.6
    np.testing.assert_array_equal(canvas.light[~touched], again.light[~touched])


def test_changes_happen_to_layouts_that_exist() -> None:
    assert {layout for layouts in CHANGES.values() for layout in layouts} <= set(LAYOUTS)
    for entry in LAYOUT_TABLE.values():
        assert set(entry.climates) <= set(CLIMATES)


def test_crops_follow_their_calendar() -> None:
    temperate = CLIMATES["temperate"]
    green = {
        crop: [float(greenness(crop, month / 12, temperate)[0]) for month in range(12)]
        for crop in ("winter", "summer", "leaves", "evergreen")
    }
    assert np.argmax(green["winter"]) in (3, 4)
    assert np.argmax(green["summer"]) in (6, 7, 8)
    assert green["leaves"][0] < 0.05 < 0.9 < green["leaves"][6]
    assert min(green["evergreen"]) > 0.9
    ripe = float(greenness("winter", 0.53, temperate)[1])
    assert ripe > 0.6


@pytest.mark.parametrize("climate", CLIMATES)
@pytest.mark.parametrize("season", [0.0, 0.3, 0.55, 0.8])
def test_every_material_looks_like_something_in_every_season(climate: str, season: float) -> None:
    for name in MATERIALS:
        seen = look(name, seed=1, season=season, climate=CLIMATES[climate])
        assert seen.front.shape == seen.back.shape == (VARIANTS, len(WAVELENGTHS))
        assert -1e-6 <= seen.front.min() <= seen.front.max() < 1.3, name
        assert 0 <= seen.green.min() <= seen.green.max() <= 1


def test_rape_flowers_yellow_in_spring() -> None:
    bands = SENSORS["sentinel2_l2a"].bands[1:4]
    may, june = (
        convolve(
            look("rapeseed", seed=5, season=season, climate=CLIMATES["temperate"]).front, bands
        ).mean(0)
        for season in (0.33, 0.44)
    )
    assert may[2] > june[2] + 0.05
    assert may[1] > may[0] + 0.06


def test_slopes_towards_the_sun_are_bright() -> None:
    canvas = blank(60, 10)
    canvas.terrain += np.abs(canvas.y) * np.float32(-0.3)
    sky = draw_sky(np.random.default_rng(0), canvas, 60, 10, 0.0, free_sun=False)
    light = direct_light(canvas, sky)
    # The morning sun of the north stands in the south-east: southern slopes face it.
    assert light[45, 30] > 1.05 > 0.95 > light[15, 30]


def test_a_wall_throws_its_shadow_away_from_the_sun() -> None:
    canvas = blank(120, 1.0)
    canvas.top[60, 40:80] = 12
    sky = draw_sky(np.random.default_rng(0), canvas, 120, 1.0, 0.0, free_sun=False)
    light = direct_light(canvas, sky)
    assert light[56, 52:60].max() < 0.4
    assert light[66, 40:80].min() > 0.9


def test_the_sun_is_higher_in_summer_and_in_the_south() -> None:
    def height(climate: str, season: float) -> float:
        canvas = Canvas(Grid(8, 10), 1, 80.0, CLIMATES[climate], season)
        return draw_sky(np.random.default_rng(1), canvas, 8, 10, 0.0, free_sun=False).elevation

    assert height("temperate", 0.47) > height("temperate", 0.97) + 0.5
    assert height("mediterranean", 0.3) > height("boreal", 0.3)


def test_cloud_and_shadow_cover_about_their_share() -> None:
    canvas = blank(100, 10)
    for asked in (0.1, 0.4):
        sky = draw_sky(np.random.default_rng(3), canvas, 100, 10, asked, free_sun=False)
        assert (sky.cloud > 0.35).mean() == pytest.approx(asked, abs=0.1)
        assert (sky.shade > 0.35).any()
