from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from terralogue.datasets.errors import InputError
from terralogue.datasets.scene import open_scene
from terralogue.datasets.sensors import SENSORS
from terralogue.datasets.synthetic import make_demo_scene
from terralogue.vlm.align import Trainer
from terralogue.vlm.align_augment import augment, relight
from terralogue.vlm.align_batches import Stock, draw
from terralogue.vlm.align_boxes import boxed, dubai, number_words
from terralogue.vlm.align_config import AlignConfig
from terralogue.vlm.align_data import Source
from terralogue.vlm.align_scenes import scene_samples, simulated
from terralogue.vlm.cover_words import INDEX_CLASSES, index_fractions, sentences

S2 = SENSORS["sentinel2_l2a"].bands
RNG = np.random.default_rng(3)


@pytest.fixture(scope="module")
def radar() -> Source:
    return simulated("sentinel1_grd", 3, seed=7, size=64, workers=1)


def test_boxes_become_captions_that_say_what_and_how_many(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "images/001.png")
    coco = {
        "images": [{"id": 1, "file_name": "001.png"}],
        "categories": [{"id": 1, "name": "storage_tank"}, {"id": 2, "name": "ship"}],
        "annotations": [{"image_id": 1, "category_id": c} for c in (1, 1, 1, 2)],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(coco), encoding="utf-8")
    source = boxed("rsod", tmp_path, "train", side=16, weight=1)
    assert source.pixels.shape == (1, 3, 16, 16)
    assert all("three storage tanks" in caption for caption in source.captions[0])
    assert all("ship" in caption for caption in source.captions[0])


def test_numbers_are_said_as_people_say_them() -> None:
    assert number_words(1, "airplane", RNG) in ("an airplane", "one airplane")
    assert number_words(2, "overpass", RNG) == "two overpasses"
    assert number_words(4, "aircraft", RNG) == "four aircraft"
    assert number_words(30, "ship", RNG) in ("30 ships", "many ships")


def test_masks_become_captions_of_what_covers_most(tmp_path: Path) -> None:
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "images/tile_001.png")
    Image.new("L", (64, 64), 5).save(tmp_path / "masks/tile_001.png")
    source = dubai(tmp_path, "train", side=16, weight=1)
    assert all("water" in caption for own in source.captions for caption in own)
    assert source.fractions is not None
    np.testing.assert_allclose(source.fractions[:, 4], 1)


def test_a_missing_data_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"annotations\.json does not exist"):
        boxed("rsod", tmp_path, "train", side=16, weight=1)


def test_indices_tell_water_from_plants_and_cloud() -> None:
    spectra = {
        "vegetation": (0.04, 0.07, 0.04, 0.45, 0.2),
        "water": (0.05, 0.06, 0.04, 0.02, 0.01),
        "bare or built": (0.12, 0.14, 0.18, 0.22, 0.28),
        "bright": (0.7, 0.7, 0.7, 0.7, 0.4),
    }
    bands = [b for b in S2 if b.common in ("B", "G", "R", "N", "S1")]
    for i, name in enumerate(INDEX_CLASSES):
        pixel = np.array(spectra[name], np.float32).reshape(5, 1, 1)
        assert index_fractions(pixel, bands)[i] == 1
        assert len(sentences(index_fractions(pixel, bands), "Sentinel-2", RNG)) == 4


def test_a_real_scene_gives_tiles_with_their_picture_and_captions(tmp_path: Path) -> None:
    path = make_demo_scene(tmp_path / "s2.tif", size=128)
    with open_scene(path) as scene:
        samples = scene_samples(scene, step=64, label="Sentinel-2", seed=0)
    assert len(samples) == 4
    for sample in samples:
        np.testing.assert_array_equal(sample.picture, sample.data[[3, 2, 1]])
        assert abs(sample.fractions.sum() - 1) < 1e-5
        assert sample.captions


def test_a_simulated_radar_scene_comes_with_a_picture_of_the_same_place(radar: Source) -> None:
    assert radar.bands[0].kind == "sar"
    assert radar.companion is not None
    assert radar.companion.shape == (3, 3, 64, 64)
    assert all(own for own in radar.captions)
    assert np.isfinite(radar.pixels).all()
    assert radar.fractions is not None
    np.testing.assert_allclose(radar.fractions.sum(axis=1), 1, atol=1e-3)


def test_an_image_and_its_companion_are_cropped_and_turned_alike() -> None:
    image = torch.randn(4, 2, 32, 32)
    both = augment(torch.cat([image, image], 1), 24, np.random.default_rng(0))
    torch.testing.assert_close(both[:, :2], both[:, 2:])
    assert not torch.equal(both[0, :2], image[0, :, :24, :24])
    lit = relight(image, S2[:2], np.random.default_rng(0))
    flat = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(image, lit, strict=True)]
    assert min(flat) > 0.9


def test_light_varies_in_optical_bands_alone() -> None:
    image = torch.zeros(2, 2, 4, 4)
    lit = relight(image, (S2[0], SENSORS["sentinel1_grd"].bands[0]), np.random.default_rng(0))
    assert torch.equal(lit[:, 1], image[:, 1])
    assert not torch.equal(lit[:, 0], image[:, 0])


def test_bands_drop_out_at_random_but_never_all(radar: Source) -> None:
    config = AlignConfig(batch=4, sizes=(64,))
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(12):
        batch = draw(radar, config, rng, Stock([radar], torch.device("cpu")))
        assert batch.images.shape[1] == len(batch.bands) >= 1
        assert batch.companion is not None
        seen.add(batch.bands)
    assert len(seen) > 2


def test_a_step_on_radar_moves_the_stem_and_a_step_on_pictures_does_not(
    radar: Source, tmp_path: Path
) -> None:
    config = AlignConfig(batch=4, sizes=(64,), steps=2, every=100)
    trainer = Trainer(config, [radar], [], tmp_path)
    before = trainer.plain.image.stem.to_kernel.bias.detach().clone()
    trainer.run()
    moved = trainer.plain.image.stem.to_kernel.bias.detach()
    assert not torch.equal(before, moved)
    picture = Source(
        "pictures",
        radar.companion_bands,
        (np.random.default_rng(0).random((3, 3, 64, 64)) * 255).astype(np.uint8),
        (("a lake",), ("a town",), ("a wood",)),
        np.full(3, -1),
    )
    trainer = Trainer(config, [picture], [], tmp_path / "pictures")
    before = trainer.plain.image.stem.hyper[0].weight.detach().clone()
    trainer.run()
    assert torch.equal(before, trainer.plain.image.stem.hyper[0].weight.detach())
