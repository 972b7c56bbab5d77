"""What an image-reading model read, in words for people: sure, or not sure and why.

A sure answer comes with its calibrated confidence. One that is not sure is never told as an
answer: it says why, what would have been guessed, and what would help.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from terralogue.agent.lexicon import ENGLISH_NOUN, plain_noun
from terralogue.agent.world import Look, Looked
from terralogue.datasets.samples import Box
from terralogue.vlm.vlm import Reading

NOT_SURE: Final = "Not sure"
ESTIMATE: Final = "vlm_estimate"
"""Method of a count that was read off the picture; a detector's is its own."""

_BY_EYE: Final = (
    "Estimated by eye by the image-reading model (vlm_estimate), not counted by a detector."
)
_NOT_MEASURED: Final = "Read off the picture by the image-reading model, not measured."
_DESCRIBED: Final = (
    "Described by the image-reading model, which gives no probability for a description."
)
_GUESSED: Final = "A guess, no more: "
_GUESS: Final = re.compile(
    rf"^{_GUESSED}(.+?)(?: \((\d\.\d\d)\))?(?:; it also weighed .+)?\.$", re.MULTILINE
)
_NO_REASON: Final = "the model's own probability is too low"
_NUMBERS: Final = {
    "no": 0, "none": 0, "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6,
    "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
}  # fmt: skip
_INTEGER: Final = re.compile(r"(?<![\w.-])\d+(?![\w.-]|\s*%)")
# Beyond this distance from its training data a model's guess says nothing about the picture.
_KNOWN: Final = 1.0
# A guess that is wrong more than two times in three misleads; of what was weighed beside one, a
# tenth tells how open it is.
_WORTH, _WEIGHED = 1 / 3, 0.1
_LARGE: Final = 640


def count_in(text: str) -> float | None:
    """The one number that an answer is, such as "3", "about 3 ships" or "three"; None else."""
    found = _INTEGER.findall(text.replace(",", ""))
    if found:
        return float(found[0]) if len(found) == 1 else None
    words = [word for word in re.findall(r"[a-z]+", text.lower()) if word in _NUMBERS]
    return float(_NUMBERS[words[0]]) if len(words) == 1 else None


def reading_of(look: Look, looked: Looked) -> dict[str, Any]:
    """A reading as JSON for the state of a conversation, with the sentence that it leads to.

    Args:
        look: what was asked.
        looked: what came of it.
    """
    reading = looked.reading
    measurements = []
    count = _count(look, looked)
    if reading.sure and count is not None:
        measurements.append(
            {
                "name": "count", "value": count, "unit": "1", "method": ESTIMATE,
                "artefact": _vectors(looked.artefacts), "label": _things(look),
            }
        )  # fmt: skip
    beyond = reading.distance is not None and reading.distance > _KNOWN
    # What a model gives here is how likely the things are there.
    nothing = looked.task == "grounding" and not reading.boxes
    return {
        "text": reading.text,
        "said": _said(look, looked, count) if reading.sure else "",
        "sure": reading.sure,
        "doubt": reading.doubt.rstrip(".") or _NO_REASON,
        # Probabilities were calibrated on pictures like those of the training.
        "confidence": None if beyond or nothing else reading.confidence,
        "guess": "" if beyond or reading.sure or looked.task == "grounding" else _guess(reading),
        "alternatives": [list(pair) for pair in reading.alternatives],
        "model": looked.model,
        "size": list(looked.size),
        "measurements": measurements,
        "artefacts": list(looked.artefacts) if reading.sure else [],
        "warnings": [*looked.warnings, *reading.notes],
        "scenes": list(look.scenes),
    }


def _count(look: Look, looked: Looked) -> float | None:
    """How many; of what was pointed at there are as many as boxes."""
    if looked.task == "grounding":
        return float(len(looked.reading.boxes))
    return count_in(looked.reading.text) if look.counts and looked.task == "qa" else None


def _vectors(artefacts: Sequence[Mapping[str, Any]]) -> str | None:
    return next((str(a["id"]) for a in artefacts if a["kind"] == "polygons"), None)


def _things(look: Look) -> str:
    words = look.phrase or "things"
    return words[:1].upper() + words[1:]


def _said(look: Look, looked: Looked, count: float | None) -> str:
    if looked.task == "grounding":
        kind = looked.reading.label or ""
        known = f" ({kind})" if kind and kind not in look.phrase else ""
        things = f"{sentence(look.phrase).rstrip('.')}{known}"
        return _pointed(things, looked.reading.boxes, looked.size)
    text = sentence(looked.reading.text)
    if looked.task != "qa":
        return f"{text}\n\n{_DESCRIBED}" if looked.reading.confidence is None else text
    if count is None:
        return f"{text}\n\n{_NOT_MEASURED}" if re.search(r"\d", text) else text
    if re.fullmatch(r"[\w ]+\.", text) and len(text.split()) == 1:
        text = f"About {count:.0f} {_things(look).lower()}."
    return f"{text}\n\n{_BY_EYE}"


