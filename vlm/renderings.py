"""Renderings: bands of any sensor as named pictures for models that see red, green and blue alone.

    from terralogue.vlm.renderings import render
    [each.name for each in render(open_scene("S2_pisa.tif"), "Where is water?")]

Composites and index maps, each with a sentence on what it shows, let a model that was trained on
photographs use bands that it has never seen: the training-free idea of arXiv:2509.19087 and
arXiv:2604.21032 (Mallya et al.). Which ones depends on the bands and on the words of the question.
Numbers are brought to one range by fixed rules (`datasets/tiles.py`), so that two dates of one
place look alike where nothing changed. A colour picture goes as it is.

Indices: NDVI (Rouse et al. 1974), NDWI (McFeeters 1996, doi:10.1080/01431169608948714) and NBR (Key
and Benson 2006).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio.windows import Window

from terralogue.datasets.bands import INTERCHANGEABLE, Band
from terralogue.datasets.errors import InputError
from terralogue.datasets.samples import Box
from terralogue.datasets.scene import Scene
from terralogue.datasets.tiles import Tile, TileReader
from terralogue.vlm.vlm import Picture

Floats = NDArray[np.float32]
Colours = NDArray[np.uint8]

LONGEST: Final = 1024
"""Longer side of a rendering at most, in pixels: about a thousand tokens of Qwen-VL."""
SHORTEST: Final = 336
"""Smaller pictures are enlarged to this: Qwen-VL makes one token of 28 pixels."""

# Plants (near infrared) and dry soil (short-wave infrared) reflect more than the white of tiles, on
# whose logarithmic scale these are 0.5 and 0.4.
_NEAR, _SHORT = 1.5, 1.25
_LEFT_OUT: Final = (90, 90, 90)

# Sensors whose scenes are photographs when they hold bytes.
_PLAIN: Final = ("rgb_aerial", "rgb_satellite", "unknown_rgb")

# (index value, colour): what lies between is interpolated.
Ramp = tuple[tuple[float, tuple[int, int, int]], ...]
_GREEN: Final[Ramp] = (
    (-0.3, (60, 60, 160)), (0.1, (225, 205, 160)), (0.4, (140, 190, 90)), (0.8, (0, 80, 20)),
)  # fmt: skip
_BLUE: Final[Ramp] = ((-0.7, (120, 80, 40)), (0.0, (245, 240, 225)), (0.6, (10, 50, 170)))
_BURNT: Final[Ramp] = ((-0.4, (120, 0, 30)), (0.1, (250, 225, 150)), (0.6, (20, 110, 50)))


@dataclass(frozen=True, eq=False)
class Rendering:
    """One picture made of bands.

    Attributes:
        name: such as "false colour" or "NDVI".
        shows: of which bands it is made, and how to read it.
        picture: uint8 (H, W, 3).
        frame: part of the original that it covers, in pixels of the original.
    """

    name: str
    shows: str
    picture: Colours
    frame: Box

    def at(self, box: Box) -> Box:
        """A box in pixels of this picture, in pixels of the original."""
        height, width = self.picture.shape[:2]
        across = (self.frame.right - self.frame.left) / width
        down = (self.frame.bottom - self.frame.top) / height
        return Box(
            self.frame.left + box.left * across, self.frame.top + box.top * down,
            self.frame.left + box.right * across, self.frame.top + box.bottom * down,
        )  # fmt: skip

    def within(self, box: Box) -> Box:
        """A box in pixels of the original, in pixels of this picture."""
        height, width = self.picture.shape[:2]
        across = width / (self.frame.right - self.frame.left)
        down = height / (self.frame.bottom - self.frame.top)
        return Box(
            (box.left - self.frame.left) * across, (box.top - self.frame.top) * down,
            (box.right - self.frame.left) * across, (box.bottom - self.frame.top) * down,
        )  # fmt: skip


class _Kind(NamedTuple):
    """One way to make a picture of bands.

    Attributes:
        needs: common names of the bands.
        make: from planes of 0 to 1 (white), (bands, H, W), to uint8 (H, W, 3).
        reads: how a person reads it.
        white: brightest number of each band.
    """

    needs: tuple[str, ...]
    make: Callable[[Floats], Colours]
    reads: str
    white: tuple[float, ...] = (1.0,)


def _composite(planes: Floats) -> Colours:
    return np.asarray(np.clip(planes, 0, 1).transpose(1, 2, 0) * 255 + 0.5, np.uint8)


def _grey(planes: Floats) -> Colours:
    return _composite(np.repeat(planes[:1], 3, axis=0))


def _ratio(planes: Floats) -> Colours:
    """Both polarisations and their difference in dB, as is usual for Sentinel-1."""
    difference = planes[0] - planes[1]
    return _composite(np.stack([planes[0], np.clip(planes[1] * 1.5, 0, 1), difference * 2]))


def _index(ramp: Ramp) -> Callable[[Floats], Colours]:
    def make(planes: Floats) -> Colours:
        first, second = _linear(planes[0]), _linear(planes[1])
        total = first + second
        value = (first - second) / np.where(np.abs(total) < 1e-3, np.float32(1e-3), total)
        at = [point for point, _ in ramp]
        layers = [np.interp(value, at, [colour[i] for _, colour in ramp]) for i in range(3)]
        return np.asarray(np.stack(layers, axis=-1) + 0.5, np.uint8)

    return make


def _linear(plane: Floats) -> Floats:
    """Shares of the tiles' white, without the logarithm that tiles have above it."""
    bright = np.exp(np.minimum(np.maximum(plane, 1) - 1, 2))
    return np.asarray(np.where(plane > 1, bright, np.maximum(plane, 0)), np.float32)


