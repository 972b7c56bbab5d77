"""Examples for a chat model: questions of the vague-query set's training part with what is right.

Those with the most words in common with the question, two for each route, each of another seed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from terralogue.agent.plan import Inputs
from terralogue.agent.words import fold
from terralogue.datasets.vague_seeds import FOLDER, ROUTES

EACH: Final = 2
_PSEUDO: Final = {"answer": "answer_from_image", "clarify": "ask_user", "refuse": "refuse"}


@cache
def _rows() -> tuple[tuple[Mapping[str, Any], frozenset[str]], ...]:
    lines = (FOLDER / "train.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return tuple((row, frozenset(fold(row["query"]).split())) for row in rows if not row["history"])


def shots(question: str, inputs: Inputs) -> list[str]:
    """Lines such as '"how big is the lake" (1 sentinel2 scene): segment, target water'.

    Args:
        question: the person's last message.
        inputs: of the question; examples with as many scenes come first among equals.
    """
    words = frozenset(fold(question).split())

    def alike(row: Mapping[str, Any], others: frozenset[str]) -> tuple[float, bool]:
        shared = len(words & others) / max(1, len(words | others))
        return shared, len(row["inputs"]["scenes"]) == len(inputs.scenes)

    ranked = sorted(_rows(), key=lambda pair: alike(*pair), reverse=True)
    found: list[str] = []
    for route in ROUTES:
        seeds: set[str] = set()
        for row, _ in ranked:
            if row["gold"]["route"] == route and row["seed"] not in seeds:
                seeds.add(row["seed"])
                found.append(_line(row))
            if len(seeds) == EACH:
                break
    return found


def _line(row: Mapping[str, Any]) -> str:
    gold, scenes = row["gold"], row["inputs"]["scenes"]
    given = f"{len(scenes)} {scenes[0]['sensor']}" if scenes else "no"
    marks = [name for name in ("archive", "point", "region") if row["inputs"][name]]
    parts = [_PSEUDO.get(gold["route"]) or gold["tool"]]
    for name in ("target", "index", "missing_slot", "reason"):
        if gold[name]:
            parts.append(f"{name.removeprefix('missing_')} {gold[name]}")
    where = " and ".join([f"{given} scene{'s' if len(scenes) != 1 else ''}", *marks])
    return f'"{row["query"]}" ({where}): {", ".join(parts)}'
