"""The server in memory, with small tools of its own: schemas, results, errors, cancel."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
import rasterio
from affine import Affine
from mcp import Client, MCPError
from mcp.types import BlobResourceContents, ResourceLink, TextContent, TextResourceContents

from terralogue.agent import mcp_tools
from terralogue.datasets.errors import (
    ClarifyError,
    EOError,
    InputError,
    MissingBandError,
    NoOverlapError,
    RefusalError,
    RegionError,
    SceneError,
    WorkspaceError,
)
from terralogue.datasets.scene import Scene
from terralogue.tools import server as server_module
from terralogue.tools.region import Region
from terralogue.tools.run import Run
from terralogue.tools.schemas import (
    AreaUnit,
    Artefact,
    Exported,
    IndexResult,
    Measurement,
)
from terralogue.tools.server import build_server
from terralogue.tools.store import Store

TILES = 500
WALKED: list[int] = []

ERRORS: dict[str, EOError] = {
    "input": InputError("The file is not usable; give another."),
    "scene": SceneError("a.tif is empty; give another."),
    "region": RegionError("The region lies outside a.tif."),
    "workspace": WorkspaceError("No such scene."),
    "clarify": ClarifyError("Which sensor?", slot="sensor", options=("naip_rgbn", "skysat")),
    "refusal": RefusalError("One date shows no change.", reason="out_of_scope"),
    "band": MissingBandError("a.tif has no band N."),
    "overlap": NoOverlapError("a.tif and b.tif do not overlap."),
}


def mean(
    scene: Scene,
    band: str,
    *,
    run: Run,
    region: Region | None = None,
    reference: Scene | None = None,
    unit: AreaUnit = "ha",
) -> IndexResult:
    """Take the mean of one band.

    It says nothing more.

    Args:
        scene: The scene
            to look at.
        band: Name of a band.

    Raises:
        MissingBandError: never to be read by a client.
    """
    if band in ERRORS:
        raise ERRORS[band]
    if band == "crash":
        raise KeyError("a secret of the server")
    data = scene.read([band]).data
    pending = run.artefact("index", "Mean", "mean.tif", "image/tiff")
    pending.path.write_bytes(data.tobytes())
    raster = pending.commit()
    (table := run.artefact("table", "Values", "mean.csv", "text/csv")).path.write_text("é\n1\n")
    value = float("nan") if band == "B" else float(data.mean())
    return IndexResult(
        tool="mean", scenes=list(run.scene_ids), title="Mean", method="arithmetic mean",
        measurements=[Measurement(name="mean", value=value, unit="1", method="mean",
                                  artefact=raster.id, label="Mean of R")],
        artefacts=[raster, table.commit()], index=band, formula=repr(region), reference=unit,
        warnings=["uncalibrated"],
    )  # fmt: skip


def walk(scenes: Sequence[Scene], *, run: Run) -> Exported:
    """Look at many tiles, in two rounds."""
    pending = run.artefact("table", "Walk", "walk.csv", "text/csv")
    pending.path.write_bytes(b"")
    for part in ("read", "write"):
        for tile in range(TILES):
            scenes[tile % len(scenes)].read(["R"])
            WALKED.append(tile)
            run.progress(tile + 1, TILES, f"{part} {tile}")
    return Exported(tool="walk", scenes=list(run.scene_ids), title="Walk", method="walk",
                    artefacts=[pending.commit()], format="csv")  # fmt: skip


def copy(artefact: Artefact, *, run: Run) -> Exported:
    """Copy a file."""
    pending = run.artefact(artefact.kind, artefact.title, "copy.tif", artefact.media_type)
    pending.path.write_bytes(Path(artefact.path).read_bytes())
    return Exported(tool="copy", scenes=[], title="Copy", method="copy",
                    artefacts=[pending.commit()], format="COG")  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "workspace")


@pytest.fixture
def scene(tmp_path: Path, store: Store) -> str:
    return store.add_scene(picture(tmp_path / "a.tif"))


def picture(path: Path) -> Path:
    profile = {
        "driver": "GTiff", "width": 8, "height": 8, "count": 3, "dtype": "uint8",
        "crs": "EPSG:32632", "transform": Affine(10, 0, 600000, 0, -10, 5000000),
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(np.full((3, 8, 8), 5, np.uint8))
    return path


@asynccontextmanager
async def connected(store: Store, mode: str = "auto") -> AsyncIterator[Client]:
    server = build_server(store, tools={"mean": mean, "walk": walk, "copy": copy})
    async with Client(server, mode=mode) as client:
        yield client


def quiet(done: float, total: float | None, message: str) -> None:
    pass


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    anyio.run(work)


def test_the_schemas_come_from_the_signature_and_the_docstring(store: Store) -> None:
    async def work() -> None:
        async with connected(store) as client:
            tools = {tool.name: tool for tool in await mcp_tools.list_tools(client)}
            tool = tools["mean"]
            assert tool.description == "Take the mean of one band.\n\nIt says nothing more."
            properties = tool.input_schema["properties"]
            assert list(properties) == ["scene", "band", "region", "reference", "unit"]
            assert properties["scene"]["description"] == (
                "The scene to look at. Scene id, or the path of a file relative to the workspace"
            )
            assert properties["unit"]["enum"] == ["ha", "km2", "acre", "m2"]
            assert "[west, south, east, north]" in properties["region"]["description"]
            assert "relative to the workspace" in properties["reference"]["description"]
            assert tool.input_schema["required"] == ["scene", "band"]
            assert tool.input_schema["additionalProperties"] is False
            assert tool.output_schema is not None
            assert "formula" in tool.output_schema["properties"]
            assert tool.annotations is not None
            assert tool.annotations.destructive_hint is False
            assert tools["walk"].input_schema["properties"]["scenes"]["minItems"] == 1

    run(work)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_result_is_typed_told_in_words_and_linked(store: Store, scene: str, mode: str) -> None:
    async def work() -> None:
        async with connected(store, mode) as client:
            result = await client.call_tool("mean", {"scene": scene, "band": "R"})
        assert not result.is_error
        typed = IndexResult.model_validate(result.structured_content)
        assert typed.scenes == [scene]
        assert typed.measurements[0].value == 5
        assert typed.artefacts == store.artefacts()
        text, *links = result.content
        assert isinstance(text, TextContent)
        assert "Mean of R: 5 1" in text.text
        assert "Warning: uncalibrated" in text.text
        assert all(isinstance(link, ResourceLink) for link in links)
        described = [(x.uri, x.mime_type, x.size) for x in links if isinstance(x, ResourceLink)]
        assert described == [
            (f"artefact://{a.id}", a.media_type, Path(a.path).stat().st_size)
            for a in typed.artefacts
        ]

    run(work)


def test_regions_references_and_artefacts_reach_the_tool(store: Store, scene: str) -> None:
    polygon = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [[[6, 0], [7, 0], [7, 1], [6, 0]]]},
        "crs": {"type": "name", "properties": {"name": "EPSG:4258"}},
    }

    async def work() -> None:
        async with connected(store) as client:
            arguments = {"scene": scene, "band": "R", "reference": scene, "unit": "km2"}
            told = await mcp_tools.call(
                client, "mean", {**arguments, "region": [6, 45, 7, 46]}, quiet
            )
            assert told["scenes"] == [scene, scene]
            assert told["reference"] == "km2"
            assert "POLYGON ((7 45, 7 46, 6 46, 6 45, 7 45))" in told["formula"]
            told = await mcp_tools.call(client, "mean", {**arguments, "region": polygon}, quiet)
            assert "EPSG:4258" in told["formula"]
            first = told["artefacts"][0]
            copied = await mcp_tools.call(client, "copy", {"artefact": first["id"]}, quiet)
            assert copied["artefacts"][0]["title"] == first["title"]

    run(work)


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_is_raised_again_on_the_side_of_the_client(
    store: Store, scene: str, kind: str
) -> None:
    async def work() -> None:
        async with connected(store) as client:
            with pytest.raises(EOError) as caught:
                await mcp_tools.call(client, "mean", {"scene": scene, "band": kind}, quiet)
        raised = ERRORS[kind]
        assert type(caught.value) is type(raised)
        assert str(caught.value) == str(raised)
        assert caught.value.details() == raised.details()
        assert caught.value.exit_code == raised.exit_code

    run(work)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"scene": "a"}, "mean needs the argument 'band' (Name of a band)."),
        ({"band": "R", "units": "km2"}, "mean has no argument 'units'; it takes scene, band, "
                                        "region, reference, unit."),
        ({"scene": "a", "band": 3}, "The argument 'band' of mean cannot be used: it should be a "
                                    "valid string (Name of a band)."),
        ({"scene": "a", "band": "R", "unit": "mile"}, "The argument 'unit' of mean cannot be used: "
                                                      "it should be 'ha', 'km2', 'acre' or 'm2'."),
        ({"scene": "SCENE", "band": "R", "region": [1, 2]},
         "A bounding box has four numbers: west, south, east, north."),
        ({"scene": "../a.tif", "band": "R"}, "'../a.tif' is neither a scene of this workspace nor "
         "a file inside it; use a scene id or a path relative to the workspace."),
    ],
)  # fmt: skip
def test_wrong_arguments_are_one_sentence(
    store: Store, scene: str, arguments: dict[str, Any], sentence: str
) -> None:
    async def work() -> None:
        given = {key: scene if value == "SCENE" else value for key, value in arguments.items()}
        async with connected(store) as client:
            with pytest.raises(InputError) as caught:
                await mcp_tools.call(client, "mean", given, quiet)
        assert str(caught.value) == sentence

    run(work)


def test_an_unknown_tool_lists_the_tools(store: Store) -> None:
    async def work() -> None:
        async with connected(store) as client:
            with pytest.raises(InputError, match="no tool 'paint'; the tools are mean, walk, copy"):
                await mcp_tools.call(client, "paint", {}, quiet)

    run(work)


@pytest.mark.parametrize("band", ["crash", "B"])
def test_a_crash_tells_the_client_nothing_of_the_server(
    store: Store, scene: str, band: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Band B gives a figure that is no number, which must not pass for a measurement either."""

    async def work() -> None:
        async with connected(store) as client:
            with pytest.raises(mcp_tools.ToolCrashError) as caught:
                await mcp_tools.call(client, "mean", {"scene": scene, "band": band}, quiet)
        assert str(caught.value) == "Error executing tool mean"

    run(work)
    assert "raised an unexpected exception" in caplog.text


