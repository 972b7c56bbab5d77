"""Puts the answer together: text and figures come from results alone, never from memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from terralogue.agent.answer import Answer, AnswerArtefact, AnswerMeasurement
from terralogue.agent.figures import check_figures
from terralogue.agent.plan import Plan, Route, SceneFacts
from terralogue.agent.state import State
from terralogue.agent.wording import describe
from terralogue.datasets.errors import ClarifyError, EOError, RefusalError, from_details

_NOUNS = {"snow_ice": "snow and ice", "built_up": "built-up area"}
NO_READER = (
    "No image-reading model is installed here, so nothing can be said about what the picture "
    "shows beyond what can be measured."
)


def ending_of(state: State) -> EOError | None:
    """The error that ended the turn early, or None."""
    stop = state.get("stop")
    return None if stop is None else from_details(stop["message"], stop)


def compose_answer(state: State, facts: Sequence[SceneFacts] = ()) -> Answer:
    """The answer to a turn that ran to its end, or to a question or refusal.

    Args:
        state: with plan, results and what stopped it.
        facts: of the scenes, for their names.

    Raises:
        UnsupportedFigureError: the text holds a number that no result holds.
    """
    plan = Plan.model_validate(state["plan"])
    results = state["results"]
    stop = ending_of(state)
    reading = state.get("reading") or {}
    text, route = _text(state, plan, facts, stop)
    sources = [results, state["plan"], state["stop"], state["notes"], reading]
    check_figures(text, sources, {name for scene in facts for name in (scene.id, scene.name)})
    paths = {a["id"]: a["path"] for result in results for a in result["artefacts"]}
    return Answer(
        thread=state["thread"],
        question=state["asked"],
        interpretation=plan.interpretation,
        route=route,
        plan=plan.calls,
        answer=text,
        confidence=_confidence(results, reading),
        measurements=tuple(
            AnswerMeasurement.model_validate({**m, "artefact": paths.get(m["artefact"])})
            for result in results
            for m in result["measurements"]
        ),
        artefacts=tuple(
            AnswerArtefact.model_validate(a) for result in results for a in result["artefacts"]
        ),
        warnings=tuple(_warnings(state, plan)),
        options=stop.options if isinstance(stop, ClarifyError) else (),
        missing_slot=stop.slot if isinstance(stop, ClarifyError) else None,
        reason=stop.reason if isinstance(stop, RefusalError) else None,
        timings=state["timings"],
    )


def planned(state: State, plan: Plan) -> Answer:
    """The answer of a dry run: what would be done."""
    return Answer(
        thread=state["thread"],
        question=state["asked"],
        interpretation=plan.interpretation,
        route=plan.route,
        plan=plan.calls,
        answer=plan.question or plan.message or f"Planned only: {plan.interpretation}.",
        confidence=plan.confidence,
        warnings=tuple(_warnings(state, plan)),
        options=plan.options,
        missing_slot=plan.missing_slot,
        reason=plan.reason,
        timings=state["timings"],
    )


def _text(
    state: State, plan: Plan, facts: Sequence[SceneFacts], stop: EOError | None
) -> tuple[str, Route]:
    names = {scene.id: scene.name or scene.id for scene in facts}
    parts = []
    for call, result in zip(plan.calls, state["results"], strict=False):
        confined = call.arguments.get("region") is not None
        where = ", ".join(names.get(scene, scene) for scene in result["scenes"])
        said = describe(result, confined=confined)
        parts.append(f"{where}: {said}" if len(plan.calls) > 1 and where else said)
    if stop is not None:
        route: Route = "clarify" if isinstance(stop, ClarifyError) else "refuse"
        notes = state["notes"] if route == "clarify" else []
        return "\n\n".join([*parts, *notes, str(stop)]), route
    if plan.route == "answer":
        reading = state.get("reading") or {}
        return str(reading.get("text") or _offer(reading, names, plan.target)), "answer"
    parts += [f"How: {how}" for how in dict.fromkeys(map(_how, state["results"]))]
    if warnings := _warnings(state, plan):
        parts.append("\n".join(["Mind:", *(f"- {warning}" for warning in warnings)]))
    return "\n\n".join(parts), "tools"


def _offer(reading: dict[str, Any], names: dict[str, str], target: str | None) -> str:
    """What can be measured where nothing can be read off the picture."""
    offers = [
        f"{names.get(scene, scene)}: {', '.join(map(_noun, targets))}."
        for scene, targets in reading.get("measurable", {}).items()
        if targets
    ]
    if not offers:
        return f"{NO_READER} Ask for an area, an index or a change instead."
    lines = [NO_READER, "What can be measured instead:", *(f"- {line}" for line in offers)]
    return "\n".join([*lines, f"Ask for instance: {_examples(reading['measurable'], target)}"])


def _examples(measurable: Mapping[str, Sequence[str]], target: str | None) -> str:
    """Questions that a person can type, about what was asked for where it can be measured."""
    shared = [
        t for t in next(iter(measurable.values())) if all(t in s for s in measurable.values())
    ]
    noun = _noun(target if target in shared else (shared or ["vegetation"])[0])
    asked = [f"how much is {noun}, in hectares?"]
    if len(measurable) > 1:
        asked = ["how much has changed, in hectares?", f"how much {noun} was gained or lost?"]
    return " or ".join(f'"{question}"' for question in asked)


def _noun(target: str) -> str:
    return _NOUNS.get(target, target.replace("_", " "))


def _how(result: dict[str, Any]) -> str:
    """Method and reason, without what a warning says anyway."""
    method, said = result["method"].rstrip("."), " ".join(result["warnings"])
    why = "; ".join(part for part in result["why"].rstrip(".").split("; ") if part not in said)
    return f"{method}. Why this method: {why}." if why else f"{method}."


def _warnings(state: State, plan: Plan) -> list[str]:
    found: Iterable[str] = (
        *plan.warnings,
        *state["notes"],
        *(warning for result in state["results"] for warning in result["warnings"]),
    )
    return list(dict.fromkeys(found))


def _confidence(results: Sequence[dict[str, Any]], reading: dict[str, Any]) -> float | None:
    """Of the only thing that the answer rests on; several have no common one."""
    if results:
        value = results[0]["confidence"] if len(results) == 1 else None
    else:
        value = reading.get("confidence")
    return None if value is None else float(value)
