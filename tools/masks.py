"""Finding a target on a scene: the model, the mask, and the sums over it; `segment` shows them.

finding = find_target(scene, "water", run=run)
finding.mask, finding.tally.share("target")
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy import ndimage

from terralogue.datasets.errors import InputError, RefusalError
from terralogue.datasets.scene import Scene
from terralogue.tools.baselines import UNSEEN, YES, Model
from terralogue.tools.clouds import CloudScreen, screen
from terralogue.tools.coarse_scene import CoarseScene, coarser
from terralogue.tools.common_grid import OnGrid, common_frame
from terralogue.tools.coregister import Shift, estimate_shift
from terralogue.tools.dense_graded import Expectation, pieces
from terralogue.tools.edges import settle_window, sides
from terralogue.tools.export import GEOTIFF, RasterWriter
from terralogue.tools.grid import Frame, Grid, crop, whole
from terralogue.tools.measure import UNITS, Tally
from terralogue.tools.new_water import new_water, tells
from terralogue.tools.overlay import colour_of, pixel_size, rgba
from terralogue.tools.pairs import Pair
from terralogue.tools.region import Placed, Region, place
from terralogue.tools.run import Run
from terralogue.tools.schemas import AreaUnit, Artefact
from terralogue.tools.specialist import TITLES, Choice, Job
from terralogue.tools.specialists import choose
from terralogue.tools.tiling import tiles

_SCREENED = ("cloud", "cloud_shadow")
_WORTH_MOVING = 0.25  # pixels; less is not worth the blur


@dataclass(frozen=True)
class Finding:
    """Where a target is.

    Attributes:
        scene: what was looked at; of a quick look a coarser version of what was given.
        reference: the earlier scene, where the model took it.
        placed: the region on the scene.
        choice: who looked, and why.
        model: the same, built for the scene.
        mask: uint8 of the region's bounding window: 1 target, 0 not, 255 not observed or outside.
        artefact: its file.
        tally: sums of region, observed and target.
        expectation: sums of the probabilities, where the model gives them.
        note: what the method adds to the model's, "" for nothing.
        warnings: what a person has to know, one sentence each.
    """

    scene: Scene
    reference: Scene | None
    placed: Placed
    choice: Choice
    model: Model
    mask: NDArray[np.uint8]
    artefact: Artefact
    tally: Tally
    expectation: Expectation
    note: str
    warnings: tuple[str, ...]


def find_target(
    scene: Scene,
    target: str,
    *,
    run: Run,
    region: Region | None = None,
    reference: Scene | None = None,
    unit: AreaUnit = "ha",
    model: str | None = None,
    minimum_area: float = 0.0,
    quick: bool = False,
) -> Finding:
    """Find a target; arguments and errors as those of `segment`."""
    if target not in TITLES:
        choose(scene, target)
    if quick:
        scene = coarser(scene)
    placed = place(region, scene)
    choice = _choose(scene, target, reference, model)
    used = reference if choice.specialist.reference else None
    least, smallest = _minimum(minimum_area, unit, scene)
    clouds = screen(scene, run.executor, run.progress, window=placed.window)
    _require_pixels(scene, placed)
    job, pair, before = _job(scene, target, choice, clouds, used, run)
    built: Model
    if pair is not None and model is None and tells(pair, target):
        built = new_water(pair, target, placed.window, run)
    else:
        built = choice.specialist.build(job)
    mask, tally, expectation = _look(scene, target, placed, built, clouds, run)
    notes, said = [], [*placed.warnings, *tally.warnings, *clouds.warnings, *before]
    if told := sides(job):
        settle_window(mask, placed.window, told.value, run.executor, run.progress)
        notes.append(told.method)
    if isinstance(scene, CoarseScene):
        notes.append(f"quick look at {scene.pixels}")
        said.insert(0, scene.warning)
    if least > 1:
        notes.append(f"patches below {smallest} left out")
        said += _drop_small(mask, least, smallest)
    note = "".join(f"; {each}" for each in notes)
    artefact = _write(scene, target, placed, mask, tally, built.method + note, run)
    return Finding(
        scene, used, placed, choice, built, mask, artefact, tally, expectation, note,
        (*said, *built.warnings),
    )  # fmt: skip


def _choose(scene: Scene, target: str, reference: Scene | None, model: str | None) -> Choice:
    """The best model; of a quick look a rule where one serves.

    Networks are measured on a sensor's own pixels, and rules do not depend on their size.
    """
    if isinstance(scene, CoarseScene) and model is None:
        with contextlib.suppress(RefusalError):
            rule = choose(scene, target, reference, physical=True)
            return rule._replace(why=f"the rule, for a quick look; {rule.why}")
    return choose(scene, target, reference, model=model)


def _minimum(area: float, unit: AreaUnit, grid: Grid) -> tuple[int, str]:
    """The fewest pixels of a patch, and the minimum area in words."""
    if not (math.isfinite(area) and area >= 0):
        raise InputError(f"The minimum area {area:g} cannot be used; give 0 or more.")
    size = pixel_size(grid)
    if size is None:
        return math.ceil(area), f"{area:g} pixels"
    pixels = math.ceil(area * UNITS[unit] / (size[0] * size[1]) - 1e-9)
    return pixels, f"{area:g} {unit} ({pixels} pixels)"


def _drop_small(mask: NDArray[np.uint8], least: int, smallest: str) -> list[str]:
    """Take patches of fewer than `least` pixels out of a mask, and say how many there were.

    Pixels that touch at a side form a patch.
    """
    labels, count = ndimage.label(mask == YES)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    small = sizes < least
    small[0] = False
    if not small.any():
        return []
    mask[small[labels]] = 0
    return [
        f"{int(small.sum())} patches smaller than {smallest}, {int(sizes[small].sum())} pixels "
        "together, were left out of the mask and of all figures."
    ]


def _require_pixels(scene: Scene, placed: Placed) -> None:
    """Refuse a scene without any pixel before a threshold is sought in it."""
    step = max(1.0, max(placed.window.width, placed.window.height) / 1024)
    shape = (
        max(1, round(placed.window.height / step)),
        max(1, round(placed.window.width / step)),
    )
    seen = (
        np.isfinite(scene.read([band.name], placed.window, shape).data).any()
        for band in scene.bands
    )
    if not any(seen):
        raise InputError(
            f"{scene.name} has no valid pixel here: all are missing or no-data; choose another "
            "scene or region."
        )


def _job(
    scene: Scene,
    target: str,
    choice: Choice,
    clouds: CloudScreen,
    reference: Scene | None,
    run: Run,
) -> tuple[Job, Pair | None, list[str]]:
    """What the model is built for, the two dates, and what is to be said of the reference."""
    if reference is None:
        return Job(scene, clouds, target), None, []
    common_frame(scene, reference)
    frame = crop(scene, whole(scene))
    shift, said = _shift(scene, reference, frame, choice.specialist.bands[0])
    grid = OnGrid(reference, frame, (shift.rows, shift.columns))
    earlier = screen(reference, run.executor, run.progress)
    said += earlier.warnings
    if scene.time and reference.time and reference.time > scene.time:
        said.append("The reference scene is the later one; what it shows is taken for before.")

    def read(bands: Sequence[str], window: Window) -> NDArray[np.float32]:
        data = grid.read(bands, window)
        if earlier.method is not None:
            data[:, grid.read_mask(earlier.hidden, window)] = np.nan
        return data

    job = Job(scene, clouds, target, reference_scene=reference, reference=read)
    later = OnGrid(scene, frame)
    return job, Pair(grid, later, frame, (earlier, clouds), shift, False, ()), said


def _shift(scene: Scene, reference: Scene, frame: Frame, band: str) -> tuple[Shift, list[str]]:
    """By how much the reference is to be moved, and what to say about it."""
    other = OnGrid(reference, frame)
    found = estimate_shift(
        frame,
        lambda window: scene.read([band], window).data[0],
        lambda window: other.read([band], window)[0],
    )
    still = found._replace(rows=0.0, columns=0.0)
    if not found.reliable:
        return still, [
            "Whether the reference lies exactly on the scene could not be checked; thin strips "
            "along edges may come from misregistration."
        ]
    if found.length < _WORTH_MOVING:
        return still, []
    moved = f"The reference lay {found.length:.1f} pixels off the scene; it was moved back."
    return found, [moved]


def _look(
    scene: Scene,
    target: str,
    placed: Placed,
    model: Model,
    clouds: CloudScreen,
    run: Run,
) -> tuple[NDArray[np.uint8], Tally, Expectation]:
    """Run the model over the region, window by window: the mask, and sums of what was seen."""
    mask = np.full((int(placed.window.height), int(placed.window.width)), UNSEEN, np.uint8)
    tally = Tally(scene, ("region", "observed", "target"))
    expectation = Expectation(scene)
    for window, found, probability in pieces(model, placed.window, run.executor, run.progress):
        inside = placed.mask(window)
        observed = inside & (found != UNSEEN)
        if target not in _SCREENED:
            observed &= ~clouds.hidden(window)
        hit = observed & (found == YES)
        tally.add(window, region=inside, observed=observed)
        if probability is not None:
            expectation.add(window, probability, observed, hit)
        mask[_within(placed, window).toslices()] = np.where(observed, hit, UNSEEN)
    tally.require_observed()
    return mask, tally, expectation


def _within(placed: Placed, window: Window) -> Window:
    """A window of the scene in the pixels of the mask."""
    return Window(
        window.col_off - placed.window.col_off,
        window.row_off - placed.window.row_off,
        window.width,
        window.height,
    )


def _write(
    scene: Scene,
    target: str,
    placed: Placed,
    mask: NDArray[np.uint8],
    tally: Tally,
    method: str,
    run: Run,
) -> Artefact:
    """Write the mask, and add the target to the sums."""
    title = TITLES[target]
    pending = run.artefact(
        "mask", f"{title}: mask", f"{Path(scene.name).stem}-{target}.tif", GEOTIFF
    )
    with RasterWriter(
        pending.path,
        crop(scene, placed.window),
        dtype="uint8",
        nodata=UNSEEN,
        bands=(f"{target}: 1 yes, 0 no, 255 not observed",),
        colours={0: (0, 0, 0, 0), YES: rgba(colour_of(target)), UNSEEN: (0, 0, 0, 0)},
        tags={"TERRALOGUE_TARGET": target, "TERRALOGUE_METHOD": method},
    ) as writer:
        for tile in tiles(placed.window):
            local = _within(placed, tile.core)
            part = mask[local.toslices()]
            tally.add(tile.core, target=part == YES)
            writer.write(part, local)
    return pending.commit()