def test_progress_rises_through_all_rounds(store: Store, scene: str) -> None:
    seen: list[tuple[float, float | None, str]] = []

    def watch(done: float, total: float | None, message: str) -> None:
        seen.append((done, total, message))

    async def work() -> None:
        async with connected(store) as client:
            await mcp_tools.call(client, "walk", {"scenes": [scene, scene]}, watch)

    run(work)
    assert [done for done, _, _ in seen] == list(range(1, 2 * TILES + 1))
    assert seen[0] == (1, TILES, "read 0")
    assert seen[-1] == (2 * TILES, 2 * TILES, f"write {TILES - 1}")


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_cancelled_call_stops_within_one_tile_and_leaves_nothing(
    store: Store, scene: str, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    WALKED.clear()

    async def work() -> None:
        async with connected(store, mode) as client:
            with anyio.CancelScope() as scope:

                def watch(done: float, total: float | None, message: str) -> None:
                    if done == 3:
                        scope.cancel()

                await mcp_tools.call(client, "walk", {"scenes": [scene]}, watch)
            assert scope.cancelled_caught
            if mode == "auto":
                assert len(WALKED) <= 4
            # The server is alive, and has cleaned up.
            await mcp_tools.call(client, "mean", {"scene": scene, "band": "R"}, quiet)

    run(work)
    # Over a stream the tool is a few messages ahead of the client.
    assert len(WALKED) < TILES
    assert {artefact.kind for artefact in store.artefacts()} == {"index", "table"}
    assert len(list((store.root / "artefacts").iterdir())) == 2
    assert "unexpected" not in caplog.text


def test_scenes_and_artefacts_are_resources(store: Store, scene: str) -> None:
    async def work() -> None:
        async with connected(store) as client:
            listed = (await client.read_resource("scenes://")).contents[0]
            assert isinstance(listed, TextResourceContents)
            assert json.loads(listed.text) == [
                {"id": scene, "name": "a", "sensor": None, "time": None}
            ]
            told = await mcp_tools.call(client, "mean", {"scene": scene, "band": "R"}, quiet)
            raster, table = [
                (await client.read_resource(f"artefact://{artefact['id']}")).contents[0]
                for artefact in told["artefacts"]
            ]
            assert isinstance(raster, BlobResourceContents)
            assert raster.mime_type == "image/tiff"
            content = Path(told["artefacts"][0]["path"]).read_bytes()
            assert base64.b64decode(raster.blob) == content
            assert isinstance(table, TextResourceContents)
            assert (table.mime_type, table.text) == ("text/csv", "é\n1\n")

    run(work)


@pytest.mark.parametrize(
    "uri", ["artefact://no-such", "artefact://..%2f..", "mask://x", "scene://x"]
)
def test_an_unknown_resource_is_refused(store: Store, uri: str) -> None:
    async def work() -> None:
        async with connected(store) as client:
            with pytest.raises(MCPError) as caught:
                await client.read_resource(uri)
        assert caught.value.error.code == -32602
        assert str(store.root) not in str(caught.value)

    run(work)


def test_a_file_too_large_to_send_is_named_instead(
    store: Store, scene: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "LARGEST_RESOURCE", 10)

    async def work() -> None:
        async with connected(store) as client:
            told = await mcp_tools.call(client, "mean", {"scene": scene, "band": "R"}, quiet)
            raster = told["artefacts"][0]
            with pytest.raises(MCPError, match="too much to send") as caught:
                await client.read_resource(f"artefact://{raster['id']}")
            assert raster["path"] in str(caught.value)

    run(work)
