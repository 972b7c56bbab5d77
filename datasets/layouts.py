"""From what a person gives (a file, a folder, a list) to the files and bands of one scene."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from terralogue.datasets import names
from terralogue.datasets.errors import SceneError
from terralogue.datasets.files import SUFFIXES, Layer, RasterFile, check_file, describe_file
from terralogue.datasets.metadata import metadata_of, read_oscd_dates

_SIDECARS = {
    ".hdr", ".xml", ".tfw", ".jgw", ".pgw", ".j2w", ".wld", ".prj", ".txt", ".json", ".geojson",
    ".csv", ".ovr", ".msk", ".md", ".html", ".safe", ".enp", ".sta", ".gfs", ".gml", ".cpg", ".pdf",
}  # fmt: skip
_MAX_FILES = 400
_MAX_NAMED = 6


@dataclass(frozen=True)
class NamedLayer:
    """A band on disk and the name that its file name or description gives it."""

    file: RasterFile
    layer: Layer
    name: str | None


@dataclass(frozen=True)
class Collected:
    """The files of one scene, before anything is known about its sensor.

    Attributes:
        name: For people.
        paths: Image and quality files.
        layers: Bands in file order, quality layers taken out.
        quality: Kind of the quality layer and where it is.
        texts: File and folder names without suffix, by which sensor and time may be told.
        metadata: Facts from the product's metadata files.
        warnings: What was left out.
    """

    name: str
    paths: tuple[Path, ...]
    layers: tuple[NamedLayer, ...]
    quality: tuple[str, NamedLayer] | None
    texts: tuple[str, ...]
    metadata: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def collect(source: str | Path | Sequence[str | Path]) -> Collected:
    """Find the files of one scene.

    Raises:
        SceneError: Nothing there, no image, or images of several scenes.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        if path.is_dir():
            return _collect_folder(path)
        return _collect_files([_data_file(path)], path.name)
    paths = [Path(item) for item in source]
    if not paths:
        raise SceneError("the list of files is empty; give at least one image file")
    if len(paths) == 1:
        return collect(paths[0])
    for path in paths:
        check_file(path)
    images = list(dict.fromkeys(_data_file(path) for path in paths if not _is_sidecar(path)))
    facts = dict(chain.from_iterable(metadata_of(path).items() for path in paths))
    if not images:
        raise SceneError(f"none of the {len(paths)} files is an image; give the raster files")
    return _collect_files(images, _common_name(images), facts)


def _is_sidecar(path: Path) -> bool:
    if path.suffix.casefold() == ".hdr":
        return any(path != other and not _is_sidecar(other) for other in _envi_data(path))
    return path.suffix.casefold() in _SIDECARS


def _envi_data(header: Path) -> list[Path]:
    """Data files that an ENVI header may belong to, such as scene, scene.img or scene.dat."""
    stem = header.with_suffix("")
    near = [
        stem,
        *(stem.with_suffix(suffix) for suffix in (".img", ".dat", ".bsq", ".bil", ".bip", ".raw")),
    ]
    return [path for path in near if path.is_file()]


def _data_file(path: Path) -> Path:
    if path.suffix.casefold() != ".hdr":
        return path
    data = _envi_data(path)
    if not data:
        raise SceneError(
            f"{path.name} is an ENVI header without its data file; put both into one folder"
        )
    return data[0]


def _common_name(paths: Sequence[Path]) -> str:
    stems = [names.group_of(path.stem) for path in paths]
    if len(set(stems)) == 1 and stems[0]:
        written = {word.casefold(): word for word in re.split(r"[-_. ]+", paths[0].stem)}
        return "_".join(written.get(word, word) for word in re.split(r"[_ ]", stems[0]))
    return names.folder_title(paths[0].parent) if not stems[0] else paths[0].stem


def _collect_folder(folder: Path) -> Collected:
    if (
        folder.suffix.upper() == ".SAFE"
        or (folder / "GRANULE").is_dir()
        or (folder / "measurement").is_dir()
    ):
        return _collect_safe(folder)
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    images = [path for path in entries if path.is_file() and _looks_like_raster(path)]
    if not images:
        return _collect_subfolder(folder, [path for path in entries if path.is_dir()])
    if len(images) > _MAX_FILES:
        raise SceneError(f"{folder.name} holds {len(images)} images; choose the files of one scene")
    facts = read_oscd_dates(folder)
    for path in entries:
        facts.update(metadata_of(path) if path.is_file() else {})
    bands = [path for path in images if not names.is_companion(path.stem)] or images
    groups: dict[str, list[Path]] = {}
    for path in bands:
        groups.setdefault(names.group_of(path.stem), []).append(path)
    scenes = {k: v for k, v in groups.items() if any(names.quality_in(p.stem) is None for p in v)}
    if len(scenes) > 1:
        raise SceneError(
            f"{folder.name} holds {len(scenes)} scenes "
            f"({_listed([v[0].name for v in scenes.values()])}); "
            "choose one, or list its files"
        )
    return _collect_files(bands, names.folder_title(folder), facts, (folder.name,))


