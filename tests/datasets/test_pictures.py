"""Benchmark files and a person's examples, as an image tower gets them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from terralogue.datasets.errors import EOError, InputError, SceneError
from terralogue.datasets.examples import find_examples, read_example
from terralogue.datasets.pictures import RGB_BANDS, read_picture
from terralogue.datasets.tiles import Tile

from .conftest import WriteRaster


def test_pictures_of_any_mode_become_three_bytes_a_pixel(tmp_path: Path) -> None:
    colours = Image.fromarray(np.full((6, 9, 3), (250, 10, 128), np.uint8))
    for name, mode in (("a.png", "RGB"), ("b.png", "RGBA"), ("c.png", "P"), ("d.jpg", "L")):
        colours.convert(mode).save(tmp_path / name)
        found = read_picture(tmp_path / name)
        assert isinstance(found, np.ndarray)
        assert (found.shape, found.dtype) == ((3, 6, 9), np.uint8)
    first = read_picture(tmp_path / "a.png")
    assert isinstance(first, np.ndarray)
    assert first[:, 0, 0].tolist() == [250, 10, 128]
    assert [band.name for band in RGB_BANDS] == ["red", "green", "blue"]


def test_a_large_photograph_is_made_small_and_keeps_its_shape(tmp_path: Path) -> None:
    Image.new("RGB", (1200, 600), (10, 20, 30)).save(tmp_path / "large.png")
    found = read_picture(tmp_path / "large.png")
    assert isinstance(found, np.ndarray)
    assert found.shape == (3, 192, 384)


def test_a_multiband_file_becomes_a_tile_with_its_bands(write_raster: WriteRaster) -> None:
    data = np.full((13, 16, 16), 1200, np.uint16)
    data[10] = 8
    tile = read_picture(write_raster("s2.tif", data))
    assert isinstance(tile, Tile)
    assert (len(tile.bands), tile.data.shape[0]) == (13, 13)


def test_a_named_sensor_overrides_recognition(write_raster: WriteRaster) -> None:
    path = write_raster("four.tif", np.arange(1024, dtype=np.uint16).reshape(4, 16, 16))
    tile = read_picture(path, "planetscope")
    assert isinstance(tile, Tile)
    assert [band.common for band in tile.bands] == ["B", "G", "R", "N"]


def test_a_broken_picture_is_one_sentence(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    with pytest.raises(SceneError, match=r"broken.png cannot be decoded as a picture"):
        read_picture(broken)
    with pytest.raises(SceneError, match="does not exist"):
        read_picture(tmp_path / "absent.png")


def test_examples_are_files_folders_and_pixels_each_once(
    tmp_path: Path, write_raster: WriteRaster
) -> None:
    for name in ("x/10.png", "x/9.png", "odd@1,2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    scene = write_raster("scene.tif", np.full((4, 60, 80), 900, np.uint16))
    sources = [tmp_path / "x", tmp_path / "x" / "9.png", f"{scene}@20,30", f"{scene}@20.0,30.0",
               tmp_path / "odd@1,2.png"]  # fmt: skip
    found = find_examples(sources)
    assert [(e.path.name, e.point) for e in found] == [
        ("9.png", None), ("10.png", None), ("scene.tif", (20, 30)), ("odd@1,2.png", None),
    ]  # fmt: skip


def test_the_window_around_a_pixel_stays_inside_the_scene(write_raster: WriteRaster) -> None:
    data = np.tile(np.arange(80, dtype=np.uint8) * 3, (3, 60, 1))
    scene = write_raster("scene.tif", data)
    middle, corner = find_examples([f"{scene}@40,30", f"{scene}@79,0"])
    seen = [read_example(example, 20, "rgb_satellite") for example in (middle, corner)]
    # Brightness grows by 3 a column.
    columns = []
    for tile in seen:
        assert isinstance(tile, Tile)
        assert tile.data.shape == (3, 20, 20)
        columns.append(float((tile.data.mean() + 1) * 127.5 / 3))
    assert columns == pytest.approx([39.5, 69.5], abs=0.1)


@pytest.mark.parametrize(
    ("suffix", "message"),
    [("@90,10", "lies outside the scene of 80 columns and 60 rows"),
     ("@1.2.3,4", "does not end in a column and a row")],
)  # fmt: skip
def test_a_point_that_cannot_be_used_is_refused(
    write_raster: WriteRaster, suffix: str, message: str
) -> None:
    scene = write_raster("scene.tif", np.full((4, 60, 80), 900, np.uint16))
    with pytest.raises(InputError, match=message):
        read_example(find_examples([f"{scene}{suffix}"])[0], 20, "planetscope")


def test_an_example_that_shows_nothing_is_refused(write_raster: WriteRaster) -> None:
    empty = write_raster("empty.tif", np.zeros((4, 20, 20), np.uint16), nodata=0)
    with pytest.raises(EOError, match="nothing that was observed"):
        read_example(find_examples([empty])[0], sensor="planetscope")
    with pytest.raises(InputError, match="does not exist"):
        find_examples([f"{empty}x"])
