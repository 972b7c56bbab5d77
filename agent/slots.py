"""The slots of a question: target, index, unit, marks; and what earlier turns add to them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from terralogue.agent import lexicon, targets
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
_NAMES_A_TARGET: Final = frozenset({"measure", "count", "change", "series"})
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
    if target == "tree" and act != "count" and not all(s.resolves(target) for s in views(inputs)):
        # Where single trees cannot be told apart, trees are an area.
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
    )


def understand(question: Question, inputs: Inputs, acts: Acts) -> Wanted:
    """Act and slots of a question, with what earlier turns add.

    Args:
        question: the last message, read.
        inputs: with the history.
        acts: scores of acts for a question, the likeliest first.
    """
    question = completed(question, inputs)
    act = next(iter(acts(question, inputs)))
    if act == "count" and "people" in question.cues and not _countable(question):
        act = "tiny"
    wanted = fill(question, act, inputs)
    if not inputs.history:
        return wanted
    earlier = _earlier(inputs, acts)
    if act == "repeat":
        return _repeated(wanted, earlier)
    return _completed(wanted, earlier)


def _countable(question: Question) -> bool:
    return any(mention.target in lexicon.COUNTABLE for mention in question.mentions)


def completed(question: Question, inputs: Inputs) -> Question:
    """A short reply put together with the question that it answers; any other as it is."""
    turns = inputs.history
    if len(turns) < 2 or turns[-1].role != "assistant" or len(question.tokens) > 6:
        return question
    asked = next((t for t in reversed(turns[:-1]) if t.role == "user"), None)
    if asked is None or not turns[-1].content.rstrip().endswith("?"):
        return question
    return read(f"{asked.content.rstrip('?!. ')} {question.text}")


def _earlier(inputs: Inputs, acts: Acts) -> Wanted | None:
    """The last user turn that said what is wanted, with slots that its answer adds."""
    alone = inputs.model_copy(update={"history": ()})
    found: Wanted | None = None
    answer: Question | None = None
    for turn in reversed(inputs.history):
        said = read(turn.content)
        if turn.role == "assistant":
            answer = answer or said
            continue
        act = next(name for name in acts(said, alone) if name not in _PLAIN)
        found = fill(said, act, inputs)
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
    if wanted.unit is not None and act in ("look", "index", "zonal"):
        act = "measure"
    act = _against_the_other_date(wanted, act)
    return replace(
        wanted,
        act=act,
        target=wanted.target or earlier.target,
        index=wanted.index or (None if wanted.target else earlier.index),
        unit=wanted.unit or earlier.unit,
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
    refers = bool(_PRONOUN.search(wanted.question.english)) or len(wanted.question.tokens) <= 6
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