def _collect_subfolder(folder: Path, subfolders: list[Path]) -> Collected:
    useful = [
        sub
        for sub in subfolders
        if sub.suffix.upper() == ".SAFE"
        or any(_looks_like_raster(path) for path in sub.iterdir() if path.is_file())
    ]
    if not useful:
        raise SceneError(
            f"{folder.name} holds no image file; choose the folder with the GeoTIFF or JPEG 2000 "
            "files"
        )
    if len(useful) > 1:
        raise SceneError(
            f"{folder.name} holds several scenes ({_listed([sub.name for sub in useful])}); "
            "choose one folder"
        )
    return _collect_folder(useful[0])


def _listed(items: Sequence[str]) -> str:
    more = f", … {len(items) - _MAX_NAMED} more" if len(items) > _MAX_NAMED else ""
    return ", ".join(items[:_MAX_NAMED]) + more


def _looks_like_raster(path: Path) -> bool:
    if path.suffix.casefold() in SUFFIXES:
        return True
    headers = (path.with_name(path.name + end) for end in (".hdr", ".HDR"))
    return not _is_sidecar(path) and any(header.is_file() for header in headers)


def _collect_safe(folder: Path) -> Collected:
    """Sentinel-2: each band of the granule at its finest resolution; Sentinel-1: measurements."""
    facts: dict[str, str] = {}
    for path in sorted(folder.glob("*.xml")):
        facts.update(metadata_of(path))
    measured = sorted((folder / "measurement").glob("*.tif*"))
    if measured:
        return _collect_files(measured, folder.stem, facts, (folder.stem,))
    granules = sorted(path for path in (folder / "GRANULE").glob("*") if path.is_dir())
    if len(granules) != 1:
        listed = f" ({_listed([path.name for path in granules])})" if granules else ""
        raise SceneError(
            f"{folder.name} holds {len(granules)} granules{listed}; choose one granule's "
            "IMG_DATA folder"
        )
    finest: dict[str, tuple[int, Path]] = {}
    for path in sorted((granules[0] / "IMG_DATA").rglob("*.jp2")):
        token = names.band_in(path.stem) or names.quality_in(path.stem)
        if token is None:
            continue
        resolution = re.search(r"_(\d0)m$", path.stem)
        metres = int(resolution.group(1)) if resolution else 0
        if token not in finest or metres < finest[token][0]:
            finest[token] = (metres, path)
    if not finest:
        raise SceneError(
            f"{folder.name} holds no band under GRANULE/*/IMG_DATA; download the product again"
        )
    return _collect_files([path for _, path in finest.values()], folder.stem, facts, (folder.stem,))


def _collect_files(
    paths: Sequence[Path],
    name: str,
    facts: dict[str, str] | None = None,
    texts: tuple[str, ...] = (),
) -> Collected:
    layers: list[NamedLayer] = []
    quality: tuple[str, NamedLayer] | None = None
    left_out: list[str] = []
    for path in paths:
        if len(paths) > 1 and names.is_companion(path.stem):
            left_out.append(path.name)
            continue
        for file in describe_file(path):
            for layer in file.layers:
                label = _label(file, layer)
                kind = names.quality_in(
                    layer.description or (path.stem if len(file.layers) == 1 else "")
                )
                if kind is not None and (
                    len(paths) > 1 or len(file.layers) > 1 or file.variable is not None
                ):
                    quality = (kind, NamedLayer(file, layer, label))
                else:
                    layers.append(NamedLayer(file, layer, label))
    if not layers:
        raise SceneError(f"{name} holds quality layers but no image band; add the image files")
    layers = _without_duplicates(layers)
    safe = tuple(
        parent.stem for parent in paths[0].resolve().parents if parent.suffix.upper() == ".SAFE"
    )
    used = tuple(dict.fromkeys(item.file.path for item in layers))
    if quality is not None:
        used = tuple(dict.fromkeys((*used, quality[1].file.path)))
    stems = tuple(path.stem for path in used)
    warnings = tuple(f"{item} is no band of the scene and was left out" for item in left_out)
    return Collected(
        name, used, tuple(layers), quality, (*safe, *stems, *texts), facts or {}, warnings
    )


def _label(file: RasterFile, layer: Layer) -> str | None:
    """Name of a band: its description, its NetCDF variable, else what its file is named after."""
    if layer.description or file.variable:
        return layer.description or file.variable
    return names.band_in(file.path.stem) if len(file.layers) == 1 else None


def _without_duplicates(layers: list[NamedLayer]) -> list[NamedLayer]:
    """Of one band at several resolutions keep the finest; of several scenes, complain."""
    kept: dict[str, NamedLayer] = {}
    for item in layers:
        key = (item.name or "").casefold() or f"{item.file.name}:{item.layer.index}"
        if item.file.path in {other.file.path for other in kept.values()}:
            key = f"{item.file.name}:{item.layer.index}"
        other = kept.get(key)
        if other is None:
            kept[key] = item
        elif item.file.width != other.file.width and (
            names.group_of(item.file.path.stem) == names.group_of(other.file.path.stem)
        ):
            kept[key] = max(item, other, key=lambda one: one.file.width)
        else:
            raise SceneError(
                f"{other.file.path.name} and {item.file.path.name} are the same band of "
                "different scenes; "
                "give the files of one scene"
            )
    return list(kept.values())
