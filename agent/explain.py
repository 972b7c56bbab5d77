"""Explains an earlier answer: what an index is, how a figure was measured. Looks at no image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from terralogue.agent.lexicon import index_name
from terralogue.agent.questions import read
from terralogue.agent.state import Message

_MEASURED = "How: "
_TELLING = (_MEASURED, "How sure: ", "Mind:", "What would help:")


def explained(text: str, messages: Sequence[Message], looked: str = "") -> dict[str, Any]:
    """An explanation in the form of a reading; see `agent/said.py`.

    Args:
        text: the question.
        messages: of the conversation, this question among them.
        looked: what the last look at a picture rested on.
    """
    answers = [message["content"] for message in messages if message["role"] == "assistant"]
    split = [answer.split("\n\n") for answer in reversed(answers)]
    definition = _definition(text)
    # A question of ours in between has nothing to explain.
    parts = next((p for p in split if any(q.startswith(_TELLING) for q in p)), [])
    parts = parts or (split[0] if split else [])
    how = [part for part in parts if part.startswith(_TELLING)]
    if looked and not any(part.startswith(_MEASURED) for part in parts):
        how = [looked, *how]
    if definition is not None:
        said = definition
    elif how:
        said = "\n\n".join(["This is what the answer before rests on.", *how])
    else:
        said = "\n\n".join(["There is no more to it than the answer before:", *parts[:1]])
    return {
        "said": said, "sure": True, "confidence": None, "measurements": [], "artefacts": [],
        "warnings": [], "scenes": [],
    }  # fmt: skip


def _definition(text: str) -> str | None:
    """What an index is, by spyndex; None where the words name none."""
    name = index_name(read(text).tokens)
    if name is None:
        return None
    import spyndex  # loads a large table: only when an index is asked for

    if name not in spyndex.indices:
        return None
    index = spyndex.indices[name]
    return f"{name} is the {index.long_name}, {index.formula} ({index.reference})."
