"""Rows in LanceDB tables: a folder on this machine, or an object store (s3://, gs://, az://).

Several processes may write and read one archive at a time: every write is one atomic commit, rows
of the same id replace each other (the id is the primary key, so this holds between writers too),
and a killed process leaves nothing behind but what it had committed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from terralogue.datasets.errors import InputError
from terralogue.tools.vector_store import (
    Before,
    Box,
    Row,
    Sources,
    Table,
    Vector,
    Where,
    gather,
    spread,
)

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped,unused-ignore]
    from lancedb.db import DBConnection
    from lancedb.table import LanceTable

# Up to here comparing with every row takes less than a tenth of a second, and is exact.
INDEX_FROM = 50_000
_ROWS_PER_PARTITION = 20_000
# Candidates per wanted row that are compared exactly after the index has chosen them. On clustered
# vectors the index alone found 97 % of the true neighbours, so it is never trusted alone.
_REFINE = 10
_EF = 200
_MODEL, _SPEC = b"terralogue:model", b"terralogue:spec"
_LIGHT = (
    "id", "kind", "source", "stamp", "paths", "first", "stated", "window", "name", "sensor", "date",
    "first_day", "last_day", "west", "south", "east", "north", "footprint", "gsd", "observed",
    "cloud",
)  # fmt: skip
_PAIR = ("before_source", "before_paths", "before_window", "before_date", "by_name")


@dataclass(frozen=True)
class Model:
    """The model whose vectors an archive holds: fingerprint of its weights, and how to load it."""

    fingerprint: str
    spec: str


def connect(location: str) -> DBConnection:
    """Open a folder or a URL as a database.

    Raises:
        InputError: lancedb is not installed, or the place cannot be used.
    """
    # Rust libraries write their warnings to the terminal; what matters arrives as an exception.
    os.environ.setdefault("LANCEDB_LOG", "error")
    try:
        import lancedb
    except ImportError:
        raise InputError(
            "Archives need the package lancedb: install terralogue[retrieval]."
        ) from None
    with _explained(location):
        # Each search sees what was committed before it, by whichever process.
        return lancedb.connect(location, read_consistency_interval=timedelta(0))


def open_table(database: DBConnection, table: Table) -> LanceStore | None:
    """A table that is there, or None.

    Raises:
        InputError: the place cannot be read.
    """
    with _explained(database.uri):
        try:
            return LanceStore(database.open_table(table))
        except (ValueError, FileNotFoundError) as error:
            if "not found" in str(error):
                return None
            raise


def make_table(database: DBConnection, table: Table, dimensions: int, model: Model) -> LanceStore:
    """A table, made where it is missing; of two processes that make it, one does.

    Raises:
        InputError: the place cannot be written.
    """
    with _explained(database.uri):
        schema = _schema(table, dimensions, model)
        return LanceStore(database.create_table(table, schema=schema, exist_ok=True))


class LanceStore:
    """A LanceDB table as `VectorStore`."""

    def __init__(self, table: LanceTable | Any, index_from: int = INDEX_FROM) -> None:
        """Take an open table; see `open_table` and `make_table`."""
        # Its stubs know less than it does.
        self._table: Any = table
        self._index_from = index_from
        self._pairs = "before_source" in table.schema.names

    @property
    def model(self) -> Model:
        """Whose vectors these are."""
        said = self._table.schema.metadata or {}
        return Model(said.get(_MODEL, b"").decode(), said.get(_SPEC, b"").decode())

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return int(self._table.schema.field("vector").type.list_size)

    def add(self, rows: Sequence[Row]) -> None:
        """See `VectorStore`."""
        if not rows:
            return
        # Of the same id twice in one batch, the last one counts, as it does between batches.
        batch = _to_arrow(list({row.id: row for row in rows}.values()), self._table.schema)
        with self._reached():
            merge = self._table.merge_insert("id").when_matched_update_all()
            merge.when_not_matched_insert_all().execute(batch)

    def search(self, vector: Vector, k: int, where: Where) -> list[tuple[Row, float]]:
        """See `VectorStore`."""
        with self._reached():
            indexed = bool(self._vector_index())
            found = self._search(vector, k, where, indexed=indexed)
            if indexed and len(found) < k:
                # A narrow filter may leave the index with fewer candidates than there are rows.
                found = self._search(vector, k, where, indexed=False)
        return found

    def _search(
        self, vector: Vector, k: int, where: Where, *, indexed: bool
    ) -> list[tuple[Row, float]]:
        query = self._table.search(np.asarray(vector, np.float32), vector_column_name="vector")
        query = query.distance_type("dot").select([*self._columns, "_distance"]).limit(k)
        if condition := _sql(where):
            query = query.where(condition, prefilter=True)
        query = query.refine_factor(_REFINE).ef(_EF) if indexed else query.bypass_vector_index()
        found = query.to_arrow()
        # Lance's dot distance is one minus the product.
        scores = (1 - value for value in found["_distance"].to_pylist())
        return list(zip(_rows(found), scores, strict=True))

    @property
    def _columns(self) -> list[str]:
        pair = [*_PAIR, "before", "after"] if self._pairs else []
        return [*_LIGHT, *pair, "thumbnail", "vector"]

    def sources(self) -> dict[str, Sources]:
        """See `VectorStore`."""
        columns = self._scan(["source", "stamp", "kind"])
        return gather(
            row
            for batch in columns
            for row in zip(*(batch[name].to_pylist() for name in batch.schema.names), strict=True)
        )

    def scenes(self) -> list[Row]:
        """See `VectorStore`."""
        return [row for batch in self._scan(list(_LIGHT), "kind = 'scene'") for row in _rows(batch)]

    def stamps(self) -> dict[str, str]:
        """See `VectorStore`."""
        found: dict[str, str] = {}
        for batch in self._scan(["id", "stamp"]):
            found.update(zip(batch["id"].to_pylist(), batch["stamp"].to_pylist(), strict=True))
        return found

    def fetch(self, ids: Sequence[str]) -> dict[str, Row]:
        """See `VectorStore`."""
        if not ids:
            return {}
        listed = ", ".join(map(_quoted, ids))
        batches = self._scan(self._columns, f"id IN ({listed})")
        return {row.id: row for batch in batches for row in _rows(batch)}

    def remove(self, source: str, *, keep: str | None = None) -> int:
        """See `VectorStore`."""
        condition = f"source = {_quoted(source)}"
        if self._pairs:
            condition = f"({condition} OR before_source = {_quoted(source)})"
        if keep is not None:
            condition += f" AND stamp != {_quoted(keep)}"
        with self._reached():
            return int(self._table.delete(condition).num_deleted_rows)

    def sample(self, n: int) -> tuple[Vector, ...]:
        """See `VectorStore`."""
        columns = ["before", "after"] if self._pairs else ["vector"]
        with self._reached():
            picked = spread(self._table.count_rows(), n)
            if not picked:
                return (np.zeros((0, self.dimensions), np.float32),) * len(columns)
            found = self._table.take_offsets(picked).select(columns).to_arrow()
        return tuple(_vectors(found[name]) for name in columns)

    def __len__(self) -> int:
        with self._reached():
            return int(self._table.count_rows())

    def tidy(self) -> None:
        """See `VectorStore`."""
        with self._reached():
            try:
                self._index()
                self._table.optimize()
            except RuntimeError as error:
                # Another process that writes now goes first; the next run tidies up after both.
                if "conflict" not in str(error):
                    raise

    def _index(self) -> None:
        from lancedb.index import BTree, HnswSq

        count = self._table.count_rows()
        if count >= self._index_from and not self._vector_index():
            partitions = max(1, count // _ROWS_PER_PARTITION)
            graph = HnswSq(distance_type="dot", num_partitions=partitions)
            self._table.create_index("vector", config=graph)
            self._table.create_index("id", config=BTree())

    def _vector_index(self) -> list[str]:
        return [each.name for each in self._table.list_indices() if "vector" in each.columns]

    def _scan(self, columns: list[str], where: str | None = None) -> Iterator[pa.RecordBatch]:
        with self._reached():
            query = self._table.search().select(columns)
            if where is not None:
                query = query.where(where)
            yield from query.to_batches()

    def _reached(self) -> contextlib.AbstractContextManager[None]:
        return _explained(str(self._table.uri))


@contextlib.contextmanager
def _explained(place: str) -> Iterator[None]:
    """Turn failures of the storage into one sentence."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).split(", /")[0].splitlines()[0][:200]
        raise InputError(
            f"The archive {place} cannot be used ({reason}); check the path or URL, its rights and "
            "the free space there."
        ) from error


