"""An archive of scenes that can be searched by words, by an image, and by a described change.

    archive = Archive.open("/data/archive", model="embedded")
    archive.add(["/data/scenes"])
    for hit in archive.search("harbour with ships", k=5).hits:
        print(hit.score, hit.row.paths)

An archive holds the vectors of one model; another model makes another archive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from terralogue.datasets.errors import InputError
from terralogue.datasets.scene import Scene
from terralogue.datasets.tiles import scene_tile
from terralogue.tools.archive_index import Indexer, Report
from terralogue.tools.archive_pairs import Pairer
from terralogue.tools.archive_place import MEMORY, archive_exists, archive_location, as_location
from terralogue.tools.archive_rows import TILE_PIXELS, as_window
from terralogue.tools.run import Progress, silent
from terralogue.tools.store import default_workspace
from terralogue.tools.vector_store import (
    ANYTHING,
    ExactStore,
    PixelWindow,
    Row,
    Vector,
    VectorStore,
    Where,
)
from terralogue.tools.vector_store_lance import Model, connect, make_table, open_table
from terralogue.vlm.change_embedding import along, change_query, change_score, unit

if TYPE_CHECKING:
    from terralogue.vlm.clip import GeoCLIP

DEFAULT_MODEL: Final = "embedded"
# Rows whose scores say what is usual in the archive.
_BACKGROUND: Final = 2000
# Pairs that changed most along the direction asked for, which are then ranked by `change_score`.
_CANDIDATES: Final = 500
# Windows of the scene that is asked about are left out of the answer; this many more are looked at.
_OWN: Final = 32


@dataclass(frozen=True)
class Crop:
    """A window of a scene to search by."""

    scene: Scene
    window: PixelWindow


Query = str | Scene | Crop | Vector


@dataclass(frozen=True)
class Hit:
    """A row that was found.

    Attributes:
        row: what it is.
        score: cosine of query and image; of a pair, see `change_score`.
        z: standard deviations above the mean score of the archive; None where all score alike.
    """

    row: Row
    score: float
    z: float | None


@dataclass(frozen=True)
class Found:
    """The hits of a search, best first.

    Attributes:
        hits: at most k.
        searched: rows in the archive.
        mean: of the scores of the whole archive, or of a sample of it; NaN where it is empty.
        deviation: standard deviation of the same.
    """

    hits: tuple[Hit, ...]
    searched: int
    mean: float
    deviation: float


class Archive:
    """Images and pairs with the vectors of one model."""

    def __init__(
        self, location: str, images: VectorStore, pairs: VectorStore, model: GeoCLIP | Model
    ) -> None:
        """Take opened stores; see `open`."""
        self.location = location
        self.images = images
        self.pairs = pairs
        self._model = model

    @classmethod
    def open(
        cls,
        location: str | Path | None = None,
        *,
        model: GeoCLIP | str | None = None,
        create: bool = False,
    ) -> Self:
        """Open an archive.

        Args:
            location: folder or URL of an object store; None is TERRALOGUE_ARCHIVE or the folder
                beside the workspace; "memory:" is an empty one that is not kept.
            model: a loaded model or its name; None is the archive's own.
            create: make it where it is missing, with the model given or the embedded one.

        Raises:
            InputError: there is no archive, it cannot be used, or it holds another model's vectors.
        """
        given = location or archive_location(default_workspace())
        place = as_location(given)
        if place == MEMORY:
            loaded = _loaded(model or DEFAULT_MODEL)
            return cls(place, ExactStore(), ExactStore(), loaded)
        if not create and not archive_exists(place):
            raise InputError(
                f"There is no archive at {place}; make it with terralogue index add PATH."
            )
        database = connect(place)
        images = open_table(database, "images")
        if images is None:
            if not create:
                raise InputError(
                    f"There is no archive at {place}; make it with terralogue index add PATH."
                )
            loaded = _loaded(model or DEFAULT_MODEL)
            spec = model if isinstance(model, str) else loaded.name
            images = make_table(
                database, "images", loaded.dimensions, Model(loaded.fingerprint, spec)
            )
            model = loaded
        pairs: VectorStore | None = open_table(database, "pairs")
        if pairs is None:
            kept = images.dimensions, images.model
            pairs = make_table(database, "pairs", *kept) if create else ExactStore()
        archive = cls(place, images, pairs, images.model)
        if model is not None:
            archive._model = _fitting(_loaded(model), images.model, place)
        return archive

    @cached_property
    def model(self) -> GeoCLIP:
        """The model whose vectors are here, loaded when it is first needed.

        Raises:
            InputError: it cannot be loaded, or is another one by now.
        """
        if isinstance(self._model, Model):
            return _fitting(_loaded(self._model.spec), self._model, self.location)
        return self._model

    def add(
        self,
        paths: Sequence[str | Path],
        progress: Progress = silent,
        *,
        tile: int = TILE_PIXELS,
        sensor: str | None = None,
        prune: bool = False,
    ) -> Report:
        """Index what is new or changed in files and folders, then pair what belongs together.

        Args:
            paths: walked down to the last folder.
            progress: told of every scene and every pair.
            tile: side of a tile in pixels; scenes longer than two tiles are cut.
            sensor: of scenes whose sensor cannot be told.
            prune: take out scenes under these paths whose files are gone.

        Raises:
            InputError: a path does not exist, or the archive cannot be written.
        """
        indexer = Indexer(
            self.images, self.pairs, self.model, tile=tile, sensor=sensor, progress=progress
        )
        report = indexer.run(paths, prune=prune)
        pairer = Pairer(self.images, self.pairs, self.model, tile=tile, progress=progress)
        report.pairs, broken = pairer.run()
        report.unreadable += broken
        self.images.tidy()
        self.pairs.tidy()
        return report

    def search(self, query: Query, k: int = 10, where: Where = ANYTHING) -> Found:
        """The images nearest to words, to an image or to a vector.

        Args:
            query: words; a scene or a crop of one; or a vector (d,), such as the weights of a
                linear head on the embeddings, which is brought to length one.
            k: how many.
            where: what else they have to be.

        Raises:
            InputError: the image cannot be encoded, or the vector is too long or short.
        """
        vector = self._vector(query)
        # Counted first: what another process adds meanwhile may be found, but not missed.
        searched = len(self.images)
        if isinstance(query, Scene):
            where = replace(where, not_first=str(query.paths[0]))
        found = self.images.search(vector, k + (_OWN if isinstance(query, Crop) else 0), where)
        if isinstance(query, Crop):
            found = [(row, score) for row, score in found if not _is_own(row, query)]
        (background,) = self.images.sample(_BACKGROUND)
        return _judged(found[:k], background @ vector, searched)

    def _vector(self, query: Query) -> Vector:
        if isinstance(query, str):
            (vector,) = self.model.label_embeddings([query])
            return np.asarray(vector, np.float32)
        if isinstance(query, Scene | Crop):
            scene, window = (
                (query, None) if isinstance(query, Scene) else (query.scene, query.window)
            )
            (vector,) = self.model.encode_image(scene_tile(scene, as_window(window)))
            return np.asarray(vector, np.float32)
        return self._checked(query)

    def _checked(self, query: Vector) -> Vector:
        vector = unit(np.asarray(query, np.float32))
        if vector.shape != (self.model.dimensions,):
            raise InputError(
                f"A vector of shape {vector.shape} cannot be searched by; this archive's have "
                f"{self.model.dimensions} numbers."
            )
        return vector

    def search_changes(self, query: str | Vector, k: int = 10, where: Where = ANYTHING) -> Found:
        """The pairs of images that show a described change best.

        Args:
            query: words, or a direction (d,) in the embedding space.
            k: how many.
            where: what else they have to be.

        Raises:
            InputError: the archive's model cannot be loaded, or the direction does not fit it.
        """
        if isinstance(query, str):
            sought = change_query(query, self.model)
        else:
            sought = along(self._checked(query))
        searched = len(self.pairs)
        if not searched:
            return _judged([], np.zeros(0, np.float32), 0)
        likely = self.pairs.search(sought.direction, max(_CANDIDATES, 10 * k), where)
        befores = [row.before for row, _ in likely if row.before is not None]
        scores = np.zeros(0, np.float32)
        if befores:
            vectors = ([b.vector for b in befores], [b.after_vector for b in befores])
            scores = change_score(sought, *map(np.stack, vectors))
        order = np.argsort(-scores, kind="stable")[:k]
        usual = change_score(sought, *self.pairs.sample(_BACKGROUND))
        return _judged([(likely[i][0], float(scores[i])) for i in order], usual, searched)


def _loaded(model: GeoCLIP | str) -> GeoCLIP:
    if not isinstance(model, str):
        return model
    from terralogue.vlm.clip import load_geoclip

    return load_geoclip(model)


def _fitting(model: GeoCLIP, kept: Model, place: str) -> GeoCLIP:
    """The model, where it is the archive's.

    Raises:
        InputError: it is another one.
    """
    if model.fingerprint != kept.fingerprint:
        raise InputError(
            f"The archive {place} holds vectors of the model {kept.spec} ({kept.fingerprint}), and "
            f"{model.name} is another ({model.fingerprint}): vectors of two models cannot be "
            "compared. Index into a new archive with --archive, or load the archive's model."
        )
    return model


def _is_own(row: Row, crop: Crop) -> bool:
    """Whether a row shows what is asked about: the scene as a whole, or a part meeting the crop."""
    if row.first != str(crop.scene.paths[0]):
        return False
    if row.window is None:
        return True
    (x, y, width, height), (left, top, across, down) = crop.window, row.window
    return x < left + across and left < x + width and y < top + down and top < y + height


def _judged(found: Sequence[tuple[Row, float]], usual: Vector, searched: int) -> Found:
    mean = float(usual.mean()) if usual.size else float("nan")
    deviation = float(usual.std()) if usual.size else float("nan")
    hits = tuple(
        Hit(row, score, (score - mean) / deviation if deviation > 1e-6 else None)
        for row, score in found
    )
    return Found(hits, searched, mean, deviation)
