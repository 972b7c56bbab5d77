"""What grows and flows in simulated scenes: relief, woods, rivers, coasts, deserts, snow, fire."""

from __future__ import annotations

import numpy as np

from terralogue.datasets.spectra import Floats
from terralogue.datasets.synthetic_canvas import Canvas, Mask, hashed, line_distance

# Below this many metres per cell a single tree is drawn.
TREE_CELL = 2.2


def relief(canvas: Canvas, height: float, length: float, *, ridged: bool = False) -> None:
    """Hills of the given height and half wavelength in metres; ridged noise makes mountains."""
    hills = canvas.layers("relief", length, 5 if ridged else 4, 0.42)
    if ridged:
        hills = 1.6 - 1.9 * np.abs(hills) + 0.5 * canvas.layers("massif", 2 * length, 2)
    canvas.terrain += np.asarray(height * hills, np.float32)


def open_land(canvas: Canvas, material: str = "grass", *, where: Mask | None = None) -> None:
    """Cover with low plants in soft patches."""
    where = np.ones_like(canvas.things, bool) if where is None else where
    patch = canvas.layers(f"open/{material}", max(60.0, canvas.extent / 14), 4)
    fine = canvas.layers(f"tuft/{material}", 6, 3)
    light = 1 + 0.05 * patch + 0.04 * fine
    kind = canvas.dither(material, 0.7 * patch)
    canvas.paint(where, material, variant=kind, light=light, mix=np.clip(0.12 * patch, 0, 0.7))


def crowns(canvas: Canvas, name: str, spacing: float, share: float = 1.0) -> tuple[Floats, Floats]:
    """Tree crowns as domes: height from 0 to 1 (0 between crowns), and a number per tree.

    Two jittered lattices of discs overlap, so that the rows do not show.
    """
    dome = np.zeros_like(canvas.x)
    number = np.zeros_like(canvas.x)
    for layer, (dx, dy) in enumerate(((0.0, 0.0), (0.5, 0.5))):
        u, v = canvas.turned(0.5 + 0.8 * layer)
        u, v = u / spacing + dx, v / spacing + dy
        column, row = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
        tree = column * 7919 + row * 104_729 + layer * 15_485_863
        salt = canvas.salt(f"{name}/{layer}")
        radius = 0.34 + 0.22 * hashed(tree, salt)
        away_u = u - column - 0.5 + 0.36 * (hashed(tree, salt + 1) - 0.5)
        away_v = v - row - 0.5 + 0.36 * (hashed(tree, salt + 2) - 0.5)
        here = np.sqrt(np.clip(1 - (away_u**2 + away_v**2) / radius**2, 0, None))
        here = here * (0.65 + 0.35 * hashed(tree, salt + 3)) * (hashed(tree, salt + 4) < share)
        number = np.where(here > dome, hashed(tree, salt + 5), number)
        dome = np.maximum(dome, here)
    return dome, number


def woods(canvas: Canvas, where: Mask, *, kind: str | None = None, name: str = "wood") -> None:
    """Forest of one kind, or of the climate's kinds in stands."""
    if not where.any():
        return
    kinds = (kind,) if kind else canvas.climate.woods
    stand = canvas.layers(f"{name}/stand", 220, 4, 0.6)
    chosen = [where] if len(kinds) == 1 else [where & (stand < 0.25), where & (stand >= 0.25)]
    texture = canvas.layers(f"{name}/texture", 26, 3, 0.75)
    for part, material in zip(chosen, kinds, strict=False):
        if canvas.cell <= TREE_CELL:
            spacing = 5.0 if material == "conifer" else 8.5
            dome, number = crowns(canvas, f"{name}/{material}", spacing)
            light = 0.72 + 0.45 * number * (dome > 0) + 0.05 * texture
            tall = (9.0 if material == "conifer" else 7.0) * dome + 6.0
            canvas.paint(
                part,
                material,
                variant=(number * 7.99).astype(np.uint8),
                light=light,
                mix=np.where(dome > 0, 0.05, 0.75).astype(np.float32),
                top=tall.astype(np.float32),
            )
        else:
            light = 1 + 0.05 * texture + 0.05 * canvas.noise(f"{name}/grain", 7)
            kind_of = canvas.dither(name, 0.6 * stand + 0.4 * texture)
            mix = np.clip(0.10 + 0.10 * texture, 0, 0.6)
            canvas.paint(part, material, variant=kind_of, light=light, mix=mix, top=12.0)


