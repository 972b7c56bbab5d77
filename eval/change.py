"""Change maps against masks of what changed, as the tool `detect_change` makes them.

    terralogue eval change --data oscd --out out/oscd
    terralogue eval change --data oscd --model bands --out out/oscd-bands
    terralogue eval change --data LEVIR-CD --split test --out out/levir

The layouts are those of OSCD, of SZTAKI AirChange, and folders A, B and label. `f1`, `iou` and
`kappa` are of the changed class, pooled over all pixels of all pairs; what was hidden on a date
counts as unchanged. Beside a network stands change vector analysis on the same pairs
(`change_vector`), and `majority`, which calls nothing changed. A network in the package may have
been trained on the pairs given; `held_out` says what it scored on places that it was not trained
on. Intervals come from resampling pairs.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.change_pairs import ChangePair, read_change_pairs
from terralogue.datasets.errors import InputError
from terralogue.eval.change_baseline import Counts
from terralogue.eval.change_maps import draw_errors
from terralogue.eval.summary import Figures, Report, files_sha256, interval, resamples
from terralogue.tools.change import BY_BANDS, any_change, fit
from terralogue.tools.change_learned import LearnedChange
from terralogue.tools.change_truth import open_dates, place_in, read_mask
from terralogue.tools.differencing import GAIN, UNSEEN, Difference
from terralogue.tools.grid import whole
from terralogue.tools.pairs import Pair, make_pair
from terralogue.tools.run import Run
from terralogue.tools.store import Store
from terralogue.tools.tiling import tiles

EMBEDDED = "embedded"
_MAPS = 24

Bools = NDArray[np.bool_]


class Row(NamedTuple):
    """What came of one pair: counts of the model and of the bands alone, and what was hidden."""

    item: ChangePair
    counts: Counts
    by_bands: Counts
    hidden: float
    model: str
    mapped: Bools
    held_out: dict[str, Any] | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this task."""
    add = parser.add_argument
    add("--split", metavar="S", help="a folder of splits, fold:K/N, or all (default)")
    add(
        "--model",
        metavar="SPEC",
        default=EMBEDDED,
        help=f"{EMBEDDED} (default): what the tool "
        f"chooses; {BY_BANDS} or baseline: change vector analysis; or a folder with a checkpoint",
    )
    add("--sensor", metavar="KEY", help="sensor of all pictures, where recognition is not enough")


def run(options: argparse.Namespace) -> Report:
    """Score what the options name.

    Raises:
        EOError: the data or the options cannot be used, or a pair cannot be compared.
    """
    pairs = read_change_pairs(options.data).chosen(options.split).limited(options.limit)
    model = {EMBEDDED: None, "baseline": BY_BANDS}.get(options.model, options.model)
    rows = [_score(item, model, options.sensor) for item in pairs.items]
    files = {
        f"{item.name}/{kind}/{name}": path
        for item in pairs.items
        for kind in ("before", "after", "mask")
        for name, path in _files(getattr(item, kind)).items()
    }
    counts = np.array([row.counts for row in rows], np.float64)
    rounds = resamples(len(rows)) @ counts
    spread = [_figures(Counts(*each)) for each in rounds]
    metrics = _figures(_pooled([row.counts for row in rows]))
    by_bands = _figures(_pooled([row.by_bands for row in rows]))
    models = Counter(row.model for row in rows)
    return Report(
        task="change",
        n=len(rows),
        metrics=metrics,
        units="share",
        model=", ".join(f"{name} ({count})" for name, count in models.most_common()),
        data_sha256=files_sha256(files),
        predictions=[_prediction(row) for row in rows],
        per_type={row.item.name: _per_pair(row) for row in rows},
        baselines={"majority": 0.0, "change_vector": by_bands["f1"]},
        interval_95={name: interval(np.array([each[name] for each in spread])) for name in metrics},
        details={
            "layout": pairs.layout,
            "split": options.split,
            "change_vector": by_bands,
            "held_out": next((row.held_out for row in rows if row.held_out), None),
            "hidden_share": float(np.mean([row.hidden for row in rows])),
        },
        plots={
            f"errors_{row.item.name.replace('/', '_')}.png": partial(
                draw_errors, row.item, row.mapped
            )
            for row in _worst(rows)
        },
    )


