"""The page: a chat about scenes, with the map and the figures beside it. Layout and wiring only.

    terralogue chat [--host H] [--port N] [--auth USER:PASSWORD]
    python -m terralogue.app --demo      # answers one question in the terminal first

Nothing is fetched from elsewhere: scripts and styles come from this server, fonts from the system.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

# Before gradio is loaded: it asks its makers for news as soon as it is imported.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr
import numpy as np
from gradio.themes.utils import colors
from numpy.typing import NDArray

from terralogue.agent import show, style
from terralogue.agent.answer import Answer, Finished
from terralogue.agent.demo import run_demo, write_samples
from terralogue.agent.home import make_home, workspace
from terralogue.agent.reader import DEFAULT
from terralogue.agent.samples import SAMPLES, sample_files
from terralogue.agent.serving import PORT, Serving, read_options
from terralogue.agent.session import ChatSession
from terralogue.agent.steps import Step, Steps
from terralogue.agent.uploads import UPLOAD_SUFFIXES
from terralogue.agent.visit import Visit
from terralogue.agent.world import ImageReader
from terralogue.datasets.errors import EOError, InputError
from terralogue.tools.store import Store

logger = logging.getLogger(__name__)

PREVIEW: Final = 1024
TURNS_AT_ONCE: Final = 4
QUEUE: Final = 32
# Progress is drawn no more often than this, in seconds.
REDRAW: Final = 0.2
CHIPS: Final = 5
UPLOAD: Final[Any] = {"file_types": list(UPLOAD_SUFFIXES), "file_count": "multiple"}
THINKING: Final = gr.ChatMessage("", metadata={"title": "Thinking", "status": "pending"})

Update = dict[Any, Any]


class Page:
    """The components of the page, and what happens when a person uses them."""

    def __init__(self, home: Path, vlm: str | ImageReader) -> None:
        """Open the workspace and the conversations, and lay the page out."""
        self.home = home
        self.store = Store(workspace(home))
        self.session = ChatSession(home=home, vlm=vlm)
        self.session.__enter__()
        with gr.Blocks(
            title="Terralogue", fill_width=True, analytics_enabled=False, delete_cache=(3600, 86400)
        ) as self.blocks:
            self._layout()
            self._wire()

    def _layout(self) -> None:
        self.visit = gr.State(Visit())
        with gr.Row(elem_id="bar"):
            gr.HTML(style.HEADER, scale=6)
            gr.HTML('<div class="tl-side">Conversation</div>', scale=1)
            self.thread = gr.Textbox(
                show_label=False, container=False, elem_id="thread", scale=0, min_width=230,
                submit_btn="Open",
            )  # fmt: skip
            self.new = gr.Button("New conversation", size="sm", scale=0, min_width=140)
        # Shown when the tab has its visit: what is asked before goes to another conversation.
        with gr.Row(equal_height=False, visible=False) as self.body:
            with gr.Column(scale=6, min_width=420, elem_id="left"):
                self.chat = gr.Chatbot(
                    show_label=False, elem_id="chat", placeholder=style.WELCOME,
                    layout="bubble", buttons=["copy"], sanitize_html=True, allow_tags=False,
                    group_consecutive_messages=True,
                )  # fmt: skip
                self.box = gr.MultimodalTextbox(
                    show_label=False, placeholder="How much of this is under water?",
                    sources=["upload"], **UPLOAD, elem_id="box", autofocus=True,
                )  # fmt: skip
                with gr.Row(elem_id="chips"):
                    first = SAMPLES["valley"].questions
                    self.chips = [gr.Button(text, size="sm") for text in first[:CHIPS]]
            with (
                gr.Column(scale=5, min_width=380, elem_id="side"),
                gr.Tabs(selected="samples") as self.tabs,
            ):
                with gr.Tab("Samples", id="samples"):
                    self._layout_samples()
                with gr.Tab("Scene", id="scene"):
                    self._layout_scene()
                with gr.Tab("Result", id="result"):
                    self._layout_result()

    def _layout_samples(self) -> None:
        pictures = []
        for sample in SAMPLES.values():
            # The last scene of a sample shows what it is about.
            path = sample_files(self.home / "samples", sample.key)[-1]
            picture = self.store.open(self.store.add_scene(path)).preview(360)
            pictures.append((picture, sample.title))
        self.samples = gr.Gallery(
            pictures, show_label=False, columns=2, height="auto", object_fit="cover",
            allow_preview=False, interactive=False, elem_id="samples", buttons=[],
        )  # fmt: skip

    def _layout_scene(self) -> None:
        self.choice = gr.CheckboxGroup(label="The next question is about", visible=False)
        self.scene_picture = _picture("scene-picture", ["fullscreen"])
        self.facts = gr.HTML(show.NO_SCENE, elem_id="facts")
        self.add = gr.UploadButton("Add scenes or a region", size="sm", **UPLOAD)
        with gr.Accordion("Only a part of it", open=False):
            self.region = gr.Textbox(
                label="Bounding box",
                info="West, south, east, north in degrees, or in pixels where the scene has no "
                "coordinates. Or upload GeoJSON.",
                placeholder="15.46, 46.95, 15.49, 46.98",
                submit_btn="Set",
            )
            self.region_state = gr.HTML(show.region_html(None))

    def _layout_result(self) -> None:
        self.figures = gr.HTML(show.NO_RESULT, elem_id="figures")
        self.picture = _picture("result-picture", ["download", "fullscreen"])
        self.files = gr.File(
            label="Files", file_count="multiple", interactive=False, visible=False, elem_id="files"
        )
        self.table = gr.Dataframe(
            headers=["What", "Value", "Method"], column_widths=["30%", "20%", "50%"], wrap=True,
            visible=False, show_label=False, elem_id="table", buttons=["copy"],
            interactive=False,
        )  # fmt: skip

    def _wire(self) -> None:
        panel = [
            self.visit, self.choice, self.scene_picture, self.facts, self.region_state,
            self.thread, self.tabs,
        ]  # fmt: skip
        result = [self.figures, self.picture, self.table, self.files]
        turn = [self.chat, self.box, *panel, *result]
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        talk = {**quiet, "concurrency_limit": TURNS_AT_ONCE, "concurrency_id": "turn"}
        state = [self.chat, self.visit]
        running: list[Any] = [
            self.box.submit(self.ask, [self.box, *state], turn, **talk),
            self.chat.option_select(self.on_option, state, turn, **talk),
            *(chip.click(self.ask, [chip, *state], turn, **talk) for chip in self.chips),
        ]
        self.box.stop(self.on_stop, self.chat, [self.chat, self.box], cancels=running, **quiet)
        shown = [*panel, *self.chips]
        self.samples.select(self.on_sample, self.visit, shown, **quiet)
        self.add.upload(self.on_upload, [self.add, *state], [*shown, self.chat], **quiet)
        self.choice.input(self.on_choice, [self.choice, self.visit], panel, **quiet)
        self.scene_picture.select(self.on_click, self.visit, panel, **quiet)
        self.region.submit(
            self.on_region, [self.region, self.visit], [self.visit, self.region_state], **quiet
        )
        everything = [*turn, *self.chips]
        gr.on([self.new.click, self.chat.clear], self.on_new, None, everything, **quiet)
        self.thread.submit(self.on_thread, self.thread, everything, **quiet)
        self.blocks.load(self.on_load, None, [*everything, self.body], **quiet)
        # One plain call for scripts, beside the page's own events.
        thread, region = gr.Textbox(visible=False), gr.Textbox(visible=False)
        answer, files = gr.JSON(visible=False), gr.File(file_count="multiple", visible=False)
        gr.Button(visible=False).click(
            self.api,
            inputs=[self.box, thread, region],
            outputs=[answer, files],
            api_name="chat",
            concurrency_limit=TURNS_AT_ONCE,
            concurrency_id="turn",
        )

    def view(self, visit: Visit) -> Update:
        """The scene panel."""
        picture: NDArray[np.uint8] | None = None
        facts = show.NO_SCENE
        if visit.shown is not None:
            scene = self.store.open(visit.shown)
            picture, facts = scene.preview(PREVIEW), show.facts_html(scene)
            if visit.point is not None:
                scale = picture.shape[1] / scene.width
                picture = show.mark(picture, visit.point[0] * scale, visit.point[1] * scale)
        choices = [(name, scene_id) for scene_id, name in visit.scenes.items()]
        return {
            self.visit: visit,
            self.choice: gr.CheckboxGroup(choices, value=visit.active, visible=len(choices) > 1),
            self.scene_picture: gr.Image(picture, visible=picture is not None),
            self.facts: facts,
            self.region_state: show.region_html(visit.region),
            self.thread: visit.thread,
        }

    def questions(self, sample: str) -> Update:
        """The example questions of a sample."""
        texts = [*SAMPLES[sample].questions, *[""] * CHIPS]
        return {
            chip: gr.Button(text, visible=bool(text))
            for chip, text in zip(self.chips, texts, strict=False)
        }

    def on_upload(self, files: list[str], history: list[Any], visit: Visit) -> Update:
        """Files from the button beside the scene."""
        try:
            said = visit.upload(self.store, files)
        except EOError as error:
            said = str(error)
        return {
            **self.view(visit),
            self.chat: [*history, _says(said)],
            self.tabs: gr.Tabs(selected="scene"),
        }

    def on_sample(self, event: gr.SelectData, visit: Visit) -> Update:
        """A click on a sample: its scenes alone, and questions that suit them."""
        sample = list(SAMPLES.values())[event.index]
        visit.active = []
        with _sentences():
            files = sample_files(self.home / "samples", sample.key)
            visit.add(self.store, [[path] for path in files])
        selected = {self.tabs: gr.Tabs(selected="scene")}
        return {**self.view(visit), **selected, **self.questions(sample.key)}

    def on_choice(self, chosen: list[str], visit: Visit) -> Update:
        """Other scenes for the next question."""
        visit.choose(chosen)
        return self.view(visit)

    def on_click(self, event: gr.SelectData, visit: Visit) -> Update:
        """A click on the scene: the point, in pixels of the scene."""
        if visit.shown is not None:
            scene = self.store.open(visit.shown)
            scale = max(1.0, max(scene.width, scene.height) / PREVIEW)
            visit.point = (event.index[0] * scale, event.index[1] * scale)
        return self.view(visit)

    def on_region(self, text: str, visit: Visit) -> Update:
        """A bounding box, or nothing to lift it."""
        try:
            visit.confine(text)
        except EOError as error:
            gr.Warning(str(error))  # gr.Error would take the place of all that may change
        return {self.visit: visit, self.region_state: show.region_html(visit.region)}

    async def ask(
        self, message: dict[str, Any] | str, history: list[Any], visit: Visit
    ) -> AsyncIterator[Update]:
        """One turn of the chat, step by step; an example question comes as plain text."""
        given = {"text": message} if isinstance(message, str) else message
        question, files = (given.get("text") or "").strip(), given.get("files") or []
        if not question and not files:
            yield {self.visit: visit}
            return
        attached = [f"Uploaded: {', '.join(Path(file).name for file in files)}"] if files else []
        said = "\n\n".join([*attached, question]).strip()
        history = [*history, _says(said, role="user")]
        yield {self.chat: [*history, THINKING], self.box: _box(busy=True)}
        if files:
            try:
                told = await asyncio.to_thread(visit.upload, self.store, files)
            except EOError as error:
                yield {self.chat: [*history, _says(str(error))], self.box: _box(busy=False)}
                return
            if not question:
                history = [*history, _says(told)]
            panel = await asyncio.to_thread(self.view, visit)
            yield {**panel, self.tabs: gr.Tabs(selected="scene"), self.chat: history}
        if not question:
            yield {self.box: _box(busy=False)}
            return
        async for update in self._turn(question, history, visit):
            yield update

    async def _turn(self, question: str, history: list[Any], visit: Visit) -> AsyncIterator[Update]:
        steps, drawn, answer = Steps(), 0.0, None
        try:
            news = visit.news(self.store)
            stream = self.session.stream(question, thread=visit.thread, **news)
            async with contextlib.aclosing(stream) as events:
                async for event in events:
                    if isinstance(event, Finished):
                        answer = event.answer
                    elif steps.take(event) or time.monotonic() - drawn > REDRAW:
                        drawn = time.monotonic()
                        yield {self.chat: [*history, *_bubbles(steps)]}
            assert answer is not None
            last = _answer_bubbles(answer)
        except EOError as error:
            last = [_says(str(error))]
        except Exception:
            logger.exception("Failed")
            last = [_says(style.BROKEN)]
        steps.finish()
        visit.answered(answer)
        final: Update = {
            self.chat: [*history, *_bubbles(steps), *last],
            self.box: _box(busy=False),
            # A reply may have told the sensor or the date of a scene.
            **await asyncio.to_thread(self.view, visit),
        }
        if answer is not None and (answer.measurements or answer.artefacts):
            final |= self.result(answer)
        yield final

    def result(self, answer: Answer) -> Update:
        """The result panel."""
        pictures = [a.path for a in answer.artefacts if a.kind in ("preview", "plot")]
        files = [a.path for a in answer.artefacts]
        return {
            self.figures: show.figures_html(answer),
            self.picture: gr.Image(pictures[0] if pictures else None, visible=bool(pictures)),
            self.table: gr.Dataframe(show.rows(answer), visible=bool(answer.measurements)),
            self.files: gr.File(files, visible=bool(files)),
            self.tabs: gr.Tabs(selected="result"),
        }

    async def on_option(
        self, event: gr.SelectData, history: list[Any], visit: Visit
    ) -> AsyncIterator[Update]:
        """A click on one of the answers that a question of ours offers."""
        async for update in self.ask(str(event.value), history, visit):
            yield update

    def on_stop(self, history: list[Any]) -> Update:
        """The running turn was cancelled: nothing is pending any more."""
        for entry in history:
            if (entry.get("metadata") or {}).get("status") == "pending":
                entry["metadata"]["status"] = "done"
        return {self.chat: [*history, _says("Stopped.")], self.box: _box(busy=False)}

    def on_new(self) -> Update:
        """Begin another conversation; its scenes are chosen anew."""
        return {
            **self.view(Visit()),
            **self.questions("valley"),
            self.chat: [],
            self.figures: "",
            self.picture: gr.Image(None, visible=False),
            self.table: gr.Dataframe([], visible=False),
            self.files: gr.File(None, visible=False),
            self.tabs: gr.Tabs(selected="samples"),
        }

    def on_thread(self, thread: str) -> Update:
        """Go on with an earlier conversation; it remembers its scenes."""
        turns = self.session.history(thread.strip()) if thread.strip() else []
        if not turns:
            gr.Warning(f"There is no conversation {thread!r}; check its id.")
            return {self.thread: thread}
        past = [_says(turn.content, role=turn.role) for turn in turns]
        return {**self.view(Visit(thread.strip(), asked=True)), self.chat: past}

    def on_load(self, request: gr.Request) -> Update:
        """A fresh tab; the address …/?thread=ID goes on with an earlier conversation."""
        self.session.warm_up()
        named = request.query_params.get("thread")
        update = self.on_thread(named) if named else {}
        view = update if self.visit in update else self.view(Visit())
        return {**view, self.body: gr.Row(visible=True)}

    async def api(
        self, message: dict[str, Any], thread: str, region: str
    ) -> tuple[dict[str, Any], list[str]]:
        """Ask from a script: the object that `terralogue ask --json` prints, and its files."""
        visit = Visit(thread.strip()) if thread.strip() else Visit()
        with _sentences():
            if message.get("files"):
                await asyncio.to_thread(visit.upload, self.store, message["files"])
            visit.confine(region)
            news = visit.news(self.store)
            events = self.session.stream(message.get("text") or "", thread=visit.thread, **news)
            async for event in events:
                if isinstance(event, Finished):
                    answer = event.answer
        return answer.model_dump(mode="json"), [a.path for a in answer.artefacts]


@contextlib.contextmanager
def _sentences() -> Any:
    """Show our errors as a note on the page."""
    try:
        yield
    except EOError as error:
        raise gr.Error(str(error), print_exception=False) from error


def _picture(name: str, buttons: Any) -> gr.Image:
    return gr.Image(
        show_label=False, interactive=False, visible=False, elem_id=name, buttons=buttons,
        format="png",
    )  # fmt: skip


def _says(text: str, role: Any = "assistant") -> gr.ChatMessage:
    return gr.ChatMessage(show.escape_markdown(text), role=role)


def _bubbles(steps: Steps) -> list[gr.ChatMessage]:
    def bubble(step: Step) -> gr.ChatMessage:
        metadata: Any = {"title": step.title, "status": step.state, "log": step.progress}
        metadata |= {} if step.seconds is None else {"duration": step.seconds}
        return gr.ChatMessage(show.escape_markdown(step.text), metadata=metadata)

    return [bubble(step) for step in steps.items]


def _answer_bubbles(answer: Answer) -> list[gr.ChatMessage]:
    text, how = show.answer_markdown(answer)
    options: Any = [{"value": option} for option in show.offered(answer)]
    title: Any = {"title": "How it was measured", "status": "done"}
    method = [gr.ChatMessage(how, metadata=title)] if how else []
    return [*method, gr.ChatMessage(text, options=options)]


def _box(*, busy: bool) -> gr.MultimodalTextbox:
    """The question box, empty; while a turn runs its button stops it."""
    value: Any = {"text": "", "files": []}
    return gr.MultimodalTextbox(value=value, submit_btn=not busy, stop_btn=busy)


def build_app(home: Path | None = None, vlm: str | ImageReader = DEFAULT) -> gr.Blocks:
    """The page; serve it with `launch(**launch_options(home))`.

    Raises:
        InputError: the home folder cannot be written, or there is no such model.
    """
    folder = make_home(home)
    write_samples(folder)
    blocks: gr.Blocks = Page(folder, vlm).blocks
    blocks.queue(max_size=QUEUE, default_concurrency_limit=8)
    return blocks


def launch_options(home: Path | None = None) -> dict[str, Any]:
    """Look and limits of the page, for `gr.Blocks.launch`."""
    theme = gr.themes.Base(
        primary_hue=colors.teal, neutral_hue=colors.slate, font=["sans-serif"],
        font_mono=["monospace"], radius_size=gr.themes.sizes.radius_lg,
    )  # fmt: skip
    return {
        "theme": theme,
        "css": style.CSS,
        "head": style.HEAD,
        "footer_links": [],
        # What tools wrote may be downloaded; uploads, records and conversations may not.
        "allowed_paths": [str(workspace(make_home(home)) / "artefacts")],
        "max_file_size": "2gb",
        # Unexpected errors show nothing of the inside; ours are shown as sentences anyway.
        "show_error": False,
        "quiet": True,
        "ssr_mode": False,
    }


def main(argv: list[str] | None = None) -> int:
    """Serve the page until it is interrupted; the exit code."""
    try:
        _serve(read_options(argv))
    except EOError as error:
        print(f"terralogue: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _serve(options: Serving) -> None:
    print(options.warning or "", end="\n" if options.warning else "", file=sys.stderr)
    if options.demo:
        run_demo(make_home(options.home))
    app = build_app(options.home, options.vlm)
    try:
        _, address, _ = app.launch(
            server_name=options.host, server_port=options.port, auth=options.login,
            prevent_thread_lock=True, **launch_options(options.home),
        )  # fmt: skip
    except OSError as error:
        raise InputError(
            f"The page cannot be served on {options.host}:{options.port or PORT} ({error}); "
            "choose another --port or --host."
        ) from error
    print(f"\nThe chat is at {address}  (Ctrl-C ends it)", flush=True)
    app.block_thread()


if __name__ == "__main__":
    sys.exit(main())
