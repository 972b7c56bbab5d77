"""`search_archive` and `search_changes`: what an archive has that looks like words or an image."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Final

from terralogue.datasets.errors import InputError, RefusalError
from terralogue.datasets.scene import Scene
from terralogue.tools.archive import Archive, Crop, Found, Hit, Query
from terralogue.tools.archive_place import archive_location
from terralogue.tools.export import GEOJSON, PNG
from terralogue.tools.region import Region, place
from terralogue.tools.run import Run
from terralogue.tools.schemas import ArchiveHit, ArchiveSearch, Artefact, Measurement
from terralogue.tools.search_figures import save_sheet, write_footprints
from terralogue.tools.search_filters import where_of
from terralogue.tools.vector_store import ANYTHING, Where

if TYPE_CHECKING:
    from terralogue.vlm.teach import TaughtClass

MOST_HITS: Final = 200
# Below this the best image is within what the scores of unrelated images spread by.
_STANDS_OUT: Final = 2.0


def search_archive(
    text: str | None = None,
    scene: Scene | None = None,
    *,
    run: Run,
    region: Region | None = None,
    k: int = 10,
    bbox: list[float] | None = None,
    period: str | None = None,
    sensor: str | None = None,
) -> ArchiveSearch:
    """Find the images of the archive that look most like words or like a scene.

    Args:
        text: what to find, in a few words: "airport", "river delta with mangroves".
        scene: instead of words, the scene that others should look like.
        run: workspace, progress, executor.
        region: part of that scene to go by.
        k: how many to find.
        bbox: only where the ground meets west, south, east, north, in degrees.
        period: only taken then: 2020, 2020-07, 2020-07-04 or FIRST/LAST.
        sensor: only of this sensor, such as sentinel2.

    Raises:
        InputError: neither or both of text and scene, or a filter that cannot be read.
        RegionError: the region lies outside the scene.
    """
    archive = Archive.open(archive_location(run.store.root))
    where = where_of(bbox, period, sensor)
    return search_images(archive, text, scene, run=run, region=region, k=k, where=where)


def search_changes(
    text: str,
    *,
    run: Run,
    k: int = 10,
    bbox: list[float] | None = None,
    period: str | None = None,
    sensor: str | None = None,
) -> ArchiveSearch:
    """Find the before/after pairs of the archive that show a described change.

    Args:
        text: the change: "new buildings", "forest turned into farmland", "demolished houses".
        run: workspace, progress, executor.
        k: how many to find.
        bbox: only where the ground meets west, south, east, north, in degrees.
        period: only pairs whose two dates span or meet this: 2020, 2020-07 or FIRST/LAST.
        sensor: only of this sensor, such as sentinel2.

    Raises:
        InputError: no text, or a filter that cannot be read.
        RefusalError: the archive holds no pair.
    """
    archive = Archive.open(archive_location(run.store.root))
    return search_pairs(archive, text, run=run, k=k, where=where_of(bbox, period, sensor))


def search_images(
    archive: Archive,
    text: str | None = None,
    scene: Scene | None = None,
    taught: TaughtClass | None = None,
    *,
    run: Run,
    region: Region | None = None,
    k: int = 10,
    where: Where = ANYTHING,
) -> ArchiveSearch:
    """`search_archive` on any archive, and by a class that was taught.

    Raises:
        InputError: not one of text, scene and taught class, or a class of another model.
        RegionError: the region lies outside the scene.
        RefusalError: the archive is empty.
    """
    _check_count(k)
    words = (text or "").strip()
    if sum((bool(words), scene is not None, taught is not None)) != 1:
        raise InputError("A search of the archive needs either a text or a scene to go by.")
    run.progress(0, 2, "Searching")
    query: Query = words
    name = words
    if taught is not None:
        taught.check_model(archive.model)
        query, name = taught.direction, taught.name
    elif scene is not None and region is not None:
        window = place(region, scene).window
        crop = (int(window.col_off), int(window.row_off), int(window.width), int(window.height))
        query, name = Crop(scene, crop), f"part of {scene.name}"
    elif scene is not None:
        query, name = scene, scene.name
    found = archive.search(query, k, where)
    if not found.searched:
        raise RefusalError(
            f"The archive {archive.location} is empty; terralogue index add PATH fills it.",
            reason="no_data",
        )
    return _result("search_archive", name, archive, found, run)


def search_pairs(
    archive: Archive, text: str, *, run: Run, k: int = 10, where: Where = ANYTHING
) -> ArchiveSearch:
    """`search_changes` on any archive.

    Raises:
        InputError: no text.
        RefusalError: the archive holds no pair.
    """
    _check_count(k)
    if not text.strip():
        raise InputError("search_changes needs a text: the change to look for.")
    run.progress(0, 2, "Searching")
    found = archive.search_changes(text.strip(), k, where)
    if not found.searched:
        raise RefusalError(
            f"The archive {archive.location} holds no before/after pair; index scenes of one place "
            "and several dates.",
            reason="no_data",
        )
    return _result("search_changes", text.strip(), archive, found, run)


def _check_count(k: int) -> None:
    if not 1 <= k <= MOST_HITS:
        raise InputError(f"k must be between 1 and {MOST_HITS}, not {k}.")


def _result(tool: str, query: str, archive: Archive, found: Found, run: Run) -> ArchiveSearch:
    run.progress(1, 2, "Drawing")
    pairs = tool == "search_changes"
    method = f"cosine similarity of embeddings ({archive.model.name})"
    if pairs:
        method = (
            "difference of the embeddings of both dates, along the direction of the described "
            f"change ({archive.model.name})"
        )
    artefacts = _artefacts(query, found.hits, run)
    run.progress(2, 2, "Done")
    return ArchiveSearch(
        tool=tool,
        scenes=list(run.scene_ids),
        title=f"{'Changes' if pairs else 'Images'} in the archive most like {query!r}",
        method=method,
        measurements=_measurements(found, method),
        artefacts=artefacts,
        warnings=_warnings(found, pairs=pairs),
        query=query,
        archive=archive.location,
        searched=found.searched,
        mean_score=None if math.isnan(found.mean) else found.mean,
        hits=[_told(rank, hit) for rank, hit in enumerate(found.hits, start=1)],
    )


def _measurements(found: Found, method: str) -> list[Measurement]:
    if not found.hits:
        return []
    best = found.hits[0]
    told = [
        Measurement(
            name="best_score", value=best.score, unit="1", method=method, label="Best score"
        )
    ]
    if best.z is not None:
        told.append(
            Measurement(
                name="best_deviations",
                value=best.z,
                unit="standard deviations",
                method="best score against the mean of the archive's scores",
                label="Best score above the archive's mean",
            )
        )
    return told


def _warnings(found: Found, *, pairs: bool) -> list[str]:
    one, many = ("pair", "pairs") if pairs else ("image", "images")
    if not found.hits:
        return [f"None of the {found.searched:,} {many} in the archive fits these filters."]
    said = []
    best = found.hits[0].z
    if best is None or best < _STANDS_OUT:
        said.append(
            f"No {one} stands out from the others, so either many fit or none does; look at them "
            "before relying on the order."
        )
    without = sum(hit.row.footprint is None for hit in found.hits)
    if without:
        said.append(
            f"{without} of the {len(found.hits)} {many} found have no georeference and are not on "
            "the map of footprints."
        )
    if any(hit.row.before is not None and hit.row.before.by_name for hit in found.hits):
        said.append("Some pairs have no dates; which image is earlier is told by their names.")
    if gone := _gone(found.hits):
        said.append(
            f"{gone} of the {len(found.hits)} files found are gone; terralogue index add --prune "
            "takes such files out."
        )
    return said


def _gone(hits: tuple[Hit, ...]) -> int:
    """How many hits are of files on this machine that are no more."""
    local = [hit.row.paths[0] for hit in hits if "://" not in hit.row.paths[0]]
    return sum(not Path(path).exists() for path in local)


def _artefacts(query: str, hits: tuple[Hit, ...], run: Run) -> list[Artefact]:
    if not hits:
        return []
    sheet = run.artefact("preview", f"Thumbnails: most like {query}", "hits.png", PNG)
    save_sheet(sheet.path, hits)
    made = [sheet.commit()]
    if any(hit.row.footprint is not None for hit in hits):
        outlines = run.artefact(
            "polygons", f"Footprints: most like {query}", "footprints.geojson", GEOJSON
        )
        write_footprints(outlines.path, hits)
        made.append(outlines.commit())
    return made


def _told(rank: int, hit: Hit) -> ArchiveHit:
    row, before = hit.row, hit.row.before
    return ArchiveHit(
        rank=rank,
        kind=row.kind,
        name=row.name,
        score=hit.score,
        deviations=hit.z,
        sensor=row.sensor,
        date=row.date,
        before_date=before.date if before else None,
        paths=list(row.paths),
        before_paths=list(before.paths) if before else [],
        window=list(row.window) if row.window else None,
        bounds_wgs84=row.bounds,
        gsd=row.gsd,
        observed_share=100 * row.observed,
        cloud_share=None if row.cloud is None else 100 * row.cloud,
    )
