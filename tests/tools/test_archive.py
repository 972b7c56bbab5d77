"""Archives: indexing what is new, and finding it by words, by an image and by change."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from PIL import Image

from terralogue.datasets.errors import InputError
from terralogue.datasets.scene import open_scene
from terralogue.tools.archive import Archive, Crop
from terralogue.tools.archive_index import Report
from terralogue.tools.search_filters import where_of
from terralogue.tools.vector_store import Where
from terralogue.vlm.change_embedding import change_query, change_score, change_vector
from terralogue.vlm.clip import GeoCLIP, tiny_geoclip

Picture = NDArray[np.uint8]
BLUE, GREEN, GREY = (30, 60, 160), (40, 140, 50), (150, 150, 150)
WGS84 = "EPSG:4326"


@pytest.fixture(scope="module")
def model() -> GeoCLIP:
    return tiny_geoclip()


@pytest.fixture
def archive(tmp_path: Path, model: GeoCLIP) -> Archive:
    return Archive.open(tmp_path / "archive", model=model, create=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scenes").mkdir()
    return tmp_path / "scenes"


def coloured(colour: tuple[int, int, int], width: int = 64, height: int = 64) -> Picture:
    """(H, W, 3) of one colour and some noise, the same for the same colour."""
    rng = np.random.default_rng(sum(colour))
    noise = rng.normal(0, 12, (height, width, 3))
    return np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)


def picture(path: Path, colour: tuple[int, int, int], width: int = 64, height: int = 64) -> Path:
    """A picture without georeference."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(coloured(colour, width, height)).save(path)
    return path


