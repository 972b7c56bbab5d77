from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from terralogue.agent.cli import main
from terralogue.datasets.errors import InputError
from terralogue.datasets.scene import open_scene
from terralogue.datasets.sensors import SENSORS
from terralogue.datasets.synthetic import make_demo_scene, simulate_scene
from terralogue.datasets.tiles import normalise
from terralogue.eval.any_bands import recall_at_1
from terralogue.vlm.align_scenes import rgb_of
from terralogue.vlm.clip import GeoCLIP, load_geoclip
from terralogue.vlm.embedded_clip import FOLDER


@pytest.fixture(scope="module")
def clip() -> GeoCLIP:
    return load_geoclip()


def test_the_weights_are_those_that_their_card_describes(clip: GeoCLIP) -> None:
    digest = hashlib.sha256((FOLDER / "align.safetensors").read_bytes()).hexdigest()
    assert digest in (FOLDER / "README.md").read_text(encoding="utf-8")
    assert clip.fingerprint == digest[:16]


@pytest.mark.parametrize("sensor", ["sentinel2_l2a", "landsat8", "unknown_rgb"])
def test_forest_and_sea_are_mostly_told_apart_by_every_kind_of_sensor(
    clip: GeoCLIP, sensor: str
) -> None:
    labels = ("forest", "sea")
    right = []
    for layout in labels:
        for seed in range(6):
            scene = simulate_scene(sensor, layout=layout, size=64, seed=seed, clouds=0, season=0.5)
            data = scene.data.astype(np.uint8) if sensor == "unknown_rgb" else scene.data
            (ranked,) = clip.classify(np.nan_to_num(data), labels, scene.bands)
            right.append(ranked[0].label == layout)
    assert np.mean(right) >= 0.75


def test_all_bands_of_a_place_lie_where_its_red_green_and_blue_do(clip: GeoCLIP) -> None:
    scenes = [simulate_scene("sentinel2_l2a", size=64, seed=30_000_000 + i) for i in range(40)]
    bands = scenes[0].bands
    colours = rgb_of(bands)
    data = normalise(np.stack([scene.data for scene in scenes]), bands)
    every = clip.encode_tiles(data, bands)
    rgb = clip.encode_tiles(
        np.ascontiguousarray(data[:, colours]), tuple(bands[i] for i in colours)
    )
    assert recall_at_1(every, rgb) >= 0.9


def test_a_scene_from_a_file_is_described_by_words(clip: GeoCLIP, tmp_path: Path) -> None:
    with open_scene(make_demo_scene(tmp_path / "s2.tif", size=128)) as scene:
        vector = clip.encode_image(scene)
    assert vector.shape == (1, clip.dimensions)
    np.testing.assert_allclose(np.linalg.norm(vector), 1, rtol=1e-5)


def test_real_chips_are_classified_by_the_names_of_their_folders(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--split", "own:test", "--limit", "200", "--out", str(tmp_path)]
    folder = str(data_dir / "eurosat_rgb")
    assert main(["eval", "classification", "--data", folder, *options]) == 0
    capsys.readouterr()
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert summary["metrics"]["accuracy"] > 0.9
    assert summary["model"].startswith("embedded")


def test_real_captions_find_their_images(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--split", "own:test", "--out", str(tmp_path)]
    assert main(["eval", "retrieval", "--data", str(data_dir / "ucm"), *options]) == 0
    capsys.readouterr()
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert summary["metrics"]["mean_recall"] > 45
    assert summary["baselines"]["chance"] < 5


def test_radar_numbers_that_are_no_decibels_are_refused(clip: GeoCLIP) -> None:
    with pytest.raises(InputError, match="has no unit"):
        clip.encode_image(np.zeros((2, 32, 32), np.int16), SENSORS["sentinel1_grd"].bands[:2])
