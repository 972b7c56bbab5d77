"""An untrained model on disk, and small colour pictures that even its features tell apart."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

COLOURS = {"blueWater": (20, 40, 200), "greenForest": (30, 160, 40), "redSoil": (200, 60, 30)}

WritePictures = Callable[[Path, int], Path]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Specification of an untrained checkpoint, loaded by the same code as a trained one."""
    import torch

    from terralogue.vlm.checkpoint import write_checkpoint
    from terralogue.vlm.text import PROJECTION
    from terralogue.vlm.tower import ImageTower, TowerConfig

    with torch.random.fork_rng():
        torch.manual_seed(0)
        tower = ImageTower(TowerConfig(hidden=32)).eval()
    text = {f"{PROJECTION}.weight": torch.eye(384), f"{PROJECTION}.bias": torch.zeros(384)}
    folder = tmp_path_factory.mktemp("checkpoint")
    write_checkpoint(folder, tower, text, scales=(14.0, 14.0), labels=["green forest"])
    return f"embedded:{folder}"


@pytest.fixture(scope="session")
def load_once() -> Callable[..., Any]:
    """The real loader, which keeps what it loaded: that takes longer than any of these tests."""
    from terralogue.vlm.clip import load_geoclip

    return cache(load_geoclip)


@pytest.fixture
def model(checkpoint: str, load_once: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """The checkpoint, loaded once for all tests."""
    monkeypatch.setattr("terralogue.vlm.clip.load_geoclip", load_once)
    return checkpoint


@pytest.fixture
def write_pictures() -> WritePictures:
    """Write class folders of noisy pictures, one colour a class, numbered from 1."""

    def write(folder: Path, count: int) -> Path:
        random = np.random.default_rng(len(folder.parts))
        for label, colour in COLOURS.items():
            (folder / label).mkdir(parents=True)
            for number in range(1, count + 1):
                noise = random.integers(-15, 16, (16, 16, 3))
                pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / label / f"{label}_{number}.png")
        return folder

    return write
