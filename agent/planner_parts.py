"""Several wishes in one turn: "map the forest, then count the ships" becomes one ordered plan."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from terralogue.agent.compat import warn
from terralogue.agent.plan import Plan, ToolCall

# Words between two wishes, in the six languages; "forest and water" has none of the verbs.
_ASKS: Final = (
    r"(?:how (?:much|many|big)|what|which|count|tot up|map|measure|outline|compute|calculate|give|"
    r"tell|show|export|save|put|write|find|describe|wie viele?|zähle?|miss|speicher\w*|combien|"
    r"compte|mesure|exporte|cuenta|cuánt\w+|guárda\w*|mide|conta|quant\w+|salva|exporta|mede)\b"
)
_BETWEEN: Final = re.compile(
    rf"\s*(?:;|,?\s*\b(?:and then|then|plus|und dann|dann|puis|et puis|luego|depois|poi)\b|"
    rf",?\s*\b(?:and|und|et|y|e)\b(?=\s+{_ASKS})|,(?=\s+{_ASKS}))\s*",
    re.IGNORECASE,
)
MOST: Final = 3
# Results that a further wish may add to the first; an export needs the result itself.
_ADDED: Final = frozenset({
    "segment", "detect_objects", "compute_index", "zonal_statistics", "detect_change",
    "time_series",
})  # fmt: skip
_LATER: Final = (
    "Saving comes after measuring: ask for the file once the result is there, such as "
    '"save it as GeoJSON".'
)


def wishes(text: str) -> list[str]:
    """The parts of a turn that each ask for something, in their order; at most three."""
    parts = [part.strip() for part in _BETWEEN.split(text)]
    return [part for part in parts if len(part.split()) > 1][:MOST]


def with_others(plan: Plan, text: str, plan_part: Callable[[str], Plan]) -> Plan:
    """A plan of measurements with those that the other wishes of the turn ask for.

    Args:
        plan: of the whole turn.
        text: the turn.
        plan_part: plans one wish alone.
    """
    parts = wishes(text)
    if plan.route != "tools" or len(parts) < 2 or plan.calls[0].tool not in _ADDED:
        return plan
    others = [plan_part(part) for part in parts]
    calls: list[ToolCall] = list(plan.calls)
    said = [plan.interpretation]
    for other in others:
        new = [call for call in other.calls if call.tool in _ADDED and call not in calls]
        if other.route == "tools" and new:
            calls += new
            said.append(other.interpretation)
    merged = plan.model_copy(update={"calls": tuple(calls), "interpretation": "; then ".join(said)})
    wants_file = any(
        other.route == "clarify" and other.interpretation.startswith("Export") for other in others
    )
    return warn(merged, _LATER) if wants_file else merged
