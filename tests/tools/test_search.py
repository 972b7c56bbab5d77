"""`search_archive` and `search_changes`: typed hits, footprints and a sheet of thumbnails."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely.geometry
from affine import Affine
from numpy.typing import NDArray
from PIL import Image

from terralogue.datasets.errors import InputError, RefusalError, RegionError
from terralogue.datasets.scene import open_scene
from terralogue.tools.archive import Archive
from terralogue.tools.archive_place import archive_location
from terralogue.tools.region import Region
from terralogue.tools.run import Run
from terralogue.tools.schemas import ArchiveSearch
from terralogue.tools.search import search_archive, search_changes
from terralogue.tools.store import Store
from terralogue.tools.vectors import write_geopackage


def field(path: Path, date: str, shade: int, size: int = 300) -> Path:
    """A picture of about 10 m a pixel at 11° east and 46° north."""
    data = np.random.default_rng(shade).integers(shade, shade + 60, (3, size, size))
    profile = {"driver": "GTiff", "width": size, "height": size, "count": 3, "dtype": "uint8"}
    profile |= {"crs": "EPSG:4326", "transform": Affine(1e-4, 0, 11, 0, -1e-4, 46)}
    with rasterio.open(path, "w", photometric="RGB", **profile) as target:
        target.write(data.astype(np.uint8))
        target.update_tags(ACQUISITION_DATE=date)
    return path


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(Store(tmp_path / "workspace"))


@pytest.fixture
def scenes(tmp_path: Path, run: Run, tiny_checkpoint: str) -> Path:
    """A folder of two dates of a place and a picture from nowhere, indexed for the workspace."""
    folder = tmp_path / "scenes"
    folder.mkdir()
    field(folder / "spring.tif", "2021-04-01", 40)
    field(folder / "autumn.tif", "2021-10-01", 160)
    Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(folder / "sketch.png")
    location = archive_location(run.store.root)
    Archive.open(location, model=tiny_checkpoint, create=True).add([folder], tile=140)
    return folder


def only(result: ArchiveSearch, kind: str) -> Path:
    (path,) = [Path(each.path) for each in result.artefacts if each.kind == kind]
    return path


def shown(result: ArchiveSearch) -> NDArray[np.uint8]:
    """The sheet of thumbnails, (H, W, 3)."""
    with Image.open(only(result, "preview")) as sheet:
        return np.asarray(sheet.convert("RGB"))


def test_hits_are_ranked_and_say_what_they_are(scenes: Path, run: Run) -> None:
    told = search_archive("ploughed fields", k=30, run=run)
    assert [hit.rank for hit in told.hits] == list(range(1, len(told.hits) + 1))
    scores = [hit.score for hit in told.hits]
    assert scores == sorted(scores, reverse=True)
    assert told.searched == len(told.hits) == 21
    whole = next(hit for hit in told.hits if hit.name == "spring.tif" and hit.window is None)
    assert (whole.kind, whole.date, whole.observed_share) == ("scene", "2021-04-01", 100)
    assert whole.bounds_wgs84 == pytest.approx((11, 45.97, 11.03, 46))
    assert whole.paths == [str(scenes / "spring.tif")]
    best = {each.name: each.value for each in told.measurements}
    assert best["best_score"] == scores[0]
    assert best["best_deviations"] == told.hits[0].deviations


def test_footprints_are_geojson_of_what_has_a_place(scenes: Path, run: Run, tmp_path: Path) -> None:
    told = search_archive("fields", k=30, run=run)
    collection = json.loads(only(told, "polygons").read_text(encoding="utf-8"))
    ranks = {hit.rank for hit in told.hits if hit.bounds_wgs84 is not None}
    assert {each["properties"]["rank"] for each in collection["features"]} == ranks
    assert len(ranks) == 20
    for each in collection["features"]:
        hit = told.hits[each["properties"]["rank"] - 1]
        outline = shapely.geometry.shape(each["geometry"])
        assert outline.bounds == pytest.approx(hit.bounds_wgs84)
        assert outline.exterior.is_ccw
        assert each["properties"]["path"] == hit.paths[0]
    assert any("1 of the 21 images found have no georeference" in text for text in told.warnings)
    write_geopackage(tmp_path / "f.gpkg", only(told, "polygons"), "footprints")


def test_the_sheet_shows_a_thumbnail_for_each_hit(scenes: Path, run: Run) -> None:
    small, large = (shown(search_archive("fields", k=k, run=run)) for k in (2, 12))
    assert len(large) > len(small)
    assert small.std() > 10


def test_a_scene_or_a_part_of_it_is_a_query(scenes: Path, run: Run) -> None:
    scene = open_scene(scenes / "spring.tif")
    told = search_archive(scene=scene, run=run, k=30)
    assert told.query == "spring.tif"
    assert "spring.tif" not in {hit.name for hit in told.hits}
    corner = Region.parse([11.0, 45.999, 11.001, 46.0])
    part = search_archive(scene=scene, region=corner, run=run, k=30)
    assert part.query == "part of spring.tif"
    same = [hit.window for hit in part.hits if hit.name == "spring.tif"]
    assert len(same) == 8
    assert [0, 0, 140, 140] not in same
    with pytest.raises(RegionError):
        search_archive(scene=scene, region=Region.parse([50, 50, 51, 51]), run=run)


def test_filters_that_leave_nothing_are_said(scenes: Path, run: Run) -> None:
    told = search_archive("fields", run=run, period="1999")
    assert (told.hits, told.artefacts, told.measurements) == ([], [], [])
    assert told.warnings == ["None of the 21 images in the archive fits these filters."]


def test_changes_come_with_both_dates(scenes: Path, run: Run) -> None:
    told = search_changes("harvested fields", run=run, k=3)
    assert len(told.hits) == 3
    for hit in told.hits:
        assert (hit.kind, hit.before_date, hit.date) == ("pair", "2021-04-01", "2021-10-01")
        assert (hit.before_paths, hit.paths) == (
            [str(scenes / "spring.tif")],
            [str(scenes / "autumn.tif")],
        )
    assert shown(told).shape[1] > 300
    assert search_changes("x", run=run, period="2021-06").hits
    assert not search_changes("x", run=run, period="2022").hits


def test_requests_that_say_too_little_or_too_much_are_refused(scenes: Path, run: Run) -> None:
    scene = open_scene(scenes / "sketch.png")
    for given in ({}, {"text": " "}, {"text": "x", "scene": scene}):
        with pytest.raises(InputError, match="either a text or a scene"):
            search_archive(**given, run=run)  # type: ignore[arg-type]
    for k in (0, 1000):
        with pytest.raises(InputError, match="between 1 and"):
            search_archive("x", k=k, run=run)
    with pytest.raises(InputError, match="needs a text"):
        search_changes(" ", run=run)


def test_without_an_archive_or_pairs_it_is_said_how_to_get_them(
    run: Run, tmp_path: Path, tiny_checkpoint: str
) -> None:
    with pytest.raises(InputError, match="terralogue index add"):
        search_archive("fields", run=run)
    field(tmp_path / "one.tif", "2021-04-01", 40, size=64)
    archive = Archive.open(archive_location(run.store.root), model=tiny_checkpoint, create=True)
    with pytest.raises(RefusalError, match="is empty"):
        search_archive("fields", run=run)
    archive.add([tmp_path / "one.tif"])
    with pytest.raises(RefusalError, match="several dates") as caught:
        search_changes("new roads", run=run)
    assert caught.value.reason == "no_data"


def test_the_environment_may_name_the_archive(
    scenes: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run.store.has_archive
    monkeypatch.setenv("TERRALOGUE_ARCHIVE", str(tmp_path / "other"))
    assert not run.store.has_archive
    with pytest.raises(InputError, match=r"no archive at .*other"):
        search_archive("fields", run=run)
