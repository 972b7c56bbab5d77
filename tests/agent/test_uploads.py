from __future__ import annotations

from pathlib import Path

import pytest

from terralogue.agent.uploads import grouped, sort_uploads
from terralogue.datasets.errors import InputError


def test_every_raster_is_a_scene_of_its_own() -> None:
    found = sort_uploads(["a/before.tif", "a/after.tif", "a/photo.png"])
    assert [len(scene) for scene in found.scenes] == [1, 1, 1]
    assert found.region is None


def test_one_band_files_of_one_acquisition_are_one_scene() -> None:
    product = "LC08_L2SP_195026_20200101_20200113_02_T1_SR_B{}.TIF"
    found = sort_uploads([product.format(band) for band in (2, 3, 4)])
    assert len(found.scenes) == 1
    assert len(found.scenes[0]) == 3


def test_band_files_of_two_dates_are_two_scenes() -> None:
    files = [f"T40QBM_{day}T065919_{b}.jp2" for day in (20160120, 20180328) for b in ("B03", "B08")]
    found = sort_uploads(files)
    assert [len(scene) for scene in found.scenes] == [2, 2]


def test_a_header_goes_with_its_raster() -> None:
    found = sort_uploads(["one.img", "two.img", "two.hdr", "three", "three.hdr"])
    assert [{path.name for path in scene} for scene in found.scenes] == [
        {"one.img"},
        {"two.img", "two.hdr"},
        {"three", "three.hdr"},
    ]


def test_landsat_metadata_goes_with_its_bands() -> None:
    found = sort_uploads(["photo.png", "LC08_X_B4.TIF", "LC08_X_B5.TIF", "LC08_X_MTL.txt"])
    assert [len(scene) for scene in found.scenes] == [1, 3]


def test_geojson_is_the_region() -> None:
    found = sort_uploads(["scene.tif", "field.geojson"])
    assert found.region == Path("field.geojson")
    assert len(found.scenes) == 1


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (["a.geojson", "b.json"], "one GeoJSON file at a time"),
        (["scene.exe"], "is no image that can be read"),
        (["scene.tif", "other.hdr"], "belongs to no uploaded image"),
    ],
)
def test_what_belongs_nowhere_is_told(files: list[str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        sort_uploads(files)


def test_one_band_files_of_one_folder_are_one_scene_and_folders_stay_apart(tmp_path: Path) -> None:
    for name in ("before/B03.tif", "before/B04.tif", "after/B03.tif", "after/B04.tif", "a.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    before = [str(tmp_path / "before" / name) for name in ("B03.tif", "B04.tif")]
    after = [str(tmp_path / "after" / name) for name in ("B03.tif", "B04.tif")]
    single, folder = str(tmp_path / "a.tif"), str(tmp_path / "before")
    found = grouped([*before, *after, single, folder])
    assert found == [before, after, single, folder]
