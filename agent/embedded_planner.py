"""The default planner: offline, deterministic, milliseconds.

Trained heads (`planner_heads.py`) weigh the acts that words and inputs may mean; each likely act
fills its template with the slots of the question and of the turns before it, and the inputs are
checked; the heads then choose among the plans that came out (`planner_choice.py`). Where none is
sure, the person is asked which one is meant. Names and metadata of scenes are never read for
meaning: only their sensor, bands, date and georeference are.
"""

from __future__ import annotations

from typing import Final

from terralogue.agent.advising import advice
from terralogue.agent.compat import check
from terralogue.agent.corrections import chosen
from terralogue.agent.plan import Inputs, Plan
from terralogue.agent.planner_choice import candidates, choose, weigh
from terralogue.agent.planner_heads import Heads, shipped
from terralogue.agent.planner_parts import with_others
from terralogue.agent.questions import read

NAME: Final = "embedded: trained heads on MiniLM and the inputs, and a target lexicon"


class EmbeddedPlanner:
    """Trained heads, a target lexicon, and what the inputs support."""

    def __init__(self, heads: Heads | None = None) -> None:
        """Take heads, or those that ship with the package."""
        self._heads = heads

    def plan(self, question: str, inputs: Inputs) -> Plan:
        """Decide what to do; see `terralogue.agent.planner.Planner`."""
        said = chosen(question)
        plan = with_others(self._one(said, inputs), said, lambda part: self._one(part, inputs))
        return plan.model_copy(update={"planner": NAME})

    def _one(self, question: str, inputs: Inputs) -> Plan:
        asked = read(question)
        if (plan := advice(asked, inputs)) is not None:
            return check(plan, inputs)
        heads = self._heads or shipped()
        found, outcomes = candidates(asked, inputs, heads)
        return choose(weigh(found, outcomes, heads.decision), heads.decision)
