from __future__ import annotations

import numpy as np
import pytest

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError
from terralogue.datasets.sensors import SENSORS
from terralogue.datasets.spectra import (
    GROUPS,
    WAVELENGTHS,
    convolve,
    draw,
    draw_canopy,
    endmembers,
    moisten,
)
from terralogue.datasets.spectra_models import cloud, snow, water

S2 = [band for band in SENSORS["sentinel2_l2a"].bands if band.name != "B10"]


def s2(spectra: np.ndarray) -> dict[str, float]:
    """Mean band values by name."""
    values = convolve(np.atleast_2d(spectra), S2).mean(0)
    return dict(zip((band.name for band in S2), values.tolist(), strict=True))


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_holds_reflectances(group: str) -> None:
    spectra = endmembers(group)
    assert spectra.shape[1] == len(WAVELENGTHS) == 211
    assert len(spectra) >= 15
    assert spectra.min() >= 0
    assert spectra.max() < 1.1


def test_canopies_have_a_red_edge_and_soils_do_not() -> None:
    canopy, soil = s2(endmembers("canopy_dense")), s2(endmembers("soil"))
    assert canopy["B08"] > 8 * canopy["B04"]
    assert canopy["B03"] > canopy["B04"]
    assert soil["B02"] < soil["B03"] < soil["B04"] < soil["B08"] < soil["B11"]


def test_an_unknown_group_names_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'lava'; valid are: soil, sand"):
        endmembers("lava")


def test_drawing_is_seeded_and_stays_within_the_group() -> None:
    first, again = (draw("sand", np.random.default_rng(5), 40) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    pool = endmembers("sand")
    assert (first <= pool.max(0) + 1e-4).all()
    assert (first >= pool.min(0) - 1e-4).all()
    assert first.std(0).mean() > 0.002


def test_a_flat_spectrum_stays_flat_in_every_sensor() -> None:
    flat = np.full((1, 211), 0.37, np.float32)
    for sensor in SENSORS.values():
        bands = [band for band in sensor.bands if band.kind == "optical"]
        if bands:
            np.testing.assert_allclose(convolve(flat, bands), 0.37, rtol=1e-4)


def test_a_band_sees_its_own_wavelengths_only() -> None:
    step = np.where(WAVELENGTHS < 0.7, 0.1, 0.5)[None].astype(np.float32)
    narrow = [Band("a", 0.65, 0.007), Band("b", 0.75, 0.007), Band("c", 0.70, 0.2)]
    red, nir, broad = convolve(step, narrow)[0]
    assert red == pytest.approx(0.1, abs=1e-3)
    assert nir == pytest.approx(0.5, abs=1e-3)
    assert 0.25 < broad < 0.35


@pytest.mark.parametrize("wavelength", [None, 3.7])
def test_a_band_without_a_place_in_the_spectrum_is_refused(wavelength: float | None) -> None:
    with pytest.raises(InputError, match="band X has no centre between"):
        convolve(np.ones((1, 211), np.float32), [Band("X", wavelength)])


def test_moisture_darkens_soil_most_in_the_shortwave_infrared() -> None:
    dry = endmembers("soil")[:200]
    before, after = s2(dry), s2(moisten(dry, 0.8))
    ratio = {name: after[name] / before[name] for name in before}
    assert 0.4 < ratio["B04"] < 0.7
    assert ratio["B12"] < ratio["B04"]


def test_clear_water_is_blue_green_and_black_in_the_infrared() -> None:
    clear = s2(water(chlorophyll=0.5, sediment=0.3, coloured_matter=0.03, skylight=0))
    assert clear["B02"] > clear["B04"]
    assert clear["B08"] < 0.003
    assert clear["B11"] < 1e-4


def test_sediment_brightens_water_and_turns_it_brown() -> None:
    clear, silty = s2(water(sediment=0.5)), s2(water(sediment=80))
    assert silty["B04"] > 8 * clear["B04"]
    assert silty["B04"] > silty["B02"]
    assert silty["B08"] > clear["B08"]


def test_a_near_bottom_shines_through_and_a_far_one_does_not() -> None:
    sand = endmembers("sand").mean(0)
    deep, shallow, hidden = (
        s2(water(**bottom))  # type: ignore[arg-type]
        for bottom in ({}, {"depth": 1.0, "bottom": sand}, {"depth": 60.0, "bottom": sand})
    )
    assert shallow["B03"] > 2 * deep["B03"]
    assert hidden["B03"] == pytest.approx(deep["B03"], rel=0.01)


def test_snow_is_white_dark_in_the_shortwave_infrared_and_darker_when_old() -> None:
    fresh, old = s2(snow(grain=0.2)), s2(snow(grain=1.5, dirt=0.2))
    assert fresh["B03"] > 0.95
    assert (fresh["B03"] - fresh["B11"]) / (fresh["B03"] + fresh["B11"]) > 0.7
    assert old["B8A"] < fresh["B8A"]
    assert old["B02"] < fresh["B02"]


def test_cloud_is_flat_and_falls_off_in_the_shortwave_infrared() -> None:
    white = s2(cloud(brightness=0.7))
    assert white["B02"] == pytest.approx(white["B8A"], abs=0.02)
    assert 0.4 < white["B12"] < white["B11"] < 0.6


def test_prosail_draws_canopies_too() -> None:
    pytest.importorskip("prosail")
    canopy = s2(draw_canopy(np.random.default_rng(0), 3, leaf_area=(3, 5)))
    assert canopy["B08"] > 0.3
    assert canopy["B04"] < 0.08
