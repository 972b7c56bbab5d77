from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from terralogue.datasets.errors import InputError
from terralogue.datasets.parts import RUNS, as_fold, folds, part


@pytest.mark.parametrize("dataset", RUNS)
def test_about_a_tenth_goes_into_each_small_part(dataset: str) -> None:
    count = 10 * RUNS[dataset]
    sizes = Counter(part(dataset, f"airport_{n}.webp") for n in range(count))
    assert sizes == {"train": 8 * RUNS[dataset], "val": RUNS[dataset], "test": RUNS[dataset]}


def test_neighbouring_numbers_stay_together() -> None:
    parts = [part("rsicd", f"airport_{n}.webp") for n in range(400)]
    changes = sum(a != b for a, b in pairwise(parts))
    assert changes == 8


def test_zeros_and_folders_make_no_difference() -> None:
    assert part("ucm", "agricultural/agricultural035.tif") == part("ucm", "agricultural35.webp")


def test_a_name_without_a_number_and_an_unknown_set_are_refused() -> None:
    with pytest.raises(InputError, match="no number"):
        part("ucm", "agricultural.tif")
    with pytest.raises(InputError, match="rsicd"):
        part("imagenet", "cat_1.jpg")


def test_places_go_into_a_part_as_a_whole_whatever_the_zoom_of_the_map() -> None:
    assert part("sen2ships", "sen2ships/durban") == "val"
    assert part("sen2ships", "athens") == "train"
    # The same ground at zooms 19, 20 and 21.
    names = ("OAM-309614-261632-19.tif", "OAM-619228-523265-20.tif", "OAM-1238458-1046530-21.tif")
    assert {part("fair_buildings", name) for name in names} == {"test"}
    assert part("fair_buildings", "OAM-1772470-966380-21.webp") == "val"
    assert part("fair_buildings", "OAM-1238448-1046528-21.tif") == "train"


def test_folds_keep_neighbours_together_and_split_no_picture() -> None:
    names = [str(number) for number in range(0, 50, 2)]
    held = folds([*names, *names], 5)
    assert [sum(fold == each for each in held.values()) for fold in range(5)] == [5] * 5
    assert [held[name] for name in names] == sorted(held.values())
    assert as_fold("2/5") == (1, 5)
    for text in ("0/5", "6/5", "two", "2"):
        with pytest.raises(InputError, match="give K/N"):
            as_fold(text)
