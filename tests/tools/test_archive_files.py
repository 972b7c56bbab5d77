"""Which scenes lie in folders: files that belong together, and what is no scene."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from terralogue.datasets.errors import SceneError
from terralogue.tools.archive_files import LeftOut, Unit, find_units


def touch(folder: Path, *names: str) -> None:
    """Files with a little content; what they are is told by their names alone."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def found(*paths: Path) -> dict[str, int]:
    """Key of each scene, relative to the first path, and how many files it is opened by."""
    base = paths[0] if paths[0].is_dir() else paths[0].parent
    units = [item for item in find_units(paths) if isinstance(item, Unit)]
    return {
        os.path.relpath(unit.key, base): len(unit.source) if isinstance(unit.source, tuple) else 1
        for unit in units
    }


def test_every_picture_is_a_scene_in_whatever_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a.tif", "b/c.webp", "b/d/e.JPG", "b/notes.txt", ".hidden/f.tif", "b/.g.png")
    assert found(tmp_path) == {"a.tif": 1, "b/c.webp": 1, "b/d/e.JPG": 1}


def test_a_folder_with_the_bands_of_one_acquisition_is_one_scene(tmp_path: Path) -> None:
    bands = [f"LC08_L2SP_044034_20210508_02_T1_SR_B{n}.TIF" for n in range(1, 8)]
    touch(tmp_path, *(f"landsat/{name}" for name in bands))
    touch(tmp_path, "landsat/LC08_L2SP_044034_20210508_02_T1_MTL.txt")
    touch(tmp_path, "landsat/LC08_L2SP_044034_20210508_02_T1_QA_PIXEL.TIF")
    assert found(tmp_path) == {"landsat": 1}


def test_bands_beside_other_images_are_one_scene_with_their_metadata(tmp_path: Path) -> None:
    touch(
        tmp_path, "S_B02.tif", "S_B03.tif", "S_B04.tif", "S_SCL.tif", "S_preview.png", "S_MTL.txt"
    )
    touch(tmp_path, "town.png", "T_B02.tif", "T_B03.tif")
    assert found(tmp_path) == {"s": 5, "t": 2, "town.png": 1}


def test_a_file_stands_for_the_scene_that_it_belongs_to(tmp_path: Path) -> None:
    touch(tmp_path, "only/S_B02.tif", "only/S_B03.tif")
    assert found(tmp_path / "only" / "S_B02.tif") == {".": 1}
    touch(tmp_path, "S_B02.tif", "S_B03.tif", "other.png")
    assert found(tmp_path / "S_B03.tif", tmp_path / "S_B02.tif") == {"s": 2}


def test_a_safe_folder_is_one_scene(tmp_path: Path) -> None:
    name = "S2A_MSIL1C_20200101T000000_N0208_R022_T32TQM_20200101T000000.SAFE"
    touch(tmp_path, f"{name}/GRANULE/L1C/IMG_DATA/T32TQM_20200101T000000_B02.jp2")
    touch(tmp_path, f"{name}/manifest.safe")
    assert found(tmp_path) == {name: 1}


def test_an_envi_file_without_a_suffix_is_a_scene(tmp_path: Path) -> None:
    touch(tmp_path, "2003TM", "2003TM.HDR", "README", "table.dat", "table.dat.hdr")
    assert found(tmp_path) == {"2003TM": 1, "table.dat": 1}


def test_answers_and_previews_are_left_out_with_a_reason(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "gt.png", "change.bmp", "preview.png", "labels/a.png", "x/masks/a.png")
    items = list(find_units([tmp_path]))
    left = {os.path.relpath(item.path, tmp_path) for item in items if isinstance(item, LeftOut)}
    assert left == {"gt.png", "change.bmp", "preview.png", "labels", "x/masks"}
    assert found(tmp_path) == {"a.png": 1}


def test_what_is_given_twice_is_found_once(tmp_path: Path) -> None:
    touch(tmp_path, "b/c.png")
    assert found(tmp_path, tmp_path / "b", tmp_path / "b" / "c.png") == {"b/c.png": 1}


def test_the_stamp_changes_with_any_file_of_a_scene(tmp_path: Path) -> None:
    touch(tmp_path, "S_B02.tif", "S_B03.tif")

    def stamp() -> str:
        (unit,) = find_units([tmp_path])
        assert isinstance(unit, Unit)
        return unit.stamp

    before = stamp()
    assert stamp() == before
    (tmp_path / "S_B03.tif").write_bytes(b"longer")
    assert stamp() != before


def test_a_path_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="does not exist"):
        list(find_units([tmp_path / "none"]))


def test_real_folders_are_told_apart(data_dir: Path) -> None:
    assert len(found(data_dir / "oscd")) == 28
    assert found(data_dir / "scenes" / "rasterframes_L8_NAIP") == {
        "l8 elkton va": 12,
        "naip va": 4,
        "m_3607824_se_17_1_20160620_subset.tif": 1,
    }
