"""Which of several uploaded files belong together: one-band files, rasters and their headers.

A person drops a heap of files. Files named after bands of one acquisition are one scene, a header
goes with its raster, GeoJSON is a region, and every other raster is a scene of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from terralogue.datasets import names
from terralogue.datasets.errors import InputError
from terralogue.datasets.files import SUFFIXES

REGION_SUFFIXES = (".geojson", ".json")
# Files that say something about a raster beside them, by the same name or for the whole product.
SIDECAR_SUFFIXES = (".hdr", ".xml", ".txt", ".tfw", ".jgw", ".pgw", ".j2w", ".wld", ".prj")
UPLOAD_SUFFIXES = tuple(sorted({*SUFFIXES, *SIDECAR_SUFFIXES, *REGION_SUFFIXES}))


@dataclass(frozen=True)
class Uploads:
    """A heap of files, sorted.

    Attributes:
        scenes: The files of each scene, in the order of their first file.
        region: The GeoJSON file, if there is one.
    """

    scenes: tuple[tuple[Path, ...], ...]
    region: Path | None


def sort_uploads(files: Sequence[str | Path]) -> Uploads:
    """Sort uploaded files into scenes and a region.

    Raises:
        InputError: Two regions, a file without a raster it belongs to, or an unknown kind of file.
    """
    paths = [Path(file) for file in files]
    regions = [path for path in paths if path.suffix.casefold() in REGION_SUFFIXES]
    sidecars = [path for path in paths if path.suffix.casefold() in SIDECAR_SUFFIXES]
    rasters = [path for path in paths if path not in regions and path not in sidecars]
    for path in rasters:
        # ENVI rasters often have no suffix at all; their header names them.
        if path.suffix.casefold() not in SUFFIXES and not _of_same_name(path, sidecars):
            raise InputError(
                f"{path.name} is no image that can be read; upload GeoTIFF, PNG, JPEG, JPEG 2000, "
                "NetCDF or ENVI (with its .hdr)."
            )
    if len(regions) > 1:
        listed = " and ".join(path.name for path in regions[:2])
        raise InputError(f"{listed} are both regions; upload one GeoJSON file at a time.")
    groups: dict[str, list[Path]] = {}
    for path in rasters:
        groups.setdefault(_scene_key(path), []).append(path)
    for path in sidecars:
        _home_of(path, list(groups.values())).append(path)
    return Uploads(tuple(map(tuple, groups.values())), regions[0] if regions else None)


def grouped(sources: Sequence[str]) -> list[str | list[str]]:
    """Sources as scenes: the one-band files of one acquisition in one folder are one scene."""
    groups: dict[object, list[str]] = {}
    for source in sources:
        path = Path(source)
        key = (path.parent, _scene_key(path)) if path.is_file() else len(groups)
        groups.setdefault(key, []).append(source)
    return [group[0] if len(group) == 1 else group for group in groups.values()]


def _scene_key(path: Path) -> str:
    """Equal for the one-band files of one acquisition, different for everything else."""
    stem = path.stem
    if names.band_in(stem) or names.quality_in(stem) or names.is_companion(stem):
        return f"product {names.group_of(stem)}"
    return f"file {path}"


def _of_same_name(path: Path, sidecars: Sequence[Path]) -> bool:
    return any(sidecar.stem in (path.stem, path.name) for sidecar in sidecars)


def _home_of(sidecar: Path, scenes: list[list[Path]]) -> list[Path]:
    """The scene that a header or metadata file belongs to."""
    for scene in scenes:
        if any(_of_same_name(path, [sidecar]) for path in scene):
            return scene
    # Metadata of a product is named after the product, not after a band.
    product = sidecar.stem.removesuffix("_MTL").removesuffix("_ANG")
    for scene in scenes:
        if any(path.stem.startswith(product) for path in scene):
            return scene
    if len(scenes) == 1 and sidecar.suffix.casefold() in (".xml", ".txt"):
        return scenes[0]
    raise InputError(
        f"{sidecar.name} belongs to no uploaded image; upload it together with its raster."
    )
