"""Cloud screening: the network gives what its package gives; layers of the file go first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy.ndimage import gaussian_filter

from terralogue.datasets.errors import RefusalError
from terralogue.datasets.scene import Scene, open_scene
from terralogue.datasets.synthetic import make_demo_scene, simulate
from terralogue.tools.clouds import (
    classify,
    load_network,
    odd_shadow,
    product_level,
    screen,
    why_not_network,
)
from terralogue.tools.describe import describe_scene
from terralogue.tools.grid import whole
from terralogue.tools.run import Run
from terralogue.tools.segment import segment
from terralogue.tools.store import Store

MakeScene = Callable[..., Scene]
NAMES = ("B02", "B03", "B04", "B08", "B11", "B12")


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as found:
        yield found


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(Store(tmp_path / "workspace"), ("scene",))


def cloudy(height: int, width: int) -> NDArray[np.float32]:
    """Reflectance (6, H, W) with soft bright patches."""
    random = np.random.default_rng(0)
    patches = gaussian_filter(random.random((height, width)), 12)
    bright = np.clip((patches - patches.mean()) / patches.std(), 0, None) * 0.4
    ground = np.array([0.03, 0.05, 0.05, 0.3, 0.2, 0.1])[:, None, None]
    noise = random.normal(0, 0.003, (6, height, width))
    image: NDArray[np.float32] = np.clip(ground + bright + noise, 0.001, 1.2).astype(np.float32)
    return image


@pytest.mark.parametrize(("level", "count"), [("l1c", 6), ("l2a", 4)])
def test_the_network_gives_what_its_package_gives(
    executor: ThreadPoolExecutor, level: str, count: int
) -> None:
    mask = pytest.importorskip("ukis_csmask.mask")
    image = cloudy(260, 300)[:count]
    order = ["blue", "green", "red", "nir", "swir16", "swir22"][:count]
    theirs = mask.CSmask(
        np.moveaxis(image, 0, -1).copy(), order, level, providers=["CPUExecutionProvider"]
    ).csm[..., 0]
    ours = classify(load_network(count, level), lambda r, c: image[:, r, c], 260, 300, executor)
    assert set(np.unique(theirs)) >= {0, 1}
    assert np.array_equal(ours, theirs)


def test_clouds_of_a_simulated_scene_are_found(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    pytest.importorskip("ukis_csmask")
    scene = open_scene(make_demo_scene(tmp_path / "demo.tif", size=384))
    truth = simulate(size=384).cloud
    clouds = screen(scene, executor)
    found = clouds.classes(whole(scene)) == 1
    assert clouds.method is not None
    assert "L2A" in clouds.method
    assert (found & truth).sum() / truth.sum() > 0.5


def test_the_layer_of_the_file_goes_before_the_network(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    names = (*NAMES, "SCL")
    data = np.full((7, 40, 50), 1500, np.uint16)
    data[6] = 4
    data[6, :10] = 9
    data[6, 10:15] = 3
    data[6, 15:17] = 0
    path = tmp_path / "S2A_MSIL2A_20200101T100000_N0214_R122_T32TQM_20200101T120000.tif"
    profile = {"driver": "GTiff", "dtype": "uint16", "count": 7, "height": 40, "width": 50}
    transform = Affine(10, 0, 6e5, 0, -10, 5e6)
    with rasterio.open(path, "w", crs="EPSG:32632", transform=transform, **profile) as file:
        file.write(data)
        file.descriptions = names
    scene = open_scene(path)
    clouds = screen(scene, executor)
    assert clouds.method is not None
    assert "SCL" in clouds.method
    assert clouds.hidden(Window(0, 0, 50, 40)).sum() == 17 * 50
    assert not clouds.hidden(Window(0, 20, 50, 20)).any()


def test_a_window_is_screened_alone_and_the_rest_is_clear(
    make_scene: MakeScene, executor: ThreadPoolExecutor
) -> None:
    pytest.importorskip("ukis_csmask")
    image = cloudy(300, 300)
    scene = make_scene("scene", dict(zip(NAMES, image, strict=True)))
    window = Window(150, 0, 150, 150)
    clouds = screen(scene, executor, window=window)
    assert not clouds.hidden(Window(0, 150, 300, 150)).any()
    assert clouds.classes(Window(10, 20, 30, 40)).shape == (40, 30)
    assert any("context" in text for text in clouds.warnings)


def test_where_nothing_can_screen_the_reason_is_said(
    make_scene: MakeScene, executor: ThreadPoolExecutor
) -> None:
    two = {name: np.full((30, 30), 0.2, np.float32) for name in ("B03", "B11")}
    scene = make_scene("two", two)
    clouds = screen(scene, executor)
    assert clouds.method is None
    assert "B, R, N is missing" in clouds.warnings[0]
    assert not clouds.hidden(whole(scene)).any()
    radar = make_scene("vv", {"VV": np.full((30, 30), -9, np.float32)}, sensor="sentinel1_grd")
    assert screen(radar, executor).warnings == ()
    assert why_not_network(radar) is not None


def test_a_second_question_does_not_screen_again(
    make_scene: MakeScene, executor: ThreadPoolExecutor
) -> None:
    pytest.importorskip("ukis_csmask")
    scene = make_scene("scene", dict(zip(NAMES, cloudy(90, 90), strict=True)))
    steps: list[float] = []

    def progress(done: float, total: float | None, message: str) -> None:
        steps.append(done)

    first = screen(scene, executor, progress).classes(whole(scene))
    counted = len(steps)
    second = screen(scene, executor, progress).classes(whole(scene))
    assert len(steps) == counted > 0
    assert np.array_equal(first, second)


def test_much_more_shadow_than_cloud_is_warned_of() -> None:
    classes = np.zeros((100, 100), np.uint8)
    classes[:10] = 1
    classes[10:35] = 2
    assert odd_shadow(classes) == []
    classes[10:60] = 2
    assert "50 % as cloud shadow but only 10.0 % as cloud" in odd_shadow(classes)[0]


def test_the_level_of_landsat_is_in_the_name_of_its_files(make_scene: MakeScene) -> None:
    bands = {name: np.full((5, 5), 0.2, np.float32) for name in ("B2", "B3", "B4", "B5")}
    assert product_level(make_scene("LC08_L1TP_022033", bands, sensor="landsat8")) == "l1c"
    assert product_level(make_scene("LC08_L2SP_022033", bands, sensor="landsat8")) == "l2a"


def test_a_band_without_data_is_no_cloudless_sky(make_scene: MakeScene, run: Run) -> None:
    bands = {name: np.full((40, 40), 0.1, np.float32) for name in ("B02", "B03", "B04", "B08")}
    bands["B04"][:] = np.nan
    scene = make_scene("redless", bands)
    found = screen(scene, run.executor)
    assert found.method is None
    assert "R, which holds no data" in found.warnings[0]
    with pytest.raises(RefusalError, match="not screened"):
        segment(scene, "cloud", run=run)


def test_the_cloud_share_is_of_the_pixels_with_data(tmp_path: Path, run: Run) -> None:
    source = make_demo_scene(tmp_path / "whole.tif", size=256, clouds=0.1)
    with rasterio.open(source) as file:
        data, profile, names, tags = file.read(), file.profile, file.descriptions, file.tags()
    half = data[:, :, 128:].copy()
    data[:, :, :128] = 0
    shares = []
    for name, pixels in (("half.tif", half), ("gap.tif", data)):
        profile.update(width=pixels.shape[2], nodata=0)
        with rasterio.open(tmp_path / name, "w", **profile) as file:
            file.write(pixels)
            file.descriptions = names
            file.update_tags(**tags)
        found = describe_scene(open_scene(tmp_path / name), run=run)
        shares += [each.value for each in found.measurements if each.name == "cloud_share"]
    assert shares[1] == pytest.approx(shares[0], abs=2.0)
    assert shares[0] > 4
