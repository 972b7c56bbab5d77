"""How much worse answers get where pictures are corrupted or questions are typed in a hurry.

    terralogue eval robustness --data rsvqa_hr --split own:test --model embedded --out out/robust
    terralogue eval robustness --data EuroSAT --model embedded:plain --model embedded:robust
    terralogue eval robustness --data EuroSAT --model vlm:embedded --corruptions haze,clouds

A set of questions, or of classes, is answered as it is and again under each corruption (REOBench's
twelve unless named; arXiv:2505.16793) at each severity. `drop_<corruption>` is the relative drop of
accuracy, (clean - corrupted) / clean, averaged over severities, and `mean_relative_drop` the mean
over corruptions. Where a corruption moves the picture, questions about directions, counts and areas
are not compared, since their right answers may change.

Questions are also asked in other words (`text_perturbation.py`): `consistency_<kind>` is the share
of reworded questions whose answer stays the same, right or wrong, `accuracy_<kind>` the share of
right ones. Both changes, and consistency as the aim, follow RemoteShield.

Several --model are compared in one plot and table; figures of the second end in "@2". Intervals
come from resampling pictures.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from terralogue.datasets.corruptions import CORRUPTIONS, Corruption, parse_corruption
from terralogue.datasets.errors import InputError
from terralogue.datasets.text_perturbation import Perturbation, parse_perturbation
from terralogue.eval.inputs import add_answer_options
from terralogue.eval.page import write_page
from terralogue.eval.robustness_runs import (
    KINDS,
    Change,
    Outcome,
    Set,
    Subject,
    moves,
    read_set,
    reworded,
)
from terralogue.eval.summary import Figures, Report, interval, resamples

Floats = NDArray[np.float64]

# Of no use on pictures of three bands, which lose one of three at every severity.
_UNUSUAL: Final = "band_dropout"
_WORDINGS: Final = "typos:0.3,colloquial:0.3,omissions:0.5"
_SEVERITIES: Final = "1,3,5"


@dataclass(frozen=True)
class Sweep:
    """All outcomes of one model.

    Attributes:
        subject: the model.
        clean: without any change.
        changed: by the change, as written.
    """

    subject: Subject
    clean: Outcome
    changed: Mapping[Change, Outcome]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this task."""
    add_answer_options(parser, several=True)
    add = parser.add_argument
    add("--of", choices=KINDS, help="what is asked, where the data could be both")
    add("--corruptions", metavar="NAME,…", help=f"which (default: all but {_UNUSUAL})")
    add("--severities", metavar="N,…", default=_SEVERITIES, help=f"default {_SEVERITIES}")
    add("--wordings", metavar="NAME:STRENGTH,…", default=_WORDINGS, help="changes of questions, "
        f"or none (default {_WORDINGS})")  # fmt: skip
    add("--counts", choices=("raw", "buckets"), help="how counts are compared; see vqa")


def run(options: argparse.Namespace) -> Report:
    """Score what the options name."""
    corruptions = _corruptions(options.corruptions, options.severities)
    data = read_set(options)
    wordings: list[Perturbation] = []
    if data.kind == "vqa" and options.wordings != "none":
        wordings = [parse_perturbation(text) for text in options.wordings.split(",")]
    changes: list[Change] = [*corruptions, *wordings]
    sweeps = []
    for spec in options.model or ["embedded"]:
        subject = data.subject(spec)
        with tqdm([None, *changes], desc=spec, unit="run", disable=None, leave=False) as bar:
            found = {change: subject.run(change) for change in bar}
        sweeps.append(Sweep(subject, found.pop(None), found))
    return evaluate(data, sweeps)


def _corruptions(names: str | None, severities: str) -> list[Corruption]:
    """Every corruption at every severity.

    Raises:
        InputError: an unknown name or severity.
    """
    chosen = [n for n in CORRUPTIONS if n != _UNUSUAL] if names is None else names.split(",")
    found = [
        parse_corruption(f"{n.strip()}:{s.strip()}") for n in chosen for s in severities.split(",")
    ]
    if not found:
        raise InputError("--corruptions names none; give one, such as haze.")
    return found


def evaluate(data: Set, sweeps: Sequence[Sweep]) -> Report:
    """Compare outcomes with those of clean pictures.

    Args:
        data: that was asked.
        sweeps: one for each model.
    """
    metrics: dict[str, float | None] = {}
    intervals: dict[str, tuple[float, float]] = {}
    for number, sweep in enumerate(sweeps, 1):
        end = "" if number == 1 else f"@{number}"
        metrics |= {f"{name}{end}": value for name, value in _figures(data, sweep).items()}
        if len(set(data.places)) > 1:
            intervals |= {f"{name}{end}": ends for name, ends in _intervals(data, sweep).items()}

    def done() -> None:
        for sweep in sweeps:
            sweep.subject.done()

    tables = {sweep.subject.title: _table(data, sweep) for sweep in sweeps}
    counts = Counter(data.gold)
    report = Report(
        task="robustness",
        n=len(data.names),
        metrics=metrics,
        units="share",
        model=", ".join(sweep.subject.title for sweep in sweeps),
        data_sha256=data.sha256,
        predictions=[row for sweep in sweeps for row in _predictions(data, sweep)],
        per_type=tables[sweeps[0].subject.title],
        baselines={"majority": counts.most_common(1)[0][1] / len(data.gold)},
        interval_95=intervals,
        parse_rate=float(np.mean([each is not None for each in sweeps[0].clean.said])),
        details={
            "of": data.kind,
            "models": list(tables),
            "by_model": tables,
            "not_compared_when_moved": int((~data.fixed).sum()),
        },
        plots={"robustness.png": partial(_draw, data, sweeps)},
        done=done,
    )
    page = partial(write_page, report.summary, ["robustness.png"], (), "")
    return report.with_plots({"report.html": page})


