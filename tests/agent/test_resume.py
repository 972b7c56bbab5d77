"""A process is killed in the middle of an answer; another one goes on with the conversation."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from terralogue.agent.session import UNFINISHED, ChatSession

from .conftest import SIZE, WATER_ROWS, WriteScene, lake

TILES = 16
HECTARES = TILES**2 * WATER_ROWS * SIZE * 9 / 1e4


@pytest.fixture
def killed(home: Path, write_scene: WriteScene) -> str:
    """The thread of a command that got SIGKILL while a tool was running."""
    scene = write_scene("big.tif", np.tile(lake(), (1, TILES, TILES)))
    command = [sys.executable, "-m", "terralogue.agent.cli", "ask", str(scene)]
    command += ["-q", "How much water is there?", "--thread", "mine"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )
    with process:
        assert process.stderr is not None
        assert process.stdout is not None
        # The tool has reported its first part, and has most of its work before it.
        assert any("%" in line for line in process.stderr)
        process.send_signal(signal.SIGKILL)
        assert process.stdout.read() == ""
    assert process.returncode == -signal.SIGKILL
    return "mine"


def test_a_killed_turn_is_there_and_is_finished_by_another_process(killed: str) -> None:
    session = ChatSession(killed)
    assert [turn.content for turn in session.history()] == ["How much water is there?"]
    answer = session.resume()
    area = next(m.value for m in answer.measurements if m.name == "area")
    assert area == pytest.approx(HECTARES, rel=5e-3)
    assert answer.question == "How much water is there?"
    assert session.ask("And in acres?").exit_code == 0
    assert [turn.role for turn in session.history()] == ["user", "assistant"] * 2


def test_another_question_may_follow_a_killed_turn(killed: str) -> None:
    answer = ChatSession(killed).ask("Compute the NDVI")
    assert [call.tool for call in answer.plan] == ["compute_index"]
    assert answer.warnings[0] == UNFINISHED + "How much water is there?"
