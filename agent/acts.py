"""What a question wants done, whatever the scenes: an act such as measure, count, look or export.

Nearest labelled examples: a kernel between questions (sentence embedding, words, turns of phrase)
and regularised least squares over the labelled examples in `examples.jsonl`. The fit ships as
`examples.npz`. Which route an act leads to is decided later, with the inputs (`templates.py`).
"""

from __future__ import annotations

import hashlib
import itertools
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from terralogue.agent.lexicon import COUNTABLE
from terralogue.agent.questions import Question, cue_patterns, load_examples, read
from terralogue.agent.words import HERE
from terralogue.vlm.minilm import SHA256, encode

Floats = NDArray[np.float32]
FITTED: Final = HERE / "examples.npz"
# What the fit depends on; a change in any of them makes the stored fit stale.
_SOURCES: Final = (
    "examples.jsonl", "lexicon.json", "glossary.json", "cues.json",
    "words.py", "lexicon.py", "questions.py", "acts.py", "targets.py",
)  # fmt: skip
HASHED: Final = 4096
# Weights of the parts of the kernel, its sharpness and the ridge: chosen by leave-one-out on the
# labelled examples.
WEIGHTS: Final = {"sentence": 0.45, "shape": 0.25, "words": 0.2, "cues": 0.1}
SHARPNESS: Final = 2.0
RIDGE: Final = 0.05


def _word_features(questions: Sequence[Question]) -> Floats:
    out = np.zeros((len(questions), HASHED), np.float32)
    for row, question in enumerate(questions):
        words = ["^", *question.shape.split(), "$"]
        pieces = [*words[1:-1], *map(" ".join, itertools.pairwise(words))]
        for piece in pieces:
            out[row, zlib.crc32(piece.encode()) % HASHED] = 1
    return out


def _cue_names() -> tuple[str, ...]:
    return (*cue_patterns(), "countable", "areal", "none", "several", "short")


def _cue_features(questions: Sequence[Question]) -> Floats:
    names = _cue_names()
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


def fingerprint() -> str:
    """Identifies the encoder, the examples and the reading of them."""
    digest = hashlib.sha256(SHA256.encode())
    for name in _SOURCES:
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()


@cache
def stored() -> Mapping[str, NDArray[Any]] | None:
    """The arrays that ship with the package, or None where they are missing or stale."""
    if not FITTED.is_file():
        return None
    with np.load(FITTED) as arrays:
        found = dict(arrays)
    return found if str(found["fingerprint"]) == fingerprint() else None


def packed(rows: Floats) -> dict[str, NDArray[Any]]:
    """Rows as bytes, each with its step: a quarter of the size, to about 0.001."""
    step = np.abs(rows).max(axis=1) / 127
    return {"bytes": np.round(rows / step[:, None]).astype(np.int8), "step": step}


def unpacked(arrays: Mapping[str, NDArray[Any]], name: str) -> Floats:
    """Rows that were stored as `packed`."""
    rows = arrays[f"{name}_bytes"].astype(np.float32)
    return np.asarray(rows * arrays[f"{name}_step"][:, None], np.float32)


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


def fit_examples() -> tuple[ActModel, Floats]:
    """Read, encode and fit the labelled examples anew: seconds to a minute."""
    examples = load_examples()
    questions = tuple(read(row["query"]) for row in examples)
    texts = [q.english for q in questions] + [q.shape for q in questions]
    unique = list(dict.fromkeys(texts))
    place = {text: row for row, text in enumerate(unique)}
    encoded = encode(unique)[[place[text] for text in texts]]
    return fit(questions, [row["act"] for row in examples], encoded)


def as_arrays(model: ActModel) -> dict[str, NDArray[Any]]:
    """A model as small arrays; `from_arrays` turns them back."""
    parts = model.parts
    rows, place = np.unique(
        np.concatenate([parts.sentence, parts.shape]), axis=0, return_inverse=True
    )
    return {
        "acts": np.array(model.acts),
        "rarity": model.rarity,
        "coefficients": model.coefficients,
        "place": place.astype(np.int16),
        "words": np.packbits(parts.words > 0, axis=1),
        "cues": np.packbits(parts.cues > 0, axis=1),
        **{f"rows_{key}": value for key, value in packed(rows).items()},
    }


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> ActModel:
    """A model from what `as_arrays` gave."""
    encoded = unpacked(arrays, "rows")[arrays["place"].reshape(-1)]
    n = len(encoded) // 2
    words = np.unpackbits(arrays["words"], axis=1, count=HASHED).astype(np.float32)
    cues = np.unpackbits(arrays["cues"], axis=1, count=len(_cue_names())).astype(np.float32)
    parts = _Parts(encoded[:n], encoded[n:], _unit(words * arrays["rarity"]), _unit(cues))
    return ActModel(
        tuple(map(str, arrays["acts"])), parts, arrays["rarity"], arrays["coefficients"]
    )


@cache
def act_model() -> ActModel:
    """The model of the package: as shipped, or fitted anew where that is stale."""
    arrays = stored()
    return fit_examples()[0] if arrays is None else from_arrays(arrays)
