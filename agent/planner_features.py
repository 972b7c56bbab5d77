"""What the trained planner sees: numbers from the words of a question and from its inputs.

Parts, each of a fixed width: the sentence embedding of the English gist and of its shape (targets
replaced), hashed words and letter groups, turns of phrase and named targets, likeness to the
labelled examples for this question and for the turn before it, and what the inputs offer.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from terralogue.agent import lexicon
from terralogue.agent.acts import act_model
from terralogue.agent.corrections import correction
from terralogue.agent.facts import by_date, views
from terralogue.agent.plan import Inputs
from terralogue.agent.questions import Question, cue_patterns, read
from terralogue.agent.words import fold
from terralogue.vlm.minilm import encode

Floats = NDArray[np.float32]
Embed = Callable[[Sequence[str]], Floats]
WORDS: Final = 1024
LETTERS: Final = 1024
_GROUPS: Final = (3, 4, 5)
_LANGUAGES: Final = ("en", "de", "fr", "es", "pt", "it")
_INDICES: Final = (
    "NDVI", "EVI", "SAVI", "GNDVI", "NDRE", "NDWI", "MNDWI", "NDMI", "NBR", "NDSI", "NDBI", "BSI",
    "NDCI", "NDTI",
)  # fmt: skip
# How much a part weighs against the others before regularisation.
SCALES: Final = {
    "sentence": 1.0, "shape": 1.0, "words": 1.0, "letters": 1.0, "phrases": 0.5, "inputs": 0.5,
    "acts": 1.5, "earlier": 1.0,
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """A question with its inputs, as the heads see it; inputs None stands for unknown ones."""

    question: Question
    inputs: Inputs | None

    @property
    def before(self) -> Question | None:
        """The last wish of the person before this one; corrections of it are passed over."""
        turns = self.inputs.history if self.inputs else ()
        spoken = [t.content for t in reversed(turns) if t.role == "user"]
        said = next((s for s in spoken if correction(s) is None), spoken[0] if spoken else None)
        return None if said is None else _read(said)


@cache
def _read(text: str) -> Question:
    return read(text)


def features(
    asked: Sequence[Asked], likeness: Floats, embed: Embed = encode
) -> Mapping[str, Floats]:
    """Every part for n questions.

    Args:
        asked: n questions.
        likeness: float32 (n, acts), from `likeness_of`.
        embed: gives float32 (n, 384), one row of length one for each text.

    Returns:
        Part → float32 (n, width), scaled.
    """
    texts = [a.question.english for a in asked] + [a.question.shape for a in asked]
    unique = list(dict.fromkeys(texts))
    place = {text: row for row, text in enumerate(unique)}
    encoded = embed(unique)[[place[text] for text in texts]] if texts else np.zeros((0, 384))
    n = len(asked)
    before = [a.before for a in asked]
    earlier = np.zeros_like(likeness)
    if rows := [i for i, question in enumerate(before) if question is not None]:
        earlier[rows] = act_model().scores([q for q in before if q is not None])
    found = {
        "sentence": encoded[:n],
        "shape": encoded[n:],
        "words": np.array([_words(a.question) for a in asked]),
        "letters": np.array([_letters(a.question) for a in asked]),
        "phrases": np.array([_phrases(a.question) for a in asked]),
        "acts": likeness,
        "earlier": earlier,
        "inputs": np.array([_offered(a.inputs) for a in asked]),
    }
    return {name: np.asarray(x * SCALES[name], np.float32) for name, x in found.items()}


def likeness_of(questions: Sequence[Question]) -> Floats:
    """Likeness to the labelled examples of every act, float32 (n, acts)."""
    return act_model().scores(questions)


def joined(parts: Mapping[str, Floats], crossed: bool = False) -> Floats:
    """All parts side by side; crossed adds turns of phrase and acts times what the inputs offer."""
    sides = [parts[name] for name in SCALES]
    if crossed:
        words = np.concatenate([parts["phrases"], np.maximum(parts["acts"], 0)], axis=1)
        products = words[:, :, None] * parts["inputs"][:, None, :]
        sides.append(products.reshape(len(words), -1))
    return np.concatenate(sides, axis=1).astype(np.float32)


def _hashed(pieces: Iterable[str], width: int) -> Floats:
    out = np.zeros(width, np.float32)
    for piece in pieces:
        out[zlib.crc32(piece.encode()) % width] = 1
    return np.asarray(out / max(1.0, float(np.linalg.norm(out))), np.float32)


def _words(question: Question) -> Floats:
    words = ["^", *question.shape.split(), "$"]
    return _hashed([*words[1:-1], *map(" ".join, itertools.pairwise(words))], WORDS)


def _letters(question: Question) -> Floats:
    """Groups of letters as typed: what carries over between inflections, slips and languages."""
    text = f" {fold(question.text)} "[:400]
    return _hashed((text[i : i + n] for n in _GROUPS for i in range(len(text) - n + 1)), LETTERS)


def _phrases(question: Question) -> Floats:
    targets = {mention.target for mention in question.mentions}
    kinds = {target in lexicon.COUNTABLE for target in targets}
    index = lexicon.index_name(question.tokens)
    n = len(question.tokens)
    flags = [
        *(name in question.cues for name in cue_patterns()),
        *(target in targets for target in lexicon.ENGLISH_NOUN),
        *(index == name for name in _INDICES),
        *(question.language == name for name in _LANGUAGES),
        index is not None,
        lexicon.area_unit(question.text_tokens) is not None,
        True in kinds, False in kinds, not kinds, len(question.mentions) > 1,
        n <= 2, n <= 4, n > 12, question.text.rstrip().endswith("?"),
    ]  # fmt: skip
    return np.array(flags, np.float32)


def _offered(inputs: Inputs | None) -> Floats:
    """What the inputs offer, as flags; all zero where they are unknown."""
    if inputs is None:
        return np.zeros(len(_flags(Inputs())), np.float32)
    return np.array(_flags(inputs), np.float32)


def _flags(inputs: Inputs) -> list[bool]:
    scenes = views(inputs)
    n = len(scenes)
    gsd = scenes[-1].gsd if scenes else None
    last = inputs.history[-1].content if inputs.history else ""
    return [
        n == 0, n == 1, n == 2, n > 2,
        n > 0 and all(scene.radar for scene in scenes),
        *(n > 0 and bool(scenes[-1].missing([band])) for band in ("N", "S1", "RE1")),
        n > 0 and gsd is None,
        *(gsd is not None and low <= gsd < high for low, high in ((0, 2), (2, 10), (10, 25))),
        gsd is not None and gsd >= 25,
        not all(scene.facts.georeferenced for scene in scenes),
        by_date(scenes) is None,
        len({scene.radar for scene in scenes}) > 1,
        inputs.archive, inputs.point is not None, inputs.region is not None,
        bool(inputs.history), last.rstrip().endswith("?"),
    ]  # fmt: skip
