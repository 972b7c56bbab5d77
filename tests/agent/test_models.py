from __future__ import annotations

import json
from pathlib import Path

import pytest

from terralogue.agent import doctor, models
from terralogue.agent.models import MODELS, Model
from terralogue.datasets.errors import InputError


def test_the_list_says_size_and_licence_of_every_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert models.print_list(as_json=True) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["name"] for row in rows] == [model.name for model in MODELS]
    assert all(row["size"] > 0 and row["licence"] for row in rows)
    assert models.print_list(as_json=False) == 0
    assert "Apache-2.0" in capsys.readouterr().out


def test_an_unknown_model_lists_the_valid_ones() -> None:
    with pytest.raises(InputError, match="minilm, ukis-csmask"):
        models.get("oracle")


def test_a_model_that_is_there_is_not_fetched_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert models.get("minilm") == 0
    assert "is installed" in capsys.readouterr().out


def test_a_model_of_a_missing_package_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    absent = Model("moon", "the moon", 1, "MIT", "no-such-package", "pip install no-such-package")
    monkeypatch.setattr(models, "MODELS", (absent,))
    assert not absent.installed
    with pytest.raises(InputError, match="pip install no-such-package"):
        models.get("moon")


def test_the_doctor_finds_what_measuring_needs(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor.run(as_json=True) == 0
    found = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert found["rasterio"]["level"] == "ok"
    assert str(home) in found["home"]["text"]
    assert not home.exists()
    assert doctor.run(as_json=False) == 0


def test_the_doctor_says_where_the_home_folder_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("TERRALOGUE_HOME", str(tmp_path / "file" / "home"))
    assert doctor.run(as_json=False) == 2
    assert "TERRALOGUE_HOME" in capsys.readouterr().out
