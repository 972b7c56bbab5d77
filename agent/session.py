"""A conversation about scenes: the object that the command line, the page and scripts use.

    from terralogue.agent.session import ChatSession

    with ChatSession() as session:
        answer = session.ask("How much of this is under water?", ["scene.tif"])
        print(answer.answer)
        print(session.ask("And in acres?").answer)

A session may be shared: `stream` works from any event loop, several threads of conversation at a
time, and the turns of one thread wait for each other. The work itself runs on one loop in the
background. Several processes may share the home folder, but not one thread at the same moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command, StateSnapshot
from mcp import Client
from pydantic import TypeAdapter

from terralogue.agent import mcp_tools
from terralogue.agent.answer import Answer, Event, Finished
from terralogue.agent.background import Background
from terralogue.agent.compose import ending_of, planned
from terralogue.agent.graph import (
    MOST_STEPS,
    Graph,
    build_graph,
    make_plan,
)
from terralogue.agent.home import make_home, threads_file, workspace
from terralogue.agent.plan import SceneFacts, Turn
from terralogue.agent.planner import DEFAULT, Planner, get_planner
from terralogue.agent.querying import around, query_of
from terralogue.agent.reader import DEFAULT as EMBEDDED
from terralogue.agent.reader import NamedReader
from terralogue.agent.request import DateSource, RegionSource, Request, SceneSource, read_request
from terralogue.agent.state import State, Update, new_turn
from terralogue.agent.world import ImageReader, Look, Looked, OnProgress
from terralogue.datasets.errors import EOError, InputError
from terralogue.tools.pointed import Pointed, keep_pointed, part_of
from terralogue.tools.server import build_server
from terralogue.tools.store import Store

_EVENT: Final[TypeAdapter[Event]] = TypeAdapter(Event)
_CANNOT: Final = {"grounding": "point at things", "caption": "describe", "qa": "answer"}
UNFINISHED = "The question before this one was left unfinished: "


class _World:
    """Scenes, tools and planner, as the graph sees them."""

    def __init__(
        self,
        store: Store,
        client: Client,
        tools: Mapping[str, Mapping[str, Any]],
        planner: Planner,
        reader: ImageReader,
        quick: bool,
    ) -> None:
        self.store, self.quick = store, quick
        self.client = client
        self.tools = frozenset(tools)
        self.targets = frozenset(tools["segment"]["properties"]["target"]["examples"])
        counted = tools.get("detect_objects", {}).get("properties", {})
        self.things = frozenset(counted.get("target", {}).get("examples", ()))
        self.planner = planner
        self.reader = reader
        self.english_only = reader.name.startswith(EMBEDDED)

    @property
    def archive(self) -> bool:
        return self.store.has_archive

    def facts(self, scenes: Sequence[str]) -> tuple[SceneFacts, ...]:
        return tuple(self._facts(scene) for scene in scenes)

    def _facts(self, scene_id: str) -> SceneFacts:
        scene = self.store.open(scene_id)
        return SceneFacts(
            id=scene_id,
            name=scene.name,
            sensor=scene.sensor.key if scene.sensor else None,
            bands=tuple(dict.fromkeys(b.common for b in scene.bands if b.common)),
            georeferenced=scene.georeferenced,
            date=scene.date,
            gsd=scene.gsd,
            calibrated=scene.calibrated,
            sensor_question=scene.recognition.question,
            sensor_options=scene.recognition.options,
        )

    def known(self, scenes: Sequence[str]) -> list[dict[str, Any]]:
        return [
            {
                **self._facts(scene).model_dump(mode="json"),
                "files": [_stamp(path) for path in self.store.find(scene).paths],
                "quick": self.quick,
            }
            for scene in scenes
        ]

    def set_sensor(self, scene: str, sensor: str) -> None:
        self.store.set_sensor(scene, sensor)

    def set_time(self, scene: str, iso: str) -> None:
        self.store.set_time(scene, iso)

    async def measurable(self, scenes: Sequence[str]) -> dict[str, list[str]]:
        return {scene: await self._measurable(scene) for scene in scenes}

    async def _measurable(self, scene: str) -> list[str]:
        try:
            found = await self.call("describe_scene", {"scene": scene}, lambda *_: None)
        except EOError:
            # What the file lacks is said when somebody measures on it.
            return []
        return [str(target) for target in found["targets"]]

    async def call(self, tool: str, arguments: Mapping[str, Any], told: OnProgress) -> Update:
        first_look = {"quick": True} if self.quick and tool == "segment" else {}
        return await mcp_tools.call(self.client, tool, {**arguments, **first_look}, told)

    async def look(self, look: Look) -> Looked:
        return await asyncio.to_thread(self._look, look)

    def _look(self, look: Look) -> Looked:
        scenes = [self.store.open(scene) for scene in look.scenes]
        part, warnings = None, tuple[str, ...]()
        if look.region is not None:
            part, warnings = part_of(scenes[0], look.region)
        elif look.point is not None:
            part = around(*look.point, scenes[0].width, scenes[0].height)
        query = query_of(look, scenes, part, self.reader.tasks)
        if query.task != look.task:
            able = _CANNOT[look.task]
            warnings += (f"{self.reader.name} cannot {able}; it answered in words.",)
        reading = self.reader.answer(query)
        files = []
        if reading.sure and reading.boxes:
            pointed = Pointed(
                look.phrase, reading.label, reading.boxes, reading.mask, self.reader.name
            )
            files = keep_pointed(self.store, look.scenes[0], pointed)
        return Looked(
            reading,
            self.reader.name,
            query.task,
            tuple(file.model_dump(mode="json") for file in files),
            warnings,
            (scenes[0].width, scenes[0].height),
        )


class _Service:
    """One world, one memory, and the graph over them; lives on one event loop."""

    def __init__(self, world: _World, graph: Graph, saver: AsyncSqliteSaver) -> None:
        self.world = world
        self.graph = graph
        self.saver = saver
        self._turns: dict[str, asyncio.Lock] = {}

    async def turn(self, thread: str, request: Request) -> AsyncGenerator[Event, None]:
        """Run one turn of a thread, or go on with the one that was cut short."""
        async with self._turns.setdefault(thread, asyncio.Lock()):
            config = _config(thread)
            before = await self.graph.aget_state(config)
            given = await asyncio.to_thread(_given, self.world.store, request)
            if request.dry_run:
                yield Finished(answer=await self._dry(thread, before, request, given))
                return
            start = _start(thread, before, request, given)
            if start is None and before.interrupts:
                yield Finished(answer=Answer.model_validate(before.values["answer"]))
                return
            async for sent in self.graph.astream(
                start, config, stream_mode="custom", durability="sync"
            ):
                yield _EVENT.validate_python(sent)
            after = await self.graph.aget_state(config)
            await self._forget_steps(thread)
        ended: State = after.values  # type: ignore[assignment]
        if ended["answer"] is None and (error := ending_of(ended)) is not None:
            raise error
        yield Finished(answer=Answer.model_validate(ended["answer"]))

    async def _dry(
        self, thread: str, before: StateSnapshot, request: Request, given: Update
    ) -> Answer:
        if request.question is None:
            raise InputError("There is no question to plan for; give one with -q.")
        state: Any = {
            **before.values,
            **new_turn(thread, request.question, before=_length(before), **given),
        }
        if before.interrupts:
            state["wordings"] = [f"{before.values['wordings'][0]}: {request.question}"]
            state["wordings"].append(request.question)
        plan, _ = await make_plan(self.world, state)
        return planned(state, plan)

    async def _forget_steps(self, thread: str) -> None:
        """Keep only where the thread stands: every step holds all messages, and they add up."""
        for table in ("writes", "checkpoints"):
            async with self.saver.lock:
                await self.saver.conn.execute(
                    f"DELETE FROM {table} WHERE thread_id = :thread AND checkpoint_id < "
                    "(SELECT MAX(checkpoint_id) FROM checkpoints WHERE thread_id = :thread)",
                    {"thread": thread},
                )
                await self.saver.conn.commit()

    async def threads(self) -> list[str]:
        """Ids of all threads, the newest first."""
        await self.saver.setup()
        query = "SELECT thread_id FROM checkpoints GROUP BY thread_id ORDER BY MAX(checkpoint_id)"
        async with self.saver.conn.execute(f"{query} DESC") as cursor:
            return [row[0] for row in await cursor.fetchall()]

    async def history(self, thread: str) -> list[Turn]:
        """The messages of a thread."""
        state = await self.graph.aget_state(_config(thread))
        return [Turn(**message) for message in state.values.get("messages", [])]


class ChatSession:
    """A conversation, kept on disk: a new session with the same thread goes on where it ended."""

    def __init__(
        self,
        thread: str | None = None,
        *,
        home: Path | None = None,
        planner: str | Planner = DEFAULT,
        vlm: str | ImageReader = EMBEDDED,
        quick: bool = False,
    ) -> None:
        """Choose; nothing is opened yet.

        Args:
            thread: id of a conversation to go on with; a new one if not given.
            home: see `terralogue.agent.home`.
            planner: a name for `terralogue.agent.planner.get_planner`, or a planner.
            vlm: a name for `terralogue.vlm.vlm.load_vlm`, loaded when first needed, or a model.
            quick: masks are a first look at coarse pixels, and say so.

        Raises:
            InputError: no such planner or model, or the home folder cannot be written.
        """
        self.thread = thread or new_thread()
        self._home, self._quick = make_home(home), quick
        self._planner = get_planner(planner) if isinstance(planner, str) else planner
        self._reader = NamedReader(vlm) if isinstance(vlm, str) else vlm
        self._background: Background[_Service] | None = None

    def warm_up(self) -> None:
        """Begin to load the image-reading model in the background, for a quick first answer."""
        if isinstance(self._reader, NamedReader):
            self._reader.warm_up()

    def __enter__(self) -> Self:
        """Open once, for several questions; without this every question opens and closes."""
        self._background = Background(self._service)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Cancel what runs, and close everything."""
        if self._background is not None:
            self._background.close()
            self._background = None

    @asynccontextmanager
    async def _service(self) -> AsyncIterator[_Service]:
        store = Store(workspace(self._home))
        async with (
            AsyncSqliteSaver.from_conn_string(str(threads_file(self._home))) as saver,
            Client(build_server(store)) as client,
        ):
            listed = await mcp_tools.list_tools(client)
            tools = {tool.name: tool.input_schema for tool in listed}
            world = _World(store, client, tools, self._planner, self._reader, self._quick)
            yield _Service(world, build_graph(world, saver), saver)

    @contextmanager
    def _opened(self) -> Iterator[Background[_Service]]:
        if self._background is not None:
            yield self._background
            return
        background = Background(self._service)
        try:
            yield background
        finally:
            background.close()

    async def stream(
        self,
        question: str | None = None,
        scenes: SceneSource | Sequence[SceneSource] = (),
        *,
        region: RegionSource | None = None,
        point: tuple[float, float] | None = None,
        sensor: str | Sequence[str] | None = None,
        date: DateSource | None = None,
        dry_run: bool = False,
        thread: str | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Ask, and hear of every step; see `ask`. The last event is `Finished`.

        Closing the iterator, or cancelling the task that reads it, stops the running tool within
        one tile; the thread can go on with `resume` or with a new question.

        Args:
            question: as in `ask`.
            scenes: as in `ask`.
            region: as in `ask`.
            point: as in `ask`.
            sensor: as in `ask`.
            date: as in `ask`.
            dry_run: as in `ask`.
            thread: another conversation than the session's own.

        Raises:
            EOError: as in `ask`.
        """
        request = read_request(question, scenes, region, point, sensor, date, dry_run)
        opened = self._opened()
        background = await asyncio.to_thread(opened.__enter__)
        try:
            turn = background.service.turn(thread or self.thread, request)
            async with contextlib.aclosing(background.stream(turn)) as events:
                async for event in events:
                    yield event
        finally:
            await asyncio.shield(asyncio.to_thread(opened.__exit__, None, None, None))

    def ask(
        self,
        question: str | None = None,
        scenes: SceneSource | Sequence[SceneSource] = (),
        *,
        region: RegionSource | None = None,
        point: tuple[float, float] | None = None,
        sensor: str | Sequence[str] | None = None,
        date: DateSource | None = None,
        dry_run: bool = False,
    ) -> Answer:
        """Ask one question and wait for the answer.

        Where the thread waits for a reply, the question is that reply. Without a question the
        thread goes on with what was cut short.

        Args:
            question: in the person's own words.
            scenes: files or folders, one scene each; a list inside the list is one scene of
                several files. They replace the scenes (and the region) of the questions before;
                none given means the same scenes again. As a reply to "which other scene?", they
                are added.
            region: GeoJSON (a file or an object) or west, south, east, north; kept for the
                questions after, until other scenes or another region are given; "all" ends it.
            point: column and row of the first scene's preview.
            sensor: key or alias in SENSORS, for all scenes given or one for each of them.
            date: of acquisition, one for each scene given.
            dry_run: stop after the plan; nothing of it is kept in the conversation.

        Raises:
            InputError: a file, region or option cannot be used; the conversation goes on.
        """
        request = read_request(question, scenes, region, point, sensor, date, dry_run)
        with self._opened() as background:
            return background.run(_last(background.service.turn(self.thread, request)))

    def resume(self) -> Answer:
        """Go on with a turn that was cut short, or ask again what waits for a reply.

        Raises:
            InputError: nothing is left to do.
        """
        return self.ask()

    def threads(self) -> list[str]:
        """Ids of all conversations, the newest first."""
        with self._opened() as background:
            return background.run(background.service.threads())

    def history(self, thread: str | None = None) -> list[Turn]:
        """The messages of a conversation, the session's own if none is named."""
        with self._opened() as background:
            return background.run(background.service.history(thread or self.thread))


def _stamp(path: Path) -> list[int]:
    """Size and time of a file or folder, which tell whether it was replaced."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def new_thread() -> str:
    """A fresh id for a conversation."""
    return secrets.token_hex(4)


def _config(thread: str) -> Any:
    return {"configurable": {"thread_id": thread}, "recursion_limit": MOST_STEPS}


async def _last(events: AsyncGenerator[Event, None]) -> Answer:
    async with contextlib.aclosing(events):
        async for event in events:
            if isinstance(event, Finished):
                return event.answer
    raise RuntimeError("The turn ended without an answer.")


def _length(before: StateSnapshot) -> int:
    return len(before.values.get("messages", []))


def _given(store: Store, request: Request) -> Update:
    """What a request changes in the thread; opens its scenes, so that a bad file is told now."""
    given: Update = {}
    if request.scenes:
        given["scenes"] = [_register(store, *scene) for scene in request.scenes]
        given["region"] = None
    if request.all_regions:
        given["region"] = None
    elif request.region is not None:
        given["region"] = request.region
    if request.point is not None:
        given["point"] = list(request.point)
    return given


def _register(store: Store, source: SceneSource, sensor: str | None, date: str | None) -> str:
    scene = store.add_scene(source)
    if sensor is not None:
        store.set_sensor(scene, sensor)
    if date is not None:
        store.set_time(scene, date)
    store.open(scene)
    return scene


def _start(thread: str, before: StateSnapshot, request: Request, given: Update) -> Any:
    """What to run the graph with: a new turn, a reply, or nothing (go on where it stopped).

    Raises:
        InputError: there is neither a question nor anything to go on with.
    """
    waiting = bool(before.interrupts)
    if waiting and (request.question is not None or given):
        stop = before.values["stop"]
        if stop["slot"] == "second_scene" and "scenes" in given:
            given = {**given, "scenes": [*before.values["scenes"], *given["scenes"]]}
            del given["region"]
        return Command(resume={"reply": request.question or "", **given})
    if request.question is None:
        if before.next:
            return None
        raise InputError(
            f"There is nothing to go on with in the conversation {thread!r}; ask a question (-q)."
        )
    if before.next and not waiting:
        given = {**given, "notes": [UNFINISHED + before.values["asked"]]}
    return new_turn(thread, request.question, before=_length(before), **given)
