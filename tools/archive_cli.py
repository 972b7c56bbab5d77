"""`terralogue index add` and `terralogue search`: arguments in, what was done or found out."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from terralogue.datasets.errors import InputError, RegionError
from terralogue.tools.archive import Archive
from terralogue.tools.archive_index import Report
from terralogue.tools.archive_place import archive_exists, archive_location, as_location
from terralogue.tools.region import Region
from terralogue.tools.run import Run
from terralogue.tools.schemas import ArchiveHit, ArchiveSearch
from terralogue.tools.search import search_images, search_pairs
from terralogue.tools.search_filters import where_of
from terralogue.tools.store import Store, default_workspace

if TYPE_CHECKING:
    from terralogue.datasets.scene import Scene
    from terralogue.vlm.teach import TaughtClass

# Lines on a terminal; --json has all.
_MOST_LINES: Final = 20


def index(args: argparse.Namespace) -> int:
    """Index files and folders; 0 where the archive holds all that could be indexed.

    Raises:
        InputError: nothing could be indexed, or an option cannot be used.
    """
    location = args.archive or archive_location(default_workspace())
    missing = [path for path in args.paths if not Path(path).exists()]
    if missing and not archive_exists(as_location(location)):
        # Nothing is made for nothing; an archive that is there may know of files that are gone.
        raise InputError(f"{missing[0]} does not exist; give files or folders with images.")
    archive = Archive.open(location, model=args.model, create=True)
    with _Bar() as bar:
        report = archive.add(
            args.paths, bar.tell, tile=args.tile, sensor=args.sensor, prune=args.prune
        )
    if args.json:
        print(json.dumps(_facts(archive, report), ensure_ascii=False))
    _tell(archive, report, quiet=args.json)
    if not (report.scenes or report.unchanged or report.pruned):
        reasons = {item.reason for item in (*report.unreadable, *report.left_out)}
        raise InputError(
            f"Nothing under {', '.join(args.paths)} could be indexed"
            + (f" ({next(iter(reasons))})" if len(reasons) == 1 else "")
            + "; give files or folders with images."
        )
    return 0


def _facts(archive: Archive, report: Report) -> dict[str, Any]:
    return {
        "archive": archive.location,
        "model": archive.model.name,
        "fingerprint": archive.model.fingerprint,
        **asdict(report),
        "images": len(archive.images),
        "all_pairs": len(archive.pairs),
    }


def _tell(archive: Archive, report: Report, *, quiet: bool) -> None:
    """What was left out on standard error, line by line; what was done on standard output."""
    for item in report.unreadable:
        print(f"not indexed: {item.path}: {item.reason}", file=sys.stderr)
    for path in report.vanished:
        done = "taken out" if report.pruned else "still in the archive; --prune takes it out"
        print(f"gone: {path}: {done}", file=sys.stderr)
    if quiet:
        return
    if report.left_out:
        print(f"Left out {len(report.left_out)} masks, labels and previews.", file=sys.stderr)
    print(
        f"Indexed {_count(report.scenes, 'scene')} ({report.replaced} of them changed), "
        f"{_count(report.tiles, 'tile')} and {_count(report.pairs, 'pair')}; "
        f"{report.unchanged} unchanged"
        + (f", {len(report.unreadable)} not indexed." if report.unreadable else ".")
    )
    print(
        f"{archive.location} holds {_count(len(archive.images), 'image')} and "
        f"{_count(len(archive.pairs), 'pair')}."
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


class _Bar:
    """Progress on standard error; silent where nobody watches."""

    def __init__(self) -> None:
        from tqdm import tqdm

        self._bar = tqdm(
            total=0, unit="scene", file=sys.stderr, disable=None, dynamic_ncols=True, leave=False,
            bar_format="{desc:.40} {percentage:3.0f}% {bar} {n:.0f}/{total:.0f} {remaining}",
        )  # fmt: skip

    def tell(self, done: float, total: float | None, message: str) -> None:
        """See `Progress`."""
        if total is not None and total != self._bar.total:
            self._bar.reset(total)
        self._bar.set_description_str(message, refresh=False)
        self._bar.update(done - self._bar.n)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *ended: object) -> None:
        self._bar.close()


def search(args: argparse.Namespace) -> int:
    """Search and print what was found.

    Raises:
        EOError: an option cannot be used, or there is nothing to search.
    """
    text = " ".join(args.text).strip()
    location = args.archive or archive_location(default_workspace())
    where = where_of(_numbers(args.bbox, "--bbox"), args.period, args.sensor)
    if args.changes and (args.like or args.taught or not text):
        raise InputError("--changes takes words: terralogue search --changes TEXT.")
    if args.region and not args.like:
        raise InputError("--region is a part of the scene given with --like; add that.")
    if sum(map(bool, (text, args.like, args.taught))) != 1:
        raise InputError("Give one thing to search by: TEXT, --like SCENE or --taught NAME.")
    archive = Archive.open(location)
    with Run(Store(default_workspace())) as run:
        if args.changes:
            found = search_pairs(archive, text, run=run, k=args.k, where=where)
        elif args.like:
            with closing(_opened(args.like)) as scene:
                found = search_images(
                    archive, None, scene, run=run, region=_region(args.region), k=args.k,
                    where=where,
                )  # fmt: skip
        else:
            taught = _taught(args.taught, run) if args.taught else None
            found = search_images(archive, text, None, taught, run=run, k=args.k, where=where)
    if args.out:
        found = _delivered(found, Path(args.out))
    print(found.model_dump_json(indent=2) if args.json else _plain(found))
    return 0


def _opened(path: str) -> Scene:
    from terralogue.datasets.scene import open_scene

    return open_scene(path)


def _taught(name: str, run: Run) -> TaughtClass:
    from terralogue.vlm.teach import load_taught

    return load_taught(name, run.store.root.parent / "taught")


def _numbers(text: str | None, option: str) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(
            f"{option} {text!r} is no bounding box; write west,south,east,north in degrees."
        ) from None


def _region(text: str | None) -> Region | None:
    if text is None:
        return None
    if not Path(text).is_file():
        return Region.parse(_numbers(text, "--region") or [])
    try:
        return Region.parse(Path(text).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise RegionError(f"{text} cannot be read as GeoJSON ({error}).") from error


def _delivered(found: ArchiveSearch, folder: Path) -> ArchiveSearch:
    """Put copies of the files into a folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        copies = [
            each.model_copy(update={"path": str(shutil.copy(each.path, folder.absolute()))})
            for each in found.artefacts
        ]
    except OSError as error:
        raise InputError(
            f"The files cannot be put into {folder} ({error.strerror}); choose another folder with "
            "--out."
        ) from error
    return found.model_copy(update={"artefacts": copies})


def _plain(found: ArchiveSearch) -> str:
    """A result as text for a terminal."""
    lines = [f"{found.title} ({found.searched:,} in the archive):"]
    lines += [_line(hit) for hit in found.hits[:_MOST_LINES]]
    if len(found.hits) > _MOST_LINES:
        lines.append(f"  … and {len(found.hits) - _MOST_LINES} more, with --json or --out")
    if found.mean_score is not None:
        lines.append(f"The archive's mean score is {found.mean_score:.3f}.")
    lines += [f"Mind: {warning}" for warning in found.warnings]
    lines += [f"{artefact.title}: {artefact.path}" for artefact in found.artefacts]
    return "\n".join(lines)


def _line(hit: ArchiveHit) -> str:
    above = "" if hit.deviations is None else f" ({hit.deviations:+.1f} sd)"
    when = " to ".join(date for date in (hit.before_date, hit.date) if date)
    where = f" window {','.join(map(str, hit.window))}" if hit.window else ""
    known = ", ".join(part for part in (hit.sensor, when) if part)
    paths = [*hit.before_paths[:1], hit.paths[0]]
    return f"{hit.rank:4}. {hit.score:.3f}{above}  {' → '.join(paths)}{where}" + (
        f"  [{known}]" if known else ""
    )
