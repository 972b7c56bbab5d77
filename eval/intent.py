"""How well a planner understands vague questions: route, tool, target, over-calling, clarifying.

    terralogue eval intent --data vague/test.jsonl [--model PLANNER] [--misses] [--words-only]
    python -m terralogue.eval.intent --data vague/sample.jsonl [--planner SPEC] [--misses]

The second form prints bare figures and writes nothing. An item declares its inputs and carries
`gold` with acceptable routes, tools and targets. Only `query`, `history` and `inputs` reach the
planner.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from terralogue.agent.batch import plan_batch
from terralogue.agent.planner import DEFAULT, Planner
from terralogue.datasets.errors import EOError, InputError
from terralogue.eval.reliability import calibration_error
from terralogue.eval.summary import Report, files_sha256, share
from terralogue.vlm.cross_validation import wilson

ROUTES: Final = ("answer", "tools", "clarify", "refuse")
_TARGETED: Final = frozenset({"segment", "detect_change", "detect_objects", "time_series"})
_INDEXED: Final = frozenset({"compute_index", "zonal_statistics"})


@dataclass(frozen=True)
class Scored:
    """One item with its prediction, and how long that took in seconds.

    A prediction that failed has route None.
    """

    item: Mapping[str, Any]
    predicted: Mapping[str, Any]
    seconds: float = 0.0

    @property
    def gold(self) -> Mapping[str, Any]:
        """The author's judgement."""
        gold: Mapping[str, Any] = self.item["gold"]
        return gold

    @property
    def route(self) -> str | None:
        """Predicted route."""
        return self.predicted.get("route")

    @property
    def tool(self) -> str | None:
        """The first planned tool."""
        plan = self.predicted.get("plan") or ()
        return plan[0]["tool"] if plan else None

    @property
    def right_route(self) -> bool:
        """Whether the route is acceptable."""
        return self.route in self.gold["acceptable_routes"]

    @property
    def right_tool(self) -> bool:
        """Whether the first tool is acceptable."""
        return self.tool in self.gold["acceptable_tools"]

    @property
    def right_target(self) -> bool:
        """Whether target or quantity is acceptable; a missing target of a change is "any"."""
        arguments = self.predicted["plan"][0]["arguments"]
        if self.tool == "time_series":
            wanted = (*self.gold["acceptable_targets"], *self.gold["acceptable_indices"])
            return arguments.get("quantity") in wanted
        target = arguments.get("target") or ("any" if self.tool == "detect_change" else None)
        return target in self.gold["acceptable_targets"]


def macro_f1(scored: Sequence[Scored]) -> float:
    """Unweighted mean of the routes' F1; an acceptable route counts as the gold one."""
    pairs = [(s.route, s.route if s.right_route else s.gold["route"]) for s in scored]
    values = []
    for route in ROUTES:
        hits = sum(p == g == route for p, g in pairs)
        total = sum(p == route for p, _ in pairs) + sum(g == route for _, g in pairs)
        values.append(2 * hits / total if total else 0.0)
    return sum(values) / len(values)


def pair_accuracy(scored: Sequence[Scored]) -> tuple[float | None, int]:
    """Share of pairs (same words, other inputs) with both routes right, and how many there are."""
    groups: dict[str, list[Scored]] = defaultdict(list)
    for s in scored:
        groups[json.dumps([s.item["query"], s.item.get("history") or []])].append(s)
    pairs = [group for group in groups.values() if len(group) == 2]
    return share([all(s.right_route for s in pair) for pair in pairs]), len(pairs)


def _answers(scored: Sequence[Scored]) -> dict[str, list[bool]]:
    """What each share is taken of: one flag for each item that bears on it."""
    with_tool = [s for s in scored if s.gold["route"] == "tools" and s.route == "tools"]
    right_tool = [s for s in with_tool if s.right_tool]
    unclear = [s for s in scored if s.gold["route"] == "clarify"]
    return {
        "route_accuracy": [s.right_route for s in scored],
        "tool_accuracy": [s.right_tool for s in with_tool],
        "target_accuracy": [
            s.right_target
            for s in right_tool
            if s.tool in _TARGETED
            and (s.gold["acceptable_targets"] or s.gold["acceptable_indices"])
        ],
        "over_calling": [
            s.route == "tools"
            for s in scored
            if s.gold["route"] != "tools" and "tools" not in s.gold["acceptable_routes"]
        ],
        "clarify_precision": [s.right_route for s in scored if s.route == "clarify"],
        "clarify_recall": [s.route == "clarify" for s in unclear],
        "index_accuracy": [
            s.predicted["plan"][0]["arguments"].get("index") in s.gold["acceptable_indices"]
            for s in right_tool
            if s.gold["acceptable_indices"] and s.tool in _INDEXED
        ],
        "missing_slot_accuracy": [
            s.predicted.get("missing_slot") == s.gold["missing_slot"]
            for s in unclear
            if s.route == "clarify"
        ],
        "reason_accuracy": [
            s.predicted.get("reason") == s.gold["reason"]
            for s in scored
            if s.gold["route"] == s.route == "refuse"
        ],
    }


