"""The conversation as a graph, with the four routes of a plan.

    understand ─┬─ act (one tool call a step) ──┬─ compose ─┬─ end
                ├─ answer (look at the image) ──┤           └─ clarify (waits) ── understand
                └─ a question or a refusal ─────┘

A tool that has to decline may hand over to `answer`, where looking would do; the answer says so.

Every step is saved, so a turn that was cut short goes on at the step it had reached. Knows no MCP
and opens no files: what it does outside itself, it does through a `World`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, StreamWriter, interrupt

from terralogue.agent.answer import Event, ToolFinished, ToolProgress, ToolStarted, Understood
from terralogue.agent.compat import NO_RESULT, check
from terralogue.agent.compose import compose_answer, ending_of
from terralogue.agent.explain import explained
from terralogue.agent.look_words import choices
from terralogue.agent.looking import aim, can_look_instead, look_instead, measure_instead
from terralogue.agent.plan import LAST, Inputs, Plan, ToolCall, Turn, result_number
from terralogue.agent.querying import look_of
from terralogue.agent.reply import replied
from terralogue.agent.said import reading_of
from terralogue.agent.state import Message, State, Update
from terralogue.agent.world import World
from terralogue.datasets.errors import ClarifyError, EOError, InputError, RefusalError

MOST_CALLS: Final = 12
MOST_STEPS: Final = MOST_CALLS + 8
REMEMBERED: Final = 20
"""Messages that a planner sees; the conversation itself keeps them all."""
KEPT: Final = 12
"""Measurements of a conversation that are used again where the same is asked."""

# What "that" means in "export that": data, never a preview.
_DATA: Final = ("mask", "change", "index", "polygons", "geopackage", "table")

_LOOK: Final = "look at the picture"
# Tools that give the same again; a search does not, since archives grow.
_REPEATABLE: Final = frozenset(
    {"segment", "segment_at_point", "detect_objects", "detect_change", "compute_index",
     "time_series", "zonal_statistics"}
)  # fmt: skip
_AGAIN: Final = "Measured earlier in this conversation; not computed again."

Graph = CompiledStateGraph[State, None, State, State]


def build_graph(world: World, checkpointer: BaseCheckpointSaver[str]) -> Graph:
    """The graph, over one world and one memory."""
    steps = _Steps(world)
    graph: StateGraph[State, None, State, State] = StateGraph(State)
    graph.add_node("understand", steps.understand)
    graph.add_node("act", steps.act)
    graph.add_node("answer", steps.answer)
    graph.add_node("compose", steps.compose)
    graph.add_node("clarify", steps.clarify)
    graph.add_edge(START, "understand")
    graph.add_edge("clarify", "understand")
    return graph.compile(checkpointer=checkpointer, name="terralogue")


async def make_plan(world: World, state: State) -> tuple[Plan, str]:
    """The plan for a turn, checked, and the wording that it was made for.

    Raises:
        EOError: a scene can no longer be read, or the planner cannot be reached.
    """
    return await asyncio.to_thread(_plan, world, state)


def _inputs(world: World, state: State) -> Inputs:
    point = state.get("point")
    earlier = state.get("messages", [])[: state["before"]][-REMEMBERED:]
    return Inputs(
        scenes=world.facts(state.get("scenes", [])),
        archive=world.archive,
        point=(point[0], point[1]) if point else None,
        region=state.get("region"),
        history=tuple(Turn(**message) for message in earlier),
        last_artefact=state.get("last_artefact"),
    )


def _plan(world: World, state: State) -> tuple[Plan, str]:
    inputs = _inputs(world, state)
    plans = []
    for wording in state["wordings"]:
        planned = world.planner.plan(choices(wording)[0], inputs)
        plan = check(planned, inputs, world.tools, world.targets, world.things)
        if plan.reason == "out_of_scope" and can_look_instead(planned, wording):
            plan = look_instead(planned, wording, plan.message or "")
        plan = aim(plan, wording, inputs)
        if plan.route != "clarify":
            return _bounded(plan), wording
        plans.append(plan)
    return plans[0], state["wordings"][0]


def _bounded(plan: Plan) -> Plan:
    if len(plan.calls) <= MOST_CALLS:
        return plan
    raise InputError(
        f"This would take {len(plan.calls)} steps and {MOST_CALLS} is the most at once; "
        "ask for less at a time."
    )


def _stop_of(plan: Plan) -> dict[str, Any] | None:
    """A plan's own question or refusal, in the form of an error that a tool may raise."""
    if plan.route == "clarify":
        question = plan.question or "What is meant?"
        slot = plan.missing_slot or "intent"
        return _stop(ClarifyError(question, slot=slot, options=plan.options))
    if plan.route == "refuse":
        message = plan.message or "This cannot be done here."
        return _stop(RefusalError(message, reason=plan.reason or "out_of_scope"))
    return None


