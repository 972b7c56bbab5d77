"""`terralogue eval caption`, and its scores by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from terralogue.eval.caption_scores import CaptionScores, words_of

from .conftest import WORDS, Seer, WritePictures

Run = Callable[..., dict[str, Any]]


def _scores(*pairs: tuple[str, list[str]]) -> CaptionScores:
    given = tuple(words_of(text) for text, _ in pairs)
    return CaptionScores(given, tuple(tuple(map(words_of, texts)) for _, texts in pairs))


def test_words_are_those_of_the_usual_tokenizer() -> None:
    assert words_of("Two planes, on a well-kept runway.") == (
        "two", "planes", "on", "a", "well-kept", "runway",
    )  # fmt: skip


def test_bleu_follows_from_matched_phrases_and_lengths() -> None:
    found = _scores(("a a road", ["there is a road", "the road"])).metrics()
    # "a" counts once, since no reference has it twice; both references differ by one word in
    # length, and the shorter one counts.
    assert found["bleu_1"] == pytest.approx(2 / 3)
    assert found["bleu_2"] == pytest.approx(math.sqrt(2 / 3 * 1 / 2))
    assert found["bleu_3"] == pytest.approx(0, abs=1e-4)
    short = _scores(("a road", ["a road by the river"])).metrics()
    assert short["bleu_1"] == pytest.approx(math.exp(1 - 5 / 2))


def test_rouge_is_of_the_longest_common_words() -> None:
    found = _scores(("many trees near a river", ["trees and a river"])).metrics()
    precision, recall, beta = 3 / 5, 3 / 4, 1.2
    wanted = (1 + beta**2) * precision * recall / (recall + beta**2 * precision)
    assert found["rouge_l"] == pytest.approx(wanted)


def test_meteor_matches_stems_and_counts_breaks() -> None:
    found = _scores(("two parked planes", ["planes two parking"])).metrics()
    # All three words match, in two runs: "two parked" and "planes".
    assert found["meteor"] == pytest.approx(1 - 0.5 * (2 / 3) ** 3)
    assert _scores(("a lake", ["some woods"])).metrics()["meteor"] == 0


def test_cider_weighs_phrases_by_how_rare_they_are() -> None:
    found = _scores(("red roof", ["red roof"]), ("red car", ["blue car"]))
    # "red", "roof" and "red roof" are each in one of two references, so all weigh log 2; of four
    # orders two have phrases.
    assert found.cider[0] == pytest.approx(10 * 2 / 4)
    # Of the words of the second, "car" alone is shared: cosine 1/2 in one order of four.
    assert found.cider[1] == pytest.approx(10 * 0.5 / 4)
    longer = _scores(("red roof red roof", ["red roof"]), ("red car", ["blue car"]))
    # Clipped to once each: "red" and "roof" are offered twice, two words too many.
    clipped = 2 / (math.sqrt(8) * math.sqrt(2))
    penalty = math.exp(-4 / 72)
    two = 1 / (math.sqrt(2**2 + 1**2) * 1)
    assert longer.cider[0] == pytest.approx(10 * penalty * (clipped + two) / 4)


@pytest.fixture
def captions(tmp_path: Path, write_pictures: WritePictures) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    pictures = write_pictures(folder / "images", 4)
    rows = []
    for path in sorted(pictures.rglob("*.png")):
        word = WORDS[path.parent.name]
        texts = [f"this is {word}", f"a picture of {word} from above"]
        rows.append({
            "filename": path.relative_to(pictures).as_posix(), "label": word,
            "split": "test" if path.stem.endswith("1") else "train",
            "sentences": [{"raw": text} for text in texts],
        })  # fmt: skip
    (folder / "dataset_ours.json").write_text(json.dumps({"images": rows, "dataset": "ours"}))
    return folder


def test_descriptions_are_scored_beside_captions_that_nobody_looked_for(
    captions: Path, seer: Seer, model: str, run_eval: Run, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from terralogue.vlm.clip import load_geoclip

    monkeypatch.setattr("terralogue.vlm.clip.load_geoclip", lambda name: load_geoclip(model))
    out = tmp_path / "out"
    found = run_eval(
        "caption", "--data", captions, "--split", "test", "--model", "seer", "--out", out
    )
    assert found["n"] == 3
    metrics = found["metrics"]
    # Captions of three words have no phrases of four.
    assert metrics["bleu_4"] < 0.05
    assert metrics["rouge_l"] == pytest.approx(1)
    assert metrics["bleu_1"] == pytest.approx(1)
    assert metrics["cider"] > found["baselines"]["majority"]
    # Noise of one colour: the nearest picture has the same caption.
    assert found["baselines"]["nearest"] == pytest.approx(metrics["cider"])
    assert metrics["distinct"] == 1
    assert found["per_type"]["water"]["n"] == 1
    assert found["interval_95"]["cider"][0] <= metrics["cider"]
    assert {path.name for path in out.iterdir()} == {
        "summary.json", "predictions.jsonl", "report.html", "logs",
    }  # fmt: skip


def test_changes_are_described_from_all_dates(
    tmp_path: Path, write_pictures: WritePictures, seer: Seer, run_eval: Run
) -> None:
    pictures = write_pictures(tmp_path / "pictures", 2)
    rows = []
    for number, word in enumerate(WORDS):
        name = f"test_{number}.png"
        for date, index in (("A", 1), ("B", 2)):
            target = tmp_path / "levir/images/test" / date / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (pictures / word / f"{word}_{index}.png").rename(target)
        rows.append({
            "filename": name, "filepath": "test", "split": "test", "changeflag": number % 2,
            "sentences": [{"raw": f"this is {WORDS[word]}"}],
        })  # fmt: skip
    (tmp_path / "levir/LevirCCcaptions.json").write_text(json.dumps({"images": rows}))
    found = run_eval("caption", "--data", tmp_path / "levir", "--model", "seer")
    assert [len(query.pictures) for query in seer.batches[0]] == [2, 2, 2]
    assert {kind: each["n"] for kind, each in found["per_type"].items()} == {
        "changed": 1, "unchanged": 2,
    }  # fmt: skip
    assert "nearest" not in found["baselines"]
