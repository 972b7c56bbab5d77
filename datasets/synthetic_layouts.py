"""The kinds of places that the simulator knows, each as a painter of a canvas.

To add one, write a function of a Canvas and add its line to LAYOUTS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from terralogue.datasets import synthetic_built as built
from terralogue.datasets import synthetic_farm as farm
from terralogue.datasets import synthetic_nature as nature
from terralogue.datasets.errors import InputError
from terralogue.datasets.synthetic_canvas import Canvas, Grid, Mask
from terralogue.datasets.synthetic_changes import apply_change
from terralogue.datasets.synthetic_materials import CLIMATES
from terralogue.datasets.synthetic_town import parking, town


@dataclass(frozen=True)
class Place:
    """A piece of ground that can be seen by any sensor at any size of pixel.

    Attributes:
        seed: The same seed, layout and extent give the same ground.
        layout: In LAYOUTS.
        extent: Metres along each side.
        climate: In CLIMATES.
        prosail: Canopies by PROSAIL instead of the library's.
    """

    seed: int
    layout: str
    extent: float
    climate: str
    prosail: bool = False


@dataclass(frozen=True)
class Layout:
    """How a kind of place is painted.

    Attributes:
        paint: Covers a canvas.
        climates: Where such places are.
        weight: How often it is drawn.
        coarsest: No use above this many metres per pixel.
        finest: Nor below this many.
    """

    paint: Callable[[Canvas], None]
    climates: tuple[str, ...] = ("temperate", "temperate", "mediterranean", "boreal", "tropical")
    weight: float = 1.0
    coarsest: float = 1e6
    finest: float = 0.0


def _everywhere(canvas: Canvas) -> Mask:
    return np.ones_like(canvas.things, bool)


def _countryside(canvas: Canvas, wooded: float = 0.25, *, style: str | None = None) -> None:
    """Fields, meadows and woods in the shares of the climate; the background of most layouts."""
    rng = canvas.rng("countryside")
    nature.relief(canvas, min(0.012 * canvas.extent, 60), max(canvas.extent / 3, 200))
    nature.open_land(canvas, "dry_grass" if canvas.climate.name == "arid" else "grass")
    wide = canvas.layers("land", max(canvas.extent / 4, 150), 5, 0.55)
    if style is None:
        styles = {
            "temperate": ("patchwork", "patchwork", "strips", "large", "large"),
            "mediterranean": ("patchwork", "strips"),
            "boreal": ("patchwork", "large"),
            "tropical": ("paddies", "strips", "patchwork"),
            "arid": ("sections", "strips"),
        }[canvas.climate.name]
        style = str(rng.choice(styles))
    if canvas.climate.name != "arid":
        farm.fields(canvas, wide < 1.1, style)
        nature.woods(canvas, wide > float(np.interp(wooded, (0, 1), (2.2, -1.2))))
        nature.scattered_trees(canvas, canvas.is_any("grass", "meadow", "dry_grass"), 0.10)
    else:
        nature.desert(canvas, dunes=False)


def _country_road(canvas: Canvas) -> None:
    rng = canvas.rng("roads")
    for number in range(int(rng.integers(1, 4))):
        offset = rng.uniform(-0.4, 0.4) * canvas.extent
        width = float(rng.choice((5.0, 6.5, 8.0)))
        material = "track" if rng.random() < 0.25 else "asphalt"
        built.road(canvas, width, name=f"road/{number}", offset=offset, material=material)
    if rng.random() < 0.25 and canvas.extent > 400:
        built.road(
            canvas,
            24,
            name="highway",
            offset=rng.uniform(-0.3, 0.3) * canvas.extent,
            feature="highway",
        )


def _village(canvas: Canvas, share: float) -> None:
    rng = canvas.rng("village")
    x, y = rng.uniform(-0.32, 0.32, 2) * canvas.extent
    dry = ~canvas.is_any("river", "lake", "sea", "pond")
    town(
        canvas, nature.spread(canvas, share, "village/shape", x, y) & dry, "suburb", name="village"
    )


def _river(canvas: Canvas) -> None:
    rng = canvas.rng("river/size")
    _countryside(canvas, rng.uniform(0.1, 0.7))
    if rng.random() < 0.45:
        _village(canvas, rng.uniform(0.02, 0.12))
    width = float(np.clip(canvas.extent * rng.uniform(0.03, 0.16), 5, 900))
    nature.river(canvas, width)
    _country_road(canvas)


def _lake(canvas: Canvas) -> None:
    rng = canvas.rng("lake/size")
    _countryside(canvas, rng.uniform(0.2, 0.8))
    if rng.random() < 0.3:
        _village(canvas, rng.uniform(0.02, 0.08))
    radius = canvas.extent * float(rng.uniform(0.14, 0.42))
    x, y = rng.uniform(-0.12, 0.12, 2) * canvas.extent
    nature.lake(canvas, radius, x=x, y=y, shore=str(rng.choice(("reed", "grass", "sand"))))
    if rng.random() < 0.4:
        x, y = rng.uniform(-0.4, 0.4, 2) * canvas.extent
        nature.lake(canvas, radius * 0.3, x=x, y=y, name="pond", material="pond")
    if rng.random() < 0.6:
        built.road(canvas, 7.0, name="road/0", offset=rng.uniform(-0.45, 0.45) * canvas.extent)


def _coast(canvas: Canvas) -> None:
    rng = canvas.rng("coast/size")
    _countryside(canvas, rng.uniform(0.1, 0.6))
    if rng.random() < 0.5:
        _village(canvas, rng.uniform(0.04, 0.15))
    beach = float(np.clip(canvas.extent * rng.uniform(0.004, 0.04), 6, 90))
    nature.sea(canvas, share=float(rng.uniform(0.3, 0.7)), beach=beach)
    for number in range(int(rng.integers(0, 4))):
        x, y = rng.uniform(-0.5, 0.5, 2) * canvas.extent
        length = float(np.clip(rng.lognormal(np.log(canvas.extent / 14), 0.6), 8, 250))
        built.ship(canvas, x, y, length, rng.uniform(0, 6.28), wake=number % 2 == 0)


def _open_sea(canvas: Canvas) -> None:
    rng = canvas.rng("open sea")
    canvas.paint(_everywhere(canvas), "sea", light=1 + 0.04 * canvas.layers("waves", 40, 3))
    canvas.feature("sea", _everywhere(canvas))
    for number in range(int(rng.integers(0, 7))):
        x, y = rng.uniform(-0.45, 0.45, 2) * canvas.extent
        length = float(rng.lognormal(np.log(canvas.extent / 9), 0.5))
        length = min(max(length, canvas.extent / 12), 330.0)
        built.ship(canvas, x, y, length, rng.uniform(0, 6.28), wake=number % 2 == 0)


def _harbour(canvas: Canvas) -> None:
    rng = canvas.rng("harbour/size")
    nature.open_land(canvas)
    town(canvas, _everywhere(canvas), str(rng.choice(("city", "suburb"))), name="port")
    shore = nature.sea(canvas, share=float(rng.uniform(0.35, 0.65)), beach=0.5)
    canvas.features.pop("beach", None)
    built.harbour(canvas, shore)


def _fields(canvas: Canvas) -> None:
    rng = canvas.rng("fields/style")
    _countryside(canvas, rng.uniform(0.0, 0.25))
    if rng.random() < 0.4:
        _country_road(canvas)
    if rng.random() < 0.3:
        _village(canvas, rng.uniform(0.01, 0.05))


def _sections(canvas: Canvas) -> None:
    nature.open_land(canvas, "dry_grass")
    farm.fields(canvas, _everywhere(canvas), "sections")
    if canvas.rng("sections/wood").random() < 0.5:
        nature.woods(canvas, canvas.layers("land", canvas.extent / 5, 4) > 1.5)


def _pivots(canvas: Canvas) -> None:
    rng = canvas.rng("pivots/ground")
    if rng.random() < 0.6:
        nature.desert(canvas, dunes=False)
    else:
        nature.open_land(canvas, "dry_grass")
    farm.pivots(canvas, canvas.layers("watered", canvas.extent / 2, 2) > -1.0)
    built.road(canvas, 7, name="road/0", offset=0.3 * canvas.extent, bend=0.0, angle=0.0)


def _forest(canvas: Canvas) -> None:
    rng = canvas.rng("forest/size")
    nature.relief(canvas, min(0.03 * canvas.extent, 160), max(canvas.extent / 3, 200))
    nature.open_land(canvas, "meadow")
    wide = canvas.layers("land", max(canvas.extent / 4, 60), 5, 0.6)
    nature.woods(canvas, wide < rng.uniform(1.0, 3.0))
    if rng.random() < 0.4:
        built.road(canvas, 5, name="road/0", material=str(rng.choice(("track", "asphalt"))))
    if rng.random() < 0.25:
        nature.river(canvas, float(np.clip(canvas.extent / 60, 4, 40)), bars=False)


def _suburb(canvas: Canvas) -> None:
    rng = canvas.rng("suburb/size")
    _countryside(canvas, rng.uniform(0.1, 0.5))
    if rng.random() < 0.75:
        town(canvas, _everywhere(canvas), "suburb")
    else:
        town(canvas, nature.spread(canvas, rng.uniform(0.35, 0.7), "town/shape"), "suburb")
    if rng.random() < 0.3 and canvas.extent > 300:
        x, y = rng.uniform(-0.3, 0.3, 2) * canvas.extent
        nature.lake(
            canvas, 0.08 * canvas.extent, x=x, y=y, name="pond", material="pond", shore="lawn"
        )
    if rng.random() < 0.4:
        built.road(
            canvas, 16, name="main road", feature="highway" if canvas.extent > 500 else "road"
        )


def _city(canvas: Canvas) -> None:
    rng = canvas.rng("city/size")
    nature.open_land(canvas, "lawn")
    wide = canvas.layers("quarter", max(canvas.extent / 3, 300), 3)
    town(canvas, _everywhere(canvas), "city", name="core")
    town(canvas, wide > rng.uniform(0.2, 2.0), "suburb", name="outer")
    town(canvas, wide < -rng.uniform(1.0, 2.5), "works", name="works")
    if rng.random() < 0.35:
        nature.river(
            canvas, float(np.clip(0.06 * canvas.extent, 12, 260)), wooded=False, bars=False
        )
    built.road(canvas, 20, name="avenue", bend=0.02)


def _works(canvas: Canvas) -> None:
    rng = canvas.rng("works/size")
    nature.open_land(canvas)
    town(canvas, _everywhere(canvas), "works", name="works")
    if rng.random() < 0.55:
        x, y = rng.uniform(-0.25, 0.25, 2) * canvas.extent
        built.tank_farm(canvas, nature.spread(canvas, rng.uniform(0.08, 0.3), "tanks/shape", x, y))
    if rng.random() < 0.4:
        built.road(canvas, 9, name="railway", material="rails", feature="railway", bend=0.03)


def _tanks(canvas: Canvas) -> None:
    rng = canvas.rng("tanks/size")
    nature.open_land(canvas, "dry_grass" if rng.random() < 0.5 else "grass")
    town(canvas, _everywhere(canvas), "works", name="works")
    built.tank_farm(canvas, nature.spread(canvas, rng.uniform(0.4, 0.8), "tanks/shape"))


def _parking(canvas: Canvas) -> None:
    rng = canvas.rng("parking/size")
    nature.open_land(canvas, "lawn")
    town(canvas, _everywhere(canvas), "works", name="works")
    u, v = canvas.turned(float(rng.uniform(0, 1.57)))
    span = 0.36 * canvas.extent
    lot = (np.abs(u) < span) & (np.abs(v) < span * rng.uniform(0.5, 1.0))
    canvas.features.pop("works", None)
    parking(canvas, lot, u, v, np.zeros(u.shape, np.int64), canvas.salt("parking"))


def _airfield(canvas: Canvas) -> None:
    _countryside(canvas, 0.15)
    lawn = nature.spread(canvas, 0.9, "airfield/shape")
    nature.open_land(canvas, "grass", where=lawn)
    built.airfield(canvas)


def _solar(canvas: Canvas) -> None:
    rng = canvas.rng("solar/size")
    if canvas.climate.name == "arid":
        nature.desert(canvas, dunes=False)
    else:
        _countryside(canvas, 0.2)
    u, v = canvas.turned(float(rng.uniform(-0.3, 0.3)))
    side = canvas.extent * rng.uniform(0.2, 0.4)
    built.solar_park(canvas, (np.abs(u) < side) & (np.abs(v) < side * rng.uniform(0.4, 1.0)))
    built.road(canvas, 5, name="road/0", offset=0.45 * canvas.extent)


def _desert(canvas: Canvas) -> None:
    rng = canvas.rng("desert/kind")
    nature.relief(canvas, min(0.03 * canvas.extent, 250), canvas.extent / 3)
    nature.desert(canvas, dunes=bool(rng.random() < 0.5))
    if rng.random() < 0.35:
        built.road(
            canvas, 8, name="road/0", material=str(rng.choice(("asphalt", "track"))), bend=0.02
        )


def _grassland(canvas: Canvas) -> None:
    rng = canvas.rng("grassland/kind")
    nature.relief(canvas, min(0.02 * canvas.extent, 90), max(canvas.extent / 3, 200))
    kind = "dry_grass" if canvas.climate.dry > 0.5 else str(rng.choice(("grass", "meadow")))
    nature.open_land(canvas, kind)
    shrubs = canvas.layers("land", max(canvas.extent / 6, 60), 5, 0.6) > rng.uniform(0.6, 2.0)
    nature.open_land(canvas, "shrub", where=shrubs)
    nature.scattered_trees(canvas, _everywhere(canvas), float(rng.uniform(0.02, 0.3)))


def _mountains(canvas: Canvas) -> None:
    rng = canvas.rng("mountains/snow")
    cold = canvas.climate.winter > 0 or rng.random() < 0.3
    winter = 0.5 + 0.5 * np.cos(2 * np.pi * (canvas.season - 0.04))
    line = float(1.0 - (0.15 + 0.55 * canvas.climate.winter) * (0.35 + winter)) if cold else None
    nature.mountains(canvas, snow_line=line)


def _wetland(canvas: Canvas) -> None:
    _countryside(canvas, 0.3)
    nature.wetland(
        canvas, nature.spread(canvas, float(canvas.rng("w").uniform(0.4, 1.2)), "marsh/shape")
    )


def _burn_scar(canvas: Canvas) -> None:
    rng = canvas.rng("burn scar")
    if rng.random() < 0.7:
        _forest(canvas)
    else:
        _grassland(canvas)
    nature.burn(canvas, nature.spread(canvas, float(rng.uniform(0.15, 0.6)), "fire"))


def _flooded(canvas: Canvas) -> None:
    _river(canvas)
    apply_change(canvas, "flood")


def _valley(canvas: Canvas) -> None:
    """The demo's landscape: all that Sentinel-2 sees well, each in its own part of the place."""
    span = canvas.extent
    hill = np.clip((canvas.x - 0.08 * span) / (0.42 * span), 0, None)
    rise = 0.03 * span * (1 + 0.25 * canvas.layers("hill", 0.14 * span, 4))
    canvas.terrain += np.asarray(hill * rise, np.float32)
    nature.open_land(canvas)
    farm.fields(canvas, _everywhere(canvas), "patchwork")
    wide = canvas.layers("land", 0.2 * span, 5, 0.5)
    nature.woods(canvas, wide + 3.2 * hill - 1.2 > 0)
    nature.scattered_trees(canvas, canvas.is_any("grass"), 0.1)
    town(canvas, nature.spread(canvas, 0.06, "town/shape", 0.10 * span, 0.22 * span), name="town")
    core = nature.spread(canvas, 0.015, "core/shape", 0.10 * span, 0.22 * span)
    town(canvas, core, "city", name="core")
    width = float(np.clip(0.016 * span, 25, 90))
    nature.river(canvas, width, offset=-0.1 * span, angle=1.35)
    nature.lake(canvas, float(np.clip(0.09 * span, 60, 520)), x=-0.27 * span, y=-0.26 * span)
    built.road(canvas, 18, name="highway", offset=0.36 * span, angle=0.15, feature="highway")