# ★ One line per rendering.
KINDS: Final[dict[str, _Kind]] = {
    "true colour": _Kind(("R", "G", "B"), _composite, "colours as the eye sees them"),
    "false colour": _Kind(
        ("N", "R", "G"), _composite,
        "healthy plants are bright red, water is black, towns are grey-blue", (_NEAR, 1, 1),
    ),
    "short-wave infrared": _Kind(
        ("S2", "N", "R"), _composite,
        "plants are green, bare and burnt ground is red to brown, water is black, snow and ice are "
        "cyan", (_SHORT, _NEAR, 1),
    ),
    "NDVI": _Kind(
        ("N", "R"), _index(_GREEN), "dark green is dense vegetation, beige is bare, blue is water",
    ),
    "NDWI": _Kind(("G", "N"), _index(_BLUE), "blue is open water, brown is land with plants"),
    "NBR": _Kind(("N", "S2"), _index(_BURNT), "red is burnt or bare ground, green is vegetation"),
    "radar": _Kind(
        ("VV", "VH"), _ratio,
        "red is VV, green is VH, blue is VV minus VH: smooth water is dark blue to black, forest "
        "is green to yellow, buildings are very bright",
    ),
    "VV": _Kind(("VV",), _grey, "bright is strong backscatter, smooth water is black"),
    "VH": _Kind(("VH",), _grey, "bright is strong backscatter, smooth water is black"),
    "HH": _Kind(("HH",), _grey, "bright is strong backscatter, smooth water is black"),
    "thermal": _Kind(("T1",), _grey, "bright is warm, from 250 K (black) to 330 K (white)"),
}  # fmt: skip

# What renderings help with which words, in addition to the first two that the bands allow.
_WORDS: Final[tuple[tuple[str, str], ...]] = (
    (r"water|flood|river|lake|pond|sea|coast|harbo|wetland|reservoir|ship", "NDWI"),
    (r"burn|fire|scorch|ash", "NBR"),
    (r"snow|ice|glacier|soil|bare|dry|mine|quarry", "short-wave infrared"),
    (r"plant|veget|forest|tree|crop|field|farm|grass|meadow|green|orchard|agricult", "NDVI"),
    (r"warm|hot|heat|cool|temperature", "thermal"),
)
_ALWAYS: Final = (
    "true colour", "false colour", "radar", "VV", "VH", "HH", "short-wave infrared", "thermal",
)  # fmt: skip
_FEW: Final = 3
# Bands that a note names; an imaging spectrometer has hundreds.
_LISTED: Final = 16