def _score(item: ChangePair, model: str | None, sensor: str | None) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Store(Path(folder)))
        scenes = open_dates(item, sensor)
        pair = make_pair(*scenes, run)
        truth = read_mask(item)
        if truth.shape != (scenes[0].height, scenes[0].width):
            raise InputError(
                f"{item.mask} has {truth.shape[1]} x {truth.shape[0]} pixels, {scenes[0].name} "
                f"{scenes[0].width} x {scenes[0].height}; give masks on the grid of the first date."
            )
        difference = any_change(pair, model)[0]
        mapped, hidden = changed(pair, difference, run, truth.shape)
        counts = by_bands = _counts(mapped, truth)
        name, held_out = BY_BANDS, None
        if isinstance(difference, LearnedChange):
            name = f"{difference.name} {difference.model.fingerprint}"
            facts, plain = difference.model.facts, difference.anything
            held_out = {"f1": facts.f1, "change_vector_f1": facts.baseline_f1, "how": facts.how}
            by_bands = _counts(changed(pair, plain, run, truth.shape, fitted=True)[0], truth)
    return Row(item, counts, by_bands, hidden, name, mapped, held_out)


def changed(
    pair: Pair, difference: Difference, run: Run, shape: tuple[int, ...], *, fitted: bool = False
) -> tuple[Bools, float]:
    """The changed pixels on the first date's grid (H, W), and the share that was hidden."""
    extent = whole(pair.frame)
    if not fitted:
        fit(difference, extent, run)
    codes = np.zeros((pair.frame.height, pair.frame.width), np.uint8)
    for tile in tiles(extent, halo=difference.halo):
        codes[tile.core.toslices()] = difference.codes(tile.read)[tile.inner]
    first = pair.after.scene if pair.swapped else pair.before.scene
    window = place_in(first, pair.frame)
    full = np.zeros(shape, np.bool_)
    part = full[int(window.row_off) :, int(window.col_off) :][: codes.shape[0], : codes.shape[1]]
    part[:] = (codes == GAIN)[: part.shape[0], : part.shape[1]]
    return full, float((codes == UNSEEN).mean())


def _counts(mapped: Bools, truth: Bools) -> Counts:
    return Counts(int((mapped & truth).sum()), int(mapped.sum()), int(truth.sum()), truth.size)


def _pooled(counts: Sequence[Counts]) -> Counts:
    return Counts(*(sum(each[part] for each in counts) for part in range(4)))


def _figures(counts: Counts) -> dict[str, float]:
    return {
        "f1": counts.f1,
        "iou": counts.iou,
        "kappa": counts.kappa,
        "precision": counts.both / counts.mapped if counts.mapped else 0.0,
        "recall": counts.both / counts.labelled if counts.labelled else 0.0,
    }


def _per_pair(row: Row) -> Figures:
    share = row.counts.labelled / row.counts.pixels
    return {"n": row.counts.pixels, **_figures(row.counts), "changed_share": share}


def _prediction(row: Row) -> dict[str, Any]:
    pixels = row.counts.pixels
    return {
        "id": row.item.name,
        "prediction_raw": row.counts._asdict(),
        "prediction_parsed": row.counts.mapped / pixels,
        "gold": row.counts.labelled / pixels,
        "f1": row.counts.f1,
        "change_vector_f1": row.by_bands.f1,
    }


def _worst(rows: Sequence[Row]) -> list[Row]:
    """Pairs with the most pixels wrong, relative to their size."""

    def wrong(row: Row) -> float:
        each = row.counts
        return (each.mapped + each.labelled - 2 * each.both) / each.pixels

    return sorted(rows, key=wrong, reverse=True)[:_MAPS]


def _files(path: Path) -> dict[str, Path]:
    if not path.is_dir():
        return {path.name: path}
    return {each.name: each for each in sorted(path.iterdir()) if each.is_file()}
