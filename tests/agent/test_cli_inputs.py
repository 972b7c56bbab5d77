"""Bad, odd and borderline scenes on the command line: the exit code and the one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray

from terralogue.agent.cli import main

from .conftest import GRID, SIZE, WATER_ROWS, WriteScene, lake

WATER = "How much water is there?"

pytestmark = pytest.mark.usefixtures("home")


def ask(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, Any, str]:
    code = main(["ask", *map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else None, err


def figure(answer: Any, name: str) -> float:
    return float(next(m["value"] for m in answer["measurements"] if m["name"] == name))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("This is no picture.\n" * 50, encoding="utf-8")


def bomb(path: Path) -> None:
    """A few bytes that declare 40 GB."""
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "crs": "EPSG:32632"}
    size = {"width": 200_000, "height": 200_000, "transform": GRID}
    with rasterio.open(path, "w", **profile, **size, sparse_ok=True, tiled=True):
        pass


@pytest.mark.parametrize("make", [empty, text, bomb])
def test_a_file_that_is_no_scene_is_told(
    make: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "scene.tif"
    make(path)
    code, answer, err = ask(capsys, path, "-q", WATER)
    assert (code, answer) == (2, None)
    assert "scene.tif" in err
    assert err.count("\n") == 1


def test_a_truncated_file_is_told(
    write_scene: WriteScene, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_scene()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    code, answer, err = ask(capsys, path, "-q", WATER)
    assert (code, answer) == (2, None)
    assert "lake.tif" in err


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_scene_without_a_valid_pixel_is_told(
    value: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "nothing.tif"
    profile = {"driver": "GTiff", "dtype": "float32", "nodata": 0, "count": 4, "crs": "EPSG:32632"}
    with rasterio.open(path, "w", **profile, width=8, height=8, transform=GRID) as file:
        file.write(np.full((4, 8, 8), value, dtype=np.float32))
        for number, name in enumerate(("blue", "green", "red", "nir"), start=1):
            file.set_band_description(number, name)
        file.update_tags(SENSOR="PlanetScope")
    code, answer, err = ask(capsys, path, "-q", WATER)
    assert (code, answer) == (2, None)
    assert "valid" in err


def test_a_region_outside_the_scene_is_told(
    write_scene: WriteScene, capsys: pytest.CaptureFixture[str]
) -> None:
    code, answer, err = ask(capsys, write_scene(), "-q", WATER, "--region", "100,10,101,11")
    assert (code, answer) == (2, None)
    assert "region" in err.lower()


def test_two_scenes_that_do_not_overlap_are_refused(
    write_scene: WriteScene, capsys: pytest.CaptureFixture[str]
) -> None:
    here = write_scene("here.tif", date="2020-06-01")
    far = Affine(3, 0, 700_000, 0, -3, 5_000_000)
    there = write_scene("there.tif", date="2023-06-01", transform=far)
    code, answer, _ = ask(capsys, here, there, "-q", "How did the water change?")
    assert (code, answer["route"], answer["reason"]) == (4, "refuse", "no_overlap")


def test_ndvi_without_near_infrared_is_refused(
    write_scene: WriteScene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = write_scene("rgb.tif", lake()[:3], bands=("red", "green", "blue"))
    code, answer, _ = ask(capsys, scene, "-q", "Compute the NDVI")
    assert (code, answer["reason"]) == (4, "sensor")


def test_change_between_sensors_without_a_common_band_is_refused(
    write_scene: WriteScene, capsys: pytest.CaptureFixture[str]
) -> None:
    rgb = write_scene("rgb.tif", lake()[:3], bands=("red", "green", "blue"), date="2020-06-01")
    radar = write_scene("radar.tif", lake()[:1], bands=("VV",), date="2023-06-01")
    sensors = ["--sensor", "rgb_aerial", "--sensor", "sentinel1_grd"]
    code, answer, _ = ask(capsys, rgb, radar, *sensors, "-q", "How did the water change?")
    assert (code, answer["reason"]) == (4, "sensor")


def uniform(value: float) -> NDArray[np.float32]:
    return np.array([0.06, 0.08, 0.04, value], dtype=np.float32).reshape(4, 1, 1)


def test_a_scene_of_one_pixel_is_described(
    write_scene: WriteScene, capsys: pytest.CaptureFixture[str]
) -> None:
    code, answer, _ = ask(capsys, write_scene(data=uniform(0.02)), "-q", "Compute the NDVI")
    assert code == 0
    assert figure(answer, "mean") == pytest.approx(-1 / 3, abs=1e-3)


def test_a_rotated_grid_gives_the_right_area(
    write_scene: WriteScene, capsys: pytest.CaptureFixture[str]
) -> None:
    rotated = write_scene(transform=GRID @ Affine.rotation(30))
    code, answer, _ = ask(capsys, rotated, "-q", WATER)
    assert code == 0
    assert figure(answer, "area") == pytest.approx(WATER_ROWS * SIZE * 9 / 1e4, rel=2e-3)


def test_without_a_crs_the_answer_is_a_share_and_says_why(
    write_scene: WriteScene, capsys: pytest.CaptureFixture[str]
) -> None:
    code, answer, _ = ask(capsys, write_scene(crs=None), "-q", WATER)
    assert code == 0
    assert figure(answer, "share") == pytest.approx(25)
    assert "ha" not in {m["unit"] for m in answer["measurements"]}
    assert any("reference system" in warning for warning in answer["warnings"])


def test_an_unknown_number_of_bands_leads_to_one_question(
    write_scene: WriteScene, capsys: pytest.CaptureFixture[str]
) -> None:
    data = np.repeat(lake()[:1], 7, axis=0)
    scene = write_scene("seven.tif", data, bands=("",) * 7, date=None)
    code, answer, _ = ask(capsys, scene, "-q", WATER)
    assert (code, answer["route"], answer["missing_slot"]) == (3, "clarify", "sensor")
    assert answer["options"]
