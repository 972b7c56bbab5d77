"""The table of specialists and the choice from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import spyndex
from numpy.typing import NDArray

from terralogue.datasets.errors import InputError, MissingBandError, RefusalError
from terralogue.datasets.scene import Scene
from terralogue.tools import specialists
from terralogue.tools.specialist import TITLES, Score
from terralogue.tools.specialists import SPECIALISTS, choose
from terralogue.tools.spectral import bands_of, evaluate, formula

MakeScene = Callable[..., Scene]
SIX = ("B02", "B03", "B04", "B08", "B11", "B12")


def scene_of(make_scene: MakeScene, bands: tuple[str, ...], **options: str) -> Scene:
    flat = {name: np.full((20, 20), 0.2, np.float32) for name in bands}
    return make_scene("scene", flat, **options)


def test_every_target_has_a_row_and_every_row_a_known_target() -> None:
    targets = {target for row in SPECIALISTS for target in row.targets}
    assert targets == set(TITLES)
    assert len({row.name for row in SPECIALISTS}) == len(SPECIALISTS)


@pytest.mark.parametrize(
    ("target", "bands", "expected"),
    [
        ("water", SIX, "mndwi"),
        ("water", ("B02", "B03", "B04", "B08"), "ndwi"),
        ("vegetation", ("B04", "B08"), "ndvi"),
        ("bare_soil", SIX, "bare_soil_swir"),
        ("bare_soil", ("B03", "B04", "B08"), "bare_soil_nir"),
        ("snow_ice", SIX, "ndsi"),
        ("built_up", SIX, "built_up_index"),
        ("burned_area", SIX, "nbr_split"),
        ("cloud", SIX, "clouds"),
    ],
)
def test_the_bands_decide(
    make_scene: MakeScene, target: str, bands: tuple[str, ...], expected: str
) -> None:
    assert choose(scene_of(make_scene, bands), target).specialist.name == expected


def test_with_a_reference_the_pair_methods_are_taken(make_scene: MakeScene) -> None:
    scene = scene_of(make_scene, SIX)
    assert choose(scene, "flooded_area", scene).specialist.name == "mndwi_flood"
    assert choose(scene, "burned_area", scene).specialist.name == "dnbr"
    assert choose(scene, "vegetation", scene).specialist.name == "ndvi"


def test_a_clearly_better_score_on_the_sensor_wins_and_a_tie_keeps_the_order(
    make_scene: MakeScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = scene_of(make_scene, SIX)
    for score, winner in ((0.90, "ndwi"), (0.645, "mndwi")):
        rows = tuple(
            replace(row, scores={"sentinel2_l1c": Score(score, "here")})
            if row.name == "ndwi"
            else replace(row, scores={"sentinel2_l1c": Score(0.635, "here")})
            if row.name == "mndwi"
            else row
            for row in SPECIALISTS
        )
        monkeypatch.setattr(specialists, "SPECIALISTS", rows)
        choice = choose(scene, "water")
        assert choice.specialist.name == winner
        assert "measured on here" in choice.why


def test_trees_on_raw_numbers_are_refused_with_what_can_be_asked_for(
    make_scene: MakeScene,
) -> None:
    bands = {name: np.full((20, 20), 90, np.float32) for name in ("red", "green", "blue", "nir")}
    scene = make_scene("air", bands, sensor="naip_rgbn", dtype="uint8")
    with pytest.raises(RefusalError, match="ask for the vegetation as a whole"):
        choose(scene, "tree_cover")


def test_what_was_not_measured_is_said(make_scene: MakeScene) -> None:
    assert "accuracy not measured" in choose(scene_of(make_scene, SIX), "vegetation").why


def test_a_missing_band_is_named_with_sensors_that_have_it(make_scene: MakeScene) -> None:
    red_green = scene_of(make_scene, ("B03", "B04"))
    with pytest.raises(MissingBandError, match=r"Near-Infrared.*sentinel2_l1c"):
        choose(red_green, "vegetation")
    with pytest.raises(MissingBandError, match=r"\(N\), or else .*\(S1\)"):
        choose(red_green, "water")


def test_cloud_is_refused_where_nothing_can_see_it(make_scene: MakeScene) -> None:
    radar = scene_of(make_scene, ("VV",), sensor="sentinel1_grd")
    with pytest.raises(RefusalError, match="networks"):
        choose(radar, "cloud")


def test_an_unknown_target_is_an_input_error(make_scene: MakeScene) -> None:
    with pytest.raises(InputError, match="cloud_shadow"):
        choose(scene_of(make_scene, SIX), "ship")


@pytest.mark.parametrize("index", ["MNDWI", "NDWI", "NDVI", "NDSI", "NBR", "NBR2", "VARI", "BI"])
def test_indices_are_those_of_spyndex(index: str) -> None:
    random = np.random.default_rng(0)
    bands = {name: random.random((3, 4)).astype(np.float32) for name in bands_of(index)}
    expected = spyndex.computeIndex(index, bands)
    np.testing.assert_allclose(evaluate(index, bands), expected, rtol=1e-5)


def test_awei_subtracts_both_infrared_terms() -> None:
    # Feyisa et al. 2014, equation 2, by hand.
    values = {"G": 0.1, "N": 0.2, "S1": 0.05, "S2": 0.04}
    bands = {name: np.array([value], np.float32) for name, value in values.items()}
    assert evaluate("AWEInsh", bands)[0] == pytest.approx(4 * 0.05 - (0.25 * 0.2 + 2.75 * 0.04))


def test_an_index_is_nan_where_it_is_not_defined() -> None:
    nothing = np.zeros(3, np.float32)
    assert np.isnan(evaluate("NDVI", {"N": nothing, "R": nothing})).all()
    assert formula("N") == "N"


def test_a_model_asked_for_by_name_is_taken_and_its_score_is_said(make_scene: MakeScene) -> None:
    choice = choose(scene_of(make_scene, SIX, sensor="sentinel2_l2a"), "water", model="awei")
    assert choice.specialist.name == "awei"
    assert choice.why.startswith("asked for by name; IoU 0.56 measured on")


@pytest.mark.parametrize(
    ("target", "model", "said"),
    [
        ("water", "resnet", "There is no model 'resnet'; the models for water are mndwi"),
        ("water", "ndvi", "'ndvi' finds vegetation, not water"),
        ("burned_area", "dnbr", "give one as reference"),
    ],
)
def test_a_model_that_cannot_serve_the_target_is_an_input_error(
    make_scene: MakeScene, target: str, model: str, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        choose(scene_of(make_scene, SIX), target, model=model)


def test_for_a_comparison_only_the_rules_are_chosen_from(make_scene: MakeScene) -> None:
    scene = scene_of(make_scene, SIX)
    assert not choose(scene, "water", physical=True).specialist.learned
    with pytest.raises(RefusalError, match="no physical rule"):
        choose(scene, "cloud", physical=True)


def test_among_unmeasured_rows_a_rule_goes_first_and_then_the_closest_pixel_size(
    make_scene: MakeScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = scene_of(make_scene, SIX)
    rule = next(row for row in SPECIALISTS if row.name == "ndvi")
    coarse = replace(rule, name="coarse", learned=True, gsd=(100.0, 500.0))
    close = replace(rule, name="close", learned=True, gsd=(2.0, 8.0))
    monkeypatch.setattr(specialists, "SPECIALISTS", (coarse, close))
    choice = choose(scene, "vegetation")
    assert choice.specialist.name == "close"
    assert "pixels of 2 to 8 m; accuracy not measured" in choice.why
    monkeypatch.setattr(specialists, "SPECIALISTS", (coarse, close, rule))
    assert choose(scene, "vegetation").specialist.name == "ndvi"


def test_pixels_that_are_too_coarse_are_a_matter_of_resolution(
    make_scene: MakeScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = scene_of(make_scene, SIX)
    rule = next(row for row in SPECIALISTS if row.name == "ndvi")
    fine = replace(rule, gsd=(0.1, 1.0), refuses=lambda scene: "its pixels are too coarse")
    monkeypatch.setattr(specialists, "SPECIALISTS", (fine,))
    with pytest.raises(RefusalError, match="too coarse") as caught:
        choose(scene, "vegetation")
    assert caught.value.reason == "resolution"


def picture(make_scene: MakeScene, values: NDArray[np.uint8]) -> Scene:
    bands = {name: values[..., number] for number, name in enumerate(("R", "G", "B"))}
    return make_scene("picture", bands, sensor="unknown_rgb", crs=None, dtype="uint8")


@pytest.mark.parametrize("target", ["water", "building", "bare_soil", "road"])
def test_a_network_is_not_asked_about_a_flat_or_drawn_picture(
    make_scene: MakeScene, target: str
) -> None:
    drawn = np.full((90, 120, 3), (40, 90, 160), np.uint8)
    drawn[20:50, 30:80] = (200, 30, 30)
    with pytest.raises(RefusalError, match=r"only 2 different colours.*use a photograph"):
        choose(picture(make_scene, drawn), target)


def test_a_dull_photograph_is_no_drawing(make_scene: MakeScene) -> None:
    noise = np.random.default_rng(0).normal(120, 2.5, (90, 120, 3))
    scene = picture(make_scene, noise.astype(np.uint8))
    assert choose(scene, "bare_soil").specialist.name == "rgb_bare_soil"
