"""The speed of two towers, compared round by round."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from terralogue.eval.bench_tower import compare, main


def test_a_round_is_compared_with_itself_and_the_median_round_counts() -> None:
    # The machine was twice as fast in the last round, for all towers.
    rates = {
        "embedded_160": [60.0, 90.0, 160.0],
        "embedded_224": [30.0, 30.0, 60.0],
        "rn50_224": [10.0, 10.0, 20.0],
    }
    found = compare(rates)
    assert found["images_per_second"] == {
        "embedded_160": 90, "embedded_224": 30, "rn50_224": 10,
    }  # fmt: skip
    assert found["times_as_fast_own_sizes"] == {"median": 8, "lowest": 6, "highest": 9}
    assert found["times_as_fast_equal_size"] == {"median": 3, "lowest": 3, "highest": 3}


def test_both_towers_run_and_the_figures_are_written(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("open_clip")
    out = tmp_path / "out"
    given = ["--model", model, "--batch", "1", "--rounds", "1", "--out", str(out)]
    assert main(given) == 0
    written = json.loads((out / "bench_tower.json").read_text(encoding="utf-8"))
    assert json.loads(capsys.readouterr().out) == written
    assert set(written["images_per_second"]) == {"embedded_160", "embedded_224", "rn50_224"}


def test_a_model_without_an_embedded_tower_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--model", f"embedded:{tmp_path / 'nowhere'}"]) == 2
    assert "nowhere" in capsys.readouterr().err