_TEMPERATE = ("temperate", "temperate", "boreal")
_DRY = ("arid", "mediterranean")

LAYOUT_TABLE: Final = {
    "valley": Layout(_valley, ("temperate",), finest=5),
    "river": Layout(_river, weight=1.6),
    "lake": Layout(_lake),
    "coast": Layout(_coast),
    "sea": Layout(_open_sea, weight=0.5),
    "harbour": Layout(_harbour, coarsest=30),
    "fields": Layout(_fields, weight=2),
    "sections": Layout(_sections, ("temperate", "mediterranean", "arid"), finest=1.5, weight=0.8),
    "pivots": Layout(_pivots, ("arid",), finest=3, weight=0.7),
    "forest": Layout(_forest, weight=1.6),
    "suburb": Layout(_suburb, coarsest=30, weight=1.8),
    "city": Layout(_city, weight=1.5),
    "industry": Layout(_works, coarsest=30),
    "tanks": Layout(_tanks, coarsest=10, weight=0.7),
    "parking": Layout(_parking, coarsest=2.5),
    "airfield": Layout(_airfield, coarsest=30, weight=0.7),
    "solar": Layout(_solar, ("temperate", *_DRY), coarsest=30, weight=0.7),
    "desert": Layout(_desert, ("arid",)),
    "grassland": Layout(_grassland),
    "mountains": Layout(_mountains, (*_TEMPERATE, "mediterranean", "arid"), finest=3),
    "wetland": Layout(_wetland, ("temperate", "boreal", "tropical")),
    "burn": Layout(_burn_scar, ("temperate", "mediterranean", "boreal")),
    "flood": Layout(_flooded, ("temperate", "tropical")),
}
LAYOUTS: Final = tuple(LAYOUT_TABLE)


