"""From a place and a sensor to an image with its truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from terralogue.datasets.bands import Band, Sensor, Unit
from terralogue.datasets.errors import InputError
from terralogue.datasets.spectra import Floats
from terralogue.datasets.synthetic_canvas import Canvas, Grid
from terralogue.datasets.synthetic_layouts import Place, lay_out
from terralogue.datasets.synthetic_materials import CLASSES, MATERIALS, TARGET_OF
from terralogue.datasets.synthetic_optics import average, picture, reflective, thermal
from terralogue.datasets.synthetic_radar import backscatter
from terralogue.datasets.synthetic_sky import Sky, draw_sky

# Sensors whose products are 8-bit pictures, and those delivered at the top of the atmosphere.
PICTURES = ("rgb_aerial", "rgb_satellite", "unknown_rgb", "naip_rgbn")
_TOP = ("sentinel2_l1c", "worldview_rgbn", "worldview2", "pleiades", "spot", "gaofen2", *PICTURES)
# Bands that surface products leave out: cirrus and panchromatic.
_LEFT_OUT = {
    "sentinel2_l2a": ("B10",),
    "hls_s30": ("B10",),
    "hls_l30": ("B9",),
    "landsat7": ("B8",),
    "landsat8": ("B8", "B9"),
    "landsat9": ("B8", "B9"),
}
# Truth classes that a named part may lie on; where something else covers it, it is not in sight.
_PART_OF: Final = {
    "river": ("water",),
    "lake": ("water",),
    "pond": ("water",),
    "sea": ("water",),
    "creeks": ("water",),
    "pools": ("water",),
    "beach": ("bare_soil",),
    "dunes": ("bare_soil",),
    "fields": ("cropland",),
    "pivots": ("cropland",),
    "orchard": ("cropland",),
    "solar": ("solar_panel",),
    "flood": ("flooded_area",),
}
# Opacity from which a pixel counts as cloud or shadow.
_COVERED = 0.35
# Pixels that an instance must cover, and have along its shorter side, to be boxed.
_BOX_PIXELS = 4.0
_BOX_SIDE = 1.0


@dataclass(frozen=True)
class Box:
    """An instance: its class, and its bounds x0, y0, x1, y1 in pixels, the last two exclusive."""

    label: str
    bounds: tuple[int, int, int, int]


@dataclass(frozen=True)
class Simulated:
    """A scene and its truth.

    Attributes:
        data: float32 (bands, H, W): reflectance (thermal bands kelvin), dB, metres, or 0 to 255.
        bands: Along the first axis.
        unit: Of the data; thermal bands are in kelvin whatever it says.
        sensor: Key in SENSORS.
        gsd: Metres along a pixel.
        classes: uint8 (H, W), index into CLASSES of the ground, also below cloud: the commonest.
        cells: The same of the cells that the ground is painted on, uint8 (n H, n W), two to four
            of them along a pixel.
        cloud: bool (H, W), where the ground cannot be seen.
        shadow: bool (H, W), where a cloud dims the ground; not below cloud.
        green: bool (H, W), where green plants prevail.
        boxes: Of buildings, ships, vehicles, tanks and aircraft that are large enough to be seen.
        uncounted: Classes of which some instances are visible but too small to be boxed.
        features: Share of the image that each named part of the scenery covers in sight.
        layout: In LAYOUTS.
        climate: In CLIMATES.
        season: Fraction of the year, 0 on the first of January.
        seed: Of the place.
    """

    data: Floats
    bands: tuple[Band, ...]
    unit: Unit
    sensor: str
    gsd: float
    classes: NDArray[np.uint8] = field(repr=False)
    cells: NDArray[np.uint8] = field(repr=False)
    cloud: NDArray[np.bool_] = field(repr=False)
    shadow: NDArray[np.bool_] = field(repr=False)
    green: NDArray[np.bool_] = field(repr=False)
    boxes: tuple[Box, ...]
    uncounted: frozenset[str]
    features: dict[str, float]
    layout: str
    climate: str
    season: float
    seed: int

    @property
    def reflectance(self) -> Floats:
        """The data, by the name that optical users look for."""
        return self.data

    def band(self, name: str) -> Floats:
        """One band (H, W) by name.

        Raises:
            InputError: No such band.
        """
        for band, plane in zip(self.bands, self.data, strict=True):
            if band.answers_to(name):
                return np.asarray(plane)
        raise InputError(f"{self.sensor} has no band {name!r}")

    def where(self, *names: str) -> NDArray[np.bool_]:
        """Truth mask (H, W) of the named CLASSES, also below cloud.

        Raises:
            InputError: No such class.
        """
        return np.isin(self.classes, _numbers(names))

    def cover(self, *names: str) -> Floats:
        """Share of each pixel that the named CLASSES cover, float32 (H, W), also below cloud.

        Its sum is their area. That of `where` is not, along edges: where cells of two classes are
        equally many, which is one edge pixel of three at two by two, the first of CLASSES has it.

        Raises:
            InputError: No such class.
        """
        return average(np.isin(self.cells, _numbers(names)), len(self.cells) // len(self.classes))

    def fractions(self) -> dict[str, float]:
        """Share of the image that each class visibly covers, largest first; cloud is one too."""
        counts = np.bincount(self.classes[~self.cloud], minlength=len(CLASSES))
        shares = {
            name: int(count) / self.cloud.size
            for name, count in zip(CLASSES, counts, strict=True)
            if count
        }
        if self.cloud.any():
            shares["cloud"] = float(self.cloud.mean())
        return dict(sorted(shares.items(), key=lambda item: -item[1]))

    def areas(self) -> dict[str, float]:
        """Visible area of each class in square metres, largest first."""
        whole = self.cloud.size * self.gsd**2
        return {name: share * whole for name, share in self.fractions().items()}

    def scene_classification(self) -> NDArray[np.uint8]:
        """The truth as a Sentinel-2 scene classification (SCL) layer (H, W)."""
        layer = np.where(self.green, 4, 5).astype(np.uint8)
        layer[self.where("water", "flooded_area")] = 6
        layer[self.where("snow_ice")] = 11
        layer[self.shadow] = 3
        layer[self.cloud] = 9
        return layer


def _numbers(names: Sequence[str]) -> list[int]:
    for name in names:
        if name not in CLASSES:
            raise InputError(f"unknown class {name!r}; valid are: {', '.join(CLASSES)}")
    return [CLASSES.index(name) for name in names]


def render(
    place: Place,
    sensor: Sensor,
    *,
    size: int,
    gsd: float,
    season: float,
    clouds: float = 0.0,
    change: str | None = None,
    sky: int | None = None,
) -> Simulated:
    """See a place with a sensor.

    Args:
        place: The ground.
        sensor: Its bands are the image's.
        size: Pixels along each side.
        gsd: Metres along a pixel.
        season: Fraction of the year.
        clouds: Share of the image below cloud; no radar or elevation model sees any.
        change: What has happened to the place; see `synthetic_changes`.
        sky: Seed of air, clouds and noise; derived from the place's where not given.
    """
    # Small images can afford a finer grid.
    fine = 4 if size <= 64 else 3 if size <= 160 else 2
    canvas = lay_out(place, Grid(size * fine, gsd / fine), season, change)
    rng = np.random.default_rng([place.seed if sky is None else sky, 5])
    left_out = _LEFT_OUT.get(sensor.key, ())
    bands = tuple(band for band in sensor.bands if band.name not in left_out)
    if not any(band.kind in ("optical", "thermal") for band in bands):
        clouds = 0.0
    above = draw_sky(rng, canvas, size, gsd, clouds, free_sun=sensor.key in PICTURES)
    data, unit = _measure(canvas, sensor, bands, fine, gsd, above, rng)
    covered = above.cloud > _COVERED
    boxes, uncounted = _boxes(canvas, fine, covered)
    cells = TARGET_OF[canvas.material]
    return Simulated(
        data=data,
        bands=bands,
        unit=unit,
        sensor=sensor.key,
        gsd=gsd,
        classes=_majority(cells, fine),
        cells=cells,
        cloud=covered,
        shadow=(above.shade > _COVERED) & ~covered,
        green=_green(canvas, fine),
        boxes=boxes,
        uncounted=uncounted,
        features=_features(canvas, fine, covered),
        layout=place.layout,
        climate=place.climate,
        season=season,
        seed=place.seed,
    )


def _measure(
    canvas: Canvas,
    sensor: Sensor,
    bands: tuple[Band, ...],
    fine: int,
    gsd: float,
    sky: Sky,
    rng: np.random.Generator,
) -> tuple[Floats, Unit]:
    """Data (bands, H, W) and their unit."""
    if all(band.kind == "sar" for band in bands):
        data = backscatter(canvas, bands, fine, gsd, rng, flattened=sensor.key == "sentinel1_rtc")
        return data, "dB"
    if all(band.kind == "elevation" for band in bands):
        height = average(canvas.terrain + canvas.top, fine) + 120
        noise = 0.15 * rng.standard_normal(height.shape)
        return np.asarray((height + noise)[None], np.float32), "m"
    optical = [band for band in bands if band.kind == "optical"]
    warm = [band for band in bands if band.kind == "thermal"]
    top = sensor.key in _TOP
    planes = dict(
        zip(
            (band.name for band in optical),
            reflective(canvas, optical, fine, gsd, sky, rng, top_of_atmosphere=top),
            strict=True,
        )
    )
    if sensor.key in PICTURES:
        return picture(np.stack([planes[band.name] for band in bands]), rng), "DN"
    if warm:
        heat = thermal(canvas, warm, fine, gsd, sky, rng)
        planes |= dict(zip((band.name for band in warm), heat, strict=True))
    return np.stack([planes[band.name] for band in bands]), "reflectance"


def _majority(codes: NDArray[np.uint8], fine: int) -> NDArray[np.uint8]:
    """The commonest class of each pixel's cells."""
    present = np.unique(codes)
    votes = np.stack([average(codes == code, fine) for code in present])
    return np.asarray(present[np.argmax(votes, axis=0)], np.uint8)


