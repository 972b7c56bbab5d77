"""Puts the answer together: text and figures come from results alone, never from memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from terralogue.agent.answer import Answer, AnswerArtefact, AnswerMeasurement
from terralogue.agent.figures import check_figures
from terralogue.agent.plan import Plan, Route, SceneFacts
from terralogue.agent.said import answer_text
from terralogue.agent.state import State
from terralogue.agent.tongues import language_of, lead
from terralogue.agent.wording import describe
from terralogue.datasets.errors import ClarifyError, EOError, RefusalError, from_details


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
    reading = state.get("reading")
    results = [*state["results"], *([reading] if reading else [])]
    stop = ending_of(state)
    text, route = _text(state, plan, facts, stop)
    # Reasons are said in part where a warning says the rest.
    reasons = [part for result in results for part in str(result.get("why", "")).split("; ")]
    sources = [results, reasons, state["plan"], state["stop"], state["notes"], _pixels(facts)]
    check_figures(text, sources, {name for scene in facts for name in (scene.id, scene.name)})
    paths = {a["id"]: a["path"] for result in results for a in result["artefacts"]}
    return Answer(
        thread=state["thread"],
        question=state["asked"],
        interpretation=plan.interpretation,
        route=route,
        plan=plan.calls,
        answer=text,
        confidence=_confidence(results),
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
        alternatives=() if isinstance(stop, ClarifyError) else plan.alternatives,
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
        alternatives=plan.alternatives,
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
    reading = state.get("reading")
    if reading is not None:
        seen = [scene for scene in facts if scene.id in reading["scenes"]]
        text = answer_text(
            reading, names, plan.target, seen[0].gsd if seen else None, _warnings(state, plan),
            areas=all(scene.georeferenced for scene in seen),
        )  # fmt: skip
        return text, "answer"
    if native := lead(state["results"], language_of(state["asked"])):
        parts.insert(0, native)
    parts += [f"How: {how}" for how in dict.fromkeys(map(_how, state["results"]))]
    if warnings := _warnings(state, plan):
        parts.append("\n".join(["Mind:", *(f"- {warning}" for warning in warnings)]))
    return "\n\n".join(parts), "tools"


def _pixels(facts: Sequence[SceneFacts]) -> list[float]:
    return [scene.gsd for scene in facts if scene.gsd is not None]


def _how(result: dict[str, Any]) -> str:
    """Method and reason, without what a warning says anyway."""
    method, said = result["method"].rstrip("."), " ".join(result["warnings"])
    why = "; ".join(part for part in result["why"].rstrip(".").split("; ") if part not in said)
    return f"{method}. Why this method: {why}." if why else f"{method}."


def _warnings(state: State, plan: Plan) -> list[str]:
    reading = state.get("reading")
    sources = [*state["results"], *([reading] if reading else [])]
    found: Iterable[str] = (
        *plan.warnings,
        *state["notes"],
        *(warning for result in sources for warning in result["warnings"]),
    )
    return list(dict.fromkeys(found))


def _confidence(results: Sequence[dict[str, Any]]) -> float | None:
    """Of the only thing that the answer rests on; several have no common one."""
    value = results[0]["confidence"] if len(results) == 1 else None
    return None if value is None else float(value)