def _names(sweep: Sweep) -> list[str]:
    """Corruptions in the order that they were asked for."""
    return list(dict.fromkeys(c.name for c in sweep.changed if isinstance(c, Corruption)))


def _drops(
    data: Set, sweep: Sweep, name: str, weights: NDArray[np.float32] | None = None
) -> Floats:
    """Relative drop of a corruption, mean over severities: (), or (rounds,) with weights."""
    found = []
    for change, outcome in sweep.changed.items():
        if isinstance(change, Corruption) and change.name == name:
            kept = data.fixed if moves(change) else np.ones(len(data.names), bool)
            w = (np.ones(len(kept), np.float32) if weights is None else weights)[..., kept]
            clean, worse = w @ sweep.clean.right[kept], w @ outcome.right[kept]
            with np.errstate(invalid="ignore", divide="ignore"):
                found.append(np.where(clean > 0, 1 - worse / clean, np.nan))
    return np.asarray(np.mean(found, axis=0))


def _changed(data: Set, change: Perturbation) -> NDArray[np.bool_]:
    """Which questions a perturbation rewords."""
    pairs = zip(data.questions, data.names, strict=True)
    return np.array([reworded(question, name, change) != question for question, name in pairs])


def _figures(data: Set, sweep: Sweep) -> dict[str, float | None]:
    drops = {name: _known(_drops(data, sweep, name)) for name in _names(sweep)}
    known = [drop for drop in drops.values() if drop is not None]
    found: dict[str, float | None] = {
        "accuracy": float(sweep.clean.right.mean()),
        "mean_relative_drop": float(np.mean(known)) if known else None,
        **{f"drop_{name}": drop for name, drop in drops.items()},
    }
    for change, outcome in sweep.changed.items():
        if isinstance(change, Perturbation):
            asked = _changed(data, change)
            same = np.array([a == b for a, b in zip(outcome.said, sweep.clean.said, strict=True)])
            found[f"consistency_{change.name}"] = float(same[asked].mean()) if asked.any() else None
            found[f"accuracy_{change.name}"] = float(outcome.right.mean())
    return found


def _known(value: Floats) -> float | None:
    return None if np.isnan(value) else float(value)


def _intervals(data: Set, sweep: Sweep) -> dict[str, tuple[float, float]]:
    places = {place: i for i, place in enumerate(dict.fromkeys(data.places))}
    weights = resamples(len(places))[:, [places[place] for place in data.places]]
    clean = weights @ sweep.clean.right / weights.sum(axis=1)
    found = {"accuracy": interval(clean)}
    drops = {name: _drops(data, sweep, name, weights) for name in _names(sweep)}
    drops = {name: values for name, values in drops.items() if np.isfinite(values).any()}
    if drops:
        found["mean_relative_drop"] = interval(np.mean(list(drops.values()), axis=0))
    return found | {f"drop_{name}": interval(values) for name, values in drops.items()}


def _table(data: Set, sweep: Sweep) -> dict[str, Figures]:
    """Accuracy at each severity and the mean relative drop of each corruption."""
    found: dict[str, Figures] = {}
    for name in _names(sweep):
        mine = {
            c: o for c, o in sweep.changed.items() if isinstance(c, Corruption) and c.name == name
        }
        kept = data.fixed if any(map(moves, mine)) else np.ones(len(data.names), bool)
        found[name] = {
            "n": int(kept.sum()),
            "clean": _mean(sweep.clean.right[kept]),
            **{
                f"severity_{c.severity}": _mean(outcome.right[kept])
                for c, outcome in mine.items()
                if isinstance(c, Corruption)
            },
            "mean_relative_drop": _known(_drops(data, sweep, name)),
        }
    return found


def _mean(flags: NDArray[np.bool_]) -> float | None:
    return float(flags.mean()) if flags.size else None


def _predictions(data: Set, sweep: Sweep) -> list[dict[str, Any]]:
    rows = []
    for change, outcome in {None: sweep.clean, **sweep.changed}.items():
        for i, name in enumerate(data.names):
            rows.append(
                {
                    "id": name,
                    "model": sweep.subject.title,
                    "change": "clean" if change is None else str(change),
                    "prediction_raw": outcome.raw[i],
                    "prediction_parsed": outcome.said[i],
                    "gold": data.gold[i],
                    "correct": bool(outcome.right[i]),
                }
            )
    return rows


def _draw(data: Set, sweeps: Sequence[Sweep], path: Path) -> None:
    """Bars of the mean relative drop of each corruption, models side by side, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = _names(sweeps[0])
    figure = Figure(figsize=(7.5, 0.9 + 0.42 * len(names)), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    height = 0.8 / len(sweeps)
    for number, sweep in enumerate(sweeps):
        drops = [100 * float(_drops(data, sweep, name)) for name in names]
        mean = np.nanmean(drops) if np.isfinite(drops).any() else np.nan
        places = np.arange(len(names)) + (number - (len(sweeps) - 1) / 2) * height
        axes.barh(places, drops, height, label=f"{sweep.subject.title}: mean {mean:.1f} %")
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.invert_yaxis()
    axes.axvline(0, color="#444444", linewidth=0.8)
    axes.set_xlabel("relative drop of accuracy (%)")
    axes.legend(fontsize=8)
    FigureCanvasAgg(figure)
    figure.savefig(path)
