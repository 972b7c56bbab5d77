from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from terralogue.agent.cli import main
from terralogue.datasets.band_tables import RGB
from terralogue.datasets.errors import InputError
from terralogue.datasets.sensors import SENSORS
from terralogue.vlm.align import Trainer
from terralogue.vlm.align_augment import augment, roughen
from terralogue.vlm.align_config import AlignConfig
from terralogue.vlm.align_data import Source
from terralogue.vlm.align_texts import JOINT, TextTable
from terralogue.vlm.checkpoint import read_checkpoint, write_checkpoint
from terralogue.vlm.clip import load_geoclip
from terralogue.vlm.text_training import TextTower
from terralogue.vlm.tower import ImageTower, TowerConfig

RNG = np.random.default_rng(5)
CONFIG = AlignConfig(
    batch=6, sizes=(64,), steps=2, every=1, average=0.5, fixed_text=True, frozen=0, depthwise=False,
    trunk_lr=1e-3, strong=True, drop_path=0.2, keep_best=True,
)  # fmt: skip
S1 = SENSORS["sentinel1_grd"].bands[:2]
SAID = ("a lake", "a town", "a wood")


def pictures(count: int = 6) -> Source:
    """Noise with captions and labels."""
    return Source(
        "noise",
        RGB,
        (RNG.random((count, 3, 32, 32)) * 255).astype(np.uint8),
        tuple((SAID[i % 3], f"{SAID[i % 3]} by a road") for i in range(count)),
        np.arange(count) % 3,
        ("lake", "town", "wood"),
    )


def radar(count: int = 6) -> Source:
    """Noise of two polarisations beside pictures of it."""
    images = RNG.normal(0, 0.3, (count, 5, 32, 32)).astype(np.float16)
    return Source(
        "radar",
        S1,
        images[:, :2],
        tuple((SAID[i % 3],) for i in range(count)),
        np.full(count, -1),
        companion=images[:, 2:],
        companion_bands=RGB,
    )


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint to go on from, whose text tower is not MiniLM's own any more."""
    folder = tmp_path_factory.mktemp("begun")
    torch.manual_seed(3)
    tower = ImageTower(TowerConfig())
    torch.nn.init.normal_(tower.stem.to_kernel.weight, std=0.02)
    text = TextTower()
    with torch.no_grad():
        text.project.weight.add_(0.02 * torch.randn_like(text.project.weight))
    write_checkpoint(folder, tower, text.exported(), scales=(20.0, 15.0), labels=["harbour"])
    return folder


def test_a_text_is_embedded_once_and_comes_back_from_the_file(tmp_path: Path) -> None:
    asked: list[str] = []

    def encode(texts: Sequence[str]) -> np.ndarray:
        asked.extend(texts)
        rows = np.stack([np.cos(np.arange(8) * (len(text) + 1)) for text in texts])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    table = TextTable(encode)
    first = table(["a lake", "a town by the sea", "a lake"])
    table(["a lake", f"a lake{JOINT}a town by the sea"])
    assert asked == ["a lake", "a town by the sea"]
    table.save(tmp_path / "texts.npz")
    again = TextTable(encode)
    again.load(tmp_path / "texts.npz")
    torch.testing.assert_close(
        again(["a lake", "a town by the sea", "a lake"]), first, atol=1e-2, rtol=0
    )
    both = again([f"a lake{JOINT}a town by the sea"])[0]
    mean = first[0] + first[1]
    torch.testing.assert_close(both, mean / mean.norm(), atol=1e-2, rtol=0)
    assert len(asked) == 2


def test_a_broken_file_of_vectors_is_named(tmp_path: Path) -> None:
    (tmp_path / "texts.npz").write_bytes(b"no vectors")
    with pytest.raises(InputError, match=r"texts\.npz cannot be read"):
        TextTable(lambda texts: np.zeros((len(texts), 2), np.float32)).load(tmp_path / "texts.npz")


def test_with_fixed_texts_the_picture_tower_learns_and_the_text_tower_stays(
    begun: Path, tmp_path: Path
) -> None:
    source = pictures()
    Trainer(CONFIG, [source], [source], tmp_path / "run", [begun], tmp_path / "cache").run()
    before, after = (load_file(p / "align.safetensors") for p in (begun, tmp_path / "run"))
    for name, value in before.items():
        if name.startswith("text."):
            assert torch.equal(value, after[name]), name
    # All stages learn, depthwise kernels too.
    for name in ("blocks.0.0.conv_dw", "blocks.6.0.conv_pw"):
        key = f"image.trunk.{name}.weight"
        assert not torch.equal(before[key], after[key])
    clips = [load_geoclip(f"embedded:{p}") for p in (begun, tmp_path / "run")]
    np.testing.assert_array_equal(*(clip.encode_text(SAID) for clip in clips))
    assert clips[1].seen_labels == {"harbour", "lake", "town", "wood"}
    assert read_checkpoint(tmp_path / "run/best").scales[0] == pytest.approx(20, rel=0.1)


def test_a_run_whose_texts_are_all_in_the_cache_does_without_the_text_encoder(
    begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = pictures()
    Trainer(CONFIG, [source], [], tmp_path / "first", [begun], tmp_path / "cache")
    monkeypatch.setattr("terralogue.vlm.minilm.PACKAGE", "not_installed_here")
    config = replace(CONFIG, steps=1)
    Trainer(config, [source], [source], tmp_path / "next", [begun], tmp_path / "cache").run()
    scores = json.loads((tmp_path / "next/training.json").read_text())["scores"]
    assert set(scores) == {"noise_recall", "noise_accuracy"}


def test_learning_the_stem_alone_changes_radar_and_leaves_pictures_as_they_are(
    begun: Path, tmp_path: Path
) -> None:
    config = replace(CONFIG, only_stem=True, lr=1e-2, steps=4, every=10)
    Trainer(config, [radar()], [], tmp_path / "stem", [begun]).run()
    before, after = (load_geoclip(f"embedded:{p}") for p in (begun, tmp_path / "stem"))
    picture = (RNG.random((3, 160, 160)) * 255).astype(np.uint8)
    rows = [clip.encode_image(picture, RGB) for clip in (before, after)]
    np.testing.assert_allclose(rows[0], rows[1], atol=2e-3)
    planes = RNG.normal(-12, 3, (2, 160, 160)).astype(np.float32)
    rows = [clip.encode_image(planes, S1) for clip in (before, after)]
    assert np.abs(rows[0] - rows[1]).max() > 2e-3
    tensors = [load_file(p / "align.safetensors") for p in (begun, tmp_path / "stem")]
    changed = {
        name for name, value in tensors[0].items() if not torch.equal(value, tensors[1][name])
    }
    assert changed == {"image.stem.to_kernel.weight", "image.stem.to_kernel.bias"}


def test_strong_augmentation_keeps_the_size_and_covers_some_images_in_part() -> None:
    images = torch.rand(40, 3, 32, 32) + 0.2
    turned = augment(images, 48, RNG, strong=True)
    assert turned.shape == (40, 3, 48, 48)
    assert float(turned.min()) >= 0.15
    rough = roughen(images, RNG)
    covered = (rough == 0).all(1).flatten(1).float().mean(1)
    assert 0.02 < float((covered > 0).float().mean()) < 0.9
    assert float(covered.max()) < 0.25


def test_fixed_texts_need_a_checkpoint_to_take_them_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["train", "align", "--out", "x", "--data", ".", "--fixed-text"]) == 2
    assert "give --init" in capsys.readouterr().err
