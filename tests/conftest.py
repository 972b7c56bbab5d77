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


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Name of an untrained model that the real loading code reads from a folder."""
    from terralogue.vlm.checkpoint import write_checkpoint
    from terralogue.vlm.embedded_clip import untrained

    folder = tmp_path_factory.mktemp("tiny")
    model = untrained(0)
    write_checkpoint(folder, model.tower, model._tensors, scales=(14.0, 14.0), labels=[])
    return f"embedded:{folder}"