def _stop(error: EOError) -> dict[str, Any]:
    return {"message": str(error), **error.details()}


@dataclass
class _Steps:
    """The nodes."""

    world: World

    async def understand(
        self, state: State, writer: StreamWriter
    ) -> Command[Literal["act", "answer", "compose"]]:
        """Make the plan."""
        start = time.perf_counter()
        try:
            plan, wording = await make_plan(self.world, state)
        except EOError as error:
            return Command(goto="compose", update={"stop": _stop(error)})
        writer(_sent(Understood(
            route=plan.route, interpretation=plan.interpretation, plan=plan.calls
        )))  # fmt: skip
        update: Update = {
            "plan": plan.model_dump(mode="json"),
            "results": [],
            "stop": _stop_of(plan),
            "wordings": [wording],
            "timings": _timed(state, "understand", start),
        }
        if wording != state["wordings"][0]:
            # The reply was no part of the question that waited, but a question of its own.
            update["asked"] = wording
        if plan.route == "tools":
            return Command(goto="act", update=update)
        return Command(goto="answer" if plan.route == "answer" else "compose", update=update)

    async def act(
        self, state: State, writer: StreamWriter
    ) -> Command[Literal["act", "answer", "compose"]]:
        """Call the next tool of the plan; look where it has to decline and looking would do."""
        start = time.perf_counter()
        plan = Plan.model_validate(state["plan"])
        calls = plan.calls
        results = state["results"]
        call = calls[len(results)]
        step = call.tool if len(calls) == 1 else f"{len(results) + 1} {call.tool}"
        writer(_sent(ToolStarted(tool=call.tool, arguments=call.arguments)))

        def told(done: float, total: float | None, message: str) -> None:
            event = ToolProgress(tool=call.tool, done=done, total=total, message=message)
            writer(_sent(event))

        known = await asyncio.to_thread(self.world.known, state.get("scenes", []))
        key = {"call": call.model_dump(mode="json"), "known": known}
        measured = state.get("measured", [])
        before = next((each["result"] for each in measured if each["key"] == key), None)
        try:
            if before is not None and _there(before):
                result = {**before, "warnings": [*before["warnings"], _AGAIN]}
            else:
                result = await self.world.call(call.tool, _resolved(call, state), told)
                if call.tool in _REPEATABLE:
                    others = [each for each in measured if each["key"] != key]
                    measured = [*others, {"key": key, "result": result}][-KEPT:]
        except EOError as error:
            writer(_sent(ToolFinished(tool=call.tool, ok=False, summary=str(error))))
            update: Update = {"timings": _timed(state, step, start)}
            if call.tool == "export" and results:
                # What was measured stays, and why no file came of it is said with it.
                update["notes"] = [*state["notes"], str(error)]
                return Command(goto="compose", update=update)
            text = state["wordings"][0]
            if isinstance(error, RefusalError) and can_look_instead(plan, text):
                inputs = await asyncio.to_thread(_inputs, self.world, state)
                plan = aim(look_instead(plan, text, str(error)), text, inputs)
                if plan.route == "answer":
                    update["plan"] = plan.model_dump(mode="json")
                    return Command(goto="answer", update=update)
            return Command(goto="compose", update={"stop": _stop(error), **update})
        writer(_sent(ToolFinished(tool=call.tool, ok=True, summary=str(result["title"]))))
        update = {
            "results": [*results, result],
            "measured": measured,
            "last_artefact": _newest(result) or state.get("last_artefact"),
            "timings": _timed(state, step, start),
        }
        done = len(results) + 1 == len(calls)
        return Command(goto="compose" if done else "act", update=update)

    async def answer(
        self, state: State, writer: StreamWriter
    ) -> Command[Literal["act", "compose"]]:
        """Let the image-reading model look; where it is not sure, find what can be measured."""
        start = time.perf_counter()
        plan, text = Plan.model_validate(state["plan"]), state["wordings"][0]
        if plan.task == "explain":
            reading = explained(text, state.get("messages", []), state.get("looked", ""))
            update: Update = {"reading": reading, "timings": _timed(state, "answer", start)}
            return Command(goto="compose", update=update)
        writer(_sent(ToolStarted(tool=_LOOK)))
        try:
            inputs = await asyncio.to_thread(_inputs, self.world, state)
            look = look_of(plan, text, inputs, english_only=self.world.english_only)
            looked = await self.world.look(look)
        except EOError as error:
            writer(_sent(ToolFinished(tool=_LOOK, ok=False, summary=str(error))))
            update = {"stop": _stop(error), "timings": _timed(state, "answer", start)}
            return Command(goto="compose", update=update)
        reading = reading_of(look, looked)
        summary = f"{looked.model}: {looked.reading.text}"
        writer(_sent(ToolFinished(tool=_LOOK, ok=reading["sure"], summary=summary)))
        if not reading["sure"]:
            instead = measure_instead(plan, text, inputs)
            if instead is not None:
                checked = check(
                    instead, inputs, self.world.tools, self.world.targets, self.world.things
                )
                if checked.route == "tools":
                    update = {"plan": checked.model_dump(mode="json")}
                    update["timings"] = _timed(state, "answer", start)
                    return Command(goto="act", update=update)
            reading["measurable"] = await self.world.measurable(look.scenes)
        update = {
            "reading": reading,
            "looked": _looked(looked.model, look.scenes, inputs),
            "last_artefact": _newest(reading) or state.get("last_artefact"),
            "timings": _timed(state, "answer", start),
        }
        return Command(goto="compose", update=update)

    async def compose(self, state: State) -> Command[Literal["clarify", "__end__"]]:
        """Put the answer together, from results alone."""
        start = time.perf_counter()
        stop = ending_of(state)
        if isinstance(stop, InputError):
            said = Message(role="assistant", content=str(stop))
            return Command(goto="__end__", update={"messages": [said]})
        facts = await asyncio.to_thread(self.world.facts, state.get("scenes", []))
        answer = compose_answer(state, facts)
        answer = answer.model_copy(update={"timings": _timed(state, "compose", start)})
        update: Update = {
            "answer": answer.model_dump(mode="json"),
            "messages": [Message(role="assistant", content=answer.answer)],
        }
        if answer.route == "clarify":
            return Command(goto="clarify", update=update)
        return Command(goto="__end__", update=update)

    async def clarify(self, state: State) -> Update:
        """Wait for the reply, and put it where it belongs."""
        stop = state["stop"]
        assert stop is not None
        given = interrupt({"question": stop["message"], "options": stop["options"]})
        return await asyncio.to_thread(replied, self.world, state, given)


