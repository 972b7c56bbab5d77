"""`terralogue train dense` on a small data set, and the figures that come out of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from terralogue.datasets.band_tables import RGB
from terralogue.datasets.errors import InputError
from terralogue.tools.dense_augment import crop, recolour
from terralogue.tools.dense_calibrate import calibrate, measure
from terralogue.tools.dense_checkpoint import Dense, DenseFacts, read_dense
from terralogue.tools.dense_data import IGNORE, DensePack, read_pack, write_pack
from terralogue.tools.dense_model import DenseConfig, DenseNet
from terralogue.tools.dense_recipe import prepare
from terralogue.tools.dense_rgb import dubai_part
from terralogue.tools.dense_scores import calibration_error, fit_temperature
from terralogue.tools.dense_training import dense_loss
from terralogue.vlm.train import main

# Numbers of the parts train, val and test; see `datasets.parts`.
NAMES = ("satImage_001", "satImage_002", "satImage_016", "satImage_041")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grey roads on green, in the layout of the road pictures."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / "eth_roads" / kind).mkdir(parents=True)
    for name in NAMES:
        mask = np.zeros((96, 96), np.uint8)
        left, top = random.integers(8, 72, 2)
        mask[:, left : left + 16] = 255
        mask[top : top + 16] = 255
        colours = np.where(mask[..., None] > 0, (130, 130, 130), (40, 110, 40))
        noisy = np.clip(colours + random.normal(0, 8, (96, 96, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / "eth_roads/images" / f"{name}.webp", lossless=True)
        Image.fromarray(mask).save(folder / "eth_roads/masks" / f"{name}.png")
    return folder


def options(data: Path, out: Path) -> list[str]:
    return ["dense", "rgb_road", "--data", str(data), "--packs", str(out / "packs"),
            "--out", str(out / "run"), "--sources", "eth_roads", "--batch", "4", "--size", "64",
            "--average", "0.8", "--lr", "0.004"]  # fmt: skip


def test_a_short_training_finds_grey_roads_and_is_calibrated(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    assert main([*options(data, tmp_path), "--steps", "16"]) == 0
    trained = read_dense(tmp_path / "run")
    assert set(trained.net.config.heads) == {"road"}
    facts = trained.facts.heads["road"]
    assert 0 < facts.temperature < 5
    low, high = facts.area_factors["road"]
    assert low <= high
    scores = json.loads((tmp_path / "run/scores_val.json").read_text(encoding="utf-8"))
    assert scores["road"]["iou"] > 0.7 > scores["road"]["everything"]
    assert "best validation score" in capsys.readouterr().out
    # Goes on where it was, has nothing left to do, and scores what it has not seen.
    assert main([*options(data, tmp_path), "--steps", "16"]) == 0
    assert main([*options(data, tmp_path), "--score", "test"]) == 0
    scores = json.loads((tmp_path / "run/scores_test.json").read_text(encoding="utf-8"))
    assert scores["road"]["iou"] > 0.7
    assert read_dense(tmp_path / "run").facts.heads["road"] == facts


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--sources", "moon"], "unknown source"),
        (["--minutes", "0"], "--minutes"),
        (["--size", "100"], "multiple of 32"),
        (["--data", "nowhere"], "has no masks"),
        (["--batch", "0"], "--batch"),
    ],
)
def test_options_that_cannot_be_used_are_named(
    data: Path, tmp_path: Path, more: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        main([*options(data, tmp_path), *more])


def test_packs_come_back_with_their_labels(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    labels = {"a": random.integers(0, 3, (2, 40, 50)).astype(np.uint8)}
    flat = np.full((2, 3, 40, 50), 90, np.uint8)
    for images in (flat, random.normal(0, 1, (2, 3, 40, 50)).astype(np.float16)):
        write_pack(tmp_path / "p.npz", DensePack("p", RGB, images, labels, (0.5, 2.0), 3.0))
        pack = read_pack(tmp_path / "p.npz")
        assert pack.bands == RGB
        assert pack.images.dtype == images.dtype
        assert np.allclose(pack.images.astype(float), images.astype(float), atol=2)
        assert np.array_equal(pack.labels["a"], labels["a"])
        assert (pack.zoom, pack.weight) == ((0.5, 2.0), 3.0)
    (tmp_path / "p.npz").write_bytes(b"nothing")
    with pytest.raises(InputError, match="delete it"):
        read_pack(tmp_path / "p.npz")


def test_labels_go_along_with_their_pixels() -> None:
    random = np.random.default_rng(1)
    labels = torch.from_numpy(random.integers(0, 2, (6, 1, 8, 8)).astype(np.uint8))
    labels = labels.repeat_interleave(8, 2).repeat_interleave(8, 3)
    images = labels.float() * 2 - 1
    for zoom in ((0.5, 0.5), (1.0, 1.0), (1.4, 1.4)):
        cut, marks = crop(images, labels, 32, zoom, random)
        assert cut.shape == marks.shape == (6, 1, 32, 32)
        sure = cut.abs() > 0.99
        assert sure.float().mean() > 0.3
        assert torch.equal((cut > 0)[sure], (marks == 1)[sure])


def test_recoloured_pictures_stay_pictures() -> None:
    images = torch.linspace(-1, 1, 48).reshape(1, 3, 4, 4).repeat(8, 1, 1, 1)
    found = recolour(images, np.random.default_rng(0))
    assert found.isfinite().all()
    assert (found.std(0) > 0).any()
    # Brighter stays brighter.
    assert (found.flatten(2).diff(dim=2) >= 0).all()


def test_unknown_pixels_teach_nothing() -> None:
    logits = torch.randn(2, 3, 4, 4)
    labels = torch.randint(0, 3, (2, 4, 4), dtype=torch.uint8)
    labels[0] = IGNORE
    alone = dense_loss(logits[1:], labels[1:], 0.5)
    assert torch.allclose(dense_loss(logits, labels, 0.5), alone, atol=1e-5)
    everything = dense_loss(logits, torch.full_like(labels, IGNORE), 0.5)
    assert float(everything) == 0


def test_the_temperature_undoes_overconfidence() -> None:
    random = np.random.default_rng(0)
    right = random.normal(0, 1, (20_000, 2)).astype(np.float32)
    chance = np.exp(right[:, 1]) / np.exp(right).sum(1)
    labels = (random.random(20_000) < chance).astype(np.uint8)
    bold = torch.from_numpy(right * 3)
    assert fit_temperature(bold, torch.from_numpy(labels)) == pytest.approx(3, rel=0.15)
    assert calibration_error(bold.softmax(1).numpy(), labels) > 0.1
    assert calibration_error((bold / 3).softmax(1).numpy(), labels) < 0.02


def test_the_interval_holds_the_true_area_of_the_images_it_was_made_from() -> None:
    torch.manual_seed(0)
    net = DenseNet(DenseConfig({"road": ("other", "road")})).eval()
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (5, 3, 64, 64)).astype(np.uint8)
    labels = np.zeros((5, 64, 64), np.uint8)
    for i in range(5):
        labels[i, : 8 * (i + 1)] = 1
    pack = DensePack("p", RGB, images, {"road": labels})
    targets = {"road": ("road", ("road",))}
    facts = calibrate(Dense(net, DenseFacts(), "0"), [pack], targets)
    found = measure(Dense(net, facts, "0"), [pack], targets)
    assert found["road"]["inside"] == 1
    assert found["road"]["images"] == 5
    assert found["road"]["everything"] == pytest.approx(3 * 8 / 64)


def test_pieces_of_two_tiles_are_held_out_of_the_land_cover() -> None:
    parts = {stem: dubai_part(stem) for stem in ("tile2_3", "tile2_8", "tile2_1", "tile1_8")}
    assert parts == {"tile2_3": "val", "tile2_8": "test", "tile2_1": "train", "tile1_8": "train"}


def test_a_whole_real_tile_can_be_held_out(data_dir: Path, tmp_path: Path) -> None:
    found = prepare("rgb_held_out", "val", tmp_path, data_dir, ["dubai"])
    # Nine pieces in quarters, with land cover alone.
    assert found[0].images.shape == (36, 3, 480, 480)
    assert set(found[0].labels) == {"cover"}
    again = prepare("rgb_held_out", "val", tmp_path, None, ["dubai"])
    assert np.array_equal(again[0].labels["cover"], found[0].labels["cover"])
