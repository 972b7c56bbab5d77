"""Opening one raster file safely, and reading it from several threads.

A scene may come from a stranger: only formats that keep their pixels in the file itself are opened
(no VRT, no catalogue or web driver), and a file that declares far more pixels than its bytes can
hold is refused unread.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import MaskFlags, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from terralogue.datasets.errors import SceneError

DRIVERS = ["GTiff", "PNG", "JPEG", "WEBP", "JP2OpenJPEG", "netCDF", "ENVI", "BMP"]
PICTURES = {"PNG", "JPEG", "WEBP", "BMP"}
SUFFIXES = {
    ".tif", ".tiff", ".png", ".jpg", ".jpeg", ".webp", ".jp2", ".nc", ".nc4", ".bmp", ".img",
    ".dat", ".bsq", ".bil", ".bip", ".envi",
}  # fmt: skip

# A picture is decoded from its first row, so its size is what a read costs. The largest aerial
# benchmark tiles (DOTA) have 20,000 x 20,000 pixels.
MAX_PICTURE_PIXELS = 400_000_000
# Deflate cannot pack more than 1032:1 and honest rasters with masked-out halves stay below it by
# far.
MAX_PACKING = 2_000
# Below this a wrong declaration costs nothing.
HARMLESS_BYTES = 64 * 2**20
_LATITUDE = ("lat", "latitude", "y")
_MOST_SOFT = 0.2
# GDAL holds at least one whole block in memory.
MAX_BLOCK_BYTES = 2**30

# What a file of another kind can be used for, or turned into.
_OUTLINES = "it may hold outlines: give a scene, and outlines as GeoJSON for its region"
_ARRAY = "save the array as a GeoTIFF with its coordinates"
_INSTEAD = {
    **dict.fromkeys((".geojson", ".json", ".shp", ".gpkg", ".kml", ".kmz"), _OUTLINES),
    **dict.fromkeys((".npy", ".npz", ".mat"), _ARRAY),
    ".xml": "give the image that it describes",
    ".hdr": "give the file with the pixels that it describes",
}

# GDAL reports through logging and, for a few libraries, through these loggers: a person gets our
# sentence instead.
logging.getLogger("rasterio._env").setLevel(logging.CRITICAL)


_OPENING = threading.RLock()


@dataclass(frozen=True)
class Layer:
    """One band of one file, with what the file says about it."""

    path: Path
    name: str
    index: int
    dtype: str
    nodata: float | None
    scale: float
    offset: float
    description: str | None
    unit: str | None
    color: str
    masked: bool
    tags: dict[str, str]


@dataclass(frozen=True)
class RasterFile:
    """What one file (or one variable of a NetCDF file) declares, read without its pixels."""

    path: Path
    name: str
    driver: str
    width: int
    height: int
    crs: CRS | None
    transform: Affine
    georeferenced: bool
    tags: dict[str, str]
    layers: tuple[Layer, ...]
    alpha: int | None
    overviews: bool
    block: tuple[int, int]
    variable: str | None = None
    palette: dict[int, tuple[int, int, int]] | None = None

    @property
    def grid(self) -> tuple[int, int, CRS | None, Affine]:
        """Width, height, CRS and transform: equal for files whose pixels lie on each other."""
        return self.width, self.height, self.crs, self.transform


@contextmanager
def reading(path: Path | str) -> Iterator[None]:
    """Turn GDAL's failures while reading `path` into one sentence."""
    try:
        # Inside an environment GDAL's own warnings go to the logger above, not to a person's
        # terminal.
        with rasterio.Env():
            yield
    except (RasterioError, OSError, ValueError, MemoryError) as error:
        raise SceneError(
            f"{Path(path).name} cannot be read: it is damaged, cut short or not a raster; "
            "export or download it again"
        ) from error


@contextmanager
def _without_warnings() -> Iterator[None]:
    """A picture without coordinates is nothing to warn of. Python's filters are not thread-safe."""
    with _OPENING, rasterio.Env(), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def open_dataset(name: str | Path) -> DatasetReader:
    """Open with the allowed drivers only; errors are rasterio's own."""
    with _without_warnings():
        # rasterio.open() takes one driver only; the class behind it takes the list.
        return DatasetReader(str(name), driver=DRIVERS)


def check_file(path: Path) -> None:
    """Refuse what is not a readable local file, in one sentence.

    Raises:
        SceneError: Missing, a folder, or empty.
    """
    if not path.exists():
        raise SceneError(f"{path} does not exist; check the spelling")
    if not path.is_file():
        raise SceneError(f"{path} is not a file")
    if path.stat().st_size == 0:
        raise SceneError(f"{path.name} is empty (0 bytes); export or download it again")