def names_for(bands: Sequence[Band], question: str, limit: int = _FEW) -> tuple[str, ...]:
    """Names of the renderings that bands allow and a question needs, the most telling first.

    Returns:
        One or more keys of KINDS; () where the bands make none of them.
    """
    possible = [name for name, kind in KINDS.items() if _chosen(bands, kind.needs)]
    if "radar" in possible:
        possible = [name for name in possible if name not in ("VV", "VH")]
    wanted = [name for words, name in _WORDS if re.search(words, question, re.IGNORECASE)]
    first = [name for name in _ALWAYS if name in possible][:1]
    ranked = [*first, *wanted, *_ALWAYS]
    return tuple(dict.fromkeys(name for name in ranked if name in possible))[:limit]


def render(
    picture: Picture, question: str = "", *, limit: int = _FEW, frame: Box | None = None
) -> tuple[Rendering, ...]:
    """Pictures of a scene, tile or picture.

    Args:
        picture: any.
        question: whose words choose among what the bands allow.
        limit: of their number, 1 or more.
        frame: only this part, in pixels of the original.

    Returns:
        One or more, the first the most like a photograph, no side over LONGEST.

    Raises:
        InputError: bands that are not known, or an array that is no picture.
    """
    if isinstance(picture, np.ndarray) and (
        picture.ndim != 3 or len(picture) != 3 or picture.dtype != np.uint8
    ):
        raise InputError(
            f"an array of shape {picture.shape} and {picture.dtype} is no colour picture; give "
            "(3, H, W) of uint8"
        )
    part = _whole(picture) if frame is None else _clipped(frame, picture)
    scene = spectral(picture)
    if scene is None:
        return (_as_it_is(picture, part),)
    names = names_for(scene.bands, question, limit)
    if not names:
        return (_of_anything(scene, part),)
    needed = {name: _chosen(scene.bands, KINDS[name].needs) for name in names}
    planes, seen = _planes(scene, [band for found in needed.values() for band in found], part)
    unseen = "" if seen.all() else "; grey was not observed"
    made = []
    for name, found in needed.items():
        kind = KINDS[name]
        white = np.array(kind.white, np.float32)[:, None, None]
        colours = kind.make(np.stack([planes[band.name] for band in found]) / white)
        colours[~seen] = _LEFT_OUT
        shows = f"{', '.join(map(_said, found))}; {kind.reads}{unseen}"
        made.append(Rendering(name, shows, _sized(colours), part))
    return tuple(made)


def spectral(picture: Picture) -> Scene | Tile | None:
    """The same where its bands have a meaning; None of a plain photograph, which goes as it is."""
    if isinstance(picture, np.ndarray):
        return None
    if isinstance(picture, Tile) or picture.sensor is None:
        return picture
    return None if picture.sensor.key in _PLAIN and picture.dtype == "uint8" else picture


def band_note(picture: Picture) -> str:
    """What a model should know of the sensor and its bands, one sentence; "" of a plain picture."""
    scene = spectral(picture)
    if scene is None:
        return ""
    sensor = scene.sensor if isinstance(scene, Scene) else None
    title = "" if sensor is None else f"{sensor.title}; "
    gsd = scene.gsd if isinstance(scene, Scene) else None
    size = "" if gsd is None else f"; {gsd:.3g} m per pixel"
    listed = ", ".join(map(_said, scene.bands[:_LISTED]))
    more = len(scene.bands) - _LISTED
    listed += f" and {more} more" if more > 0 else ""
    return f"{title}bands: {listed}{size}."


def _sized(colours: Colours) -> Colours:
    """The same picture (H, W, 3) with its longer side between SHORTEST and LONGEST pixels."""
    height, width = colours.shape[:2]
    longer = max(height, width)
    factor = min(max(longer, SHORTEST), LONGEST) / longer
    if factor == 1:
        return np.ascontiguousarray(colours)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    way = Image.Resampling.BICUBIC if factor > 1 else Image.Resampling.BOX
    return np.asarray(Image.fromarray(colours).resize(size, way), np.uint8)


