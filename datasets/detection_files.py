"""Detection data: COCO's JSON, PASCAL VOC's XML and DOTA's text files, told by their content.

    from terralogue.datasets.detection_files import read_detection
    read_detection(Path("nwpu_vhr10"), split="own:test")

Boxes come out in pixels with continuous edges; of DOTA's oriented boxes the upright ones around
them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

from terralogue.datasets.annotation_files import PictureFolder, inside, read_json, text
from terralogue.datasets.errors import InputError
from terralogue.datasets.registry import get_dataset
from terralogue.datasets.samples import Box, DetectionSample, Samples

# Classes of data sets → targets, where they differ in more than spaces and capitals.
_TARGETS: Final = {
    "airplane": "aircraft", "plane": "aircraft", "oiltank": "storage_tank", "vessel": "ship",
    "playground": "ground_track_field", "large_vehicle": "vehicle", "small_vehicle": "vehicle",
    "car": "vehicle", "crown": "tree",
}  # fmt: skip
# Data sets known by a class that only they have; the crowns by the names of their files.
_BY_LABEL: Final = {"baseball_diamond": "nwpu_vhr10", "overpass": "rsod", "vessel": "sen2ships"}
_NEON: Final = re.compile(r"(HARV|OSBS|SJER|TEAK)_\d+")
_LISTS: Final = ("images", "annotations", "categories")
# A picture that is one band of a scene: the scene is the folder.
_ONE_BAND: Final = re.compile(r"B\d[\dA]\.\w+", re.IGNORECASE)
_LAYOUTS: Final = 'COCO ("annotations.json"), PASCAL VOC (.xml) and DOTA ("labelTxt/*.txt")'


def target_of(label: str) -> str:
    """The target that a class of a data set is: "oiltank" is storage_tank; unknown ones stay."""
    plain = re.sub(r"[\s-]+", "_", label.strip(" \\").casefold())
    return _TARGETS.get(plain, plain)


def read_detection(
    path: str | Path, split: str | None = None, dataset: str | None = None
) -> Samples[DetectionSample]:
    """Read pictures with boxes.

    Args:
        path: file or folder; folders of several places, each with annotations, are read as one.
        split: see `samples.py`.
        dataset: key in DATASETS, where the content does not tell it.

    Raises:
        InputError: nothing of the kind there, broken, no such split, or pictures are missing.
    """
    source = Path(path)
    if not source.exists():
        raise InputError(f"{source} does not exist; give a file or folder with --data.")
    items: tuple[DetectionSample, ...]
    for find, read in _READERS:
        files = find(source)
        if files:
            items = tuple(item for file in files for item in read(file, len(files) > 1))
            break
    else:
        raise InputError(f"{source} holds no boxes in a layout that is known: {_LAYOUTS}.")
    if not any(item.boxes for item in items):
        raise InputError(f"{source} has no boxes; give the data of another split.")
    key = get_dataset(dataset).key if dataset else _recognised(items)
    if key == "neon_trees":  # its names are untidy, and all mean one class
        items = tuple(replace(item, labels=("tree",) * len(item.boxes)) for item in items)
    # Annotations of VOC and DOTA are one file a picture; the pictures alone identify the data.
    annotations = files[0] if len(files) == 1 and files[0].is_file() else None
    return Samples(source, key, items, annotations).chosen(split).checked()


def _recognised(items: Sequence[DetectionSample]) -> str | None:
    labels = {label for item in items for label in item.labels}
    found = next((key for label, key in _BY_LABEL.items() if label in labels), None)
    if found is None and all(_NEON.fullmatch(item.path.stem) for item in items):
        return "neon_trees"
    return found


# --- COCO


def _coco_files(source: Path) -> list[Path]:
    if source.is_file():
        return [source] if source.suffix.lower() == ".json" and _is_coco(source) else []
    found = [file for file in sorted(source.glob("*.json")) if _is_coco(file)]
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise InputError(f"{source} holds several files of boxes ({names}); give one of them.")
    return found or [file for file in sorted(source.glob("*/*.json")) if _is_coco(file)]


def _is_coco(path: Path) -> bool:
    content = read_json(path)
    return isinstance(content, dict) and all(isinstance(content.get(k), list) for k in _LISTS)


def _read_coco(file: Path, several: bool) -> Iterator[DetectionSample]:
    content = read_json(file)
    try:
        labels = {row["id"]: str(row["name"]) for row in content["categories"]}
        rows: dict[object, list[dict[str, Any]]] = defaultdict(list)
        for row in content["annotations"]:
            rows[row["image_id"]].append(row)
        names = [inside(text(row, "file_name", str(file)), str(file)) for row in content["images"]]
        located = PictureFolder(file.parent, names)
        for name, image in zip(names, content["images"], strict=True):
            own, path = rows[image["id"]], located(name)
            if _ONE_BAND.fullmatch(Path(name).name):
                path = path.parent
                name = path.name
            elif several:
                name = f"{file.parent.name}/{name}"
            yield DetectionSample(
                name, name, path,
                tuple(_coco_box(row["bbox"]) for row in own),
                tuple(labels[row["category_id"]] for row in own),
                tuple(bool(row.get("iscrowd")) for row in own),
            )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{file} does not follow COCO's layout ({type(error).__name__}: {error}); fetch the "
            "file again."
        ) from error


def _coco_box(values: Sequence[float]) -> Box:
    left, top, width, height = map(float, values)
    return Box(left, top, left + width, top + height)


# --- PASCAL VOC


def _voc_files(source: Path) -> list[Path]:
    return [source] if source.is_dir() and any(_below(source, "*.xml")) else []


def _below(folder: Path, pattern: str) -> list[Path]:
    """Files of a folder and of those right below it, hidden ones left out."""
    found = [*folder.glob(pattern), *folder.glob(f"*/{pattern}")]
    return sorted(path for path in found if not path.name.startswith("."))


def _read_voc(folder: Path, several: bool) -> Iterator[DetectionSample]:
    for file in _below(folder, "*.xml"):
        try:
            root = ElementTree.parse(file).getroot()
            things = list(root.iter("object"))
            boxes = tuple(_voc_box(thing) for thing in things)
        except (OSError, ElementTree.ParseError, TypeError, ValueError) as error:
            raise InputError(
                f"{file} does not follow PASCAL VOC's layout ({error}); fetch the file again."
            ) from error
        stated = inside(root.findtext("filename") or f"{file.stem}.jpg", str(file))
        root_folder = file.parent.parent if file.parent.name == "Annotations" else file.parent
        path = PictureFolder(root_folder, [stated])(stated)
        yield DetectionSample(
            path.name, path.name, path, boxes,
            tuple((thing.findtext("name") or "").strip() for thing in things),
            tuple(thing.findtext("difficult") == "1" for thing in things),
        )  # fmt: skip


def _voc_box(thing: ElementTree.Element) -> Box:
    """Bounds of an object; VOC counts pixels from 1 and includes the last one, which is kept."""
    bounds = thing.find("bndbox")
    if bounds is None:
        raise ValueError("an object has no bndbox")
    sides = (bounds.findtext(name) for name in ("xmin", "ymin", "xmax", "ymax"))
    return Box(*(float(side) for side in sides))  # type: ignore[arg-type]


# --- DOTA


def _dota_files(source: Path) -> list[Path]:
    if source.is_file():
        return []
    folders = [source, *sorted(path for path in source.rglob("labelTxt*") if path.is_dir())]
    return next(([f] for f in folders if any(map(_is_dota, f.glob("*.txt")))), [])


def _is_dota(path: Path) -> bool:
    with path.open(encoding="utf-8", errors="replace") as file:
        lines = [line.split() for _, line in zip(range(4), file, strict=False)]
    return any(_dota_row(parts) for parts in lines)


def _dota_row(parts: Sequence[str]) -> bool:
    return len(parts) in (9, 10) and all(re.fullmatch(r"-?\d+(\.\d+)?", p) for p in parts[:8])


def _read_dota(folder: Path, several: bool) -> Iterator[DetectionSample]:
    """Pictures that are not there are left out: the samples of the benchmark are rarely whole."""
    root = folder.parent if folder.name.startswith("labelTxt") else folder
    for file in sorted(folder.glob("*.txt")):
        name = f"{file.stem}.png"
        path = PictureFolder(root, [name])(name)
        if not path.exists():
            continue
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        rows = [parts for parts in map(str.split, lines) if _dota_row(parts)]
        corners = [[float(value) for value in row[:8]] for row in rows]
        yield DetectionSample(
            path.name, path.name, path,
            tuple(Box(min(c[::2]), min(c[1::2]), max(c[::2]), max(c[1::2])) for c in corners),
            tuple(row[8] for row in rows),
            tuple(row[9:] == ["1"] for row in rows),
        )  # fmt: skip


Reader = Callable[[Path, bool], Iterator[DetectionSample]]
# One line per layout: finds what holds the annotations ([] where it is another one), reads it.
_READERS: Final[tuple[tuple[Callable[[Path], list[Path]], Reader], ...]] = (
    (_coco_files, _read_coco),
    (_voc_files, _read_voc),
    (_dota_files, _read_dota),
)