def _green(canvas: Canvas, fine: int) -> NDArray[np.bool_]:
    """Where green leaves cover two fifths and more."""
    share = np.zeros((256, canvas.variant.max() + 1), np.float32)
    names = list(MATERIALS)
    for code in np.unique(canvas.material):
        kinds = canvas.look(names[code])
        share[code] = kinds.green[: share.shape[1]]
    return np.asarray(average(share[canvas.material, canvas.variant], fine) > 0.4)


def _features(canvas: Canvas, fine: int, covered: NDArray[np.bool_]) -> dict[str, float]:
    """Share of the image that each named part covers where nothing lies over it."""
    target = TARGET_OF[canvas.material]
    shares = {}
    for name, mask in canvas.features.items():
        allowed = _PART_OF.get(name)
        if allowed is not None:
            mask = mask & np.isin(target, [CLASSES.index(each) for each in allowed])
        elif name in ("houses", "city", "works"):
            mask = mask & (target != CLASSES.index("water"))
        shares[name] = float((average(mask, fine) * ~covered).mean())
    return shares


def _boxes(
    canvas: Canvas, fine: int, covered: NDArray[np.bool_]
) -> tuple[tuple[Box, ...], frozenset[str]]:
    """The instances that are large enough and not below cloud; classes left incomplete."""
    found, incomplete = [], set()
    cells = np.bincount(canvas.things.ravel(), minlength=len(canvas.kinds) + 1)
    for number, bounds in enumerate(ndimage.find_objects(canvas.things), 1):
        if bounds is None:
            continue
        label = canvas.kinds[number - 1]
        rows, columns = bounds
        middle = (rows.start + rows.stop) // 2 // fine, (columns.start + columns.stop) // 2 // fine
        if covered[middle]:
            continue
        shortest = min(rows.stop - rows.start, columns.stop - columns.start)
        if cells[number] < _BOX_PIXELS * fine**2 or shortest < _BOX_SIDE * fine:
            if cells[number] > 0.3 * fine**2:
                incomplete.add(label)
            continue
        left, top = columns.start // fine, rows.start // fine
        right, bottom = -(-columns.stop // fine), -(-rows.stop // fine)
        found.append(Box(label, (left, top, right, bottom)))
    return tuple(found), frozenset(incomplete)
