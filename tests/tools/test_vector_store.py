"""The stores of vectors: both do the same, and the one on disk loses nothing."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from terralogue.datasets.errors import InputError
from terralogue.tools.vector_store import ExactStore, Row, VectorStore, Where
from terralogue.tools.vector_store_lance import LanceStore, Model, connect, make_table, open_table

SIZE = 16
MODEL = Model("0" * 16, "tiny")


def row(number: int, **other: object) -> Row:
    """A row somewhere on Earth, at some time, with a vector of its own."""
    rng = np.random.default_rng(number)
    vector = rng.normal(size=SIZE).astype(np.float32)
    west, south = float(rng.uniform(-180, 179)), float(rng.uniform(-80, 79))
    day = 20200100 + number % 28 + 1
    made = Row(
        id=f"{number:032x}",
        kind="scene",
        source=f"/data/it's {number}.tif",
        stamp="one",
        paths=(f"/data/it's {number}.tif",),
        first=f"/data/it's {number}.tif",
        stated=None,
        window=None,
        name=f"{number}.tif",
        sensor=("sentinel2_l2a", "landsat8", None)[number % 3],
        date=str(day),
        days=None if number % 5 == 0 else (day, day + 2),
        bounds=None if number % 7 == 0 else (west, south, west + 1, south + 1),
        footprint=None,
        gsd=10.0,
        observed=1.0,
        cloud=None,
        thumbnail=b"jpeg",
        vector=vector / np.linalg.norm(vector),
    )
    return replace(made, **other)  # type: ignore[arg-type]


def lance(folder: Path, index_from: int = 10**6) -> LanceStore:
    database = connect(str(folder))
    make_table(database, "images", SIZE, MODEL)
    return LanceStore(database.open_table("images"), index_from)


@pytest.fixture(params=["exact", "lance"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> VectorStore:
    return ExactStore() if request.param == "exact" else lance(tmp_path / "store")


def test_a_row_comes_back_as_it_was(store: VectorStore) -> None:
    given = row(3, window=(1, 2, 3, 4), cloud=0.25, footprint=b"wkb", stated="landsat8")
    store.add([given])
    ((found, score),) = store.search(given.vector, 5, Where())
    assert score == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(found.vector, given.vector)
    assert replace(found, vector=given.vector) == given
    assert store.fetch([given.id, "none"])[given.id].paths == given.paths


def test_a_row_of_the_same_id_is_replaced(store: VectorStore) -> None:
    store.add([row(1), row(2), row(1, stamp="two")])
    store.add([row(2, stamp="two"), row(3)])
    assert store.stamps() == {row(1).id: "two", row(2).id: "two", row(3).id: "one"}
    assert len(store) == 3


CONDITIONS = (
    Where(),
    Where(bbox=(0.0, -40.0, 90.0, 40.0)),
    Where(bbox=(150.0, -60.0, -150.0, 60.0)),
    Where(days=(20200105, 20200110)),
    Where(sensors=("landsat8", "sentinel2_l2a")),
    Where(not_first="/data/it's 8.tif"),
    Where(kind="tile"),
    Where(bbox=(-90.0, -90.0, 90.0, 90.0), days=(20200101, 20200120), sensors=("landsat8",)),
)


@pytest.mark.parametrize("where", CONDITIONS)
def test_both_stores_find_the_same(where: Where, tmp_path: Path) -> None:
    rows = [row(number) for number in range(200)]
    # One across the antimeridian, as west > east says.
    rows.append(row(200, bounds=(179.0, 0.0, -179.0, 2.0)))
    rows.append(row(201, kind="tile", window=(0, 0, 8, 8)))
    query = row(999).vector
    found = []
    for store in (ExactStore(), lance(tmp_path / "store")):
        store.add(rows)
        found.append([(hit.id, round(score, 4)) for hit, score in store.search(query, 20, where)])
    assert found[0]
    assert found[0] == found[1]


def test_what_crosses_the_antimeridian_is_found_from_both_sides(store: VectorStore) -> None:
    store.add([row(1, bounds=(179.0, 0.0, -179.0, 2.0)), row(2, bounds=(0.0, 0.0, 1.0, 1.0))])
    for box in ((179.5, 0.0, 180.0, 1.0), (-180.0, 0.0, -179.5, 1.0), (170.0, 0.0, -170.0, 1.0)):
        found = store.search(row(1).vector, 5, Where(bbox=box))
        assert [hit.id for hit, _ in found] == [row(1).id]


def test_removing_a_source_may_keep_its_newest_rows(store: VectorStore) -> None:
    same = row(1).source
    store.add([row(1), row(2, source=same, stamp="two"), row(3)])
    assert store.sources()[same].stamps == {"one", "two"}
    assert store.remove(same, keep="two") == 1
    assert set(store.stamps()) == {row(2).id, row(3).id}
    assert store.remove(same) == 1
    assert set(store.stamps()) == {row(3).id}


def test_a_source_is_complete_when_the_row_of_its_scene_is_there(store: VectorStore) -> None:
    store.add([row(1, kind="tile")])
    assert store.sources()[row(1).source].complete == set()
    store.add([row(2, source=row(1).source)])
    assert store.sources()[row(1).source].complete == {"one"}


def test_a_sample_has_as_many_vectors_as_there_are(store: VectorStore) -> None:
    assert len(store.sample(5)[0]) == 0
    store.add([row(number) for number in range(30)])
    assert [vectors.shape for vectors in store.sample(5)] == [(5, SIZE)]
    assert [vectors.shape for vectors in store.sample(100)] == [(30, SIZE)]


def test_with_an_index_the_nearest_are_still_all_found(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(20, SIZE))
    vectors = centres[rng.integers(0, 20, 1500)] + rng.normal(scale=0.3, size=(1500, SIZE))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    rows = [row(number, vector=vector) for number, vector in enumerate(vectors)]
    exact, indexed = ExactStore(), lance(tmp_path / "store", index_from=1000)
    for store in (exact, indexed):
        store.add(rows)
        store.tidy()
    assert indexed._vector_index()
    narrow = Where(days=(20200105, 20200105), sensors=("landsat8",))
    for query in vectors[::300]:
        for where in (Where(), narrow):
            wanted = [hit.id for hit, _ in exact.search(query, 10, where)]
            assert [hit.id for hit, _ in indexed.search(query, 10, where)] == wanted
    # What comes after the index was made is found too.
    indexed.add([row(5000)])
    assert indexed.search(row(5000).vector, 1, Where())[0][0].id == row(5000).id


def write_rows(folder: str, numbers: list[int], stamp: str) -> None:
    store = lance(Path(folder))
    for start in range(0, len(numbers), 20):
        store.add([row(number, stamp=stamp) for number in numbers[start : start + 20]])
    store.tidy()


def test_two_processes_that_write_the_same_rows_at_once_double_and_lose_none(
    tmp_path: Path,
) -> None:
    spawn = multiprocessing.get_context("spawn")
    numbers = list(range(200))
    orders = ((numbers, "one"), (numbers[::-1], "two"))
    writers = [
        spawn.Process(target=write_rows, args=(str(tmp_path / "store"), order, stamp))
        for order, stamp in orders
    ]
    for writer in writers:
        writer.start()
    reader = lance(tmp_path / "store")
    counts = []
    while any(writer.is_alive() for writer in writers):
        counts.append(len(reader))
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert counts == sorted(counts)
    assert len(reader) == len(reader.stamps()) == len(numbers)


def test_a_place_that_cannot_be_used_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be used"):
        make_table(connect(str(tmp_path / "file")), "images", SIZE, MODEL)
    with pytest.raises(InputError, match="cannot be used"):
        connect("gopher://archive")
    assert open_table(connect(str(tmp_path / "empty")), "images") is None


def test_a_table_says_whose_vectors_it_holds(tmp_path: Path) -> None:
    lance(tmp_path / "store")
    table = open_table(connect(str(tmp_path / "store")), "images")
    assert table is not None
    assert (table.model, table.dimensions) == (MODEL, SIZE)
