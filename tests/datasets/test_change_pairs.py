"""Change data sets are found by their layout, and cut by places."""

from __future__ import annotations

from pathlib import Path

import pytest

from terralogue.datasets.change_pairs import OSCD_FOLDS, fold_of, read_change_pairs
from terralogue.datasets.errors import InputError


def put(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_oscd_is_found_as_prepared_and_as_downloaded(tmp_path: Path) -> None:
    put(tmp_path / "a", "images/rennes/imgs_1/B02.tif", "images/rennes/imgs_2/B02.tif")
    put(tmp_path / "a", "labels/rennes/cm.png")
    official = "Onera Satellite Change Detection dataset - "
    put(tmp_path / "b", f"{official}Images/paris/imgs_1/B02.tif")
    put(tmp_path / "b", f"{official}Train Labels/paris/cm/cm.png")
    for folder, city in (("a", "rennes"), ("b", "paris")):
        pairs = read_change_pairs(tmp_path / folder)
        assert (pairs.layout, [item.name for item in pairs.items]) == ("oscd", [city])
        assert pairs.items[0].after.name == "imgs_2"


def test_sztaki_and_folders_of_sides_are_found(tmp_path: Path) -> None:
    put(tmp_path / "s", "Szada_2/im1.webp", "Szada_2/im2.webp", "Szada_2/gt.png")
    assert [item.name for item in read_change_pairs(tmp_path / "s").items] == ["Szada_2"]
    for split in ("train", "test"):
        put(tmp_path / "l", *(f"{split}/{side}/x_1.png" for side in ("A", "B", "label")))
    pairs = read_change_pairs(tmp_path / "l")
    assert [item.name for item in pairs.items] == ["test/x_1", "train/x_1"]
    assert [item.name for item in pairs.chosen("test").items] == ["test/x_1"]
    assert len(pairs.limited(1).items) == 1


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no change data set"):
        read_change_pairs(tmp_path)
    with pytest.raises(InputError, match="not a folder"):
        read_change_pairs(tmp_path / "none")
    put(tmp_path / "a", "images/rennes/imgs_1/B02.tif")
    with pytest.raises(InputError, match=r"no cm\.png for rennes"):
        read_change_pairs(tmp_path / "a")
    put(tmp_path / "l", "A/1.png", "B/1.png", "label/2.png")
    with pytest.raises(InputError, match="no counterpart"):
        read_change_pairs(tmp_path / "l")
    put(tmp_path / "s", "x/im1.png", "x/im2.png", "x/gt.png")
    pairs = read_change_pairs(tmp_path / "s")
    with pytest.raises(InputError, match="no split 'val'"):
        pairs.chosen("val")
    with pytest.raises(InputError, match="--limit 0"):
        pairs.limited(0)


def test_neighbouring_cities_stay_in_one_fold() -> None:
    cities = [city for fold in OSCD_FOLDS for city in fold]
    folds = fold_of(cities, 4)
    assert folds["paris"] == folds["bercy"] == folds["saclay_e"]
    assert len(set(folds.values())) == 4
    assert fold_of(["b", "a", "c"], 2) == {"a": 0, "b": 1, "c": 0}
