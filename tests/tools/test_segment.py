"""`segment` on small scenes with known answers, and on real ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from PIL import Image

from terralogue.datasets.errors import (
    ClarifyError,
    InputError,
    MissingBandError,
    NoOverlapError,
    RefusalError,
    RegionError,
)
from terralogue.datasets.scene import Scene, open_scene
from terralogue.tools.export import quiet
from terralogue.tools.region import Region
from terralogue.tools.run import Run
from terralogue.tools.schemas import Segmentation
from terralogue.tools.segment import segment
from terralogue.tools.store import Store

MakeScene = Callable[..., Scene]
Floats = NDArray[np.float32]

# Surface reflectance about as in spectral libraries.
NAMES = ("B02", "B03", "B04", "B08", "B11", "B12")
SPECTRA = {
    "water": (0.06, 0.05, 0.03, 0.02, 0.01, 0.01),
    "forest": (0.02, 0.04, 0.03, 0.40, 0.18, 0.08),
    "soil": (0.10, 0.14, 0.19, 0.26, 0.34, 0.30),
    "snow": (0.85, 0.85, 0.83, 0.75, 0.08, 0.07),
    "town": (0.22, 0.24, 0.26, 0.27, 0.32, 0.29),
    "burn": (0.04, 0.05, 0.06, 0.09, 0.20, 0.22),
    "white roof": (0.55, 0.56, 0.55, 0.56, 0.50, 0.42),
}
LAKE = (slice(20, 60), slice(30, 90))
LAKE_PIXELS = 40 * 60


def surfaces(
    inside: str, outside: str, *, size: tuple[int, int] = (120, 160), bands: tuple[str, ...] = NAMES
) -> dict[str, Floats]:
    """One surface in the rectangle LAKE of another, with a little noise."""
    random = np.random.default_rng(0)
    found = {}
    for band, near, far in zip(NAMES, SPECTRA[inside], SPECTRA[outside], strict=True):
        values = np.full(size, far)
        values[LAKE] = near
        noisy = np.clip(values + random.normal(0, 0.001, size), 0.001, 1)
        found[band] = noisy.astype(np.float32)
    return {band: found[band] for band in bands}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(Store(tmp_path / "workspace"), ("scene",))


def value(result: Segmentation, name: str) -> float:
    return next(each.value for each in result.measurements if each.name == name)


def read_mask(result: Segmentation) -> NDArray[np.uint8]:
    with quiet(), rasterio.open(result.artefacts[0].path) as file:
        mask: NDArray[np.uint8] = file.read(1)
    return mask


@pytest.mark.parametrize(
    ("target", "inside", "outside"),
    [
        ("water", "water", "forest"),
        ("water", "water", "soil"),
        ("flooded_area", "water", "soil"),
        ("vegetation", "forest", "soil"),
        ("vegetation", "forest", "water"),
        ("bare_soil", "soil", "forest"),
        ("snow_ice", "snow", "forest"),
        ("snow_ice", "snow", "water"),
        ("burned_area", "burn", "forest"),
        ("built_up", "town", "forest"),
        ("built_up", "town", "water"),
    ],
)
def test_a_surface_is_found_where_it_is(
    make_scene: MakeScene, run: Run, target: str, inside: str, outside: str
) -> None:
    scene = make_scene("scene", surfaces(inside, outside))
    result = segment(scene, target, run=run)
    hit = read_mask(result) == 1
    expected = np.zeros((120, 160), dtype=bool)
    expected[LAKE] = True
    assert (hit != expected).mean() < 0.005
    assert value(result, "area") == pytest.approx(LAKE_PIXELS / 100, rel=0.01)
    assert value(result, "share") == pytest.approx(100 * LAKE_PIXELS / 19200, rel=0.01)
    assert result.method.startswith(result.model)


@pytest.mark.parametrize("other", ["snow", "white roof", "town", "forest", "soil", "burn"])
def test_no_water_is_seen_where_there_is_none(make_scene: MakeScene, run: Run, other: str) -> None:
    result = segment(make_scene("dry", surfaces(other, "forest")), "water", run=run)
    assert value(result, "area") < 0.1


def test_area_agrees_with_the_geodesic_area_of_the_outlines(
    make_scene: MakeScene, run: Run
) -> None:
    scene = make_scene("scene", surfaces("water", "forest"))
    result = segment(scene, "water", run=run, unit="m2")
    collection = json.loads(Path(result.artefacts[1].path).read_text(encoding="utf-8"))
    geod = pyproj.Geod(ellps="WGS84")
    outlines = [shapely.geometry.shape(each["geometry"]) for each in collection["features"]]
    assert len(outlines) == result.polygons == 1
    assert geod.geometry_area_perimeter(outlines[0])[0] == pytest.approx(
        value(result, "area"), rel=0.005
    )


def test_the_mask_is_a_cloud_optimised_geotiff_that_lies_on_the_scene(
    make_scene: MakeScene, run: Run
) -> None:
    scene = make_scene("scene", surfaces("water", "forest"))
    result = segment(scene, "water", run=run)
    with rasterio.open(result.artefacts[0].path) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert (file.crs, file.transform) == (scene.crs, scene.transform)
        assert (file.nodata, file.dtypes) == (255, ("uint8",))
        assert file.colormap(1)[1] == (0, 168, 255, 255)
        assert "MNDWI" in file.tags()["TERRALOGUE_METHOD"]


def test_a_region_limits_everything_and_crops_the_mask(make_scene: MakeScene, run: Run) -> None:
    scene = make_scene("scene", surfaces("water", "forest"))
    x, y = scene.transform @ (30, 20)
    ring = [[x, y], [x + 300, y], [x + 300, y - 800], [x, y - 800], [x, y]]
    region = Region.parse({"type": "Polygon", "coordinates": [ring], "crs": "EPSG:32632"})
    result = segment(scene, "water", run=run, region=region)
    assert value(result, "area") == pytest.approx(30 * 40 / 100, rel=0.01)
    assert value(result, "share") == pytest.approx(50, rel=0.02)
    with rasterio.open(result.artefacts[0].path) as file:
        assert (file.height, file.width) == (80, 30)
        assert file.transform == scene.transform @ Affine.translation(30, 20)


def test_a_region_outside_is_an_error(make_scene: MakeScene, run: Run) -> None:
    scene = make_scene("scene", surfaces("water", "forest"))
    with pytest.raises(RegionError, match="outside"):
        segment(scene, "water", run=run, region=Region.parse([1.0, 1.0, 2.0, 2.0]))


def test_missing_pixels_are_hidden_area_and_not_land(make_scene: MakeScene, run: Run) -> None:
    bands = surfaces("water", "forest")
    for values in bands.values():
        values[:, 80:] = np.nan
    result = segment(make_scene("half", bands), "water", run=run)
    assert value(result, "observed_share") == pytest.approx(50, abs=0.1)
    assert value(result, "hidden_area") == pytest.approx(80 * 120 / 100, rel=0.01)
    assert (read_mask(result)[:, 80:] == 255).all()


def test_with_a_reference_only_the_new_water_is_flooded(make_scene: MakeScene, run: Run) -> None:
    before = make_scene("before", surfaces("water", "soil"))
    bands = surfaces("water", "soil")
    for name, values in bands.items():
        values[70:100, 30:90] = SPECTRA["water"][NAMES.index(name)]
    result = segment(make_scene("after", bands), "flooded_area", run=run, reference=before)
    assert value(result, "area") == pytest.approx(30 * 60 / 100, rel=0.02)
    assert result.title == "Flooded area"
    alone = segment(make_scene("alone", bands), "flooded_area", run=run)
    assert value(alone, "area") == pytest.approx(70 * 60 / 100, rel=0.02)
    assert any("permanent water" in text for text in alone.warnings)


def test_with_a_reference_a_burn_is_the_fall_of_nbr(make_scene: MakeScene, run: Run) -> None:
    before = make_scene("before", surfaces("forest", "forest"))
    after = make_scene("after", surfaces("burn", "forest"))
    result = segment(after, "burned_area", run=run, reference=before)
    assert result.model == "dnbr"
    assert result.threshold == 0.27
    assert value(result, "area") == pytest.approx(LAKE_PIXELS / 100, rel=0.02)


def test_a_reference_of_another_place_is_refused(make_scene: MakeScene, run: Run) -> None:
    scene = make_scene("here", surfaces("water", "soil"))
    far = make_scene(
        "far", surfaces("water", "soil"), transform=Affine(10, 0, 300000, 0, -10, 4.2e6)
    )
    with pytest.raises(NoOverlapError, match="here"):
        segment(scene, "flooded_area", run=run, reference=far)


def test_without_crs_there_is_a_share_and_the_reason(make_scene: MakeScene, run: Run) -> None:
    scene = make_scene("photo", surfaces("water", "forest"), crs=None)
    result = segment(scene, "water", run=run)
    assert {each.name for each in result.measurements} == {
        "pixels", "share", "observed_share", "hidden_pixels",
    }  # fmt: skip
    assert any("no coordinate reference system" in text for text in result.warnings)
    collection = json.loads(Path(result.artefacts[1].path).read_text(encoding="utf-8"))
    assert "pixels" in collection["coordinates_are"]


def test_a_scene_of_one_pixel_is_measured(make_scene: MakeScene, run: Run) -> None:
    one = {
        name: np.full((1, 1), number, np.float32)
        for name, number in zip(NAMES, SPECTRA["water"], strict=True)
    }
    result = segment(make_scene("one", one), "water", run=run)
    assert value(result, "area") == pytest.approx(0.01, rel=1e-3)
    assert value(result, "share") == 100
    with Image.open(result.artefacts[2].path) as picture:
        assert picture.width > 200


def test_a_scene_without_any_valid_pixel_is_an_input_error(make_scene: MakeScene, run: Run) -> None:
    empty = {name: np.full((20, 30), np.nan, np.float32) for name in NAMES}
    with pytest.raises(InputError, match="no valid pixel"):
        segment(make_scene("empty", empty), "water", run=run)


def write_digital(path: Path, data: NDArray[np.uint8]) -> Path:
    profile = {"driver": "GTiff", "dtype": "uint8", "photometric": "minisblack"}
    profile |= dict(zip(("count", "height", "width"), data.shape, strict=True))
    transform = Affine(1, 0, 768269, 0, -1, 4057292)
    with rasterio.open(path, "w", crs="EPSG:26917", transform=transform, **profile) as file:
        file.write(data)
    return path


def digital(inside: tuple[int, ...], outside: tuple[int, ...]) -> NDArray[np.uint8]:
    """8-bit red, green, blue, near infrared of one surface in the rectangle LAKE of another."""
    random = np.random.default_rng(0)
    data = np.empty((len(inside), 120, 160))
    data[:] = np.array(outside)[:, None, None]
    data[:, LAKE[0], LAKE[1]] = np.array(inside)[:, None, None]
    return np.clip(data + random.normal(0, 4, data.shape), 1, 255).astype(np.uint8)


def test_uncalibrated_numbers_get_a_threshold_of_their_own_and_say_so(
    tmp_path: Path, run: Run
) -> None:
    path = write_digital(tmp_path / "naip.tif", digital((60, 80, 90, 25), (80, 110, 90, 200)))
    result = segment(open_scene(path, sensor="naip_rgbn"), "water", run=run)
    assert result.model == "ndwi_split"
    assert value(result, "area") == pytest.approx(LAKE_PIXELS / 1e4, rel=0.02)
    assert any("uncalibrated" in text for text in result.warnings)
    assert any("accuracy not measured" in text for text in result.warnings)


@pytest.mark.parametrize("outside", [(80, 110, 90, 200), (150, 130, 110, 160)])
def test_uncalibrated_numbers_without_water_are_refused_and_not_halved(
    tmp_path: Path, run: Run, outside: tuple[int, ...]
) -> None:
    path = write_digital(tmp_path / "naip.tif", digital((80, 110, 90, 200), outside))
    with pytest.raises(RefusalError, match=r"[Ww]ater"):
        segment(open_scene(path, sensor="naip_rgbn"), "water", run=run)


def test_radar_water_is_dark(make_scene: MakeScene, run: Run) -> None:
    random = np.random.default_rng(0)
    power = np.full((120, 160), 0.12)
    power[LAKE] = 0.008
    speckled = 10 * np.log10(power * random.gamma(4, 0.25, power.shape))
    scene = make_scene("s1", {"VV": speckled.astype(np.float32)}, sensor="sentinel1_grd")
    result = segment(scene, "water", run=run)
    assert result.model == "radar_vv_water"
    assert value(result, "area") == pytest.approx(LAKE_PIXELS / 100, rel=0.1)
    dry = np.full((120, 160), 0.12) * random.gamma(4, 0.25, power.shape)
    land = make_scene(
        "dry", {"VV": (10 * np.log10(dry)).astype(np.float32)}, sensor="sentinel1_grd"
    )
    with pytest.raises(RefusalError):
        segment(land, "water", run=run)


def test_a_colour_picture_lacks_the_band_for_burns_and_says_which(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 60, 3), np.uint8)).save(path)
    with pytest.raises(MissingBandError, match=r"lacks the band Near-Infrared.*sentinel2"):
        segment(open_scene(path), "burned_area", run=run)


def test_an_unknown_target_lists_those_there_are(make_scene: MakeScene, run: Run) -> None:
    scene = make_scene("scene", surfaces("water", "forest"))
    with pytest.raises(InputError, match=r"'volcano'.*water, flooded_area, vegetation"):
        segment(scene, "volcano", run=run)


def test_an_unknown_sensor_is_asked_for(tmp_path: Path, run: Run) -> None:
    path = write_digital(tmp_path / "five.tif", np.ones((5, 30, 30), np.uint8))
    with pytest.raises(ClarifyError) as caught:
        segment(open_scene(path), "water", run=run)
    assert caught.value.slot == "sensor"


def test_a_cancelled_run_leaves_no_file(make_scene: MakeScene, tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def progress(done: float, total: float | None, message: str) -> None:
        raise StopError

    store = Store(tmp_path / "workspace")
    scene = make_scene("scene", surfaces("water", "forest"))
    with (
        ThreadPoolExecutor(1) as executor,
        pytest.raises(StopError),
        Run(store, ("scene",), progress, executor) as stopped,
    ):
        segment(scene, "water", run=stopped)
    assert store.artefacts() == []
    assert not [path for path in (store.root / "artefacts").rglob("*") if path.is_file()]


REAL: dict[str, tuple[str, str | None, str, tuple[float, float]]] = {
    "pisa": ("oscd/images/pisa/imgs_1", None, "water", (0.8, 2.0)),
    "radar": ("scenes/pyroSAR_S1", None, "water", (15, 30)),
    "landsat 7": ("scenes/stars_L7_Olinda/L7_ETMs.tif", "landsat7", "water", (12, 20)),
    "chip": ("water_s2l8/images/11.tif", None, "water", (50, 75)),
    "forest": ("scenes/eurosat_ms/Forest_1.tif", None, "vegetation", (95, 100)),
}


def test_a_method_that_did_badly_where_it_was_measured_says_so_first(
    data_dir: Path, run: Run
) -> None:
    chip = data_dir / "scenes/potsdam_enmap/images/enmap_potsdam_tile_128_128.tif"
    result = segment(open_scene(chip), "tree_cover", run=run)
    assert result.warnings[0].startswith("This method agreed badly with the truth")
    assert "0.39" in result.warnings[0]


def test_what_was_measured_on_scenes_of_no_known_sensor_is_not_called_unmeasured(
    data_dir: Path, run: Run
) -> None:
    result = segment(open_scene(data_dir / "water_s2l8/images/10.tif"), "water", run=run)
    assert "IoU" in result.why
    assert not any("not measured" in each for each in result.warnings)


@pytest.mark.parametrize("name", REAL)
def test_real_scenes_give_a_plausible_share(data_dir: Path, run: Run, name: str) -> None:
    path, sensor, target, (low, high) = REAL[name]
    source: Any = data_dir / path
    if name == "radar":
        source = next(source.glob("*.tif"))
    result = segment(open_scene(source, sensor=sensor), target, run=run)
    assert low <= value(result, "share") <= high


def test_the_method_of_a_figure_is_short_and_of_the_result_complete(
    make_scene: MakeScene, run: Run
) -> None:
    result = segment(make_scene("lake", surfaces("water", "forest")), "water", run=run)
    area, share = result.measurements[:2]
    assert "doi:" in result.method
    assert "doi:" not in area.method
    assert "MNDWI > 0" in area.method
    assert share.method == "mndwi; share of the observed area"


def test_raw_numbers_are_explained_once(tmp_path: Path, run: Run) -> None:
    path = write_digital(tmp_path / "naip.tif", digital((60, 80, 90, 25), (80, 110, 90, 200)))
    result = segment(open_scene(path, sensor="naip_rgbn"), "water", run=run)
    explained = [text for text in result.warnings if "threshold" in text]
    assert len(explained) == 1
    assert "taken from the scene itself" in explained[0]


@pytest.mark.parametrize("size", [(3000, 1), (1, 3000)])
def test_a_strip_gives_a_picture_of_a_sensible_size(
    make_scene: MakeScene, run: Run, size: tuple[int, int]
) -> None:
    bands = {name: np.full(size, 0.1, np.float32) for name in NAMES}
    bands["B03"][:] = 0.2
    result = segment(make_scene("strip $x_{ $", bands), "water", run=run)
    with Image.open(result.artefacts[-1].path) as picture:
        assert max(picture.size) < 2000
        assert min(picture.size) > 100