def _timed(state: State, step: str, start: float) -> dict[str, float]:
    return {**state["timings"], step: round(time.perf_counter() - start, 3)}


def _newest(result: Mapping[str, Any]) -> str | None:
    for kind in _DATA:
        for artefact in result["artefacts"]:
            if artefact["kind"] == kind:
                return str(artefact["id"])
    return None


def _looked(model: str, scenes: Sequence[str], inputs: Inputs) -> str:
    """Which model read which pictures."""
    names = {scene.id: scene.name or scene.id for scene in inputs.scenes}
    seen = " and ".join(names[scene] for scene in scenes)
    return f"Read off the picture of {seen} by {model}; nothing was measured."


def _resolved(call: ToolCall, state: State) -> dict[str, Any]:
    """Arguments of a call, with the file that "last" or "result 1" stands for.

    Raises:
        ClarifyError: there is no such file.
    """
    named = call.arguments.get("artefact")
    number = result_number(str(named))
    if named != LAST and number is None:
        return call.arguments
    results = state["results"]
    found = state.get("last_artefact")
    if number is not None:
        found = _newest(results[number - 1]) if number <= len(results) else None
    if found is None:
        raise ClarifyError(NO_RESULT, slot="target")
    return {**call.arguments, "artefact": found}


def _there(result: Mapping[str, Any]) -> bool:
    """Whether the files of an earlier result are still there."""
    return all(Path(artefact["path"]).is_file() for artefact in result["artefacts"])


def _sent(event: Event) -> dict[str, Any]:
    return event.model_dump(mode="json")
