"""Bands of any sensor as named pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from terralogue.datasets.errors import InputError
from terralogue.datasets.samples import Box
from terralogue.datasets.scene import open_scene
from terralogue.datasets.sensors import SENSORS
from terralogue.datasets.tiles import Tile, normalise
from terralogue.vlm.renderings import LONGEST, SHORTEST, Rendering, band_note, render

# Reflectance in B02, B03, B04, B08, B11, B12 (Jensen 2007, figures 2-8 to 2-12, rounded).
GROUND = {
    "water": (0.06, 0.05, 0.03, 0.01, 0.005, 0.005),
    "plants": (0.03, 0.06, 0.04, 0.45, 0.22, 0.1),
    "burnt": (0.03, 0.04, 0.05, 0.1, 0.2, 0.22),
}
NAMES = ("B02", "B03", "B04", "B08", "B11", "B12")
S2 = tuple(band for name in NAMES for band in SENSORS["sentinel2_l2a"].bands if band.name == name)
RADAR = SENSORS["sentinel1_grd"].bands[:2]


def sentinel(*grounds: str, side: int = 8) -> Tile:
    """One column block for each ground."""
    blocks = [np.tile(np.array(GROUND[g])[:, None, None], (1, side, side)) for g in grounds]
    return Tile(normalise(np.concatenate(blocks, axis=2).astype(np.float32), S2), S2)


def named(views: tuple[Rendering, ...]) -> dict[str, Rendering]:
    return {view.name: view for view in views}


def colour(view: Rendering, block: int, of: int) -> tuple[int, int, int]:
    """Colour in the middle of a column block."""
    height, width = view.picture.shape[:2]
    red, green, blue = view.picture[height // 2, (2 * block + 1) * width // (2 * of)].tolist()
    return red, green, blue


def test_the_words_of_a_question_choose_among_what_the_bands_allow() -> None:
    tile = sentinel("water", "plants")
    assert [v.name for v in render(tile, "Where is the lake?")][:2] == ["true colour", "NDWI"]
    assert [v.name for v in render(tile, "Did the fire reach the forest?")] == [
        "true colour", "NBR", "NDVI",
    ]  # fmt: skip
    assert [v.name for v in render(tile)] == ["true colour", "false colour", "short-wave infrared"]
    assert [v.name for v in render(tile, "A lake?", limit=1)] == ["true colour"]
    visible = Tile(tile.data[:4], S2[:4])
    assert [v.name for v in render(visible, "burnt?")] == ["true colour", "false colour"]


def test_colours_mean_what_a_rendering_says_of_them() -> None:
    views = named(render(sentinel("water", "plants", "burnt"), "water, crops, fire", limit=6))
    water, plants, burnt = (colour(views["false colour"], i, 3) for i in range(3))
    assert plants[0] > 200 > 2 * max(plants[1:])
    assert max(water) < 50
    water, plants, burnt = (colour(views["NDWI"], i, 3) for i in range(3))
    assert water[2] > water[0] + 80
    assert plants[0] > plants[2] + 40
    water, plants, burnt = (colour(views["NDVI"], i, 3) for i in range(3))
    assert plants[1] > max(plants[0], plants[2])
    assert water[2] > water[0]
    water, plants, burnt = (colour(views["NBR"], i, 3) for i in range(3))
    assert burnt[0] > 2 * burnt[1]
    assert plants[1] > plants[0]
    assert "B08 (0.833 µm), B04 (0.665 µm); dark green" in views["NDVI"].shows


def test_the_same_ground_has_the_same_colour_whatever_lies_beside_it() -> None:
    dark, bright = (
        named(render(sentinel("plants", other), "crops")) for other in ("water", "burnt")
    )
    for name, view in dark.items():
        assert colour(view, 0, 2) == colour(bright[name], 0, 2)


def test_a_colour_picture_goes_as_it_is_unless_it_is_too_small_or_too_large() -> None:
    rng = np.random.default_rng(0)
    middle = rng.integers(0, 256, (3, 400, 300)).astype(np.uint8)
    (view,) = render(middle, "Where is water?")
    assert view.name == "picture"
    assert view.shows == ""
    assert band_note(middle) == ""
    assert np.array_equal(view.picture, middle.transpose(1, 2, 0))
    assert render(middle[:, :50, :100])[0].picture.shape == (SHORTEST // 2, SHORTEST, 3)
    large = np.zeros((3, 2 * LONGEST, LONGEST), np.uint8)
    assert render(large)[0].picture.shape == (LONGEST, LONGEST // 2, 3)


def test_a_photograph_that_was_opened_as_a_scene_is_the_same_picture(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (340, 350, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "drone.png")
    with open_scene(tmp_path / "drone.png") as scene:
        (view,) = render(scene)
        (part,) = render(scene, frame=Box(0, 0, 350, 170))
    assert view.name == "picture"
    assert np.array_equal(view.picture, pixels)
    assert np.array_equal(part.picture, pixels[:170])


def test_radar_is_shown_by_its_polarisations() -> None:
    data = np.stack([np.full((4, 4), -8.0), np.full((4, 4), -15.0)]).astype(np.float32)
    both = Tile(normalise(data, RADAR), RADAR)
    assert [v.name for v in render(both, "flooded?")] == ["radar"]
    one = Tile(both.data[:1], RADAR[:1])
    (view,) = render(one)
    assert view.name == "VV"
    assert np.ptp(view.picture, axis=2).max() == 0
    assert band_note(one).startswith("bands: VV (5.")


def test_what_was_not_observed_is_grey_and_said_to_be() -> None:
    tile = sentinel("plants", "plants")
    tile.data[:, :, :8] = 0
    view = render(tile)[0]
    assert colour(view, 0, 2) == (90, 90, 90) != colour(view, 1, 2)
    assert view.shows.endswith("grey was not observed")


def test_a_part_of_a_picture_knows_where_it_lies() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (3, 500, 600)).astype(np.uint8)
    (view,) = render(picture, frame=Box(99.6, 50, 200, 700))
    assert view.frame == Box(99, 50, 200, 500)
    assert np.array_equal(view.picture, picture[:, 50:500, 99:200].transpose(1, 2, 0))
    box = Box(120, 60, 150, 90)
    assert view.at(view.within(box)) == pytest.approx(box)
    (small,) = render(picture, frame=Box(0, 0, 100, 100))
    assert small.picture.shape == (SHORTEST, SHORTEST, 3)
    assert small.at(Box(0, 0, SHORTEST, SHORTEST)) == Box(0, 0, 100, 100)


def test_bands_without_a_meaning_are_shown_all_the_same() -> None:
    relief = SENSORS["elevation"].bands
    heights = np.arange(36, dtype=np.float32).reshape(1, 6, 6)
    (view,) = render(Tile(normalise(heights, relief), relief))
    assert view.picture.shape == (SHORTEST, SHORTEST, 3)
    assert view.shows == "bright is high"


@pytest.mark.parametrize("array", [np.zeros((4, 9, 9), np.uint8), np.zeros((3, 9, 9), np.float32)])
def test_an_array_that_is_no_picture_is_refused(array: np.ndarray) -> None:
    with pytest.raises(InputError, match="no colour picture"):
        render(array)


def test_a_real_scene_becomes_renderings_with_a_note_on_its_sensor(data_dir: Path) -> None:
    with open_scene(data_dir / "scenes" / "eurosat_ms" / "Forest_1.tif") as scene:
        views = named(render(scene, "Is this forest?"))
        note = band_note(scene)
    assert list(views) == ["true colour", "NDVI", "false colour"]
    red, green, _ = views["NDVI"].picture.reshape(-1, 3).mean(axis=0)
    assert green > red + 30
    assert note.startswith("Sentinel-2 L1C")
    assert "B08 (0.833 µm)" in note
    assert "10 m per" in note
