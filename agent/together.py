"""Several things in one wish: "find every tank and plane" counts both, in their order."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import Final

from terralogue.agent import compat
from terralogue.agent.lexicon import COUNTABLE, plain_noun
from terralogue.agent.plan import Plan
from terralogue.agent.questions import Question
from terralogue.agent.templates import plan_for
from terralogue.agent.wanted import Wanted
from terralogue.agent.words import fold, word_set

MOST: Final = 4
_ACTS: Final = frozenset({"measure", "count", "change"})
_JOINS: Final = word_set("and plus the all every each of as well both total area single a")
_JOINED: Final = word_set("and plus")


def with_companions(plan: Plan, wanted: Wanted) -> Plan:
    """A plan for one target with the same for those that the words join to it.

    What the inputs do not allow is left out, and a warning says so.

    Args:
        plan: checked, for the wish.
        wanted: the wish.
    """
    if plan.route != "tools" or wanted.act not in _ACTS or len(plan.calls) != 1:
        return plan
    for target in companions(wanted.question, wanted.target):
        if wanted.act == "count" and target not in COUNTABLE:
            continue
        other = compat.check(plan_for(replace(wanted, target=target)), wanted.inputs)
        if other.route == "tools":
            said = f"{plan.interpretation}; and {plain_noun(target)} likewise"
            plan = plan.model_copy(
                update={"calls": (*plan.calls, *other.calls), "interpretation": said}
            )
        else:
            why = other.message or other.question or ""
            plan = compat.warn(plan, f"Left out: {plain_noun(target)}. {why}".strip())
    return plan


def companions(question: Question, target: str | None) -> list[str]:
    """Targets that the words join to one: "forest, water and meadow"; at most three."""
    groups: list[list[str]] = []
    for before, mention in itertools.pairwise([None, *question.mentions]):
        assert mention is not None
        joined = before is not None and _joined(question, before.stop, mention.start)
        if joined:
            groups[-1].append(mention.target)
        else:
            groups.append([mention.target])
    group = next((names for names in groups if target in names), [])
    return [name for name in dict.fromkeys(group) if name != target][: MOST - 1]


def _joined(question: Question, stop: int, start: int) -> bool:
    between = question.tokens[stop:start]
    if between:
        return set(between) <= _JOINS and bool(_JOINED & set(between))
    # A comma is lost with the folding: "wood, water and meadow".
    first, second = question.tokens[stop - 1], question.tokens[start]
    commas = [fold(part).split() for part in re.split(r",", question.text)]
    return any(
        left[-1:] == [first] and right[:1] == [second] for left, right in itertools.pairwise(commas)
    )
