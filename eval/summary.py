"""What every benchmark task gives, printed and written as `summary.json` and `predictions.jsonl`.

Figures with their intervals and baselines, the predictions, and what they were made from and with.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.errors import InputError

Figures = Mapping[str, float | int | None]
Units = Literal["percent", "share"]

ROUNDS: Final = 1000
_PACKAGE: Final = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Report:
    """The outcome of one task on one data set.

    Attributes:
        task: key in TASKS.
        n: items scored.
        metrics: by the names that DESIGN lists; None where nothing bears on a figure.
        units: of all metrics, baselines and intervals: percent (0 to 100) or share (0 to 1).
        model: its name and, where it has one, the fingerprint of its weights.
        data_sha256: see `files_sha256`.
        predictions: JSON-compatible rows with `id`, `prediction_raw`, `prediction_parsed`, `gold`.
        per_type: figures of each class or type, with its `n`.
        baselines: `majority` and `question_only`, None where a task has no such thing; `chance`.
        interval_95: [low, high] of a metric.
        parse_rate: share of predictions that could be read.
        details: further fields of the summary.
        plots: file name → writes that figure.
        done: called once everything is written.
    """

    task: str
    n: int
    metrics: Figures
    units: Units
    model: str
    data_sha256: str
    predictions: Sequence[Mapping[str, Any]]
    per_type: Mapping[str, Figures] = field(default_factory=dict)
    baselines: Figures = field(default_factory=dict)
    interval_95: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    parse_rate: float = 1.0
    details: Mapping[str, Any] = field(default_factory=dict)
    plots: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)
    done: Callable[[], None] | None = None

    def with_plots(self, plots: Mapping[str, Callable[[Path], None]]) -> Report:
        """The same with further figures or pages."""
        return replace(self, plots={**self.plots, **plots})

    def summary(self) -> dict[str, Any]:
        """The content of `summary.json`."""
        return {
            "task": self.task,
            "n": self.n,
            "metrics": dict(self.metrics),
            "units": self.units,
            "per_type": {name: dict(figures) for name, figures in self.per_type.items()},
            "baselines": {"majority": None, "question_only": None, **self.baselines},
            "interval_95": {name: list(ends) for name, ends in self.interval_95.items()},
            "parse_rate": self.parse_rate,
            "model": self.model,
            "data_sha256": self.data_sha256,
            "code_version": code_version(),
            **self.details,
        }

    def write(self, folder: Path) -> list[Path]:
        """Write `summary.json`, `predictions.jsonl` and the plots.

        Returns:
            The files written.

        Raises:
            InputError: the folder cannot be written.
        """
        files = [folder / "summary.json", folder / "predictions.jsonl"]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps(self.summary(), indent=2, ensure_ascii=False)
            files[0].write_text(text + "\n", encoding="utf-8")
            with files[1].open("w", encoding="utf-8") as file:
                file.writelines(
                    json.dumps(row, ensure_ascii=False) + "\n" for row in self.predictions
                )
            for name, draw in self.plots.items():
                draw(folder / name)
                files.append(folder / name)
            if self.done is not None:
                self.done()
        except OSError as error:
            raise InputError(
                f"{folder} cannot be written ({error.strerror}); give another folder with --out."
            ) from error
        return files

    def lines(self) -> list[str]:
        """The figures for a terminal."""
        shown = [f"{self.task}: {self.n} items, {self.model}"]
        for name, value in self.metrics.items():
            ends = self.interval_95.get(name)
            spread = f"  (95 %: {self._text(ends[0])} to {self._text(ends[1])})" if ends else ""
            shown.append(f"  {name:24s} {self._text(value)}{spread}")
        if self.parse_rate < 1:
            shown.append(f"  {'parse_rate':24s} {self.parse_rate:.3f}")
        known = {name: value for name, value in self.baselines.items() if value is not None}
        shown += [f"  {f'baseline {name}':24s} {self._text(v)}" for name, v in known.items()]
        for kind, figures in self.per_type.items():
            if "question_only" in figures:
                title = f"{kind} ({figures['n']})"
                shown.append(
                    f"  {title:24s} {self._text(figures['accuracy'])}; majority "
                    f"{self._text(figures['majority'])}, question only "
                    f"{self._text(figures['question_only'])}"
                )
        return shown

    def _text(self, value: float | int | None) -> str:
        if value is None:
            return "-"
        if isinstance(value, int):
            return str(value)
        return f"{value:.1f} %" if self.units == "percent" else f"{value:.3f}"


def files_sha256(files: Mapping[str, Path]) -> str:
    """One SHA-256 for the data that a score was taken on.

    Args:
        files: name within the data → file.

    Returns:
        Hex digits: of the file itself where there is one; else of the text that `sha256sum` would
        print for the names in sorted order, so that it can be checked without this program.

    Raises:
        InputError: a file cannot be read.
    """
    sums = {name: _sha256(path) for name, path in files.items()}
    if len(sums) == 1:
        return next(iter(sums.values()))
    listing = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))
    return hashlib.sha256(listing.encode()).hexdigest()


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error


def code_version() -> str:
    """Version of this package and, in a checkout, the commit: "0.1.0+g1a8a07f.dirty"."""
    try:
        number = version("terralogue")
    except PackageNotFoundError:
        number = "0"
    if not (_PACKAGE / ".git").exists():
        return number
    command = ["git", "-C", str(_PACKAGE), "describe", "--always", "--dirty=.dirty", "--abbrev=12",
               "--exclude=*"]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return number
    return f"{number}+g{done.stdout.strip()}"


def resamples(n: int, rounds: int = ROUNDS) -> NDArray[np.float32]:
    """How often each of n items is drawn in each round of a bootstrap.

    Returns:
        float32 (rounds, n), rows summing to n; the same for the same n.
    """
    random = np.random.default_rng(0)
    drawn = (np.bincount(random.integers(0, n, n), minlength=n) for _ in range(rounds))
    return np.stack([counts.astype(np.float32) for counts in drawn])


def interval(values: NDArray[np.floating]) -> tuple[float, float]:
    """The middle 95 % of bootstrap values (rounds,), not counting those that are undefined."""
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def model_title(name: str, fingerprint: str) -> str:
    """How a summary names an embedding model."""
    return f"{name} ({fingerprint})"


def share(flags: Iterable[bool]) -> float | None:
    """Share of true flags; None of nothing."""
    listed = list(flags)
    return sum(listed) / len(listed) if listed else None
