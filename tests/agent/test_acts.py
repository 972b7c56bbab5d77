"""The act model and what ships with it."""

from __future__ import annotations

from collections import Counter

import numpy as np

from terralogue.agent.acts import (
    EMBEDDINGS,
    act_model,
    example_texts,
    fingerprint,
    fit,
    load_examples,
    read,
    stored_embeddings,
)
from terralogue.agent.targets import known_texts
from terralogue.agent.templates import _TEMPLATES
from terralogue.vlm.minilm import encode


def test_every_act_has_a_template_and_enough_examples() -> None:
    counts = Counter(row["act"] for row in load_examples())
    assert set(counts) == set(_TEMPLATES)
    assert min(counts.values()) >= 25


def test_the_examples_are_unique() -> None:
    queries = [row["query"].casefold() for row in load_examples()]
    assert len(queries) == len(set(queries))


def test_stored_embeddings_belong_to_the_texts_and_equal_fresh_ones() -> None:
    texts = {"examples": example_texts()[1], "targets": known_texts()}
    with np.load(EMBEDDINGS) as stored:
        for name, rows in texts.items():
            unique = list(dict.fromkeys(rows))
            assert str(stored[f"{name}_fingerprint"]) == fingerprint(unique)
    for name, rows in texts.items():
        sample = slice(0, len(rows), 97)
        fresh = encode(rows[sample])
        assert np.abs(stored_embeddings(name, rows)[sample] - fresh).max() < 2e-3


def test_stale_embeddings_are_computed_anew() -> None:
    assert np.allclose(stored_embeddings("examples", ["a lake"]), encode(["a lake"]), atol=1e-5)


def test_most_examples_are_told_right_when_left_out() -> None:
    questions, texts = example_texts()
    labels = [row["act"] for row in load_examples()]
    model, left_out = fit(questions, labels, stored_embeddings("examples", texts))
    told = [model.acts[i] for i in left_out.argmax(axis=1)]
    # 22 acts, some of them one route apart; most slips stay within a route.
    assert np.mean([a == b for a, b in zip(told, labels, strict=True)]) > 0.83


def test_an_act_stands_clear_of_the_others() -> None:
    model = act_model()
    scores = model.scores([read("How many hectares of forest are there?")])[0]
    assert model.acts[int(scores.argmax())] == "measure"
