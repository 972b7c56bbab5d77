from __future__ import annotations

import json
from pathlib import Path

import pytest

from terralogue.agent.answer import Answer, AnswerArtefact, AnswerMeasurement
from terralogue.agent.deliver import deliver
from terralogue.datasets.errors import InputError


def answer_with(*files: Path) -> Answer:
    artefacts = tuple(
        AnswerArtefact(id=f"a{n}", kind="mask", path=str(file), media_type="image/tiff")
        for n, file in enumerate(files)
    )
    measured = AnswerMeasurement(
        name="area", value=1.0, unit="ha", method="m", artefact=str(files[0]) if files else None
    )
    return Answer(
        thread="t", question="q", interpretation="i", route="tools", answer="One.",
        measurements=(measured,), artefacts=artefacts,
    )  # fmt: skip


def written(folder: Path, text: str) -> Path:
    folder.mkdir()
    (folder / "water.tif").write_text(text, encoding="utf-8")
    return folder / "water.tif"


def test_files_and_answer_land_in_the_folder_and_the_answer_says_where(tmp_path: Path) -> None:
    told = deliver(answer_with(written(tmp_path / "a", "one")), tmp_path / "out" / "here")
    place = tmp_path / "out" / "here" / "water.tif"
    assert place.read_text(encoding="utf-8") == "one"
    assert told.artefacts[0].path == told.measurements[0].artefact == str(place)
    kept = json.loads((place.parent / "answer.json").read_text(encoding="utf-8"))
    assert kept == told.model_dump(mode="json")
    assert sorted(p.name for p in place.parent.iterdir()) == ["answer.json", "water.tif"]


def test_two_files_of_one_name_are_both_kept(tmp_path: Path) -> None:
    files = [written(tmp_path / name, name) for name in ("a", "b")]
    told = deliver(answer_with(*files), tmp_path / "out")
    assert [Path(a.path).name for a in told.artefacts] == ["water.tif", "water-a1.tif"]
    assert [Path(a.path).read_text(encoding="utf-8") for a in told.artefacts] == ["a", "b"]


def test_files_from_before_are_replaced(tmp_path: Path) -> None:
    for name in ("a", "b"):
        deliver(answer_with(written(tmp_path / name, name)), tmp_path / "out")
    assert (tmp_path / "out" / "water.tif").read_text(encoding="utf-8") == "b"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file", encoding="utf-8")
    with pytest.raises(InputError, match="choose another folder"):
        deliver(answer_with(), tmp_path / "out")
