"""The default planner: offline, deterministic, milliseconds.

Words give an act (`acts.py`) and slots (`slots.py`), history completes them;
the inputs weigh in and decide the plan (`templates.py`). Names and metadata of scenes are never
read for meaning: only their sensor, bands, date and georeference are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from terralogue.agent import compat
from terralogue.agent.acts import act_model
from terralogue.agent.plan import Inputs, Plan
from terralogue.agent.questions import Question, read
from terralogue.agent.slots import understand
from terralogue.agent.templates import plan_for

NAME: Final = "embedded: nearest labelled examples on MiniLM, and a target lexicon"


class EmbeddedPlanner:
    """Nearest labelled examples, a target lexicon, and what the inputs support."""

    def plan(self, question: str, inputs: Inputs) -> Plan:
        """Decide what to do; see `terralogue.agent.planner.Planner`."""
        wanted = understand(read(question), inputs, acts)
        plan = compat.check(plan_for(wanted), inputs)
        return plan.model_copy(update={"planner": NAME})


def acts(question: Question, inputs: Inputs) -> dict[str, float]:
    """Score of every act for a question with these inputs, the likeliest first."""
    model = act_model()
    scores = dict(zip(model.acts, map(float, model.scores([question])[0]), strict=True))
    for act, shift in _shifts(question, inputs).items():
        scores[act] += shift
    return dict(sorted(scores.items(), key=lambda item: -item[1]))


def _shifts(question: Question, inputs: Inputs) -> Mapping[str, float]:
    """How what is there makes an act likelier or less likely."""
    shifts: dict[str, float] = {}

    def add(amount: float, *names: str) -> None:
        for name in names:
            shifts[name] = shifts.get(name, 0.0) + amount

    if inputs.history:
        add(0.15, "repeat", "explain", "export")
    else:
        add(-0.3, "repeat")
        add(-0.15, "explain")
    if not inputs.scenes:
        add(0.2, "catalog")
        add(0.2 if inputs.archive else 0.0, "archive", "archive_changes")
        add(-0.2, "look", "measure", "count", "index", "zonal", "point", "metadata", "coords")
    if len(inputs.scenes) == 1 and not {"change", "between", "worse"} & question.cues:
        add(-0.15, "change", "look_change")
    if len(inputs.scenes) < 3 and not {"series", "change", "between", "worse"} & question.cues:
        add(-0.15, "series")
    if len(inputs.scenes) == 2:
        add(0.1, "change", "look_change")
    if len(inputs.scenes) > 2:
        add(0.15, "series")
    # These two need their own words; without them a likeness is by chance.
    for name in ("metadata", "coords"):
        if name not in question.cues:
            add(-0.3, name)
    if inputs.point is not None and "click" in question.cues:
        add(0.15, "point")
    return shifts
