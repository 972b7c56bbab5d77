"""Plan templates for what is not measured on the scenes: looking, searching, declining."""

from __future__ import annotations

import re
from typing import Final

from terralogue.agent import places
from terralogue.agent.plan import Plan
from terralogue.agent.questions import Question
from terralogue.agent.seeking import Sought, bounds, sought
from terralogue.agent.wanted import (
    Wanted,
    call,
    no_scene,
    plan_of,
    question,
    refusal,
)
from terralogue.agent.words import word_set

LOOK: Final = "Look at the image and answer in words"
_COLOUR: Final = word_set(
    "colour color colours colors coloured colored green greener brown browner blue red yellow "
    "turquoise murky muddy orange grey gray pink black verde verdes vert verte rot braun blau"
)
_TWO: Final = ("two images", "two pictures", "two scenes", "both images",
               "which image", "which picture", "other image", "other scene", "which scene",
               "both scenes", "both pictures", "which date", "which of the dates")  # fmt: skip
_BAND_WORDS: Final = {"infrared": "N", "nir": "N", "swir": "S1", "shortwave": "S1"}
_HEAT: Final = word_set(
    "hot warm cold temperature temperatures heat lst thermal temperatur chaud chaude caliente "
    "temperatura quente caldo calda"
)
_HEIGHT: Final = word_set(
    "height heights high altitude elevation elevations hohe hoch hauteur altura altitud altezza "
    "alto alta haut slope slopes terrain"
)
# One date held against another that is not here: "greener than last year".
_REMEMBERED: Final = re.compile(
    r"\bthan (it (was|used to be)|before|last|(a|one|two|the) (\w+ )?"
    r"(years?|months?|weeks?|summers?|winters?) (ago|before)|the previous|in (19|20)\d\d)\b"
)
_THANKS: Final = word_set("thanks thank thx merci danke gracias obrigado obrigada grazie cheers")
_WITH_THANKS: Final = word_set(
    "you no very much a lot many so ok okay great perfect good super beaucoup bien schon dir ihnen "
    "vielen muchas mille tante muito ja non nein nao que that s all"
)
_TOO_FINE_TO_SEE: Final = frozenset({"vehicle", "aircraft"})
_INTENT_OPTIONS: Final = (
    "describe what is in the image", "measure a land cover (which?)", "compute a vegetation index",
    "compare two dates",
)  # fmt: skip


def look(wanted: Wanted) -> Plan:
    """Look at the image and answer in words."""
    purpose = LOOK
    if empty := no_scene(wanted, purpose):
        return empty
    words = wanted.question.english
    if wanted.asks_region and wanted.inputs.region is None:
        return question(purpose, "region", "No region has arrived: which area is meant?")
    if wanted.asks_point and wanted.inputs.point is None:
        return question(purpose, "target", "No click has arrived: which thing is meant?")
    if _COLOUR & set(wanted.question.tokens) and all(s.radar for s in wanted.scenes):
        return refusal(
            purpose, "sensor",
            "Radar records roughness and moisture, no colour; an optical scene such as Sentinel-2 "
            "shows it.",
        )  # fmt: skip
    if lacks := _missing_bands(wanted):
        return refusal(
            purpose, "sensor",
            f"That takes the bands {', '.join(lacks)}, which {wanted.meant.title} does not have.",
        )  # fmt: skip
    compares = any(pair in words for pair in _TWO) or _REMEMBERED.search(words)
    if compares and len(wanted.scenes) < 2:
        return question(purpose, "second_scene", "Which second scene should it be compared to?")
    if wanted.target in _TOO_FINE_TO_SEE and not any(
        s.gsd is None or s.gsd < 10 for s in wanted.scenes
    ):
        return refusal(
            purpose, "resolution",
            f"A pixel here is {wanted.meant.gsd:g} m wide, too coarse to see a {wanted.noun}.",
        )  # fmt: skip
    return plan_of(f"{purpose}: {wanted.question.text.strip()}", target=wanted.target)


def _missing_bands(wanted: Wanted) -> tuple[str, ...]:
    """Bands that the words ask to look at and that the scene lacks."""
    asked = [band for word, band in _BAND_WORDS.items() if word in wanted.question.tokens]
    return () if wanted.meant.open_sensor else wanted.meant.missing(asked)


def look_change(wanted: Wanted) -> Plan:
    """Describe change in words."""
    purpose = "Describe in words what changed between the scenes"
    if empty := no_scene(wanted, purpose):
        return empty
    if len(wanted.scenes) < 2:
        return question(
            purpose, "second_scene", "Change shows only against another date: add that scene."
        )
    scenes = tuple(scene.id for scene in wanted.scenes)
    return plan_of(purpose).model_copy(update={"scenes": scenes})


def explain(wanted: Wanted) -> Plan:
    """Explain an earlier result."""
    if wanted.inputs.history:
        return plan_of("Explain the earlier result").model_copy(update={"task": "explain"})
    return look(wanted)


def metadata(wanted: Wanted) -> Plan:
    """Say what the file itself tells."""
    purpose = "Read from the file what it says of sensor, bands, resolution, date and projection"
    if empty := no_scene(wanted, purpose):
        return empty
    return plan_of(purpose, call(wanted, "describe_scene", scene=wanted.meant.id))


