"""The figure in the person's own language, before the answer in English.

Five languages beside English; words and sentences live in `phrases.json`. What has no sentence
there is said in English alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from terralogue.agent.figures import number, quantity
from terralogue.agent.questions import read
from terralogue.agent.words import HERE

Result = Mapping[str, Any]
ENGLISH: Final = "en"


@cache
def _phrases() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    found: Mapping[str, Mapping[str, Mapping[str, str]]] = json.loads(
        (HERE / "phrases.json").read_text(encoding="utf-8")
    )
    return found


def language_of(question: str) -> str:
    """Two-letter code of the language that a question is in; "en" where it cannot be told."""
    return read(question).language


def lead(results: Sequence[Result], language: str) -> str | None:
    """What was found, one sentence for each result; None in English and where none can be said.

    Args:
        results: typed tool results as JSON.
        language: two-letter code.
    """
    if language == ENGLISH:
        return None
    said = [sentence for result in results if (sentence := _sentence(result, language))]
    if not said:
        return None
    return "\n".join([*said, "", _phrases()["sentences"]["rest"][language]])


def _sentence(result: Result, language: str) -> str | None:
    figures = {m["name"]: m for m in result["measurements"]}
    what = _phrases()["targets"].get(str(result.get("target")), {}).get(language)
    kind, values = _filled(str(result["tool"]), figures)
    if kind in ("mean", "changed"):
        what = str(result.get("index") or "NDVI") if kind == "mean" else ""
    pattern = _phrases()["sentences"].get(kind, {}).get(language)
    if what is None or pattern is None:
        return None
    return pattern.format(what=what, **values)


def _filled(tool: str, figures: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """Which sentence fits a tool's figures, and what goes into it; "" where none does."""

    def first(*names: str) -> Any:
        return next((figures[name] for name in names if name in figures), None)

    amount, share = first("area", "pixels"), first("share")
    gain, loss = first("gain_area", "gain_pixels"), first("loss_area", "loss_pixels")
    if tool == "detect_change" and gain and loss:
        return "change", {"gain": _said(gain), "loss": _said(loss)}
    if tool in ("segment", "detect_change") and amount and share:
        kind = "segment" if tool == "segment" else "changed"
        return kind, {"amount": _said(amount), "share": _said(share)}
    if tool == "detect_objects" and {"count", "count_low", "count_high"} <= figures.keys():
        names = {"count": "count", "low": "count_low", "high": "count_high"}
        return "count", {key: number(figures[name]["value"]) for key, name in names.items()}
    if tool == "detect_objects" and "count" in figures:
        return "found", {"count": number(figures["count"]["value"])}
    if tool == "compute_index" and "mean" in figures:
        return "mean", {"amount": _said(figures["mean"])}
    return "", {}


def _said(measurement: Mapping[str, Any]) -> str:
    unit = str(measurement["unit"])
    return quantity(measurement["value"], "px" if unit == "px" else unit)