def _schema(table: Table, dimensions: int, model: Model) -> pa.Schema:
    import pyarrow as pa

    vector = pa.list_(pa.float32(), dimensions)
    window = pa.list_(pa.int32())
    # The metadata makes it the primary key: two writers that add the same row at the same moment
    # would leave it there twice otherwise.
    key = {"lance-schema:unenforced-primary-key:position": "1"}
    fields = [
        pa.field("id", pa.string(), nullable=False, metadata=key),
        *(pa.field(name, pa.string(), nullable=False) for name in ("kind", "source", "stamp")),
        pa.field("paths", pa.list_(pa.string())),
        *(pa.field(name, pa.string()) for name in ("first", "stated")),
        pa.field("window", window),
        *(pa.field(name, pa.string()) for name in ("name", "sensor", "date")),
        *(pa.field(name, pa.int32()) for name in ("first_day", "last_day")),
        *(pa.field(name, pa.float64()) for name in ("west", "south", "east", "north")),
        pa.field("footprint", pa.binary()),
        *(pa.field(name, pa.float32()) for name in ("gsd", "observed", "cloud")),
        pa.field("thumbnail", pa.binary()),
        pa.field("vector", vector),
    ]
    if table == "pairs":
        fields += [
            pa.field("before_source", pa.string()),
            pa.field("before_paths", pa.list_(pa.string())),
            pa.field("before_window", window),
            pa.field("before_date", pa.string()),
            pa.field("by_name", pa.bool_()),
            pa.field("before", vector),
            pa.field("after", vector),
        ]
    said = {_MODEL: model.fingerprint.encode(), _SPEC: model.spec.encode()}
    return pa.schema(fields, metadata=said)


