"""Read the hand-written seeds of the vague-query set: one intent each, in many words.

A seed is a block of lines in `datasets/vague/seeds/*.txt`; `datasets/vague/README.md` describes
them. Nothing here is drawn by chance: `vague_build.py` expands seeds into items.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from terralogue.datasets.errors import InputError

FOLDER: Final = Path(__file__).parent / "vague"
VAGUENESS: Final = {
    "p": "precise", "c": "colloquial", "i": "implicit_goal", "j": "jargon", "t": "typo",
    "m": "multi_intent",
}  # fmt: skip
LANGUAGES: Final = ("en", "de", "fr", "es", "pt", "it")
ROUTES: Final = ("answer", "tools", "clarify", "refuse")
TOOLS: Final = (
    "describe_scene", "segment", "segment_at_point", "detect_objects", "compute_index",
    "zonal_statistics", "detect_change", "time_series", "search_archive", "search_changes",
    "search_catalog", "export",
)  # fmt: skip
SLOTS: Final = ("target", "second_scene", "time", "region", "intent", "place")
REASONS: Final = ("sensor", "resolution", "georeference", "out_of_scope", "unsafe", "no_data")
TARGETS: Final = (
    "water", "flooded_area", "vegetation", "tree_cover", "cropland", "grassland", "bare_soil",
    "built_up", "building", "road", "burned_area", "snow_ice", "cloud", "wetland", "tree", "ship",
    "aircraft", "vehicle", "storage_tank", "solar_panel", "any",
)  # fmt: skip
_PHRASE: Final = re.compile(r"([pcijtm])(?::(\w\w))? (.+)")
_HEADER: Final = re.compile(r"@ (?P<id>[\w-]+) (?P<multi>multi:)?(?P<act>\w+) \| (?P<who>.+)")


@dataclass(frozen=True)
class Phrase:
    """One wording, perhaps with slots in braces."""

    vagueness: str
    language: str
    text: str


@dataclass(frozen=True)
class Case:
    """Inputs in short form ("2 opt -date") and what is right with them, before slots are filled.

    Attributes:
        scenes: fewest and most scenes.
        words: names of sensors, and flags such as "+archive" or "-geo".
        gold: field → values in order, the first being the author's choice.
        own_slot: whether targets and indices come from the slot that a wording fills.
        no_units: whether area units are unavailable.
    """

    scenes: tuple[int, int]
    words: tuple[str, ...]
    gold: Mapping[str, tuple[str, ...]]
    own_slot: bool = False
    no_units: bool = False


@dataclass(frozen=True)
class Seed:
    """One intent: who asks, in which words, after which turns, with which inputs."""

    id: str
    act: str
    personas: tuple[str, ...]
    history: tuple[tuple[str, str], ...]
    cases: tuple[Case, ...]
    phrases: tuple[Phrase, ...]


@dataclass
class _Block:
    header: re.Match[str]
    history: list[tuple[str, str]] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    phrases: list[Phrase] = field(default_factory=list)

    def seed(self) -> Seed:
        return Seed(
            id=self.header["id"],
            act=self.header["act"],
            personas=tuple(who.strip() for who in self.header["who"].split(";")),
            history=tuple(self.history),
            cases=tuple(self.cases),
            phrases=tuple(self.phrases),
        )


def read_seeds(folder: Path = FOLDER / "seeds") -> list[Seed]:
    """Read every seed file of a folder, in the order of the file names.

    Raises:
        InputError: a line cannot be read, a seed lacks cases or wordings, or an id occurs twice.
    """
    seeds = [seed for path in sorted(folder.glob("*.txt")) for seed in _read(path)]
    ids = [seed.id for seed in seeds]
    if twice := sorted({name for name in ids if ids.count(name) > 1}):
        raise InputError(f"{folder} has seeds with the same id; rename one of: {', '.join(twice)}.")
    return seeds


def _read(path: Path) -> Iterator[Seed]:
    block: _Block | None = None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        if header := _HEADER.fullmatch(line):
            if block is not None:
                yield _complete(block, path)
            block = _Block(header)
        elif block is None or not _take(block, line):
            raise InputError(f"{path.name} line {number} is no line of a seed: {line!r}.")
    if block is not None:
        yield _complete(block, path)


def _complete(block: _Block, path: Path) -> Seed:
    seed = block.seed()
    if not seed.cases or not seed.phrases:
        raise InputError(f"{path.name}: seed {seed.id} needs a line with > and a wording.")
    return seed


def _take(block: _Block, line: str) -> bool:
    """Add a line to a block; False where it is none."""
    if line[:2] in ("U ", "A "):
        block.history.append(("user" if line[0] == "U" else "assistant", line[2:]))
    elif line.startswith("> ") and " -> " in line:
        block.cases.append(_case(*line[2:].split(" -> ", 1)))
    elif found := _PHRASE.fullmatch(line):
        block.phrases.append(Phrase(VAGUENESS[found[1]], found[2] or "en", found[3]))
    else:
        return False
    return True


def _case(inputs: str, gold: str) -> Case:
    number, *words = inputs.split()
    fewest, _, most = number.partition("-")
    values = [value for word in gold.split() for value in word.split(",")]
    fields: dict[str, list[str]] = {}
    for value in values:
        if value not in ("*", "-", "no_units"):
            fields.setdefault(_field(value), []).append(value)
    return Case(
        scenes=(int(fewest), int(most or fewest)),
        words=tuple(words),
        # A "-" among the targets says that any target will do: none is scored then.
        gold={k: tuple(v) for k, v in fields.items() if not ("-" in values and k == "target")},
        own_slot="*" in values,
        no_units="no_units" in values,
    )


def _field(value: str) -> str:
    tables: Mapping[str, Sequence[str]] = {
        "route": ROUTES, "tool": TOOLS, "missing_slot": SLOTS, "reason": REASONS, "target": TARGETS,
    }  # fmt: skip
    for name, known in tables.items():
        if value in known:
            return name
    if value.isupper():
        return "index"
    raise InputError(f"a seed's gold names {value!r}, which is no route, tool, slot or target.")


def gold_of(case: Case, targets: Sequence[str], indices: Sequence[str]) -> dict[str, Any]:
    """The gold of an item, in the schema of `datasets/vague/README.md`.

    Args:
        case: of the seed.
        targets: that the wording's slot names, in order of preference.
        indices: likewise.
    """
    wanted = {name: list(case.gold.get(name, ())) for name in
              ("route", "tool", "target", "index", "missing_slot", "reason")}  # fmt: skip
    if case.own_slot:
        wanted["target"], wanted["index"] = list(targets), list(indices)
    first = {name: values[0] if values else None for name, values in wanted.items()}
    return {
        "route": first["route"],
        "acceptable_routes": wanted["route"],
        "tool": first["tool"],
        "acceptable_tools": wanted["tool"],
        "target": first["target"],
        "acceptable_targets": wanted["target"],
        "index": first["index"],
        "acceptable_indices": wanted["index"],
        "missing_slot": first["missing_slot"],
        "reason": first["reason"],
        "flag": "no_units" if case.no_units else None,
    }