def describe_file(path: Path) -> tuple[RasterFile, ...]:
    """Read what a file declares: one entry, or one for each variable of a NetCDF file.

    Raises:
        SceneError: Missing, empty, no raster of an allowed format, or a decompression bomb.
    """
    check_file(path)
    path = path.resolve()
    try:
        dataset = open_dataset(path)
    except (RasterioError, OSError, ValueError) as error:
        hint = _INSTEAD.get(path.suffix.lower(), "check the file")
        raise SceneError(
            f"{path.name} is not an image that can be read (GeoTIFF, PNG, JPEG, WebP, JPEG 2000, "
            f"NetCDF or ENVI with its header); {hint}"
        ) from error
    with reading(path), dataset:
        names = list(dataset.subdatasets) if dataset.count == 0 else []
        if not names:
            return (_describe(dataset, path, str(path)),)
    found = []
    for name in names:
        with reading(path), open_dataset(name) as variable:
            found.append(_describe(variable, path, name))
    return tuple(_on_one_grid(found, path))


def _on_one_grid(found: list[RasterFile], path: Path) -> list[RasterFile]:
    """Variables of a NetCDF file that are images: those on its largest grid."""
    largest = max(found, key=lambda file: file.width * file.height)
    same = [file for file in found if file.grid == largest.grid]
    if any(len(file.layers) > 1 for file in same) and len(same) > 1:
        raise SceneError(
            f"{path.name} holds variables with several steps each ({same[0].variable}: "
            f"{len(same[0].layers)}); save one date as a file"
        )
    return same


def _describe(dataset: DatasetReader, path: Path, name: str) -> RasterFile:
    if dataset.count == 0:
        raise SceneError(f"{path.name} holds no raster band; choose another file")
    if any(dtype.startswith("complex") for dtype in dataset.dtypes):
        raise SceneError(
            f"{path.name} holds complex numbers (single-look SAR); give detected backscatter"
        )
    _refuse_bomb(dataset, path)
    alpha = _alpha(dataset)
    # GDAL would take the falsely marked band for the mask of all others.
    mistaken = alpha is None and any(color.name == "alpha" for color in dataset.colorinterp)
    layers = tuple(
        Layer(
            path,
            name,
            i,
            dataset.dtypes[i - 1],
            dataset.nodatavals[i - 1],
            dataset.scales[i - 1],
            dataset.offsets[i - 1],
            dataset.descriptions[i - 1] or None,
            dataset.units[i - 1],
            dataset.colorinterp[i - 1].name,
            not mistaken and MaskFlags.all_valid not in dataset.mask_flag_enums[i - 1],
            dataset.tags(i),
        )
        for i in dataset.indexes
        if i != alpha
    )
    if not layers:
        raise SceneError(f"{path.name} holds only a transparency band; choose another file")
    tags = dict(dataset.tags())
    for namespace in ("ENVI", "IMAGERY", "IMAGE_STRUCTURE"):
        tags.update({f"{namespace}:{k}": v for k, v in dataset.tags(ns=namespace).items()})
    crs = dataset.crs
    if crs is None and any(
        tags.get(f"{axis}#units", "").startswith("degrees_n") for axis in _LATITUDE
    ):
        # By the CF conventions latitude and longitude need no other statement.
        crs = CRS.from_epsg(4326)
    georeferenced = crs is not None and dataset.transform != Affine.identity()
    return RasterFile(
        path,
        name,
        dataset.driver,
        dataset.width,
        dataset.height,
        crs,
        dataset.transform,
        georeferenced,
        tags,
        layers,
        alpha,
        bool(dataset.overviews(1)),
        dataset.block_shapes[0],
        name.rpartition(":")[2].strip('"') if name != str(path) else None,
        _palette(dataset),
    )


def _alpha(dataset: DatasetReader) -> int | None:
    """Transparency band; GDAL also marks near infrared so, if fourth of an 8-bit TIFF."""
    colors = [color.name for color in dataset.colorinterp]
    if "alpha" not in colors:
        return None
    index = colors.index("alpha") + 1
    if dataset.driver != "GTiff":
        return index
    edge = 64
    full = np.iinfo(dataset.dtypes[index - 1]).max if "int" in dataset.dtypes[index - 1] else 1
    for x, y in ((0.5, 0.5), (0.1, 0.1), (0.9, 0.1), (0.1, 0.9), (0.9, 0.9)):
        column, row = int(x * max(dataset.width - edge, 0)), int(y * max(dataset.height - edge, 0))
        size = (min(edge, dataset.width), min(edge, dataset.height))
        part = dataset.read(index, window=Window(column, row, *size))
        # Soft edges of a true mask are few.
        if np.mean((part != 0) & (part != full)) > _MOST_SOFT:
            return None
    return index


def _palette(dataset: DatasetReader) -> dict[int, tuple[int, int, int]] | None:
    if dataset.colorinterp[0].name != "palette":
        return None
    return {code: color[:3] for code, color in dataset.colormap(1).items()}


