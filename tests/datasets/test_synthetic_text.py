from __future__ import annotations

import numpy as np
import pytest

from terralogue.datasets.synthetic import LAYOUTS, Simulated, simulate_scene
from terralogue.datasets.synthetic_questions import KINDS
from terralogue.datasets.synthetic_text import captions, questions


@pytest.fixture(scope="module")
def scenes() -> list[Simulated]:
    """One small scene of every layout, and some by other sensors."""
    optical = [
        simulate_scene(layout=layout, size=48, seed=seed, season=0.5)
        for seed, layout in enumerate(LAYOUTS)
    ]
    other = [
        simulate_scene(sensor, size=48, seed=seed + 60)
        for seed, sensor in enumerate(("sentinel1_grd", "rgb_aerial", "landsat8", "elevation"))
    ]
    return optical + other


def test_captions_are_whole_different_sentences(scenes: list[Simulated]) -> None:
    for scene in scenes:
        told = captions(scene, count=5, seed=2)
        assert told == captions(scene, count=5, seed=2)
        assert len(set(told)) == len(told) >= 3, scene.layout
        for text in told:
            assert text[0].isupper()
            assert text.endswith(".")
            assert not set("{}[]|") & set(text)
            assert "  " not in text


def test_another_seed_gives_other_words(scenes: list[Simulated]) -> None:
    changed = sum(captions(scene, seed=1) != captions(scene, seed=2) for scene in scenes)
    assert changed == len(scenes)


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ("forest", ("forest", "wood", "tree")),
        ("sea", ("sea", "ocean")),
        ("city", ("city", "urban", "building")),
        ("desert", ("desert", "dune", "arid", "barren")),
        ("burn", ("burn", "scorched", "fire")),
        ("solar", ("solar", "photovoltaic")),
        ("airfield", ("airport", "airfield", "runway")),
        ("pivots", ("circ", "round", "pivot")),
    ],
)
def test_captions_name_what_the_place_is_known_for(layout: str, words: tuple[str, ...]) -> None:
    told = " ".join(captions(simulate_scene(layout=layout, size=48, seed=31, season=0.5), 8))
    assert any(word in told.lower() for word in words), told


def test_captions_name_clouds_and_radar() -> None:
    cloudy = simulate_scene(layout="forest", size=48, seed=1, season=0.5, clouds=0.3)
    assert "cloud" in " ".join(captions(cloudy, 6)).lower()
    radar = simulate_scene("sentinel1_grd", layout="forest", size=48, seed=1)
    assert all("radar" in text.lower() or "SAR" in text for text in captions(radar, 6))


def test_questions_are_the_seeds_and_of_many_kinds(scenes: list[Simulated]) -> None:
    kinds = set()
    for scene in scenes:
        asked = questions(scene, count=10, seed=3)
        assert asked == questions(scene, count=10, seed=3)
        assert len(asked) >= 3, scene.layout
        kinds |= {each.kind for each in asked}
        for each in asked:
            assert not set("{}[]|") & set(each.question)
            assert each.question[-1] in "?."
    assert kinds == set(KINDS) - {"change"}


def test_no_answer_is_a_safe_guess() -> None:
    answers = [
        each.answer
        for seed in range(40)
        for each in questions(simulate_scene(size=16, seed=seed), 20, seed)
        if each.kind == "presence"
    ]
    share = answers.count("yes") / len(answers)
    assert 0.35 < share < 0.65


def test_counts_are_those_of_the_boxes() -> None:
    seen = 0
    for seed in range(12):
        scene = simulate_scene("rgb_satellite", layout="sea", size=64, gsd=5, seed=seed)
        ships = sum(box.label == "ship" for box in scene.boxes)
        for asked in questions(scene, 20, seed):
            if asked.kind == "count" and "ships" in asked.question:
                assert asked.answer == str(ships)
                seen += 1
            if asked.kind == "presence" and "ships" in asked.question:
                assert asked.answer == ("yes" if ships else "no")
    assert seen > 3


def test_shares_and_areas_are_those_of_the_mask(scenes: list[Simulated]) -> None:
    names = {"water": "water", "forest": "tree_cover", "farmland": "cropland"}
    checked = 0
    for scene in scenes:
        shares, areas = scene.fractions(), scene.areas()
        for asked in questions(scene, 30, 5):
            for word, name in names.items():
                if asked.kind == "share" and f" {word}" in asked.question:
                    value = float(asked.answer.removesuffix(" %"))
                    assert value == pytest.approx(100 * shares[name], abs=5)
                    checked += 1
                if asked.kind == "area" and f" {word}" in asked.question:
                    number, unit = asked.answer.split()
                    size = 10_000 if unit == "ha" else 1
                    assert float(number) * size == pytest.approx(areas[name], rel=0.06)
                    checked += 1
    assert checked > 15


def test_comparisons_follow_the_shares(scenes: list[Simulated]) -> None:
    checked = 0
    for scene in scenes:
        shares = scene.fractions()
        for asked in questions(scene, 30, 6):
            if asked.kind != "comparison" or "built" in asked.question:
                continue
            text = asked.question
            at = {n: text.find(w) for n, w in (("tree_cover", "forest"), ("cropland", "farmland"))}
            if min(at.values()) < 0 or text.startswith("Compared"):
                continue
            first, second = sorted(at, key=lambda name: at[name])
            assert asked.answer == ("yes" if shares[first] > shares[second] else "no")
            checked += 1
    assert checked > 3


def test_a_city_is_urban_and_fields_are_rural() -> None:
    for layout, answer in (("city", "urban"), ("fields", "rural")):
        scene = simulate_scene(layout=layout, size=48, seed=2, season=0.5, clouds=0)
        told = {each.answer for each in questions(scene, 30, 1) if each.kind == "rural_urban"}
        assert told == {answer}


def test_nothing_is_asked_that_the_truth_leaves_open() -> None:
    """Small houses at 10 m are neither counted nor denied."""
    scene = simulate_scene(layout="suburb", size=48, seed=5, season=0.5)
    assert "building" in scene.uncounted
    for seed in range(5):
        for each in questions(scene, 30, seed):
            assert not (each.kind == "count" and "buildings" in each.question)
    assert np.isin(scene.classes, range(17)).all()
