"""Bands that are known by plain names or wavelengths although the sensor is not."""

from __future__ import annotations

from terralogue.datasets.bands import Band, Sensor
from terralogue.datasets.evidence import Evidence, match_labels

# Middle of spyndex's limits for each band: where no sensor is known, no instrument's own centre
# applies.
_PLAIN = Sensor(
    "plain",
    "bands by plain names",
    (
        Band("coastal", 0.4425, common="A", aliases=("aerosol", "coastal_aerosol", "ultra_blue")),
        Band("blue", 0.490, common="B", aliases=("b",)),
        Band("green", 0.560, common="G", aliases=("g",)),
        Band("yellow", 0.605, common="Y"),
        Band("red", 0.655, common="R", aliases=("r",)),
        Band(
            "rededge1",
            0.705,
            common="RE1",
            aliases=("rededge", "red_edge", "rededge071", "red_edge1", "re1"),
        ),
        Band("rededge2", 0.740, common="RE2", aliases=("rededge075", "red_edge2", "re2")),
        Band("rededge3", 0.780, common="RE3", aliases=("rededge078", "red_edge3", "re3")),
        Band("nir", 0.840, common="N", aliases=("near_infrared", "nearinfrared", "nir1", "n")),
        Band("nir08", 0.865, common="N2", aliases=("nir_narrow", "narrow_nir", "nirn")),
        Band("nir09", 0.945, common="WV", aliases=("water_vapour", "water_vapor")),
        Band("swir16", 1.610, common="S1", aliases=("swir1", "swir_1", "swir16")),
        Band("swir22", 2.200, common="S2", aliases=("swir2", "swir_2", "swir22")),
        Band("thermal", 11.0, kind="thermal", common="T", aliases=("lwir", "tir")),
        Band("lwir11", 10.9, kind="thermal", common="T1"),
        Band("lwir12", 12.0, kind="thermal", common="T2"),
    ),
)
_TOLERANCE = 0.02


def generic_bands(labels: tuple[str | None, ...]) -> tuple[Band, ...] | None:
    """Bands by plain names such as "blue", "nir" and "swir16"; None unless every label is one."""
    return match_labels(_PLAIN, labels)


def common_bands(evidence: Evidence) -> tuple[Band, ...]:
    """Bands by their stated wavelengths, each with the common name that it is nearest to."""
    pairs = evidence.wavelengths or ()
    labels = [label or f"band_{i + 1}" for i, label in enumerate(evidence.labels)]
    taken: dict[str, int] = {}
    for plain in _PLAIN.bands:
        near = min(range(len(pairs)), key=lambda i: abs(pairs[i][0] - (plain.wavelength or 0)))
        free = near not in taken.values()
        if free and plain.common and abs(pairs[near][0] - (plain.wavelength or 0)) <= _TOLERANCE:
            taken[plain.common] = near
    named = {index: common for common, index in taken.items()}
    return tuple(
        Band(label, centre, width, "thermal" if centre > 5 else "optical", common=named.get(i))
        for i, (label, (centre, width)) in enumerate(zip(labels, pairs, strict=True))
    )
