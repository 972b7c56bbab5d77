"""What the image-reading model is asked: words, scenes, dates, and the part that is meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from terralogue.agent.look_words import choices, counted, counts, phrase_of
from terralogue.agent.plan import Inputs, Plan
from terralogue.agent.questions import Question, read
from terralogue.agent.slots import corrected, is_followup
from terralogue.agent.world import Look
from terralogue.datasets.errors import NoOverlapError
from terralogue.datasets.samples import Box
from terralogue.datasets.scene import Scene
from terralogue.vlm.vlm import Query, Task

# Longer requests for a description say more of what is wanted.
_PLAIN: Final = 8
_SAME_OF: Final = re.compile(
    r"(and )?((what|how) about|in|for|now|then) (this( one)?|that one|here|now|today"
    r"|(in )?(the year )?(19|20)\d\d)( then)?|and (here|now|this one|(19|20)\d\d)"
)
# Surroundings of a click: pixels at least, and which part of the scene.
_NEAR, _PART = 48.0, 6


def asked(text: str, inputs: Inputs) -> tuple[Question, tuple[str, ...]]:
    """A question, with what the one before adds to it, and its options where it has some."""
    stem, options = choices(text)
    return read(_completed(stem, inputs)), options


def look_of(plan: Plan, text: str, inputs: Inputs, *, english_only: bool) -> Look:
    """What to ask the model.

    Args:
        plan: from `aim`.
        text: the question.
        inputs: scenes, region, point and history.
        english_only: whether the model knows no other language; it gets a rough translation.
    """
    question, options = asked(text, inputs)
    task: Task = "qa" if plan.task is None or plan.task == "explain" else plan.task
    dates = {scene.id: scene.date or "" for scene in inputs.scenes}
    words = question.text
    if english_only and question.language != "en":
        words = f"{question.english}?"
    return Look(
        question=words,
        task=task,
        scenes=plan.scenes,
        dates=tuple(dates[scene] for scene in plan.scenes),
        region=inputs.region,
        point=inputs.point if "click" in question.cues else None,
        phrase=phrase_of(question) or counted(question),
        counts=task == "qa" and counts(question),
        plain=len(question.tokens) <= _PLAIN,
        options=options,
    )


def query_of(
    look: Look, scenes: Sequence[Scene], part: Box | None, tasks: frozenset[Task]
) -> Query:
    """A look as a model takes it; a task that it does not do becomes a plain question.

    Args:
        look: from `look_of`.
        scenes: opened, in its order.
        part: of the first scene that is asked about, in pixels.
        tasks: what the model can do.

    Raises:
        NoOverlapError: scenes to be compared lie apart.
    """
    for scene in scenes[1:]:
        _check_same_ground(scenes[0], scene)
    task = look.task if look.task in tasks else "qa"
    words = {
        "grounding": look.phrase or look.question,
        "caption": "" if look.plain else look.question,
        "qa": look.question,
    }
    dates = look.dates if all(look.dates) else ()
    return Query(
        words[task], tuple(scenes), part, task,
        options=look.options if task == "qa" else (), dates=dates,
    )  # fmt: skip


def _check_same_ground(first: Scene, other: Scene) -> None:
    one, two = first.bounds_wgs84, other.bounds_wgs84
    if one is None or two is None:
        return
    if one[2] <= two[0] or two[2] <= one[0] or one[3] <= two[1] or two[3] <= one[1]:
        raise NoOverlapError(
            f"{first.name} and {other.name} do not show the same ground, so they cannot be "
            "compared; give scenes of one place."
        )


def around(x: float, y: float, width: int, height: int) -> Box:
    """The surroundings of a click, in pixels of a scene of this width and height."""
    half = max(_NEAR, min(width, height) / _PART) / 2
    left, top = (min(max(0.0, at - half), max(0.0, full - 2 * half))
                 for at, full in ((x, width), (y, height)))  # fmt: skip
    return Box(left, top, min(left + 2 * half, width), min(top + 2 * half, height))


def _said_before(inputs: Inputs) -> str | None:
    return next((turn.content for turn in reversed(inputs.history) if turn.role == "user"), None)


def _completed(text: str, inputs: Inputs) -> str:
    """A follow-up such as "and ships?" put into the words of the question before.

    "And what about 2003?" names no thing: it is the question before, of what is loaded now.
    So is a correction, such as "no, I meant the river"; one that asks by itself stands alone.
    """
    typed = read(text)
    question = corrected(typed, inputs)
    corrects = question is not typed
    text = question.text
    if _SAME_OF.fullmatch(question.english):
        return _said_before(inputs) or text
    if not question.mentions or len(question.tokens) > 5:
        return text
    if not corrects and not is_followup(question):
        return text
    said = _said_before(inputs)
    if said is None:
        return text
    before = read(said)
    if len(before.mentions) != 1 or {before.language, question.language} != {"en"}:
        return text
    old, new = before.mentions[0], question.mentions[0]
    tokens = list(before.tokens)
    tokens[old.start : old.stop] = question.tokens[new.start : new.stop]
    return " ".join(tokens) + "?"
