"""A target by two kinds of sensor: where an optical and a radar scene of one place agree.

    if other_kind(scene, reference):
        seen_twice = compare(found, reference, "water", unit="ha", run=run)

Neither is the truth: cloud, shadow and colour mislead the one, wind, slope and smooth ground the
other, so agreement makes an answer firmer and disagreement says where to look.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.datasets.errors import InputError
from terralogue.datasets.scene import Scene
from terralogue.tools.baselines import UNSEEN, YES
from terralogue.tools.change_targets import states_on
from terralogue.tools.clouds import screen
from terralogue.tools.common_grid import OnGrid, common_frame
from terralogue.tools.export import GEOTIFF, PNG, RasterWriter, thinned
from terralogue.tools.grid import crop
from terralogue.tools.masks import Finding
from terralogue.tools.measure import Tally
from terralogue.tools.overlay import PICTURE, Entry, draw_overlay, rgba
from terralogue.tools.run import Run
from terralogue.tools.schemas import AreaUnit, Artefact, Measurement
from terralogue.tools.specialist import TITLES
from terralogue.tools.tiling import tiles

BOTH, FIRST, SECOND = 1, 2, 3
_COLOURS = {BOTH: "#00a651", FIRST: "#ffb000", SECOND: "#dc267f"}
# Days between the scenes from which part of a disagreement may be change.
_SAME_TIME = 6
_METHOD = "where both scenes were observed, pixel by pixel"
_KAPPA = "Cohen's kappa (Cohen 1960, doi:10.1177/001316446002000104) of the two masks"


@dataclass(frozen=True)
class SeenTwice:
    """How far two kinds of sensor agree on a target.

    Attributes:
        method: of the other scene.
        measurements: area by each where both saw, by both, agreement in percent, kappa.
        artefacts: map and picture of the agreement.
        warnings: what a person has to know, one sentence each.
    """

    method: str
    measurements: list[Measurement]
    artefacts: list[Artefact]
    warnings: list[str]


def kind_of(scene: Scene) -> str | None:
    """Radar or optical; None for what is neither or both."""
    kinds = {band.kind for band in scene.bands} & {"sar", "optical"}
    return {"sar": "radar", "optical": "optical"}[kinds.pop()] if len(kinds) == 1 else None


def other_kind(scene: Scene, reference: Scene | None) -> bool:
    """Whether one scene is radar and the other optical."""
    if reference is None:
        return False
    return {kind_of(scene), kind_of(reference)} == {"radar", "optical"}


def compare(found: Finding, other: Scene, target: str, *, unit: AreaUnit, run: Run) -> SeenTwice:
    """Find the target on the other scene too, and set the two masks against each other.

    The other scene's mask is brought to the pixels of the first; a pixel counts where both saw it.

    Args:
        found: the target on the first scene.
        other: of the other kind.
        target: a key of TITLES.
        unit: of the areas.
        run: where the map and the picture go.

    Raises:
        NoOverlapError: the scenes do not show the same ground.
        MissingBandError: the other scene lacks a band.
        RefusalError: the target cannot be told from the rest in the other scene.
        InputError: no pixel was observed in both.
    """
    scene, window = found.scene, found.placed.window
    common_frame(scene, other)
    frame = crop(scene, window)
    side = OnGrid(other, frame)
    clouds = screen(other, run.executor, run.progress)
    local = Window(0, 0, frame.width, frame.height)
    second = states_on(side, clouds, target, local, run)
    codes = np.full(found.mask.shape, UNSEEN, np.uint8)
    tally = Tally(frame, ("region", "observed", "both", "first", "second", "neither"))
    for tile in tiles(local):
        part = tile.core.toslices()
        one, two = found.mask[part], second.read(tile.core)
        if clouds.method is not None:
            two[side.read_mask(clouds.hidden, tile.core)] = UNSEEN
        seen = (one != UNSEEN) & (two != UNSEEN)
        a, b = seen & (one == YES), seen & (two == YES)
        codes[part] = np.select([~seen, a & b, a, b], [UNSEEN, BOTH, FIRST, SECOND], 0)
        tally.add(
            tile.core, region=one != UNSEEN, observed=seen, both=a & b, first=a, second=b,
            neither=seen & ~a & ~b,
        )  # fmt: skip
    if not tally.pixels["observed"]:
        raise InputError(
            f"No pixel was observed in both {scene.name} and {other.name}; choose another scene "
            "or region."
        )
    artefacts = _files(found, codes, target, other, run)
    return SeenTwice(
        second.name,
        _figures(tally, scene, other, target, unit, artefacts[0].id),
        artefacts,
        [*_apart(scene, other), *clouds.warnings, *second.warnings],
    )


def kappa(both: float, first: float, second: float, whole: float) -> float | None:
    """Cohen's kappa of two masks from their areas; None where chance alone would agree wholly.

    Args:
        both: area that both show.
        first: area that the first shows.
        second: area that the second shows.
        whole: area that was seen.
    """
    agreed = (both + whole - first - second + both) / whole
    chance = (first * second + (whole - first) * (whole - second)) / whole**2
    return None if chance >= 1 else (agreed - chance) / (1 - chance)


def _figures(
    tally: Tally, scene: Scene, other: Scene, target: str, unit: AreaUnit, artefact: str
) -> list[Measurement]:
    title = TITLES[target]
    kinds = {"first": kind_of(scene), "second": kind_of(other), "both": "both"}

    def area(of: str) -> Measurement:
        return tally.size(
            of, unit, called=f"{kinds[of]}_area", label=f"{title} by {kinds[of]}",
            method=_METHOD, artefact=artefact,
        )  # fmt: skip

    def share(name: str, value: float, label: str, method: str, unit: str = "%") -> Measurement:
        return Measurement(
            name=name, value=value, unit=unit, method=method, artefact=artefact, label=label
        )

    found = [area("first"), area("second"), area("both")]
    agreed = tally.share("both") + tally.share("neither")
    found.append(share("agreement", min(agreed, 100.0), "Optical and radar agree", _METHOD))
    amounts = (tally.amount(name) for name in ("both", "first", "second", "observed"))
    if (value := kappa(*amounts)) is not None:
        found.append(share("kappa", value, "Agreement beyond chance (kappa)", _KAPPA, "1"))
    seen = tally.share("observed", of="region")
    return [*found, share("observed_by_both", seen, "Seen by both", "share of what the first saw")]


def _apart(scene: Scene, other: Scene) -> list[str]:
    """What differing or unknown dates mean for the agreement."""
    said = [
        "The two scenes were laid on each other by their coordinates alone: optical and radar "
        "pictures are too unlike to be matched."
    ]
    if scene.time is None or other.time is None:
        said.append(
            "The date of one scene is not known, so part of a disagreement may be real change; "
            "say the dates if they matter."
        )
        return said
    days = abs((scene.time.replace(tzinfo=None) - other.time.replace(tzinfo=None)).days)
    if days > _SAME_TIME:
        said.append(
            f"The scenes were taken {days} days apart: part of a disagreement may be real change."
        )
    return said


def _files(
    found: Finding, codes: NDArray[np.uint8], target: str, other: Scene, run: Run
) -> list[Artefact]:
    """The map of agreement and its picture."""
    scene, window = found.scene, found.placed.window
    first, second = kind_of(scene), kind_of(other)
    stem = f"{Path(scene.name).stem}-{target}-agreement"
    title = f"{TITLES[target]}: optical and radar"
    pending = run.artefact("mask", f"{title}, where they agree", f"{stem}.tif", GEOTIFF)
    with RasterWriter(
        pending.path,
        crop(scene, window),
        dtype="uint8",
        nodata=UNSEEN,
        bands=(f"{target}: 0 neither, 1 both, 2 {first} only, 3 {second} only, 255 not seen",),
        colours={0: (0, 0, 0, 0), UNSEEN: (0, 0, 0, 0)}
        | {value: rgba(colour) for value, colour in _COLOURS.items()},
        tags={"TERRALOGUE_TARGET": target},
    ) as writer:
        writer.write(codes, Window(0, 0, codes.shape[1], codes.shape[0]))
    picture = run.artefact("preview", f"{title}, over the scene", f"{stem}.png", PNG)
    step = max(1.0, max(codes.shape) / PICTURE)
    small = thinned(
        codes, (max(1, round(codes.shape[0] / step)), max(1, round(codes.shape[1] / step)))
    )
    texts = {BOTH: "both", FIRST: f"{first} only", SECOND: f"{second} only"}
    draw_overlay(
        picture.path,
        scene,
        window,
        np.where(small == UNSEEN, 0, small).astype(np.uint8),
        [
            Entry(value, _COLOURS[value], f"{TITLES[target]}: {text}")
            for value, text in texts.items()
        ],
        title=f"{title}, {scene.name} and {other.name}",
        note="Neither is the truth; look where they disagree.",
    )
    return [pending.commit(), picture.commit()]
