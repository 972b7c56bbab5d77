"""Small real rasters for the tests of the tools."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning

from terralogue.datasets.scene import Scene, open_scene

UTM = CRS.from_epsg(32632)
TRANSFORM = Affine(10, 0, 600_000, 0, -10, 5_000_000)

MakeScene = Callable[..., Scene]


@pytest.fixture
def make_scene(tmp_path: Path) -> MakeScene:
    """Write a GeoTIFF with described bands, and open it.

    Bands are Sentinel-2 names to reflectance arrays (H, W), NaN where not observed, stored as
    uint16 times 10,000; any other sensor, or None, stores the numbers as they are.
    """

    def make(
        name: str,
        bands: Mapping[str, NDArray[np.float32]],
        *,
        sensor: str | None = "sentinel2_l1c",
        crs: CRS | None = UTM,
        transform: Affine = TRANSFORM,
        time: str | None = None,
        dtype: str | None = None,
    ) -> Scene:
        path = tmp_path / f"{name}.tif"
        data = np.stack(list(bands.values()))
        scaled = (sensor or "").startswith(("sentinel2", "landsat")) and dtype is None
        stored = np.nan_to_num(data * 1e4 if scaled else data)
        if scaled:
            stored = np.round(stored)
        kind = dtype or ("uint16" if scaled else "float32")
        profile = {"driver": "GTiff", "count": len(data), "dtype": kind}
        profile |= {"height": data.shape[1], "width": data.shape[2]}
        if crs is not None:
            profile |= {"crs": crs, "transform": transform}
        profile |= {"nodata": 0 if scaled else None, "photometric": "minisblack"}
        with warnings.catch_warnings():
            # A file without georeference is what was asked for.
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            target = rasterio.open(path, "w", **profile)
        with target:
            target.write(stored.astype(kind))
            target.descriptions = tuple(bands)
        moment = datetime.fromisoformat(time) if time else None
        return open_scene(path, sensor=sensor, time=moment)

    return make
