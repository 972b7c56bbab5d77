"""The matrix of tools and scenes knows two states, and tells where there is a third."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from terralogue.datasets.synthetic import make_demo_scene
from terralogue.eval import tool_matrix
from terralogue.eval.tool_matrix import Cell, as_markdown, find_places, main, write
from terralogue.tools.server import TOOLS
from terralogue.tools.store import Store


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of scenes: a real one, and a file that is none."""
    folder = tmp_path / "data/scenes/valley"
    folder.mkdir(parents=True)
    make_demo_scene(folder / "demo.tif", size=64)
    (folder / "array.npy").write_bytes(b"no scene")
    return tmp_path / "data"


def test_every_tool_is_called_on_every_scene_and_works_or_says_why_not(
    data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "matrix"
    assert main(["--data", str(data), "--out", str(out), "--target", "water"]) == 0
    with (out / "matrix.csv").open(encoding="utf-8") as stream:
        cells = list(csv.DictReader(stream))
    for scene in {cell["scene"] for cell in cells}:
        called = {cell["call"].split()[0] for cell in cells if cell["scene"] == scene}
        assert called == set(TOOLS)
    assert {cell["state"] for cell in cells} == {"works", "refuses"}
    states = {(cell["scene"].split("-")[0], cell["call"]): cell["state"] for cell in cells}
    assert states["demo", "segment water"] == states["demo", "export"] == "works"
    assert states["array", "describe_scene"] == "refuses"
    text = (out / "matrix.md").read_text(encoding="utf-8")
    assert text.startswith(f"2 scenes, {len(cells)} calls: ")
    assert "0 fail otherwise" in text


def test_what_nobody_foresaw_is_a_state_of_its_own(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = [Cell("valley", "demo-1", "segment water", "fails", "Error | x", 0.1)]

    async def measure(*_: object) -> list[Cell]:
        return failing

    monkeypatch.setattr(tool_matrix, "measure", measure)
    assert main(["--data", str(data), "--out", str(tmp_path / "out")]) == 1
    assert "| fails | segment water | Error / x | 1 |" in as_markdown(failing)
    write([], tmp_path / "empty")
    assert (
        (tmp_path / "empty/matrix.md").read_text(encoding="utf-8").startswith("0 scenes, 0 calls")
    )


def test_files_of_one_acquisition_are_one_scene(data_dir: Path, tmp_path: Path) -> None:
    places = {place.name: place for place in find_places(data_dir, Store(tmp_path / "workspace"))}
    assert len(places["pisa"].scenes) == 2
    assert len(places["pucallpa_landsat_1985_2020"].scenes) == 5
    landsat = [scene for scene in places["rasterframes_L8_NAIP"].scenes if scene.startswith("l8")]
    assert len(landsat) <= 2


def test_a_folder_or_place_that_is_not_there_is_said(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(tmp_path / "no"), "--out", str(tmp_path)]) == 2
    assert "name another folder" in capsys.readouterr().err
    assert main(["--data", str(data), "--out", str(tmp_path), "--only", "moon"]) == 2
    assert "There is no place 'moon'; the places: valley." in capsys.readouterr().err