def choose_place(
    seed: int, layout: str | None, extent: float, gsd: float, *, climate: str | None = None
) -> Place:
    """Draw what is not given: a layout that suits the size of the pixels, and its climate.

    Raises:
        InputError: No such layout.
    """
    rng = np.random.default_rng([seed, 1])
    suited = [name for name, entry in LAYOUT_TABLE.items() if entry.finest <= gsd <= entry.coarsest]
    weights = np.array([LAYOUT_TABLE[name].weight for name in suited])
    drawn = str(rng.choice(suited, p=weights / weights.sum()))
    layout = drawn if layout is None else layout
    if layout not in LAYOUT_TABLE:
        raise InputError(f"unknown layout {layout!r}; valid are: {', '.join(LAYOUTS)}")
    drawn = str(rng.choice(LAYOUT_TABLE[layout].climates))
    return Place(seed, layout, extent, drawn if climate is None else climate)


def lay_out(place: Place, grid: Grid, season: float, change: str | None = None) -> Canvas:
    """Paint a place onto a grid.

    Args:
        place: What to paint.
        grid: Where to.
        season: Fraction of the year.
        change: In `synthetic_changes.CHANGES`; None for the place as it always was.
    """
    canvas = Canvas(grid, place.seed, place.extent, CLIMATES[place.climate], season, place.prosail)
    LAYOUT_TABLE[place.layout].paint(canvas)
    if change is not None:
        apply_change(canvas, change)
    if canvas.cell < 3:
        # What a coarse pixel averages away: stones, tufts, stains, patched asphalt.
        canvas.light *= 1 + 0.045 * canvas.layers("grain", 2.4, 4, 0.8)
    winter = canvas.climate.winter
    cover = canvas.rng("snow").random() < winter
    if cover and (season < 0.16 * winter + 0.06 or season > 1.0 - 0.10 * winter):
        thin = canvas.layers("snow", canvas.extent / 4, 4)
        nature.snow(canvas, thin > -1.9 if winter > 0.6 else thin > 0.2)
    return canvas
