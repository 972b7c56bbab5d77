"""The one pixel grid that all bands of a scene are brought to."""

from __future__ import annotations

from collections.abc import Sequence

from rasterio.errors import CRSError
from rasterio.transform import array_bounds
from rasterio.warp import transform_bounds

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import SceneError
from terralogue.datasets.files import Grid, RasterFile
from terralogue.datasets.geometry import ground_pixel_size

# Less in common than this is another place, or another product.
_MIN_COMMON = 0.5


def choose_grid(files: Sequence[RasterFile], bands: Sequence[Band]) -> RasterFile:
    """The file whose grid is the scene's: the finest of the multispectral bands.

    A panchromatic band is finer than the rest of its scene and would blow all of it up; it is
    brought to the multispectral grid instead. Thermal and quality layers never decide.

    Args:
        files: One for each band.
        bands: In the same order.

    Raises:
        SceneError: The files do not show the same ground.
    """
    deciding = [f for f, band in zip(files, bands, strict=True) if _decides(band)] or list(files)
    best = min(deciding, key=lambda file: (_fineness(file), -file.width * file.height))
    for file in {id(file): file for file in files}.values():
        _check_common(best, file)
    return best


def _decides(band: Band) -> bool:
    panchromatic = "panchromatic" in band.aliases and band.common is None
    return band.kind in ("optical", "sar", "elevation") and not panchromatic


def _fineness(file: RasterFile) -> float:
    """Metres per pixel, to the millimetre; without coordinates more pixels are finer."""
    if file.crs is None:
        return -float(file.width * file.height)
    size = ground_pixel_size(file.crs, file.transform, file.width, file.height)
    return round(size, 3) if size is not None else float("inf")


def _check_common(best: RasterFile, file: RasterFile) -> None:
    if file.grid == best.grid:
        return
    if file.crs is None or best.crs is None:
        if (
            file.crs is None
            and best.crs is None
            and (file.width, file.height) == (best.width, best.height)
        ):
            return
        raise SceneError(
            f"{best.path.name} and {file.path.name} differ in size or only one has coordinates, "
            "so their pixels "
            "cannot be laid on each other; give files of one scene"
        )
    try:
        bounds = transform_bounds(
            file.crs, best.crs, *array_bounds(file.height, file.width, file.transform)
        )
    except CRSError as error:
        raise SceneError(
            f"{file.path.name} lies where {best.path.name} cannot; give files of one scene"
        ) from error
    own = array_bounds(best.height, best.width, best.transform)
    width = max(0.0, min(own[2], bounds[2]) - max(own[0], bounds[0]))
    height = max(0.0, min(own[3], bounds[3]) - max(own[1], bounds[1]))
    smaller = min(
        (own[2] - own[0]) * (own[3] - own[1]), (bounds[2] - bounds[0]) * (bounds[3] - bounds[1])
    )
    if width * height < _MIN_COMMON * abs(smaller):
        raise SceneError(
            f"{best.path.name} and {file.path.name} do not show the same ground; give files of "
            "one scene"
        )


def grid_of(file: RasterFile) -> Grid:
    """The grid that a file has."""
    return Grid(file.width, file.height, file.crs, file.transform)
