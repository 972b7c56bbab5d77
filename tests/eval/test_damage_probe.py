"""Whether a label of damage can be told from the flight that took the picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from terralogue.eval.damage_probe import main


def chips(folder: Path, brightness: dict[str, int]) -> Path:
    rng = np.random.default_rng(0)
    for name, middle in brightness.items():
        (folder / name).mkdir(parents=True)
        for place in range(15):
            pixels = np.clip(rng.normal(middle, 20, (48, 48, 3)), 0, 255).astype(np.uint8)
            file = folder / name / f"-95.{place:02d}000_29.{place:02d}000.png"
            Image.fromarray(pixels).save(file)
    return folder


def test_a_flight_in_another_light_is_told_by_the_rims_alone(tmp_path: Path) -> None:
    data = chips(tmp_path / "chips", {"no_damage": 90, "damage": 150})
    assert main(["--data", str(data), "--out", str(tmp_path / "out")]) == 0
    found = json.loads((tmp_path / "out" / "damage_probe.json").read_text(encoding="utf-8"))
    assert (found["chips"], found["in_both_classes"], found["majority"]) == (30, 30, 0.5)
    assert found["rim_colours"] == found["rim_colours_same_places"] == 1


def test_a_folder_without_the_classes_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "holds no no_damage and damage" in capsys.readouterr().err
