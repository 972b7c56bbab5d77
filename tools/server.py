"""The tools over the Model Context Protocol; the only file on the server side that knows MCP.

    terralogue serve-tools SCENE.tif                          # stdio
    terralogue serve-tools --transport http --port 8765 SCENE.tif

A new tool is a plain function in its own file and one line in `TOOLS`.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import json
import logging
import socket
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError, Executor
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import anyio
from anyio import from_thread, to_thread
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import (
    ResourceError,
    ResourceNotFoundError,
    ToolError,
    UnexpectedToolError,
)
from mcp.server.mcpserver.tools import Tool
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import (
    CallToolResult,
    InputRequiredResult,
    ResourceLink,
    TextContent,
    ToolAnnotations,
)
from pydantic import AnyUrl, ValidationError

from terralogue.datasets.errors import EOError, InputError, WorkspaceError
from terralogue.tools import describe
from terralogue.tools.advise import recommend_model
from terralogue.tools.arguments import Interface, SceneId, interface
from terralogue.tools.at_point import segment_at_point
from terralogue.tools.change import detect_change
from terralogue.tools.detect import detect_objects
from terralogue.tools.detectors import COUNTED
from terralogue.tools.exporting import export
from terralogue.tools.indices import compute_index
from terralogue.tools.run import Run, default_executor
from terralogue.tools.schemas import SceneDescription, ToolResult
from terralogue.tools.search import search_archive, search_changes
from terralogue.tools.segment import segment
from terralogue.tools.series import time_series
from terralogue.tools.specialist import TITLES
from terralogue.tools.store import Store, default_workspace
from terralogue.tools.wording import in_words
from terralogue.tools.zonal import zonal_statistics

logger = logging.getLogger(__name__)

ToolFunction = Callable[..., ToolResult]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


def describe_scene(
    scene: SceneId, *, run: Run, sensor: str | None = None, time: str | None = None
) -> SceneDescription:
    """Say what a scene is: sensor, bands, resolution, CRS, extent, time, and checks of the input.

    Args:
        scene: Scene id, or the path of a file relative to the workspace.
        run: Has the workspace, where a correction is kept.
        sensor: Only to correct the recognition or to answer its question; it is kept.
        time: Time of acquisition, ISO 8601, where the file has none or a wrong one; it is kept.

    Raises:
        InputError: the scene cannot be of this sensor, or the time cannot be read.
    """
    if sensor is not None:
        run.store.set_sensor(scene, sensor)
    if time is not None:
        run.store.set_time(scene, time)
    return describe.describe_scene(run.store.open(scene), run=run)


TOOLS: dict[str, ToolFunction] = {
    "describe_scene": describe_scene,
    "segment": segment,
    "segment_at_point": segment_at_point,
    "detect_objects": detect_objects,
    "compute_index": compute_index,
    "zonal_statistics": zonal_statistics,
    "detect_change": detect_change,
    "time_series": time_series,
    "search_archive": search_archive,
    "search_changes": search_changes,
    "export": export,
    "recommend_model": recommend_model,
}
# The values of an argument where the docstring only names a table; an agent plans with them.
CHOICES = {"segment": {"target": tuple(TITLES)}, "detect_objects": {"target": COUNTED}}

CALLS_AT_ONCE = 4
LARGEST_RESOURCE = 64 * 2**20
"""Bytes; base64 inside JSON is no way to move a large raster."""
ERROR_META = "terralogue/error"
_TEXTUAL = ("application/json", "application/geo+json", "text/")


def build_server(
    store: Store,
    *,
    executor: Executor | None = None,
    tools: Mapping[str, ToolFunction] = TOOLS,
    log_level: LogLevel = "WARNING",
) -> MCPServer:
    """A server that measures on the scenes of one workspace.

    Args:
        store: the workspace.
        executor: workers for the tiles; threads of this process if not given.
        tools: name → function, for a server with other tools than `TOOLS`.
        log_level: what goes to standard error where the process has no logging of its own.
    """
    server = _Server(store, executor or default_executor(), tools, log_level)
    _add_resources(server, store)
    return server


class _Server(MCPServer):
    """Adds our sentences where a call fails, and the media type of each artefact."""

    def __init__(
        self,
        store: Store,
        executor: Executor,
        tools: Mapping[str, ToolFunction],
        log_level: LogLevel,
    ) -> None:
        self._store = store
        self._interfaces = {
            name: interface(name, tool, CHOICES.get(name, {})) for name, tool in tools.items()
        }
        limiter = anyio.CapacityLimiter(CALLS_AT_ONCE)
        # Where the process has no logging yet, the library would set up one with boxes and colours.
        logging.basicConfig(level=log_level, format="%(levelname)s %(name)s: %(message)s")
        super().__init__(
            "terralogue",
            title="Terralogue",
            instructions=(
                "Measures on Earth-observation scenes. The resource scenes:// lists the scenes; "
                "look at one with describe_scene, then measure. Every figure comes with its unit "
                "and method, and files come as links to artefact:// resources."
            ),
            version=version("terralogue"),
            tools=[
                _exposed(self._interfaces[name], tool, store, executor, limiter)
                for name, tool in tools.items()
            ],
            log_level=log_level,
        )

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Run a tool; what a person can put right comes back as one sentence."""
        try:
            if name not in self._interfaces:
                raise InputError(
                    f"There is no tool {name!r}; the tools are {', '.join(self._interfaces)}."
                )
            self._interfaces[name].check_names(list(arguments))
            return await super().call_tool(name, arguments, context)
        except EOError as error:
            return _failure(error)
        except UnexpectedToolError as error:
            if isinstance(error.__cause__, EOError):
                return _failure(error.__cause__)
            raise
        except ToolError as error:
            if isinstance(error.__cause__, ValidationError):
                return _failure(self._interfaces[name].explain(error.__cause__))
            raise

    async def read_resource(
        self, uri: AnyUrl | str, context: Context | None = None
    ) -> Iterable[ReadResourceContents] | InputRequiredResult:
        """Read a resource; an artefact says its own media type, not that of all of them."""
        found = await super().read_resource(uri, context)
        if isinstance(found, InputRequiredResult) or not str(uri).startswith("artefact://"):
            return found
        artefact = self._store.artefact(str(uri).removeprefix("artefact://"))
        return [replace(item, mime_type=artefact.media_type) for item in found]


