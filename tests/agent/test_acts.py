"""The act model and what ships of it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from terralogue.agent.acts import (
    ActModel,
    act_model,
    as_arrays,
    fingerprint,
    fit,
    fit_examples,
    from_arrays,
    stored,
    unpacked,
)
from terralogue.agent.questions import load_examples, read
from terralogue.agent.targets import known_texts
from terralogue.agent.templates import _TEMPLATES
from terralogue.vlm.minilm import encode


@pytest.fixture(scope="module")
def fresh() -> tuple[ActModel, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    return fit_examples()


def test_every_act_has_a_template_and_enough_examples() -> None:
    counts = Counter(row["act"] for row in load_examples())
    assert set(counts) == set(_TEMPLATES)
    assert min(counts.values()) >= 25


def test_the_examples_are_unique() -> None:
    queries = [row["query"].casefold() for row in load_examples()]
    assert len(queries) == len(set(queries))


def test_what_ships_is_fresh() -> None:
    arrays = stored()
    assert arrays is not None, "run python -m terralogue.agent.refresh"
    assert str(arrays["fingerprint"]) == fingerprint()
    sample = slice(0, None, 97)
    assert np.abs(unpacked(arrays, "targets")[sample] - encode(known_texts()[sample])).max() < 2e-3


def test_the_shipped_model_equals_a_fresh_fit(fresh: tuple[ActModel, object]) -> None:
    questions = [read("How many hectares of forest?"), read("¿Hay barcos?"), read("export it")]
    shipped, new = act_model().scores(questions), fresh[0].scores(questions)
    assert np.abs(shipped - new).max() < 0.02


def test_a_model_survives_storing() -> None:
    rows = [("how much water", "measure"), ("how much snow", "measure"), ("what is it", "look")]
    questions = [read(text) for text, _ in rows]
    texts = [q.english for q in questions] + [q.shape for q in questions]
    model, _ = fit(questions, [act for _, act in rows], encode(texts))
    again = from_arrays(as_arrays(model))
    asked = [read("how much ice"), read("what is that")]
    assert again.acts == model.acts == ("look", "measure")
    assert np.abs(again.scores(asked) - model.scores(asked)).max() < 0.02
    assert list(model.scores(asked).argmax(axis=1)) == [1, 0]


def test_most_examples_are_told_right_when_left_out(
    fresh: tuple[ActModel, np.ndarray[tuple[int, ...], np.dtype[np.float32]]],
) -> None:
    model, left_out = fresh
    told = [model.acts[i] for i in left_out.argmax(axis=1)]
    labels = [row["act"] for row in load_examples()]
    # 22 acts, some of them one route apart; most slips stay within a route.
    assert np.mean([a == b for a, b in zip(told, labels, strict=True)]) > 0.83
