"""What other encoders and other ways to decide are worth, on a handful of items."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from terralogue.datasets.vague_seeds import FOLDER
from terralogue.eval.intent_ablation import adapted, main, nearest, scores
from terralogue.vlm.minilm import encode

TEXTS = [
    "how much forest is there",
    "how much water is there",
    "is there a lake",
    "is there a ship",
]
LABELS = ["measure", "measure", "look", "look"]


def a_few(part: str, n: int, folder: Path) -> Path:
    lines = (FOLDER / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
    path = folder / f"{part}.jsonl"
    path.write_text("\n".join(lines[:: len(lines) // n]), encoding="utf-8")
    return path


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")
def test_adapters_pull_texts_of_one_label_together() -> None:
    before, after = encode(TEXTS), adapted(TEXTS, LABELS, epochs=40).encode(TEXTS)
    assert np.linalg.norm(after, axis=1) == pytest.approx(np.ones(4), abs=1e-5)

    def apart(x: np.ndarray) -> float:
        alike = x @ x.T
        return float(alike[0, 1] + alike[2, 3] - alike[0, 2] - alike[1, 3])

    assert apart(after) > apart(before)


def test_the_nearest_example_alone_knows_nothing_of_the_inputs(tmp_path: Path) -> None:
    found = scores(a_few("val", 20, tmp_path), nearest())
    assert found["n"] >= 20
    assert 0.5 < found["route_accuracy"] <= 1


def test_a_folder_without_the_parts_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(tmp_path)]) == 2
    assert "vague_build" in capsys.readouterr().err
