"""The truth of one scene from a reference map, a raster or polygons in any CRS, on its pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from pyproj.exceptions import CRSError
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from terralogue.datasets.errors import InputError
from terralogue.datasets.files import open_dataset, reading
from terralogue.datasets.mask_sets import IGNORED, NONE, Legend, legend_of_classes
from terralogue.datasets.scene import Scene
from terralogue.tools.grid import why_no_ground
from terralogue.tools.region import Region, place
from terralogue.tools.tiling import TILE

VECTORS = {".geojson", ".json", ".gpkg", ".shp"}

Gold = Callable[[Scene], NDArray[np.uint8]]


def reference_gold(
    reference: Path,
    classes: dict[int, str] | None,
    target: str | None,
    attribute: str | None,
) -> tuple[Legend, Gold]:
    """What a reference shows, and how it is brought onto a scene.

    A raster says its class by value; where it has no data, nothing is scored. Where its pixels
    are finer than the scene's, the commonest class counts. Polygons say their class by an
    attribute, and what none of them covers is not scored; without an attribute each of them is
    the target and all the rest is not.

    Args:
        reference: GeoTIFF and the like, or GeoJSON, GeoPackage or shapefile.
        classes: value of the raster or of the attribute → target, "other" or "ignore".
        target: the only one to be scored.
        attribute: of the polygons.

    Raises:
        InputError: it does not exist, or nobody says what it shows.
    """
    if not reference.is_file():
        raise InputError(f"--reference {reference} is not a file; give a raster or polygons.")
    if classes is None and target is None:
        raise InputError(
            "What the reference shows is not known; say it with --target, or with --classes, "
            'such as "1=water,2=building".'
        )
    is_vector = reference.suffix.lower() in VECTORS
    if attribute is not None and not (is_vector and classes):
        raise InputError(
            "--attribute is for polygons whose classes are named by --classes; give both with a "
            "file of polygons."
        )
    if classes is not None and is_vector and attribute is None:
        raise InputError(
            f"Say with --attribute which attribute of {reference.name} holds the classes."
        )
    legend = legend_of_classes(classes or {1: str(target)}, target)
    if is_vector:
        return legend, lambda scene: _polygons(reference, scene, legend, attribute)
    return legend, lambda scene: _raster(reference, scene, legend)


def _raster(reference: Path, scene: Scene, legend: Legend) -> NDArray[np.uint8]:
    """A raster on the pixels of a scene: uint8 (H, W)."""
    gold = np.full((scene.height, scene.width), IGNORED, np.uint8)
    with reading(reference), open_dataset(reference) as file:
        plain = file.crs is None or why_no_ground(scene) is not None
        if plain and file.shape != gold.shape:
            raise InputError(
                f"{reference.name} and {scene.name} cannot be laid on each other: one of them has "
                "no georeference, and their sizes differ."
            )
        nodata = file.nodata
        if plain:
            values = file.read(1)
            return _coded(values, values != nodata, legend, reference.name)
        with WarpedVRT(
            file,
            crs=scene.crs,
            transform=scene.transform,
            width=scene.width,
            height=scene.height,
            resampling=Resampling.mode,
            add_alpha=nodata is None,
        ) as warped:
            for top in range(0, scene.height, TILE):
                window = Window(0, top, scene.width, min(TILE, scene.height - top))
                values, seen = warped.read(1, window=window), warped.dataset_mask(window=window)
                gold[window.toslices()] = _coded(values, seen > 0, legend, reference.name)
    _require_overlap(gold, reference, scene)
    return gold


def _coded(
    values: NDArray[np.generic], seen: NDArray[np.bool_], legend: Legend, name: str
) -> NDArray[np.uint8]:
    """The gold (H, W) of class values, 255 where there are none."""
    gold = np.full(values.shape, IGNORED, np.uint8)
    if seen.any():
        gold[seen] = legend.gold(values[seen].astype(np.int64), name)
    return gold


def _polygons(
    reference: Path, scene: Scene, legend: Legend, attribute: str | None
) -> NDArray[np.uint8]:
    """Polygons on the pixels of a scene: uint8 (H, W); of overlapping ones the last counts."""
    import pyogrio

    with reading(reference):
        facts = pyogrio.raw.read(reference, columns=[attribute] if attribute else [])
    meta, _, geometries, fields = facts
    if attribute is not None and attribute not in list(meta["fields"]):
        known = ", ".join(pyogrio.read_info(reference)["fields"]) or "none"
        raise InputError(
            f"{reference.name} has no attribute {attribute!r}; its attributes are: {known}."
        )
    crs = _crs(meta["crs"], reference)
    shapes = shapely.from_wkb(geometries)
    values = fields[0] if attribute is not None else np.ones(len(shapes), np.int64)
    gold = np.full((scene.height, scene.width), NONE if attribute is None else IGNORED, np.uint8)
    whole = Window(0, 0, scene.width, scene.height)
    for value in dict.fromkeys(values.tolist()):
        area = shapely.union_all([s for s, v in zip(shapes, values, strict=True) if v == value])
        number = legend.gold(np.array([[_whole_number(value, reference)]]), reference.name)[0, 0]
        gold[place(Region(area, crs), scene).mask(whole)] = number
    return gold


def _whole_number(value: object, reference: Path) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise InputError(
            f"{reference.name} has the class {value!r}; only whole numbers can be named with "
            "--classes."
        ) from None


def _crs(text: str | None, reference: Path) -> pyproj.CRS | None:
    try:
        return None if text is None else pyproj.CRS.from_user_input(text)
    except CRSError:
        raise InputError(f"The coordinate system of {reference.name} is not understood.") from None


def _require_overlap(gold: NDArray[np.uint8], reference: Path, scene: Scene) -> None:
    if (gold == IGNORED).all():
        raise InputError(
            f"{reference.name} has no class on the ground that {scene.name} shows; give a "
            "reference of the same place."
        )
