"""Foreign clients: the MCP inspector and the TypeScript SDK, fetched with npx.

python -m pytest -m inspector tests/tools/test_inspector.py
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
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
FOREIGN = Path(__file__).with_name("foreign_client.cjs")
TRANSPORTS = ["stdio", "http"]

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


def npx(*command: str) -> Json:
    done = subprocess.run(
        ["npx", "-y", *command], capture_output=True, text=True, env=dict(os.environ), check=False
    )
    assert done.returncode == 0, done.stderr
    shown: Json = json.loads(done.stdout)
    return shown


def inspect(url: str | None, *options: str) -> Json:
    target = [url, "--transport", "http"] if url else SERVER
    return npx("@modelcontextprotocol/inspector", "--cli", *target, *options)


def foreign(url: str | None, **wish: Any) -> Json:
    target: Json = {"url": url} if url else {"command": SERVER[0], "args": SERVER[1:]}
    script = ["node", str(FOREIGN), json.dumps({"target": target, **wish})]
    return npx("-p", "@modelcontextprotocol/sdk@1", *script)


def without_ids(result: Json) -> Json:
    """Every call writes files of its own; all else must be the same."""
    text = json.dumps(result)
    for artefact in result["artefacts"]:
        text = text.replace(artefact["id"], f"id of the {artefact['kind']}")
    same: Json = json.loads(text)
    return same


def by_python(store: Store, tool: str, arguments: Json) -> Json:
    async def work() -> Json:
        async with Client(build_server(store)) as client:
            return await mcp_tools.call(client, tool, arguments, lambda *_: None)

    return anyio.run(work)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_inspector_lists_the_tools(home: Path, transport: str) -> None:
    with address(transport) as url:
        tools = inspect(url, "--method", "tools/list")["tools"]
        resources = inspect(url, "--method", "resources/list")["resources"]
    assert [tool["name"] for tool in tools] == list(TOOLS)
    assert all(tool["description"] and tool["outputSchema"]["properties"] for tool in tools)
    assert [resource["uri"] for resource in resources] == ["scenes://"]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_inspector_python_and_the_sdk_see_the_same_result(
    home: Path, store: Store, transport: str
) -> None:
    scene = store.add_scene(make_demo_scene(home / "demo.tif", size=256))
    arguments = {"scene": scene, "target": "water", "unit": "km2"}
    pairs = [part for key, value in arguments.items() for part in ("--tool-arg", f"{key}={value}")]
    with address(transport) as url:
        call = ["--method", "tools/call", "--tool-name", "segment", *pairs]
        shown = inspect(url, *call)
        link = next(item for item in shown["content"] if item["type"] == "resource_link")
        file = inspect(url, "--method", "resources/read", "--uri", link["uri"])["contents"][0]
        watched = foreign(url, tool="segment", arguments=arguments)
    expected = without_ids(by_python(store, "segment", arguments))
    assert without_ids(shown["structuredContent"]) == expected
    assert without_ids(watched["result"]["structuredContent"]) == expected
    assert Segmentation.model_validate(shown["structuredContent"]).measurements
    assert file["mimeType"] == link["mimeType"]
    steps = [step["progress"] for step in watched["progress"]]
    assert steps == sorted(set(steps))
    assert steps
    print(json.dumps(shown, indent=1))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_inspector_shows_an_error_as_one_sentence(home: Path, transport: str) -> None:
    call = ["--method", "tools/call", "--tool-name", "describe_scene"]
    with address(transport) as url:
        shown = inspect(url, *call, "--tool-arg", "scene=../../etc/passwd")
    assert shown["isError"] is True
    assert shown["content"][0]["text"].startswith("'../../etc/passwd' is neither a scene")
    assert shown["_meta"]["terralogue/error"] == {"kind": "WorkspaceError"}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_foreign_client_cancels_a_call(home: Path, store: Store, transport: str) -> None:
    scene = store.add_scene(make_demo_scene(home / "demo.tif", size=4096))
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
