"""Two scenes meet on the coarser grid, on the ground that both show."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.windows import Window

from terralogue.datasets.errors import NoOverlapError, RefusalError
from terralogue.datasets.scene import Scene
from terralogue.tools.common_grid import OnGrid, common_frame
from terralogue.tools.grid import whole

MakeScene = Callable[..., Scene]
TRANSFORM = Affine(10, 0, 600_000, 0, -10, 5_000_000)


def ramp(transform: Affine, height: int, width: int) -> NDArray[np.float32]:
    """A plane over the ground in UTM, so that any grid can be checked."""
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    x = transform.a * columns + transform.b * rows + transform.c
    y = transform.d * columns + transform.e * rows + transform.f
    return plane(x, y)


def plane(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float32]:
    return (0.3 + (x - 600_500) * 1e-4 + (y - 4_999_500) * 2e-4).astype(np.float32)


def test_scenes_on_one_grid_are_read_as_they_are(make_scene: MakeScene) -> None:
    picture = np.random.default_rng(0).uniform(0.1, 0.5, (60, 80)).astype(np.float32)
    first = make_scene("first", {"B04": picture})
    moved = TRANSFORM @ Affine.translation(20, 10)
    second = make_scene("second", {"B04": picture[10:, 20:]}, transform=moved)
    frame = common_frame(first, second)
    assert (frame.width, frame.height) == (60, 50)
    assert frame.transform.almost_equals(moved)
    both = [OnGrid(scene, frame).read(["R"], whole(frame)) for scene in (first, second)]
    np.testing.assert_allclose(both[0], both[1], atol=1e-6)


@pytest.mark.parametrize("place", ["finer", "rotated", "degrees"])
def test_another_grid_is_brought_to_the_coarser_one(make_scene: MakeScene, place: str) -> None:
    first = make_scene("first", {"B04": ramp(TRANSFORM, 100, 100)})
    crs = CRS.from_epsg(32632)
    if place == "finer":
        transform = Affine(2.5, 0, 600_101, 0, -2.5, 4_999_903)
        picture = ramp(transform, 300, 300)
    elif place == "rotated":
        turned = Affine.translation(600_500, 4_999_900) @ Affine.rotation(30)
        transform = turned @ Affine.scale(8, -8)
        picture = ramp(transform, 80, 80)
    else:
        crs = CRS.from_epsg(4326)
        back = Transformer.from_crs(32632, 4326, always_xy=True)
        west, north = back.transform(600_100, 4_999_900)
        transform = Affine(1e-4, 0, west, 0, -8e-5, north)
        columns, rows = np.meshgrid(np.arange(90) + 0.5, np.arange(90) + 0.5)
        to_utm = Transformer.from_crs(4326, 32632, always_xy=True)
        picture = plane(*to_utm.transform(west + 1e-4 * columns, north - 8e-5 * rows))
    second = make_scene("second", {"B04": picture}, crs=crs, transform=transform)
    frame = common_frame(first, second)
    assert frame.crs == first.crs
    truth = ramp(frame.transform, frame.height, frame.width)
    # Read in parts: no seam may show.
    half = frame.width // 2
    grid = OnGrid(second, frame)
    found = np.concatenate(
        [
            grid.read(["R"], Window(0, 0, half, frame.height))[0],
            grid.read(["R"], Window(half, 0, frame.width - half, frame.height))[0],
        ],
        axis=1,
    )
    seen = np.isfinite(found)
    assert seen.mean() > 0.45
    assert np.abs(found - truth)[seen].max() < 0.004


def test_a_shift_moves_the_picture(make_scene: MakeScene) -> None:
    scene = make_scene("first", {"B04": ramp(TRANSFORM, 60, 60)})
    frame = common_frame(scene, scene)
    window = Window(10, 10, 30, 30)
    still = OnGrid(scene, frame).read(["R"], window)[0]
    moved = OnGrid(scene, frame, (0.5, -1.0)).read(["R"], window)[0]
    # What lay at (y, x) now lies at (y + 0.5, x - 1): ten metres to the west, five to the south.
    np.testing.assert_allclose(moved - still, 1e-3 + 1e-3, atol=2e-4)


def test_masks_and_missing_pixels_follow_the_grid(make_scene: MakeScene) -> None:
    picture = np.full((100, 100), 0.2, np.float32)
    picture[40:50, 40:50] = np.nan
    fine = make_scene("fine", {"B04": picture}, transform=Affine(5, 0, 600_000, 0, -5, 5_000_000))
    coarse = make_scene("coarse", {"B04": np.full((50, 50), 0.2, np.float32)})
    grid = OnGrid(fine, common_frame(coarse, fine))
    window = Window(0, 0, 50, 50)
    missing = np.isnan(grid.read(["R"], window)[0])
    assert missing[21:24, 21:24].all()
    assert missing.sum() <= 25

    def mask(part: Window) -> NDArray[np.bool_]:
        whole_mask = np.zeros((100, 100), np.bool_)
        whole_mask[40:50, 40:50] = True
        return whole_mask[part.toslices()]

    hidden = grid.read_mask(mask, window)
    assert hidden[20:25, 20:25].all()
    assert hidden.sum() <= 49


def test_scenes_of_different_ground_are_refused_with_their_places(make_scene: MakeScene) -> None:
    picture = np.full((20, 20), 0.2, np.float32)
    first = make_scene("here", {"B04": picture})
    far = TRANSFORM @ Affine.translation(20, 0)
    second = make_scene("there", {"B04": picture}, transform=far)
    with pytest.raises(NoOverlapError, match=r"here\.tif \(.*there\.tif \("):
        common_frame(first, second)


def test_without_georeference_only_pictures_of_one_size_fit(make_scene: MakeScene) -> None:
    picture = np.random.default_rng(0).uniform(0.1, 0.5, (20, 30)).astype(np.float32)
    first = make_scene("first", {"B04": picture}, crs=None)
    second = make_scene("second", {"B04": picture}, crs=None)
    frame = common_frame(first, second)
    window = Window(5, 5, 10, 10)
    read = OnGrid(second, frame).read(["R"], window)[0]
    np.testing.assert_allclose(read, picture[5:15, 5:15], atol=1e-4)
    for other in (
        make_scene("small", {"B04": picture[:10]}, crs=None),
        make_scene("placed", {"B04": picture}),
    ):
        with pytest.raises(RefusalError, match="no coordinate reference system") as error:
            common_frame(first, other)
        assert error.value.reason == "georeference"
