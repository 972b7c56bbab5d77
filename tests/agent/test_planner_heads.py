"""The trained heads: fitting, storing, what they see, and how plans are weighed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from terralogue.agent.plan import Inputs, Plan, SceneFacts
from terralogue.agent.planner_choice import Candidate, candidates, choose, weigh
from terralogue.agent.planner_features import Asked, Floats, features, joined, likeness_of
from terralogue.agent.planner_heads import (
    Decision,
    Heads,
    as_arrays,
    from_arrays,
    load_heads,
    shipped,
)
from terralogue.agent.planner_training import fit_head
from terralogue.agent.questions import read
from terralogue.agent.templates import _TEMPLATES
from terralogue.agent.wanted import Wanted
from terralogue.datasets.errors import InputError

ONE = Inputs(scenes=(SceneFacts(id="a", sensor="sentinel2", date="2022-06-01"),))


def seen(text: str, inputs: Inputs | None) -> dict[str, Floats]:
    question = read(text)
    return dict(features([Asked(question, inputs)], likeness_of([question])))


def test_the_shipped_heads_fit_the_features() -> None:
    parts, heads = seen("how much forest is there", ONE), shipped()
    assert heads.act.weights.shape[0] == joined(parts).shape[1]
    assert heads.outcome.weights.shape[0] == joined(parts, crossed=True).shape[1]
    assert set(heads.act.labels) == set(_TEMPLATES)


def test_what_the_inputs_offer_is_seen_and_can_be_unknown() -> None:
    radar = Inputs(scenes=(SceneFacts(id="a", sensor="sentinel1"),))
    one, other = seen("what is it", ONE)["inputs"], seen("what is it", radar)["inputs"]
    assert (one != other).any()
    assert not seen("what is it", None)["inputs"].any()


def test_a_head_learns_what_can_be_told_apart_and_survives_storing() -> None:
    rng = np.random.default_rng(0)
    x = 5 * rng.normal(size=(90, 5)).astype(np.float32)
    labels = [("left", "middle", "right")[int(row[:3].argmax())] for row in x]
    head = fit_head(x, labels)
    told = [head.labels[i] for i in head.probabilities(x).argmax(axis=1)]
    assert np.mean([a == b for a, b in zip(told, labels, strict=True)]) > 0.9
    heads = Heads(head, head, Decision(0.25, 1.4, 0.3))
    again = from_arrays(as_arrays(heads))
    assert again.decision == heads.decision
    assert np.abs(again.act.probabilities(x) - head.probabilities(x)).max() < 0.05


def test_a_file_that_holds_no_heads_says_how_to_fit_some(tmp_path: Path) -> None:
    for path in (tmp_path / "none.npz", tmp_path / "other.npz"):
        with pytest.raises(InputError, match="terralogue train planner"):
            load_heads(path)
        np.savez(tmp_path / "other.npz", x=np.zeros(2))


def candidate(act: str, plan: Plan, probability: float) -> tuple[Candidate, float]:
    return Candidate(plan, Wanted(read("x"), act, ONE, target="water"), probability), probability


LOOK = Plan(route="answer", interpretation="look")
DECLINE = Plan(route="refuse", interpretation="no", reason="out_of_scope")


def test_plans_of_the_same_outcome_add_up() -> None:
    found = [
        candidate("scope", DECLINE, 0.4),
        candidate("look", LOOK, 0.3),
        candidate("explain", LOOK, 0.3),
    ]
    ranked = weigh(found, {}, Decision(outcome_weight=0.0))
    assert [c.plan.route for c in ranked] == ["answer", "refuse"]
    assert ranked[0].score == pytest.approx(0.6, abs=0.01)


def test_where_no_plan_is_sure_the_person_chooses_among_concrete_wishes() -> None:
    found = [candidate("measure", DECLINE, 0.5), candidate("look", LOOK, 0.5)]
    asked = choose(weigh(found, {}, Decision(0.0, 1.0, 0.9)), Decision(0.0, 1.0, 0.9))
    assert (asked.route, asked.missing_slot) == ("clarify", "intent")
    assert set(asked.options) == {"measure the area of water", "describe what the image shows"}
    sure = choose(weigh(found, {}, Decision(0.0, 1.0, 0.1)), Decision(0.0, 1.0, 0.1))
    assert sure.route in {"refuse", "answer"}
    assert sure.confidence == pytest.approx(0.5, abs=0.01)


def test_candidates_are_checked_against_the_inputs() -> None:
    found, outcomes = candidates(read("Compute the NDVI"), ONE, shipped())
    assert found[0][0].plan.calls[0].tool == "compute_index"
    assert sum(outcomes.values()) == pytest.approx(1, abs=0.01)
    aerial = Inputs(scenes=(SceneFacts(id="a", sensor="rgb_aerial"),))
    found, _ = candidates(read("Compute the NDVI"), aerial, shipped())
    assert (found[0][0].plan.route, found[0][0].plan.reason) == ("refuse", "sensor")
