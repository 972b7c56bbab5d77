"""Foreign clients: the MCP inspector and the TypeScript SDK, fetched with npx.

python -m pytest -m inspector tests/tools/test_inspector.py
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
import rasterio
from mcp import Client

from terralogue.agent import mcp_tools
from terralogue.datasets.synthetic import make_demo_scene
from terralogue.tools.schemas import Segmentation
from terralogue.tools.server import TOOLS, build_server
from terralogue.tools.store import Store

pytestmark = [
    pytest.mark.inspector,
    pytest.mark.skipif(shutil.which("npx") is None, reason="npx (Node.js) is not installed"),
]

SERVER = [sys.executable, "-m", "terralogue.tools.server"]
COMMAND = [sys.executable, "-c", "import sys, terralogue.agent.cli as c; sys.exit(c.main())"]
FOREIGN = Path(__file__).with_name("foreign_client.cjs")
TRANSPORTS = ["stdio", "http"]
# The newest inspector for Node 20, which speaks the protocol of 2025, and the newest of all.
INSPECTORS = {
    "0.15": ["@modelcontextprotocol/inspector@0.15.0"],
    "2": ["node@22", "@modelcontextprotocol/inspector@2"],
}
everywhere = pytest.mark.parametrize(
    ("inspector", "transport"),
    [(inspector, transport) for inspector in INSPECTORS for transport in TRANSPORTS],
)

Json = dict[str, Any]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The inspector takes no options for the server it starts, but hands on the environment."""
    monkeypatch.setenv("TERRALOGUE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def store(home: Path) -> Store:
    return Store(home / "workspace")


@contextlib.contextmanager
def address(transport: str) -> Iterator[str | None]:
    """The address of a server over HTTP; None where the client starts one itself."""
    if transport == "stdio":
        yield None
        return
    command = [*SERVER, "--transport", "http", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        found = next(filter(None, (re.search(r"running on (http://\S+)", x) for x in lines)))
        try:
            yield f"{found[1]}/mcp"
        finally:
            process.terminate()


def npx(packages: list[str], command: list[str]) -> tuple[Json, int]:
    """What a program of these packages prints as JSON, and its exit code."""
    wanted = [part for package in packages for part in ("-p", package)]
    done = subprocess.run(
        ["npx", "-y", *wanted, "-c", shlex.join(command)],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        shown: Json = json.loads(done.stdout)
    except json.JSONDecodeError:
        pytest.fail(f"{shlex.join(command)} printed {done.stdout!r}\n{done.stderr}")
    return shown, done.returncode


def inspect(inspector: str, url: str | None, *options: str) -> tuple[Json, int]:
    home = ["-e", f"TERRALOGUE_HOME={os.environ['TERRALOGUE_HOME']}"]
    target = [url, "--transport", "http"] if url else [*home, *SERVER]
    return npx(INSPECTORS[inspector], ["mcp-inspector", "--cli", *target, *options])


def foreign(url: str | None, **wish: Any) -> Json:
    target: Json = {"url": url} if url else {"command": SERVER[0], "args": SERVER[1:]}
    script = ["node", str(FOREIGN), json.dumps({"target": target, **wish})]
    shown, code = npx(["@modelcontextprotocol/sdk@1"], script)
    assert code == 0
    return shown


def repeated(path: Path, times: int) -> Path:
    """The scene beside and below itself: large enough to be cancelled on its way."""
    with rasterio.open(path) as source:
        data, tags, names = source.read(), source.tags(), source.descriptions
        profile = source.profile | {"width": source.width * times, "height": source.height * times}
    with rasterio.open(path.with_stem("large"), "w", **profile) as file:
        file.write(np.tile(data, (1, times, times)))
        file.update_tags(**tags)
        file.descriptions = names
    return path.with_stem("large")


def without_ids(result: Json) -> Json:
    """Every call writes files of its own; all else must be the same."""
    text = json.dumps(result)
    for artefact in result["artefacts"]:
        text = text.replace(artefact["id"], f"id of the {artefact['kind']}")
    same: Json = json.loads(text)
    return same


def assert_same(left: Json, right: Json) -> None:
    """The last digits of a sum depend on the processor's kernel that the environment asks for."""
    sides = without_ids(left), without_ids(right)
    figures = [[item.pop("value") for item in side["measurements"]] for side in sides]
    assert sides[0] == sides[1]
    assert figures[0] == pytest.approx(figures[1], rel=1e-5)


def by_python(store: Store, tool: str, arguments: Json) -> Json:
    async def work() -> Json:
        async with Client(build_server(store)) as client:
            return await mcp_tools.call(client, tool, arguments, lambda *_: None)

    return anyio.run(work)


@everywhere
def test_the_inspector_lists_the_tools(home: Path, inspector: str, transport: str) -> None:
    strict = [] if inspector == "0.15" else ["--strict"]
    with address(transport) as url:
        shown, code = inspect(inspector, url, "--method", "tools/list", *strict)
        resources, _ = inspect(inspector, url, "--method", "resources/list")
    assert code == 0, "the newer inspector finds a schema that some model cannot use"
    assert [tool["name"] for tool in shown["tools"]] == list(TOOLS)
    assert all(tool["description"] for tool in shown["tools"])
    assert all(tool["outputSchema"]["properties"] for tool in shown["tools"])
    assert [resource["uri"] for resource in resources["resources"]] == ["scenes://"]


@everywhere
def test_inspector_and_python_see_the_same_result(
    home: Path, store: Store, inspector: str, transport: str
) -> None:
    scene = store.add_scene(make_demo_scene(home / "demo.tif", size=256))
    arguments = {"scene": scene, "target": "water", "unit": "km2"}
    pairs = [part for key, value in arguments.items() for part in ("--tool-arg", f"{key}={value}")]
    call = ["--method", "tools/call", "--tool-name", "segment", *pairs]
    with address(transport) as url:
        shown, code = inspect(inspector, url, *call)
        link = next(item for item in shown["content"] if item["type"] == "resource_link")
        read, _ = inspect(inspector, url, "--method", "resources/read", "--uri", link["uri"])
    assert code == 0
    result = shown["structuredContent"]
    assert_same(result, by_python(store, "segment", arguments))
    assert Segmentation.model_validate(result).measurements
    assert read["contents"][0]["mimeType"] == link["mimeType"]


def test_the_command_line_tells_what_the_inspector_shows(home: Path, store: Store) -> None:
    path = make_demo_scene(home / "demo.tif", size=256)
    asked = subprocess.run(
        [*COMMAND, "ask", str(path), "--json", "-q", "how much is under water, in km2?"],
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(asked.stdout)
    (step,) = told["plan"]
    given = [f"{key}={value}" for key, value in step["arguments"].items()]
    pairs = [part for pair in given for part in ("--tool-arg", pair)]
    call = ["--method", "tools/call", "--tool-name", step["tool"], *pairs]
    shown, _ = inspect("0.15", None, *call)
    result = shown["structuredContent"]
    # On the command line a figure names the file itself, and every call writes its own.
    kinds = [{part["path"]: part["kind"] for part in side["artefacts"]} for side in (told, result)]
    ids = {part["id"]: part["kind"] for part in result["artefacts"]}
    assert list(kinds[0].values()) == list(kinds[1].values())
    assert [{**item, "artefact": kinds[0][item["artefact"]]} for item in told["measurements"]] == [
        {**item, "artefact": ids[item["artefact"]]} for item in result["measurements"]
    ]


@everywhere
def test_the_inspector_shows_an_error_as_one_sentence(
    home: Path, inspector: str, transport: str
) -> None:
    call = ["--method", "tools/call", "--tool-name", "describe_scene"]
    with address(transport) as url:
        shown, _ = inspect(inspector, url, *call, "--tool-arg", "scene=../../etc/passwd")
    assert shown["isError"] is True
    assert shown["content"][0]["text"].startswith("'../../etc/passwd' is neither a scene")
    assert shown["_meta"]["terralogue/error"] == {"kind": "WorkspaceError"}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_foreign_client_sees_progress_and_the_same_result(
    home: Path, store: Store, transport: str
) -> None:
    scene = store.add_scene(make_demo_scene(home / "demo.tif", size=256))
    arguments = {"scene": scene, "target": "water"}
    with address(transport) as url:
        shown = foreign(url, tool="segment", arguments=arguments)
    steps = [step["progress"] for step in shown["progress"]]
    assert steps
    assert steps == sorted(set(steps))
    assert all(step["message"] for step in shown["progress"])
    assert_same(shown["result"]["structuredContent"], by_python(store, "segment", arguments))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_foreign_client_cancels_a_call(home: Path, store: Store, transport: str) -> None:
    scene = store.add_scene(repeated(make_demo_scene(home / "demo.tif", size=256), 8))
    with address(transport) as url:
        shown = foreign(
            url,
            tool="segment",
            arguments={"scene": scene, "target": "water"},
            cancelAfter=2,
            emptyAfterwards=str(store.root / "artefacts"),
        )
    assert shown["cancelled"] is True
    assert shown["empty"] is True
    assert shown["answersStill"] is True
    assert shown["result"] is None
    assert store.artefacts() == []
