"""Every tool on every real scene, over the protocol: it works, or refuses with a reason.

    python -m terralogue.eval.tool_matrix --data DATA --out out/matrix [--only pisa]

DATA holds `scenes/` and `oscd/images/`. Writes `matrix.csv`, one line a call, and `matrix.md`, one
line a scene. The exit code is 1 where a call did neither, but failed in a way nobody foresaw.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal

import anyio
from mcp import Client

from terralogue.datasets.errors import EOError, InputError
from terralogue.datasets.files import SUFFIXES
from terralogue.tools.server import ERROR_META, build_server
from terralogue.tools.store import Store

State = Literal["works", "refuses", "fails"]

_PLACES: Final = ("scenes", "oscd/images")
_TARGETS: Final = ("water", "vegetation", "built_up")
# A series is measured on so many scenes of one place at most.
_SERIES: Final = 5
# Arrays hold real scenes too; what cannot be opened has to be refused.
_RASTERS: Final = (*SUFFIXES, ".npy")
# So that a reason is listed once, and not once a scene.
_FILE: Final = re.compile(r"[\w.-]+\.(tiff?|jp2|npy|bmp|jpe?g|png|webp)\b", re.IGNORECASE)
_MARKS: Final = {"works": "✓", "refuses": "refuses", "fails": "FAILS"}


@dataclass(frozen=True)
class Cell:
    """What one call came to.

    Attributes:
        place: folder of the scene.
        scene: its name.
        call: the tool, with the target where it takes one.
        state: works, refuses, or fails in a way that nobody foresaw.
        said: title of the result, reason of the refusal, or text of the failure.
        seconds: that it took.
    """

    place: str
    scene: str
    call: str
    state: State
    said: str
    seconds: float


@dataclass(frozen=True)
class Place:
    """Scenes of one folder, as ids of the workspace, in the order of their names."""

    name: str
    scenes: tuple[str, ...]


def find_places(data: Path, store: Store) -> list[Place]:
    """Register all scenes below `scenes/` and `oscd/images/`.

    Raises:
        InputError: there is neither folder.
    """
    roots = [data / part for part in _PLACES if (data / part).is_dir()]
    if not roots:
        raise InputError(f"{data} holds neither {' nor '.join(_PLACES)}; name another folder.")
    places = []
    for folder in sorted(each for root in roots for each in root.iterdir() if each.is_dir()):
        found = tuple(store.add_scene(files) for files in _scene_files(folder))
        if found:
            places.append(Place(folder.name, found))
    return places


def _scene_files(folder: Path) -> Iterator[list[Path]]:
    """The files of each scene below a folder; one-band files of one acquisition are one scene."""
    from terralogue.agent.uploads import grouped

    headers = {path.stem for path in folder.rglob("*") if path.suffix.casefold() == ".hdr"}
    rasters = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and (path.suffix.casefold() in _RASTERS or path.name in headers)
    ]
    for group in grouped([str(path) for path in rasters]):
        yield [Path(group)] if isinstance(group, str) else [Path(each) for each in group]


async def fill(client: Client, place: Place, targets: Sequence[str]) -> list[Cell]:
    """Call every tool on every scene of a place."""
    cells = []
    for number, scene in enumerate(place.scenes):
        caller = _Caller(client, place.name, scene)
        told = await caller.call("describe_scene", "describe_scene", scene=scene) or {}
        masks = []
        for target in targets:
            found = await caller.call(f"segment {target}", "segment", scene=scene, target=target)
            masks += [each for each in (found or {}).get("artefacts", ()) if each["kind"] == "mask"]
        width, height = told.get("width", 1), told.get("height", 1)
        middle = {"x": width / 2, "y": height / 2}
        await caller.call("recommend_model", "recommend_model", scene=scene, target=targets[0])
        await caller.call("segment_at_point", "segment_at_point", scene=scene, **middle)
        await caller.call("detect_objects", "detect_objects", scene=scene, target="vehicle")
        await caller.call("compute_index", "compute_index", scene=scene, index="NDVI")
        region = told.get("bounds_wgs84") or [0, 0, max(1, width // 2), max(1, height // 2)]
        await caller.call("zonal_statistics", "zonal_statistics", scene=scene, region=region)
        other = place.scenes[(number + 1) % len(place.scenes)]
        await caller.call("detect_change", "detect_change", before=scene, after=other)
        series = [*place.scenes, *place.scenes][number : number + min(_SERIES, len(place.scenes))]
        await caller.call("time_series", "time_series", scenes=series, quantity="NDVI")
        await caller.call("search_archive", "search_archive", scene=scene)
        await caller.call("search_changes", "search_changes", text="new buildings")
        artefact = masks[0]["id"] if masks else "no-mask"
        await caller.call("export", "export", artefact=artefact, format="geopackage")
        cells += caller.cells
    return cells


class _Caller:
    """Calls tools for one scene, and keeps what they came to."""

    def __init__(self, client: Client, place: str, scene: str) -> None:
        self._client = client
        self._place = place
        self._scene = scene
        self.cells: list[Cell] = []

    async def call(self, column: str, tool: str, **arguments: Any) -> dict[str, Any] | None:
        """The typed result as JSON-compatible values; None where there is none."""
        began = time.perf_counter()
        result = await self._client.call_tool(tool, arguments)
        seconds = time.perf_counter() - began
        structured = result.structured_content
        state: State = "works"
        said = str((structured or {}).get("title"))
        if result.is_error:
            foreseen = isinstance((result.meta or {}).get(ERROR_META), dict)
            state = "refuses" if foreseen else "fails"
            said = " ".join(getattr(part, "text", "") for part in result.content)
        cell = Cell(self._place, self._scene, column, state, said, round(seconds, 2))
        self.cells.append(cell)
        return None if result.is_error else structured


def write(cells: Sequence[Cell], out: Path) -> None:
    """Write `matrix.csv` and `matrix.md` into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / "matrix.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, [each.name for each in fields(Cell)])
        table.writeheader()
        table.writerows(asdict(cell) for cell in cells)
    (out / "matrix.md").write_text(as_markdown(cells), encoding="utf-8")


