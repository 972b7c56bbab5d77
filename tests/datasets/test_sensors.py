"""The table of sensors against an independent one, and its units."""

from __future__ import annotations

import pytest
import spyndex

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError
from terralogue.datasets.sensors import SENSORS, get_sensor

_SPYNDEX = {
    "sentinel2a": "sentinel2_l1c",
    "landsat5": "landsat5",
    "landsat7": "landsat7",
    "landsat8": "landsat8",
    "landsat9": "landsat9",
    "modis": "modis",
    "planetscope": "planetscope_8b",
    "worldview2": "worldview2",
}


@pytest.mark.parametrize(("platform", "key"), _SPYNDEX.items())
def test_bands_agree_with_spyndex(platform: str, key: str) -> None:
    compared = 0
    for common, entry in spyndex.bands.items():
        if not hasattr(entry, platform):
            continue
        theirs = getattr(entry, platform)
        ours = next((b for b in SENSORS[key].bands if b.common == common), None)
        if ours is None or ours.wavelength is None:
            # spyndex leaves no name for a second green or a second NIR without its own index.
            continue
        compared += 1
        # spyndex counts in nanometres.
        assert ours.wavelength == pytest.approx(theirs.wavelength / 1000, abs=0.002), common
        assert ours.bandwidth == pytest.approx(theirs.bandwidth / 1000, abs=0.005), common
    assert compared >= 6


def test_landsat_8_has_the_narrow_near_infrared() -> None:
    assert {band.common for band in SENSORS["landsat8"].bands} >= {"N2", "S1", "S2", "T1", "T2"}


def test_nanometres_are_refused() -> None:
    with pytest.raises(ValueError, match="give micrometres"):
        Band("red", 664.6)
    assert Band("VV", 55_465.8, kind="sar").wavelength == pytest.approx(55_465.8)


@pytest.mark.parametrize("sensor", SENSORS.values(), ids=SENSORS)
def test_every_sensor_is_consistent(sensor: object) -> None:
    entry = sensor
    assert entry.key in SENSORS  # type: ignore[attr-defined]
    names = [band.name for band in entry.bands]  # type: ignore[attr-defined]
    assert len(set(names)) == len(names)
    for order in entry.orders:  # type: ignore[attr-defined]
        assert all(entry.band(name) is not None for name in order)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("sentinel2", "sentinel2_l2a"),
        ("Sentinel-2", "sentinel2_l2a"),
        ("sentinel1", "sentinel1_grd"),
        ("landsat", "landsat8"),
        ("Landsat 5", "landsat5"),
        ("naip", "naip_rgbn"),
        ("pleiades_rgbn", "pleiades"),
        ("DEM", "elevation"),
    ],
)
def test_aliases_lead_to_sensors(name: str, key: str) -> None:
    assert get_sensor(name).key == key


def test_an_unknown_sensor_lists_the_valid_ones() -> None:
    with pytest.raises(InputError, match=r"'sputnik'.*sentinel2_l1c.*elevation"):
        get_sensor("sputnik")


@pytest.mark.parametrize(
    ("written", "meant"), [("B3", "B03"), ("band 3", "B03"), ("b8a", "B8A"), ("green", "B03")]
)
def test_bands_answer_to_the_ways_they_are_written(written: str, meant: str) -> None:
    band = SENSORS["sentinel2_l2a"].band(written)
    assert band is not None
    assert band.name == meant


def test_a_band_number_is_not_a_common_name() -> None:
    band = SENSORS["sentinel2_l2a"].band("B")
    assert band is not None
    assert band.name == "B02"
    assert SENSORS["sentinel2_l2a"].band("B08") != SENSORS["sentinel2_l2a"].band("B8A")
