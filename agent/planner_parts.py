"""Several wishes in one turn: "map the forest, then count the ships" becomes one ordered plan."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from terralogue.agent.compat import EXPORT_FORMATS, warn
from terralogue.agent.plan import Plan, ToolCall, result_of
from terralogue.agent.questions import read
from terralogue.agent.templates import file_format
from terralogue.agent.words import word_set

# Words between two wishes, in the six languages; "forest and water" has none of the verbs.
_ASKS: Final = (
    r"(?:how \w+|what|which|count|tot up|map|measure|outline|compute|calculate|give|"
    r"tell|show|export|save|put|write|find|describe|wie viele?|zähle?|miss|speicher\w*|combien|"
    r"compte|mesure|exporte|cuenta|cuánt\w+|guárda\w*|mide|conta|quant\w+|salva|exporta|mede)\b"
)
_BETWEEN: Final = re.compile(
    rf"\s*(?:;|,?\s*\b(?:and then|then|plus|und dann|dann|puis|et puis|luego|depois|poi)\b|"
    rf",?\s*\b(?:and|und|et|y|e)\b(?=\s+{_ASKS})|,(?=\s+{_ASKS}))\s*",
    re.IGNORECASE,
)
MOST: Final = 3
# Measurements that a further wish may add to the first; a file of each may be wanted too.
_ADDED: Final = frozenset({
    "segment", "segment_at_point", "detect_objects", "compute_index", "zonal_statistics",
    "detect_change", "time_series",
})  # fmt: skip
_HOW: Final = re.compile(r"\b(model|method|sure|certain|reliable|confident)\b")
_NO_FILE: Final = frozenset({"zonal_statistics"})
# Formats that are asked for by name wherever they stand; a "table" may be one to read.
_FILES: Final = word_set(
    "geojson shapefile geopackage gpkg csv excel spreadsheet geotiff cog tiff kml qgis arcgis"
)


def wishes(text: str) -> list[str]:
    """The parts of a turn that each ask for something, in their order; at most three."""
    parts = [part.strip() for part in _BETWEEN.split(text)]
    return [part for part in parts if len(part.split()) > 1][:MOST]


def with_others(plan: Plan, text: str, plan_part: Callable[[str], Plan]) -> Plan:
    """A plan of measurements with what the other wishes of the turn ask for, files last.

    Args:
        plan: of the whole turn.
        text: the turn.
        plan_part: plans one wish alone.
    """
    parts = wishes(text)
    others = [(part, plan_part(part)) for part in parts] if len(parts) > 1 else []
    if plan.route == "refuse" and plan.reason != "unsafe":
        return _possible(plan, others)
    if plan.route != "tools" or plan.calls[0].tool not in _ADDED:
        return plan
    calls: list[ToolCall] = list(plan.calls)
    said = [plan.interpretation]
    for part, other in others:
        new = [call for call in other.calls if call.tool in _ADDED and call not in calls]
        if other.route == "tools" and new:
            calls += new
            said.append(other.interpretation)
        elif other.route in ("answer", "refuse") and not _is_told_anyway(part, other, plan):
            plan = warn(plan, _left_out(part, other))
    merged = plan.model_copy(update={"calls": tuple(calls), "interpretation": "; then ".join(said)})
    saved = [part for part, other in others if _saves(part, other)]
    words = read(text).tokens if not saved else read(saved[0]).tokens
    if saved or _FILES & set(words):
        return _with_files(merged, file_format(words))
    return merged


def _possible(plan: Plan, others: Sequence[tuple[str, Plan]]) -> Plan:
    """Of a turn that is declined as a whole, its first wish, where that can be met alone."""
    if not others or others[0][1].route not in ("answer", "tools"):
        return plan
    first = others[0][1]
    for part, other in others[1:]:
        if other.route == "refuse":
            first = warn(first, _left_out(part, other))
    return first if first.warnings else plan


def _left_out(part: str, plan: Plan) -> str:
    """What is said of a wish that was not met in this turn."""
    if plan.route == "refuse":
        return f'Left out: "{part}". {plan.message or ""}'.strip()
    return f'Left out: "{part}"; ask it by itself to have the picture looked at.'


def _is_told_anyway(part: str, other: Plan, plan: Plan) -> bool:
    """Whether a part asks for what the answer holds: a file, the same thing, method or doubt."""
    question = read(part)
    same = other.target is not None and other.target == plan.target
    asks_how = "why" in question.cues or _HOW.search(question.english) is not None
    return _saves(part, other) or same or asks_how


def _saves(part: str, plan: Plan) -> bool:
    """Whether a part of a turn asks for a file of what the other parts measure."""
    if [call.tool for call in plan.calls] == ["export"] or plan.interpretation.startswith("Export"):
        return True
    question = read(part)
    return file_format(question.tokens) is not None and not question.mentions and not plan.calls


def _with_files(plan: Plan, form: str | None) -> Plan:
    """The plan with one export for every measurement that leaves a file."""
    form = form or "cog"
    if form not in EXPORT_FORMATS:
        return warn(plan, f"A {form} cannot be written here; {', '.join(EXPORT_FORMATS)} can.")
    exports = [
        ToolCall(tool="export", arguments={"artefact": result_of(number), "format": form})
        for number, call in enumerate(plan.calls, start=1)
        if call.tool not in _NO_FILE
    ]
    if not exports:
        return warn(plan, "Statistics of a region leave no file that could be saved.")
    text = f"{plan.interpretation}; then export the result as {form}"
    return plan.model_copy(update={"calls": (*plan.calls, *exports), "interpretation": text})