def _exposed(
    shape: Interface,
    function: ToolFunction,
    store: Store,
    executor: Executor,
    limiter: anyio.CapacityLimiter,
) -> Tool:
    """The tool as the protocol library wants it: async, with the signature of the wire."""

    async def call(ctx: Context, **values: Any) -> CallToolResult:
        progress = _Forward(ctx)

        def work() -> ToolResult:
            with Run(store, shape.scene_ids(store, values), progress, executor) as run:
                return function(**shape.read(store, values), run=run)

        # Not abandoned when cancelled: the next report of progress raises in the thread.
        return _success(await to_thread.run_sync(work, limiter=limiter))

    call.__name__ = shape.name
    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=Context)
    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [*(argument.parameter for argument in shape.arguments), context],
        return_annotation=Annotated[CallToolResult, shape.result],
    )
    tool = Tool.from_function(
        call,
        name=shape.name,
        title=shape.name.replace("_", " ").capitalize(),
        description=shape.description,
        context_kwarg="ctx",
        # Tools add files to the workspace; they change nothing that is there.
        annotations=ToolAnnotations(
            read_only_hint=False, destructive_hint=False, open_world_hint=False
        ),
    )
    tool.parameters["additionalProperties"] = False
    return tool


class _Forward:
    """Carries progress from the tool's thread to the client, and the client's cancel back."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._before = 0.0
        self._done = 0.0
        self._sent = -1.0

    def __call__(self, done: float, total: float | None, message: str) -> None:
        """Report; see `Progress`."""
        from_thread.check_cancelled()
        if done < self._done:
            # The tool began another round of work, and the protocol wants rising numbers.
            self._before = self._sent
        self._done = done
        if (value := self._before + done) <= self._sent:
            return
        self._sent = value
        full = None if total is None else self._before + total
        try:
            from_thread.run(self._ctx.report_progress, value, full, message)
        except CancelledError:
            from_thread.check_cancelled()
            raise


def _success(result: ToolResult) -> CallToolResult:
    """The typed result, the same in words, and a link to every file."""
    structured = result.model_dump(mode="json")
    # A figure that is no number must not pass for a measurement.
    json.dumps(structured, allow_nan=False)
    links = [
        ResourceLink(
            uri=f"artefact://{artefact.id}",
            name=Path(artefact.path).name,
            title=artefact.title,
            mime_type=artefact.media_type,
            size=Path(artefact.path).stat().st_size,
        )
        for artefact in result.artefacts
    ]
    text = TextContent(text=in_words(result))
    return CallToolResult(content=[text, *links], structured_content=structured)


def _failure(error: EOError) -> CallToolResult:
    """The sentence, and what a program needs to raise the same error on its side."""
    logger.info("refused: %r", str(error))
    return CallToolResult(
        content=[TextContent(text=str(error))],
        is_error=True,
        _meta={ERROR_META: error.details()},
    )


def _add_resources(server: MCPServer, store: Store) -> None:
    """The scenes and the files of the workspace."""

    @server.resource("scenes://", mime_type="application/json")
    def scenes() -> str:
        """The scenes of this workspace: id, name, and what a person said about them."""
        return json.dumps(
            [
                {"id": scene.id, "name": scene.name, "sensor": scene.sensor, "time": scene.time}
                for scene in store.scenes()
            ]
        )

    @server.resource("scene://{scene_id}", mime_type="application/json")
    def scene(scene_id: str) -> str:
        """What a scene is: sensor, bands, extent, time, input checks."""
        try:
            record = store.find(scene_id)
        except WorkspaceError as error:
            raise ResourceNotFoundError(str(error)) from error
        try:
            with Run(store, (record.id,)) as run:
                description = describe_scene(record.id, run=run)
                # Who reads a resource expects no new files.
                run.take_back()
        except EOError as error:
            raise ResourceError(str(error)) from error
        return description.model_copy(update={"artefacts": []}).model_dump_json()

    @server.resource("artefact://{artefact_id}", mime_type="application/octet-stream")
    def artefact(artefact_id: str) -> str | bytes:
        """A file that a tool wrote."""
        try:
            found = store.artefact(artefact_id)
        except WorkspaceError as error:
            raise ResourceNotFoundError(str(error)) from error
        path = Path(found.path)
        size = path.stat().st_size
        if size > LARGEST_RESOURCE:
            raise ResourceError(
                f"{found.id} has {size / 2**20:.0f} MiB, too much to send; on the server's "
                f"machine it lies at {path}."
            )
        textual = found.media_type.startswith(_TEXTUAL)
        return path.read_text(encoding="utf-8") if textual else path.read_bytes()


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the tools; 0 when the client has left, 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="terralogue serve-tools", description="Serve the measuring tools over MCP."
    )
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help="file or folder to offer")
    parser.add_argument("--transport", choices=("stdio", "http"), default="stdio")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (http)")
    parser.add_argument("--port", type=int, default=8765, help="0 lets the system choose (http)")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="name by which clients on other machines reach this one; may be repeated",
    )
    parser.add_argument("--workspace", type=Path, default=None, metavar="DIR")
    args = parser.parse_args(argv)
    try:
        store = Store(args.workspace or default_workspace())
        for path in args.scenes:
            print(f"{store.add_scene(path)}\t{path}", file=sys.stderr)
        security = _security(args.host, args.allow_host)
        if args.transport == "http":
            _check_free(args.host, args.port)
    except EOError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    with contextlib.suppress(KeyboardInterrupt):
        _serve(store, args, security)
    return 0


def _serve(
    store: Store, args: argparse.Namespace, security: TransportSecuritySettings | None
) -> None:
    if args.transport == "stdio":
        build_server(store).run("stdio")
        return
    if security is not None:
        print(
            "warning: there is no authentication; whoever reaches this port can measure on "
            "these scenes and read their results.",
            file=sys.stderr,
        )
    # At INFO the line with the address appears, and one per request.
    server = build_server(store, log_level="INFO")
    server.run("streamable-http", host=args.host, port=args.port, transport_security=security)


def _check_free(host: str, port: int) -> None:
    """Find out before the web server does, which would leave with a code of its own.

    Raises:
        InputError: nothing can listen there.
    """
    if not 0 <= port < 2**16:
        raise InputError(f"There is no port {port}; --port takes 0 to {2**16 - 1}.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise InputError(
            f"Cannot listen on {host} port {port} ({error.strerror}); choose another "
            "--port or --host."
        ) from error


def _security(host: str, names: Sequence[str]) -> TransportSecuritySettings | None:
    """Which Host headers are answered; None is the library's own choice for this machine alone.

    Raises:
        InputError: open to other machines without a name that they may use.
    """
    local = ("127.0.0.1", "localhost", "[::1]")
    if host in ("127.0.0.1", "localhost", "::1") and not names:
        return None
    if host in ("0.0.0.0", "::") and not names:
        raise InputError(
            f"--host {host} needs --allow-host NAME, the name or address that clients will use."
        )
    hosts = [*local, *(names or [host])]
    return TransportSecuritySettings(
        allowed_hosts=[form for name in hosts for form in (name, f"{name}:*")],
        allowed_origins=[
            f"{scheme}://{name}{port}"
            for name in hosts
            for scheme in ("http", "https")
            for port in ("", ":*")
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
