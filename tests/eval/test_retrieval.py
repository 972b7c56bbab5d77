"""`terralogue eval retrieval`, from the command to its files, with an untrained model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from terralogue.agent.cli import main

from .conftest import COLOURS, WritePictures


@pytest.fixture
def captions(tmp_path: Path, write_pictures: WritePictures) -> Path:
    folder = write_pictures(tmp_path / "set" / "images", 3)
    images = [
        {
            "filename": f"{label}/{label}_{number}.png",
            "split": "test" if number > 1 else "train",
            "label": label,
            "sentences": [{"raw": f"{label} number {number} ."}, {"raw": f"some {label} ."}],
        }
        for label in COLOURS
        for number in range(1, 4)
    ]
    path = folder.parent / "dataset.json"
    path.write_text(json.dumps({"dataset": "mine", "images": images}), encoding="utf-8")
    return path


def scored(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    assert main(["eval", "retrieval", *map(str, arguments), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_summary_has_every_promised_field(
    captions: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    found = scored(capsys, "--data", captions, "--model", model, "--split", "test", "--out", out)
    assert json.loads((out / "summary.json").read_text(encoding="utf-8")) == found
    assert {
        "task", "n", "metrics", "units", "per_type", "baselines", "interval_95", "parse_rate",
        "model", "data_sha256", "code_version",
    } <= set(found)  # fmt: skip
    assert (found["task"], found["n"], found["n_captions"]) == ("retrieval", 6, 12)
    assert (found["units"], found["parse_rate"]) == ("percent", 1.0)
    names = [f"r@{k}_{way}" for way in ("i2t", "t2i") for k in (1, 5, 10)]
    assert set(found["metrics"]) == {"mean_recall", "mean_recall_dedup", *names}
    six = [found["metrics"][name] for name in names]
    assert found["metrics"]["mean_recall"] == pytest.approx(sum(six) / 6)
    low, high = found["interval_95"]["mean_recall"]
    assert low <= found["metrics"]["mean_recall"] <= high
    assert {"majority": None, "question_only": None}.items() <= found["baselines"].items()
    assert found["baselines"]["chance"] > 0
    assert {figures["n"] for figures in found["per_type"].values()} == {2}


def test_each_image_and_each_distinct_caption_is_a_prediction(
    captions: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    scored(capsys, "--data", captions.parent, "--model", model, "--split", "test", "--out", out)
    lines = (out / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = {row["id"]: row for row in map(json.loads, lines)}
    assert len(rows) == 6 + 9
    row = rows["t2i:some redSoil ."]
    assert row["gold"] == ["redSoil/redSoil_2.png", "redSoil/redSoil_3.png"]
    assert row["prediction_parsed"] == next(iter(row["prediction_raw"]))
    assert row["correct"] == (row["prediction_parsed"] in row["gold"])


def test_the_data_hash_follows_the_pictures_and_a_score_can_be_had_again(
    captions: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--data", captions, "--model", model, "--limit", "4")
    first, again = scored(capsys, *given), scored(capsys, *given)
    assert first == again
    picture = captions.parent / "images" / "redSoil" / "redSoil_1.png"
    picture.write_bytes((picture.parent / "redSoil_2.png").read_bytes())
    assert scored(capsys, *given)["data_sha256"] != first["data_sha256"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "retrieval"),
        (["retrieval"], "--data"),
        (["retrieval", "--data", "nowhere"], "nowhere does not exist"),
        (["retrieval", "--data", "DATA", "--limit", "0"], "above 0"),
        (["retrieval", "--data", "DATA", "--split", "dev"], "takes: test, train, all"),
        (["retrieval", "--data", "DATA", "--model", "embedded:nowhere"], "nowhere"),
        (["retrieval", "--data", "DATA", "--probe"], "unrecognized arguments"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    captions: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(captions) if argument == "DATA" else argument for argument in arguments]
    assert main(["eval", *given]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert message in told.lower() or message in told
    assert told.count("\n") == 1
