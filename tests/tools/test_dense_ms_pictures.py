"""Chips of EuroSAT teach the networks over slots how real land looks in three colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from terralogue.datasets.dense_covers import COVERS
from terralogue.datasets.dense_slots import SLOTS
from terralogue.datasets.errors import InputError
from terralogue.tools.dense_cover_chips import boosting, scores
from terralogue.tools.dense_cover_scenes import Labelled, grassland_score
from terralogue.tools.dense_ms_command import main
from terralogue.tools.dense_ms_model import SlotConfig, SlotNet
from terralogue.tools.dense_ms_pictures import (
    PACK,
    SIDE,
    WHITE,
    Pictures,
    drawing,
    mosaics,
    pack_pictures,
    read_pictures,
    thinner_air,
    whole,
)
from terralogue.tools.dense_ms_training import Confusion, Recipe, Tiles, predict, train

# Red, green and blue of a class, as the chips show them.
LOOKS = {
    "Forest": (40, 66, 77),
    "SeaLake": (30, 50, 90),
    "Residential": (130, 125, 128),
    "AnnualCrop": (170, 140, 120),
}
# One number of each part.
NUMBERS = (1, 300, 800)


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """Three chips of each of four classes, one for each part, in one file."""
    rng = np.random.default_rng(0)
    for name, colour in LOOKS.items():
        (tmp_path / "eurosat_rgb" / name).mkdir(parents=True)
        for number in NUMBERS:
            noise = rng.integers(-4, 5, (SIDE, SIDE, 3))
            chip = (np.array(colour) + noise).astype(np.uint8)
            Image.fromarray(chip).save(tmp_path / "eurosat_rgb" / name / f"{name}_{number}.png")
    pack_pictures(tmp_path, tmp_path / PACK)
    return tmp_path / PACK


def test_parts_are_kept_apart_and_colours_become_reflectance(pack: Path) -> None:
    for which in ("train", "val", "test"):
        assert len(read_pictures(pack, which).codes) == len(LOOKS)
    tiles = whole(read_pictures(pack, "val"))
    forest = tiles.planes[tiles.codes[:, 0, 0] == COVERS.index("tree_cover")][0]
    green = ((forest[SLOTS.index("G")] + 1) / 2.5) ** 2
    assert float(green.mean()) == pytest.approx(66 / 255 * WHITE, rel=0.03)
    assert tiles.present[0].tolist() == [float(name in ("B", "G", "R")) for name in SLOTS]


def test_a_mosaic_shows_several_classes_where_it_says_so(pack: Path) -> None:
    torch.manual_seed(0)
    tiles = mosaics(read_pictures(pack, "train"), 24)
    assert tiles.planes.shape == (24, len(SLOTS), SIDE, SIDE)
    assert max(len(codes.unique()) for codes in tiles.codes) > 2
    assert set(tiles.codes.unique().tolist()) <= {
        COVERS.index(name) for name in ("tree_cover", "water", "built_up", "cropland")
    }
    red = ((tiles.planes[:, SLOTS.index("R")] + 1) / 2.5) ** 2
    for name, look in (("cropland", LOOKS["AnnualCrop"]), ("water", LOOKS["SeaLake"])):
        here = red[tiles.codes == COVERS.index(name)]
        assert float(here.mean()) == pytest.approx(look[0] / 255 * WHITE, rel=0.05)


def test_gardens_between_houses_are_left_open() -> None:
    colours = torch.full((1, 3, SIDE, SIDE), 100, dtype=torch.uint8)
    colours[:, 1, :10] = 130
    codes = whole(Pictures(colours, torch.tensor([COVERS.index("built_up")]))).codes
    assert (codes[:, :10] == 255).all()
    assert (codes[:, 10:] == COVERS.index("built_up")).all()


def test_thinner_air_darkens_blue_most_and_leaves_some_images_alone() -> None:
    torch.manual_seed(0)
    planes = torch.full((64, len(SLOTS), 2, 2), 2.5 * 0.12**0.5 - 1)
    ground = ((thinner_air(planes)[:, :10, 0, 0] + 1) / 2.5) ** 2
    lost = 0.12 - ground
    alone = lost.abs().max(1).values < 1e-5
    assert 0.2 < float(alone.float().mean()) < 0.8
    blue, near = SLOTS.index("B"), SLOTS.index("N")
    assert (lost[~alone, blue] > lost[~alone, near]).all()
    assert (ground > 0).all()


def test_a_network_learns_real_colours_beside_other_tiles(pack: Path) -> None:
    torch.manual_seed(0)
    chosen = ("tree_cover", "cropland")
    train_part, held_out = (
        Pictures(
            *(
                values[np.isin(part.codes, [COVERS.index(name) for name in chosen])]
                for values in part
            )
        )
        for part in (read_pictures(pack, "train"), read_pictures(pack, "val"))
    )
    other = Tiles(
        torch.zeros(2, len(SLOTS), SIDE, SIDE),
        torch.ones(2, len(SLOTS)),
        torch.full((2, SIDE, SIDE), COVERS.index("snow_ice"), dtype=torch.uint8),
    )
    net = SlotNet(SlotConfig(COVERS, (8, 8, 8, 8)))
    recipe = Recipe(
        steps=40, batch=2, side=SIDE, rate=2e-2, average=0.9, strength=0.2, drop=0.0, pictures=12,
        unlabelled=2, alone=0.9, bf16=True,
    )  # fmt: skip
    draw = drawing(train_part)
    best = train(net, lambda: other, recipe, pictures=draw, unlabelled=draw, say=lambda text: None)
    confusion = Confusion(len(COVERS))
    held = whole(held_out)
    confusion.add(held.codes, predict(best, held).argmax(1))
    assert all(confusion.ious[COVERS.index(name)] > 0.7 for name in chosen)


def test_what_is_missing_or_of_another_size_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no eurosat_rgb"):
        pack_pictures(tmp_path, tmp_path / PACK)
    with pytest.raises(InputError, match="give --data once"):
        read_pictures(tmp_path / PACK, "train")
    with pytest.raises(InputError, match="--side 64"):
        main(["cover", "--out", str(tmp_path / "out"), "--pictures"])


def test_methods_are_scored_on_the_chips_class_by_class(pack: Path) -> None:
    held_out = read_pictures(pack, "val")
    boosted = boosting(read_pictures(pack, "train"), 4000)

    def sea(some: Pictures) -> torch.Tensor:
        return torch.zeros(len(some.codes), SIDE, SIDE, dtype=torch.uint8)

    found = scores(held_out, {"boosting": lambda some: boosted(some.colours), "sea": sea})
    assert found["boosting"]["mean"] > 0.9
    assert found["sea"]["water"] == pytest.approx(1 / len(LOOKS), abs=0.02)
    assert found["sea"]["cropland"] == 0


def test_grass_is_scored_by_itself_only_where_labels_tell_it() -> None:
    grass = COVERS.index("grassland")
    groups = np.array([[1, 1, 0, 255]], np.uint8)
    planes, present = np.zeros((len(SLOTS), 1, 4), np.float32), np.ones(len(SLOTS), bool)
    told = Labelled("a", planes, present, groups, np.array([[True, False, False, False]]))
    untold = Labelled("b", planes, present, groups)
    found = np.array([[grass, grass, 0, grass]], np.uint8)
    assert grassland_score([told, untold], lambda scene: found) == 0.5