def scattered_trees(canvas: Canvas, where: Mask, share: float, name: str = "trees") -> None:
    """Single trees on open ground; whole copses where a tree is smaller than a cell."""
    kind = canvas.climate.woods[0]
    if canvas.cell <= TREE_CELL * 1.6:
        dome, number = crowns(canvas, name, 9.0, share)
        part = where & (dome > 0.25)
        canvas.paint(
            part,
            kind,
            variant=(number * 7.99).astype(np.uint8),
            light=0.8 + 0.4 * number,
            top=8 * dome,
        )
    else:
        spots = 0.8 * canvas.noise(name, 16) + 0.9 * canvas.layers(f"{name}/wide", 140, 2)
        part = where & (spots > 2.6 - 2.2 * share)
        canvas.paint(part, kind, light=0.95, top=8.0)


def river(
    canvas: Canvas,
    width: float,
    *,
    name: str = "river",
    offset: float = 0.0,
    angle: float | None = None,
    wooded: bool = True,
    bars: bool = True,
) -> Floats:
    """A meandering river; gives metres from its middle line (n, n).

    The middle line is where a tilted plane meets noise, which bends it into meanders and now and
    then leaves an oxbow behind.
    """
    rng = canvas.rng(name)
    turn = rng.uniform(0, np.pi) if angle is None else angle
    _, across = canvas.turned(turn)
    length = float(np.clip(6 * width, canvas.extent / 12, canvas.extent / 3.5))
    swing = rng.uniform(0.45, 0.95) * length
    bend = canvas.noise(f"{name}/bend", length) + 0.22 * canvas.noise(f"{name}/kink", length / 2.6)
    away = line_distance(across - np.float32(offset) + swing * bend, canvas.cell)
    uneven = 1 + 0.16 * canvas.noise(f"{name}/width", 2.5 * width)
    half = np.asarray(0.5 * width * uneven, np.float32)
    if wooded:
        rough = canvas.layers(f"{name}/bank", 40, 3)
        woods(canvas, (away < half + 14 + 22 * rough) & (rough > -0.7), name=f"{name}/wood")
    if bars and width > 25:
        bar = (away < half * (1.15 + 0.25 * canvas.noise(f"{name}/bar", 2 * width))) & (away > 0)
        canvas.paint(bar, "gravel" if canvas.seed % 2 else "sand", light=1.0)
    wet = away < half
    shallow = np.clip(1 - (half - away) / (0.22 * half + 4), 0, 1) * 0.55
    fine = 1 + 0.03 * canvas.layers(f"{name}/flow", max(width, 15), 2)
    canvas.paint(wet, "river", light=fine, mix=shallow.astype(np.float32))
    canvas.feature("river", wet)
    return away


def lake(
    canvas: Canvas,
    radius: float,
    *,
    x: float = 0.0,
    y: float = 0.0,
    name: str = "lake",
    material: str = "lake",
    shore: str | None = "reed",
) -> Mask:
    """A lake about a point; gives where its water is."""
    rng = canvas.rng(name)
    u, v = canvas.turned(rng.uniform(0, np.pi), x, y)
    stretch = rng.uniform(1.0, 1.8)
    shape = np.hypot(u / stretch, v) / radius
    shape += 0.24 * canvas.noise(f"{name}/arm", 0.7 * radius) * np.clip(shape, 0.35, 1)
    shape += 0.06 * canvas.layers(f"{name}/bank", 0.2 * radius, 3)
    rim = max(12.0 / radius, 0.03)
    if shore:
        edge = (shape < 1 + rim * (1.2 + canvas.noise(f"{name}/rim", 60))) & (shape >= 1)
        canvas.paint(edge, shore, mix=0.3, light=1.0)
    wet: Mask = shape < 1
    shallow = np.clip(1 - (1 - shape) / max(3 * rim, 0.05), 0, 1) * 0.5
    canvas.paint(wet, material, mix=shallow.astype(np.float32))
    canvas.feature("lake" if radius > 90 else "pond", wet)
    return wet