def sentence(text: str) -> str:
    """A short answer as a sentence: "yes" becomes "Yes."."""
    text = text.strip().rstrip(". ")
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith(("!", "?")) else ".")


def _pointed(things: str, boxes: Sequence[Box], size: tuple[int, int]) -> str:
    if not boxes:
        return f"{things}: nothing like that was found, which is no proof that there is none."
    if len(boxes) == 1:
        return f"{things}: found once, {_place(boxes[0], size)}; marked on the picture."
    places = list(dict.fromkeys(_place(box, size) for box in boxes))
    where = f", {' and '.join(places)}" if len(places) < 3 else ""
    return f"{things}: found {len(boxes)} times{where}; marked on the picture."


def _place(box: Box, size: tuple[int, int]) -> str:
    """In which of nine parts of the picture the middle of a box lies."""
    column = min(2, int(3 * (box.left + box.right) / 2 / size[0]))
    row = min(2, int(3 * (box.top + box.bottom) / 2 / size[1]))
    if (row, column) == (1, 1):
        return "in the middle"
    up, across = ("upper", "", "lower")[row], ("left", "", "right")[column]
    if up and across:
        return f"in the {up} {across}"
    return f"in the {up} middle" if up else f"in the middle on the {across}"


def _guess(reading: Reading) -> str:
    """What the model would have said, with what it weighed against it."""
    if not reading.text or (reading.confidence is not None and reading.confidence < _WORTH):
        return ""
    weighed = [pair for pair in reading.alternatives if pair[0] != reading.text]
    others = [f"{text} ({share:.2f})" for text, share in weighed[:2] if share >= _WEIGHED]
    sure = "" if reading.confidence is None else f" ({reading.confidence:.2f})"
    also = f"; it also weighed {' and '.join(others)}" if others else ""
    return f"{_GUESSED}{reading.text.rstrip('.')}{sure}{also}."


def guess_in(text: str) -> tuple[str, float | None]:
    """The guess that an unsure answer names, "" where none, and its probability where that is told.

    Args:
        text: from `answer_text`.
    """
    found = _GUESS.search(text)
    if found is None:
        return "", None
    return found[1], None if found[2] is None else float(found[2])


def answer_text(
    reading: Mapping[str, Any],
    names: Mapping[str, str],
    target: str | None,
    gsd: float | None,
    mind: Sequence[str] = (),
    *,
    areas: bool = True,
) -> str:
    """The text of an answer.

    Args:
        reading: from `reading_of`, with `measurable` where it is not sure.
        names: of scenes, by id.
        target: of the plan.
        gsd: metres per pixel of the scene, or None.
        mind: warnings.
        areas: whether the scenes have coordinates, without which there are only shares.
    """
    if reading["sure"]:
        how = "" if reading["confidence"] is None else f"How sure: {reading['confidence']:.2f}"
        parts = [reading["said"], how]
    else:
        helps = _helps(reading, names, target, gsd, areas)
        parts = [f"{NOT_SURE}: {reading['doubt']}.", reading["guess"]]
        parts.append("\n".join(["What would help:", *(f"- {line}" for line in helps)]))
    if mind:
        parts.append("\n".join(["Mind:", *(f"- {line}" for line in mind)]))
    return "\n\n".join(part for part in parts if part)


def _helps(
    reading: Mapping[str, Any], names: Mapping[str, str], target: str | None, gsd: float | None,
    areas: bool,
) -> list[str]:  # fmt: skip
    """What would make an unsure answer a sure one, or a measured one."""
    measurable: Mapping[str, Sequence[str]] = reading.get("measurable", {})
    lines = []
    if any(measurable.values()):
        lines.append(f"Measure instead, for instance: {examples(measurable, target, areas)}")
        if target is None or not any(target in found for found in measurable.values()):
            by_targets: dict[tuple[str, ...], list[str]] = {}
            for scene, found in measurable.items():
                by_targets.setdefault(tuple(found), []).append(names.get(scene, scene))
            lines += [
                f"Measurable on {', '.join(scenes)}: {', '.join(map(plain_noun, found))}."
                for found, scenes in by_targets.items()
                if found
            ]
    if max(reading["size"]) > _LARGE:
        lines.append("Ask about a part of the scene: give a region.")
    if gsd is not None and gsd > 1 and target in ENGLISH_NOUN:
        lines.append(f"A scene with finer pixels; here one is {gsd:.3g} m wide.")
    lines.append("Ask about one thing that shows from above, to be answered with yes or no.")
    return lines


def examples(
    measurable: Mapping[str, Sequence[str]], target: str | None, areas: bool = True
) -> str:
    """Questions that a person can type, about what was asked for where it can be measured."""
    shared = [
        t for t in next(iter(measurable.values())) if all(t in s for s in measurable.values())
    ]
    thing = plain_noun(target if target in shared else (shared or ["vegetation"])[0])
    unit = ", in hectares" if areas else ""
    asked = [f"how much is {thing}{unit}?"]
    if len(measurable) > 1:
        asked = [f"how much has changed{unit}?", f"how much {thing} was gained or lost?"]
    return " or ".join(f'"{question}"' for question in asked)
