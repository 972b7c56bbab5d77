"""Small real rasters for the tests of scenes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

WriteRaster = Callable[..., Path]
UTM_10M = Affine(10, 0, 600_000, 0, -10, 4_800_000)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


@pytest.fixture
def write_raster(tmp_path: Path) -> WriteRaster:
    """Write an array (bands, H, W) as a raster file: UTM 32N, 10 m, unless said otherwise."""

    def write(
        name: str,
        data: NDArray[Any],
        *,
        names: Sequence[str] | None = None,
        tags: dict[str, str] | None = None,
        crs: str | None = "EPSG:32632",
        transform: Any = None,
        driver: str = "GTiff",
        **options: Any,
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        count, height, width = data.shape
        placed = {} if crs is None else {"crs": crs, "transform": transform or UTM_10M}
        with (
            _quiet(),
            rasterio.open(
                path,
                "w",
                driver=driver,
                width=width,
                height=height,
                count=count,
                dtype=data.dtype,
                **placed,
                **options,
            ) as dataset,
        ):
            dataset.write(data)
            if names:
                dataset.descriptions = tuple(names)
            if tags:
                dataset.update_tags(**tags)
        return path

    return write


@pytest.fixture
def reflectance() -> Callable[..., NDArray[np.uint16]]:
    """Integers as Sentinel-2 stores them: (bands, size, size) between 600 and 4000."""

    def make(bands: int, size: int = 32) -> NDArray[np.uint16]:
        rng = np.random.default_rng(7)
        base = rng.integers(600, 4000, (bands, size, size))
        return base.astype(np.uint16)

    return make
