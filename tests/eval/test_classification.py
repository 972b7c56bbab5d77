"""`terralogue eval classification`, by name and by linear probe, and its scores by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from terralogue.agent.cli import main
from terralogue.datasets.samples import LabelSample
from terralogue.eval.classification_answers import class_of
from terralogue.eval.confusion import Confusion
from terralogue.eval.probe import fit_probe, held_out

from .conftest import COLOURS, Seer, WritePictures


@pytest.fixture
def run(model: str, capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: str | Path) -> dict[str, Any]:
        given = ["eval", "classification", "--model", model, *map(str, arguments), "--json"]
        assert main(given) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    return call


def test_scores_follow_from_the_confusion_matrix() -> None:
    gold = np.array([0, 0, 0, 1, 1])
    found = Confusion(("a", "b", "c"), gold, np.array([0, 0, 1, 1, 2]))
    scores = found.metrics()
    assert found.matrix.tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 0]]
    assert scores["accuracy"] == pytest.approx(3 / 5)
    assert scores["balanced_accuracy"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    # F1 of a: 2*2/(3+2); of b: 2*1/(2+2). The class c has no gold items and does not count.
    assert scores["macro_f1"] == pytest.approx((4 / 5 + 1 / 2) / 2)
    assert found.majority() == pytest.approx(3 / 5)
    by_class = found.by_class()
    assert by_class["a"] == {"n": 3, "accuracy": 2 / 3, "precision": 1.0, "f1": 4 / 5}
    assert by_class["c"]["f1"] is None
    for name, (low, high) in found.intervals().items():
        assert low <= scores[name] <= high


def test_a_class_is_predicted_by_its_name(
    tmp_path: Path, write_pictures: WritePictures, run: Any
) -> None:
    data, out = write_pictures(tmp_path / "set", 3), tmp_path / "out"
    found = run("--data", data, "--out", out)
    assert (found["task"], found["n"], found["units"]) == ("classification", 9, "share")
    assert set(found["metrics"]) == {"accuracy", "macro_f1", "balanced_accuracy"}
    assert found["baselines"] == {
        "majority": pytest.approx(1 / 3), "question_only": None, "chance": pytest.approx(1 / 3),
    }  # fmt: skip
    assert found["label_names"]["blueWater"] == "blue water"
    assert (found["labels_seen"], found["labels_seen_list"]) == (True, ["greenForest"])
    assert {path.name for path in out.iterdir()} == {
        "summary.json", "predictions.jsonl", "confusion.png",
    }  # fmt: skip
    lines = (out / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = list(map(json.loads, lines))
    right = [row["prediction_parsed"] == row["gold"] for row in rows]
    assert found["metrics"]["accuracy"] == pytest.approx(sum(right) / 9)
    assert rows[0]["id"] == "blueWater/blueWater_1.png"
    assert set(rows[0]["prediction_raw"]) == set(COLOURS)


def test_a_probe_learns_from_one_part_and_is_scored_on_another(
    tmp_path: Path, write_pictures: WritePictures, run: Any
) -> None:
    data = tmp_path / "set"
    write_pictures(data / "train", 5)
    write_pictures(data / "test", 2)
    found = run("--data", data, "--split", "test", "--probe")
    assert (found["n"], found["probe"]["n_train"]) == (6, 15)
    assert found["metrics"]["accuracy"] == 1.0
    elsewhere = run("--data", data / "test", "--probe", "--train", data / "train")
    assert elsewhere["metrics"] == found["metrics"]
    assert main(["eval", "classification", "--data", str(data), "--probe"]) == 2


def test_options_of_a_probe_that_make_no_sense_are_refused(
    tmp_path: Path, write_pictures: WritePictures, capsys: pytest.CaptureFixture[str]
) -> None:
    data = str(write_pictures(tmp_path / "set", 2))
    for options, message in (
        (["--train", "train"], "add --probe"),
        (["--probe", "--train", data], "6 pictures are both in --train"),
        (["--probe"], "no split 'train'"),
        (["--probe", "--train", "own:train"], "not a data set that parts were cut for"),
    ):
        assert main(["eval", "classification", "--data", data, *options]) == 2
        assert message in capsys.readouterr().err


def test_runs_of_numbers_choose_the_regularisation() -> None:
    items = [LabelSample(f"a{number}", Path("a"), "a") for number in range(100, 0, -1)]
    items += [LabelSample("b1", Path("b"), "b")]
    held = held_out(items)
    chosen = sorted(int(item.name[1:]) for item, out in zip(items, held, strict=True) if out)
    assert len(chosen) == 20
    assert chosen[:6] == [11, 12, 13, 14, 15, 36]
    assert not held[-1]


def test_a_probe_of_two_classes_never_predicts_a_third() -> None:
    random = np.random.default_rng(0)
    labels = ["a"] * 20 + ["b"] * 20
    features = random.normal(size=(40, 4)).astype(np.float32)
    features[20:] += 8
    items = [LabelSample(f"{label}{i}", Path("x"), label) for i, label in enumerate(labels)]
    probe = fit_probe(features, items, ["a", "b", "c"])
    assert probe.scores(features).argmax(axis=1).tolist() == [0] * 20 + [1] * 20


def test_thirteen_band_files_are_classified_as_scenes(tmp_path: Path, run: Any) -> None:
    random = np.random.default_rng(1)
    for label, near_infrared in (("Forest", 4000), ("SeaLake", 150)):
        (tmp_path / label).mkdir()
        for number in range(2):
            data = random.integers(400, 600, (13, 16, 16)).astype(np.uint16)
            data[7], data[10] = near_infrared, 8
            with rasterio.open(
                tmp_path / label / f"{label}_{number}.tif", "w", driver="GTiff", width=16,
                height=16, count=13, dtype="uint16", crs="EPSG:32632",
                transform=Affine(10, 0, 600_000, 0, -10, 4_800_000),
            ) as file:  # fmt: skip
                file.write(data)
    found = run("--data", tmp_path)
    assert found["n"] == 4
    assert found["label_names"] == {"Forest": "forest", "SeaLake": "sea or lake"}


def test_the_class_is_told_from_an_answer(
    tmp_path: Path, write_pictures: WritePictures, seer: Seer, run_eval: Any
) -> None:
    data, out = write_pictures(tmp_path / "set", 3), tmp_path / "out"
    found = run_eval("classification", "--data", data, "--model", "vlm:seer", "--out", out)
    assert found["model"] == "seer (5ee25ee25ee25ee2)"
    assert found["metrics"]["accuracy"] == found["metrics"]["macro_f1"] == 1.0
    assert found["parse_rate"] == 1.0
    assert set(found["per_type"]) == set(COLOURS)
    assert seer.batches[0][0].options == ("blue water", "green forest", "red soil")
    assert {"summary.json", "predictions.jsonl", "confusion.png", "report.html"} <= {
        path.name for path in out.iterdir()
    }


def test_an_answer_names_a_class_only_if_it_names_one() -> None:
    names = {"dense": "dense residential", "plain": "residential", "river": "river"}
    assert class_of("Dense residential.", names) == "dense"
    assert class_of("residential", names) == "plain"
    assert class_of("c", names) == "river"
    assert class_of("It is a dense residential area.", names) == "dense"
    assert class_of("a river beside a residential area", names) is None
    assert class_of("a forest", names) is None


def test_a_tower_sees_corrupted_pictures_too(
    tmp_path: Path, write_pictures: WritePictures, run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_pictures(tmp_path / "set", 2)
    clean, out = tmp_path / "clean", tmp_path / "noisy"
    run("--data", data, "--out", clean)
    found = run("--data", data, "--out", out, "--corrupt", "gaussian_noise:5")
    assert found["corruption"] == "gaussian_noise:5"
    first, second = ((p / "predictions.jsonl").read_text() for p in (clean, out))
    assert first != second
    assert main(["eval", "classification", "--data", str(data), "--model", "vlm:seer", "--probe"])
    assert "--probe is for towers" in capsys.readouterr().err
