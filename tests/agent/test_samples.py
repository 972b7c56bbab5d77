from __future__ import annotations

from pathlib import Path

import pytest
import rasterio

from terralogue.agent.samples import SAMPLES, Sample, sample_files
from terralogue.datasets.scene import open_scene
from terralogue.datasets.synthetic import make_demo_scene


def test_the_real_sample_opens_as_sentinel_2_without_coordinates(tmp_path: Path) -> None:
    (path,) = sample_files(tmp_path, "real")
    scene = open_scene(path)
    assert scene.sensor is not None
    assert scene.sensor.key == "sentinel2_l2a"
    assert scene.crs is None
    assert scene.has("B", "G", "R", "N")


def test_a_sample_is_written_once_and_again_when_a_file_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Sample(
        "small", "", "", ("?",), lambda folder: (make_demo_scene(folder / "a.tif", size=32),)
    )
    monkeypatch.setitem(SAMPLES, "small", small)
    (path,) = sample_files(tmp_path, "small")
    stamp = path.stat().st_mtime_ns
    assert sample_files(tmp_path, "small") == (path,)
    assert path.stat().st_mtime_ns == stamp
    path.unlink()
    assert sample_files(tmp_path, "small") == (path,)
    with rasterio.open(path) as scene:
        assert scene.count == 12
    assert [entry.name for entry in tmp_path.iterdir()] == ["small"]


def test_every_sample_has_questions_that_fit_on_the_page() -> None:
    for sample in SAMPLES.values():
        assert 1 <= len(sample.questions) <= 5
