"""What a question wants done, whatever the scenes: an act such as measure, count, look or export.

Nearest labelled examples: a kernel between questions (sentence embedding, words, turns of phrase)
and regularised least squares over the labelled examples in `examples.jsonl`, fitted on load. Which
route an act leads to is decided later, with the inputs (`agent/templates.py`).
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from terralogue.agent.lexicon import COUNTABLE, ENGLISH_NOUN, Mention, mentions, nouns, trade_words
from terralogue.agent.words import HERE, fold, gist, language, spell
from terralogue.vlm.minilm import SHA256, encode

Floats = NDArray[np.float32]
EXAMPLES: Final = HERE / "examples.jsonl"
EMBEDDINGS: Final = HERE / "examples.npz"
HASHED: Final = 4096
# Weights of the parts of the kernel, its sharpness and the ridge: chosen by leave-one-out on the
# labelled examples.
WEIGHTS: Final = {"sentence": 0.45, "shape": 0.25, "words": 0.2, "cues": 0.1}
SHARPNESS: Final = 2.0
RIDGE: Final = 0.05


@cache
def _cue_patterns() -> Mapping[str, re.Pattern[str]]:
    """Turns of phrase that tell what is wanted, as patterns on the English words."""
    raw = json.loads((HERE / "cues.json").read_text(encoding="utf-8"))
    return {name: re.compile(rf"\b({'|'.join(parts)})\b") for name, parts in raw.items()}


@dataclass(frozen=True)
class Question:
    """A question, read: its language, its words in (roughly) English, and the targets it names."""

    text: str
    language: str
    tokens: tuple[str, ...]
    mentions: tuple[Mention, ...]

    @cached_property
    def english(self) -> str:
        """The words in English, in one string."""
        return " ".join(self.tokens)

    @cached_property
    def text_tokens(self) -> tuple[str, ...]:
        """The folded words as typed."""
        return tuple(fold(self.text).split())

    @cached_property
    def shape(self) -> str:
        """The same with every target replaced by a plain word, so that only the asking remains."""
        out = list(self.tokens)
        for m in reversed(self.mentions):
            out[m.start : m.stop] = ["things" if m.target in COUNTABLE else "stuff"]
        return " ".join(out)

    @cached_property
    def cues(self) -> frozenset[str]:
        """Names of the turns of phrase that occur."""
        return frozenset(n for n, p in _cue_patterns().items() if p.search(self.english))


@cache
def known_words() -> frozenset[str]:
    """Correctly spelled English words of the trade: those of the lexicon and of the examples."""
    rows = load_examples()
    plain = (row["query"] for row in rows if "typo" not in row and "lang" not in row)
    ours = (fold(query).split() for query in plain)
    return trade_words() | {w for words in ours for w in words if w.isascii()}


@cache
def load_examples() -> tuple[Mapping[str, str], ...]:
    """The labelled examples: query, act, and typo where the slips are meant."""
    lines = EXAMPLES.read_text(encoding="utf-8").splitlines()
    return tuple(json.loads(line) for line in lines if line)


def read(text: str) -> Question:
    """Read a question in any of the six languages."""
    folded = fold(text).split()
    name = language(folded, nouns())
    if name == "en":
        tokens = spell(text, known_words())
        return Question(text, name, tuple(tokens), tuple(mentions(tokens)))
    tokens = gist(folded, name, nouns()[name], ENGLISH_NOUN)
    # Targets are read in the original: the English noun for each is found at its place in the gist.
    in_gist = mentions(tokens)
    original = mentions(folded, name)
    placed = []
    for m in original:
        noun = fold(ENGLISH_NOUN[m.target])
        place = next((g for g in in_gist if " ".join(tokens[g.start : g.stop]) == noun), None)
        start, stop = (place.start, place.stop) if place else (0, 0)
        placed.append(Mention(m.target, m.score, start, stop))
    return Question(text, name, tuple(tokens), tuple(placed))


def _word_features(questions: Sequence[Question]) -> Floats:
    out = np.zeros((len(questions), HASHED), np.float32)
    for row, question in enumerate(questions):
        words = ["^", *question.shape.split(), "$"]
        pieces = [*words[1:-1], *map(" ".join, itertools.pairwise(words))]
        for piece in pieces:
            out[row, zlib.crc32(piece.encode()) % HASHED] = 1
    return out


def _cue_features(questions: Sequence[Question]) -> Floats:
    names = (*_cue_patterns(), "countable", "areal", "none", "several", "short")
    out = np.zeros((len(questions), len(names)), np.float32)
    for row, question in enumerate(questions):
        kinds = {m.target in COUNTABLE for m in question.mentions}
        flags = question.cues | {
            name
            for name, on in {
                "countable": True in kinds,
                "areal": False in kinds,
                "none": not kinds,
                "several": len(question.mentions) > 1,
                "short": len(question.tokens) <= 4,
            }.items()
            if on
        }
        out[row] = [name in flags for name in names]
    return out


def _unit(x: Floats) -> Floats:
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    return np.asarray(x / np.maximum(norm, 1e-6), np.float32)


@dataclass(frozen=True)
class _Parts:
    """Features of n questions; every part has rows of length one."""

    sentence: Floats
    shape: Floats
    words: Floats
    cues: Floats


@dataclass(frozen=True)
class ActModel:
    """Regularised least squares on similarities to the labelled examples."""

    acts: tuple[str, ...]
    parts: _Parts
    rarity: Floats
    coefficients: Floats

    def scores(self, questions: Sequence[Question]) -> Floats:
        """Score of every act, float32 (n, acts); about 1 for a clear case and 0 for none."""
        texts = [q.english for q in questions] + [q.shape for q in questions]
        unique = list(dict.fromkeys(texts))
        encoded = encode(unique)[[unique.index(text) for text in texts]]
        parts = _parts(questions, encoded, self.rarity)
        return _kernel(parts, self.parts) @ self.coefficients


def _parts(questions: Sequence[Question], encoded: Floats, rarity: Floats) -> _Parts:
    n = len(questions)
    return _Parts(
        sentence=encoded[:n],
        shape=encoded[n:],
        words=_unit(_word_features(questions) * rarity),
        cues=_unit(_cue_features(questions)),
    )


def _kernel(a: _Parts, b: _Parts) -> Floats:
    similarity = sum(
        weight * (getattr(a, name) @ getattr(b, name).T) for name, weight in WEIGHTS.items()
    )
    return np.asarray(np.exp(SHARPNESS * (similarity - 1)), np.float32)


def fingerprint(texts: Sequence[str]) -> str:
    """Identifies the encoded texts and the encoder, so that stale stored embeddings are noticed."""
    return hashlib.sha256("\n".join((SHA256, *texts)).encode()).hexdigest()


def stored_embeddings(name: str, texts: Sequence[str]) -> Floats:
    """Embeddings of fixed texts: read from the package, computed where they are stale.

    Args:
        name: "examples" or "targets".
        texts: n texts.

    Returns:
        float32 (n, 384), rows of length one, to about 0.001 where they were stored.
    """
    unique = list(dict.fromkeys(texts))
    rows: Floats | None = None
    if EMBEDDINGS.is_file():
        with np.load(EMBEDDINGS) as stored:
            key = f"{name}_fingerprint"
            if key in stored and str(stored[key]) == fingerprint(unique):
                rows = stored[name].astype(np.float32) * stored[f"{name}_step"][:, None]
    if rows is None:
        rows = encode(unique)
    place = {text: row for row, text in enumerate(unique)}
    return np.asarray(rows[[place[text] for text in texts]], np.float32)


def example_texts() -> tuple[tuple[Question, ...], list[str]]:
    """The examples read, and the texts of them that are embedded."""
    questions = tuple(read(row["query"]) for row in load_examples())
    return questions, [q.english for q in questions] + [q.shape for q in questions]


def fit(
    questions: Sequence[Question], labels: Sequence[str], encoded: Floats
) -> tuple[ActModel, Floats]:
    """Fit on labelled questions.

    Args:
        questions: n questions.
        labels: their acts.
        encoded: float32 (2 n, 384), embeddings of their words, then of their shapes.

    Returns:
        The model, and its leave-one-out scores, float32 (n, acts).
    """
    acts = tuple(sorted(set(labels)))
    seen = (_word_features(questions) > 0).sum(axis=0)
    rarity = np.log((1 + len(questions)) / (1 + seen)).astype(np.float32)
    parts = _parts(questions, encoded, rarity)
    wanted = np.array([[label == act for act in acts] for label in labels], np.float32)
    inverse = np.linalg.inv(_kernel(parts, parts) + RIDGE * np.eye(len(labels), dtype=np.float32))
    coefficients = (inverse @ wanted).astype(np.float32)
    left_out = wanted - coefficients / np.diag(inverse)[:, None]
    return ActModel(acts, parts, rarity, coefficients), left_out.astype(np.float32)


@cache
def act_model() -> ActModel:
    """The model fitted on the labelled examples of the package."""
    questions, texts = example_texts()
    labels = [row["act"] for row in load_examples()]
    return fit(questions, labels, stored_embeddings("examples", texts))[0]
