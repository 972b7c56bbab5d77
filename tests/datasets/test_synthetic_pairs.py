from __future__ import annotations

import numpy as np
import pytest

from terralogue.datasets.errors import InputError
from terralogue.datasets.synthetic_changes import CHANGES
from terralogue.datasets.synthetic_pairs import PAIR_CHANGES, SEASONAL, simulate_pair
from terralogue.datasets.synthetic_text import change_captions, pair_questions

BECOMES = {
    "flood": {"flooded_area"},
    "burn": {"burned_area"},
    "clearing": {"bare_soil"},
    "new_buildings": {"building", "built_up", "road", "grassland", "tree_cover"},
    "new_road": {"road"},
    "new_solar": {"solar_panel"},
    "lake_shrinks": {"bare_soil"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_event_turns_ground_into_what_it_leaves(change: str) -> None:
    pair = simulate_pair(change=change, size=64, seed=7)
    assert 0.001 < pair.changed.mean() < 0.6
    np.testing.assert_array_equal(pair.changed, pair.before.classes != pair.after.classes)
    gain, loss = pair.gain(), pair.loss()
    assert sum(gain.values()) == pytest.approx(sum(loss.values()))
    assert sum(gain.values()) == pytest.approx(pair.changed.sum() * 100)
    assert sum(gain.get(name, 0) for name in BECOMES[change]) > 0.9 * sum(gain.values())


@pytest.mark.parametrize("change", SEASONAL)
def test_seasons_and_weather_change_pixels_but_not_the_truth(change: str) -> None:
    pair = simulate_pair(change=change, size=48, seed=3)
    assert not pair.changed.any()
    assert not pair.gain()
    assert (pair.before.data != pair.after.data).mean() > 0.9


def test_snow_melts_between_winter_and_spring() -> None:
    pair = simulate_pair(change="snow_melt", layout="fields", size=32, seed=1)
    assert pair.before.fractions()["snow_ice"] > 0.3
    assert pair.after.fractions().get("snow_ice", 0) < 0.05


def test_a_flood_drowns_low_land_and_spares_houses() -> None:
    pair = simulate_pair(change="flood", layout="river", size=96, seed=12)
    lost = pair.loss()
    assert max(lost, key=lambda name: lost[name]) in ("cropland", "grassland", "bare_soil")
    # Only pixels shared by a house and its drowned garden go to the flood.
    assert lost.get("building", 0) < 0.03 * sum(lost.values())


def test_what_cloud_hides_is_not_counted() -> None:
    clear, cloudy = (
        simulate_pair(change="burn", layout="forest", size=64, seed=5, clouds=clouds)
        for clouds in (0.0, 0.5)
    )
    np.testing.assert_array_equal(clear.changed, cloudy.changed)
    assert not cloudy.observed.all()
    assert cloudy.gain()["burned_area"] < clear.gain()["burned_area"]


def test_a_radar_pair_darkens_where_it_is_flooded() -> None:
    pair = simulate_pair("sentinel1_grd", change="flood", layout="river", size=96, seed=2)
    fell = pair.after.band("VH") - pair.before.band("VH")
    assert np.median(fell[pair.changed]) < np.median(fell[~pair.changed]) - 1.5


def test_changes_are_drawn_from_the_seed() -> None:
    drawn = {simulate_pair(size=8, seed=seed).change for seed in range(40)}
    assert len(drawn & set(CHANGES)) >= 5
    assert drawn & set(SEASONAL)


def test_an_unknown_change_is_named() -> None:
    with pytest.raises(InputError, match="unknown change 'war'; valid are: flood, burn"):
        simulate_pair(change="war", size=8)


@pytest.mark.parametrize("change", PAIR_CHANGES)
def test_captions_of_a_change_differ_and_are_the_seeds(change: str) -> None:
    pair = simulate_pair(change=change, size=64, seed=7)
    told = change_captions(pair, count=5, seed=1)
    assert told == change_captions(pair, count=5, seed=1)
    assert len(set(told)) == len(told) >= 4
    assert told != change_captions(pair, count=5, seed=2)
    for text in told:
        assert text[0].isupper()
        assert text.endswith(".")
        assert not set("{}[]|") & set(text)
        assert "  " not in text


def test_captions_say_what_happened_and_where() -> None:
    texts = " ".join(
        " ".join(change_captions(simulate_pair(change="burn", size=64, seed=seed), 8, seed))
        for seed in range(6)
    )
    assert "burn" in texts
    assert "fire" in texts
    assert any(place in texts for place in ("upper", "lower", "left", "right", "middle"))
    calm = " ".join(change_captions(simulate_pair(change="none", size=32, seed=1), 8))
    assert "no change" in calm.lower() or "nothing has changed" in calm.lower()


def test_questions_about_a_pair_follow_from_its_truth() -> None:
    for seed in range(8):
        pair = simulate_pair(size=64, seed=seed)
        for asked in pair_questions(pair, count=9, seed=seed):
            assert asked.kind == "change"
            if "hectares" in asked.question:
                area = float((pair.changed & pair.observed).sum()) / 100
                value = float(asked.answer.removesuffix(" ha"))
                assert value == pytest.approx(area, rel=0.06)
            if asked.answer == "nothing":
                assert not pair.changed.any()


def test_growth_and_loss_are_asked_both_ways() -> None:
    pair = simulate_pair(change="lake_shrinks", size=64, seed=7)
    asked = {q.question: q.answer for q in pair_questions(pair, count=12, seed=4)}
    water = {text: answer for text, answer in asked.items() if "water" in text}
    assert set(water.values()) == {"yes", "no"}
    for text, answer in water.items():
        words = ("less", "decrease", "shrink", "smaller", "lost", "decline")
        shrinks = any(word in text for word in words)
        assert answer == ("yes" if shrinks else "no")
