"""The slots of a question: target, index, unit, marks; and what earlier turns add to them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from terralogue.agent import lexicon, targets
from terralogue.agent.corrections import correction
from terralogue.agent.facts import views
from terralogue.agent.plan import Inputs
from terralogue.agent.questions import Question, read
from terralogue.agent.wanted import Wanted

Acts = Callable[[Question, Inputs], dict[str, float]]

_SEVERAL: Final = re.compile(
    r"\b(two|three|four|five|six|seven|eight|nine|ten|several|many|a few|a couple|some|both|\d+) "
    r"(\w+ )?\w+s\b"
)
_PRONOUN: Final = re.compile(
    r"\b(it|its|that|this|them|those|these|they|one|ones|same|there|das|ihn|ca|lo|la|quello|isso)\b"
)
# Which of several scenes: "what about the earlier date", "and in the older one?", "before that".
_SCENE: Final = r"(one|date|dates|image|picture|scene|photo|shot|pass|year|acquisition|visit)s?"
_OTHER: Final = re.compile(rf"\bother {_SCENE}\b|^(and )?the other$")
_FIRST: Final = re.compile(rf"\b(first|oldest|earliest) {_SCENE}\b")
_EARLIER: Final = re.compile(
    rf"\b(earlier|older|previous|former|preceding|last but one) {_SCENE}\b|^(and )?before that$"
)
# In a question of its own, the scene has to be where things are, not what they are held against.
_IN: Final = re.compile(rf"\b(in|on|of|at) the (first|other|\w+er|\w+est|previous) {_SCENE}\b")
# A turn of so few words may leave what it is about to the turn before.
_BRIEF: Final = 6
# Single crowns, which are outlined one by one.
_CROWNS: Final = re.compile(r"\b(each|every|individual|single|crowns?)\b")
_HOW_MANY_THINGS: Final = re.compile(r"\bhow many (\w+ )?things\b")
_GONE: Final = re.compile(r"\b(burn(ed|t) (down|off|away)|cut down|washed away)\b")
# "Has the car park been extended?", and what only eyes can compare.
_HAS: Final = re.compile(r"^(so |and |well )?(has|have|did|was|were|is there anything new)\b")
_BY_EYE: Final = re.compile(r"\b(looks?|seems?|than|which|same|describe|words?)\b")
# By the set's house rules "which part is greenest" is an impression, and crop stress is not.
_WHERE_BEST: Final = re.compile(
    r"\b(where|which (part|bit|area|field|plot|patch|corner)s?)\b.*\b(weakest|struggling|stressed"
    r"|(do|does|doing|grow|grows|growing) (\w+ )?(worse|worst|badly|poorly|best|better|well))\b"
)
_GROWTH: Final = re.compile(
    r"\b((get|got|gotten|become|became|getting|grown?) (any |much |a lot )?"
    r"(bigger|smaller|larger|wider|narrower|fuller|emptier)|grow|grows|grew|growing|grown|shrink\w*"
    r"|shrank|shrunk|expand\w*|spread|spreading|rise|risen|rose|rising|reced\w+|retreat\w*"
    r"|increas\w+|decreas\w+|disappear\w*|vanish\w*|swell\w*|swollen|widen\w*)\b"
)
_NAMES_A_TARGET: Final = frozenset({"measure", "count", "change", "series"})
# Things that are counted rather than measured as an area.
_SINGLE: Final = frozenset({"ship", "aircraft", "vehicle", "storage_tank"})
_ON_A_SCENE: Final = frozenset({"repeat", "measure", "count", "index", "zonal"})
_PLAIN: Final = frozenset({"repeat", "vague", "explain", "export"})
_OPENING: Final = ("and", "same", "the same", "now", "what about", "how about", "again", "only",
                   "just", "but", "ok", "no", "then", "also", "do the same")  # fmt: skip


def fill(question: Question, act: str, inputs: Inputs) -> Wanted:
    """Slots from the words of one question alone."""
    mention = None
    if act == "count":
        mention = lexicon.best(question.mentions, lexicon.COUNTABLE)
    mention = mention or lexicon.best(question.mentions)
    target = mention.target if mention else None
    if target is None and act in _NAMES_A_TARGET and lexicon.index_name(question.tokens) is None:
        near = targets.nearest(question.tokens, lexicon.COUNTABLE if act == "count" else None)
        target = near.target if near else None
    if target == "tree" and act != "count" and not _CROWNS.search(question.english):
        # Trees that are not counted are an area.
        target = "tree_cover"
    return Wanted(
        question,
        act,
        inputs,
        target=target,
        index=lexicon.index_name(question.tokens),
        unit=lexicon.area_unit(question.text_tokens),
        asks_region="region" in question.cues,
        asks_point="click" in question.cues,
        other_scene=_other_scene(question, act),
    )


def _other_scene(question: Question, act: str) -> str:
    """Which scene beside the newest the words mean: "other", "earlier", "first", "" for none."""
    if act not in _ON_A_SCENE or (act != "repeat" and not _IN.search(question.english)):
        return ""
    return _scene_of(question)


def _scene_of(question: Question) -> str:
    named = {"other": _OTHER, "first": _FIRST, "earlier": _EARLIER}
    return next((name for name, said in named.items() if said.search(question.english)), "")


def understand(question: Question, inputs: Inputs, acts: Acts) -> Wanted:
    """Act and slots of a question, with what earlier turns add.

    Args:
        question: the last message, read.
        inputs: with the history.
        acts: scores of acts for a question, the likeliest first.
    """
    question = completed(corrected(question, inputs), inputs)
    act = next(iter(acts(question, inputs)))
    act = _by_bands(question, _by_dates(question, act, inputs), inputs)
    if act == "measure" and _HOW_MANY_THINGS.search(question.shape):
        act = "count"
    if act == "count" and "people" in question.cues and not _countable(question):
        act = "tiny"
    wanted = fill(question, act, inputs)
    if not inputs.history:
        return wanted
    earlier = _earlier(inputs, acts)
    if act == "repeat":
        return _repeated(wanted, earlier)
    return _completed(wanted, earlier)


def _by_dates(question: Question, act: str, inputs: Inputs) -> str:
    """An act that dates make another: what grew or shrank is measured where there are two.

    How much there was on one of two dates is no change.
    """
    cues, words, n = question.cues, question.english, len(inputs.scenes)
    if act == "change" and _IN.search(words) and not cues & {"change", "worse"}:
        return "measure"
    if act == "measure" and n == 2 and _GONE.search(words):
        return "change"
    if act == "look_change" and n == 2 and _HAS.search(words) and not _BY_EYE.search(words):
        return "change"
    named = lexicon.best(question.mentions)
    if act not in ("look", "look_change") or named is None or named.target in lexicon.COUNTABLE:
        return act
    if n > 2 and "change" in cues:
        return "series"
    return "change" if n == 2 and _GROWTH.search(words) else act


def _by_bands(question: Question, act: str, inputs: Inputs) -> str:
    """A look for where plants do badly or well is an index where there is near infrared."""
    if act != "look" or not _WHERE_BEST.search(question.english):
        return act
    scenes = views(inputs)
    return "index" if scenes and not any(s.open_sensor or s.missing(["N"]) for s in scenes) else act


def corrected(question: Question, inputs: Inputs) -> Question:
    """A correction of an earlier turn without what it takes back; any other question as it is."""
    if not inputs.history:
        return question
    said = correction(question.text)
    if said is None:
        return question
    meant = read(said)
    named = meant.mentions or lexicon.index_name(meant.tokens) or meant.cues
    return meant if named else question


def _countable(question: Question) -> bool:
    return any(mention.target in lexicon.COUNTABLE for mention in question.mentions)


def completed(question: Question, inputs: Inputs) -> Question:
    """A short reply put together with the question that it answers; any other as it is."""
    turns = inputs.history
    if len(turns) < 2 or turns[-1].role != "assistant" or len(question.tokens) > _BRIEF:
        return question
    asked = next((t for t in reversed(turns[:-1]) if t.role == "user"), None)
    if asked is None or not turns[-1].content.rstrip().endswith("?"):
        return question
    return read(f"{asked.content.rstrip('?!. ')} {question.text}")


def _earlier(inputs: Inputs, acts: Acts) -> Wanted | None:
    """What the person wanted before: the last turn of theirs, with slots that its answer adds.

    A follow-up such as "and in acres?" takes what it leaves open from the turns before it.
    """
    alone = inputs.model_copy(update={"history": ()})
    found: Wanted | None = None
    answer: Question | None = None
    for turn in reversed(inputs.history):
        if turn.role == "assistant":
            answer = answer or read(turn.content)
            continue
        typed = read(turn.content)
        said = corrected(typed, inputs)
        act = next(name for name in acts(said, alone) if name not in _PLAIN)
        here = fill(said, act, inputs)
        found = here if found is None else _with_later(here, found)
        # What is wanted done was said before a correction or an "and the river?".
        leans = said is not typed or is_followup(typed)
        if not leans and (here.target or here.index or len(said.tokens) > _BRIEF):
            break
    if answer is None:
        return found
    mention = lexicon.best(answer.mentions)
    found = found or fill(answer, "measure", inputs)
    return replace(
        found,
        target=found.target or (mention.target if mention else None),
        # The method of a measured target names indices too; they are not what was asked for.
        index=found.index or (None if found.target else lexicon.index_name(answer.tokens)),
        several=bool(_SEVERAL.search(answer.english)),
    )


def _with_later(wanted: Wanted, later: Wanted) -> Wanted:
    """A wish with what a later follow-up changed in it."""
    return replace(
        wanted,
        target=later.target or wanted.target,
        index=later.index or (None if later.target else wanted.index),
        unit=later.unit or wanted.unit,
        other_scene=_switched(later.other_scene or _scene_of(later.question), wanted.other_scene),
    )


def _switched(said: str, before: str) -> str:
    """Which scene is meant now: "the other one" after "the earlier one" is the newest again."""
    return "" if said == "other" and before else said or before


def _repeated(wanted: Wanted, earlier: Wanted | None) -> Wanted:
    if earlier is None:
        return wanted
    act = earlier.act
    if wanted.asks_region and act == "index" and wanted.inputs.region is not None:
        act = "zonal"
    if wanted.index is not None and act in ("measure", "count"):
        act = "index"
    if act == "count" and wanted.target and wanted.target not in lexicon.COUNTABLE:
        act = "measure"
    if act == "measure" and wanted.target in _SINGLE and wanted.unit is None:
        act = "count"
    if wanted.unit is not None and act in ("look", "index", "zonal"):
        act = "measure"
    act = _against_the_other_date(wanted, act)
    return replace(
        wanted,
        act=act,
        target=wanted.target or earlier.target,
        index=wanted.index or (None if wanted.target else earlier.index),
        unit=wanted.unit or earlier.unit,
        other_scene=_switched(wanted.other_scene, earlier.other_scene),
    )


def _against_the_other_date(wanted: Wanted, act: str) -> str:
    """With two scenes, "only where it got worse" after a measurement asks for change."""
    if act == "measure" and len(wanted.scenes) > 1 and "worse" in wanted.question.cues:
        return "change"
    return act


def _completed(wanted: Wanted, earlier: Wanted | None) -> Wanted:
    """Let "it" and bare follow-ups take target and index from before."""
    if earlier is None or wanted.target is not None or wanted.index is not None:
        return wanted
    inside = wanted.asks_region and wanted.inputs.region is not None
    if inside and earlier.act in ("index", "zonal"):
        return replace(wanted, act="zonal", index=earlier.index, target=earlier.target)
    wanted = replace(wanted, act=_against_the_other_date(wanted, wanted.act))
    refers = bool(_PRONOUN.search(wanted.question.english))
    refers = refers or len(wanted.question.tokens) <= _BRIEF
    refers = refers or is_followup(wanted.question)
    if wanted.act not in _TAKES_FROM_BEFORE or not refers:
        return wanted
    open_choice = earlier.several and wanted.act in ("measure", "point") and not wanted.asks_point
    return replace(
        wanted,
        target=earlier.target,
        index=earlier.index,
        unit=wanted.unit or earlier.unit,
        several=open_choice and bool(_ONE.search(wanted.question.english)),
    )


_TAKES_FROM_BEFORE: Final = frozenset({"measure", "count", "change", "series", "index", "zonal"})
# "measure it", "that one": one of several is meant; "how much in all" is not.
_ONE: Final = re.compile(r"\b(it|its|that|this|one|the (other|first|second|big|small)\w*)\b")


def is_followup(question: Question) -> bool:
    """Whether a question opens like one that leans on the turn before."""
    return any(f"{question.english} ".startswith(f"{opening} ") for opening in _OPENING)
