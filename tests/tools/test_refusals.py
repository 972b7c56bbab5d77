"""What a tool refuses over the protocol it says in one sentence that names what to do."""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
import rasterio
from affine import Affine
from mcp import Client
from rasterio.errors import NotGeoreferencedWarning

from terralogue.tools.server import ERROR_META, TOOLS, build_server
from terralogue.tools.store import Store

# What tells a person how to go on: an order, what there is to choose from, or a question.
_ADVICE = re.compile(
    r"\b(use|give|choose|click|add|name|say|draw|check|ask|make|take|leave|measure)\b"
    r"|\b(sensors|targets|tools|models|names|formats)\b.*(:| are )"
    r"|\b(it takes|needs|it should be|such as|has four numbers|the order is)\b"
    r"|\b(serves?|trained at) |which (is around|has) ",
    re.IGNORECASE,
)
_Call = tuple[str, dict[str, Any]]


def one_sentence(text: str) -> bool:
    """Whether a text is one sentence; a full stop in a name, number or bracket ends none."""
    bare = re.sub(r"\([^()]*\)", "", text.strip())
    return not re.search(r"[\w)\]' ][.?!]\s+[A-Z]", bare)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Scenes of which each lacks something: bands, a sensor, a CRS, a date, pixels, place."""
    store = Store(tmp_path / "workspace")
    chance = np.random.default_rng(0)
    even = {"count": 3, "height": 40, "width": 50, "driver": "GTiff"}
    ground = {"crs": "EPSG:32632", "transform": Affine(10, 0, 600_000, 0, -10, 5_000_000)}
    far = {"crs": "EPSG:32632", "transform": Affine(10, 0, 700_000, 0, -10, 5_000_000)}
    kinds: dict[str, tuple[dict[str, Any], str, float]] = {
        "picture": ({"dtype": "uint8"}, "rgb_aerial", 100),
        "empty": ({"dtype": "float32", "nodata": 0, "count": 1} | ground, "sentinel1_grd", 0),
        "radar": ({"dtype": "float32", "count": 1} | ground, "sentinel1_grd", -9),
        "unknown": ({"dtype": "uint16", "count": 5} | ground, "", 900),
        "away": ({"dtype": "uint8"} | far, "rgb_aerial", 100),
    }
    for name, (profile, sensor, level) in kinds.items():
        path = tmp_path / f"{name}.tif"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            raster = rasterio.open(path, "w", **{**even, **profile})
        with raster:
            shape = (raster.count, raster.height, raster.width)
            noise = chance.normal(level, 2, shape) if level else np.zeros(shape)
            raster.write(noise.astype(raster.dtypes[0]))
        store.add_scene(path, sensor=sensor or None)
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"no picture")
    store.add_scene(broken)
    return store


def calls(store: Store) -> Iterator[_Call]:
    """Calls of every tool that ought to be refused, and a few that may work."""
    scenes = [record.id for record in store.scenes()]
    for scene in [*scenes, "no-such-scene"]:
        yield "describe_scene", {"scene": scene, "sensor": "no_such"}
        yield "describe_scene", {"scene": scene, "time": "yesterday"}
        for target in ("water", "built_up", "burned_area", "cloud", "happiness"):
            yield "segment", {"scene": scene, "target": target}
        yield "segment", {"scene": scene, "target": "water", "region": [1, 2, 3]}
        yield "segment", {"scene": scene, "target": "water", "region": [5, 5, 5, 5]}
        for x, y in ((-3, 4), (900, 2), (1, 1)):
            yield "segment_at_point", {"scene": scene, "x": x, "y": y}
        for index in ("NDVI", "NDWI", "happiness"):
            yield "compute_index", {"scene": scene, "index": index}
        yield "zonal_statistics", {"scene": scene, "region": {"type": "Polygon"}}
        yield "zonal_statistics", {"scene": scene, "region": [170, 80, 171, 81]}
        yield "time_series", {"scenes": [scene], "quantity": "NDVI"}
        yield "search_archive", {"scene": scene}
    for before, after in itertools.islice(itertools.permutations(scenes, 2), 12):
        yield "detect_change", {"before": before, "after": after, "target": "water"}
        yield "segment_at_point", {"scene": after, "x": 1, "y": 1, "before": before}
    yield "search_changes", {"text": ""}
    yield "export", {"artefact": "no-such", "format": "cog"}
    yield "export", {"artefact": "no-such", "format": "papyrus"}
    for tool in TOOLS:
        yield tool, {}
        yield tool, {"happiness": 1}


def test_every_refusal_is_one_sentence_that_names_what_to_do(store: Store) -> None:
    said: set[str] = set()

    async def work() -> None:
        async with Client(build_server(store, log_level="CRITICAL")) as client:
            for tool, arguments in calls(store):
                result = await client.call_tool(tool, arguments)
                if not result.is_error:
                    continue
                text = " ".join(getattr(part, "text", "") for part in result.content)
                details = (result.meta or {}).get(ERROR_META)
                assert details, f"{tool} {arguments} failed: {text}"
                if details["kind"] == "ClarifyError":
                    assert "?" in text
                else:
                    said.add(text)

    anyio.run(work)
    assert len(said) > 40
    several = [text for text in said if not one_sentence(text)]
    assert not several, "\n".join(several)
    silent = [text for text in said if not _ADVICE.search(text)]
    assert not silent, "\n".join(silent)
