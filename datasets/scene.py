"""Scene: one image of one sensor, read by window, never whole.

from terralogue.datasets.scene import open_scene
scene = open_scene("S2_pisa.tif")
pixels = scene.read(["G", "N"], window=Window(0, 0, 512, 512))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.windows import Window

from terralogue.datasets.acquisition import TimePrecision
from terralogue.datasets.assemble import Assembly, assemble
from terralogue.datasets.bands import INTERCHANGEABLE, Band
from terralogue.datasets.errors import MissingBandError
from terralogue.datasets.files import Handles
from terralogue.datasets.geometry import geographic_bounds, window_transform
from terralogue.datasets.preview import render_preview
from terralogue.datasets.quality import Quality, QualityPixels, read_quality
from terralogue.datasets.reading import FloatImage, Mask, read_sources, whole_window
from terralogue.datasets.recognise import Recognition
from terralogue.datasets.sensors import SENSORS, Sensor

__all__ = ["Pixels", "Quality", "QualityPixels", "Recognition", "Scene", "open_scene"]


@dataclass(frozen=True)
class Pixels:
    """Pixels of a window.

    Attributes:
        data: float32 (bands, H, W) in the scene's unit (thermal bands in K where calibrated), NaN
        where
            the band was not observed.
        valid: (H, W), True where every requested band was observed.
        bands: In the order of `data`.
        transform: Of this window, (column, row) to CRS.
        crs: Of the scene; None where it has none.
    """

    data: FloatImage
    valid: Mask
    bands: tuple[Band, ...]
    transform: Affine
    crs: CRS | None


class Scene:
    """One image, georeferenced or not; reads may come from several threads at once.

    Attributes:
        name: For people.
        paths: The files it is made of.
        sensor: None where it could not be told; see `recognition`.
        bands: In file order; named band_1 … band_n where unknown.
        width: Columns of the grid that all bands are brought to.
        height: Rows.
        crs: None where the file has none.
        transform: (column, row) to CRS coordinates; identity without a CRS.
        georeferenced: Whether areas on the ground can be measured.
        gsd: Metres per pixel on the ground; None where unknown.
        time: Of acquisition; None where unknown. Never a guess.
        time_precision: How much of `time` was stated; a bare year is stored as its first of
        January.
        unit: Of optical, SAR or elevation numbers.
        calibrated: Whether published thresholds on `unit` may be applied.
        dtype: Number type of the first band as stored, such as "uint8".
        warnings: What a person should know, one sentence each.
        recognition: What the sensor was recognised by, or the question to ask.
        quality: The layer that marks cloud and shadow; None where the files have none.
    """

    def __init__(self, assembly: Assembly) -> None:
        """Take over what was found out about the files; see `open_scene`."""
        named = zip(assembly.bands, assembly.sources, strict=True)
        self._sources = {band.name: source for band, source in named}
        self._grid = assembly.grid
        self._handles = Handles()
        self._quality_source = assembly.quality_source
        self._palette = assembly.palette
        self.name: str = assembly.name
        self.paths: tuple[Path, ...] = assembly.paths
        self.sensor: Sensor | None = SENSORS[assembly.sensor] if assembly.sensor else None
        self.bands: tuple[Band, ...] = assembly.bands
        self.width: int = assembly.grid.width
        self.height: int = assembly.grid.height
        self.crs: CRS | None = assembly.grid.crs
        self.transform: Affine = assembly.grid.transform
        self.georeferenced: bool = assembly.georeferenced
        self.gsd: float | None = assembly.gsd
        self.time: datetime | None = assembly.time
        self.time_precision: TimePrecision | None = assembly.time_precision
        self.unit: str = assembly.unit
        self.calibrated: bool = assembly.calibrated
        self.dtype: str = assembly.sources[0].layer.dtype
        self.warnings: tuple[str, ...] = assembly.warnings
        self.recognition: Recognition = assembly.recognition
        self.quality: Quality | None = assembly.quality

    @property
    def date(self) -> str | None:
        """Of acquisition, no finer than it was stated: 2020, 2020-07 or 2020-07-04."""
        if self.time is None:
            return None
        return self.time.isoformat()[: {"year": 4, "month": 7}.get(self.time_precision or "", 10)]

    @property
    def bounds_wgs84(self) -> tuple[float, float, float, float] | None:
        """West, south, east, north in degrees; None without georeference."""
        if self.crs is None or not self.georeferenced:
            return None
        return geographic_bounds(self.crs, self.transform, self.width, self.height)

    def has(self, *common: str) -> bool:
        """Whether all these bands exist, by name, alias or common name.

        The broad and the narrow near infrared ("N", "N2") stand in for each other.
        """
        return all(self._find(name) is not None for name in common)

    def band(self, name: str) -> Band:
        """Find a band by name, alias or common name ("N" and "N2" stand in for each other).

        Raises:
            MissingBandError: Naming the band and the sensors that have it.
        """
        found = self._find(name)
        if found is not None:
            return found
        carriers = [sensor.key for sensor in SENSORS.values() if sensor.band(name) is not None]
        known = ", ".join(band.common or band.name for band in self.bands[:16])
        more = f", … ({len(self.bands)} bands)" if len(self.bands) > 16 else ""
        help_ = (
            f"sensors that have it: {', '.join(carriers[:8])}" if carriers else "no sensor has it"
        )
        raise MissingBandError(f"{self.name} has no band {name} (it has {known}{more}); {help_}")

    def _find(self, name: str) -> Band | None:
        for wanted in (name, INTERCHANGEABLE.get(name)):
            # A common name goes first: Sentinel-2's "B1" is not spyndex's "B".
            exact = [b for b in self.bands if wanted is not None and b.common == wanted]
            loose = [b for b in self.bands if wanted is not None and b.answers_to(wanted)]
            if exact or loose:
                return (exact or loose)[0]
        return None

    def read(
        self,
        bands: Sequence[str] | None = None,
        window: Window | None = None,
        shape: tuple[int, int] | None = None,
    ) -> Pixels:
        """Read pixels as physical numbers.

        Args:
            bands: Names, aliases or common names, in the order wanted; None for all.
            window: Pixel columns and rows of the scene's grid; None for all of it.
            shape: (H, W) of the result, for a decimated read (through overviews where the file has
            them).

        Raises:
            MissingBandError: The scene has no such band.
            InputError: The window is not inside the scene.
            SceneError: A file cannot be read.
        """
        chosen = self.bands if bands is None else tuple(self.band(name) for name in bands)
        window = whole_window(self._grid, window)
        sources = [self._sources[band.name] for band in chosen]
        data, valid = read_sources(self._handles, sources, self._grid, window, shape)
        transform = window_transform(self.transform, window, data.shape[1:])
        return Pixels(data, np.asarray(valid.all(axis=0)), chosen, transform, self.crs)

    def read_quality(
        self, window: Window | None = None, shape: tuple[int, int] | None = None
    ) -> QualityPixels | None:
        """Cloud, shadow and nodata by the quality layer; None where the scene has none."""
        if self.quality is None or self._quality_source is None:
            return None
        window = whole_window(self._grid, window)
        return read_quality(
            self._handles, self.quality, self._quality_source, self._grid, window, shape
        )

    def preview(self, max_size: int = 1024) -> NDArray[np.uint8]:
        """Render a picture of the scene: (H, W, 3), sRGB, no side longer than `max_size`."""
        return render_preview(self, max_size, self._palette)

    def close(self) -> None:
        """Close the files; reading afterwards is an error."""
        self._handles.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        sensor = self.sensor.key if self.sensor else "sensor unknown"
        return f"Scene({self.name!r}, {sensor}, {len(self.bands)} x {self.height} x {self.width})"


def open_scene(
    source: str | Path | Sequence[str | Path],
    *,
    sensor: str | None = None,
    time: datetime | None = None,
) -> Scene:
    """Open a file, a folder, or a list of one-band files as one scene.

    Nothing but metadata and a few sample pixels is read.

    Args:
        source: GeoTIFF, PNG, JPEG, WebP, JPEG 2000, NetCDF or ENVI file; a folder or list of files
        of one
            acquisition (Landsat, SAFE, one file per band).
        sensor: Key or alias in SENSORS, which overrides recognition; with bands in file order
        after a
            colon where the file has others than the sensor's products: "landsat5:S1,N,R,G".
        time: Of acquisition, which overrides what the files say.

    Raises:
        SceneError: Cannot be read as a scene; the message says why and what to do.
        InputError: Unknown sensor.
    """
    return Scene(assemble(source, sensor=sensor, time=time))