def _refuse_bomb(dataset: DatasetReader, path: Path) -> None:
    pixels = dataset.width * dataset.height
    item = max(np.dtype(d).itemsize for d in dataset.dtypes)
    declared = pixels * dataset.count * item
    stored = path.stat().st_size
    size = f"{dataset.width} x {dataset.height} pixels x {dataset.count} bands"
    if dataset.driver in PICTURES and pixels > MAX_PICTURE_PIXELS:
        raise SceneError(
            f"{path.name} declares {size}, more than a {dataset.driver} can be read by window; "
            "convert it to a tiled GeoTIFF"
        )
    block = prod(dataset.block_shapes[0]) * item
    if (declared > HARMLESS_BYTES and declared > stored * MAX_PACKING) or block > MAX_BLOCK_BYTES:
        raise SceneError(
            f"{path.name} declares {size}, which its {stored:,} bytes cannot plausibly hold; "
            "it is damaged or hostile and was not read"
        )


@dataclass(frozen=True)
class Grid:
    """The pixel grid that every band of a scene is brought to."""

    width: int
    height: int
    crs: CRS | None
    transform: Affine


@dataclass
class Handles:
    """Open datasets, lent to one thread at a time: GDAL's handles may not be shared."""

    _idle: dict[Any, list[Any]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closed: bool = False

    @contextmanager
    def borrow(
        self,
        name: str,
        grid: Grid | None = None,
        resampling: Resampling = Resampling.nearest,
        nodata: float | None = None,
    ) -> Iterator[DatasetReader | WarpedVRT]:
        """Lend a dataset, warped to `grid` where one is given.

        Raises:
            SceneError: The scene was closed, or the file has gone.
        """
        key = (name, grid, resampling, nodata)
        with self._lock:
            if self._closed:
                raise SceneError(f"{Path(name).name} was closed; open the scene again")
            idle = self._idle.setdefault(key, [])
            handle = idle.pop() if idle else None
        if handle is None:
            handle = _open(name, grid, resampling, nodata)
        try:
            yield handle[-1]
        finally:
            with self._lock:
                keep = not self._closed
                if keep:
                    self._idle[key].append(handle)
            if not keep:
                _shut(handle)

    def close(self) -> None:
        """Close what is idle now, and what is lent when it comes back."""
        with self._lock:
            self._closed = True
            handles = [handle for idle in self._idle.values() for handle in idle]
            self._idle.clear()
        for handle in handles:
            _shut(handle)


def _open(
    name: str, grid: Grid | None, resampling: Resampling, nodata: float | None
) -> tuple[DatasetReader | WarpedVRT, ...]:
    dataset = open_dataset(name)
    if grid is None:
        return (dataset,)
    options: dict[str, Any] = {"src_nodata": nodata, "nodata": nodata}
    if nodata is None:
        # Ground that the file does not cover has to be told from ground that measures zero.
        options = {"add_alpha": "alpha" not in {c.name for c in dataset.colorinterp}}
    with _without_warnings():
        vrt = WarpedVRT(
            dataset,
            crs=grid.crs,
            transform=grid.transform,
            width=grid.width,
            height=grid.height,
            resampling=resampling,
            **options,
        )
    return dataset, vrt


def _shut(handle: tuple[DatasetReader | WarpedVRT, ...]) -> None:
    for dataset in reversed(handle):
        dataset.close()


def read_samples(file: RasterFile, *, limit: int = 2_000_000) -> np.ndarray[Any, np.dtype[Any]]:
    """Read a few pixels from all over a file, and its last block, whose absence shows a cut file.

    Args:
        file: What to read from.
        limit: About how many numbers at most.

    Returns:
        (bands, n) in the file's dtype, unscaled; bands are the file's layers without alpha.

    Raises:
        SceneError: The pixels cannot be read.
    """
    indexes = [layer.index for layer in file.layers]
    with reading(file.path), open_dataset(file.name) as dataset:
        corner = Window(
            max(file.width - 8, 0), max(file.height - 8, 0), min(8, file.width), min(8, file.height)
        )
        dataset.read(indexes[-1], window=corner)
        if len(indexes) * file.width * file.height <= limit or file.driver in PICTURES:
            data = np.asarray(dataset.read(indexes)).reshape(len(indexes), -1)
            return data[:, :: max(1, data.size // limit)]
        side = max(int((limit / len(indexes)) ** 0.5), 8)
        if file.overviews:
            scale = side / max(file.width, file.height)
            shape = (
                len(indexes),
                max(1, int(file.height * scale)),
                max(1, int(file.width * scale)),
            )
            return np.asarray(dataset.read(indexes, out_shape=shape)).reshape(len(indexes), -1)
        edge = max(min(side // 3, file.width, file.height, 128), 1)
        parts = [
            dataset.read(indexes, window=Window(x, y, edge, edge)).reshape(len(indexes), -1)
            for y in np.linspace(0, file.height - edge, 3).astype(int)
            for x in np.linspace(0, file.width - edge, 3).astype(int)
        ]
        return np.asarray(np.concatenate(parts, axis=1))
