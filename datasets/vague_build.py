"""Expand the hand-written seeds of the vague-query set into items, and cut them into three parts.

    python -m terralogue.datasets.vague_build

Writes `datasets/vague/{train,val,test}.jsonl`, the same bytes every time. A seed lies in one part
with all of its wordings. Slots in braces are filled from the lists below; some wordings get a slip
of the keyboard; a wording with two cases of disjoint routes is written twice, as a minimal pair.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from terralogue.datasets.vague_seeds import FOLDER, Case, Phrase, Seed, gold_of, read_seeds

PARTS: Final = ("train", "val", "test")
# Which part a seed lies in: by the opening of its id, else by the last digit of its hash.
_PLACED: Final = {"late-": "test", "goal-": "train"}
_DEALT: Final = ("train",) * 6 + ("val",) * 2 + ("test",) * 2
FILLINGS: Final = 3
SLIP_SHARE: Final = 0.15
DISTRACTION: Final = 0.12

SENSORS: Final[dict[str, tuple[str, ...]]] = {
    "s2": ("sentinel2",), "l8": ("landsat8",), "s1": ("sentinel1",), "aerial": ("rgb_aerial",),
    "naip": ("naip_rgbn",), "unk": ("unknown_rgb",),
    "opt": ("sentinel2", "landsat8"), "nir": ("sentinel2", "landsat8", "naip_rgbn"),
    "coarse": ("sentinel2", "landsat8", "sentinel1"),
    "fine": ("rgb_aerial", "rgb_satellite", "naip_rgbn"),
    "rgb": ("rgb_aerial", "rgb_satellite", "unknown_rgb"),
    "any": ("sentinel2", "landsat8", "sentinel1", "rgb_aerial", "rgb_satellite", "naip_rgbn"),
}  # fmt: skip
# What fills a slot; a noun for a target also says which targets are right.
NOUNS: Final[dict[str, Mapping[str, str]]] = {
    "areal": {
        "forest": "tree_cover vegetation", "woodland": "tree_cover vegetation",
        "tree cover": "tree_cover vegetation", "water": "water", "open water": "water",
        "farmland": "cropland", "arable land": "cropland", "grassland": "grassland",
        "pasture": "grassland", "bare soil": "bare_soil", "sand": "bare_soil",
        "built-up land": "built_up", "urban area": "built_up", "burnt ground": "burned_area",
        "snow": "snow_ice", "ice": "snow_ice", "marshland": "wetland", "wetland": "wetland",
        "vegetation": "vegetation tree_cover grassland",
    },
    "count": {
        "ships": "ship", "fishing boats": "ship", "yachts": "ship", "planes": "aircraft",
        "helicopters": "aircraft", "cars": "vehicle", "lorries": "vehicle", "buses": "vehicle",
        "buildings": "building", "houses": "building", "trees": "tree",
        "oil tanks": "storage_tank", "silos": "storage_tank", "solar panels": "solar_panel",
    },
    "count1": {
        "vans": "vehicle", "cars": "vehicle", "jets": "aircraft", "trees": "tree",
        "barges": "ship", "sheds": "building", "fuel tanks": "storage_tank",
    },
}  # fmt: skip
WORDS: Final[dict[str, tuple[str, ...]]] = {
    "unit": ("hectares", "acres", "square kilometres", "ha", "km²"),
    "index": ("NDVI", "EVI", "SAVI", "NDWI", "MNDWI", "NDMI", "NBR", "NDSI"),
    "format": ("GeoJSON", "shapefile", "GeoPackage", "GeoTIFF"),
    "things": (
        "harbours", "airports", "solar farms", "vineyards", "dams", "golf courses", "refineries",
        "river deltas", "salt pans", "stadiums", "open-cast mines", "marinas",
    ),
    "event": (
        "forest was cleared", "new houses were built", "a lake dried up", "a river burst its banks",
        "a quarry grew", "a village burned", "a motorway was added", "fields turned into car parks",
    ),
    "place": (
        "Lake Chad", "Almería", "Rotterdam", "Kathmandu", "Vancouver Island", "Lake Constance",
        "Dakar", "Reykjavik", "Zanzibar", "Kraków", "Lake Titicaca", "Mombasa",
    ),
    "ambiguous": ("Springfield", "Cambridge", "Alexandria", "Richmond", "Birmingham", "Newport"),
    "month": ("March", "May", "June", "July", "August", "October"),
    "year": ("2018", "2019", "2020", "2021", "2022", "2023"),
}  # fmt: skip
_SLOT: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Filled:
    """A wording with its slots filled: the text, and slot → what stands there."""

    text: str
    slots: Mapping[str, str]

    @property
    def targets(self) -> list[str]:
        """Targets that a noun in a slot names."""
        found = [NOUNS[slot][word] for slot, word in self.slots.items() if slot in NOUNS]
        return found[0].split() if found else []

    @property
    def indices(self) -> list[str]:
        """The index in a slot."""
        return [word for slot, word in self.slots.items() if slot == "index"]


def _rng(*parts: object) -> random.Random:
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))


def fillings(phrase: Phrase, rng: random.Random) -> list[Filled]:
    """The phrase with its slots filled, up to three ways."""
    names = _SLOT.findall(phrase.text)
    found: dict[str, Filled] = {}
    for _ in range(FILLINGS * 2 if names else 1):
        slots = {name: rng.choice(list(NOUNS.get(name) or WORDS[name])) for name in names}
        text = _with_slots(phrase.text, slots)
        if slots and phrase.vagueness != "colloquial":
            text = text[:1].upper() + text[1:]
        found.setdefault(text, Filled(text, slots))
    return list(found.values())[:FILLINGS]


def _with_slots(text: str, slots: Mapping[str, str]) -> str:
    """The text with its braces filled, by the first of each list where nothing is given."""
    return _SLOT.sub(lambda found: slots.get(found[1]) or WORDS[found[1]][0], text)


def slip(text: str, rng: random.Random) -> str:
    """The text with two letters swapped, or one left out, in one or two of its longer words."""
    words = text.split(" ")
    places = [i for i, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    for place in rng.sample(places, min(len(places), rng.choice((1, 2)))):
        word = words[place]
        cut = rng.randrange(1, len(word) - 2)
        swapped = word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :]
        words[place] = swapped if rng.random() < 0.6 else word[:cut] + word[cut + 1 :]
    return " ".join(words)


def inputs_of(case: Case, rng: random.Random) -> dict[str, Any]:
    """Declared inputs that a case allows, with some that do not matter."""
    n = rng.randint(*case.scenes) + (rng.randint(0, 2) if case.scenes == (3, 3) else 0)
    flags = {word for word in case.words if word[0] in "+-"}
    sensors = _sensors([word for word in case.words if word not in flags], flags, n, rng)
    days = sorted(rng.sample(range(9 * 365), n))
    if rng.random() < 0.5:
        days.reverse()
    scenes = [
        {
            "sensor": sensor,
            "georeferenced": "-geo" not in flags and sensor != "unknown_rgb",
            "date": None if "-date" in flags else _date(day),
        }
        for sensor, day in zip(sensors, days, strict=True)
    ]
    measured = {"compute_index", "zonal_statistics"} & set(case.gold.get("tool", ()))

    def mark(name: str) -> bool:
        if f"+{name}" in flags or f"-{name}" in flags:
            return f"+{name}" in flags
        free = name == "archive" or (name == "region" and not measured and n == 1)
        return free and rng.random() < DISTRACTION

    return {"scenes": scenes, **{name: mark(name) for name in ("archive", "point", "region")}}


def _sensors(words: Sequence[str], flags: set[str], n: int, rng: random.Random) -> list[str]:
    if n == 0:
        return []
    if words == ["mixed"]:
        return rng.sample(["sentinel1", "sentinel2"], 2)
    pool = [s for s in SENSORS[words[0]] if not (s == "sentinel1" and "-radar" in flags)]
    return [rng.choice(pool)] * n


def _date(day: int) -> str:
    year, rest = divmod(day, 365)
    return f"{2016 + year}-{rest // 31 + 1:02d}-{rest % 28 + 1:02d}"


def disjoint(cases: Sequence[Case]) -> tuple[Case, Case] | None:
    """The first two cases that share no acceptable route."""
    for i, one in enumerate(cases):
        for other in cases[i + 1 :]:
            if not set(one.gold["route"]) & set(other.gold["route"]):
                return one, other
    return None


def items_of(seed: Seed) -> Iterator[dict[str, Any]]:
    """Every item of a seed, without ids."""
    pair = disjoint(seed.cases)
    for number, phrase in enumerate(seed.phrases):
        rng = _rng(seed.id, number)
        for turn, filled in enumerate(fillings(phrase, rng)):
            slipped = phrase.language == "en" and rng.random() < SLIP_SHARE
            vagueness = "anaphora" if seed.history else phrase.vagueness
            if slipped and slip(filled.text, _rng(filled.text)) != filled.text:
                filled = Filled(slip(filled.text, _rng(filled.text)), filled.slots)
                vagueness = "typo"
            paired = pair is not None and (number + turn) % 2 == 0
            cases = pair if pair and paired else (rng.choice(seed.cases),)
            for case in cases:
                yield {
                    "seed": seed.id,
                    "language": phrase.language,
                    "query": filled.text,
                    "history": _history(seed, filled),
                    "inputs": inputs_of(case, rng),
                    "persona": rng.choice(seed.personas),
                    "vagueness": vagueness,
                    "act": seed.act,
                    "slots": dict(filled.slots),
                    "gold": gold_of(case, filled.targets, filled.indices),
                    "note": "[pair]" if paired else "",
                }


def _history(seed: Seed, filled: Filled) -> list[dict[str, str]]:
    return [{"role": r, "content": _with_slots(text, filled.slots)} for r, text in seed.history]


def part_of(seed: Seed) -> str:
    """The part of a seed: by a hash of its id, so that it stays there whatever else is added.

    Seeds written after the planner was fitted, named with "late-", lie in the test part; those
    written when its test part had been scored, named with "goal-", in the training part.
    """
    for opening, part in _PLACED.items():
        if seed.id.startswith(opening):
            return part
    return _DEALT[int(hashlib.sha256(seed.id.encode()).hexdigest(), 16) % len(_DEALT)]


def build(seeds: Sequence[Seed]) -> dict[str, list[dict[str, Any]]]:
    """Part → items with ids; a wording that two seeds share is kept where it came first."""
    built: dict[str, list[dict[str, Any]]] = {part: [] for part in PARTS}
    owner: dict[str, str] = {}
    for seed in seeds:
        for item in items_of(seed):
            key = json.dumps([item["query"].casefold(), item["history"]])
            if owner.setdefault(key, seed.id) == seed.id:
                built[part_of(seed)].append(item)
    return {
        part: [{"id": f"{part}{n:04d}", **item} for n, item in enumerate(items, start=1)]
        for part, items in built.items()
    }


def write(folder: Path = FOLDER) -> dict[str, int]:
    """Write the three parts; returns how many items each has."""
    built = build(read_seeds())
    for part, items in built.items():
        lines = "".join(f"{json.dumps(item, ensure_ascii=False)}\n" for item in items)
        (folder / f"{part}.jsonl").write_text(lines, encoding="utf-8")
    return {part: len(items) for part, items in built.items()}


if __name__ == "__main__":
    print(write())
