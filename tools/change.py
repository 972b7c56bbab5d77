"""`detect_change`: what differs between two dates of one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.datasets.errors import InputError, RefusalError
from terralogue.datasets.preview import in_colour, preview_size
from terralogue.datasets.scene import Scene
from terralogue.tools.burn_severity import severity_figures
from terralogue.tools.change_comparable import comparability
from terralogue.tools.change_learned import CHANGE_NETS, LearnedChange, learned_change
from terralogue.tools.change_targets import describe_pair, target_change
from terralogue.tools.change_transitions import transition_figures
from terralogue.tools.checks import time_text
from terralogue.tools.common_grid import OnGrid
from terralogue.tools.dense_graded import Expectation
from terralogue.tools.differencing import (
    GAIN,
    LOSS,
    UNSEEN,
    AnyChange,
    Difference,
    TargetChange,
)
from terralogue.tools.export import GEOJSON, GEOTIFF, PNG, RasterWriter, thinned
from terralogue.tools.figures import blend, save_change
from terralogue.tools.forest_patches import patch_figures
from terralogue.tools.grid import Frame, crop, ground_crs, whole
from terralogue.tools.measure import Tally
from terralogue.tools.pairs import Pair, land_bands, make_pair
from terralogue.tools.region import Placed, Region, place
from terralogue.tools.run import Run
from terralogue.tools.schemas import AreaUnit, Artefact, Change, Measurement
from terralogue.tools.specialist import TITLES
from terralogue.tools.tiling import Tile, stream, tiles
from terralogue.tools.vectors import Outlines, outline, write_geojson
from terralogue.tools.wording import each_once

# Pixels and tiles that a method learns from what is normal.
_SAMPLES = 400_000
_SAMPLE_TILES = 32
_PREVIEW = 700
# Tiles at once: a tile of two dates with a dozen bands is large.
_IN_FLIGHT = 2
_SEASONAL = (None, "vegetation", "bare_soil", "burned_area", "built_up", "snow_ice")
BY_BANDS = "bands"
"""As the model of any change: change vector analysis, even where a network serves."""
_GREEN, _RED, _YELLOW = (34, 197, 94), (239, 68, 68), (250, 204, 21)


def detect_change(
    before: Scene,
    after: Scene,
    target: str | None = None,
    *,
    run: Run,
    region: Region | None = None,
    unit: AreaUnit = "ha",
    model: str | None = None,
) -> Change:
    """Find what changed between two dates: anything, or gain and loss of a target.

    The scenes are brought to the coarser of their grids where they overlap, moved onto each other
    where they are misregistered, and left out where either is clouded. The mask is uint8:
    0 unchanged, 1 changed or gained, 2 lost, 255 not observed. Any change is found by a network
    where one serves and measured better than the bands alone; it adds the ends of a 90 % interval
    of the area, and what changed besides in the bands. A model that was taught changes of the
    target takes the place of gain and loss by the classes of single dates.

    Args:
        before: The earlier scene.
        after: The later scene; if the dates say otherwise the two are swapped, with a warning.
        target: water, vegetation, bare_soil, built_up, snow_ice, burned_area; None is any change.
        run: Where results go.
        region: Only this part.
        unit: Of the areas.
        model: Of any change: bands (change vector analysis), change_s2 or change_rgb; by default
            the one that measured best.

    Raises:
        NoOverlapError: the scenes do not show the same ground.
        MissingBandError: a scene lacks a band of the target.
        RefusalError: they share no band, or cannot be laid on each other.
        ClarifyError: the sensor of one is not known.
        InputError: no such target, or nothing was observed on both dates.
    """
    if model not in (None, BY_BANDS, *CHANGE_NETS) or (model and target):
        known = ", ".join((BY_BANDS, *CHANGE_NETS))
        raise InputError(
            f"The model {model!r} cannot be used for change of {target or 'any kind'}; models are "
            f"for any change: {known}."
        )
    pair = make_pair(before, after, run)
    placed = place(region, pair.frame)
    difference: Difference
    taught = learned_change(pair, target=target)[0] if target else None
    # What is told apart as gain and loss; a model that was taught one target maps changes as such.
    sided = None if taught else target
    if taught:
        difference, why, said = taught.difference, taught.why, [*taught.warnings, _UNSIDED]
    elif target is None:
        difference, why, said = any_change(pair, model)
    else:
        prepared = target_change(pair, target, placed.window, run)
        difference, why, said = prepared.difference, prepared.why, prepared.warnings
    fit(difference, placed.window if sided else whole(pair.frame), run)
    found = _measure(pair, placed, difference, sided, run)
    title = f"{TITLES[sided]}: gain and loss" if sided else _title(difference, target)
    measurements = _figures(found.tally, sided, unit, difference.method, found.mask.id)
    measurements += patch_figures(
        difference, pair.frame, placed.window, found.codes,
        target=sided, unit=unit, artefact=found.mask.id,
    )  # fmt: skip
    measurements += severity_figures(
        difference, pair.frame, placed.window, found.codes,
        target=sided, unit=unit, artefact=found.mask.id,
    )  # fmt: skip
    if isinstance(difference, LearnedChange):
        ends = found.expectation.interval(measurements[0], difference.area_factors, unit)
        measurements[1:1] = [*ends, _besides(found, difference, unit)]
    if sided is None:
        kinds = transition_figures(pair, placed, found.codes, run, unit, found.mask.id)
        measurements += kinds.measurements
        said = [*said, *kinds.warnings]
    files, outlines = _outlines(found, pair, placed, sided, run)
    what = f"{TITLES[sided]}: change" if sided else title
    preview = _preview(pair, placed, found.codes, sided, what, run)
    names = list(run.scene_ids) or [scene.name for scene in (before, after)]
    names = names[::-1] if pair.swapped else names
    return Change(
        tool="detect_change",
        scenes=list(run.scene_ids),
        title=f"{title}, {_when(pair)}",
        method=difference.method,
        why=why,
        measurements=measurements,
        confidence=found.expectation.confidence,
        artefacts=[found.mask, *files, preview],
        warnings=_warnings(pair, placed, target, said, found.tally, outlines),
        target=target,
        before=names[0],
        after=names[1],
        shift=(pair.shift.rows, pair.shift.columns) if any(pair.after.shift) else (0.0, 0.0),
    )


def any_change(pair: Pair, model: str | None = None) -> tuple[Difference, str, list[str]]:
    """How change of any kind is found on a pair, why so, and what has to be said.

    Args:
        pair: The scenes.
        model: BY_BANDS, or a checkpoint's name or folder; None chooses by measured F1.

    Raises:
        RefusalError: The model that was named does not serve the pair.
    """
    learned, why_not = None, "asked for by name"
    if model != BY_BANDS:
        learned, why_not = learned_change(pair, CHANGE_NETS if model is None else (model,))
    if learned is not None:
        return learned.difference, learned.why, list(learned.warnings)
    if model not in (None, BY_BANDS):
        raise RefusalError(
            f"The network {model} does not serve this pair: {why_not}; leave the model open.",
            reason="sensor",
        )
    why = f"no target was named, so any change of the bands counts ({why_not})"
    return AnyChange(pair, land_bands(*pair.scenes)), why, _ABOUT_ANY


def _title(difference: Difference, target: str | None) -> str:
    if isinstance(difference, LearnedChange):
        # Asked for any change, it may have found other kinds than it was taught.
        return difference.model.facts.title if target else "Change"
    return "Change of any kind"


_UNSIDED = "Works are mapped where they changed the ground; gain and loss are not told apart."
_ABOUT_ANY = [
    "Any change counts: of season, crops, light and water level as well as of land cover. "
    "Name a target to narrow it down."
]


class _Found(NamedTuple):
    mask: Artefact
    codes: NDArray[np.uint8]
    tally: Tally
    expectation: Expectation


@dataclass(frozen=True)
class _Piece:
    codes: NDArray[np.uint8]
    inside: NDArray[np.bool_]
    before: NDArray[np.bool_]
    after: NDArray[np.bool_]
    other: NDArray[np.bool_]
    probability: NDArray[np.float32] | None = None


def fit(difference: Difference, window: Window, run: Run) -> None:
    """Let a method learn what is normal, from pixels of tiles all over a window."""
    pieces = tiles(window, halo=difference.halo)
    if len(pieces) > _SAMPLE_TILES:
        chosen = np.linspace(0, len(pieces) - 1, _SAMPLE_TILES).round().astype(int)
        pieces = [pieces[number] for number in chosen]
    quota = max(_SAMPLES // len(pieces), 1)

    def work(tile: Tile) -> NDArray[np.float32]:
        values = difference.sample(tile.read)
        count = values.shape[1]
        if count <= quota:
            return values
        # Fixed, so that the same scenes give the same result.
        random = np.random.default_rng([tile.core.row_off, tile.core.col_off])
        return values[:, random.choice(count, quota, replace=False)]

    parts = stream(
        work,
        pieces,
        run.executor,
        progress=run.progress,
        message="Learning what is normal",
        in_flight=_IN_FLIGHT,
    )
    difference.fit(np.concatenate([values for _, values in parts], axis=1))


def _measure(
    pair: Pair, placed: Placed, difference: Difference, target: str | None, run: Run
) -> _Found:
    """Decide pixel by pixel: the mask file, the mask and the tally."""
    frame = crop(pair.frame, placed.window)
    codes = np.full((frame.height, frame.width), UNSEEN, np.uint8)
    kinds = ("region", "observed", "changed", "gain", "loss", "before", "after", "other")
    tally, expectation = Tally(pair.frame, kinds), Expectation(pair.frame)
    what = target or "change"
    pending = run.artefact("change", f"{TITLES.get(what, 'Change')}: mask", f"{what}.tif", GEOTIFF)

    def work(tile: Tile) -> _Piece:
        inside = placed.mask(tile.core)
        empty = np.zeros(inside.shape, np.bool_)
        if isinstance(difference, LearnedChange):
            graded = difference.probability(tile.read)[tile.inner]
            part, other = difference.decided(graded), difference.other(tile.read)[tile.inner]
            return _Piece(part, inside, empty, empty, other & (part != GAIN), graded)
        part = difference.codes(tile.read)[tile.inner]
        sides = (empty, empty)
        if isinstance(difference, TargetChange) and difference.states is not None:
            states = difference.states(tile.core)
            sides = (states[0] == 1, states[1] == 1)
        return _Piece(part, inside, *sides, empty)

    names = "1 gain, 2 loss" if target else "1 changed"
    colours = {0: (0, 0, 0, 0), GAIN: (*(_GREEN if target else _YELLOW), 255), UNSEEN: (0, 0, 0, 0)}
    colours[LOSS] = (*_RED, 255)
    with RasterWriter(
        pending.path,
        frame,
        dtype="uint8",
        nodata=UNSEEN,
        bands=(f"{what}: 0 unchanged, {names}, 255 not observed",),
        colours=colours,
        tags={"TERRALOGUE_METHOD": difference.method},
    ) as raster:
        pieces = tiles(placed.window, halo=difference.halo)
        parts = stream(
            work,
            pieces,
            run.executor,
            progress=run.progress,
            message="Comparing the dates",
            in_flight=_IN_FLIGHT,
        )
        for tile, piece in parts:
            seen = piece.inside & (piece.codes != UNSEEN)
            gain, loss = seen & (piece.codes == GAIN), seen & (piece.codes == LOSS)
            tally.add(
                tile.core,
                region=piece.inside,
                observed=seen,
                changed=gain | loss,
                gain=gain,
                loss=loss,
                before=seen & piece.before,
                after=seen & piece.after,
                other=seen & piece.other,
            )
            if piece.probability is not None:
                expectation.add(tile.core, piece.probability, seen, gain)
            local = Window(
                tile.core.col_off - placed.window.col_off,
                tile.core.row_off - placed.window.row_off,
                tile.core.width,
                tile.core.height,
            )
            part = np.where(seen, piece.codes, UNSEEN).astype(np.uint8)
            codes[local.toslices()] = part
            raster.write(part, local)
        tally.require_observed()
    return _Found(pending.commit(), codes, tally, expectation)


def _besides(found: _Found, difference: LearnedChange, unit: AreaUnit) -> Measurement:
    """Where the bands differ unusually though the network tells no change."""
    return found.tally.size(
        "other", unit, called="other_area", label="Other change of the bands",
        method=difference.anything.method, artefact=found.mask.id,
    )  # fmt: skip


def _figures(
    tally: Tally, target: str | None, unit: AreaUnit, method: str, mask: str
) -> list[Measurement]:
    """Changed area and share; with a target, its gain, loss and net change too."""
    name = TITLES[target] if target else "Changed"
    base = tally.measurements(
        label=f"{name}, changed" if target else name,
        method=method,
        unit=unit,
        target="changed",
        artefact=mask,
    )
    if target is None:
        return base

    def area(of: str, label: str) -> Measurement:
        return tally.size(
            of, unit, called=f"{of}_area", label=f"{name} {label}", method=method, artefact=mask
        )

    gain, loss = area("gain", "gained"), area("loss", "lost")
    net = gain.model_copy(
        update={
            "name": gain.name.replace("gain", "net"),
            "value": gain.value - loss.value,
            "label": f"{name}, gain minus loss",
        }
    )
    found = [gain, loss, net]
    if tally.pixels["before"] or tally.pixels["after"]:
        # What single dates show, noise included: its difference need not be the net change.
        found += [area("before", "before"), area("after", "after")]
    return found + base


def _outlines(
    found: _Found, pair: Pair, placed: Placed, target: str | None, run: Run
) -> tuple[list[Artefact], list[Outlines]]:
    """One file of polygons for gain (or any change), one for loss; none where there is none."""
    files, drawn = [], []
    kinds = {GAIN: "gain", LOSS: "loss"} if target else {GAIN: "changed"}
    for value, kind in kinds.items():
        shapes = outline(found.codes, value)
        if not shapes.polygons:
            continue
        name = f"{target}-{kind}" if target else kind
        title = f"{TITLES[target]}, {kind}: outlines" if target else "Changed: outlines"
        pending = run.artefact("polygons", title, f"{name}.geojson", GEOJSON)
        properties = {"change": kind, "target": target or "any"}
        write_geojson(pending.path, shapes, crop(pair.frame, placed.window), properties)
        files.append(pending.commit())
        drawn.append(shapes)
    return files, drawn


def _preview(
    pair: Pair, placed: Placed, codes: NDArray[np.uint8], target: str | None, what: str, run: Run
) -> Artefact:
    """Before, after, and what changed, side by side."""
    frame = crop(pair.frame, placed.window)
    height, width = preview_size(frame.width, frame.height, _PREVIEW)
    across, down = frame.width / width, frame.height / height
    small = Frame(
        frame.name, width, height, frame.crs,
        frame.transform @ Affine.scale(across, down), frame.georeferenced,
    )  # fmt: skip
    shared = land_bands(*pair.scenes)
    names = next(
        (bands for bands in (["R", "G", "B"], ["N", "R", "G"]) if set(bands) <= set(shared)),
        shared[:1] * 3,
    )
    pictures = []
    for side in (pair.before, pair.after):
        if ground_crs(frame) is not None:
            rows, columns = side.shift
            grid = OnGrid(side.scene, small, (rows / down, columns / across))
            data = grid.read(names, whole(small))
        else:
            data = side.scene.read(names, placed.window, (height, width)).data
        pictures.append(in_colour(side.scene, names, data))
    inside = thinned(codes, (height, width))
    colours = {GAIN: _GREEN, LOSS: _RED, UNSEEN: (25, 25, 25)}
    legend = {f"{TITLES[target]} gained": _GREEN, f"{TITLES[target]} lost": _RED} if target else {}
    if not target:
        colours[GAIN] = _YELLOW
        legend = {"Changed": _YELLOW}
    if (inside == UNSEEN).any():
        legend["Not observed on both dates"] = (25, 25, 25)
    scenes = pair.scenes
    pending = run.artefact("preview", f"{what}, before and after", "change.png", PNG)
    save_change(
        pending.path,
        pictures[0],
        pictures[1],
        blend(pictures[1], inside, colours),
        titles=(
            f"Before · {_label(scenes[0])}",
            f"After · {_label(scenes[1])}",
            what,
        ),
        legend=legend,
    )
    return pending.commit()


def _warnings(
    pair: Pair,
    placed: Placed,
    target: str | None,
    said: list[str],
    tally: Tally,
    outlines: list[Outlines],
) -> list[str]:
    """Everything that has to be said, each once."""
    first, second = pair.scenes
    warnings = [*pair.warnings, *first.warnings, *second.warnings, *placed.warnings]
    warnings += [*tally.warnings, *describe_pair(first, second)]
    warnings += comparability(first, second, seasonal=target in _SEASONAL)
    warnings += said
    warnings += [text for each in outlines for text in each.warnings]
    return each_once(warnings)


def _when(pair: Pair) -> str:
    before, after = (_label(scene) for scene in pair.scenes)
    return f"{before} to {after}"


def _label(scene: Scene) -> str:
    """Date, or name, short enough for the head of a picture."""
    date = time_text(scene)
    return date[:10] if date else scene.name[:32]