def archive(wanted: Wanted) -> Plan:
    """Search the archive by words or by a scene."""
    purpose = "Search the archive for matching scenes"
    if not wanted.inputs.archive:
        return refusal(
            purpose, "no_data",
            "No archive has been indexed here; `terralogue index add` makes one to search.",
        )  # fmt: skip
    what = sought(wanted.question)
    like = "similar" in wanted.question.cues or not what.phrase
    if like and wanted.scenes:
        region = wanted.inputs.region
        part = "the drawn part of " if region is not None else ""
        return plan_of(
            f"{purpose}: like {part}{wanted.meant.title}",
            call(
                wanted, "search_archive", scene=wanted.meant.id, region=region, **what.filters
            ),
        )  # fmt: skip
    if not what.phrase:
        return question(
            purpose, "target", "Which scene should they look like? Add it, or say what to find."
        )
    return plan_of(
        f"{purpose}: {what.phrase}{_filtered(what)}",
        call(wanted, "search_archive", text=what.phrase, bbox=_box(wanted), **what.filters),
    )


def _filtered(what: Sought) -> str:
    parts = [
        f"from {what.period}" if what.period else "",
        f"by {what.sensor}" if what.sensor else "",
    ]
    return "".join(f", {part}" for part in parts if part)


def _box(wanted: Wanted) -> list[float] | None:
    """Of the drawn region, where that is in degrees and not in pixels of a picture."""
    region = wanted.inputs.region
    on_ground = all(scene.facts.georeferenced for scene in wanted.scenes)
    return bounds(region) if region is not None and on_ground else None


def archive_changes(wanted: Wanted) -> Plan:
    """Search the archive for pairs by a described change."""
    purpose = "Search the archive for pairs with the described change"
    if not wanted.inputs.archive:
        return refusal(
            purpose, "no_data",
            "No archive has been indexed here; `terralogue index add` makes one to search.",
        )  # fmt: skip
    what = sought(wanted.question, change=True)
    if not what.phrase:
        return question(purpose, "target", "Which change should they show?")
    return plan_of(
        f"{purpose}: {what.phrase}{_filtered(what)}",
        call(wanted, "search_changes", text=what.phrase, bbox=_box(wanted), **what.filters),
    )


def catalog(wanted: Wanted) -> Plan:
    """Search satellite catalogues by place and time."""
    text = wanted.question.text
    purpose = "Find satellite scenes of a place and time"
    place, period = places.place(text), places.period(text)
    here = wanted.scenes and place is None
    if place is None and not here:
        return question(purpose, "place", "Which place is meant?")
    if place is not None and (options := places.readings(text, place)):
        return question(purpose, "place", f"Which {place} is meant?", options)
    if period is None:
        return question(purpose, "time", "For which dates?")
    where = place or f"the ground of {wanted.meant.id}"
    return plan_of(
        f"Find satellite scenes of {where}, {period}",
        call(wanted, "search_catalog", place=where, period=period),
    )


def vague(wanted: Wanted) -> Plan:
    """Ask what is wanted."""
    return question(
        "Not clear yet what is wanted", "intent", "What would you like to know?", _INTENT_OPTIONS
    )


def is_thanks(asked: Question) -> bool:
    """Whether a turn is thanks and nothing else."""
    said = set(asked.text_tokens)
    return bool(said & _THANKS) and said <= _THANKS | _WITH_THANKS


def welcome() -> Plan:
    """Answer thanks, and ask what else is wanted."""
    return question(
        "Thanks", "intent", "You are welcome. What else would you like to know?", _INTENT_OPTIONS
    )


def sensor(wanted: Wanted) -> Plan:
    """Decline a quantity that no band records."""
    words = set(wanted.question.tokens)
    if _HEAT & words and (warm := next((s for s in wanted.scenes if s.thermal), None)):
        return refusal(
            "Measure surface temperature", "sensor",
            f"{warm.title} has a thermal band, but no tool here turns it into a temperature. Land "
            "cover, indices and change can be measured here.",
        )  # fmt: skip
    if _HEIGHT & words and (heights := next((s for s in wanted.scenes if s.elevation), None)):
        return refusal(
            "Measure heights", "sensor",
            f"{heights.title} holds heights, but no tool here summarises them. Land cover, indices "
            "and change can be measured on images.",
        )  # fmt: skip
    return refusal(
        "Measure a quantity that these scenes do not record", "sensor",
        "These bands do not record that quantity (depth, height, temperature, gases and the like); "
        "a sensor made for it is needed. Land cover, indices and change can be measured here.",
    )  # fmt: skip


def tiny(wanted: Wanted) -> Plan:
    """Decline what is smaller than a pixel."""
    return refusal(
        "Look for something smaller than a pixel", "resolution",
        "That is smaller than these pixels can show; buildings, vehicles or trees are about the "
        "smallest things that can be told apart, and only in the finest imagery.",
    )  # fmt: skip


def scope(wanted: Wanted) -> Plan:
    """Decline what imagery cannot settle."""
    return refusal(
        "A question that imagery cannot settle", "out_of_scope",
        "That cannot be read from a satellite or aerial scene. What a scene shows, how much of it, "
        "and how it changed can be answered.",
    )  # fmt: skip


def unsafe(wanted: Wanted) -> Plan:
    """Decline what would do harm."""
    return refusal(
        "A request that is declined",
        "unsafe",
        "That is not something to help with. Questions about what a scene shows are welcome.",
    )
