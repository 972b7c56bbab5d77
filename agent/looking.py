"""What the image-reading model is asked: which task, which scenes in which order, which words.

Every plan with the route `answer` passes through `aim`, whichever planner made it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from terralogue.agent.compat import ask, ask_sensor, refuse
from terralogue.agent.facts import SceneView, by_date, views
from terralogue.agent.plan import Inputs, Plan
from terralogue.agent.questions import Question, read
from terralogue.agent.slots import is_followup
from terralogue.agent.words import fold
from terralogue.agent.world import Look
from terralogue.datasets.samples import Box
from terralogue.datasets.scene import Scene
from terralogue.vlm.vlm import Query, Task

_IT: Final = r"(this|it|that|(this|the|my) (image|picture|scene|photo|tile|view|map|frame))"
_DESCRIBE: Final = re.compile(
    r"\b(describe|description|caption|summari[sz]e|summary|overview|in (your own )?words"
    rf"|what (do|does|can|could) ({_IT}|you|we|i|one)( \w+)? (show|see|depict|look like|make out)"
    rf"|what (is|are) (\w+ )?(in|on) {_IT}$|what is (visible|shown|to (be )?see\w*|there)\b"
    rf"|what is (this|that|it|here)$|tell me (something |more )?about {_IT}"
    r"|what have (we|you|i) (got )?here)\b"
)
_POINT_AT: Final = (
    r"(roughly |exactly )?where(abouts)? (exactly |roughly )?(is|are|(can|could|would) (i|we|you) "
    r"(find|see))",
    r"locate", r"point (at|to|out)", r"show me( where( is| are)?)?", r"find( me)?", r"highlight",
    r"detect", r"(put|draw) (a |one )?box(es)? (a?round|on|over)", r"(mark|frame|box)",
)  # fmt: skip
_WHERE: Final = re.compile(
    rf"^((and|so|ok|please|can you|could you|tell me|say) )*({'|'.join(_POINT_AT)})\b"
)
_NO_PLACE: Final = re.compile(
    r"\b(taken|photographed|shot|acquired|we|i am|on earth|country|what|how|why|who)\b"
)
_ARTICLES: Final = frozenset(
    {
        "the",
        "a",
        "an",
        "all",
        "any",
        "every",
        "each",
        "most",
        "of",
        "me",
        "some",
        "is",
        "are",
        "located",
    }
)
_TAIL: Final = re.compile(
    r" ((in|on) (this|the) (image|picture|scene|photo)|here|please|is|are|located)$"
)
# A benchmark's way to say "number of"; of what cannot be counted it is a measure.
_AMOUNT: Final = re.compile(r"\bamount of (\w+ ){0,2}\w+s\b")
_COUNTED: Final = re.compile(
    r"\b(how many|(number|amount|total|count) of|count|tally)( all| the| every| of the)* "
    r"(?P<things>\w+( \w+){0,3}?)"
    r"( (are|is|do|does|did|can|could|in|on|at|near|there|here|of|have|has|with|by|cross|lie|stand"
    r"|inside|within|that|which|between|next)\b.*| \w+ (the|there)\b.*)?$"
)
_SEVERAL: Final = frozenset({"change", "between", "worse", "series"})
_BOTH: Final = re.compile(
    r"\b(two|both|these|other|which|first|second|later|earlier|older|newer) "
    r"(images?|pictures?|scenes?|dates?|shots?|one)\b"
)
_CHANGE: Final = re.compile(
    r"\b(what|which|describe|write|list|summar\w+|caption|tell|explain)\b.*"
    r"\b(chang\w+|differ\w+|new|happened|gone)\b|^(any )?(changes|differences)\b"
)

_OPTION: Final = re.compile(r"[A-Z][.)]\s+(\S.*)")
# Longer requests for a description say more of what is wanted.
_PLAIN: Final = 8
# Surroundings of a click: pixels at least, and which part of the scene.
_NEAR, _PART = 48.0, 6


def choices(text: str) -> tuple[str, tuple[str, ...]]:
    """A question of multiple choice and its options, which stand on lines such as "A. yes"."""
    lines = text.splitlines()
    found = [_OPTION.fullmatch(line.strip()) for line in lines]
    options = tuple(match[1] for match in found if match is not None)
    if len(options) < 2:
        return text, ()
    stem = [line for line, match in zip(lines, found, strict=True) if match is None]
    return "\n".join(stem).strip(), options


def task_of(question: Question, *, several: bool) -> Task:
    """What is wanted of the model."""
    words = question.english
    if several:
        return "caption" if _CHANGE.search(words) or _DESCRIBE.search(words) else "qa"
    if phrase_of(question):
        return "grounding"
    # "What is in the harbour?" names a thing, and is a question about it.
    if _DESCRIBE.search(words) and not question.mentions:
        return "caption"
    return "qa"


def counted(question: Question) -> str:
    """The things that a number is asked of, "ships" of "how many ships are there"; "" for none."""
    if not _counts(question):
        return ""
    words = fold(question.text) if question.language == "en" else question.english
    found = _COUNTED.search(words)
    return found["things"] if found else "things"


def _counts(question: Question) -> bool:
    how_many = "how_many" in question.cues or _AMOUNT.search(question.english) is not None
    return how_many and "unit" not in question.cues


def phrase_of(question: Question) -> str:
    """What is to be pointed at: "the white roof by the river" of "where is …?"; "" for nothing."""
    # As typed where that is English: repairing the spelling must not change what is looked for.
    words = fold(question.text) if question.language == "en" else question.english
    found = _WHERE.match(words)
    if found is None or _NO_PLACE.search(words) or words.endswith((" to", " from")):
        return ""
    rest = _TAIL.sub("", words[found.end() :].strip()).split()
    while rest and rest[0] in _ARTICLES:
        rest = rest[1:]
    return " ".join(rest)


def can_look_instead(plan: Plan, text: str) -> bool:
    """Whether a plan to measure one land cover could as well be a look: "where", "how many"."""
    if [call.tool for call in plan.calls] != ["segment"]:
        return False
    question = read(text)
    return bool(phrase_of(question)) or _counts(question)


def look_instead(plan: Plan, text: str, why: str) -> Plan:
    """A plan to look where it was to measure what the text asks for, and why that is."""
    scenes = tuple(str(call.arguments["scene"]) for call in plan.calls)
    return plan.model_copy(
        update={
            "route": "answer", "calls": (), "scenes": scenes, "reason": None, "message": None,
            "interpretation": f"Look at the image and answer in words: {text.strip()}",
            "warnings": (*plan.warnings, f"Not measured but looked at: {why}"),
        }
    )  # fmt: skip


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
    question = read(choices(text)[0])
    if inputs.history and {"why", "explain"} & question.cues and not question.mentions:
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
    return plan.model_copy(update={"task": task, "scenes": tuple(scene.id for scene in ordered)})


def _meant(question: Question, scenes: Sequence[SceneView]) -> list[SceneView]:
    """All scenes where the words compare them, else the newest, else the last."""
    if len(scenes) > 1 and (_SEVERAL & question.cues or _BOTH.search(question.english)):
        return list(scenes)
    return [(by_date(scenes) or list(scenes))[-1]]


def look_of(plan: Plan, text: str, inputs: Inputs, *, english_only: bool) -> Look:
    """What to ask the model.

    Args:
        plan: from `aim`.
        text: the question.
        inputs: scenes, region, point and history.
        english_only: whether the model knows no other language; it gets a rough translation.
    """
    stem, options = choices(text)
    question = read(_completed(stem, inputs))
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
        counts=task == "qa" and _counts(question),
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
    """
    task = look.task if look.task in tasks else "qa"
    words = {
        "grounding": look.phrase,
        "caption": "" if look.plain else look.question,
        "qa": look.question,
    }
    dates = look.dates if all(look.dates) else ()
    return Query(
        words[task], tuple(scenes), part, task,
        options=look.options if task == "qa" else (), dates=dates,
    )  # fmt: skip


def around(x: float, y: float, width: int, height: int) -> Box:
    """The surroundings of a click, in pixels of a scene of this width and height."""
    half = max(_NEAR, min(width, height) / _PART) / 2
    left, top = (min(max(0.0, at - half), max(0.0, full - 2 * half))
                 for at, full in ((x, width), (y, height)))  # fmt: skip
    return Box(left, top, min(left + 2 * half, width), min(top + 2 * half, height))


def _completed(text: str, inputs: Inputs) -> str:
    """A follow-up such as "and ships?" put into the words of the question before."""
    question = read(text)
    if not question.mentions or len(question.tokens) > 5 or not is_followup(question):
        return text
    asked = next((turn.content for turn in reversed(inputs.history) if turn.role == "user"), None)
    if asked is None:
        return text
    before = read(asked)
    if len(before.mentions) != 1 or {before.language, question.language} != {"en"}:
        return text
    old, new = before.mentions[0], question.mentions[0]
    tokens = list(before.tokens)
    tokens[old.start : old.stop] = question.tokens[new.start : new.stop]
    return " ".join(tokens) + "?"
