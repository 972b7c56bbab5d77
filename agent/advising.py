"""Questions about which model to take, which are answered from the table of measured scores."""

from __future__ import annotations

import re
from typing import Final

from terralogue.agent import lexicon
from terralogue.agent.plan import Inputs, Plan
from terralogue.agent.questions import Question
from terralogue.agent.slots import fill
from terralogue.agent.wanted import TARGET_OPTIONS, call, no_scene, plan_of, question

PURPOSE: Final = "Say which model suits"
# The noun in the languages that questions come in; other words are translated before.
_MODELS: Final = (
    r"(models?|modell\w*|modeles?|modelos?|networks?|encoders?|backbones?|detectors?|algorithms?)"
)
_SUITS: Final = (
    r"(best\w*|better|should|recommend\w*|suggest\w*|suits?|suited|suitable|right|for"
    r"|meilleur\w*|mejor\w*|melhor\w*|miglior\w*|to (use|take|map|measure|find|detect|count))"
)
# "which model is best for water", "recommend a backbone for ships"; not "which model was used".
_ASKS: Final = re.compile(
    rf"\b(which|what|the best|a good|the right)( \w+)? {_MODELS}\b.*\b{_SUITS}\b"
    rf"|\b(recommend|suggest|advise)\b( \w+){{0,3}} {_MODELS}\b"
)
_USED: Final = re.compile(r"\b(was|were|did|have|has|had|are you|you are|behind)\b")


def advice(asked: Question, inputs: Inputs) -> Plan | None:
    """The plan for a question of this kind; None for every other question."""
    words = asked.english
    if not _ASKS.search(words) or _USED.search(words):
        return None
    wanted = fill(asked, "measure", inputs)
    if empty := no_scene(wanted, PURPOSE):
        return empty
    mention = lexicon.best(asked.mentions)
    if mention is None:
        return question(PURPOSE, "target", "A model for what?", TARGET_OPTIONS)
    scene = wanted.meant
    return plan_of(
        f"{PURPOSE} to find {lexicon.plain_noun(mention.target)} in {scene.title}",
        call(wanted, "recommend_model", scene=scene.id, target=mention.target),
        target=mention.target,
    )
