"""A planner of a few keywords, small real scenes and a home folder for conversations."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

from terralogue.agent.plan import Inputs, Plan, ToolCall
from terralogue.vlm.vlm import VLM, Query, Reading

SIZE = 64
WATER_ROWS = 16
GRID = Affine(3, 0, 600_000, 0, -3, 5_000_000)

WriteScene = Callable[..., Path]


class KeywordPlanner:
    """Plans by single words, so that a conversation can be tested without its real planner."""

    def plan(self, question: str, inputs: Inputs) -> Plan:
        words = question.lower()
        scenes = [scene.id for scene in inputs.scenes]
        extra = {"region": inputs.region} if inputs.region else {}
        if "acres" in words:
            words, extra = inputs.history[0].content.lower(), {**extra, "unit": "acre"}
        calls: list[ToolCall] = []
        if "export" in words:
            given = {"artefact": inputs.last_artefact, "format": "geopackage"}
            calls.append(ToolCall(tool="export", arguments=given))
        if "change" in words:
            pair = dict(zip(("before", "after"), scenes, strict=False))
            calls.append(ToolCall(tool="detect_change", arguments={**pair, "target": "water"}))
        if "ndvi" in words:
            given = {"scene": scenes[0], "index": "NDVI", **extra}
            calls.append(ToolCall(tool="compute_index", arguments=given))
        for target in ("water", "vegetation"):
            if target in words and "change" not in words:
                given = {"scene": scenes[0], "target": target, **extra}
                calls.append(ToolCall(tool="segment", arguments=given))
        if calls:
            return Plan(route="tools", interpretation=f"Measure: {words}", calls=tuple(calls))
        if "joke" in words:
            return Plan(
                route="refuse",
                interpretation="Tell a joke",
                reason="out_of_scope",
                message="Only scenes can be asked about.",
            )
        if "see" in words:
            return Plan(route="answer", interpretation="Say what the picture shows")
        return Plan(
            route="clarify",
            interpretation="Measure something",
            question="What should be measured?",
            options=("water", "vegetation"),
            missing_slot="target",
        )


class Eyes(VLM):
    """An image-reading model that says what it is told to, and keeps what it was asked."""

    def __init__(self, *readings: Reading, name: str = "eyes", points: bool = True) -> None:
        self.name = name
        self.fingerprint = "0" * 16
        self.tasks = frozenset({"qa", "caption", *(["grounding"] if points else [])})
        self.readings = list(readings)
        self.asked: list[Query] = []

    def answer_batch(self, queries: Sequence[Query]) -> list[Reading]:
        self.asked += queries
        return [self.readings.pop(0) for _ in queries]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of its own, for the command line too."""
    folder = tmp_path / "home"
    monkeypatch.setenv("TERRALOGUE_HOME", str(folder))
    return folder


def lake() -> NDArray[np.float32]:
    """Reflectance (blue, green, red, nir; 64 rows, 64 columns): the upper quarter is water."""
    land = np.array([0.04, 0.07, 0.05, 0.35], dtype=np.float32)
    water = np.array([0.06, 0.08, 0.04, 0.02], dtype=np.float32)
    data = np.broadcast_to(land[:, None, None], (4, SIZE, SIZE)).copy()
    data[:, :WATER_ROWS] = water[:, None, None]
    rng = np.random.default_rng(0)
    return np.asarray(data * rng.normal(1, 0.03, data.shape), dtype=np.float32)


@pytest.fixture
def write_scene(tmp_path: Path) -> WriteScene:
    """Write a GeoTIFF that is recognised as PlanetScope, unless its bands say otherwise."""

    def write(
        name: str = "lake.tif",
        data: NDArray[np.float32] | None = None,
        *,
        bands: Sequence[str] = ("blue", "green", "red", "nir"),
        crs: str | None = "EPSG:32632",
        transform: Affine = GRID,
        date: str | None = "2024-06-01",
    ) -> Path:
        data = lake() if data is None else data
        path = tmp_path / name
        profile = {"driver": "GTiff", "dtype": "uint16", "nodata": 0, "count": len(data)}
        profile |= {"height": data.shape[1], "width": data.shape[2]}
        profile |= {"crs": crs, "transform": transform} if crs else {}
        with warnings.catch_warnings():
            # A file without georeference is what was asked for.
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path, "w", **profile) as target:
                target.write(np.round(np.nan_to_num(data) * 1e4).astype(np.uint16))
                for number, band in enumerate(bands, start=1):
                    target.set_band_description(number, band)
                tags = {"SENSOR": "PlanetScope"} if tuple(bands)[-1:] == ("nir",) else {}
                target.update_tags(**tags, **({"ACQUISITION_DATE": date} if date else {}))
        return path

    return write
