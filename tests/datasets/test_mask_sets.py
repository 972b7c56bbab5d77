"""Pictures find their masks, and the values of masks their meaning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from terralogue.datasets.errors import InputError
from terralogue.datasets.mask_sets import Legend, legend_of, parse_classes, read_masks

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write grey pictures of 8 x 8 pixels, and masks that hold the values given, row by row."""

    def make(masks: dict[str, list[int]], *, folder: str = "masks") -> Path:
        for stem, values in masks.items():
            for name in ("images", folder):
                (tmp_path / name).mkdir(exist_ok=True)
            picture = np.full((8, 8, 3), 90, np.uint8)
            Image.fromarray(picture).save(tmp_path / "images" / f"{stem}.webp")
            mask = np.resize(np.array(values, np.uint8), (8, 8))
            Image.fromarray(mask).save(tmp_path / folder / f"{stem}.png")
        return tmp_path

    return make


def gold(data: Path, target: str | None = "water", classes: str | None = None) -> list[list[int]]:
    """The values in each gold of a folder."""
    samples = read_masks(data)
    legend = legend_of(samples, parse_classes(classes) if classes else None, target)
    return [np.unique(legend.read(item.mask)).tolist() for item in samples.items]


@pytest.mark.parametrize("folder", ["masks", "labels", "groundtruth"])
def test_a_mask_has_the_name_of_its_picture_whatever_the_format(write: Write, folder: str) -> None:
    samples = read_masks(write({"b2": [0, 1], "b10": [1]}, folder=folder))
    assert [item.name for item in samples.items] == ["images/b2.webp", "images/b10.webp"]
    assert [item.mask.name for item in samples.items] == ["b2.png", "b10.png"]


def test_a_data_set_is_known_by_the_names_of_its_pictures(write: Write) -> None:
    data = write({"tile3_image_part_001": [0, 1, 5], "tile3_image_part_002": [2, 3]})
    samples = read_masks(data)
    assert samples.dataset == "dubai"
    legend = legend_of(samples)
    assert legend.targets == ("bare_soil", "building", "road", "vegetation", "water")
    assert np.unique(legend.read(samples.items[0].mask)).tolist() == [1, 5, 255]
    only = legend_of(samples, target="road")
    assert np.unique(only.read(samples.items[1].mask)).tolist() == [0, 1]
    assert len(samples.chosen("own:train").items) == 2


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([[0, 1], [0]], [[0, 1], [0]]),
        # 255 is not scored beside 1, even in a mask that has no 1 itself.
        ([[0, 1, 255], [0, 255]], [[0, 1, 255], [0, 255]]),
        ([[0, 255], [255]], [[0, 1], [1]]),
        ([[0, 3, 90, 130, 255], [0]], [[0, 1], [0]]),
    ],
)
def test_masks_of_one_target_are_read_as_they_were_meant(
    write: Write, values: list[list[int]], expected: list[list[int]]
) -> None:
    assert gold(write({f"a{i}": each for i, each in enumerate(values)})) == expected


def test_classes_are_named_by_a_person(write: Write) -> None:
    data = write({"a": [0, 1, 2, 7]})
    assert gold(data, None, "1=water,2=building,7=ignore") == [[0, 1, 2, 255]]
    assert gold(data, "building", "1=water,2=building,7=other") == [[0, 1]]


@pytest.mark.parametrize(
    ("target", "classes", "said"),
    [
        (None, None, "--target"),
        ("water", None, "class values up to 7"),
        ("road", "1=water,2=building,7=ignore", "not among the classes"),
        (None, "1=water,2=building", "the value 7"),
        (None, "1:water", "cannot be read at '1:water'"),
        (None, "1=other", "names no target"),
    ],
)
def test_what_nobody_named_is_asked_for(
    write: Write, target: str | None, classes: str | None, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        gold(write({"a": [0, 1, 2, 7]}), target, classes)


def test_a_picture_without_mask_and_a_folder_without_pictures_are_errors(write: Write) -> None:
    data = write({"a": [0, 1], "b": [0, 1]})
    (data / "masks" / "b.png").unlink()
    with pytest.raises(InputError, match=r"b\.webp has no mask"):
        read_masks(data)
    with pytest.raises(InputError, match="holds no folder 'images'"):
        read_masks(data / "masks")


def test_masks_in_colour_are_read_by_the_colours_of_their_data_set() -> None:
    colours: dict[int, tuple[int, int, int]] = {1: (226, 169, 41), 2: (60, 16, 152)}
    legend = Legend(("water", "building"), {1: 1, 2: 2}, colours)
    picture: NDArray[np.uint8] = np.array([colours[1], colours[2]], np.uint8).T[:, None, :]
    assert legend.classes(picture, "mask").tolist() == [[1, 2]]
    with pytest.raises(InputError, match="in colour"):
        Legend(("water",), {1: 1}).classes(picture, "mask")