def sea(canvas: Canvas, *, share: float = 0.5, beach: float = 30.0) -> Floats:
    """The sea on one side; gives metres from the shore, positive on land."""
    rng = canvas.rng("sea")
    _, across = canvas.turned(rng.uniform(0, 2 * np.pi))
    bay = canvas.layers("shore", canvas.extent / 3, 5, 0.45)
    value = across + (0.5 - share) * 0.9 * canvas.extent + 0.085 * canvas.extent * bay
    distance = line_distance(value, canvas.cell) * np.sign(value)
    width = beach * (1 + 0.4 * canvas.noise("beach", canvas.extent / 8))
    strand = (distance < width) & (distance >= 0)
    canvas.paint(strand, "sand", light=0.86 + 0.2 * np.clip(distance / beach, 0, 1))
    canvas.feature("beach", strand)
    wet = distance < 0
    slope = float(rng.uniform(0.12, 0.5)) * max(beach, canvas.extent / 40)
    plume = 0.25 * np.clip(canvas.layers("plume", canvas.extent / 5, 3), 0, None)
    shallow = np.clip(
        np.exp(np.minimum(distance, 0) / max(slope, 1.0)) * 0.9 + plume * 0.3, 0, 0.95
    )
    waves = 1 + 0.04 * canvas.layers("waves", 30, 3) + 0.05 * canvas.noise("swell", 9)
    canvas.paint(wet, "sea", mix=shallow.astype(np.float32), light=waves)
    if canvas.cell < 4:
        crest = np.sin(distance / 2.6 + 2.5 * canvas.layers("foam", 22, 3))
        strong = 0.75 + 0.5 * canvas.noise("foam/patch", 40) + np.clip(-distance / 25, 0, 1)
        foam = wet & (distance > -24) & (crest > strong + 0.25 * canvas.layers("foam/fine", 2, 2))
        canvas.paint(foam, "foam", light=0.9)
    canvas.feature("sea", wet)
    return np.asarray(distance, np.float32)


def desert(canvas: Canvas, *, dunes: bool) -> None:
    """Bare ground: dunes with lee sides, or stony ground with dry stream beds."""
    everywhere = np.ones_like(canvas.things, bool)
    wide = canvas.layers("desert", canvas.extent / 5, 4)
    if dunes:
        rng = canvas.rng("dunes")
        spacing = float(rng.uniform(60, 220))
        _, across = canvas.turned(rng.uniform(0, np.pi))
        wave = across / spacing * 2 * np.pi + 2.2 * canvas.layers("dune", 2.5 * spacing, 3)
        canvas.paint(everywhere, "dune", light=1 + 0.05 * wide, variant=2, mix=0.1)
        canvas.terrain += np.asarray(
            0.055 * spacing * (np.sin(wave) + 0.35 * np.sin(2 * wave + 0.9)), np.float32
        )
        canvas.feature("dunes", everywhere)
        return
    kind = canvas.dither("desert", 0.6 * wide)
    light = 1 + 0.07 * wide + 0.05 * canvas.layers("stones", 25, 3)
    canvas.paint(everywhere, "soil", light=light, variant=kind, mix=np.clip(0.3 * wide, 0, 1))
    rocky = canvas.layers("rocky", canvas.extent / 6, 6, 0.65)
    stony = rocky + 0.5 * canvas.rng("stony").standard_normal(rocky.shape, np.float32) > 1.1
    canvas.paint(stony, "rock", light=1 + 0.12 * wide, variant=kind)
    length = canvas.extent / 4
    valley = length * (canvas.layers("wadi", length, 3, 0.4) + 0.3 * wide)
    bed = line_distance(valley, canvas.cell) < 0.004 * canvas.extent + 4
    canvas.paint(bed, "sand", light=1.05, variant=5)
    scattered = (canvas.noise("bush", 30) > 1.5) & bed
    canvas.paint(scattered, "shrub", mix=0.4)


