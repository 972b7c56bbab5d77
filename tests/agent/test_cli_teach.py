"""`terralogue teach`, from the command to the home folder, on an untrained tower."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from terralogue.agent.cli import main
from terralogue.agent.cli_teach import taught_folder
from terralogue.agent.home import home_folder
from terralogue.vlm.clip import GeoCLIP, tiny_geoclip
from terralogue.vlm.teach import load_taught, read_taught

pytestmark = pytest.mark.usefixtures("home")

Told = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def clip() -> GeoCLIP:
    return tiny_geoclip()


@pytest.fixture
def examples(tmp_path: Path, clip: GeoCLIP, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments for three red pictures against three blue ones."""
    monkeypatch.setattr("terralogue.vlm.clip.load_geoclip", lambda spec, *, device: clip)
    for name, colour in (("red", (200, 50, 30)), ("blue", (20, 40, 190))):
        (tmp_path / name).mkdir()
        for shade in range(3):
            pixels = np.full((12, 12, 3), colour, np.uint8) + np.uint8(4 * shade)
            Image.fromarray(pixels).save(tmp_path / name / f"{shade}.png")
    return ["--yes", str(tmp_path / "red"), "--no", str(tmp_path / "blue")]


def test_a_class_is_taught_stored_and_listed(examples: list[str], capsys: Told) -> None:
    assert main(["teach", "Red soil", *examples]) == 0
    told = capsys.readouterr().out
    assert "from 3 examples with it and 3 without, on the model tiny" in told
    assert "Cross-validated on 6 examples (6 folds): balanced accuracy" in told
    folder = taught_folder(home_folder())
    assert f"Stored: {folder / 'red_soil.json'}" in told
    assert load_taught("red soil", folder).name == "Red soil"
    assert main(["teach", "Red soil", *examples]) == 0
    assert "Replaced: " in capsys.readouterr().out
    for arguments in (["list"], ["--list"]):
        assert main(["teach", *arguments]) == 0
        assert "Red soil  3 with, 3 without, balanced accuracy" in capsys.readouterr().out


def test_json_and_a_file_of_one_s_own(examples: list[str], tmp_path: Path, capsys: Told) -> None:
    file = tmp_path / "mine.json"
    assert main(["teach", "red", *examples, "--out", str(file), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["n_yes"], found["n_no"], found["folds"]) == (3, 3, 6)
    assert found["file"] == str(file)
    assert read_taught(file).name == "red"
    assert not taught_folder(home_folder()).exists()
    assert main(["teach", "--list"]) == 0
    assert "No class was taught yet." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "There is no name"),
        (["red", "--yes", "YES"], "no examples with --no"),
        (["red", "--yes", "nowhere", "--no", "YES"], "nowhere does not exist"),
        (["red", "--yes", "YES", "--no", "YES"], "decide for one"),
        (["red", "--yes", "YES", "--no", "YES", "--size", "0"], "--size 0"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    examples: list[str], arguments: list[str], message: str, capsys: Told
) -> None:
    given = [examples[1] if argument == "YES" else argument for argument in arguments]
    assert main(["teach", *given]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