def metrics(scored: Sequence[Scored]) -> dict[str, float | int | None]:
    """All figures; None where no item bears on a figure."""
    answers = _answers(scored)
    pairs, n_pairs = pair_accuracy(scored)
    return {
        "n": len(scored),
        **{name: share(flags) for name, flags in answers.items()},
        "macro_f1": macro_f1(scored),
        "tool_n": len(answers["tool_accuracy"]),
        "target_n": len(answers["target_accuracy"]),
        "pair_accuracy": pairs,
        "pairs": n_pairs,
        "calibration_error": _calibration(scored),
    }


def _calibration(scored: Sequence[Scored]) -> float | None:
    """Expected calibration error of the confidence that the route is right."""
    sure = [s for s in scored if s.predicted.get("confidence") is not None]
    confidence = np.array([s.predicted["confidence"] for s in sure], np.float64)
    return calibration_error(confidence, np.array([s.right_route for s in sure], np.bool_))


def latency(scored: Sequence[Scored]) -> dict[str, float]:
    """Milliseconds per plan once the planner is warm, that is after the first."""
    warm = [1000 * s.seconds for s in scored[1:]] or [0.0]
    return {"median": float(np.median(warm)), "p95": float(np.quantile(warm, 0.95))}


def baselines(items: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Route accuracy of planners that do not read: always one route."""
    return {
        f"always_{route}": sum(route in i["gold"]["acceptable_routes"] for i in items) / len(items)
        for route in ROUTES
    }


def by(
    scored: Sequence[Scored], key: Callable[[Scored], str]
) -> dict[str, tuple[float | None, int]]:
    """Route accuracy and number of items by a property of the item."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for s in scored:
        groups[key(s)].append(s.right_route)
    return {name: (share(flags), len(flags)) for name, flags in sorted(groups.items())}


def evaluate(
    path: str | Path,
    planner: str | Planner = DEFAULT,
    limit: int | None = None,
    *,
    words_only: bool = False,
) -> list[Scored]:
    """Plan the items of a file, the first `limit` of them, and put each beside its gold.

    With `words_only` every item is planned as if one Sentinel-2 scene were all there is.

    Raises:
        InputError: the file is missing, empty or without gold; or the planner is unknown.
    """
    with tempfile.TemporaryDirectory() as folder:
        planned = _without_inputs(Path(path), Path(folder)) if words_only else path
        predictions = list(_timed(islice(plan_batch(planned, planner), limit)))
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    items = [json.loads(line) for line in islice(filter(str.strip, lines), limit)]
    if not items or any("gold" not in item for item in items):
        raise InputError(f"{path} holds no items with gold; see the schema in this module.")
    return [Scored(item, *p) for item, p in zip(items, predictions, strict=True)]


def _without_inputs(path: Path, folder: Path) -> Path:
    """A copy of the items in which the inputs are the same everywhere."""
    if not path.is_file():
        raise InputError(f"{path} does not exist; give --data a file of items with gold.")
    same = {"scenes": [{"sensor": "sentinel2", "georeferenced": True, "date": "2022-06-01"}]}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    lines = [json.dumps({**row, "inputs": same}) for row in rows]
    copy = folder / "words.jsonl"
    copy.write_text("\n".join(lines), encoding="utf-8")
    return copy


def _timed(plans: Iterable[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], float]]:
    start = time.perf_counter()
    for plan in plans:
        yield plan, time.perf_counter() - start
        start = time.perf_counter()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this task beside those of every task."""
    add = parser.add_argument
    add("--model", "--planner", metavar="SPEC", default=DEFAULT, help="planner: embedded "
        "(default), hf:<repo or folder>, or openai:<base url>#<model>")  # fmt: skip
    add("--misses", action="store_true", help="list what went wrong on stderr")
    add("--words-only", action="store_true", help="ablation: plan as if every item had the same "
        "single scene")  # fmt: skip


def run(options: argparse.Namespace) -> Report:
    """Score the planner that the options name.

    Raises:
        InputError: see `evaluate`.
    """
    scored = evaluate(options.data, options.model, options.limit, words_only=options.words_only)
    if options.misses:
        sys.stderr.writelines(f"{_describe(s)}\n" for s in scored if _is_miss(s))
    always = baselines([s.item for s in scored])
    return Report(
        task="intent",
        n=len(scored),
        metrics={name: value for name, value in metrics(scored).items() if name != "n"},
        units="share",
        model=options.model,
        data_sha256=files_sha256({options.data.name: options.data}),
        predictions=[_row(s) for s in scored],
        per_type=_per_type(scored),
        details={"plan_ms": latency(scored)},
        baselines={"majority": max(always.values()), **always},
        interval_95={
            name: wilson(sum(flags) / len(flags), len(flags))
            for name, flags in _answers(scored).items()
            if flags
        },
        parse_rate=sum(s.route is not None for s in scored) / len(scored),
    )


# What figures are broken down by: prefix of the name → property of an item.
_GROUPS: Final[dict[str, Callable[[Scored], Any]]] = {
    "": lambda s: s.item.get("vagueness"),
    "language ": lambda s: s.item.get("language"),
    "reason ": lambda s: s.gold["reason"],
    "missing slot ": lambda s: s.gold["missing_slot"],
}


def _per_type(scored: Sequence[Scored]) -> dict[str, dict[str, float | int | None]]:
    """Route accuracy and number of items of every group."""
    found: dict[str, dict[str, float | int | None]] = {}
    for prefix, key in _GROUPS.items():
        having = [s for s in scored if key(s) is not None]
        for name, (value, n) in by(having, key).items():
            found[f"{prefix}{name}"] = {"n": n, "route_accuracy": value}
    return found


def _row(s: Scored) -> dict[str, Any]:
    parsed = {
        "route": s.route,
        "tool": s.tool,
        "missing_slot": s.predicted.get("missing_slot"),
        "reason": s.predicted.get("reason"),
    }
    return {
        "id": s.item.get("id"),
        "prediction_raw": dict(s.predicted),
        "prediction_parsed": parsed,
        "gold": dict(s.gold),
        "correct": s.right_route,
    }


def _describe(s: Scored) -> str:
    def short(route: Any, tool: Any, target: Any, slot: Any, reason: Any) -> str:
        return "/".join(str(part) for part in (route, tool, target, slot, reason) if part)

    arguments = (s.predicted.get("plan") or [{}])[0].get("arguments", {})
    got = short(
        s.route,
        s.tool,
        arguments.get("target") or arguments.get("quantity") or arguments.get("index"),
        s.predicted.get("missing_slot"),
        s.predicted.get("reason"),
    )
    g = s.gold
    wanted = short(g["route"], g["tool"], g["target"], g["missing_slot"], g["reason"])
    return f"{s.item['id']}  {s.item['query']!r}: {got}, gold {wanted}"


def _is_miss(s: Scored) -> bool:
    if not s.right_route:
        return True
    if s.route != "tools" or s.gold["route"] != "tools":
        return False
    if not s.right_tool:
        return True
    return bool(s.gold["acceptable_targets"]) and s.tool in _TARGETED and not s.right_target


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures as JSON; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m terralogue.eval.intent", description="Score a planner on vague questions."
    )
    parser.add_argument("--data", required=True, type=Path, help="items with gold, JSON lines")
    parser.add_argument(
        "--planner",
        default=DEFAULT,
        help="embedded, hf:<repo or folder>, or openai:<base url>#<model>",
    )
    parser.add_argument("--misses", action="store_true", help="list every item that went wrong")
    options = parser.parse_args(arguments)
    try:
        scored = evaluate(options.data, options.planner)
    except EOError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    report = {
        "metrics": metrics(scored),
        "baselines": baselines([s.item for s in scored]),
        "by_vagueness": by(scored, lambda s: str(s.item.get("vagueness"))),
        "by_language": by(scored, lambda s: str(s.item.get("language"))),
        "plan_ms": latency(scored),
    }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    if options.misses:
        sys.stdout.writelines(f"{_describe(s)}\n" for s in scored if _is_miss(s))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
