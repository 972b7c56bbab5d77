"""An index is found by name, and given only where the scene's numbers carry it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import spyndex

from terralogue.datasets.errors import ClarifyError, InputError, MissingBandError, RefusalError
from terralogue.datasets.scene import Scene
from terralogue.tools.formulas import find_index, formula_for

MakeScene = Callable[..., Scene]
SHAPE = (4, 5)


def constant(**bands: float) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    return {name: np.full(SHAPE, value, np.float32) for name, value in bands.items()}


ALL = constant(
    B01=0.08, B02=0.07, B03=0.09, B04=0.06, B05=0.12, B06=0.25, B07=0.3, B08=0.35, B8A=0.36,
    B09=0.34, B10=0.01, B11=0.2, B12=0.11,
)  # fmt: skip


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("ndvi", "NDVI"),
        ("kNDVI", "kNDVI"),
        ("Normalized Difference Vegetation Index", "NDVI"),
        ("BSI", "BI"),
    ],
)
def test_names_are_found_however_they_are_written(said: str, name: str) -> None:
    assert find_index(said) == name


def test_an_unknown_index_lists_close_names() -> None:
    with pytest.raises(InputError, match="NDVI") as error:
        find_index("NDVVI")
    assert "none of the" in str(error.value)


def test_every_index_whose_bands_exist_has_a_finite_value_or_says_why(
    make_scene: MakeScene,
) -> None:
    scene = make_scene("all", ALL)
    finite = 0
    for name in spyndex.indices:
        try:
            formula = formula_for(scene, name)
        except RefusalError:
            continue
        values = formula.values(scene.read(formula.bands).data)
        assert values.shape == SHAPE
        finite += bool(np.isfinite(values).all())
    assert finite > 200


def test_values_are_those_of_the_formula(make_scene: MakeScene) -> None:
    scene = make_scene("all", ALL)

    def value(name: str) -> float:
        formula = formula_for(scene, name)
        return float(formula.values(scene.read(formula.bands).data)[0, 0])

    assert value("NDVI") == pytest.approx((0.35 - 0.06) / (0.35 + 0.06))
    assert value("EVI") == pytest.approx(2.5 * 0.29 / (0.35 + 6 * 0.06 - 7.5 * 0.07 + 1), rel=1e-5)
    kernel = np.exp(-(0.29**2) / (2 * 0.5**2))
    assert value("kNDVI") == pytest.approx((1 - kernel) / (1 + kernel), rel=1e-4)
    # Wavelengths in nanometres, from the sensor's own bands.
    middle = (842 - 665) / (1610 - 665)
    assert value("FAI") == pytest.approx(0.35 - (0.06 + (0.2 - 0.06) * middle), abs=0.002)


def test_no_value_where_a_band_was_not_observed_or_the_denominator_is_zero(
    make_scene: MakeScene,
) -> None:
    bands = constant(B04=0.1, B08=0.3)
    bands["B04"][0, 0] = np.nan
    scene = make_scene("holes", bands)
    formula = formula_for(scene, "NDVI")
    values = formula.values(scene.read(formula.bands).data)
    assert np.isnan(values[0, 0])
    assert np.isfinite(values).sum() == values.size - 1
    zero = np.zeros((2, 1, 1), np.float32)
    assert np.isnan(formula.values(zero)).all()


def test_a_missing_band_is_named_with_the_sensors_that_have_it(make_scene: MakeScene) -> None:
    scene = make_scene("rgb", constant(R=90, G=80, B=70), sensor="unknown_rgb", dtype="uint8")
    with pytest.raises(MissingBandError, match=r"NDVI cannot be computed: .* no band N") as error:
        formula_for(scene, "NDVI")
    assert "naip_rgbn" in str(error.value)
    assert error.value.exit_code == 4


def test_uncalibrated_numbers_give_ratios_but_not_reflectance_formulas(
    make_scene: MakeScene,
) -> None:
    bands = constant(R=90, G=80, B=70, N=120)
    scene = make_scene("naip", bands, sensor="naip_rgbn", dtype="uint8")
    formula = formula_for(scene, "NDVI")
    assert formula.normalised
    assert "on uncalibrated digital numbers" in formula.method
    with pytest.raises(RefusalError, match="uncalibrated"):
        formula_for(scene, "EVI")


def test_backscatter_in_decibel_enters_as_power(make_scene: MakeScene) -> None:
    scene = make_scene("s1", constant(VV=-10, VH=-20), sensor="sentinel1_grd")
    formula = formula_for(scene, "DpRVIVV")
    if not formula.power:
        pytest.skip("this sensor was read as plain numbers")
    values = formula.values(scene.read(formula.bands).data)
    assert values[0, 0] == pytest.approx(4 * 0.01 / (0.1 + 0.01), rel=1e-4)


def test_a_quantity_that_no_scene_carries_is_refused(make_scene: MakeScene) -> None:
    with pytest.raises(RefusalError, match="Photosynthetically"):
        formula_for(make_scene("all", ALL), "NIRvP")


def test_the_sensor_is_asked_for_where_the_bands_do_not_say_enough(make_scene: MakeScene) -> None:
    scene = make_scene("chip", constant(green=0.1, nir=0.3), sensor=None)
    assert scene.sensor is None
    assert formula_for(scene, "NDWI").bands == ("G", "N")
    with pytest.raises(ClarifyError) as error:
        formula_for(scene, "NBR")
    assert error.value.slot == "sensor"
