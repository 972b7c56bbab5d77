"""Pictures with masks: finding the pairs, and what the values of the masks mean.

    samples = read_masks(Path("dubai_landcover"))
    legend = legend_of(samples)
    gold = legend.read(samples.items[0].mask)   # uint8 (H, W): 0 none, 1 … a target, 255 not scored

A folder `images` lies beside a folder of masks (MASKS), anywhere below the data; a mask has the
name of its picture. Masks hold class values, or one colour for each class, or mark one target by
any of 0/1, 0/255 and grey levels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.errors import InputError
from terralogue.datasets.files import SUFFIXES, open_dataset, reading
from terralogue.datasets.samples import MaskSample, Samples

IMAGES: Final = "images"
MASKS: Final = ("masks", "labels", "groundtruth", "gt")
NONE, IGNORED = 0, 255
OTHER: Final = {"other": NONE, "ignore": IGNORED}
"""Names that --classes takes beside targets, and what a pixel with such a value is in the gold."""
_HALF = 128


@dataclass(frozen=True)
class MaskSet:
    """A data set that is recognised by the names of its pictures.

    Attributes:
        key: name in MASK_SETS; parts of our own are cut for it in `parts.py`.
        title: for people.
        names: what the stems of all pictures look like.
        classes: value in a mask → target, "other" or "ignore".
        colours: value in a mask → colour "#rrggbb" where masks are pictures.
        bands: number of bands of a picture.
    """

    key: str
    title: str
    names: re.Pattern[str]
    classes: Mapping[int, str]
    colours: Mapping[int, str] = field(default_factory=dict)
    bands: int = 3


_ENTRIES = (
    # Classes and colours: the file classes.json of the data set, Humans in the Loop 2020.
    MaskSet("dubai", "Semantic segmentation of aerial imagery (MBRSC, Dubai)",
            re.compile(r"(tile\d+_)?image_part_\d+"),
            {0: "ignore", 1: "bare_soil", 2: "building", 3: "road", 4: "vegetation", 5: "water"},
            {0: "#9b9b9b", 1: "#8429f6", 2: "#3c1098", 3: "#6ec1e4", 4: "#fedd3a", 5: "#e2a929"}),
    MaskSet("eth_roads", "ETH CIL road segmentation", re.compile(r"satImage_\d+"), {1: "road"}),
    MaskSet("inria_samples", "Building chips of Inria, ISPRS Potsdam and WHU",
            re.compile(r"(train|val|test)_data_[a-z]+\d+_\d+|(inria|isprs|whu)_.+"),
            {1: "building"}),
    MaskSet("fair_buildings", "Building footprints on OpenAerialMap", re.compile(r"OAM(-\d+){3}"),
            {1: "building"}),
    MaskSet("water_s2l8", "Water on seven bands of Sentinel-2 and Landsat 8", re.compile(r"\d+"),
            {1: "water"}, bands=7),
)  # fmt: skip

MASK_SETS: dict[str, MaskSet] = {entry.key: entry for entry in _ENTRIES}


@dataclass(frozen=True)
class Legend:
    """What the values of masks mean.

    Attributes:
        targets: scored, in this order; a pixel of `targets[k]` is k + 1 in the gold.
        values: value in a mask → number in the gold; other values are an error.
        colours: value in a mask → (red, green, blue).
        grey: masks are pictures of one target, which is where they are brighter than half.
    """

    targets: tuple[str, ...]
    values: Mapping[int, int] = field(default_factory=dict)
    colours: Mapping[int, tuple[int, int, int]] = field(default_factory=dict)
    grey: bool = False

    def read(self, path: Path) -> NDArray[np.uint8]:
        """The gold of a mask file: uint8 (H, W), 0 none of the targets, 255 not scored.

        Raises:
            InputError: a value or a colour that nobody named.
            SceneError: the file cannot be read.
        """
        return self.gold(self.classes(_bands(path), path.name), path.name)

    def gold(self, values: NDArray[np.integer], name: str) -> NDArray[np.uint8]:
        """As `read`, of the values (H, W) of a mask."""
        if self.grey:
            return (values >= _HALF).astype(np.uint8)
        gold = np.zeros(values.shape, np.uint8)
        for value in map(int, np.unique(values)):
            if value not in self.values:
                raise InputError(
                    f"{name} holds the value {value}, which means nothing that is known; name it "
                    f'with --classes, such as "{value}=water" or "{value}=ignore".'
                )
            gold[values == value] = self.values[value]
        return gold

    def classes(self, bands: NDArray[np.integer], name: str) -> NDArray[np.integer]:
        """Class values (H, W) of the bands (bands, H, W) of a mask: of one band, or of colours.

        Raises:
            InputError: it is in colours that nobody named.
        """
        if len(bands) == 1 or all(np.array_equal(bands[0], band) for band in bands[1:3]):
            first: NDArray[np.integer] = bands[0]
            return first
        if not self.colours:
            raise InputError(
                f"{name} is a picture in colour, and what its colours mean is not known; give "
                "masks of one band with the values of --classes."
            )
        values: NDArray[np.integer] = np.full(bands.shape[1:], -1, np.int16)
        for value, colour in self.colours.items():
            values[(bands[:3] == np.array(colour)[:, None, None]).all(axis=0)] = value
        return values


def _bands(path: Path) -> NDArray[np.integer]:
    """Stored numbers (bands, H, W) of a mask file."""
    with reading(path), open_dataset(path) as file:
        found: NDArray[np.integer] = file.read()
        return found


def read_masks(data: Path, dataset: str | None = None) -> Samples[MaskSample]:
    """Find the pictures and their masks below a folder.

    Raises:
        InputError: no such folder, no pictures with masks, a picture without its mask, or an
            unknown data set.
    """
    if dataset is not None and dataset not in MASK_SETS:
        raise InputError(
            f"--dataset {dataset} is not known; with masks there are: {', '.join(MASK_SETS)}."
        )
    pairs = [pair for folder in _image_folders(data) for pair in _pairs(folder)]
    if not pairs:
        raise InputError(
            f"{data} holds no folder 'images' with pictures beside a folder "
            f"{' or '.join(map(repr, MASKS))}; give such a folder with --data, or one scene with "
            "--reference."
        )
    items = tuple(
        MaskSample(image.relative_to(data).as_posix(), image, mask) for image, mask in pairs
    )
    return Samples(data, dataset or _recognised(items), items)


def _image_folders(data: Path) -> list[Path]:
    if not data.is_dir():
        raise InputError(f"{data} is not a folder; give one with the folders images and masks.")
    return sorted(path for path in data.rglob(IMAGES) if path.is_dir() and _mask_folder(path))


def _mask_folder(images: Path) -> Path | None:
    return next((f for name in MASKS if (f := images.with_name(name)).is_dir()), None)


def _pairs(images: Path) -> list[tuple[Path, Path]]:
    """Each picture with the mask of the same name, whatever their formats."""
    folder = _mask_folder(images)
    assert folder is not None
    masks = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix in SUFFIXES}
    found = []
    for image in sorted(images.iterdir(), key=lambda path: (len(path.name), path.name)):
        if image.suffix.lower() not in SUFFIXES:
            continue
        if image.stem not in masks:
            raise InputError(f"{image} has no mask in {folder}; add it or leave the picture out.")
        found.append((image, masks[image.stem]))
    return found


def _recognised(items: tuple[MaskSample, ...]) -> str | None:
    """The data set whose pictures have such names and so many bands; None of any other."""
    for entry in MASK_SETS.values():
        if all(entry.names.fullmatch(item.path.stem) for item in items):
            with reading(items[0].path), open_dataset(items[0].path) as file:
                if file.count == entry.bands:
                    return entry.key
    return None


def parse_classes(text: str) -> dict[int, str]:
    """Read "1=water,2=building,0=ignore": value in a mask → target, "other" or "ignore".

    Raises:
        InputError: anything else.
    """
    classes = {}
    for part in text.split(","):
        value, equals, name = (piece.strip() for piece in part.partition("="))
        if not (value.isdigit() and equals and re.fullmatch(r"[a-z_]+", name)):
            raise InputError(
                f"--classes {text!r} cannot be read at {part!r}; write value=target, such as "
                '"1=water,2=building,0=ignore".'
            )
        classes[int(value)] = name
    return classes


def legend_of(
    samples: Samples[MaskSample],
    classes: Mapping[int, str] | None = None,
    target: str | None = None,
) -> Legend:
    """What the values of masks mean, from what a person said, or else from the data set.

    Args:
        samples: the data.
        classes: as `parse_classes` gives them.
        target: the only one to be scored; all others count as not that target.

    Raises:
        InputError: nobody says what the masks show, or the masks do not show the target.
    """
    known = MASK_SETS[samples.dataset] if samples.dataset is not None else None
    if classes is None and (known is None or len(known.classes) == 1):
        shown = target or (next(iter(known.classes.values())) if known is not None else None)
        return _of_one_target(samples, shown)
    named = classes or (known.classes if known is not None else {})
    return legend_of_classes(
        named, target, known.colours if known is not None and classes is None else {}
    )


def legend_of_classes(
    classes: Mapping[int, str],
    target: str | None = None,
    colours: Mapping[int, str] | None = None,
) -> Legend:
    """As `legend_of`, where the classes are known; 0 is "other" unless it is named.

    Raises:
        InputError: the target is not among the classes, or there is none.
    """
    targets = tuple(dict.fromkeys(name for name in classes.values() if name not in OTHER))
    if not targets:
        raise InputError('--classes names no target; name at least one, such as "1=water".')
    if target is not None:
        if target not in targets:
            raise InputError(
                f"--target {target} is not among the classes of the masks: {', '.join(targets)}."
            )
        targets = (target,)
    numbers = OTHER | {name: k + 1 for k, name in enumerate(targets)}
    values = {value: numbers.get(name, NONE) for value, name in {0: "other", **classes}.items()}
    return Legend(targets, values, {value: _rgb(text) for value, text in (colours or {}).items()})


def _of_one_target(samples: Samples[MaskSample], target: str | None) -> Legend:
    """Masks that mark one target: by 0/1 (255: not scored), by 0/255, or by grey levels."""
    if target is None:
        raise InputError(
            "What the masks show is not known; say it with --target for masks of one target, or "
            'with --classes, such as "1=water,2=building".'
        )
    found: set[int] = set()
    for item in samples.items:
        found |= set(np.unique(_bands(item.mask)[0]).tolist())
    if found <= {NONE, 1, IGNORED} and 1 in found:
        return Legend((target,), {NONE: NONE, 1: 1, IGNORED: IGNORED})
    if found <= {NONE} or max(found) >= _HALF:
        return Legend((target,), grey=True)
    raise InputError(
        f"The masks of {samples.source} hold class values up to {max(found)}; say with --classes "
        f'what they mean, such as "1={target},2=other".'
    )


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