def _to_arrow(rows: list[Row], schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    columns = {}
    told = [_as_dict(row) for row in rows]
    for column in schema:
        values = [row[column.name] for row in told]
        if pa.types.is_fixed_size_list(column.type):
            flat = pa.array(np.concatenate(values).astype(np.float32))
            columns[column.name] = pa.FixedSizeListArray.from_arrays(flat, column.type.list_size)
        else:
            columns[column.name] = pa.array(values, column.type)
    return pa.table(columns, schema=schema)


def _as_dict(row: Row) -> dict[str, Any]:
    told: dict[str, Any] = {name: getattr(row, name) for name in Row.__dataclass_fields__}
    told["first_day"], told["last_day"] = row.days or (None, None)
    told["west"], told["south"], told["east"], told["north"] = row.bounds or (None,) * 4
    if (before := row.before) is not None:
        told |= {
            "before_source": before.source, "before_paths": before.paths,
            "before_window": before.window, "before_date": before.date,
            "by_name": before.by_name, "before": before.vector, "after": before.after_vector,
        }  # fmt: skip
    return told


def _rows(table: pa.Table | pa.RecordBatch) -> Iterator[Row]:
    """Rows of a table; vectors and thumbnails that were not read are empty."""
    names = table.schema.names
    vectors = {
        name: _vectors(table[name]) for name in ("vector", "before", "after") if name in names
    }
    nothing = np.zeros(0, np.float32)
    plain = table.select([name for name in names if name not in vectors]).to_pylist()
    for i, told in enumerate(plain):
        before = None
        if "before" in vectors:
            before = Before(
                told["before_source"],
                tuple(told["before_paths"]),
                tuple(told["before_window"]) if told["before_window"] else None,
                told["before_date"],
                told["by_name"],
                vectors["before"][i],
                vectors["after"][i],
            )
        yield Row(
            id=told["id"],
            kind=told["kind"],
            source=told["source"],
            stamp=told["stamp"],
            paths=tuple(told["paths"]),
            first=told["first"],
            stated=told["stated"],
            window=tuple(told["window"]) if told["window"] else None,
            name=told["name"],
            sensor=told["sensor"],
            date=told["date"],
            days=None if told["first_day"] is None else (told["first_day"], told["last_day"]),
            bounds=_bounds(told),
            footprint=told["footprint"],
            gsd=told["gsd"],
            observed=told["observed"],
            cloud=told["cloud"],
            thumbnail=told.get("thumbnail", b""),
            vector=vectors["vector"][i] if "vector" in vectors else nothing,
            before=before,
        )


def _bounds(told: dict[str, Any]) -> Box | None:
    if told["west"] is None:
        return None
    return told["west"], told["south"], told["east"], told["north"]


def _vectors(column: Any) -> Vector:
    """A column of fixed-size lists as float32 (n, d)."""
    length = column.type.list_size
    chunks = getattr(column, "chunks", [column])
    parts = [chunk.flatten().to_numpy(zero_copy_only=False).reshape(-1, length) for chunk in chunks]
    joined = np.concatenate(parts) if parts else np.zeros((0, length))
    return np.asarray(joined, np.float32)


def _sql(where: Where) -> str:
    """The same condition as `Where.admits`, for rows with NULL where that has None."""
    parts = []
    if where.bbox is not None:
        spans = " OR ".join(
            f"(west <= east AND west <= {high!r} AND east >= {low!r}) OR "
            f"(west > east AND (west <= {high!r} OR east >= {low!r}))"
            for low, high in where.longitudes()
        )
        parts.append(f"south <= {where.bbox[3]!r} AND north >= {where.bbox[1]!r} AND ({spans})")
    if where.days is not None:
        parts.append(f"first_day <= {where.days[1]} AND last_day >= {where.days[0]}")
    if where.sensors is not None:
        parts.append(f"sensor IN ({', '.join(map(_quoted, where.sensors))})")
    if where.kind is not None:
        parts.append(f"kind = {_quoted(where.kind)}")
    if where.not_first is not None:
        parts.append(f"first != {_quoted(where.not_first)}")
    return " AND ".join(f"({part})" for part in parts)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
