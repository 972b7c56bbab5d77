"""Searching the archive from a conversation, end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from terralogue.agent.session import ChatSession
from terralogue.tools.archive import Archive


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Pictures of one grey each, from dark to light."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(6):
        shades = 20 + 40 * number + rng.integers(0, 20, (32, 32, 3))
        Image.fromarray(shades.clip(0, 255).astype(np.uint8)).save(folder / f"grey_{number}.png")
    return folder


@pytest.fixture
def archive(home: Path, pictures: Path, tiny_checkpoint: str) -> Archive:
    made = Archive.open(home / "archive", model=tiny_checkpoint, create=True)
    made.add([pictures])
    return made


def test_words_are_searched_for_and_the_hits_are_told(home: Path, archive: Archive) -> None:
    answer = ChatSession().ask("Show me all the airports in my archive")
    assert answer.route == "tools"
    assert [call.tool for call in answer.plan] == ["search_archive"]
    assert answer.plan[0].arguments == {"text": "airports"}
    assert answer.interpretation == "Search the archive for matching scenes: airports"
    best = archive.search("airports").hits[0]
    assert f"1. {best.row.name}, unknown_rgb: score {best.score:.3f}" in answer.answer
    assert "of 6 searched" in answer.answer
    assert [artefact.kind for artefact in answer.artefacts] == ["preview"]
    assert any("no georeference" in warning for warning in answer.warnings)


def test_scenes_like_the_one_at_hand_are_found(
    home: Path, archive: Archive, pictures: Path
) -> None:
    answer = ChatSession().ask("Find scenes like this in the archive", [pictures / "grey_5.png"])
    assert answer.plan[0].tool == "search_archive"
    assert set(answer.plan[0].arguments) == {"scene"}
    assert "1. grey_4.png" in answer.answer


def test_the_archive_may_be_made_while_a_session_is_open(
    home: Path, pictures: Path, tiny_checkpoint: str
) -> None:
    with ChatSession() as session:
        refused = session.ask("Search the archive for airports")
        assert (refused.route, refused.reason) == ("refuse", "no_data")
        assert "terralogue index add" in refused.answer
        Archive.open(home / "archive", model=tiny_checkpoint, create=True).add([pictures])
        assert session.ask("Search the archive for airports").route == "tools"


def test_a_search_for_changes_needs_pairs(home: Path, archive: Archive) -> None:
    answer = ChatSession().ask("Which pairs in the archive show new buildings?")
    assert answer.plan[0].tool == "search_changes"
    assert answer.plan[0].arguments == {"text": "new buildings"}
    assert (answer.route, answer.reason) == ("refuse", "no_data")


def test_a_request_that_names_nothing_is_asked_back(home: Path, archive: Archive) -> None:
    answer = ChatSession().ask("show me similar scenes from the archive")
    assert (answer.route, answer.missing_slot) == ("clarify", "target")
