"""Questions of public benchmarks, each read from the smallest set in its layout."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from terralogue.datasets.errors import InputError
from terralogue.datasets.multiple_choice import bare_options, letters, split_options
from terralogue.datasets.parts import part
from terralogue.datasets.pictures import read_picture
from terralogue.datasets.registry import DATASETS, read_captions, read_vqa
from terralogue.datasets.vqa_buckets import area_bucket, bucket, count_bucket

Write = Callable[..., Path]


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8, 3), 90, np.uint8)).save(path)
    return path


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def write_triple(folder: Path, stem: str, images: Any, questions: Any, answers: Any) -> None:
    content = {"images": images, "questions": questions, "answers": answers}
    for what, rows in content.items():
        write_json(folder / f"{stem}_{what}.json", {what: rows})


def asked(number: int, image: int, kind: str, question: str, **more: Any) -> dict[str, Any]:
    return {
        "id": number, "img_id": image, "type": kind, "question": question,
        "answers_ids": [number], "active": True, **more,
    }  # fmt: skip


def answered(number: int, answer: str) -> dict[str, Any]:
    return {"id": number, "question_id": number, "answer": answer, "active": True}


@pytest.fixture
def rsvqa(tmp_path: Path) -> Path:
    for number in (9, 38):
        picture(tmp_path / "Images_LR" / f"{number}.png")
    idle = {"id": 1, "active": False}
    write_triple(
        tmp_path,
        "LR_split_train",
        [{"id": 9, "active": True}, idle, {"id": 38, "active": True}],
        [asked(0, 9, "rural_urban", "Is it a rural or an urban area"), idle,
         asked(2, 38, "count", "What is the number of  roads?")],
        [answered(0, "urban"), idle, answered(2, "17")],
    )  # fmt: skip
    write_triple(
        tmp_path,
        "LR_split_test",
        [{"id": 38, "active": True}],
        [asked(7, 38, "presence", "Is a road present?")],
        [answered(7, "yes")],
    )
    return tmp_path


def test_rsvqa_is_read_from_three_files_a_split_without_what_is_not_active(rsvqa: Path) -> None:
    samples = read_vqa(rsvqa)
    assert samples.dataset == "rsvqa_lr"
    assert [item.name for item in samples.items] == [
        "LR_split_test/7", "LR_split_train/0", "LR_split_train/2",
    ]  # fmt: skip
    roads = samples.items[2]
    assert (roads.question, roads.answer, roads.kind) == (
        "What is the number of roads?", "17", "count",
    )  # fmt: skip
    assert roads.pictures == (rsvqa / "Images_LR" / "38.png",)
    assert [item.split for item in read_vqa(rsvqa, "test").items] == ["test"]
    assert len(samples.companions) == 5


def test_one_questions_file_is_enough_to_name_its_split(rsvqa: Path) -> None:
    samples = read_vqa(rsvqa / "LR_split_test_questions.json")
    assert [item.answer for item in samples.items] == ["yes"]


def test_files_of_everything_do_not_repeat_the_splits(rsvqa: Path) -> None:
    write_triple(
        rsvqa,
        "all",
        [{"id": 9, "active": True}],
        [asked(0, 9, "count", "How many?")],
        [answered(0, "1")],
    )
    assert len(read_vqa(rsvqa).items) == 3
    assert read_vqa(rsvqa / "all_questions.json").items[0].split is None


def test_own_parts_never_split_the_questions_of_a_picture(rsvqa: Path) -> None:
    assert {item.place for item in read_vqa(rsvqa, "own:val").items} == {"38"}
    assert len(read_vqa(rsvqa, "own:val").items) == 2
    assert {item.place for item in read_vqa(rsvqa, "own:train").items} == {"9"}


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (("LR_split_test_answers.json", {"answers": [answered(1, "no")]}), "answers_ids"),
        (("LR_split_test_images.json", {"images": [{"id": 9}]}), 'an "img_id" that'),
        (("LR_split_test_images.json", {"images": [{"active": True}]}), 'has no "id"'),
        (("LR_split_test_questions.json", {"questions": [{"id": 1, "active": False}]}),
         "no active entries"),
        (("LR_split_test_questions.json", ["?"]), 'no list "questions"'),
    ],
)  # fmt: skip
def test_rsvqa_files_that_do_not_meet_are_refused(
    rsvqa: Path, broken: tuple[str, Any], message: str
) -> None:
    write_json(rsvqa / broken[0], broken[1])
    with pytest.raises(InputError, match=message):
        read_vqa(rsvqa)


def test_a_missing_file_or_picture_of_rsvqa_is_named(rsvqa: Path) -> None:
    (rsvqa / "Images_LR" / "9.png").unlink()
    with pytest.raises(InputError, match=r"1 of the 2 pictures .* missing, the first is .*9"):
        read_vqa(rsvqa)
    (rsvqa / "LR_split_train_answers.json").unlink()
    with pytest.raises(InputError, match=r"train_answers.json is missing, .* answers of LR_split"):
        read_vqa(rsvqa)


@pytest.mark.parametrize(
    ("answer", "published"),
    [
        ("0", "0"), ("1", "between 0 and 10"), ("10", "between 0 and 10"),
        ("11", "between 10 and 100"), ("1000", "between 100 and 1000"), ("1001", "more than 1000"),
        ("0m2", "0m2"), ("7m2", "between 0m2 and 10m2"), ("10632m2", "more than 1000m2"),
        ("yes", "yes"), ("rural", "rural"),
    ],
)  # fmt: skip
def test_counts_and_areas_fall_into_the_published_buckets(answer: str, published: str) -> None:
    assert bucket(answer) == published


def test_buckets_of_numbers_are_those_of_answers() -> None:
    assert count_bucket(100) == bucket("100")
    assert area_bucket(101) == bucket("101m2")


def test_cdvqa_asks_about_the_two_dates_of_a_place(tmp_path: Path) -> None:
    for date in ("im1", "im2"):
        picture(tmp_path / "SECOND" / date / "02180.png")
    write_triple(
        tmp_path,
        "Val",
        [{"id": 0, "file_name": "02180.png", "questions_ids": [0], "active": True}],
        [asked(0, 0, "change_ratio", "What is the percentage of changed areas?")],
        [answered(0, "0_to_10")],
    )
    samples = read_vqa(tmp_path)
    (item,) = samples.items
    assert (samples.dataset, item.split, item.place) == ("cdvqa", "val", "02180.png")
    assert [path.parent.name for path in item.pictures] == ["im1", "im2"]
    assert item.answer == "0_to_10"


def test_rsivqa_lines_are_picture_question_and_answer(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "P2802.png")
    (tmp_path / "dota_val_vqa2.txt").write_text(
        "P2802: how many planes are there in this picture?32\n\n"
        "P2802: does this picture contain ship?no\n",
        encoding="utf-8",
    )
    samples = read_vqa(tmp_path)
    assert samples.dataset == "rsivqa"
    assert [(item.kind, item.answer) for item in samples.items] == [
        ("count", "32"), ("presence", "no"),
    ]  # fmt: skip
    assert samples.items[0].pictures == (tmp_path / "images" / "P2802.png",)
    with pytest.raises(InputError, match="no parts of 'rsivqa'"):
        read_vqa(tmp_path, "own:val")


def test_rsivqa_on_class_folders_has_the_parts_of_uc_merced(tmp_path: Path) -> None:
    for number in (5, 35):
        picture(tmp_path / "Images" / "beach" / f"beach{number:02}.png")
    rows = [
        {"image": f"beach/beach{number:02}.tif", "question": "How many cars in the picture?",
         "answer": "two"}
        for number in (5, 35)
    ]  # fmt: skip
    write_json(tmp_path / "rsivqa_ucm_train.json", rows)
    assert [item.place for item in read_vqa(tmp_path, "own:val").items] == ["beach/beach35.tif"]
    assert part("ucm", "beach35.tif") == "val"


def test_a_line_of_rsivqa_that_is_no_question_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ucm_res.txt"
    path.write_text("1.tif:Is it?yes\nnothing\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 2 is not picture:question"):
        read_vqa(path)
    path.write_text("../1.tif:Is it?yes\n", encoding="utf-8")
    with pytest.raises(InputError, match="points outside"):
        read_vqa(path)


def geobench_entry(**more: Any) -> dict[str, Any]:
    return {
        "image_path": "images/a.png", "prompts": ["What is it?", "Name it."],
        "ground_truth": "ship", "ground_truth_option": "B.", "task": "Ship Type",
        "options_list": ["A. pier", "B. ship"], "options": "A. pier B. ship",
        "question_id": 1, "cls_description": "", **more,
    }  # fmt: skip


def test_every_prompt_of_geobench_is_a_question_with_bare_options(tmp_path: Path) -> None:
    for name in ("a", "b"):
        picture(tmp_path / "images" / f"{name}.png")
    write_json(tmp_path / "Single" / "qa.json", [geobench_entry()])
    dates = ["images/a.png", "images/b.png"]
    write_json(
        tmp_path / "Temporal" / "qa.json",
        [geobench_entry(image_path=dates, prompts=["Damage?"], cls_description="Choose.")],
    )
    samples = read_vqa(tmp_path)
    assert samples.dataset == "geobench_vlm"
    assert [item.name for item in samples.items] == ["single/0/0", "single/0/1", "temporal/0/0"]
    first, _, last = samples.items
    assert (first.options, first.answer, first.kind) == (("pier", "ship"), "B", "Ship Type")
    assert (last.question, len(last.pictures)) == ("Choose. Damage?", 2)
    assert len(read_vqa(tmp_path / "Single" / "qa.json").items) == 2
    write_json(tmp_path / "Single" / "qa.json", [geobench_entry(ground_truth_option="C")])
    with pytest.raises(InputError, match="no letter of its options"):
        read_vqa(tmp_path)


def test_dvl_bench_asks_about_years_of_a_city(tmp_path: Path) -> None:
    names = [f"images/ames/0/x_{year}.png" for year in (2006, 2011)]
    for name in names:
        picture(tmp_path / "test" / name)
    series = {"image_list": names, "time_stamps": ["2006-07", "2011-08"]}
    choice = {
        "task_type": "Multiple choice", "prompts": "What grew?",
        "options_str": "A. houses\nB. roads\nC. trees", "ground_truth_option": "C, A",
    }  # fmt: skip
    write_json(tmp_path / "test" / "basic_change_choice_qa.json", [{**choice, **series}])
    eco = {"image_path": names[0], "prompts": "Is it green?", "options_str": "yes or no",
           "ground_truth_option": "A"}  # fmt: skip
    write_json(tmp_path / "test" / "eco_assessment.json", [eco])
    samples = read_vqa(tmp_path)
    assert (samples.dataset, {item.split for item in samples.items}) == ("dvl_bench", {"test"})
    grew, green = samples.items
    assert grew.kind == "BCA-QA multiple"
    assert (grew.options, grew.answer) == (("houses", "roads", "trees"), "A, C")
    assert (grew.dates, grew.place) == (("2006", "2011"), "images/ames/0")
    assert (green.kind, green.question, green.options) == ("EA", "Is it green? yes or no", ())
    write_json(tmp_path / "test" / "eco_assessment.json", [{**eco, "task_type": "Essay"}])
    with pytest.raises(InputError, match="'Essay'; known are: Single choice, Multiple choice"):
        read_vqa(tmp_path)


def test_options_are_told_apart_only_by_letters_that_follow_each_other() -> None:
    assert split_options("A) a road B) a U. S. base, C) grass") == (
        "a road", "a U. S. base", "grass",
    )  # fmt: skip
    assert split_options("yes or no") == ()
    assert bare_options(["a. pier", "a. ship"]) == ("a. pier", "a. ship")
    assert letters("(b)", 0, "here") == "B"
    with pytest.raises(InputError, match="no letter"):
        letters("AB", 3, "here")


@pytest.fixture
def bigearthnet(tmp_path: Path, write_raster: Write) -> Path:
    """One patch, three rows of the bench and one of training."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    patch, radar = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_51_83", (
        "S1B_IW_GRDH_1SDV_20170612T165809_33UUP_51_83"
    )  # fmt: skip
    folder = f"BigEarthNet-S2/{patch.rsplit('_', 2)[0]}/{patch}"
    rng = np.random.default_rng(0)
    for band, size in (("B02", 12), ("B03", 12), ("B04", 12), ("B08", 12), ("B11", 6)):
        data = rng.integers(300, 2500, (1, size, size)).astype(np.uint16)
        write_raster(f"{folder}/{patch}_{band}.tif", data)
    (tmp_path / "BigEarthNet-S1" / radar.rsplit("_", 3)[0] / radar).mkdir(parents=True)
    texts = [
        ("binary", "presence", "Is  there water?", "no", "bench"),
        ("mcq", "season", "Which season? a) summer b) winter", "a", "bench"),
        ("captioning", "caption", "Describe it.", "Forest  beside fields.", "bench"),
        ("bounding box", "point", "Box it.", "[0.1 0.2, 0.4 0.5]", "bench"),
        ("binary", "presence", "Is there forest?", "yes", "train"),
    ]
    rows = [
        {"ID": number, "s1_name": radar, "patch_id": patch, "type": kind, "category": category,
         "input": question, "output": answer, "split": split, "country": "Austria"}
        for number, (kind, category, question, answer, split) in enumerate(texts)
    ]  # fmt: skip
    path = tmp_path / "BigEarthNet.txt.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_bigearthnet_text_is_read_by_split_with_both_sensors(bigearthnet: Path) -> None:
    samples = read_vqa(bigearthnet.parent, "bench")
    assert samples.dataset == "bigearthnet_txt"
    assert [item.kind for item in samples.items] == ["binary presence", "mcq season"]
    water = samples.items[0]
    assert (water.question, water.answer, water.sensor) == (
        "Is there water?", "no", "sentinel2_l2a",
    )  # fmt: skip
    assert water.radar is not None
    (folder,) = water.pictures
    tile = read_picture(folder, sensor=water.sensor)
    assert tile.data.shape[0] == 5
    assert len(read_vqa(bigearthnet, "all").items) == 3
    for split in (None, "val"):
        with pytest.raises(InputError, match=r"read by split.*takes: bench, train, all"):
            read_vqa(bigearthnet, split)


