"""Files that cannot be read, or must not be, give one clear sentence."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from PIL import Image
from rasterio.windows import Window

from terralogue.datasets.errors import InputError, SceneError
from terralogue.datasets.scene import open_scene

WriteRaster = Callable[..., Path]
Reflectance = Callable[..., NDArray[np.uint16]]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match=r"nowhere\.tif does not exist"):
        open_scene(tmp_path / "nowhere.tif")


def test_an_empty_file_is_called_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.tif"
    path.touch()
    with pytest.raises(SceneError, match="is empty"):
        open_scene(path)


def test_text_renamed_to_tif_is_not_an_image(tmp_path: Path) -> None:
    path = tmp_path / "notes.tif"
    path.write_text("ceci n'est pas une image", encoding="utf-8")
    with pytest.raises(SceneError, match=r"notes\.tif is not an image"):
        open_scene(path)


@pytest.mark.parametrize("options", [{}, {"tiled": True, "blockxsize": 64, "blockysize": 64}])
@pytest.mark.parametrize("kept", [0.3, 0.7, 0.97])
def test_a_truncated_tiff_fails_when_opened(
    write_raster: WriteRaster, reflectance: Reflectance, kept: float, options: dict[str, Any]
) -> None:
    path = write_raster("cut.tif", reflectance(4, 256), **options)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(SceneError, match=r"cut\.tif"):
        open_scene(path)


def test_a_large_truncated_tiff_fails_when_opened(write_raster: WriteRaster) -> None:
    path = write_raster("cut.tif", np.full((3, 2048, 2048), 900, np.uint16), tiled=True)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.98)])
    with pytest.raises(SceneError, match="damaged"):
        open_scene(path)


def test_a_tiff_that_declares_a_million_by_a_million_pixels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tif"
    size = 10**6
    block = {"tiled": True, "blockxsize": 8192, "blockysize": 8192}
    with rasterio.open(
        path, "w", driver="GTiff", width=size, height=size, count=1, dtype="uint8",
        crs="EPSG:32632", transform=Affine(10, 0, 0, 0, -10, 0), SPARSE_OK=True,
        BIGTIFF="YES", **block,
    ):  # fmt: skip
        pass
    with pytest.raises(SceneError, match="cannot plausibly hold"):
        open_scene(path)


def test_a_png_that_declares_too_many_pixels_is_refused(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    with pytest.raises(SceneError, match="60000 x 60000"):
        open_scene(path)


def test_a_vrt_that_points_elsewhere_is_not_opened(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    target = write_raster("secret.tif", np.ones((1, 4, 4), np.uint8))
    path = tmp_path / "link.tif"
    path.write_text(
        '<VRTDataset rasterXSize="4" rasterYSize="4"><VRTRasterBand dataType="Byte" band="1">'
        f'<SimpleSource><SourceFilename relativeToVRT="0">{target}</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>",
        encoding="utf-8",
    )
    with pytest.raises(SceneError, match="not an image"):
        open_scene(path)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("field.geojson", "outlines as GeoJSON for its region"), ("cube.npy", "as a GeoTIFF"),
     ("scene.xml", "the image that it describes"), ("notes.txt", "check the file")],
)  # fmt: skip
def test_a_file_that_is_no_image_is_told_with_what_it_is_good_for(
    tmp_path: Path, name: str, hint: str
) -> None:
    path = tmp_path / name
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(SceneError, match=rf"{name} is not an image .*{hint}"):
        open_scene(path)


@pytest.mark.parametrize(
    "source",
    ["/vsicurl/http://127.0.0.1:9/a.tif", "http://127.0.0.1:9/a.tif", "/vsizip/a.zip/b.tif"],
)
def test_remote_and_virtual_paths_do_not_exist(source: str) -> None:
    with pytest.raises(SceneError, match="does not exist"):
        open_scene(source)


def test_complex_radar_is_refused_with_what_to_give(write_raster: WriteRaster) -> None:
    path = write_raster("slc.tif", np.ones((1, 4, 4), np.complex64))
    with pytest.raises(SceneError, match="detected backscatter"):
        open_scene(path)


def test_gdal_warnings_do_not_reach_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.tif"
    path.write_bytes(b"II*\0\x08\0\0\0\xff\xff" + b"\7" * 200)
    with pytest.raises(SceneError):
        open_scene(path)
    assert capfd.readouterr().err == ""


def test_several_threads_read_the_same_pixels(
    write_raster: WriteRaster, reflectance: Reflectance
) -> None:
    data = reflectance(4, 256)
    path = write_raster("s2.tif", data, names=["B02", "B03", "B04", "B08"], tiled=True)
    windows = [Window(x, y, 32, 32) for y in range(0, 256, 32) for x in range(0, 256, 32)] * 3
    with open_scene(path) as scene, ThreadPoolExecutor(8) as pool:
        tiles = list(pool.map(lambda window: scene.read(["G"], window=window).data[0], windows))
    for window, tile in zip(windows, tiles, strict=True):
        rows, columns = window.toslices()
        np.testing.assert_allclose(tile, data[1][rows, columns] * 1e-4, rtol=1e-5)


def test_a_closed_scene_says_so(write_raster: WriteRaster) -> None:
    scene = open_scene(write_raster("rgb.tif", np.ones((3, 8, 8), np.uint8)))
    scene.close()
    with pytest.raises(SceneError, match="closed"):
        scene.read()


def test_a_window_outside_the_scene_is_an_input_error(write_raster: WriteRaster) -> None:
    with open_scene(write_raster("rgb.tif", np.ones((3, 8, 8), np.uint8))) as scene:
        for window in (Window(4, 4, 8, 8), Window(-1, 0, 4, 4), Window(0, 0, 0, 4)):
            with pytest.raises(InputError, match="not inside"):
                scene.read(window=window)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.bmp"])
def test_pictures_of_every_format_open(tmp_path: Path, name: str) -> None:
    pixels = np.linspace(0, 255, 40 * 30 * 3).reshape(30, 40, 3).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / name)
    with open_scene(tmp_path / name) as scene:
        assert (scene.width, scene.height) == (40, 30)
        assert scene.sensor is not None
        assert scene.sensor.key == "unknown_rgb"
        assert not scene.georeferenced
        assert scene.gsd is None
