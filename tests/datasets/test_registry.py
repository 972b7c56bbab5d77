"""Readers of benchmark data: layouts told from content, splits, mistakes in one sentence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from terralogue.datasets.errors import InputError
from terralogue.datasets.registry import DATASETS, get_dataset, read_captions, read_labels


def picture(path: Path, colour: tuple[int, int, int] = (90, 120, 60)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8, 3), colour, np.uint8)).save(path)
    return path


def entry(filename: str, *captions: str, split: str = "train", **more: Any) -> dict[str, Any]:
    sentences = [{"raw": caption} for caption in captions or ("a lake .",)]
    return {"filename": filename, "split": split, "sentences": sentences, **more}


def write_json(path: Path, images: Sequence[Any], name: str = "rsicd") -> Path:
    path.write_text(json.dumps({"dataset": name, "images": images}), encoding="utf-8")
    return path


@pytest.fixture
def rsicd(tmp_path: Path) -> Path:
    for number in (10, 65, 170):
        picture(tmp_path / "RSICD_images" / f"pond_{number}.png")
    write_json(
        tmp_path / "dataset_rsicd.json",
        [
            entry("pond_10.jpg", "a  green pond .", "a pond .", label="Pond"),
            entry("pond_65.jpg", split="val", label="Pond"),
            entry("pond_170.jpg", split="test", label="Lake"),
        ],
    )
    return tmp_path


def test_captions_are_read_from_a_file_or_its_folder_and_re_encoded_pictures_are_found(
    rsicd: Path,
) -> None:
    for path in (rsicd, rsicd / "dataset_rsicd.json"):
        samples = read_captions(path)
        assert (samples.dataset, len(samples.items)) == ("rsicd", 3)
        first = samples.items[0]
        assert first.path == rsicd / "RSICD_images" / "pond_10.png"
        assert first.captions == ("a green pond .", "a pond .")
        assert (first.name, first.label, first.split) == ("pond_10.jpg", "Pond", "train")


def test_a_split_is_the_data_s_own_or_one_that_was_cut_by_runs_of_numbers(rsicd: Path) -> None:
    def names(split: str | None) -> list[str]:
        return [item.name for item in read_captions(rsicd, split).items]

    assert names("val") == ["pond_65.jpg"]
    assert names("all") == names(None)
    assert names("own:val") == ["pond_65.jpg"]
    assert names("own:test") == ["pond_170.jpg"]
    with pytest.raises(InputError, match="takes: test, train, val, all"):
        names("dev")


def test_only_the_pictures_of_the_chosen_split_have_to_be_there(rsicd: Path) -> None:
    (rsicd / "RSICD_images" / "pond_10.png").unlink()
    assert len(read_captions(rsicd, "test").items) == 1
    with pytest.raises(InputError, match=r"1 of the 3 pictures .* missing, the first is .*pond_10"):
        read_captions(rsicd)


def test_labels_of_a_caption_file_make_a_classification_set(rsicd: Path) -> None:
    samples = read_labels(rsicd)
    assert [item.label for item in samples.items] == ["Pond", "Pond", "Lake"]
    write_json(rsicd / "dataset_rsicd.json", [entry("pond_10.jpg")])
    with pytest.raises(InputError, match='no "label" for 1 of its 1 images'):
        read_labels(rsicd)


def test_pictures_may_lie_in_class_folders_below_the_caption_file(tmp_path: Path) -> None:
    picture(tmp_path / "UCMerced_LandUse" / "Images" / "beach" / "beach01.png")
    write_json(tmp_path / "dataset_ucm.json", [entry("beach/beach01.tif")], "ucm_captions")
    samples = read_captions(tmp_path)
    assert samples.dataset == "ucm"
    assert samples.items[0].path.name == "beach01.png"


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], 'no list "images"'),
        ([{"split": "train"}], r'image 1 has no "filename"'),
        ([{"filename": "a.png", "sentences": [{"raw": " "}]}], r"image 1 \(a.png\) has no caption"),
        ([entry("../secret.png")], "points outside the data set"),
        ([entry("a.png"), entry("a.png")], "lists a.png twice"),
    ],
)
def test_a_caption_file_that_does_not_follow_the_layout_is_refused(
    tmp_path: Path, images: list[Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_captions(write_json(tmp_path / "captions.json", images))


def test_broken_json_and_absent_or_several_files_are_refused(rsicd: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"images": [', encoding="utf-8")
    with pytest.raises(InputError, match="not valid JSON"):
        read_captions(broken)
    with pytest.raises(InputError, match="does not exist"):
        read_captions(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no captions"):
        read_captions(rsicd / "RSICD_images")
    write_json(rsicd / "second.json", [entry("pond_10.jpg")])
    with pytest.raises(InputError, match=r"several caption files \(dataset_rsicd.json, second"):
        read_captions(rsicd)


def test_class_folders_are_read_in_order_of_number_whatever_lies_around_them(
    tmp_path: Path,
) -> None:
    for name in ("b/b10.png", "b/b9.png", "a/a1.tif", "__MACOSX/a/a1.png", "a/.hidden.png"):
        picture(tmp_path / "outer" / "2750" / name)
    samples = read_labels(tmp_path)
    assert [Path(item.name).name for item in samples.items] == ["a1.tif", "b9.png", "b10.png"]
    assert [item.label for item in samples.items] == ["a", "b", "b"]
    assert samples.dataset is None
    with pytest.raises(InputError, match="not a data set that parts were cut for"):
        read_labels(tmp_path, "own:val")


def test_folders_around_the_classes_may_name_splits(tmp_path: Path) -> None:
    for name in ("train/a/1.png", "train/b/1.png", "validation/a/2.png", "test/b/3.png"):
        picture(tmp_path / name)
    assert len(read_labels(tmp_path, "train").items) == 2
    assert [item.name for item in read_labels(tmp_path, "val").items] == ["validation/a/2.png"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((), "holds no pictures"),
        (("1.png",), "lies in no class folder"),
        (("images/1.png", "masks/1.png"), "holds no class folders"),
        (("only/1.png",), "two or more classes"),
    ],
)
def test_a_folder_that_is_no_classification_set_is_refused(
    tmp_path: Path, files: tuple[str, ...], message: str
) -> None:
    for name in files:
        picture(tmp_path / name)
    with pytest.raises(InputError, match=message):
        read_labels(tmp_path)


def test_a_limit_takes_samples_from_all_over_the_set(tmp_path: Path) -> None:
    for number in range(10):
        picture(tmp_path / ("a" if number < 5 else "b") / f"{number}.png")
    limited = read_labels(tmp_path).limited(4)
    assert [item.label for item in limited.items] == ["a", "a", "b", "b"]
    with pytest.raises(InputError, match="above 0"):
        read_labels(tmp_path).limited(0)


def test_an_unknown_data_set_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="rsicd, rsitmd, sydney, ucm, eurosat"):
        get_dataset("imagenet")
    assert get_dataset("eurosat") is DATASETS["eurosat"]


@pytest.mark.parametrize(
    ("folder", "key", "classes"),
    [("rsicd", "rsicd", 30), ("ucm", "ucm", 21), ("rsscn7", "rsscn7", 7),
     ("eurosat_rgb", "eurosat", 10)],
)  # fmt: skip
def test_real_data_sets_are_recognised_and_cut_in_three(
    data_dir: Path, folder: str, key: str, classes: int
) -> None:
    samples = read_labels(data_dir / folder)
    assert samples.dataset == key
    assert len({item.label for item in samples.items}) == classes
    parts = [samples.chosen(f"own:{name}").items for name in ("train", "val", "test")]
    assert sum(map(len, parts)) == len(samples.items)
    for part in parts:
        # UC Merced here has no agricultural80 to 89.
        assert len({item.label for item in part}) >= classes - 1
