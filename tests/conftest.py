"""Shared fixtures: real data at hand (skipped where absent)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder with real scenes, named by TERRALOGUE_DATA."""
    folder = os.environ.get("TERRALOGUE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("set TERRALOGUE_DATA to a folder with real scenes to run this test")
    return Path(folder)
