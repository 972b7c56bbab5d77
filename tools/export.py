"""Rasters on their way to disk, streamed window by window and closed as cloud-optimised GeoTIFF."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from terralogue.tools.grid import Grid, why_no_ground

GEOTIFF = "image/tiff; application=geotiff; profile=cloud-optimized"
GEOJSON = "application/geo+json"
GEOPACKAGE = "application/geopackage+sqlite3"
CSV = "text/csv"
PNG = "image/png"

_BLOCK = 512
Colours = Mapping[int, tuple[int, int, int, int]]


@contextmanager
def quiet() -> Iterator[None]:
    """A raster without a CRS is nothing to warn about: the results say so themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


class RasterWriter:
    """Writes one raster window by window; on leaving it becomes a cloud-optimised GeoTIFF.

    A context manager. Only a few blocks are held in memory. When the work inside fails, nothing
    is left at `path`.
    """

    def __init__(
        self,
        path: Path,
        grid: Grid,
        *,
        dtype: str,
        nodata: float | None,
        bands: Sequence[str] = ("",),
        colours: Colours | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Open.

        Args:
            path: where the finished file goes.
            grid: size, CRS and transform; without ground the file has no georeference.
            dtype: "uint8" or "float32".
            nodata: the value of pixels that were not observed.
            bands: description of each band.
            colours: colour table (value to red, green, blue, alpha) of a uint8 raster.
            tags: text that goes into the file.
        """
        self.path = path
        self._draft = path.with_name(f"{path.stem}.draft.tif")
        self._float = dtype.startswith("float")
        profile: dict[str, Any] = {
            "driver": "GTiff", "dtype": dtype, "nodata": nodata, "count": len(bands),
            "width": grid.width, "height": grid.height, "tiled": True,
            "blockxsize": _BLOCK, "blockysize": _BLOCK, "compress": "deflate", "zlevel": 1,
            "bigtiff": "if_safer",
        }  # fmt: skip
        if why_no_ground(grid) is None:
            profile |= {"crs": grid.crs, "transform": grid.transform}
        with quiet():
            self._file = rasterio.open(self._draft, "w", **profile)
        self._file.update_tags(**{"SOFTWARE": "Terralogue", **(tags or {})})
        for number, name in enumerate(bands, start=1):
            if name:
                self._file.set_band_description(number, name)
        if colours is not None:
            self._file.write_colormap(1, dict(colours))

    def write(self, data: NDArray[Any], window: Window) -> None:
        """Write (H, W) or (bands, H, W) at a window of whole pixels."""
        self._file.write(data if data.ndim == 3 else data[None], window=window)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._file.close()
            if error is None:
                with quiet():
                    rasterio.shutil.copy(
                        self._draft,
                        self.path,
                        driver="COG",
                        compress="DEFLATE",
                        predictor="FLOATING_POINT" if self._float else "NO",
                        overview_resampling="AVERAGE" if self._float else "MODE",
                        bigtiff="IF_SAFER",
                    )
        finally:
            self._draft.unlink(missing_ok=True)


def thinned(mask: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Every n-th pixel of a raster (H, W), at a shape no larger than its own."""
    rows = ((np.arange(shape[0]) + 0.5) * mask.shape[0] / shape[0]).astype(int)
    columns = ((np.arange(shape[1]) + 0.5) * mask.shape[1] / shape[1]).astype(int)
    picked: NDArray[np.uint8] = mask[rows[:, None], columns[None, :]]
    return picked
