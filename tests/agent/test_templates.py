from __future__ import annotations

import pytest

from terralogue.agent.compat import check
from terralogue.agent.embedded_planner import EmbeddedPlanner
from terralogue.agent.plan import Inputs, Plan, SceneFacts, ToolCall


def scene(name: str, date: str) -> SceneFacts:
    return SceneFacts(
        id=name, name=name, sensor="sentinel2_l2a", bands=("B", "G", "R", "N", "S1", "S2"),
        gsd=10, georeferenced=True, date=date,
    )  # fmt: skip


ONE = Inputs(scenes=(scene("a", "2020-06-01"),))
TWO = Inputs(scenes=(scene("b", "2021-06-01"), scene("a", "2020-06-01")))


@pytest.mark.parametrize("name", ["ndvi", "NDVI?", "evi", "mndwi"])
def test_a_bare_index_name_on_one_scene_computes_it(name: str) -> None:
    assert [call.tool for call in EmbeddedPlanner().plan(name, ONE).calls] == ["compute_index"]


def test_a_burn_on_two_dates_is_told_against_the_earlier_one() -> None:
    (call,) = EmbeddedPlanner().plan("burned area", TWO).calls
    assert (call.arguments["scene"], call.arguments["reference"]) == ("b", "a")


def test_a_target_without_a_model_is_refused_with_the_wider_one() -> None:
    call = ToolCall(tool="segment", arguments={"scene": "a", "target": "tree_cover"})
    plan = Plan(route="tools", interpretation="forest", calls=(call,))
    refused = check(plan, ONE, frozenset({"segment"}), frozenset({"vegetation"}))
    assert refused.route == "refuse"
    assert "vegetation" in str(refused.message)
    able = check(plan, ONE, frozenset({"segment"}), frozenset({"tree_cover"}))
    assert able.route == "tools"
