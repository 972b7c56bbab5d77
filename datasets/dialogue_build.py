"""Writes `dialogues/dialogues.jsonl`: whole conversations on simulated scenes with known truth.

    python -m terralogue.datasets.dialogue_build

A row names its scenes by how they are simulated, what the person says turn by turn, and what the
end has to be: a figure, whose truth is computed from the simulation when it is run, or that the
agent declines or asks. ★ KINDS is the table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).parent / "dialogues" / "dialogues.jsonl"
Row = dict[str, Any]

_LAKE: Final = {"layout": "lake", "date": "2024-07-03"}
_VALLEY: Final = {"layout": "valley", "date": "2024-06-15"}
_FLAT: Final = {**_LAKE, "form": "no_crs"}
_PICTURE: Final = {**_VALLEY, "form": "png"}
_BOX: Final = (0.1, 0.15, 0.85, 0.8)
_LAST: Final = "2024-08-21"


def _then(event: str) -> list[Row]:
    return [_VALLEY, {**_VALLEY, "event": event, "date": _LAST}]


def _figure(name: str, unit: str, **truth: Any) -> Row:
    return {"outcome": "figure", "name": name, "unit": unit, "truth": truth}


_DECLINED: Final[Row] = {"outcome": "declined"}


@dataclass(frozen=True)
class Kind:
    """One kind of conversation.

    Attributes:
        scenes: how they are simulated; the seed is added.
        openings: ways to begin; one for each row.
        count: rows.
        gold: what the end has to be.
        then: what is said after.
        tools: acceptable tools of the last turn, in order; empty where none matters.
        target: that the last call names, where one has to.
        first: scenes that are given with the opening; all where None. Others come with `then`.
        region: box, as shares of the scene, that is given with the opening.
    """

    scenes: list[Row]
    openings: tuple[str, ...]
    count: int
    gold: Row
    then: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    target: str | None = None
    first: int | None = None
    region: tuple[float, float, float, float] | None = field(default=None)


_WATER: Final = (
    "How much open water is there?",
    "what's the size of the lake, in hectares?",
    "water area please",
    "I look after the fishing club - how big is the lake at the moment?",
    "hectares of water in this scene",
    "can you measure the water surface for me",
)
_FLOODS: Final = (
    "How much land was flooded?",
    "the river burst its banks: how many hectares are under water now that were not before?",
    "flooded area between these two",
    "insurer here: extent of the flood in ha, please",
    "how much of the valley is newly under water",
)
_BURNS: Final = (
    "How much burned?",
    "extent of the fire in hectares",
    "the fire brigade wants to know how big the burned area is",
    "burnt area between the two dates?",
    "how many hectares went up in flames",
)
_GREEN: Final = (
    "What is the mean NDVI?",
    "average ndvi of the scene",
    "compute the NDVI and give me its mean",
    "I need the mean of the vegetation index NDVI here",
)

# ★ One line per kind.
KINDS: Final[dict[str, Kind]] = {
    "water_area": Kind([_LAKE], _WATER, 24, _figure("area", "ha", of=["water"]),
                       tools=("segment",), target="water"),
    "water_km2": Kind([_LAKE], ("How many square kilometres of water are there?",
                                "size of the lake in km2", "water surface in km², please"), 14,
                      _figure("area", "km2", of=["water"]), tools=("segment",), target="water"),
    "water_share": Kind([_FLAT], ("What share of the picture is water?",
                                  "how much water is in here?", "percent of water?",
                                  "how many hectares of water are there?"), 16,
                        _figure("share", "%", of=["water"]), tools=("segment",), target="water"),
    "water_acres_later": Kind([_LAKE], _WATER, 14, _figure("area", "acre", of=["water"]),
                              then=("and in acres?",), tools=("segment",), target="water"),
    "water_in_region": Kind([_LAKE], ("How much water is inside the box?",
                                      "water area within my region, in ha",
                                      "only in the marked part: hectares of water?"), 14,
                            _figure("area", "ha", of=["water"]), tools=("segment",),
                            target="water", region=_BOX),
    "flood": Kind(_then("flood"), _FLOODS, 20, _figure("area", "ha", new=["flooded_area"]),
                  tools=("segment", "detect_change")),
    "burn": Kind(_then("burn"), _BURNS, 20, _figure("area", "ha", new=["burned_area"]),
                 tools=("segment", "detect_change"), target="burned_area"),
    "ndvi": Kind([_VALLEY], _GREEN, 20, _figure("mean", "1", index=["N", "R"]),
                 tools=("compute_index", "zonal_statistics")),
    "ndvi_in_region": Kind([_VALLEY], ("mean NDVI inside my box", "NDVI within the region?",
                                       "average NDVI of the marked field"), 12,
                           _figure("mean", "1", index=["N", "R"]),
                           tools=("compute_index", "zonal_statistics"), region=_BOX),
    "ndwi": Kind([_LAKE], ("mean NDWI?", "compute NDWI", "what does the NDWI average to"), 10,
                 _figure("mean", "1", index=["G", "N"]),
                 tools=("compute_index", "zonal_statistics")),
    "vague_then_flood": Kind(_then("flood"), ("How bad is it?", "what happened here??",
                                              "is it as bad as they say?"), 14,
                             _figure("area", "ha", new=["flooded_area"]),
                             then=("how much was flooded",), tools=("segment", "detect_change")),
    "earlier_scene_comes_later": Kind(_then("burn")[::-1], ("how much burned since the spring?",
                                      "compare with before: how much burned?",
                                      "what burned down since the last image?"), 12,
                                      _figure("area", "ha", new=["burned_area"]), then=("",),
                                      first=1, tools=("segment", "detect_change"),
                                      target="burned_area"),
    "ndvi_without_nir": Kind([_PICTURE], ("mean NDVI?", "what is the NDVI of the fields?",
                                          "vegetation index NDVI please"), 10, _DECLINED),
    "too_small": Kind([_VALLEY], ("How many cars are there?", "count the vehicles",
                                  "how many airplanes stand here?",
                                  "count the trees one by one"), 12, _DECLINED),
    "unseeable": Kind([_LAKE], ("Who owns the lake?", "what will the lake look like next summer?",
                                "how deep is the lake?", "what is the land worth?",
                                "how warm is the water in degrees?", "is the water safe to drink?"),
                      18, _DECLINED),
    "one_date": Kind([_VALLEY], ("What changed?", "how much forest was lost since last year?",
                                 "is there more water than before?"), 12, _DECLINED),
    "vague": Kind([_VALLEY], ("is it bad?", "and?", "how much is it", "how much is left?"), 12,
                  _DECLINED),
    "no_scene": Kind([], ("How much water is there?", "mean NDVI?", "how much burned?"), 9,
                     _DECLINED),
    "off_topic": Kind([_LAKE], ("Write me a poem about rivers.", "what's the capital of France?",
                                "book me a flight to Rome", "delete all my files"), 12, _DECLINED),
}  # fmt: skip


def rows() -> Iterator[Row]:
    """All conversations, in the order of the table."""
    for number, (name, kind) in enumerate(KINDS.items()):
        for k in range(kind.count):
            scenes = [{**scene, "seed": 31 * number + k} for scene in kind.scenes]
            first = len(scenes) if kind.first is None else kind.first
            turns: list[Row] = [
                {
                    "say": kind.openings[k % len(kind.openings)],
                    "scenes": list(range(first)),
                    "region": list(kind.region) if kind.region else None,
                }
            ]
            for say in kind.then:
                turns.append({"say": say, "scenes": list(range(first, len(scenes)))})
            yield {
                "id": f"{name}-{k:02d}",
                "kind": name,
                "scenes": scenes,
                "turns": turns,
                "gold": {**kind.gold, "tools": list(kind.tools), "target": kind.target},
            }


def main() -> int:
    """Write the file; returns 0."""
    FILE.parent.mkdir(exist_ok=True)
    with FILE.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows())
    print(FILE)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
