"""Captions, referring expressions and texts on changes, each from a set as small as can be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from terralogue.datasets.errors import InputError
from terralogue.datasets.registry import read_captions, read_changes, read_grounding, read_vqa
from terralogue.datasets.samples import Box


def picture(path: Path, width: int = 8, height: int = 8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), 90, np.uint8)).save(path)
    return path


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def entry(kind: str, question: str, truth: str, **more: Any) -> dict[str, Any]:
    return {
        "image_id": "P0_1.png", "question": question, "ground_truth": truth,
        "dataset": "RSBench", "question_id": 0, "type": kind, **more,
    }  # fmt: skip


@pytest.fixture
def vrsbench(tmp_path: Path) -> Path:
    picture(tmp_path / "Images_val" / "P0_1.png", width=200, height=100)
    write_json(
        tmp_path / "VRSBench_EVAL_vqa.json",
        [entry("object quantity", "How many ships?", "2"), entry("scene type", "What?", "Port")],
    )
    write_json(tmp_path / "VRSBench_EVAL_Cap.json", [entry("caption", "Describe", "A  port.")])
    write_json(
        tmp_path / "VRSBench_EVAL_referring.json",
        [entry("ref", "The left ship", "{<25><40><33><60>}", unique=False, obj_cls="ship")],
    )
    return tmp_path


def test_vrsbench_holds_questions_captions_and_boxes_side_by_side(vrsbench: Path) -> None:
    questions = read_vqa(vrsbench)
    assert questions.dataset == "vrsbench"
    assert [(item.kind, item.answer) for item in questions.items] == [
        ("object quantity", "2"), ("scene type", "Port"),
    ]  # fmt: skip
    (caption,) = read_captions(vrsbench).items
    assert (caption.name, caption.captions) == ("P0_1.png", ("A port.",))
    assert caption.path == vrsbench / "Images_val" / "P0_1.png"


def test_boxes_of_vrsbench_become_pixels_of_the_picture(vrsbench: Path) -> None:
    (item,) = read_grounding(vrsbench).items
    assert item.size == (200, 100)
    assert item.boxes == (Box(50, 40, 66, 60),)
    assert (item.expression, item.label, item.unique) == ("The left ship", "ship", False)


def test_a_broken_box_and_a_missing_picture_are_refused(vrsbench: Path) -> None:
    path = vrsbench / "VRSBench_EVAL_referring.json"
    write_json(path, [entry("ref", "The left ship", "25 40 33 60")])
    with pytest.raises(InputError, match="entry 1 has no box"):
        read_grounding(path)
    (vrsbench / "Images_val" / "P0_1.png").unlink()
    with pytest.raises(InputError, match=r"entry 1 refers to .*P0_1.png, which cannot be opened"):
        read_grounding(path)
    with pytest.raises(InputError, match="1 of the 1 pictures"):
        read_vqa(vrsbench)


def test_two_files_of_one_kind_ask_which(vrsbench: Path) -> None:
    write_json(vrsbench / "more.json", [entry("scene type", "What?", "Port")])
    with pytest.raises(InputError, match=r"several files .*VRSBench_EVAL_vqa.json, more.json"):
        read_vqa(vrsbench)


def test_gaia_is_read_from_what_img2dataset_wrote(tmp_path: Path) -> None:
    for number, split in ((0, "train"), (1, "validation")):
        stem = tmp_path / split / "00000" / f"{number:09}"
        picture(stem.with_suffix(".png"))
        content = {"url": "http://x", "id": number, "captions": ["Smoke  over a sea.", "Smoke."]}
        write_json(stem.with_suffix(".json"), content)
    write_json(tmp_path / "train" / "00000_stats.json", {"count": 1})
    samples = read_captions(tmp_path, "val")
    (item,) = samples.items
    assert (samples.dataset, item.name) == ("gaia", "validation/00000/000000001")
    assert item.captions == ("Smoke over a sea.", "Smoke.")
    assert item.path.name == "000000001.png"
    write_json(tmp_path / "train" / "00000" / "000000002.json", {"url": "http://x"})
    with pytest.raises(InputError, match=r"no \"captions\"; fetch with --save_additional_columns"):
        read_captions(tmp_path)


def test_a_picture_that_gaia_lost_is_missing(tmp_path: Path) -> None:
    write_json(tmp_path / "0.json", {"url": "http://x", "captions": ["Smoke."]})
    with pytest.raises(InputError, match="1 of the 1 pictures"):
        read_captions(tmp_path)


def test_chatearthnet_tells_its_split_by_the_name_of_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "json_files"
    picture(tmp_path / "s2_rgb_images" / "s2_images" / "a.png")
    picture(tmp_path / "s2_rgb_images" / "s2_images" / "b.png")
    write_json(folder / "ChatEarthNet_caps_35_train.json", [{"image": "a.png", "caption": "Sand."}])
    test = [{"image_id": "b.png", "caption": ["Snow.", "Ice."]}]
    write_json(folder / "ChatEarthNet_caps_35_test.json", test)
    samples = read_captions(tmp_path)
    assert (samples.dataset, len(samples.items), len(samples.companions)) == ("chatearthnet", 2, 1)
    (item,) = read_captions(tmp_path, "test").items
    assert item.captions == ("Snow.", "Ice.")
    write_json(folder / "ChatEarthNet_caps_4v_test.json", test)
    with pytest.raises(InputError, match="several versions"):
        read_captions(tmp_path)
    write_json(folder / "ChatEarthNet_caps_4v_test.json", [{"image_id": "b.png"}])
    with pytest.raises(InputError, match='entry 1 has no "image" with a "caption"'):
        read_captions(folder / "ChatEarthNet_caps_4v_test.json")


def levir_entry(name: str, split: str, *sentences: str, **more: Any) -> dict[str, Any]:
    return {
        "filename": name, "filepath": split, "split": split,
        "sentences": [{"raw": sentence} for sentence in sentences], **more,
    }  # fmt: skip


def test_levir_cc_says_what_changed_between_two_pictures(tmp_path: Path) -> None:
    for date in "AB":
        picture(tmp_path / "images" / "train" / date / "train_000001.png")
        picture(tmp_path / "images" / "test" / date / "test_000004.png")
    path = write_json(
        tmp_path / "LevirCCcaptions.json",
        {"images": [
            levir_entry("train_000001.png", "train", " a  road is built .", changeflag=1),
            levir_entry("test_000004.png", "test", "no change .", changeflag=0),
        ]},
    )  # fmt: skip
    for source in (tmp_path, path):
        samples = read_changes(source)
        assert (samples.dataset, len(samples.items)) == ("levir_cc", 2)
    built, same = samples.items
    assert (built.captions, built.changed) == (("a road is built .",), True)
    assert [picture.parent.name for picture in built.pictures] == ["A", "B"]
    assert (same.changed, same.split) == (False, "test")
    with pytest.raises(InputError, match="captions of changes between dates"):
        read_captions(tmp_path)


def test_pairs_that_are_not_complete_are_refused(tmp_path: Path) -> None:
    picture(tmp_path / "train" / "A" / "x.png")
    path = tmp_path / "LevirCCcaptions.json"
    write_json(path, {"images": [levir_entry("x.png", "train", "a road .")]})
    with pytest.raises(InputError, match=r"1 of the 2 pictures .*train/B/x"):
        read_changes(path)
    write_json(path, {"images": [levir_entry("x.png", "train")], "note": '"sentences"'})
    with pytest.raises(InputError, match='image 1 has no "sentences"'):
        read_changes(path)


def test_texts_of_dvl_bench_describe_series(tmp_path: Path) -> None:
    names = [f"images/ames/0/x_{year}.png" for year in (2006, 2011, 2019)]
    for name in names:
        picture(tmp_path / "test" / name)
    row = {"image_list": names, "time_stamps": ["2006", "2011", "2019"], "ground_truth": "Grew."}
    write_json(tmp_path / "test" / "dense_temporal_caption.json", [row])
    samples = read_changes(tmp_path)
    (item,) = samples.items
    assert (samples.dataset, item.kind, item.split) == ("dvl_bench", "DTC", "test")
    assert (len(item.pictures), item.dates) == (3, ("2006", "2011", "2019"))
    assert item.name == "test/dense_temporal_caption_0"
    write_json(tmp_path / "test" / "regional_caption.json", [{**row, "time_stamps": ["2006"]}])
    with pytest.raises(InputError, match="3 pictures and 1 dates"):
        read_changes(tmp_path)


def test_a_place_without_boxes_or_changes_says_what_is_known(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no referring expressions .* VRSBench"):
        read_grounding(tmp_path)
    with pytest.raises(InputError, match=r"no captions of changes .* LEVIR-CC"):
        read_changes(tmp_path)