def placed(
    path: Path,
    colour: tuple[int, int, int],
    *,
    at: tuple[float, float] = (11.0, 46.0),
    date: str | None = None,
    size: int = 64,
) -> Path:
    """A picture with its upper left corner at a longitude and latitude, about 10 m a pixel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "width": size, "height": size, "count": 3, "dtype": "uint8"}
    profile |= {"crs": WGS84, "transform": Affine(1e-4, 0, at[0], 0, -1e-4, at[1])}
    with rasterio.open(path, "w", photometric="RGB", **profile) as target:
        target.write(np.moveaxis(coloured(colour, size, size), -1, 0))
        if date:
            target.update_tags(ACQUISITION_DATE=date)
    return path


def names(archive: Archive) -> list[str]:
    return sorted(row.name for row in archive.images.scenes())


def counts(report: Report) -> tuple[int, int, int]:
    return report.scenes, report.replaced, report.unchanged


# --- indexing -------------------------------------------------------------------------------


def test_only_what_is_new_or_changed_is_indexed_again(archive: Archive, folder: Path) -> None:
    picture(folder / "sea.png", BLUE)
    picture(folder / "deep" / "wood.webp", GREEN)
    assert counts(archive.add([folder])) == (2, 0, 0)
    assert counts(archive.add([folder])) == (0, 0, 2)
    picture(folder / "town.png", GREY)
    picture(folder / "sea.png", GREEN, width=80)
    assert counts(archive.add([folder])) == (2, 1, 1)
    assert names(archive) == ["sea.png", "town.png", "wood.webp"]
    assert len(archive.images) == 3


def test_what_cannot_be_read_is_told_and_the_rest_is_indexed(
    archive: Archive, folder: Path
) -> None:
    picture(folder / "sea.png", BLUE)
    (folder / "broken.tif").write_bytes(b"no image")
    (folder / "empty.png").write_bytes(b"")
    report = archive.add([folder])
    assert report.scenes == 1
    told = {Path(item.path).name: item.reason for item in report.unreadable}
    assert set(told) == {"broken.tif", "empty.png"}
    assert "0 bytes" in told["empty.png"]


def test_a_scene_that_became_unreadable_is_no_longer_found(archive: Archive, folder: Path) -> None:
    sea = picture(folder / "sea.png", BLUE)
    picture(folder / "wood.png", GREEN)
    archive.add([folder])
    sea.write_bytes(b"overwritten")
    assert [Path(item.path).name for item in archive.add([folder]).unreadable] == ["sea.png"]
    assert names(archive) == ["wood.png"]


def test_vanished_scenes_are_told_and_taken_out_when_asked(archive: Archive, folder: Path) -> None:
    sea = picture(folder / "a" / "sea.png", BLUE)
    picture(folder / "b" / "wood.png", GREEN)
    archive.add([folder])
    sea.unlink()
    report = archive.add([folder])
    assert (report.vanished, report.pruned, len(archive.images)) == ([str(sea)], 0, 2)
    assert archive.add([folder / "b"], prune=True).vanished == []
    assert archive.add([folder], prune=True).pruned == 1
    assert names(archive) == ["wood.png"]
    shutil.rmtree(folder / "b")
    assert archive.add([folder / "b"], prune=True).pruned == 1
    assert len(archive.images) == 0


def test_long_scenes_are_cut_into_tiles_and_kept_as_a_whole_too(
    archive: Archive, folder: Path
) -> None:
    placed(folder / "long.tif", BLUE, size=200)
    report = archive.add([folder], tile=64)
    assert (report.scenes, report.tiles) == (1, 16)
    found = archive.search("anything", k=50).hits
    windows = [hit.row.window for hit in found if hit.row.window]
    assert {hit.row.kind for hit in found} == {"scene", "tile"}
    assert len(windows) == 16
    assert all(w == h == 64 and x + w <= 200 and y + h <= 200 for x, y, w, h in windows)
    corner = next(hit.row for hit in found if hit.row.window == (0, 0, 64, 64))
    assert corner.bounds == pytest.approx((11.0, 46.0 - 64e-4, 11.0 + 64e-4, 46.0), abs=1e-6)


def test_another_tile_size_replaces_the_tiles(archive: Archive, folder: Path) -> None:
    placed(folder / "long.tif", BLUE, size=200)
    archive.add([folder], tile=64)
    report = archive.add([folder], tile=90)
    assert (report.replaced, report.tiles, len(archive.images)) == (1, 9, 10)
    with pytest.raises(InputError, match="shows too little"):
        archive.add([folder], tile=8)


def test_a_sensor_that_cannot_be_told_may_be_stated(archive: Archive, folder: Path) -> None:
    data = np.random.default_rng(0).integers(20, 200, (4, 64, 64)).astype(np.uint8)
    profile = {"driver": "GTiff", "width": 64, "height": 64, "count": 4, "dtype": "uint8"}
    profile |= {"crs": WGS84, "transform": Affine(3e-4, 0, 11, 0, -3e-4, 46)}
    with rasterio.open(folder / "1985.tif", "w", photometric="minisblack", **profile) as target:
        target.write(data)
    assert "--sensor" in archive.add([folder]).unreadable[0].reason
    assert archive.add([folder], sensor="landsat5:B,G,R,N").scenes == 1
    assert archive.images.scenes()[0].sensor == "landsat5"


def test_empty_scenes_are_not_indexed(archive: Archive, folder: Path) -> None:
    profile = {"driver": "GTiff", "width": 64, "height": 64, "count": 3, "dtype": "float32"}
    profile |= {"crs": WGS84, "transform": Affine(1e-4, 0, 11, 0, -1e-4, 46), "nodata": 0}
    with rasterio.open(folder / "void.tif", "w", **profile) as target:
        target.write(np.zeros((3, 64, 64), np.float32))
        target.descriptions = ("red", "green", "blue")
    report = archive.add([folder], sensor="planetscope:R,G,B")
    assert (report.scenes, len(report.unreadable)) == (0, 1)


def test_a_run_that_is_cut_short_goes_on_without_loss_or_doubles(
    archive: Archive, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed(folder / "b" / "long.tif", BLUE, size=200)
    picture(folder / "a" / "sea.png", GREY)

    def cut(done: float, total: float | None, message: str) -> None:
        if done > 1.5:
            raise KeyboardInterrupt

    monkeypatch.setattr("terralogue.tools.archive_index._BATCH", 4)
    monkeypatch.setattr("terralogue.tools.archive_encoding._MOST_TILES", 4)
    with pytest.raises(KeyboardInterrupt):
        archive.add([folder], cut, tile=64)
    kept = len(archive.images)
    assert 0 < kept < 18
    assert counts(archive.add([folder], tile=64)) == (1, 0, 1)
    assert len(archive.images) == len(archive.images.stamps()) == 18


def test_progress_is_told_scene_by_scene(archive: Archive, folder: Path) -> None:
    for number in range(3):
        picture(folder / f"{number}.png", BLUE)
    told: list[tuple[float, float | None]] = []
    archive.add([folder], lambda done, total, message: told.append((done, total)))
    assert {total for _, total in told} == {3, 0}
    assert [done for done, total in told if total == 3] == [0, 1, 2, 3]


# --- searching ------------------------------------------------------------------------------


def test_an_image_finds_its_likes_and_not_itself(archive: Archive, folder: Path) -> None:
    for name, colour in {"sea": BLUE, "sea2": BLUE, "wood": GREEN, "town": GREY}.items():
        picture(folder / f"{name}.png", colour)
    archive.add([folder])
    found = archive.search(open_scene(folder / "sea.png"), k=10)
    assert found.hits[0].row.name == "sea2.png"
    assert found.hits[0].score == pytest.approx(1, abs=1e-3)
    assert len(found.hits) == 3
    assert found.searched == 4


def test_part_of_an_image_finds_what_looks_like_that_part(archive: Archive, folder: Path) -> None:
    both = np.concatenate([coloured(BLUE, 100, 200), coloured(GREEN, 100, 200)], axis=1)
    Image.fromarray(both).save(folder / "coast.png")
    picture(folder / "sea.png", BLUE)
    picture(folder / "wood.png", GREEN)
    archive.add([folder], tile=64)
    found = archive.search(Crop(open_scene(folder / "coast.png"), (110, 10, 64, 64)), k=30).hits
    alone = [hit.row.name for hit in found if hit.row.name != "coast.png"]
    assert alone[0] == "wood.png"
    # Other parts of the same scene may be found; those that overlap the crop are not.
    same = [hit.row.window for hit in found if hit.row.name == "coast.png"]
    assert same
    for window in same:
        assert window is not None
        assert window[0] + 64 <= 110 or window[0] >= 174 or window[1] >= 74


def test_a_vector_such_as_a_taught_class_is_a_query(archive: Archive, folder: Path) -> None:
    picture(folder / "sea.png", BLUE)
    picture(folder / "wood.png", GREEN)
    archive.add([folder])
    scene = open_scene(folder / "wood.png")
    direction = 7 * archive.model.encode_image(scene)[0]
    assert archive.search(direction, k=1).hits[0].row.name == "wood.png"
    with pytest.raises(InputError, match="cannot be searched by"):
        archive.search(direction[:-1])


def test_scores_are_set_against_those_of_the_whole_archive(archive: Archive, folder: Path) -> None:
    for number, colour in enumerate((BLUE, GREEN, GREY)):
        picture(folder / f"{number}.png", colour)
    archive.add([folder])
    found = archive.search("harbour", k=2)
    vector = archive.model.label_embeddings(["harbour"])[0]
    scores = archive.images.sample(10)[0] @ vector
    assert found.mean == pytest.approx(scores.mean(), abs=1e-5)
    best = found.hits[0]
    assert best.z == pytest.approx((best.score - found.mean) / found.deviation)
    assert best.score == pytest.approx(scores.max(), abs=1e-5)


def test_filters_hold_for_place_time_and_sensor(archive: Archive, folder: Path) -> None:
    placed(folder / "alps.tif", BLUE, at=(11, 46), date="2020-07-04")
    placed(folder / "andes.tif", BLUE, at=(-70, -20), date="2021-01-31")
    placed(folder / "undated.tif", BLUE, at=(11, 46.5))
    picture(folder / "nowhere.png", BLUE)
    archive.add([folder])

    def found(where: Where) -> set[str]:
        return {hit.row.name for hit in archive.search("sea", 10, where).hits}

    assert found(where_of([10, 45, 12, 47])) == {"alps.tif", "undated.tif"}
    assert found(where_of(period="2020")) == {"alps.tif"}
    assert found(where_of(period="2020-07/2021-01")) == {"alps.tif", "andes.tif"}
    assert found(where_of(period="../2020-12")) == {"alps.tif"}
    assert found(where_of(period="2021-02-01/..")) == set()
    assert len(found(where_of(sensor="unknown_rgb"))) >= 1
    assert found(where_of(sensor="landsat")) == set()


@pytest.mark.parametrize(
    ("bbox", "period", "sensor", "said"),
    [
        ([1, 2, 3], None, None, "four numbers"),
        ([1, 5, 3, 4], None, None, "not west, south"),
        ([1, float("nan"), 3, 4], None, None, "four numbers"),
        (None, "last week", None, "cannot be read"),
        (None, "2020-13", None, "cannot be read"),
        (None, "2021/2020", None, "ends before"),
        (None, None, "telescope", "unknown sensor"),
    ],
)
def test_filters_that_cannot_be_read_are_told(
    bbox: list[float] | None, period: str | None, sensor: str | None, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        where_of(bbox, period, sensor)


def test_an_archive_in_memory_finds_the_same(
    archive: Archive, folder: Path, model: GeoCLIP
) -> None:
    for number, colour in enumerate((BLUE, GREEN, GREY)):
        picture(folder / f"{number}.png", colour)
    short = Archive.open("memory:", model=model)
    found = []
    for each in (archive, short):
        each.add([folder])
        found.append([hit.row.id for hit in each.search("a quarry").hits])
    assert found[0] == found[1]


# --- models and places ----------------------------------------------------------------------


def test_an_archive_is_opened_with_its_own_model(
    tmp_path: Path, folder: Path, tiny_checkpoint: str
) -> None:
    picture(folder / "sea.png", BLUE)
    Archive.open(tmp_path / "named", model=tiny_checkpoint, create=True).add([folder])
    again = Archive.open(tmp_path / "named")
    assert again.search("sea").hits[0].row.name == "sea.png"
    assert again.model.name == tiny_checkpoint


def test_another_model_is_refused(archive: Archive, folder: Path) -> None:
    picture(folder / "sea.png", BLUE)
    archive.add([folder])
    for create in (True, False):
        with pytest.raises(InputError, match="vectors of two models cannot be compared"):
            Archive.open(archive.location, model=tiny_geoclip(1), create=create)


def test_an_archive_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="terralogue index add"):
        Archive.open(tmp_path / "none")
    assert not (tmp_path / "none").exists()


# --- pairs ----------------------------------------------------------------------------------


def dated(folder: Path, **colours: tuple[int, int, int]) -> None:
    """Scenes of one place, named after their dates."""
    for name, colour in colours.items():
        date = name.removeprefix("d").replace("_", "-")
        placed(folder / f"{date}.tif", colour, date=date)


def pairs(archive: Archive) -> set[tuple[str | None, str | None]]:
    rows = archive.pairs.fetch(list(archive.pairs.stamps())).values()
    return {(row.before.date, row.date) for row in rows if row.before}


def test_scenes_of_one_place_and_several_dates_are_paired(archive: Archive, folder: Path) -> None:
    dated(folder, d2018_07_01=GREEN, d2020_07_01=GREEN, d2022_07_01=GREY)
    placed(folder / "elsewhere.tif", GREEN, at=(12, 46), date="2019-07-01")
    assert archive.add([folder]).pairs == 3
    assert pairs(archive) == {
        ("2018-07-01", "2020-07-01"),
        ("2020-07-01", "2022-07-01"),
        ("2018-07-01", "2022-07-01"),
    }
    assert archive.add([folder]).pairs == 0


def test_a_pair_keeps_both_vectors_and_their_difference(archive: Archive, folder: Path) -> None:
    dated(folder, d2018_07_01=GREEN, d2020_07_01=GREY)
    archive.add([folder])
    (row,) = archive.pairs.fetch(list(archive.pairs.stamps())).values()
    assert row.before is not None
    by_date = {
        each.date: each for each in archive.images.fetch(list(archive.images.stamps())).values()
    }
    np.testing.assert_allclose(row.before.vector, by_date["2018-07-01"].vector, atol=1e-6)
    np.testing.assert_allclose(row.before.after_vector, by_date["2020-07-01"].vector, atol=1e-6)
    np.testing.assert_allclose(
        row.vector, change_vector(row.before.vector, row.before.after_vector), atol=1e-6
    )
    assert row.days == (20180701, 20200701)


def test_a_pair_follows_its_scenes(archive: Archive, folder: Path) -> None:
    dated(folder, d2018_07_01=GREEN, d2020_07_01=GREY)
    archive.add([folder])
    (before,) = archive.pairs.stamps().values()
    dated(folder, d2020_07_01=BLUE)
    assert archive.add([folder]).pairs == 1
    (after,) = archive.pairs.stamps().values()
    assert before != after
    (folder / "2018-07-01.tif").unlink()
    archive.add([folder], prune=True)
    assert len(archive.pairs) == 0


def test_large_scenes_are_paired_tile_by_tile(
    archive: Archive, folder: Path, model: GeoCLIP, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed(folder / "old.tif", GREEN, size=200, date="2018-07-01")
    placed(folder / "new.tif", GREY, size=200, date="2020-07-01")
    encoded: list[int] = []
    encode = type(model).encode_image

    def counted(self: GeoCLIP, images: list[object], bands: object = None) -> object:
        encoded.append(len(images))
        return encode(self, images)  # type: ignore[arg-type]

    monkeypatch.setattr(type(model), "encode_image", counted)
    assert archive.add([folder], tile=64).pairs == 17
    # The vectors of a pair on one grid are those of its tiles: nothing is encoded twice.
    assert sum(encoded) == 34


def test_scenes_that_are_shifted_are_compared_where_they_overlap(
    archive: Archive, folder: Path
) -> None:
    placed(folder / "old.tif", GREEN, at=(11.0, 46.0), date="2018-07-01", size=100)
    placed(folder / "new.tif", GREY, at=(11.0 + 30e-4, 46.0), date="2020-07-01", size=100)
    archive.add([folder])
    (row,) = archive.pairs.fetch(list(archive.pairs.stamps())).values()
    assert row.before is not None
    assert row.before.window == (30, 0, 70, 100)
    assert row.window == (0, 0, 70, 100)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("im1.png", "im2.png"),
        ("site_before.png", "site_after.png"),
        ("x_pre_disaster.png", "x_post_disaster.png"),
        ("A/x.png", "B/x.png"),
        ("t1/x.png", "t2/x.png"),
    ],
)
def test_names_put_undated_images_in_order(
    archive: Archive, folder: Path, before: str, after: str
) -> None:
    picture(folder / after, GREY)
    picture(folder / before, GREEN)
    picture(folder / "unrelated.png", BLUE)
    archive.add([folder])
    (row,) = archive.pairs.fetch(list(archive.pairs.stamps())).values()
    assert row.before is not None
    assert row.before.by_name
    assert row.before.paths == (str(folder / before),)
    assert row.paths == (str(folder / after),)


def test_what_nothing_puts_in_order_is_no_pair(archive: Archive, folder: Path) -> None:
    placed(folder / "one.tif", GREEN)
    placed(folder / "two.tif", GREY)
    placed(folder / "three.tif", GREY, date="2020")
    placed(folder / "four.tif", GREY, date="2020-05-01")
    assert archive.add([folder]).pairs == 0


def search_by(archive: Archive, before: Path, after: Path) -> NDArray[np.float32]:
    """A direction that fits the change from one image to another."""
    old, new = (archive.model.encode_image(open_scene(path))[0] for path in (before, after))
    return np.asarray(new - old, np.float32)


def test_a_change_is_found_by_its_direction(archive: Archive, folder: Path) -> None:
    for name, (old, new) in {
        "built": (GREEN, GREY), "flooded": (GREEN, BLUE), "drained": (BLUE, GREEN),
        "same": (GREEN, GREEN),
    }.items():  # fmt: skip
        picture(folder / name / "before.png", old)
        picture(folder / name / "after.png", new)
    archive.add([folder])
    query = search_by(archive, folder / "flooded" / "before.png", folder / "flooded" / "after.png")
    found = archive.search_changes(query, k=4).hits
    order = [Path(hit.row.paths[0]).parent.name for hit in found]
    assert order[0] == "flooded"
    assert order[-1] == "drained"
    unchanged = next(hit for hit in found if "same" in hit.row.paths[0])
    assert unchanged.score == pytest.approx(0, abs=1e-5)


def test_a_described_change_ranks_pairs(archive: Archive, folder: Path) -> None:
    for name, (old, new) in {"built": (GREEN, GREY), "flooded": (GREEN, BLUE)}.items():
        picture(folder / name / "before.png", old)
        picture(folder / name / "after.png", new)
    archive.add([folder])
    found = archive.search_changes("fields turned into water")
    query = change_query("fields turned into water", archive.model)
    vectors = [
        (hit.row.before.vector, hit.row.before.after_vector) for hit in found.hits if hit.row.before
    ]
    scores = change_score(query, *map(np.stack, zip(*vectors, strict=True)))
    assert [hit.score for hit in found.hits] == pytest.approx(sorted(scores, reverse=True))
    assert found.mean == pytest.approx(float(scores.mean()), abs=1e-6)
