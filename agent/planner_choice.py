"""Candidate plans for a question, weighed by the trained heads; a question where none is sure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from terralogue.agent import compat
from terralogue.agent.corrections import MEANT
from terralogue.agent.lexicon import COUNTABLE, ENGLISH_NOUN
from terralogue.agent.plan import Inputs, Plan
from terralogue.agent.planner_features import Asked
from terralogue.agent.planner_heads import Decision, Heads
from terralogue.agent.questions import Question
from terralogue.agent.slots import completed, understand
from terralogue.agent.targets import related
from terralogue.agent.templates import plan_for
from terralogue.agent.together import with_companions
from terralogue.agent.wanted import Wanted

# In the six languages; what the rough translation leaves as it was typed.
_PART: Final = re.compile(
    r"\b(?:(?:(?:north|south|east|west)(?:ern)?|upper|lower|left|right|top|bottom)[ -]?(?:hand )?"
    r"(?:half|third|quarter|part|corner)"
    r"|(?:nord|sud|ost|west|ober|unter|link|recht)\w* ?(?:halfte|drittel|viertel|teil|ecke)"
    r"|(?:moitie|partie|mitad|parte|metade|meta|share) (?:\w+ )?(?:nord|norte|sud|sur|sul|est|este|"
    r"leste|ouest|oeste|ovest|gauche|droite|izquierda|derecha|esquerda|direita|sinistra|destra|"
    r"superior\w*|inferior\w*))\b"
)
# What a reply to that question may lift it with.
_WHOLE: Final = re.compile(r"\b(whole|entire|everything|everywhere|all of it|complete|ganze\w*)\b")
# Acts less likely than this, or beyond so many, are not tried.
LEAST: Final = 0.01
MOST: Final = 8
_FLOOR: Final = 1e-3
# Other readings that are offered beside a plan, and how many near targets are thought of.
ALTERNATIVES: Final = 3
NEAR: Final = 2
_NOUNS: Final = {
    **ENGLISH_NOUN, "flooded_area": "flooded land", "burned_area": "burned land",
    "built_up": "built-up land", "cloud": "clouds",
}  # fmt: skip
_TARGETED: Final = frozenset({"measure", "count", "change", "series"})
_OPTIONS: Final = {
    "look": "describe what the image shows",
    "look_change": "describe in words what changed",
    "explain": "explain the earlier result",
    "metadata": "say which sensor and date it is",
    "measure": "measure the area of {noun}",
    "count": "count the {noun}",
    "index": "compute {index}",
    "change": "map the change of {noun} between two dates",
    "series": "follow {noun} over all dates",
    "zonal": "statistics inside the drawn region",
    "point": "outline the clicked thing",
    "archive": "search the archive for similar scenes",
    "archive_changes": "search the archive for changes",
    "catalog": "find satellite scenes of a place",
    "export": "export the earlier result",
    "coords": "give coordinates or lengths",
}


@dataclass(frozen=True)
class Candidate:
    """A checked plan, the act it came from, and how likely the heads hold it to be."""

    plan: Plan
    wanted: Wanted
    score: float


def outcome_of(plan: Plan) -> str:
    """Route, with the first tool, the missing slot or the reason: "tools:segment"."""
    detail = plan.calls[0].tool if plan.calls else plan.missing_slot or plan.reason
    return f"{plan.route}:{detail}" if detail else plan.route


def candidates(
    question: Question, inputs: Inputs, heads: Heads
) -> tuple[list[tuple[Candidate, float]], dict[str, float]]:
    """Plans of the likelier acts.

    Returns:
        Each with the probability of its act as score and that probability again, the likeliest
        first; and the probabilities of outcomes.
    """
    memo: dict[tuple[str, bool], tuple[dict[str, float], dict[str, float]]] = {}

    def judged(of: Question, given: Inputs) -> tuple[dict[str, float], dict[str, float]]:
        key = (of.text, given is inputs)
        if key not in memo:
            memo[key] = heads.judge([Asked(of, given)])[0]
        return memo[key]

    likely, outcomes = judged(completed(question, inputs), inputs)
    found: list[tuple[Candidate, float]] = []
    for act, probability in list(likely.items())[:MOST]:
        if probability < LEAST and found:
            break

        def only(of: Question, given: Inputs, act: str = act) -> dict[str, float]:
            return {act: 1.0} if given is inputs else judged(of, given)[0]

        wanted = understand(question, inputs, only)
        plan = compat.check(_with_region(plan_for(wanted), wanted), inputs)
        found.append((Candidate(plan, wanted, probability), probability))
    return found, outcomes


def _with_region(plan: Plan, wanted: Wanted) -> Plan:
    """A question where the words refer to a drawn region, or to a part, and none has arrived."""
    if plan.route != "tools" or wanted.inputs.region is not None:
        return plan
    if wanted.asks_region:
        return compat.ask(plan, "region", "No region has arrived: draw the area that is meant.")
    if _PART.search(wanted.question.english) and not _WHOLE.search(wanted.question.english):
        return compat.ask(
            plan, "region",
            "A part of a scene cannot be measured from words: give it as a region, or ask again "
            "without it for the whole.",
        )  # fmt: skip
    return plan


def weigh(
    found: Sequence[tuple[Candidate, float]], outcomes: dict[str, float], decision: Decision
) -> list[Candidate]:
    """The candidates, one for each outcome, with shares that sum to one, the likeliest first."""
    mass: dict[str, float] = defaultdict(float)
    first: dict[str, Candidate] = {}
    for candidate, probability in found:
        name = outcome_of(candidate.plan)
        mass[name] += probability
        first.setdefault(name, candidate)
    names = list(first)
    logits = np.array([
        np.log(mass[name] + _FLOOR)
        + decision.outcome_weight * np.log(outcomes.get(name, 0.0) + _FLOOR)
        for name in names
    ])  # fmt: skip
    grown = np.exp((logits - logits.max()) / decision.temperature)
    shares = grown / grown.sum()
    order = np.argsort(-shares, kind="stable")
    return [replace(first[names[i]], score=float(shares[i])) for i in order]


def choose(ranked: Sequence[Candidate], decision: Decision) -> Plan:
    """The likeliest plan with its confidence, or a question with options where none is sure.

    The confidence is the share of all candidates with the same route. Beside the plan come other
    readings, to be chosen as a correction.
    """
    best = ranked[0]
    sure = sum(c.score for c in ranked if c.plan.route == best.plan.route)
    if sure < decision.ask_below and best.plan.route != "clarify":
        options = _options(ranked)
        if len(options) > 1:
            asked = compat.ask(best.plan, "intent", "Which of these is meant?", options)
            return asked.model_copy(
                update={"interpretation": "Not clear yet what is wanted", "confidence": None}
            )
    more = () if best.plan.route == "clarify" else _alternatives(ranked)
    plan = with_companions(best.plan, best.wanted)
    return plan.model_copy(update={"confidence": round(min(sure, 1.0), 3), "alternatives": more})


def _options(ranked: Sequence[Candidate]) -> tuple[str, ...]:
    """Up to four concrete wishes, each in words that can be sent as they are."""
    found = [text for candidate in ranked if (text := _wish(candidate.wanted))]
    return tuple(dict.fromkeys(found))[:4]


def _wish(wanted: Wanted) -> str | None:
    """A wish in words that lead to the same plan; None where there are none."""
    text = _OPTIONS.get(wanted.act)
    if text is None:
        return None
    noun = _NOUNS.get(wanted.target or "", "vegetation")
    return text.format(noun=noun, index=wanted.index or "NDVI")


def _alternatives(ranked: Sequence[Candidate]) -> tuple[str, ...]:
    """Up to three other readings that the inputs support.

    First other targets that the words name, then other acts by the heads' shares, then targets
    whose words are nearest to the chosen one.
    """
    best = ranked[0]
    acts = [c.wanted for c in ranked[1:] if c.score >= LEAST]
    named = [m.target for m in best.wanted.question.mentions]
    near = related(best.wanted.target)[:NEAR] if best.wanted.target else ()
    readings = [*_with_targets(best, named), *acts, *_with_targets(best, near)]
    own = _wish(best.wanted)
    found: list[str] = []
    for wanted in readings:
        text = _wish(wanted)
        if text is None or text == own or text in found:
            continue
        if compat.check(plan_for(wanted), wanted.inputs).route in ("answer", "tools"):
            found.append(text)
        if len(found) == ALTERNATIVES:
            break
    return tuple(MEANT + text for text in found)


def _with_targets(best: Candidate, targets: Sequence[str]) -> list[Wanted]:
    """The same act on other targets, where it has one; counted only where they can be."""
    if best.wanted.act not in _TARGETED or best.wanted.target is None:
        return []
    counted = best.wanted.act == "count"
    return [
        replace(best.wanted, target=target, several=False)
        for target in targets
        if target != best.wanted.target and (target in COUNTABLE or not counted)
    ]
