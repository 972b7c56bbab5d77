"""`export`: a result in another format."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from terralogue.datasets.errors import InputError
from terralogue.tools.export import CSV, GEOJSON, GEOPACKAGE, GEOTIFF, PNG, quiet
from terralogue.tools.grid import Frame, whole, why_no_ground
from terralogue.tools.measure import GroundAreas
from terralogue.tools.run import Run
from terralogue.tools.schemas import Artefact, ArtefactKind, Exported
from terralogue.tools.vectors import Outlines, outline, write_geojson, write_geopackage

ExportFormat = Literal["cog", "geojson", "geopackage", "csv", "png"]

_SUFFIX = {
    "cog": ".tif",
    "geojson": ".geojson",
    "geopackage": ".gpkg",
    "csv": ".csv",
    "png": ".png",
}
_MEDIA = {"cog": GEOTIFF, "geojson": GEOJSON, "geopackage": GEOPACKAGE, "csv": CSV, "png": PNG}
_KIND: dict[str, ArtefactKind] = {
    "geojson": "polygons", "geopackage": "geopackage", "csv": "table", "png": "preview",
}  # fmt: skip


def export(
    artefact: Artefact,
    format: ExportFormat,  # noqa: A002 (its name on the wire)
    *,
    run: Run,
) -> Exported:
    """Give a result in another format.

    A mask or change raster becomes outlines (geojson, geopackage), areas by class (csv) or a
    picture (png); outlines become a geopackage or a table; everything can be had as it is.

    Args:
        artefact: what to export.
        format: cog, geojson, geopackage, csv or png.
        run: workspace, progress, executor.

    Raises:
        InputError: this artefact has no such form; lists those it has.
    """
    source = Path(artefact.path)
    forms = _forms(artefact)
    if format not in forms:
        raise InputError(
            f"{artefact.title or artefact.id} cannot be exported as {format}; "
            f"it can be had as {', '.join(forms) or 'nothing else'}."
        )
    kind = artefact.kind if format == "cog" else _KIND[format]
    filename = source.stem + _SUFFIX[format]
    pending = run.artefact(kind, artefact.title, filename, _MEDIA[format])
    notes = forms[format](source, pending.path, artefact)
    run.progress(1, 1, "Exported")
    return Exported(
        tool="export",
        scenes=list(run.scene_ids),
        title=f"{artefact.title} as {format}",
        method=f"{format} from {source.name}",
        artefacts=[pending.commit()],
        warnings=notes,
        format=format,
    )


Writer = Callable[[Path, Path, Artefact], list[str]]


def _forms(artefact: Artefact) -> dict[str, Writer]:
    """The formats that an artefact can have, and what writes them."""
    suffix = Path(artefact.path).suffix.lower()
    if suffix == ".tif" and artefact.kind in ("mask", "change"):
        return {
            "cog": _copy, "geojson": _outlines, "geopackage": _package_raster,
            "csv": _classes, "png": _picture,
        }  # fmt: skip
    if suffix == ".tif":
        return {"cog": _copy, "png": _picture}
    if suffix == ".geojson":
        return {"geojson": _copy, "geopackage": _package, "csv": _attributes}
    return {name: _copy for name, ending in _SUFFIX.items() if ending == suffix}


def _copy(source: Path, target: Path, artefact: Artefact) -> list[str]:
    shutil.copyfile(source, target)
    return []


def _frame(file: DatasetReader, name: str) -> Frame:
    return Frame(
        name, file.width, file.height, file.crs, file.transform, not file.transform.is_identity
    )


def _read(source: Path) -> tuple[NDArray[np.uint8], Frame, list[int]]:
    """A class raster, its frame, and the classes other than 0 and no-data."""
    with quiet(), rasterio.open(source) as file:
        mask = file.read(1)
        frame = _frame(file, source.stem)
        present = np.flatnonzero(np.bincount(mask.ravel(), minlength=256))
        nodata = -1 if file.nodata is None else int(file.nodata)
    return mask, frame, [int(value) for value in present if value not in (0, nodata)]


def _outlines(source: Path, target: Path, artefact: Artefact) -> list[str]:
    mask, frame, classes = _read(source)
    found = [outline(mask, value) for value in classes]
    notes = [text for each in found for text in each.warnings]
    if len(classes) == 1:
        write_geojson(target, found[0], frame, {"title": artefact.title, "class": classes[0]})
        return notes
    features: list[Any] = []
    collection: dict[str, Any] = {"type": "FeatureCollection"}
    for value, outlines in zip(classes, found, strict=True):
        write_geojson(target, outlines, frame, {"title": artefact.title, "class": value})
        collection = json.loads(target.read_text(encoding="utf-8"))
        features += collection["features"]
    if not classes:
        write_geojson(target, Outlines([], 1), frame, {})
        return notes
    target.write_text(json.dumps({**collection, "features": features}), encoding="utf-8")
    return notes


def _package(source: Path, target: Path, artefact: Artefact) -> list[str]:
    write_geopackage(target, source, layer=source.stem)
    return []


def _package_raster(source: Path, target: Path, artefact: Artefact) -> list[str]:
    between = target.with_suffix(".draft.geojson")
    notes = _outlines(source, between, artefact)
    write_geopackage(target, between, layer=source.stem)
    between.unlink()
    return notes


def _classes(source: Path, target: Path, artefact: Artefact) -> list[str]:
    mask, frame, classes = _read(source)
    ground = None if why_no_ground(frame) else GroundAreas(frame)
    with target.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["class", "pixels", "area_m2"])
        for value in (0, *classes):
            where = mask == value
            area = "" if ground is None else round(ground.of(where, whole(frame)), 2)
            table.writerow([value, int(where.sum()), area])
    reason = why_no_ground(frame)
    return [] if reason is None else [f"No areas are given: {reason}."]


def _attributes(source: Path, target: Path, artefact: Artefact) -> list[str]:
    features = json.loads(source.read_text(encoding="utf-8"))["features"]
    names = sorted({name for feature in features for name in feature["properties"]})
    with target.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, names)
        table.writeheader()
        table.writerows(feature["properties"] for feature in features)
    return []


def _picture(source: Path, target: Path, artefact: Artefact) -> list[str]:
    """No side above 2048 pixels; classes in their colours, numbers in grey from 2 to 98 %."""
    with quiet(), rasterio.open(source) as file:
        step = max(1.0, max(file.width, file.height) / 2048)
        shape = (max(1, round(file.height / step)), max(1, round(file.width / step)))
        values = file.read(1, out_shape=shape, masked=True)
        if values.dtype == np.uint8:
            colours = file.colormap(1)
            lookup = np.array([colours.get(n, (0, 0, 0, 0)) for n in range(256)], dtype=np.uint8)
            picture = lookup[values.data].transpose(2, 0, 1)
        else:
            low, high = np.nanpercentile(values.filled(np.nan), [2, 98])
            grey = np.clip((values.filled(low) - low) / max(high - low, 1e-9), 0, 1) * 255
            alpha = np.where(np.ma.getmaskarray(values), 0, 255)
            picture = np.stack([grey, grey, grey, alpha]).astype(np.uint8)
    profile = {"driver": "PNG", "dtype": "uint8", "count": 4}
    with quiet(), rasterio.open(target, "w", height=shape[0], width=shape[1], **profile) as out:
        out.write(picture)
    target.with_name(target.name + ".aux.xml").unlink(missing_ok=True)
    return []
