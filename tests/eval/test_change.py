"""`eval change` pools pixels over pairs, and writes what the contract says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from terralogue.agent.cli import main


def write_pairs(root: Path, count: int = 2) -> Path:
    """Pairs in folders A, B and label: grey texture, then with a bright square."""
    for side in ("A", "B", "label"):
        (root / side).mkdir(parents=True)
    for number in range(count):
        rng = np.random.default_rng(number)
        ground = ndimage.gaussian_filter(rng.normal(0, 1, (3, 90, 90)), (0, 2, 2)) * 50 + 100
        truth = np.zeros((90, 90), np.bool_)
        truth[20:50, 30:60] = True
        after = ground + 10
        after[:, truth] += 100
        for side, data in (("A", ground), ("B", after)):
            noisy = data + rng.normal(0, 2, data.shape)
            picture = noisy.round().clip(0, 255).astype(np.uint8)
            Image.fromarray(np.moveaxis(picture, 0, -1)).save(root / side / f"{number}.png")
        Image.fromarray(truth).save(root / "label" / f"{number}.png")
    return root


def test_pairs_with_masks_are_scored(tmp_path: Path) -> None:
    data = write_pairs(tmp_path / "data")
    out = tmp_path / "out"
    code = main(["eval", "change", "--data", str(data), "--model", "bands", "--out", str(out)])
    assert code == 0
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["n"] == 2
    assert summary["metrics"]["f1"] > 0.9
    figures = summary["metrics"]
    assert figures["iou"] == pytest.approx(figures["f1"] / (2 - figures["f1"]))
    assert summary["baselines"]["change_vector"] == figures["f1"]
    assert summary["model"] == "bands (2)"
    assert summary["per_type"]["0"]["changed_share"] == pytest.approx(900 / 8100)
    low, high = summary["interval_95"]["f1"]
    assert low <= figures["f1"] <= high
    rows = (out / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(row)["id"] for row in rows] == ["0", "1"]
    with Image.open(out / "errors_1.png") as picture:
        assert picture.width > 3 * 80


def test_masks_of_another_size_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_pairs(tmp_path / "data", 1)
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(data / "label" / "0.png")
    code = main(["eval", "change", "--data", str(data), "--out", str(tmp_path / "out")])
    assert code == 2
    assert "give masks on the grid of the first date" in capsys.readouterr().err


def test_a_real_city_is_scored_on_the_grid_of_its_mask(data_dir: Path, tmp_path: Path) -> None:
    options = ["--model", "bands", "--limit", "1", "--split", "fold:1/14"]
    code = main(["eval", "change", "--data", str(data_dir / "oscd"), *options, "--out",
                 str(tmp_path)])  # fmt: skip
    assert code == 0
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert summary["layout"] == "oscd"
    assert summary["metrics"]["f1"] > 0.2
