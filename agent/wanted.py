"""A question with its slots filled, and the small pieces that every plan template uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from terralogue.agent.compat import ask, refuse
from terralogue.agent.facts import SceneView, by_date, views
from terralogue.agent.lexicon import plain_noun
from terralogue.agent.plan import Inputs, Plan, ToolCall
from terralogue.agent.questions import Question
from terralogue.datasets.errors import MissingSlot, RefusalReason

TARGET_OPTIONS: Final = ("water", "vegetation", "bare soil", "built-up land")
_WITHOUT_REGION: Final = frozenset(
    {
        "describe_scene",
        "segment_at_point",
        "search_archive",
        "search_changes",
        "export",
        "recommend_model",
    }
)


@dataclass(frozen=True)
class Wanted:
    """A question with its slots filled.

    Attributes:
        question: as read, together with what an earlier turn adds.
        act: what is wanted done.
        target: in the taxonomy, or None.
        index: spectral index, or None.
        unit: area unit asked for.
        several: an earlier answer named several things, and none was chosen.
        asks_region: the words refer to a drawn region.
        asks_point: the words refer to a click.
        other_scene: the words mean the scene beside the newest: "other", "earlier" or "first".
    """

    question: Question
    act: str
    inputs: Inputs
    target: str | None = None
    index: str | None = None
    unit: str | None = None
    several: bool = False
    asks_region: bool = False
    asks_point: bool = False
    other_scene: str = ""

    @property
    def scenes(self) -> tuple[SceneView, ...]:
        """The scenes, in upload order."""
        return views(self.inputs)

    @property
    def meant(self) -> SceneView:
        """The scene that a question about one scene means: the newest, else the last uploaded.

        Where the words mean another one, it is the one before that, or the first.
        """
        ordered = by_date(self.scenes) or list(self.scenes)
        if not self.other_scene or len(ordered) < 2:
            return ordered[-1]
        return ordered[0] if self.other_scene == "first" else ordered[-2]

    @property
    def noun(self) -> str:
        """The target in plain words."""
        return plain_noun(self.target) if self.target else "any change"


def plan_of(interpretation: str, *calls: ToolCall, target: str | None = None) -> Plan:
    """A plan with tool calls, or without any to answer from the image."""
    if calls:
        return Plan(route="tools", interpretation=interpretation, calls=calls, target=target)
    return Plan(route="answer", interpretation=interpretation, target=target)


def refusal(interpretation: str, reason: RefusalReason, message: str) -> Plan:
    """A plan that declines."""
    return refuse(plan_of(interpretation), reason, message)


def question(
    interpretation: str, slot: MissingSlot, text: str, options: tuple[str, ...] = ()
) -> Plan:
    """A plan that asks one question."""
    return ask(plan_of(interpretation), slot, text, options)


def call(wanted: Wanted, tool: str, **arguments: Any) -> ToolCall:
    """A tool call; a drawn region goes along with every tool that takes one."""
    if wanted.inputs.region is not None and tool not in _WITHOUT_REGION:
        arguments["region"] = wanted.inputs.region
    return ToolCall(tool=tool, arguments={k: v for k, v in arguments.items() if v is not None})


def no_scene(wanted: Wanted, purpose: str) -> Plan | None:
    """A refusal where there is no scene at all."""
    if wanted.scenes:
        return None
    return refusal(
        purpose, "no_data", "There is no scene to look at; add one, or name a place and a date."
    )


def no_other_scene(wanted: Wanted) -> Plan | None:
    """A question where the words mean another scene, or an earlier one, and none can be told."""
    if not wanted.other_scene:
        return None
    purpose = f"Do the same on the {wanted.other_scene} scene"
    if len(wanted.scenes) < 2:
        text = f"There is only one scene here: which {wanted.other_scene} one is meant? Add it."
        return question(purpose, "second_scene", text)
    if wanted.other_scene != "other" and by_date(wanted.scenes) is None:
        return unknown_date(wanted.scenes, purpose)
    return None


def no_region(wanted: Wanted, purpose: str) -> Plan | None:
    """A question where the words refer to a drawn region and none has arrived."""
    if wanted.inputs.region is not None or not wanted.asks_region:
        return None
    return question(purpose, "region", "No region has arrived: draw the area that is meant.")


def unknown_date(scenes: tuple[SceneView, ...], purpose: str) -> Plan:
    """A question for the date of the first scene that has none."""
    unknown = next(scene for scene in scenes if scene.facts.date is None)
    name = unknown.facts.name or unknown.id
    return question(purpose, "time", f"When was {name} taken (YYYY-MM-DD)?")
