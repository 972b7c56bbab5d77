"""Whether archives hold what they promise: flat memory, quick searches, nothing lost.

    python -m terralogue.eval.bench_archive --out out/bench_archive [--images 10000] [--model SPEC]

Writes small pictures and indexes them in processes of their own: a tenth of them and all of them
(peak memory of both), two writers and a reader at once (rows lost or doubled), and one that is
killed again and again (rows lost or doubled after it was resumed). The model is untrained unless
one is named: what is measured is the archive. The lines go to `bench_archive.json` too.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import signal
import sys
import time
from dataclasses import asdict, dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from terralogue.vlm.clip import GeoCLIP

QUERIES: Final = 20
_SIDE: Final = 48
_KILLS: Final = 3
_FOLDER: Final = 500
_SPAWN: Final = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Finding:
    """One measured line."""

    name: str
    value: float
    unit: str


def write_pictures(folder: Path, count: int) -> None:
    """Small JPEG pictures of smooth noise, 500 in a folder."""
    from PIL import Image

    rng = np.random.default_rng(count)
    for number in range(count):
        place = folder / f"{number // _FOLDER:03}"
        place.mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
        picture.save(place / f"picture_{number:06}.jpg", quality=80)


def load(spec: str) -> GeoCLIP:
    """The model named, or an untrained one."""
    from terralogue.vlm.clip import load_geoclip, tiny_geoclip

    return tiny_geoclip() if spec == "untrained" else load_geoclip(spec)


def index(archive: Path, folders: list[Path], spec: str, told: Path | None = None) -> None:
    """Index folders, and write peak memory in MiB and seconds to `told`."""
    from terralogue.tools.archive import Archive

    began = time.perf_counter()
    Archive.open(archive, model=load(spec), create=True).add(folders)
    # Linux counts kibibytes, macOS bytes.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    if told is not None:
        told.write_text(json.dumps([peak, time.perf_counter() - began]), encoding="utf-8")


def watch(archive: Path, spec: str, told: Path, until: Path) -> None:
    """Search until a file appears; write how often, and how often the archive grew smaller."""
    from terralogue.tools.archive import Archive

    opened = Archive.open(archive, model=load(spec))
    searches, shrunk, before = 0, 0, 0
    while not until.exists():
        found = opened.search("harbour", k=5)
        shrunk += found.searched < before
        before = found.searched
        searches += 1
    told.write_text(json.dumps([searches, shrunk]), encoding="utf-8")


def memory(folder: Path, work: Path, spec: str) -> tuple[list[Finding], Path]:
    """Index the first folders and all of them, each in a fresh process."""
    parts = sorted(folder.iterdir())
    found, peaks = [], []
    for name, some in (("a tenth", parts[: max(1, len(parts) // 10)]), ("all", parts)):
        told, archive = work / "told.json", work / f"archive {name}"
        _run(_start(index, archive, some, spec, told))
        peak, seconds = json.loads(told.read_text(encoding="utf-8"))
        peaks.append(peak)
        found.append(Finding(f"indexing {name}: peak memory", peak, "MiB"))
        found.append(Finding(f"indexing {name}: time", seconds, "s"))
    found.append(Finding("peak memory, all against a tenth", peaks[1] / peaks[0], "ratio"))
    return found, archive


def queries(archive: Path, spec: str) -> list[Finding]:
    """Time of a search by words, model loaded, and whether exact search agrees."""
    from terralogue.tools.archive import Archive
    from terralogue.tools.search_filters import where_of

    opened = Archive.open(archive, model=load(spec))
    opened.search("warm up")
    times = {"plain": [0.0] * 0, "filtered": [0.0] * 0}
    for number in range(QUERIES):
        for name, where in (("plain", where_of()), ("filtered", where_of(sensor="unknown_rgb"))):
            began = time.perf_counter()
            opened.search(f"place number {number}", 10, where)
            times[name].append(time.perf_counter() - began)
    return [
        Finding("images searched", len(opened.images), "rows"),
        *(
            Finding(f"a search, {n}: median", 1e3 * float(np.median(t)), "ms")
            for n, t in times.items()
        ),
    ]


def together(folder: Path, work: Path, spec: str) -> list[Finding]:
    """Two writers of the same pictures and a reader at once."""
    from terralogue.tools.archive import Archive

    parts = sorted(folder.iterdir())[:2]
    archive, told, until = work / "archive together", work / "watched.json", work / "done"
    Archive.open(archive, model=load(spec), create=True)
    reader = _start(watch, archive, spec, told, until)
    writers = [_start(index, archive, parts, spec), _start(index, archive, parts[::-1], spec)]
    for writer in writers:
        _run(writer)
    until.touch()
    _run(reader)
    searches, shrunk = json.loads(told.read_text(encoding="utf-8"))
    return [
        *_compared("two writers and a reader", archive, parts, spec),
        Finding("searches meanwhile", searches, ""),
        Finding("searches that saw fewer rows than before", shrunk, ""),
    ]


def killed(folder: Path, work: Path, spec: str) -> list[Finding]:
    """Kill an indexing process with SIGKILL a few times, and let the last one end."""
    parts = sorted(folder.iterdir())[:2]
    archive = work / "archive killed"
    kills = 0
    for attempt in range(_KILLS):
        process = _start(index, archive, parts, spec)
        held = _rows(archive)
        while process.is_alive() and _rows(archive) <= held:
            process.join(0.05)
        if process.is_alive():
            process.join(0.2 * attempt)
            os.kill(process.pid or 0, signal.SIGKILL)
            kills += 1
        process.join()
    _run(_start(index, archive, parts, spec))
    return [
        Finding("times killed", kills, ""),
        *_compared("killed and resumed", archive, parts, spec),
    ]


def _rows(archive: Path) -> int:
    """Rows in an archive, counted by a connection of its own; 0 where there is none yet."""
    from terralogue.tools.vector_store_lance import connect, open_table

    if not (archive / "images.lance").is_dir():
        return 0
    table = open_table(connect(str(archive)), "images")
    return 0 if table is None else len(table)


def _compared(name: str, archive: Path, parts: list[Path], spec: str) -> list[Finding]:
    from terralogue.tools.archive import Archive

    ids = Archive.open(archive, model=load(spec)).images.stamps()
    files = sum(1 for part in parts for _ in part.iterdir())
    return [
        Finding(f"{name}: rows lost", files - len(ids), "rows"),
        Finding(f"{name}: rows doubled", _rows(archive) - len(ids), "rows"),
    ]


def _start(work: object, *given: object) -> BaseProcess:
    process = _SPAWN.Process(target=work, args=given)  # type: ignore[arg-type]
    process.start()
    return process


def _run(process: BaseProcess) -> None:
    process.join()
    if process.exitcode:
        raise RuntimeError(f"a process of the benchmark ended with {process.exitcode}")


def main(argv: list[str] | None = None) -> int:
    """Run everything, print it and write it down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--model", default="untrained", metavar="SPEC")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    pictures = args.out / "pictures"
    write_pictures(pictures, args.images)
    found, archive = memory(pictures, args.out, args.model)
    found += queries(archive, args.model)
    found += together(pictures, args.out, args.model)
    found += killed(pictures, args.out, args.model)
    for line in found:
        print(f"{line.name}: {line.value:.4g} {line.unit}".rstrip())
    told = json.dumps([asdict(line) for line in found], indent=1)
    (args.out / "bench_archive.json").write_text(told + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
