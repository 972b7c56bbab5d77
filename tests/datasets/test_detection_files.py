"""Detection data are read from COCO's, PASCAL VOC's and DOTA's layouts."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from terralogue.datasets.detection_files import read_detection, target_of
from terralogue.datasets.errors import InputError

REAL = os.environ.get("TERRALOGUE_DATA")
COCO: dict[str, Any] = {
    "images": [{"id": 7, "file_name": "a_031.png", "width": 32, "height": 32}],
    "categories": [{"id": 1, "name": "oiltank"}, {"id": 2, "name": "overpass"}],
    "annotations": [
        {"image_id": 7, "category_id": 1, "bbox": [4, 5, 10, 6], "iscrowd": 0},
        {"image_id": 7, "category_id": 2, "bbox": [0, 0, 3.5, 2], "iscrowd": 1},
    ],
}
VOC = """<annotation><filename>plot.png</filename>
<object><name>car</name><difficult>1</difficult>
<bndbox><xmin>3</xmin><ymin>4</ymin><xmax>9</xmax><ymax>20</ymax></bndbox></object>
</annotation>"""


def write_picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(path)


def write_coco(folder: Path, content: dict[str, Any] = COCO) -> None:
    write_picture(folder / "images" / "a_031.png")
    (folder / "annotations.json").write_text(json.dumps(content), encoding="utf-8")


def test_boxes_of_coco_have_edges_and_crowds_are_skipped(tmp_path: Path) -> None:
    write_coco(tmp_path)
    samples = read_detection(tmp_path)
    assert samples.dataset == "rsod"
    (item,) = samples.items
    assert item.boxes == ((4, 5, 14, 11), (0, 0, 3.5, 2))
    assert item.labels == ("oiltank", "overpass")
    assert item.skipped == (False, True)
    assert item.path == tmp_path / "images" / "a_031.png"


def test_our_own_parts_are_those_of_the_numbers_in_the_names(tmp_path: Path) -> None:
    write_coco(tmp_path)
    assert read_detection(tmp_path, "own:val").items[0].name == "a_031.png"
    with pytest.raises(InputError, match="has no split 'own:test'"):
        read_detection(tmp_path, "own:test")


def test_folders_of_places_are_one_set_and_bands_are_one_scene(tmp_path: Path) -> None:
    content = {**COCO, "images": [{"id": 7, "file_name": "B02.jp2"}]}
    for port in ("athens", "klang"):
        (tmp_path / port).mkdir()
        (tmp_path / port / "B02.jp2").touch()
        (tmp_path / port / "annotations.json").write_text(json.dumps(content), encoding="utf-8")
    items = read_detection(tmp_path).items
    assert [item.place for item in items] == ["athens", "klang"]
    assert items[0].path == tmp_path / "athens"


def test_boxes_of_voc_are_read_beside_their_pictures(tmp_path: Path) -> None:
    write_picture(tmp_path / "site" / "plot.png")
    (tmp_path / "site" / "plot.xml").write_text(VOC, encoding="utf-8")
    (item,) = read_detection(tmp_path).items
    assert item.boxes == ((3, 4, 9, 20),)
    assert (item.labels, item.skipped) == (("car",), (True,))


def test_oriented_boxes_of_dota_become_the_upright_ones_around_them(tmp_path: Path) -> None:
    write_picture(tmp_path / "images" / "P1.png")
    labels = tmp_path / "labelTxt"
    labels.mkdir()
    lines = ["imagesource:GoogleEarth", "gsd:0.25", "10 2 18 10 10 18 2 10 small-vehicle 1"]
    (labels / "P1.txt").write_text("\n".join(lines), encoding="utf-8")
    (labels / "P2.txt").write_text(lines[2], encoding="utf-8")
    (item,) = read_detection(tmp_path).items
    assert item.boxes == ((2, 2, 18, 18),)
    assert target_of(item.labels[0]) == "vehicle"
    assert item.skipped == (True,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"annotations": [{"image_id": 7, "category_id": 9, "bbox": [1, 2, 3, 4]}]}, "KeyError"),
        ({"annotations": [{"image_id": 7, "category_id": 1, "bbox": [1, 2]}]}, "ValueError"),
        ({"annotations": []}, "has no boxes"),
        ({"images": [{"id": 7, "file_name": "../secret.png"}]}, "points outside"),
        ({"images": [{"id": 7, "file_name": "gone.png"}]}, "missing"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    write_coco(tmp_path, {**COCO, **change})
    with pytest.raises(InputError, match=message):
        read_detection(tmp_path)


def test_a_folder_without_boxes_names_the_layouts_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"COCO.*PASCAL VOC.*DOTA"):
        read_detection(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        read_detection(tmp_path / "nowhere")


@pytest.mark.parametrize(("label", "target"), [
    ("oiltank", "storage_tank"), ("Tennis-Court", "tennis_court"), ("plane", "aircraft"),
    ("Tree\\", "tree"), ("roundabout", "roundabout"),
])  # fmt: skip
def test_classes_of_data_sets_are_targets(label: str, target: str) -> None:
    assert target_of(label) == target


@pytest.mark.skipif(REAL is None, reason="TERRALOGUE_DATA is not set")
@pytest.mark.parametrize(
    ("folder", "pictures", "boxes"),
    [("nwpu_vhr10", 308, 1937), ("rsod", 238, 1574), ("neon_trees", 52, 805),
     ("sen2ships", 6, 192), ("scenes/DOTA_examples", 2, 600)],
)  # fmt: skip
def test_real_sets_are_read_whole(folder: str, pictures: int, boxes: int) -> None:
    samples = read_detection(Path(REAL or "") / folder)
    assert len(samples.items) == pictures
    assert sum(len(item.boxes) for item in samples.items) == boxes
