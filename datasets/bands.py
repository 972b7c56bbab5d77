"""What a band and a sensor are: names, wavelengths in micrometres, scale to physical units.

Wavelengths in nanometres are the usual mistake here, so an optical or thermal band outside
0.3-15 µm does not build.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BandKind = Literal["optical", "thermal", "sar", "elevation"]
Unit = Literal["reflectance", "dB", "DN", "m", "K", "index"]

MIN_WAVELENGTH = 0.3
MAX_WAVELENGTH = 15.0

# A method that asks for one NIR band runs on the other where only that one exists: Landsat 8 and
# MODIS carry only the narrow band, NAIP and Landsat 5 only the broad one.
INTERCHANGEABLE = {"N": "N2", "N2": "N"}


@dataclass(frozen=True)
class Band:
    """One channel of a sensor.

    Attributes:
        name: As the sensor's documents call it, such as "B03", "VV" or "nir".
        wavelength: Centre in micrometres; None where unknown or meaningless.
        bandwidth: Full width at half maximum, or upper minus lower limit, in micrometres.
        kind: What the numbers measure.
        polarisation: Of a SAR band: VV, VH, HH or HV.
        common: spyndex short name (A B G R RE1 RE2 RE3 N N2 WV S1 S2 T T1 T2 G1 Y) or polarisation.
        gsd: Native ground sampling distance in metres.
        aliases: Other names that files give to the same band.
    """

    name: str
    wavelength: float | None = None
    bandwidth: float | None = None
    kind: BandKind = "optical"
    polarisation: str | None = None
    common: str | None = None
    gsd: float | None = None
    aliases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse wavelengths that cannot be micrometres."""
        if self.kind not in ("optical", "thermal") or self.wavelength is None:
            return
        if not MIN_WAVELENGTH <= self.wavelength <= MAX_WAVELENGTH:
            raise ValueError(
                f"band {self.name}: wavelength {self.wavelength} is outside "
                f"{MIN_WAVELENGTH}-{MAX_WAVELENGTH} µm; give micrometres"
            )

    def answers_to(self, name: str) -> bool:
        """Whether the band is called so: by name, alias or common name, case ignored.

        Common names keep their case apart from that of names: "b" is not blue's "B" by accident,
        so a one-letter common name has to match exactly.
        """
        if self.common is not None and name == self.common:
            return True
        folded = fold(name)
        return folded in {fold(self.name), *(fold(alias) for alias in self.aliases)}


def fold(name: str) -> str:
    """Reduce a band name to what matters: "B08", "b8" and "Band 8" are the same, "B8A" is not."""
    text = "".join(c for c in name.casefold() if c.isalnum())
    for prefix in ("band", "b"):
        rest = text.removeprefix(prefix)
        if rest != text and rest[:1].isdigit():
            return "b" + rest.lstrip("0")
    return text


@dataclass(frozen=True)
class Sensor:
    """A family of scenes that share bands and calibration.

    Attributes:
        key: Name in SENSORS.
        title: For people.
        bands: In the order of the sensor's documents.
        gsd: Ground sampling distance in metres of the usual product; None where it varies.
        scale: Physical value = stored number * scale + offset, for the usual integer product.
        offset: See scale.
        unit: Of the physical value.
        orders: Band orders in which files without descriptions come, by band name.
        aliases: Other names that people use.
        source: Document that the table was taken from.
    """

    key: str
    title: str
    bands: tuple[Band, ...]
    gsd: float | None = None
    scale: float = 1.0
    offset: float = 0.0
    unit: Unit = "DN"
    orders: tuple[tuple[str, ...], ...] = ()
    aliases: tuple[str, ...] = ()
    source: str = ""

    def band(self, name: str) -> Band | None:
        """Find a band by name, alias or common name; None where the sensor has no such band."""
        return next((band for band in self.bands if band.answers_to(name)), None)

    def order(self, count: int) -> tuple[Band, ...] | None:
        """Bands of an undescribed file with this many bands; None where no usual product has it."""
        for names in self.orders:
            if len(names) == count:
                return tuple(band for band in map(self.band, names) if band is not None)
        return self.bands if count == len(self.bands) else None
