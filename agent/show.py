"""Answers and scenes for people to look at: text for a chat bubble, small pieces of HTML.

File names, tags and questions come from strangers: whatever goes into HTML or Markdown is escaped,
so that no text can load an image from elsewhere or pass for a link of ours.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from terralogue.agent.answer import Answer, AnswerMeasurement
from terralogue.agent.figures import quantity
from terralogue.agent.said import NOT_SURE
from terralogue.datasets.scene import Scene

MARK_COLOUR: Final = (255, 59, 48)
# What a figure is worth: the first ones are shown large.
_HEADLINES: Final = ("area", "gain", "loss", "share", "mean", "median", "count", "trend")

_OFFERED: Final = re.compile(r'"([^"\n]+\?)"')
_EMPTY: Final = '<p class="tl-empty">{}</p>'
NO_SCENE: Final = _EMPTY.format("No scene yet.")
NO_RESULT: Final = _EMPTY.format("Answers show up here: the map, the figures, the files.")


def escape_markdown(text: str) -> str:
    """Keep paragraphs and lists of a text, and take the meaning out of markup in it."""
    plain = html.escape(text, quote=False)
    return re.sub(r"([\[\]`*_~|#\\])", r"\\\1", plain)


def label(item: AnswerMeasurement) -> str:
    """What a figure is of."""
    return item.label or item.name.replace("_", " ").capitalize()


def answer_markdown(answer: Answer) -> tuple[str, str]:
    """The answer as the text of a chat bubble, and how it was measured as another."""
    parts = answer.answer.split("\n\n")
    how = [part.removeprefix("How: ") for part in parts if part.startswith("How: ")]
    rest = escape_markdown("\n\n".join(part for part in parts if not part.startswith("How: ")))
    bold = re.sub(
        r"^(Mind|What would help|How sure|Not sure):", r"**\1:**", rest, flags=re.MULTILINE
    )
    return bold + _understood(answer), "\n".join(f"- {escape_markdown(part)}" for part in how)


def _understood(answer: Answer) -> str:
    """How the question was understood: the last line, above the buttons to correct it."""
    if answer.route == "clarify" or not answer.interpretation:
        return ""
    return f"\n\n*Understood as: {escape_markdown(answer.interpretation)}.*"


def offered(answer: Answer) -> list[str]:
    """Replies to choose from, as text for buttons.

    Options of a question of ours; else what an unsure answer offers to ask instead, and other
    readings of the question.
    """
    if answer.options:
        return list(answer.options)
    unsure = answer.answer.startswith(NOT_SURE)
    return [*(_OFFERED.findall(answer.answer) if unsure else ()), *answer.alternatives]


def figures_html(answer: Answer) -> str:
    """The figures that matter most, as cards; nothing where there are none."""
    ranked = sorted(answer.measurements, key=_rank)[:4]
    cards = "".join(_card(_figure(item), label(item)) for item in ranked)
    if cards and answer.route == "answer" and answer.confidence is not None:
        cards += _card(f"{answer.confidence:.2f}", "How sure, of 1")
    return f'<div class="tl-cards">{cards}</div>' if cards else ""


def _card(figure: str, text: str) -> str:
    return (
        f'<div class="tl-card"><div class="tl-figure">{figure}</div>'
        f'<div class="tl-label">{html.escape(text)}</div></div>'
    )


def _figure(item: AnswerMeasurement) -> str:
    value, _, unit = quantity(item.value, item.unit).partition(" ")
    small = f" <small>{html.escape(unit)}</small>" if unit else ""
    return f"{html.escape(value)}{small}"


def _rank(item: AnswerMeasurement) -> int:
    for place, word in enumerate(_HEADLINES):
        if item.name.startswith(word):
            return place
    return len(_HEADLINES)


def rows(answer: Answer) -> list[list[str]]:
    """All figures as table rows: what, value with unit, method."""
    return [
        [label(item), quantity(item.value, item.unit), item.method] for item in answer.measurements
    ]


def facts_html(scene: Scene) -> str:
    """What a scene is, as a table."""
    recognition = scene.recognition
    sensor = scene.sensor.title if scene.sensor else "not recognised"
    reason = recognition.question or recognition.reason
    names = ", ".join(band.name for band in scene.bands[:16])
    more = f" … ({len(scene.bands)} bands)" if len(scene.bands) > 16 else ""
    pixel = f"{scene.gsd:.3g} m" if scene.gsd else "unknown"
    bounds = scene.bounds_wgs84
    place = (
        f"{scene.crs} · {_place(bounds)}"
        if bounds
        else "no coordinates: shares instead of hectares"
    )
    entries = {
        "Scene": scene.name,
        "Sensor": f"{sensor} — {reason}" if reason else sensor,
        "Bands": names + more,
        "Pixel": f"{pixel} · {scene.width} by {scene.height} pixels",
        "Date": scene.date or "unknown",
        "Place": place,
        "Numbers": scene.unit if scene.calibrated else f"{scene.unit}, uncalibrated",
        "Cloud mask": scene.quality.kind if scene.quality else "none in the file",
    }
    body = "".join(
        f"<tr><th>{html.escape(key)}</th><td>{html.escape(value)}</td></tr>"
        for key, value in entries.items()
    )
    notes = "".join(f'<p class="tl-note">{html.escape(note)}</p>' for note in scene.warnings)
    return f'<table class="tl-facts">{body}</table>{notes}'


def region_html(region: Mapping[str, Any] | None) -> str:
    """Whether questions are confined."""
    return _EMPTY.format(
        "Questions are about the whole scene." if region is None else "Region set."
    )


def _place(bounds: tuple[float, float, float, float]) -> str:
    """West, south, east, north as a bounding box to copy from."""
    return ", ".join(f"{edge:.4f}" for edge in bounds)


def mark(picture: NDArray[np.uint8], x: float, y: float) -> NDArray[np.uint8]:
    """Draw a cross at column x and row y into a copy of a picture (H, W, 3)."""
    marked = picture.copy()
    height, width = picture.shape[:2]
    reach = max(6, max(height, width) // 50)
    column, row = (min(max(round(v), 0), n - 1) for v, n in ((x, width), (y, height)))
    for colour, half in (((255, 255, 255), 2), (MARK_COLOUR, 1)):
        rows_ = slice(max(row - half, 0), row + half + 1)
        columns = slice(max(column - half, 0), column + half + 1)
        marked[rows_, max(column - reach, 0) : column + reach + 1] = colour
        marked[max(row - reach, 0) : row + reach + 1, columns] = colour
    return marked
