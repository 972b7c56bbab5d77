"""`terralogue eval vqa`: scores, baselines, and runs that go on where they were killed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from terralogue.agent.cli import main
from terralogue.vlm.vlm import Query, Reading

from .conftest import Seer

Run = Callable[..., dict[str, Any]]


def _rows(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    return list(map(json.loads, lines))


def test_answers_are_scored_by_type_beside_what_needs_no_picture(
    questions: Path, seer: Seer, run_eval: Run, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    found = run_eval("vqa", "--data", questions, "--model", "seer", "--out", out)
    assert (found["task"], found["n"], found["units"]) == ("vqa", 48, "share")
    metrics = found["metrics"]
    # Of the areas 0, 200 and 400 m2, two are in the class of 300 m2; of the counts half are 8.
    by_type = {"presence": 1.0, "comp": 1.0, "count": 0.5, "area": 2 / 3}
    for kind, value in by_type.items():
        assert metrics[kind] == pytest.approx(value)
        assert found["per_type"][kind]["accuracy"] == pytest.approx(value)
        assert found["per_type"][kind]["n"] == 12
    assert metrics["average_accuracy"] == pytest.approx(sum(by_type.values()) / 4)
    assert metrics["accuracy"] == pytest.approx(38 / 48)
    # 8 and 15 are in different classes of RSVQA, and 7 apart.
    assert metrics["count_raw"] == metrics["count_buckets"] == 0.5
    assert metrics["count_mae"] == pytest.approx(3.5)
    assert metrics["not_sure"] == 0.25
    assert found["parse_rate"] == 1.0
    assert found["baselines"]["majority"] == pytest.approx((8 + 8 + 6 + 8) / 48)
    assert found["baselines"]["question_only"] <= found["baselines"]["majority"]
    assert "5 folds by picture" in found["question_only_learnt_from"]
    low, high = found["interval_95"]["accuracy"]
    assert low < metrics["accuracy"] < high
    assert "above_question_only" in found["interval_95"]
    rows = _rows(out)
    assert rows[0]["id"] == "USGS_split_test/0"
    assert {"prediction_raw", "prediction_parsed", "gold", "type", "correct"} <= set(rows[0])
    assert [row["correct"] for row in rows].count(True) == 38


def test_the_report_is_one_page_that_needs_nothing_else(
    questions: Path, seer: Seer, run_eval: Run, tmp_path: Path
) -> None:
    file = questions / "USGS_split_test_questions.json"
    hostile = file.read_text(encoding="utf-8").replace("roads", "<script>roads</script>")
    file.write_text(hostile, encoding="utf-8")
    run_eval("vqa", "--data", questions, "--model", "seer", "--out", tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "summary.json", "predictions.jsonl", "confusion.png", "reliability.png", "report.html",
        "logs",
    }  # fmt: skip
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;roads" in page
    assert page.count("data:image/jpeg;base64,") > 5
    assert page.count("data:image/png;base64,") == 2
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)


def test_baselines_are_printed_beside_each_type(
    questions: Path, seer: Seer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", "vqa", "--data", str(questions), "--model", "seer"]) == 0
    printed = capsys.readouterr().out
    assert "baseline majority        0.625" in printed
    assert "count (12)               0.500; majority 0.500, question only" in printed


def test_the_question_only_baseline_learns_from_other_pictures(
    questions: Path, seer: Seer, run_eval: Run, tmp_path: Path
) -> None:
    for file in sorted(questions.glob("USGS_split_test_*.json")):
        rows = json.loads(file.read_text(encoding="utf-8"))
        ((name, entries),) = rows.items()
        for split, keep in (("test", lambda i: i < 4), ("train", lambda i: i >= 4)):
            place = {"images": "id", "questions": "img_id"}.get(name)
            chosen = [e for e in entries if keep(e[place] if place else e["question_id"] // 4)]
            path = questions / file.name.replace("_test_", f"_{split}_")
            path.write_text(json.dumps({name: chosen}), encoding="utf-8")
    found = run_eval("vqa", "--data", questions, "--split", "test", "--model", "seer")
    assert found["n"] == 16
    assert found["question_only_learnt_from"].startswith("32 questions on other pictures")


def test_questions_on_one_picture_are_asked_together(
    questions: Path, seer: Seer, run_eval: Run
) -> None:
    run_eval("vqa", "--data", questions, "--model", "seer", "--batch", "16")
    assert [len(batch) for batch in seer.batches] == [16, 16, 16]
    first = seer.batches[0]
    assert len({id(query.pictures[0]) for query in first}) == 4


def test_a_run_that_was_cut_short_goes_on(
    questions: Path, seer: Seer, run_eval: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "out"
    whole = Seer.answer_batch

    def failing(self: Seer, queries: Any) -> list[Reading]:
        if len(self.batches) == 2:
            raise MemoryError("all used up")
        return whole(self, queries)

    given = ["vqa", "--data", str(questions), "--model", "seer", "--batch", "8", "--out", str(out)]
    monkeypatch.setattr(Seer, "answer_batch", failing)
    assert main(["eval", *given]) == 1
    assert "all used up" in capsys.readouterr().err
    (journal,) = out.glob("answers-*.jsonl")
    # As a kill leaves it: the last line is not whole.
    with journal.open("a", encoding="utf-8") as file:
        file.write('{"name": "USGS_split_test/16", "te')
    monkeypatch.setattr(Seer, "answer_batch", whole)
    seer.batches.clear()
    found = run_eval(*given)
    assert sum(map(len, seer.batches)) == 48 - 16
    assert found["resumed_answers"] == 16
    assert found["metrics"]["accuracy"] == pytest.approx(38 / 48)
    assert not list(out.glob("answers-*.jsonl"))
    assert len(list((out / "logs").glob("*.eval"))) == 2


def test_another_model_in_the_same_folder_starts_afresh(
    questions: Path, seer: Seer, run_eval: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr("terralogue.eval.journal.Journal.done", lambda self: None)
    run_eval("vqa", "--data", questions, "--model", "seer", "--out", out)
    monkeypatch.setattr(Seer, "fingerprint", "another")
    found = run_eval("vqa", "--data", questions, "--model", "seer", "--out", out)
    assert found["resumed_answers"] == 0
    assert found["model"] == "seer (another)"


def test_the_log_of_inspect_tells_the_same_score(
    questions: Path, seer: Seer, run_eval: Run, tmp_path: Path
) -> None:
    from inspect_ai.log import read_eval_log

    found = run_eval("vqa", "--data", questions, "--model", "seer", "--out", tmp_path / "out")
    (path,) = (tmp_path / "out/logs").glob("*.eval")
    log = read_eval_log(str(path))
    assert log.status == "success"
    assert log.results is not None
    (score,) = log.results.scores
    assert score.metrics["mean"].value == pytest.approx(found["metrics"]["accuracy"])


# inspect_ai 0.3.285 calls tenacity by an old name (model/_model.py).
@pytest.mark.filterwarnings("ignore:The 'initial' parameter is deprecated:DeprecationWarning")
def test_a_model_that_inspect_knows_is_asked_too(questions: Path, run_eval: Run) -> None:
    found = run_eval("vqa", "--data", questions, "--model", "mockllm/model", "--limit", "8")
    assert found["model"] == "mockllm/model"
    assert found["metrics"]["accuracy"] == 0
    assert found["parse_rate"] < 1


def test_corrupted_pictures_are_what_the_model_sees(
    questions: Path, seer: Seer, run_eval: Run
) -> None:
    def seen() -> np.ndarray:
        query: Query = seer.batches[-1][0]
        picture = query.pictures[0]
        assert isinstance(picture, np.ndarray)
        return picture

    given = ("vqa", "--data", questions, "--model", "seer")
    run_eval(*given)
    clean = seen()
    assert run_eval(*given, "--corrupt", "gaussian_noise:5")["corruption"] == "gaussian_noise:5"
    noisy = seen()
    run_eval(*given, "--corrupt", "gaussian_noise:5")
    assert np.array_equal(seen(), noisy)
    assert not np.array_equal(noisy, clean)


def test_rsvqa_lr_compares_counts_by_classes_unless_told(
    questions: Path, seer: Seer, run_eval: Run
) -> None:
    file = questions / "USGS_split_test_answers.json"
    text = file.read_text(encoding="utf-8").replace('"15"', '"9"')
    file.write_text(text, encoding="utf-8")
    given = ("vqa", "--data", questions, "--model", "seer")
    assert run_eval(*given)["metrics"]["count"] == 0.5
    assert run_eval(*given, "--dataset", "rsvqa_lr")["metrics"]["count"] == 1.0
    assert run_eval(*given, "--counts", "buckets")["metrics"]["count"] == 1.0


def test_the_rule_of_vrsbench_is_an_option(questions: Path, seer: Seer, run_eval: Run) -> None:
    def both(self: Seer, queries: list[Query]) -> list[Reading]:
        return [Reading("yes and no") for _ in queries]

    seer.answer_batch = both.__get__(seer)  # type: ignore[method-assign]
    given = ("vqa", "--data", questions, "--model", "seer")
    strict = run_eval(*given)
    assert strict["metrics"]["presence"] == 0
    assert strict["parse_rate"] == 0
    assert run_eval(*given, "--rule", "vrsbench")["metrics"]["presence"] == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--model", "nothing"], "unknown model 'nothing'"),
        (["--model", "nobody/model"], "inspect_ai cannot load nobody/model"),
        (["--model", "seer", "--corrupt", "rain:3"], "unknown corruption 'rain'"),
        (["--model", "seer", "--train", "nowhere"], "nowhere does not exist"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    questions: Path, seer: Seer, given: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", "vqa", "--data", str(questions), *given]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
