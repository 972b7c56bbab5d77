"""Plans to answer from the image: which scenes in which order, and looking where measuring fails.

Every plan with the route `answer` passes through `aim`, whichever planner made it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from terralogue.agent.compat import ask, ask_sensor, refuse
from terralogue.agent.facts import SceneView, by_date, views
from terralogue.agent.lexicon import COUNTABLE, plain_noun
from terralogue.agent.look_words import counts, phrase_of, task_of
from terralogue.agent.plan import Inputs, Plan, ToolCall
from terralogue.agent.querying import asked
from terralogue.agent.questions import Question, read
from terralogue.agent.templates_plain import LOOK

_SEVERAL: Final = frozenset({"change", "between", "worse", "series"})
# "Why?", "why so little?"
_SHORT: Final = 3
_UNTOLD: Final = "Measured rather than told from the picture: the image-reading model was not sure."
# Covers that one question compares, at most.
_COMPARED: Final = 3
_BOTH: Final = re.compile(
    r"\b(two|both|these|other|which|first|second|later|earlier|older|newer) "
    r"(images?|pictures?|scenes?|dates?|shots?|one)\b"
)


def can_look_instead(plan: Plan, text: str) -> bool:
    """Whether a plan to measure one land cover could as well be a look: "where", "how many"."""
    if [call.tool for call in plan.calls] != ["segment"]:
        return False
    question = read(text)
    return bool(phrase_of(question)) or counts(question)


def look_instead(plan: Plan, text: str, why: str) -> Plan:
    """A plan to look where it was to measure what the text asks for, and why that is."""
    scenes = tuple(str(call.arguments["scene"]) for call in plan.calls)
    return plan.model_copy(
        update={
            "route": "answer", "calls": (), "scenes": scenes, "reason": None, "message": None,
            "interpretation": f"{LOOK}: {text.strip()}",
            "warnings": (*plan.warnings, f"Not measured but looked at: {why}"),
        }
    )  # fmt: skip


def measure_instead(plan: Plan, text: str, inputs: Inputs) -> Plan | None:
    """A plan to measure what a look left open: change of two dates, or covers that are compared.

    Args:
        plan: to answer from the image, as `aim` completed it.
        text: the question.
        inputs: everything that is known beside the words.

    Returns:
        None where the question is of neither kind; not yet checked.
    """
    question, _ = asked(text, inputs)
    mentioned = (each.target for each in question.mentions if each.target not in COUNTABLE)
    covers = tuple(dict.fromkeys(mentioned))
    named = {scene.id: scene.title for scene in views(inputs)}
    shared = {"region": inputs.region} if inputs.region is not None else {}
    if len(plan.scenes) == 2 and (plan.task == "caption" or len(covers) == 1):
        before, after = plan.scenes
        target = {"target": covers[0]} if len(covers) == 1 else {}
        arguments = {"before": before, "after": after, **target, **shared}
        calls: tuple[ToolCall, ...] = (ToolCall(tool="detect_change", arguments=arguments),)
        what = plain_noun(covers[0]) if target else "any change"
        said = f"Measure {what} from {named[before]} to {named[after]}"
    elif len(plan.scenes) == 1 and "compare" in question.cues and 1 < len(covers) <= _COMPARED:
        (scene,) = plan.scenes
        calls = tuple(
            ToolCall(tool="segment", arguments={"scene": scene, "target": cover, **shared})
            for cover in covers
        )
        said = f"Measure {' and '.join(map(plain_noun, covers))} in {named[scene]}"
    else:
        return None
    update = {"route": "tools", "scenes": (), "task": None, "calls": calls, "interpretation": said}
    return plan.model_copy(update={**update, "warnings": (*plan.warnings, _UNTOLD)})


def aim(plan: Plan, text: str, inputs: Inputs) -> Plan:
    """Complete a plan to answer from the image: task, and scenes in order of time.

    Args:
        plan: from any planner, checked; with another route it comes back as it is.
        text: the question.
        inputs: everything that is known beside the words.

    Returns:
        The plan, or a question for a sensor or a date, or a refusal, in its place.
    """
    if plan.route != "answer" or plan.task == "explain":
        return plan
    question, _ = asked(text, inputs)
    short = len(question.tokens) <= _SHORT and "why" in question.cues
    if inputs.history and (short or "explain" in question.cues) and not question.mentions:
        return plan.model_copy(update={"task": "explain"})
    if not inputs.scenes:
        return refuse(plan, "no_data", "There is no scene to look at; add one and ask again.")
    known = {scene.id: scene for scene in views(inputs)}
    for name in plan.scenes:
        if name not in known:
            return refuse(plan, "no_data", f"There is no scene {name!r} here.")
    wanted = [known[name] for name in plan.scenes] or _meant(question, tuple(known.values()))
    for scene in wanted:
        if scene.open_sensor:
            return ask_sensor(plan, scene)
    ordered = by_date(wanted) if len(wanted) > 1 else wanted
    if ordered is None:
        unknown = next(scene for scene in wanted if scene.facts.date is None)
        name = unknown.facts.name or unknown.id
        return ask(plan, "time", f"When was {name} taken (YYYY-MM-DD)?")
    task = plan.task or task_of(question, several=len(ordered) > 1)
    update: dict[str, Any] = {"task": task, "scenes": tuple(scene.id for scene in ordered)}
    if question.text not in text and plan.interpretation.startswith(LOOK):
        # A follow-up or correction is shown as the question that it stands for.
        update["interpretation"] = f"{LOOK}: {question.text}"
    return plan.model_copy(update=update)


def _meant(question: Question, scenes: Sequence[SceneView]) -> list[SceneView]:
    """All scenes where the words compare them, else the newest, else the last."""
    if len(scenes) > 1 and (_SEVERAL & question.cues or _BOTH.search(question.english)):
        return list(scenes)
    return [(by_date(scenes) or list(scenes))[-1]]
