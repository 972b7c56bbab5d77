"""Teaching a class on an untrained tower: the score, what is stored, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from terralogue.datasets.errors import InputError
from terralogue.datasets.pictures import RGB_BANDS
from terralogue.vlm.clip import tiny_geoclip
from terralogue.vlm.cross_validation import cross_validate, wilson
from terralogue.vlm.head import fit_head, fitted, platt
from terralogue.vlm.teach import (
    TaughtClass,
    classify_with_taught,
    load_taught,
    read_taught,
    taught_among,
    taught_file,
    taught_names,
    teach,
)

if TYPE_CHECKING:
    from terralogue.vlm.clip import GeoCLIP

RED, BLUE = (200, 50, 30), (20, 40, 190)


@pytest.fixture(scope="module")
def clip() -> GeoCLIP:
    return tiny_geoclip()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Six noisy red pictures and six blue ones."""
    random = np.random.default_rng(3)
    root = tmp_path_factory.mktemp("examples")
    for name, colour in (("red", RED), ("blue", BLUE)):
        (root / name).mkdir()
        for number in range(6):
            pixels = np.array(colour) + random.integers(-20, 21, (16, 16, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(
                root / name / f"{number}.png"
            )
    return root / "red", root / "blue"


@pytest.fixture(scope="module")
def red(clip: GeoCLIP, folders: tuple[Path, Path]) -> TaughtClass:
    return teach("Red soil", [folders[0]], [folders[1]], clip)


def plain(*colours: tuple[int, int, int]) -> list[np.ndarray]:
    return [np.full((16, 16, 3), c, np.uint8).transpose(2, 0, 1) for c in colours]


def test_a_taught_class_scores_pictures_it_has_not_seen(red: TaughtClass, clip: GeoCLIP) -> None:
    vectors = clip.encode_image(plain(RED, BLUE), RGB_BANDS)
    like, unlike = red.score(vectors)
    assert like > 0.7 > 0.3 > unlike
    assert np.linalg.norm(red.direction) == pytest.approx(1)
    assert vectors[0] @ red.direction > vectors[1] @ red.direction


def test_its_score_was_cross_validated_and_says_on_how_much(red: TaughtClass) -> None:
    found = red.validation
    assert (found.scheme, found.folds, found.n) == ("across scenes", 5, 12)
    assert (found.balanced_accuracy, found.auc) == (1.0, 1.0)
    assert found.interval is not None
    # All right on six and six is no certainty.
    assert found.interval == (pytest.approx(0.724, abs=0.001), 1.0)
    assert "12 examples (5 folds): balanced accuracy 1.00 (95 %: 0.72 to 1.00)" in found.sentence()
    assert "uncertain" in found.sentence()


def test_it_is_kept_with_its_model_and_read_back(
    red: TaughtClass, clip: GeoCLIP, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    red.save(taught_file(red.name, tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"red_soil.json", "red_soil.safetensors"}
    again = load_taught("red  SOIL", tmp_path)
    vectors = clip.encode_image(plain(RED, BLUE), RGB_BANDS)
    assert again.score(vectors).tolist() == red.score(vectors).tolist()
    assert again.validation == red.validation
    assert again.yes[0] == str(folders[0].resolve() / "0.png")
    assert taught_names(tmp_path) == ["Red soil"]
    again.check_model(clip)
    with pytest.raises(InputError, match=r"'Red soil' was taught with the model tiny .* again"):
        again.check_model(tiny_geoclip(seed=1))


def test_broken_or_absent_files_are_refused(red: TaughtClass, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="taught classes: none"):
        load_taught("red soil", tmp_path)
    file = red.save(tmp_path / "red_soil.json")
    with pytest.raises(InputError, match="taught classes: Red soil"):
        load_taught("blue", tmp_path)
    (tmp_path / "red_soil.safetensors").write_bytes(b"other")
    with pytest.raises(InputError, match="is not the file that red_soil"):
        read_taught(file)
    file.write_text(json.dumps({"name": "x"}), encoding="utf-8")
    with pytest.raises(InputError, match="teach it again"):
        read_taught(file.with_suffix(".safetensors"))
    assert taught_names(tmp_path) == []


def test_one_side_missing_or_an_example_on_both_is_refused(
    clip: GeoCLIP, folders: tuple[Path, Path]
) -> None:
    with pytest.raises(InputError, match="no examples with --no"):
        teach("red", [folders[0]], [], clip)
    with pytest.raises(InputError, match=r"0.png is given with --yes and with --no"):
        teach("red", [folders[0]], [folders[1], folders[0] / "0.png"], clip)
    with pytest.raises(InputError, match="cannot be the name of a class"):
        teach(" / ", [folders[0]], [folders[1]], clip)


def test_too_few_examples_give_a_head_but_no_score(
    clip: GeoCLIP, folders: tuple[Path, Path]
) -> None:
    taught = teach("red", [folders[0] / "0.png"], [folders[1] / "0.png"], clip)
    assert (taught.validation.scheme, taught.validation.balanced_accuracy) == ("none", None)
    assert "too few examples" in taught.validation.sentence()
    assert not taught.calibrated
    like, unlike = taught.score(clip.encode_image(plain(RED, BLUE), RGB_BANDS))
    assert like > unlike


def test_clicks_in_one_scene_say_that_other_scenes_were_not_tried(
    clip: GeoCLIP, tmp_path: Path
) -> None:
    pixels = np.empty((40, 80, 3), np.uint8)
    pixels[:, :40], pixels[:, 40:] = RED, BLUE
    scene = tmp_path / "scene.png"
    Image.fromarray(pixels).save(scene)
    yes, no = [f"{scene}@{x},20" for x in (8, 18, 28)], [f"{scene}@{x},20" for x in (52, 62, 72)]
    taught = teach("red", yes, no, clip, size=16)
    assert (taught.validation.scheme, taught.validation.balanced_accuracy) == ("within scenes", 1)
    assert "says little about other scenes" in taught.validation.sentence()
    assert taught.no[0].endswith("scene.png@52,20")


def test_examples_of_one_scene_are_never_learnt_from_and_tested_on() -> None:
    random = np.random.default_rng(0)
    scenes = [f"s{i // 3}" for i in range(60)]
    flags = np.arange(60) % 3 == 0
    # Each vector carries the number of its scene, so that the spy can tell.
    vectors = random.normal(size=(60, 4)).astype(np.float32)
    vectors[:, 0] = np.arange(60) // 3
    shared: list[set[float]] = []

    def spy(known: np.ndarray, answers: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        def judge(others: np.ndarray) -> np.ndarray:
            shared.append(set(known[:, 0]) & set(others[:, 0]))
            return np.zeros(len(others)) - 1

        return judge

    found, values = cross_validate(vectors, flags, scenes, spy)
    assert shared == [set()] * 5
    assert np.isfinite(values).all()
    assert (found.balanced_accuracy, found.auc) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("scenes", "flags", "folds"),
    [
        # Few examples: each scene is left out once.
        ("aabbcc", [1, 0, 1, 0, 1, 0], 3),
        # Only two scenes have the class, so no five folds could be balanced.
        ("aabbccddeeff", [1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0], 6),
    ],
)
def test_where_scenes_are_few_each_is_left_out_once(
    scenes: str, flags: list[int], folds: int
) -> None:
    vectors = np.eye(len(scenes), dtype=np.float32)
    found, _ = cross_validate(vectors, np.array(flags, bool), list(scenes), fitted)
    assert (found.scheme, found.folds, found.n) == ("across scenes", folds, len(scenes))


def test_both_sides_weigh_the_same_however_many_examples_they_have() -> None:
    flags = np.arange(40) < 4
    vectors = np.where(flags, 1.0, -1.0)[:, None].astype(np.float32)
    weights, bias = fit_head(vectors, flags)
    assert weights[0] > 0
    assert abs(bias) < 0.01 * weights[0]


def test_probabilities_follow_the_share_of_right_answers() -> None:
    random = np.random.default_rng(5)
    truth = random.random(4000)
    values = 2 * (np.log(truth / (1 - truth)) + 0.5)
    slope, offset = platt(values, random.random(4000) < truth)
    assert (slope, offset) == (pytest.approx(0.5, abs=0.05), pytest.approx(-0.5, abs=0.12))


def test_a_head_that_ranks_the_wrong_way_round_gives_the_share_of_examples() -> None:
    values = np.array([-2.0, -1.0, 0.5, 1.0, 2.0, 3.0])
    slope, offset = platt(values, np.array([True, True, False, False, False, False]))
    assert slope == 0
    assert 1 / (1 + np.exp(-offset)) == pytest.approx(2 / 6)


def test_the_interval_of_a_share_is_wilson_s() -> None:
    assert wilson(0.5, 10) == (pytest.approx(0.2366, abs=1e-4), pytest.approx(0.7634, abs=1e-4))
    assert wilson(1.0, 5) == (pytest.approx(0.5655, abs=1e-4), 1.0)


def test_taught_labels_use_their_head_and_others_share_the_rest(
    red: TaughtClass, clip: GeoCLIP
) -> None:
    images = plain(RED, BLUE)
    labels = ["water", "red soil", "forest"]
    probability = red.score(clip.encode_image(images, RGB_BANDS))
    found = classify_with_taught(clip, images, labels, {"red soil": red}, RGB_BANDS)
    for ranked, expected in zip(found, probability, strict=True):
        scores = {each.label: each.score for each in ranked}
        assert scores["red soil"] == pytest.approx(expected)
        assert sum(scores.values()) == pytest.approx(1)
        assert [each.score for each in ranked] == sorted(scores.values(), reverse=True)
    assert found[0][0].label == "red soil"
    with pytest.raises(InputError, match="was taught with the model"):
        classify_with_taught(tiny_geoclip(1), images, labels, {"red soil": red}, RGB_BANDS)


def test_labels_that_were_taught_are_found_whatever_their_case(
    red: TaughtClass, clip: GeoCLIP, tmp_path: Path
) -> None:
    red.save(taught_file(red.name, tmp_path))
    assert list(taught_among(["water", "RED soil", "?"], tmp_path)) == ["RED soil"]
    assert taught_among(["water"], tmp_path / "nowhere") == {}
    images = plain(RED)
    untaught = classify_with_taught(clip, images, ["water", "forest"], {"red": red}, RGB_BANDS)
    assert untaught == clip.classify(images, ["water", "forest"], RGB_BANDS)