def as_markdown(cells: Sequence[Cell]) -> str:
    """One line a scene, and below it every reason that was given, with how often."""
    columns = list(dict.fromkeys(cell.call for cell in cells))
    rows: dict[tuple[str, str], dict[str, str]] = {}
    reasons: dict[tuple[str, str, str], int] = {}
    for cell in cells:
        rows.setdefault((cell.place, cell.scene), {})[cell.call] = _MARKS[cell.state]
        if cell.state != "works":
            said = _FILE.sub("SCENE", cell.said.replace("|", "/").splitlines()[0])
            key = (cell.state, cell.call, said)
            reasons[key] = reasons.get(key, 0) + 1
    counts = {state: sum(cell.state == state for cell in cells) for state in _MARKS}
    lines = [
        f"{len(rows)} scenes, {len(cells)} calls: {counts['works']} work, {counts['refuses']} are "
        f"refused with a reason, {counts['fails']} fail otherwise.",
        "",
        "| " + " | ".join(["place", "scene", *columns]) + " |",
        "|" + "---|" * (len(columns) + 2),
    ]
    for (place, scene), marks in rows.items():
        lines.append("| " + " | ".join([place, scene, *(marks.get(c, "") for c in columns)]) + " |")
    lines += ["", "| state | call | reason | times |", "|---|---|---|---|"]
    for (state, call, said), times in sorted(reasons.items()):
        lines.append(f"| {state} | {call} | {said} | {times} |")
    return "\n".join(lines) + "\n"


async def measure(store: Store, places: Sequence[Place], targets: Sequence[str]) -> list[Cell]:
    """Fill the matrix, place by place, and say on standard error how far it is."""
    cells: list[Cell] = []
    async with Client(build_server(store, log_level="CRITICAL")) as client:
        for place in places:
            found = await fill(client, place, targets)
            failing = sum(cell.state == "fails" for cell in found)
            print(f"{place.name}: {len(found)} calls, {failing} fail", file=sys.stderr, flush=True)
            cells += found
    return cells


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write; 1 where a call failed in a way that nobody foresaw, 2 for bad input."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with scenes/ and oscd/images/")
    add("--out", type=Path, required=True, help="folder for matrix.csv and matrix.md")
    add("--only", action="append", metavar="PLACE", help="only this folder; may be repeated")
    looked_for = ", ".join(_TARGETS)
    add("--target", action="append", metavar="NAME",
        help=f"what segment looks for; may be repeated (default {looked_for})")  # fmt: skip
    options = parser.parse_args(argv)
    try:
        with tempfile.TemporaryDirectory() as folder:
            store = Store(Path(folder))
            places = find_places(options.data, store)
            wanted = options.only or [place.name for place in places]
            if unknown := set(wanted) - {place.name for place in places}:
                names = ", ".join(place.name for place in places)
                raise InputError(f"There is no place {sorted(unknown)[0]!r}; the places: {names}.")
            chosen = [place for place in places if place.name in wanted]
            cells = anyio.run(measure, store, chosen, options.target or _TARGETS)
    except EOError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    write(cells, options.out)
    return int(any(cell.state == "fails" for cell in cells))


if __name__ == "__main__":
    sys.exit(main())
