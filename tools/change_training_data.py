"""What change networks learn from: places with two dates and a mask, kept in one small file.

write_places(Path("packs/oscd.npz"), places_of(read_change_pairs(Path("oscd"))))
places = read_places(Path("packs/oscd.npz"))

A pack is an .npz of pictures: bands of reflectance by their root (0 to 1 becomes 0 to 255), three
to a JPEG without chroma subsampling, at the resolution that the sensor has them in; photographs as
they come. So training can run where the data sets are not.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from terralogue.datasets.change_pairs import ChangePair, ChangePairs
from terralogue.datasets.errors import InputError

Bytes = NDArray[np.uint8]

_QUALITY: Final = 92
# Bands that share a picture, and by how much they are shrunk (their own metres over the finest).
_GROUPS: Final = (
    (("R", "G", "B"), 1), (("N",), 1), (("RE1", "S1", "S2"), 2), (("RE2", "RE3", "N2"), 2),
    (("A", "WV", "B10"), 6),
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Two dates of a place.

    Attributes:
        name: of the place, by which folds are cut.
        bands: common names.
        data: uint8 (2, bands, H, W), before and after.
        changed: bool (H, W).
        seen: bool (H, W), observed on both dates.
    """

    name: str
    bands: tuple[str, ...]
    data: Bytes
    changed: NDArray[np.bool_]
    seen: NDArray[np.bool_]


def places_of(pairs: ChangePairs) -> Iterator[Place]:
    """Read pairs as `detect_change` does: registered, on one grid, cloud left out.

    Raises:
        EOError: a pair cannot be read or laid on each other.
    """
    for item in pairs.items:
        yield _place(item)


def _place(item: ChangePair) -> Place:
    # Reading packs must not need GDAL.
    from terralogue.tools.change_net import stored
    from terralogue.tools.change_truth import cut, open_dates, place_in, read_mask
    from terralogue.tools.grid import whole
    from terralogue.tools.pairs import make_pair
    from terralogue.tools.run import Run
    from terralogue.tools.store import Store

    with tempfile.TemporaryDirectory() as folder:
        scenes = open_dates(item)
        pair = make_pair(*scenes, Run(Store(Path(folder))))
        names = [band.name for band in scenes[0].bands]
        window = whole(pair.frame)
        dates = [side.read(names, window) for side in (pair.before, pair.after)]
        seen = ~pair.hidden(window)
    changed = cut(read_mask(item), place_in(scenes[0], pair.frame))
    for date in dates:
        seen &= np.isfinite(date).all(axis=0)
    root = scenes[0].unit == "reflectance"
    data = np.stack([np.nan_to_num(stored(date, root)).round().astype(np.uint8) for date in dates])
    bands = tuple(band.common or band.name for band in scenes[0].bands)
    return Place(item.name, bands, data, changed, seen)


def simulated_places(count: int, *, size: int = 256, gsd: float = 1.5) -> Iterator[Place]:
    """Simulated aerial pairs, of every kind of change and of seasons alone."""
    from terralogue.datasets.synthetic_pairs import simulate_pair

    for seed in range(count):
        pair = simulate_pair("rgb_aerial", size=size, gsd=gsd, seed=seed)
        bands = tuple(band.common or band.name for band in pair.before.bands)
        dates = [scene.data.round().clip(0, 255) for scene in (pair.before, pair.after)]
        data = np.stack(dates).astype(np.uint8)
        yield Place(f"simulated_{seed:04d}", bands, data, pair.changed, pair.observed)


def banded(place: Place, bands: Sequence[str]) -> Place:
    """The same with these bands in this order.

    Raises:
        InputError: one is missing.
    """
    lacking = [name for name in bands if name not in place.bands]
    if lacking:
        raise InputError(f"{place.name} lacks the band {lacking[0]}; choose another network.")
    rows = [place.bands.index(name) for name in bands]
    return replace(place, bands=tuple(bands), data=place.data[:, rows])


def write_places(path: Path, places: Iterator[Place], quality: int = _QUALITY) -> None:
    """Write a pack; the file appears whole or not at all."""
    arrays: dict[str, Bytes] = {}
    index = []
    for number, place in enumerate(places):
        groups: list[tuple[str, ...]] = []
        for names, factor in _groups(place.bands):
            rows = [place.bands.index(name) for name in names]
            for date in (0, 1):
                picture = _shrunk(place.data[date, rows], factor)
                arrays[f"{number}.{date}.{len(groups)}"] = _encoded(picture, quality)
            groups.append(names)
        masks = np.stack([place.changed, place.seen])
        arrays[f"{number}.masks"] = np.packbits(masks)
        index.append(
            {"name": place.name, "bands": place.bands, "groups": groups, "shape": masks.shape[1:]}
        )
    arrays["index"] = np.frombuffer(json.dumps(index).encode(), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    part.replace(path)


def read_places(path: Path) -> list[Place]:
    """Read a pack.

    Raises:
        InputError: there is no such file, or it is not a pack.
    """
    try:
        with np.load(path) as file:
            index = json.loads(bytes(file["index"]))
            return [_read(dict(given), number, file) for number, given in enumerate(index)]
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path} is not a pack of places ({error}); make it again.") from error


def _read(given: dict[str, Any], number: int, file: Mapping[str, Bytes]) -> Place:
    height, width = (int(side) for side in given["shape"])
    bands = tuple(given["bands"])
    data = np.zeros((2, len(bands), height, width), np.uint8)
    for group, names in enumerate(given["groups"]):
        for date in (0, 1):
            with Image.open(io.BytesIO(bytes(file[f"{number}.{date}.{group}"]))) as picture:
                fitted = picture.resize((width, height), Image.Resampling.BILINEAR)
            planes = np.asarray(fitted).reshape(height, width, -1)
            for plane, name in enumerate(names):
                data[date, bands.index(name)] = planes[..., plane]
    masks = np.unpackbits(file[f"{number}.masks"])[: 2 * height * width]
    changed, seen = masks.reshape(2, height, width).astype(np.bool_)
    return Place(str(given["name"]), bands, data, changed, seen)


def _groups(bands: Sequence[str]) -> list[tuple[tuple[str, ...], int]]:
    """Bands by picture: three in colour, or one in grey."""
    found: list[tuple[tuple[str, ...], int]] = []
    for names, factor in _GROUPS:
        there = tuple(name for name in names if name in bands)
        found += [(there, factor)] if len(there) == 3 else [((name,), factor) for name in there]
    return found


def _shrunk(planes: Bytes, factor: int) -> Bytes:
    """Mean of blocks of (bands, H, W); the last rows and columns make blocks of their own."""
    if factor == 1:
        return planes
    height, width = planes.shape[1:]
    pad = ((0, 0), (0, -height % factor), (0, -width % factor))
    whole = np.pad(planes, pad, mode="edge").astype(np.float32)
    blocks = whole.reshape(len(planes), whole.shape[1] // factor, factor, -1, factor)
    return np.asarray(blocks.mean(axis=(2, 4)).round(), np.uint8)


def _encoded(planes: Bytes, quality: int) -> Bytes:
    """A JPEG of one or three planes."""
    picture = planes[0] if len(planes) == 1 else np.moveaxis(planes, 0, -1)
    target = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(
        target, "JPEG", quality=quality, subsampling=0, optimize=True
    )
    return np.frombuffer(target.getvalue(), np.uint8)
