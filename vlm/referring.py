"""Pointing at what words refer to: one mask, from which boxes, count and class are read.

    from terralogue.vlm.referring import load_referrer
    found = load_referrer().refer(open_scene("harbour.tif"), "the white roof by the river")
    found.mask, found.boxes, found.count, found.label, found.score

The decoder says for each pixel how probable the noun is; number, place, order, colour and relation
are decided on the connected parts. Pictures are read at their own resolution, in windows that
overlap where they are large, and once more coarsely for what is larger than a window.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from rasterio.windows import Window
from torch import Tensor

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError
from terralogue.datasets.pictures import RGB_BANDS
from terralogue.datasets.samples import Box
from terralogue.datasets.scene import Scene
from terralogue.datasets.tiles import Tile, TileReader, normalise
from terralogue.vlm.clip import load_geoclip
from terralogue.vlm.embedded_clip import EmbeddedCLIP
from terralogue.vlm.referring_colours import brightness, in_colour
from terralogue.vlm.referring_concepts import CONCEPTS
from terralogue.vlm.referring_model import FOLDER, STRIDE, Trained, read_decoder, towers_of
from terralogue.vlm.referring_parts import Parts, boxes_of, choose, find_parts, split
from terralogue.vlm.referring_words import Expression, parse, seen_only
from terralogue.vlm.stem import mixing

Floats = NDArray[np.float32]
Picture = Scene | Tile | NDArray[np.uint8]

LARGEST: Final = 2048
"""Longer side in pixels up to which a picture is read at its own resolution."""
NAMES: Final = tuple(concept.words[0] for concept in CONCEPTS.values())
"""What the class of a mask is chosen from."""
# Cells along the window about a part that its class is read from.
_LABELLED: Final = 32
# Windows of what is larger: their side, and how much of each edge is left to the neighbour.
_WINDOW: Final = 640
_MARGIN: Final = 64
# Views are halved as long as their longer side is above this; small pictures are doubled once.
_COARSE: Final = 320
_SMALL: Final = 256


@dataclass(frozen=True, eq=False)
class Referred:
    """What an expression refers to; everything is read from the mask.

    Attributes:
        mask: bool (H, W) on the grid of the picture.
        boxes: bounds of the mask's connected parts in pixels of the picture.
        count: number of parts.
        label: first word of the concept whose place is most like that of the noun, whatever word
            was used; None where the mask is empty.
        score: calibrated probability that what was named is there, where the mask says so; 0 where
            the mask is empty, which says nothing about how sure that is.
    """

    mask: NDArray[np.bool_]
    boxes: tuple[Box, ...]
    count: int
    label: str | None
    score: float


@dataclass(frozen=True, eq=False)
class View:
    """A picture as the decoder has seen it, for any number of expressions.

    Attributes:
        features: of each scale, (1, channels, h, w), and the pixels of the view along a cell.
        size: height and width of what was looked at, as it was read.
        colours: float32 (3, H, W) red, green, blue from 0 to 1; None where the bands have none.
        whole: height and width of the picture.
        region: part of it that was looked at, in its pixels.
        known: probability of each noun that was asked for, (H, W).
        concepts: key in CONCEPTS of each noun that was found.
    """

    features: tuple[Tensor, ...]
    size: tuple[int, int]
    colours: Floats | None
    whole: tuple[int, int]
    region: tuple[int, int, int, int]
    known: dict[str, Floats] = field(default_factory=dict, repr=False)
    concepts: dict[str, str] = field(default_factory=dict, repr=False)


class Referrer:
    """Points at what expressions refer to.

    Args:
        clip: the aligned towers.
        trained: the decoder, trained on these very towers.

    Raises:
        InputError: the decoder belongs to other towers.
    """

    def __init__(self, clip: EmbeddedCLIP, trained: Trained) -> None:
        tower = towers_of(clip.tower)
        if trained.tower != tower:
            raise InputError(
                f"the decoder that points was trained on the image tower {trained.tower}, this is "
                f"{tower}; run `terralogue train refer` with it"
            )
        self.clip = clip
        self.decoder = trained.decoder
        self.calibration = trained.calibration
        self.fingerprint = trained.fingerprint
        self._device = next(clip.tower.parameters()).device
        self.decoder.to(self._device)

    def refer(
        self, picture: Picture, expression: str, region: Box | None = None, *,
        largest: int = LARGEST,
    ) -> Referred:  # fmt: skip
        """Find what an expression refers to; see `Referred`.

        Args:
            picture: a scene, a tile, or a colour picture, uint8 (3, H, W).
            expression: such as "the largest ship left of the pier" or "all storage tanks".
            region: look only there, in pixels of the picture.
            largest: longer side in pixels up to which that is read at its own resolution; larger
                ones are read coarser, so that time and memory stay within bounds.

        Raises:
            InputError: no words, a region outside of the picture, bands that are not known, or a
                word for a colour where no band sees visible light.
        """
        return self.point(self.look(picture, region, largest=largest), expression)

    def look(self, picture: Picture, region: Box | None = None, *, largest: int = LARGEST) -> View:
        """See a picture once, for any number of expressions; arguments as `refer`."""
        whole = (
            (picture.height, picture.width)
            if isinstance(picture, Scene)
            else picture.data.shape[1:]
            if isinstance(picture, Tile)
            else picture.shape[1:]
        )
        part = _pixels(region, whole)
        data, bands = _read(picture, part, largest)
        features = []
        with torch.inference_mode():
            image = torch.from_numpy(np.ascontiguousarray(data))[None].to(self._device)
            for factor in scales(data.shape[1:]):
                shape = [max(32, round(side * factor)) for side in data.shape[1:]]
                resized = F.interpolate(image, shape, mode="bilinear", antialias=True)
                features.append(self._features(resized, bands))
        return View(tuple(features), data.shape[1:], _colours(data, bands), whole, part)

    def point(self, view: View, expression: str) -> Referred:
        """Find what an expression refers to in what was seen; see `refer`."""
        said = parse(expression)
        if not said.noun:
            raise InputError(f"{expression!r} names nothing to point at; give words such as 'ship'")
        word = seen_only(said)
        if word and view.colours is None:
            raise InputError(
                f"{word!r} needs visible light, of which this picture has no band; leave it out of "
                f"{expression!r}"
            )
        parts, chosen = self._means(view, said)
        mask = parts.mask(chosen)
        if not chosen:
            return _on_grid(mask, view, None, 0.0)
        score = self.calibration.score(float(parts.strength[chosen].mean()))
        return _on_grid(mask, view, CONCEPTS[self._concept(view, said.noun)].words[0], score)

    def probability(self, view: View, noun: str) -> Floats:
        """How probable a noun is at each pixel: float32 (H, W)."""
        if noun not in view.known:
            text = torch.from_numpy(self.clip.encode_text([noun]))[None].to(self._device)
            with torch.inference_mode():
                logits = [self.decoder.point(features, text) for features in view.features]
                full = [F.interpolate(each, view.size, mode="bilinear") for each in logits]
                fused = torch.stack(full).mean(0)[0, 0]
                view.known[noun] = np.asarray(torch.sigmoid(fused).cpu().numpy(), np.float32)
        return view.known[noun]

    def _means(self, view: View, said: Expression) -> tuple[Parts, list[int]]:
        """Parts of the noun, and which of them are meant."""
        probability = self.probability(view, said.noun)
        light = None
        if view.colours is not None:
            light = brightness(view.colours)
            if said.colour:
                probability = probability * in_colour(view.colours, said.colour)
        level = self.calibration
        parts = find_parts(probability, level.threshold, level.peak, light)
        if not len(parts):
            return parts, []
        anchor = None
        if said.anchor is not None:
            others, which = self._means(view, said.anchor)
            anchor = others.mask(which)
        concept = CONCEPTS[self._concept(view, said.noun)]
        if concept.compact:
            apart = split(parts.labels > 0)
            parts = find_parts(np.where(apart, probability, 0), level.threshold, level.peak, light)
        return parts, choose(parts, said, counted=concept.thing, anchor=anchor)

    def _concept(self, view: View, noun: str) -> str:
        """Key of the concept whose map is most like that of a noun, about its largest part."""
        if noun in view.concepts:
            return view.concepts[noun]
        level = self.calibration
        parts = find_parts(self.probability(view, noun), level.threshold, level.peak)
        largest = int(parts.area.argmax())
        where = torch.from_numpy(parts.labels > 0)[None, None].float()
        texts = torch.from_numpy(_encoded(self.clip, NAMES))[None].to(self._device)
        likeness = torch.zeros(len(NAMES))
        for features in view.features:
            height, width = features.shape[-2:]
            small = F.interpolate(where, (height, width), mode="area")[0, 0]
            y, x = (parts.middle[largest] / view.size * (height, width)).astype(int)
            window = _around(y, height), _around(x, width)
            with torch.inference_mode():
                logits = self.decoder.point(features[..., window[0], window[1]], texts)[0].cpu()
            share, inside = torch.sigmoid(logits), small[window]
            both = (share * inside).sum((1, 2))
            either = share.sum((1, 2)) + inside.sum() - both
            likeness += both / either.clamp(min=1e-6)
        view.concepts[noun] = list(CONCEPTS)[int(likeness.argmax())]
        return view.concepts[noun]

    def _features(self, image: Tensor, bands: tuple[Band, ...]) -> Tensor:
        """Features of an image of any size, in windows where it is large."""
        height, width = image.shape[-2:]
        if max(height, width) <= _WINDOW:
            return self._fused(image, bands)[..., : -(-height // STRIDE), : -(-width // STRIDE)]
        step = _WINDOW - 2 * _MARGIN
        rows = []
        for top in range(0, height, step):
            pieces = []
            for left in range(0, width, step):
                y0, x0 = max(0, top - _MARGIN), max(0, left - _MARGIN)
                y1, x1 = min(height, top + step + _MARGIN), min(width, left + step + _MARGIN)
                found = self._fused(image[..., y0:y1, x0:x1], bands)
                y, x = (top - y0) // STRIDE, (left - x0) // STRIDE
                down = -(-(min(top + step, height) - top) // STRIDE)
                across = -(-(min(left + step, width) - left) // STRIDE)
                pieces.append(found[..., y : y + down, x : x + across])
            rows.append(torch.cat(pieces, -1))
        return torch.cat(rows, -2)

    def _fused(self, image: Tensor, bands: tuple[Band, ...]) -> Tensor:
        """Features of one window; its sides are filled up to what the trunk can halve five times.

        Filled with the edge, since an invented edge is seen as one.
        """
        height, width = image.shape[-2:]
        padded = F.pad(image, (0, -width % 32, 0, -height % 32), mode="replicate")
        padded = padded.contiguous(memory_format=torch.channels_last)
        return self.decoder.fuse(self.clip.tower.pyramid(padded, bands)[1:])


def _around(middle: int, extent: int) -> slice:
    """A window of cells about a place."""
    return slice(max(0, min(middle, extent - 1) - _LABELLED // 2), middle + _LABELLED // 2)


def scales(size: tuple[int, int]) -> list[float]:
    """Factors at which a picture (height, width) is looked at."""
    longest = max(size)
    factors = [2.0, 1.0] if longest <= _SMALL else [1.0]
    while longest * factors[-1] > _COARSE:
        factors.append(factors[-1] / 2)
    return factors


@lru_cache(maxsize=4)
def _encoded(clip: EmbeddedCLIP, names: tuple[str, ...]) -> Floats:
    return clip.encode_text(names)


def _pixels(region: Box | None, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """A region as whole pixels: left, top, right, bottom."""
    height, width = size
    if region is None:
        return 0, 0, width, height
    left, top = max(0, int(region.left)), max(0, int(region.top))
    right, bottom = min(width, int(np.ceil(region.right))), min(height, int(np.ceil(region.bottom)))
    if right - left < 1 or bottom - top < 1:
        raise InputError(
            f"the region {tuple(region)} is not within the picture of {width} x {height} pixels; "
            "give left, top, right, bottom in pixels"
        )
    return left, top, right, bottom


def _read(
    picture: Picture, part: tuple[int, int, int, int], largest: int
) -> tuple[Floats, tuple[Band, ...]]:
    left, top, right, bottom = part
    if isinstance(picture, Scene):
        window = Window(left, top, right - left, bottom - top)
        tile = TileReader(picture, size=largest).read(window)
        return tile.data, tile.bands
    if isinstance(picture, Tile):
        data, bands = picture.data, picture.bands
    else:
        data, bands = normalise(picture, RGB_BANDS), RGB_BANDS
    data = data[:, top:bottom, left:right]
    factor = largest / max(data.shape[1:])
    if factor < 1:
        shape = [max(1, round(side * factor)) for side in data.shape[1:]]
        small = F.interpolate(torch.from_numpy(data.copy())[None], shape, mode="area")[0]
        data = np.asarray(small.numpy(), np.float32)
    return data, bands


def _colours(data: Floats, bands: tuple[Band, ...]) -> Floats | None:
    """Red, green and blue from 0 to 1; None for what has no visible light."""
    if all(band.kind != "optical" for band in bands):
        return None
    mixed = np.einsum("cb,bhw->chw", mixing(bands), data)
    return np.asarray(np.clip((mixed + 1) / 2, 0, 1), np.float32)


def _on_grid(mask: NDArray[np.bool_], view: View, label: str | None, score: float) -> Referred:
    """The answer on the grid of the whole picture."""
    left, top, right, bottom = view.region
    shape = (bottom - top, right - left)
    if mask.shape != shape:
        rows = (np.arange(shape[0]) * mask.shape[0]) // shape[0]
        columns = (np.arange(shape[1]) * mask.shape[1]) // shape[1]
        mask = mask[np.ix_(rows, columns)]
    full = np.zeros(view.whole, bool)
    full[top:bottom, left:right] = mask
    boxes = boxes_of(full)
    return Referred(full, boxes, len(boxes), label, score)


@lru_cache(maxsize=2)
def load_referrer(folder: Path = FOLDER, towers: str = "embedded") -> Referrer:
    """Load the decoder of the package, or of a folder; kept for the next call.

    Args:
        folder: that `terralogue train refer` wrote.
        towers: as `load_geoclip` takes it; has to be of our architecture.

    Raises:
        InputError: no decoder there, broken, or of other towers.
    """
    clip = load_geoclip(towers)
    if not isinstance(clip, EmbeddedCLIP):
        raise InputError(f"{towers} has no feature pyramid; give embedded or embedded:<folder>")
    return Referrer(clip, read_decoder(folder))


def refer(picture: Picture, expression: str, region: Box | None = None) -> Referred:
    """Find what an expression refers to with the decoder of the package; see `Referrer.refer`."""
    return load_referrer().refer(picture, expression, region)
