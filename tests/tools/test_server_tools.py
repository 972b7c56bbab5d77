"""The tools of the table, through the server, on a scene of our own making."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp.types import TextResourceContents

from terralogue.agent import mcp_tools
from terralogue.datasets.errors import InputError
from terralogue.datasets.synthetic import make_demo_pair, make_demo_scene
from terralogue.tools.archive import Archive
from terralogue.tools.archive_place import archive_location
from terralogue.tools.schemas import SceneDescription
from terralogue.tools.server import TOOLS, build_server
from terralogue.tools.store import Store

Call = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "workspace")


@pytest.fixture
def scene(tmp_path: Path, store: Store) -> str:
    return store.add_scene(make_demo_scene(tmp_path / "demo.tif", size=128))


def using(store: Store, work: Callable[[Client, Call], Awaitable[None]]) -> None:
    """Run some work with a client and a short way to call a tool."""

    async def connect() -> None:
        async with Client(build_server(store)) as client:

            async def call(tool: str, **arguments: Any) -> dict[str, Any]:
                return await mcp_tools.call(client, tool, arguments, lambda *_: None)

            await work(client, call)

    anyio.run(connect)


def test_every_tool_explains_itself_and_its_arguments(store: Store) -> None:
    async def work(client: Client, call: Call) -> None:
        tools = await mcp_tools.list_tools(client)
        assert [tool.name for tool in tools] == list(TOOLS)
        for tool in tools:
            assert tool.description, tool.name
            assert "Args:" not in tool.description
            for name, schema in tool.input_schema["properties"].items():
                assert schema.get("description"), f"{tool.name}: {name}"

    using(store, work)


def test_describing_keeps_what_a_person_says(store: Store, scene: str) -> None:
    async def work(client: Client, call: Call) -> None:
        told = SceneDescription.model_validate(await call("describe_scene", scene=scene))
        assert told.sensor == "sentinel2_l2a"
        assert told.scenes == [scene]
        await call("describe_scene", scene=scene, time="2020-05-05T10:00")
        again = await call("describe_scene", scene=scene)
        assert again["time"].startswith("2020-05-05T10:00")

    using(store, work)


def test_what_a_scene_cannot_be_is_refused_and_forgotten(store: Store, scene: str) -> None:
    async def work(client: Client, call: Call) -> None:
        for wrong in ({"sensor": "no_such"}, {"sensor": "naip_rgbn"}, {"time": "yesterday"}):
            with pytest.raises(InputError):
                await call("describe_scene", scene=scene, **wrong)
        assert (await call("describe_scene", scene=scene))["sensor"] == "sentinel2_l2a"

    using(store, work)


def test_a_scene_is_a_resource_that_leaves_no_files(store: Store, scene: str) -> None:
    async def work(client: Client, call: Call) -> None:
        read = (await client.read_resource(f"scene://{scene}")).contents[0]
        assert isinstance(read, TextResourceContents)
        assert read.mime_type == "application/json"
        assert SceneDescription.model_validate(json.loads(read.text)).artefacts == []
        with pytest.raises(MCPError, match="neither a scene of this workspace") as caught:
            await client.read_resource("scene://no-such-000000")
        assert caught.value.error.code == -32602

    using(store, work)
    assert list((store.root / "artefacts").iterdir()) == []


def test_a_walk_through_every_tool(tmp_path: Path, store: Store, tiny_checkpoint: str) -> None:
    """One real call of each; what they measure is tested beside each tool."""
    before, after = (store.add_scene(path) for path in make_demo_pair(tmp_path, size=128))
    (tmp_path / "later").mkdir()
    pair = make_demo_pair(tmp_path / "later", size=128, dates=("2024-07-01", "2024-07-20"))
    later = store.add_scene(pair[0])
    location = archive_location(store.root)
    Archive.open(location, model=tiny_checkpoint, create=True).add([tmp_path / "later"])
    called = set()

    async def work(client: Client, call: Call) -> None:
        async def checked(tool: str, **arguments: Any) -> dict[str, Any]:
            told = await call(tool, **arguments)
            called.add(tool)
            assert told["tool"] == tool
            for artefact in told["artefacts"]:
                assert Path(artefact["path"]).stat().st_size > 0
                read = (await client.read_resource(f"artefact://{artefact['id']}")).contents[0]
                assert read.mime_type == artefact["media_type"]
            return told

        assert (await checked("describe_scene", scene=before))["sensor"] == "sentinel2_l2a"
        water = await checked("segment", scene=before, target="water", unit="km2")
        assert water["measurements"][0]["unit"] == "km2"
        advice = await checked("recommend_model", scene=before, target="water")
        assert advice["taken"] in {model["name"] for model in advice["models"]}
        clicked = await checked("segment_at_point", scene=before, x=20, y=30)
        assert (clicked["x"], clicked["y"]) == (20, 30)
        ships = await checked("detect_objects", scene=before, target="ship")
        assert ships["measurements"][0]["name"] == "count"
        assert (await checked("compute_index", scene=before, index="ndvi"))["index"] == "NDVI"
        box = (await call("describe_scene", scene=before))["bounds_wgs84"]
        assert (await checked("zonal_statistics", scene=before, region=box))["pixels"] > 0
        change = await checked("detect_change", before=before, after=after, target="water")
        assert change["scenes"] == [before, after]
        mask = next(part for part in water["artefacts"] if part["kind"] == "mask")
        assert (await checked("export", artefact=mask["id"], format="geopackage"))["format"]
        series = await checked("time_series", scenes=[after, later, before], quantity="NDVI")
        assert [point["scene"] for point in series["points"]] == [before, after, later]
        images = await checked("search_archive", scene=before, region=box, period="2024-07", k=1)
        assert (images["searched"], len(images["hits"])) == (2, 1)
        assert (await checked("search_changes", text="new buildings", bbox=box))["searched"] == 1

    using(store, work)
    assert called == set(TOOLS)
