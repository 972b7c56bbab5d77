"""Plan many queries in one process, from JSON lines with declared inputs.

    terralogue ask --batch queries.jsonl --dry-run

A line: `{"id", "query", "history": [{"role", "content"}], "inputs": {"scenes": [{"sensor",
"georeferenced", "date"}], "archive", "point", "region"}}`. `point` and `region` may be given
(`[x, y]`, GeoJSON) or only declared (`true`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from terralogue.agent.plan import Inputs, Plan, SceneFacts, Turn
from terralogue.agent.planner import DEFAULT, Planner, get_planner
from terralogue.datasets.errors import EOError, InputError

# Stand-ins for marks that are declared but not given; they never leave this file.
_SOME_POINT: Final = (0.0, 0.0)
_SOME_REGION: Final[dict[str, Any]] = {"type": "FeatureCollection", "features": []}


def plan_batch(path: str | Path, planner: str | Planner = DEFAULT) -> Iterator[dict[str, Any]]:
    """Plan every line of a file.

    Args:
        path: JSON lines, see the module.
        planner: a planner, or the name of one.

    Yields:
        One JSON-compatible object per line, in order: the `id` and the fields of
        `ask --json --dry-run`. A line that cannot be planned gives `{"id", "error"}`.

    Raises:
        InputError: the file cannot be read, or the planner is unknown.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as JSON lines: {error}.") from error
    chosen = get_planner(planner) if isinstance(planner, str) else planner
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _planned(line, f"{path} line {number}", chosen)


def _planned(line: str, where: str, planner: Planner) -> dict[str, Any]:
    row: Any = None
    try:
        row = json.loads(line)
        question, inputs = read_item(row, where)
        plan = planner.plan(question, inputs)
    except json.JSONDecodeError as error:
        return {"id": None, "error": f"{where} is not JSON: {error.msg}."}
    except EOError as error:
        return {"id": row.get("id") if isinstance(row, dict) else None, "error": str(error)}
    declared = row.get("inputs") or {}
    return {"id": row.get("id"), **as_dict(question, _without_stand_ins(plan, declared))}


def read_item(row: Any, where: str = "item") -> tuple[str, Inputs]:
    """Question and inputs of one item.

    Raises:
        InputError: the item is not in the schema; `where` names it.
    """
    if not isinstance(row, dict) or not isinstance(row.get("query"), str):
        raise InputError(f'{where} has no "query" text; write {{"id": …, "query": "…", …}}.')
    try:
        return row["query"], _inputs(row)
    except (ValidationError, TypeError, AttributeError) as error:
        detail = str(error).splitlines()[0]
        raise InputError(f"{where} does not follow the schema: {detail}.") from error


def _inputs(row: Mapping[str, Any]) -> Inputs:
    declared: Mapping[str, Any] = row.get("inputs") or {}
    scenes = []
    for number, scene in enumerate(declared.get("scenes") or (), start=1):
        known = {k: v for k, v in scene.items() if k in SceneFacts.model_fields}
        scenes.append(SceneFacts(**{"id": f"scene{number}", **known}))
    point, region = declared.get("point"), declared.get("region")
    return Inputs(
        scenes=tuple(scenes),
        archive=bool(declared.get("archive")),
        point=_SOME_POINT if point is True else point or None,
        region=_SOME_REGION if region is True else region or None,
        history=tuple(Turn(**turn) for turn in row.get("history") or ()),
    )


def _without_stand_ins(plan: Plan, declared: Mapping[str, Any]) -> Plan:
    """Leave out marks that were only declared."""
    drop = {"region"} if declared.get("region") is True else set()
    drop |= {"x", "y"} if declared.get("point") is True else set()
    calls = tuple(
        call.model_copy(
            update={"arguments": {k: v for k, v in call.arguments.items() if k not in drop}}
        )
        for call in plan.calls
    )
    return plan.model_copy(update={"calls": calls})


def as_dict(question: str, plan: Plan) -> dict[str, Any]:
    """A plan with the field names of `ask --json --dry-run`."""
    return {
        "question": question,
        "interpretation": plan.interpretation,
        "route": plan.route,
        "plan": [call.model_dump(mode="json") for call in plan.calls],
        "answer": plan.question or plan.message or "",
        "target": plan.target,
        "missing_slot": plan.missing_slot,
        "reason": plan.reason,
        "options": list(plan.options),
        "alternatives": list(plan.alternatives),
        "warnings": list(plan.warnings),
        "confidence": plan.confidence,
    }