def _said(band: Band) -> str:
    if band.wavelength is None or band.kind == "elevation":
        return band.name
    if band.kind == "sar":
        return f"{band.name} ({band.wavelength / 1e4:.2g} cm)"
    return f"{band.name} ({band.wavelength:.3g} µm)"


def _chosen(bands: Sequence[Band], needs: Sequence[str]) -> tuple[Band, ...]:
    """The bands of these common names; () where one is missing."""
    found = [_called(bands, need) for need in needs]
    return tuple(band for band in found if band is not None) if all(found) else ()


def _called(bands: Sequence[Band], need: str) -> Band | None:
    wanted = (need, INTERCHANGEABLE.get(need))
    return next((b for name in wanted if name for b in bands if b.common == name), None)


def _whole(picture: Picture) -> Box:
    if isinstance(picture, Scene):
        return Box(0, 0, picture.width, picture.height)
    height, width = (picture if isinstance(picture, np.ndarray) else picture.data).shape[1:]
    return Box(0, 0, width, height)


def _clipped(frame: Box, picture: Picture) -> Box:
    """Whole pixels of a frame that lie inside the picture, at least one."""
    _, _, width, height = map(int, _whole(picture))
    left = int(min(max(frame.left, 0), width - 1))
    top = int(min(max(frame.top, 0), height - 1))
    right = int(min(max(np.ceil(frame.right), left + 1), width))
    bottom = int(min(max(np.ceil(frame.bottom), top + 1), height))
    return Box(left, top, right, bottom)


def _planes(
    picture: Scene | Tile, bands: Sequence[Band], part: Box
) -> tuple[dict[str, Floats], NDArray[np.bool_]]:
    """Planes by band name, 0 (black) to 1 (white) and above, and what was observed."""
    names = list(dict.fromkeys(band.name for band in bands))
    left, top, right, bottom = map(int, part)
    if isinstance(picture, Scene):
        window = Window(left, top, right - left, bottom - top)
        # Band by band, since each is read finer than it is shown.
        read = (TileReader(picture, LONGEST, [name]).read(window).data[0] for name in names)
        data = np.stack(list(read))
    else:
        found = [band.name for band in picture.bands]
        data = picture.data[[found.index(name) for name in names], top:bottom, left:right]
    # Tiles are 0 in every band where nothing was observed.
    seen = np.asarray((data != 0).any(axis=0))
    return {name: (plane + 1) / 2 for name, plane in zip(names, data, strict=True)}, seen


def _as_it_is(picture: Picture, part: Box) -> Rendering:
    """A colour picture; red, green and blue of unknown meaning."""
    left, top, right, bottom = map(int, part)
    if isinstance(picture, Scene):
        window = Window(left, top, right - left, bottom - top)
        tile = TileReader(picture, LONGEST, ["R", "G", "B"]).read(window)
        colours = np.clip((tile.data + 1) * np.float32(127.5) + 0.5, 0, 255).astype(np.uint8)
    else:
        assert isinstance(picture, np.ndarray)
        colours = picture[:, top:bottom, left:right]
    return Rendering("picture", "", _sized(colours.transpose(1, 2, 0)), part)


def _of_anything(picture: Scene | Tile, part: Box) -> Rendering:
    """What is shown where no kind fits: relief, grey, or the first bands of an unknown sensor."""
    if isinstance(picture, Tile):
        plane = (picture.data[:1] + 1) / 2
        whole, name = _grey(np.asarray(plane, np.float32)), picture.bands[0].name
    else:
        whole, name = picture.preview(LONGEST), "preview"
    height, width = whole.shape[:2]
    _, _, columns, rows = _whole(picture)
    across, down = width / columns, height / rows
    left, top = int(part.left * across), int(part.top * down)
    right = max(left + 1, round(part.right * across))
    bottom = max(top + 1, round(part.bottom * down))
    shows = "bright is high" if picture.bands[0].kind == "elevation" else ""
    return Rendering(name, shows, _sized(whole[top:bottom, left:right]), part)
