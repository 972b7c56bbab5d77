"""The server as a process of its own, over stdio and over HTTP on this machine."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import numpy as np
import pytest
import rasterio
from affine import Affine
from mcp import Client, StdioServerParameters
from mcp.types import TextResourceContents

from terralogue.tools.server import main
from terralogue.tools.store import Store, default_workspace

SERVER = [sys.executable, "-m", "terralogue.tools.server"]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    profile = {
        "driver": "GTiff", "width": 8, "height": 8, "count": 3, "dtype": "uint8",
        "crs": "EPSG:32632", "transform": Affine(10, 0, 600000, 0, -10, 5000000),
    }  # fmt: skip
    with rasterio.open(tmp_path / "field.tif", "w", **profile) as file:
        file.write(np.full((3, 8, 8), 5, np.uint8))
    return tmp_path / "field.tif"


@contextlib.contextmanager
def served(*options: str) -> Iterator[str]:
    """A server on a free port of this machine; gives its address."""
    command = [*SERVER, "--transport", "http", "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            said = []
            for line in process.stderr:
                said.append(line)
                if found := re.search(r"running on (http://\S+)", line):
                    yield f"{found[1]}/mcp"
                    break
            else:
                pytest.fail("the server did not start:\n" + "".join(said))
        finally:
            process.terminate()
            process.stderr.read()


def status(address: str, **headers: str) -> int:
    connection = http.client.HTTPConnection(urlsplit(address).netloc)
    with contextlib.closing(connection):
        connection.request("POST", "/mcp", "{}", {"Content-Type": "application/json", **headers})
        return connection.getresponse().status


async def listing(server: StdioServerParameters | str) -> tuple[list[str], list[str]]:
    async with Client(server) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        scenes = (await client.read_resource("scenes://")).contents[0]
    assert isinstance(scenes, TextResourceContents)
    return tools, [scene["id"] for scene in json.loads(scenes.text)]


def test_over_stdio_and_http_the_same_is_offered(tmp_path: Path, picture: Path) -> None:
    workspace = tmp_path / "workspace"
    options = ["--workspace", str(workspace), str(picture)]
    parameters = StdioServerParameters(command=SERVER[0], args=[*SERVER[1:], *options])
    by_stdio = anyio.run(listing, parameters)
    with served(*options) as address:
        by_http = anyio.run(listing, address)
    assert by_stdio == by_http
    assert by_http[1] == [Store(workspace).add_scene(picture)]


def test_only_names_of_this_machine_are_answered(tmp_path: Path) -> None:
    with served("--workspace", str(tmp_path / "w")) as address:
        assert status(address, Host="evil.example") == 421
        assert status(address, Origin="http://evil.example") == 403
        assert status(address) not in (403, 421)


def test_other_machines_need_to_be_named_and_are_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--transport", "http", "--workspace", str(tmp_path / "w"), "--host", "0.0.0.0"]
    assert main(arguments) == 2
    assert "needs --allow-host NAME" in capsys.readouterr().err
    with served(*arguments[2:], "--allow-host", "eo.example") as address:
        address = address.replace("0.0.0.0", "127.0.0.1")
        assert status(address, Host="eo.example:80") not in (403, 421)
        assert status(address, Host="evil.example") == 421


def test_a_missing_scene_is_one_sentence_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--workspace", str(tmp_path / "w"), str(tmp_path / "nowhere.tif")]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == f"error: {tmp_path / 'nowhere.tif'} does not exist; check the path.\n"


def test_a_port_in_use_is_one_sentence_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["--transport", "http", "--port", port, "--workspace", str(tmp_path)]) == 2
    assert f"Cannot listen on 127.0.0.1 port {port} (Address already in use" in (
        capsys.readouterr().err
    )
    assert main(["--transport", "http", "--port", "99999", "--workspace", str(tmp_path)]) == 2


def test_the_workspace_is_in_the_home_that_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERRALOGUE_HOME", str(tmp_path))
    assert default_workspace() == tmp_path / "workspace"
    monkeypatch.delenv("TERRALOGUE_HOME")
    assert default_workspace().name == "workspace"
