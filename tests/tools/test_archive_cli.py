"""`terralogue index add` and `terralogue search`, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from terralogue.agent.cli import main
from terralogue.vlm.clip import load_geoclip
from terralogue.vlm.teach import teach


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TERRALOGUE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TERRALOGUE_ARCHIVE", raising=False)
    return tmp_path / "home"


def pictures(folder: Path, count: int) -> Path:
    """Pictures of one grey each, from dark to light."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        shade = 20 + 200 * number // count
        noise = rng.integers(0, 20, (32, 32, 3))
        Image.fromarray((shade + noise).astype(np.uint8)).save(folder / f"grey_{number:03}.png")
    return folder


def run(*arguments: str | Path) -> int:
    return main([str(each) for each in arguments])


def test_index_and_search_by_words_and_by_a_scene(
    home: Path, tmp_path: Path, tiny_checkpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pictures(tmp_path / "scenes", 6)
    (folder / "broken.tif").write_bytes(b"no image")
    assert run("index", "add", folder, "--model", tiny_checkpoint) == 0
    said = capsys.readouterr()
    assert (
        "Indexed 6 scenes (0 of them changed), 0 tiles and 0 pairs; 0 unchanged, 1 not indexed."
        in said.out
    )
    assert f"{home / 'archive'} holds 6 images" in said.out
    assert "broken.tif" in said.err
    assert run("search", "a dark place", "-k", "3", "--out", tmp_path / "out") == 0
    said = capsys.readouterr()
    assert said.out.count("grey_") == 3
    assert (tmp_path / "out" / "hits.png").stat().st_size > 1000
    assert run("search", "--like", folder / "grey_005.png", "-k", "1", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["hits"][0]["paths"] == [str(folder / "grey_004.png")]
    assert told["archive"] == str(home / "archive")


def test_json_of_an_index_says_what_was_done(
    home: Path, tmp_path: Path, tiny_checkpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pictures(tmp_path / "scenes", 3)
    place = tmp_path / "mine"
    command = ("index", "add", folder, "--archive", place, "--model", tiny_checkpoint, "--json")
    assert run(*command) == 0
    first = json.loads(capsys.readouterr().out)
    (folder / "grey_000.png").unlink()
    assert run(*command, "--prune") == 0
    second = json.loads(capsys.readouterr().out)
    assert (first["scenes"], first["images"], first["vanished"]) == (3, 3, [])
    assert (second["scenes"], second["unchanged"], second["pruned"]) == (0, 2, 1)
    assert second["vanished"] == [str(folder / "grey_000.png")]
    assert second["archive"] == str(place)
    assert len(second["fingerprint"]) == 16


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("index", "add", "none"), "does not exist"),
        (("index", "add", "empty"), "could be indexed"),
        (("search", "x", "--archive", "nowhere"), "no archive at"),
        (("search",), "one thing to search by"),
        (("search", "lake", "--like", "none.tif"), "one thing to search by"),
        (("search", "--like", "none.tif", "--taught", "pools"), "one thing to search by"),
        (("search", "x", "--bbox", "here"), "--bbox"),
        (("search", "--changes"), "--changes takes words"),
        (("search", "x", "--region", "1,2,3,4"), "--like"),
        (("search", "--like", "none.tif"), "does not exist"),
        (("search", "--taught", "pools"), "No class 'pools'"),
        (("search", "x", "--changes"), "several dates"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    arguments: tuple[str, ...], said: str, home: Path, tmp_path: Path, tiny_checkpoint: str,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    if arguments[0] == "search":
        run("index", "add", pictures(tmp_path / "scenes", 1), "--model", tiny_checkpoint)
    else:
        arguments = (*arguments, "--model", tiny_checkpoint)
    assert run(*arguments) == (4 if said == "several dates" else 2)
    told = capsys.readouterr().err.strip().splitlines()
    assert said in told[-1]
    assert told[-1].startswith("error: ")


def test_a_mistyped_path_leaves_no_archive_behind(
    home: Path, tmp_path: Path, tiny_checkpoint: str
) -> None:
    place = tmp_path / "archive"
    arguments = ("--archive", place, "--model", tiny_checkpoint)
    assert run("index", "add", tmp_path / "nowhere", *arguments) == 2
    assert not place.exists()


def test_words_need_no_quotes_and_files_that_are_gone_are_told(
    home: Path, tmp_path: Path, tiny_checkpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pictures(tmp_path / "scenes", 2)
    run("index", "add", folder, "--model", tiny_checkpoint)
    next(folder.iterdir()).unlink()
    capsys.readouterr()
    assert run("search", "a", "grey", "square") == 0
    told = capsys.readouterr().out
    assert "most like 'a grey square'" in told
    assert "1 of the 2 files found are gone" in told


def test_a_taught_class_is_searched_for(
    home: Path, tmp_path: Path, tiny_checkpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pictures(tmp_path / "scenes", 8)
    run("index", "add", folder, "--model", tiny_checkpoint)
    files = sorted(folder.iterdir())
    model = load_geoclip(tiny_checkpoint)
    teach("dark", files[:3], files[5:], model).save(home / "taught" / "dark")
    capsys.readouterr()
    assert run("search", "--taught", "dark", "-k", "3", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    # The darker half; which of them comes first, an untrained model need not know.
    assert {hit["paths"][0] for hit in told["hits"]} <= {str(file) for file in files[:4]}