def wetland(canvas: Canvas, where: Mask) -> None:
    """Reed beds with pools and winding channels."""
    wide = canvas.layers("marsh", canvas.extent / 7, 5, 0.6)
    kind = canvas.dither("marsh", 0.6 * wide)
    canvas.paint(
        where, "reed", variant=kind, light=1 + 0.1 * wide, mix=np.clip(0.25 + 0.2 * wide, 0, 1)
    )
    length = canvas.extent / 6
    channel = line_distance(length * canvas.layers("creek", length, 3), canvas.cell)
    pools = where & ((wide < -1.0) | (channel < max(3.0, canvas.extent / 260)))
    canvas.paint(pools, "pond", light=1.0, mix=0.15)
    canvas.feature("creeks", pools)


def mountains(canvas: Canvas, *, snow_line: float | None) -> None:
    """Ridges with forest below, meadows and rock above, and snow over the snow line (0 to 1)."""
    relief(canvas, min(0.06 * canvas.extent, 600), canvas.extent / 2.8, ridged=True)
    high = canvas.terrain - canvas.terrain.min()
    level = high / max(float(np.ptp(canvas.terrain)), 1.0)
    level = level + 0.05 * canvas.layers("line", canvas.extent / 12, 4)
    slope = np.hypot(*np.gradient(canvas.terrain, np.float32(canvas.cell)))
    open_land(canvas, "meadow" if canvas.climate.name != "arid" else "dry_grass")
    woods(canvas, (level < 0.55) & (slope > 0.1), name="slope")
    light = 1 + 0.1 * canvas.layers("scree", 60, 4)
    kind = canvas.dither("strata", canvas.layers("strata", 250, 3))
    canvas.paint((level > 0.68) | (slope > 0.75), "rock", light=light, variant=kind)
    if snow_line is not None:
        snow(canvas, (level > snow_line) & (slope < 1.1))


def snow(canvas: Canvas, where: Mask) -> None:
    """Snow on open ground; trees, roofs with a pitch and water keep their own look."""
    bare = where & ~canvas.is_any(
        "conifer", "deciduous", "tropical", "lake", "river", "sea", "pond", "car", "ship", "asphalt"
    )
    drift = 1 + 0.03 * canvas.layers("drift", 80, 3)
    mix = np.clip(0.2 + 0.25 * canvas.layers("thin", 70, 4), 0, 1)
    canvas.paint(bare & (canvas.top <= 0), "snow", light=drift, mix=mix)


def burn(canvas: Canvas, where: Mask) -> None:
    """Char on vegetation, patchy towards the rim."""
    plants = where & canvas.is_any(
        "conifer", "deciduous", "tropical", "shrub", "grass", "dry_grass", "meadow", "wheat"
    )
    severity = canvas.layers("severity", max(45.0, canvas.extent / 25), 4)
    kind = canvas.dither("burn", 0.6 * severity)
    mix = np.clip(0.25 - 0.22 * severity, 0, 0.9)
    canvas.paint(plants, "burn", variant=kind, light=1 + 0.06 * severity, mix=mix)


def spread(canvas: Canvas, share: float, name: str, x: float = 0.0, y: float = 0.0) -> Mask:
    """A ragged patch about a point that covers about a share of the place."""
    radius = canvas.extent * np.sqrt(share / np.pi)
    rng = canvas.rng(name)
    u, v = canvas.turned(rng.uniform(0, np.pi), x, y)
    stretch = rng.uniform(1.0, 1.6)
    shape = np.hypot(u / stretch, v * np.sqrt(stretch) / 1.1) / radius
    shape += 0.30 * canvas.layers(name, radius * 0.8, 5, 0.6)
    return np.asarray(shape < 1)
