from __future__ import annotations

from terralogue.agent.answer import ToolFinished, ToolProgress, ToolStarted, Understood
from terralogue.agent.plan import ToolCall
from terralogue.agent.steps import Steps


def test_a_turn_is_told_step_by_step() -> None:
    steps = Steps()
    call = ToolCall(tool="segment", arguments={"scene": "a", "target": "burned_area"})
    assert steps.take(Understood(route="tools", interpretation="Burned area", plan=(call,)))
    assert steps.take(ToolStarted(tool=call.tool, arguments=call.arguments))
    assert not steps.take(ToolProgress(tool="segment", done=3, total=9, message="tiles"))
    plan, running = steps.items
    assert "Segment · burned area" in plan.text
    assert (running.title, running.state) == ("Segment · burned area", "pending")
    assert running.progress == "tiles 3 of 9"
    assert steps.take(ToolFinished(tool="segment", ok=True, summary="12 ha"))
    assert (running.text, running.state, running.progress) == ("12 ha", "done", "")
    assert running.seconds is not None


def test_progress_without_a_known_end_is_told() -> None:
    steps = Steps()
    steps.take(ToolStarted(tool="describe_scene"))
    steps.take(ToolProgress(tool="describe_scene", done=3, total=None))
    assert steps.items[0].progress == "3"


def test_an_interrupted_step_is_closed() -> None:
    steps = Steps()
    steps.take(ToolStarted(tool="segment"))
    steps.finish()
    assert steps.items[0].state == "done"


def test_progress_before_any_step_is_left_out() -> None:
    steps = Steps()
    assert not steps.take(ToolProgress(tool="segment", done=1, total=2))
    assert steps.items == []