def test_captions_of_bigearthnet_text_are_read_from_the_same_file(bigearthnet: Path) -> None:
    (item,) = read_captions(bigearthnet, "bench").items
    assert (item.captions, item.split) == (("Forest beside fields.",), "bench")


def test_a_place_without_questions_says_what_is_known(tmp_path: Path) -> None:
    write_json(tmp_path / "notes.json", {"a": 1})
    (tmp_path / "notes.txt").write_text("nothing: to see", encoding="utf-8")
    with pytest.raises(InputError, match=r"no questions in a layout that is known: RSVQA"):
        read_vqa(tmp_path)
    with pytest.raises(InputError, match="unknown data set 'vqa2'"):
        read_vqa(tmp_path, dataset="vqa2")


@pytest.mark.parametrize(
    ("folder", "key", "count", "kinds"),
    [("rsvqa_lr", "rsvqa_lr", 700, {"comp", "count", "presence", "rural_urban"}),
     ("rsvqa_hr", "rsvqa_hr", 2501, {"comp", "count", "presence", "area"}),
     ("ucm", "rsivqa_ucm", 1710, {"theme", "count", "presence", "location"})],
)  # fmt: skip
def test_real_questions_are_read_and_cut_by_picture(
    data_dir: Path, folder: str, key: str, count: int, kinds: set[str]
) -> None:
    samples = read_vqa(data_dir / folder)
    assert (samples.dataset, len(samples.items)) == (key, count)
    assert set(Counter(item.kind for item in samples.items)) == kinds
    parts = [samples.chosen(f"own:{name}").items for name in ("train", "val", "test")]
    assert sum(map(len, parts)) == count
    places = [{item.place for item in items} for items in parts]
    assert all(places)
    assert sum(map(len, places)) == len(set.union(*places))
    assert key in DATASETS
