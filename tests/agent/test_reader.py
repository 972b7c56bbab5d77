"""Models by name, and when they are loaded."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from terralogue.agent import reader
from terralogue.agent.reader import NamedReader
from terralogue.agent.session import ChatSession
from terralogue.datasets.errors import InputError
from terralogue.vlm.vlm import Query, Reading

from .conftest import Eyes, WriteScene


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names that were loaded."""
    loaded: list[str] = []

    def load(spec: str) -> Eyes:
        loaded.append(spec)
        return Eyes(*[Reading("yes", 0.8)] * 8)

    monkeypatch.setattr(reader, "load_vlm", load)
    reader._loaded.cache_clear()
    yield loaded
    reader._loaded.cache_clear()


def test_a_model_is_loaded_once_by_all_who_need_it(loads: list[str]) -> None:
    readers = [NamedReader("embedded"), NamedReader("embedded")]
    assert loads == []
    threads = [threading.Thread(target=r.answer, args=(Query("?", ()),)) for r in readers * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == ["embedded"]


def test_a_session_warms_up_its_model(loads: list[str], home: Path) -> None:
    session = ChatSession()
    session.warm_up()
    assert "grounding" in NamedReader().tasks
    assert loads == ["embedded"]


def test_a_model_that_cannot_be_loaded_is_told_with_the_first_question(
    home: Path, write_scene: WriteScene, caplog: pytest.LogCaptureFixture
) -> None:
    with ChatSession(vlm="openai:nowhere") as session:
        with pytest.raises(InputError, match="nowhere"):
            session.ask("Is there a lake?", write_scene())
        assert session.ask("How much water?").route == "tools"
        with caplog.at_level(logging.WARNING):
            session.warm_up()
            for thread in threading.enumerate():
                if thread.name == reader.THREAD:
                    thread.join()
    assert "nowhere" in caplog.text
