"""From what is wanted (an act) and what the scenes support to a plan with tool calls.

An act alone never decides the route: "how much forest was lost" is a measurement with two dates and
a question about the other date with one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from terralogue.agent import lexicon
from terralogue.agent import templates_plain as plain
from terralogue.agent.facts import SceneView, by_date
from terralogue.agent.lexicon import plain_noun
from terralogue.agent.plan import LAST, Plan
from terralogue.agent.questions import Question
from terralogue.agent.wanted import (
    TARGET_OPTIONS,
    Wanted,
    call,
    no_other_scene,
    no_region,
    no_scene,
    plan_of,
    question,
    refusal,
    unknown_date,
)
from terralogue.agent.words import word_set

INDEX_FOR_TARGET: Final = {
    "water": "NDWI", "flooded_area": "NDWI", "vegetation": "NDVI", "tree_cover": "NDVI",
    "cropland": "NDVI", "grassland": "NDVI", "burned_area": "NBR", "snow_ice": "NDSI",
    "built_up": "NDBI", "bare_soil": "BSI", "wetland": "NDMI",
}  # fmt: skip
# What optical and radar scenes both show.
_BY_BOTH: Final = ("water", "flooded_area", "built_up")
_LAND_COVER: Final = ("water", "vegetation", "bare_soil", "built_up")
_EVERY_CLASS: Final = re.compile(
    r"\b(land ?cover|lulc|land ?use|classes|classify|classification)\b"
)
_FORMATS: Final = {
    "geojson": "geojson", "shapefile": "geopackage", "geopackage": "geopackage",
    "gpkg": "geopackage", "csv": "csv",
    "excel": "csv", "spreadsheet": "csv", "table": "csv", "report": "report", "pdf": "report",
    "document": "report", "geotiff": "cog", "cog": "cog", "tiff": "cog", "raster": "cog",
    "vector": "geojson", "polygons": "geojson", "kml": "geojson", "qgis": "geopackage",
    "arcgis": "geopackage",
}  # fmt: skip
UNIT_WORDS: Final = {
    "ha": "hectares", "km2": "square kilometres", "acre": "acres", "m2": "square metres",
}  # fmt: skip
_ON_ONE_SCENE: Final = frozenset({"measure", "count", "index", "zonal"})
_POINTERS: Final = word_set(
    "them they those these there it that this things thing ones one objects items everything "
    "all how many number of count the a in on are is do you see can please here of to and me "
    "give find detect locate every each box boxes"
)


def plan_for(wanted: Wanted) -> Plan:
    """Apply the template of the act; thanks need none."""
    if plain.is_thanks(wanted.question):
        return plain.welcome()
    if wanted.act in _ON_ONE_SCENE and (which := no_other_scene(wanted)):
        return which
    return _TEMPLATES[wanted.act](wanted)


def _inside(wanted: Wanted) -> str:
    return " inside the drawn region" if wanted.inputs.region is not None else ""


def _ask_target(wanted: Wanted, purpose: str) -> Plan:
    text = "What should be measured?" if not wanted.several else "Which of them is meant?"
    return question(purpose, "target", text, () if wanted.several else TARGET_OPTIONS)


def _measure(wanted: Wanted) -> Plan:
    purpose = "Measure an area"
    if empty := no_scene(wanted, purpose):
        return empty
    if wanted.asks_point:
        return _point(wanted)
    if wanted.target is None and wanted.index is not None:
        return _index(wanted)
    if wanted.target is None and wanted.inputs.point is not None:
        return _point(wanted)
    if wanted.target is None and _EVERY_CLASS.search(wanted.question.english):
        return _land_cover(wanted)
    if wanted.target is None or wanted.several:
        return _ask_target(wanted, purpose)
    if open_region := no_region(wanted, purpose):
        return open_region
    scene = wanted.meant
    unit = UNIT_WORDS.get(wanted.unit or "", "hectares" if scene.facts.georeferenced else "")
    amount = f", in {unit}" if unit else ", as a share of the image"
    before = _before(wanted)
    noun, against = wanted.noun, f", against {before.title}" if before else ""
    if wanted.target == "flooded_area" and before is None:
        noun = "under water (one scene cannot tell a flood from permanent water)"
    return plan_of(
        f"Measure how much of {scene.title} is {noun}{against}{_inside(wanted)}{amount}",
        call(
            wanted, "segment", scene=scene.id, target=wanted.target, unit=wanted.unit,
            reference=before.id if before else None,
        ),
        target=wanted.target,
    )  # fmt: skip


def _before(wanted: Wanted) -> SceneView | None:
    """The earlier one of two scenes, where the target is what an event left behind.

    Of an optical and a radar scene the other one: both then measure the target.
    """
    if wanted.other_scene:
        return None
    kinds = {scene.radar for scene in wanted.scenes}
    if wanted.target in _BY_BOTH and len(kinds) == 2 == len(wanted.scenes):
        return next(scene for scene in wanted.scenes if scene.id != wanted.meant.id)
    ordered = by_date(wanted.scenes)
    if wanted.target not in lexicon.EVENTS or ordered is None or len(ordered) != 2:
        return None
    return ordered[0]


def _land_cover(wanted: Wanted) -> Plan:
    """Every class in turn; there is no single tool for a whole land-cover map."""
    scene = wanted.meant
    calls = [
        call(wanted, "segment", scene=scene.id, target=target, unit=wanted.unit)
        for target in _LAND_COVER
    ]
    nouns = ", ".join(target.replace("_", " ") for target in _LAND_COVER)
    return plan_of(f"Map the land cover of {scene.title}{_inside(wanted)}: {nouns}", *calls)


def _count(wanted: Wanted) -> Plan:
    purpose = "Count things"
    if empty := no_scene(wanted, purpose):
        return empty
    target, noun = wanted.target, _noun_phrase(wanted.question)
    if target is not None and target not in lexicon.COUNTABLE:
        if not _counts_another(wanted, noun):
            return _measure(wanted)
        target = noun
    if target is None:
        target = noun
        if target is None:
            return question(
                purpose, "target", "What should be counted?",
                ("buildings", "vehicles", "ships", "trees"),
            )  # fmt: skip
    if open_region := no_region(wanted, purpose):
        return open_region
    scene = wanted.meant
    return plan_of(
        f"Count in {scene.title}{_inside(wanted)}: {_counted(target)}",
        call(wanted, "detect_objects", scene=scene.id, target=target),
        target=target,
    )


def _counted(target: str) -> str:
    noun = lexicon.ENGLISH_NOUN.get(target, plain_noun(target))
    return noun if noun.endswith("s") or target == "aircraft" else f"{noun}s"


def _counts_another(wanted: Wanted, noun: str | None) -> bool:
    """Whether a target only says where other things are: "how many bridges cross the river"."""
    if noun is None or wanted.unit is not None or wanted.question.language != "en":
        return False
    tokens = wanted.question.tokens
    named = {t for m in wanted.question.mentions for t in tokens[m.start : m.stop]}
    return "how_many" in wanted.question.cues and noun not in named


def _noun_phrase(question: Question) -> str | None:
    """The thing to count where it is none of the taxonomy: the words after "how many"."""
    tokens = list(question.tokens)
    for opening in (("how", "many"), ("number", "of"), ("count",), ("find",), ("detect",)):
        n = len(opening)
        for i in range(len(tokens) - n):
            if tuple(tokens[i : i + n]) == opening:
                rest = [t for t in tokens[i + n : i + n + 3] if t not in _POINTERS]
                return lexicon.THING_WORDS.get(rest[0], rest[0]) if rest else None
    rest = [t for t in tokens if t not in _POINTERS]
    return lexicon.THING_WORDS.get(rest[-1], rest[-1]) if rest else None


def _index(wanted: Wanted) -> Plan:
    index = wanted.index or INDEX_FOR_TARGET.get(wanted.target or "", None)
    if index is None:
        index = "NDVI"
    purpose = f"Compute {index}"
    if empty := no_scene(wanted, purpose):
        return empty
    cues = wanted.question.cues
    if "series" in cues and len(wanted.scenes) > 2:
        return _series(replace(wanted, index=index))
    if wanted.asks_region and ("draw" not in cues or wanted.inputs.region is None):
        return _zonal(replace(wanted, index=index))
    scene = wanted.meant
    return plan_of(
        f"Compute {index} of {scene.title}{_inside(wanted)}",
        call(wanted, "compute_index", scene=scene.id, index=index),
        target=wanted.target,
    )


def _change(wanted: Wanted) -> Plan:
    purpose = f"Measure change ({wanted.noun}) between two dates"
    if not wanted.scenes and wanted.inputs.archive:
        return plain.archive_changes(wanted)
    if empty := no_scene(wanted, purpose):
        return empty
    if len(wanted.scenes) < 2:
        return question(
            purpose, "second_scene",
            "One scene alone cannot show what changed: which earlier or later scene belongs to it?",
            ("add the other scene", "measure this date only"),
        )  # fmt: skip
    if len(wanted.scenes) > 2:
        return _series(wanted)
    ordered = by_date(wanted.scenes)
    if ordered is None:
        return unknown_date(wanted.scenes, purpose)
    before, after = ordered
    return plan_of(
        f"Measure change ({wanted.noun}) from {before.title} to {after.title}{_inside(wanted)}",
        call(
            wanted, "detect_change", before=before.id, after=after.id, target=wanted.target,
            unit=wanted.unit,
        ),
        target=wanted.target or "any",
    )  # fmt: skip


def _series(wanted: Wanted) -> Plan:
    quantity = wanted.index or wanted.target or "NDVI"
    if wanted.target and wanted.index and not lexicon.index_is_explicit(wanted.question.tokens):
        quantity = wanted.target
    purpose = f"Follow {quantity.replace('_', ' ')} over the dates"
    if empty := no_scene(wanted, purpose):
        return empty
    if len(wanted.scenes) == 2 and wanted.target is not None:
        return _change(wanted)
    if len(wanted.scenes) < 3:
        return question(purpose, "second_scene", "A series takes several dates: add the others.")
    ordered = by_date(wanted.scenes)
    if ordered is None:
        return unknown_date(wanted.scenes, purpose)
    return plan_of(
        f"{purpose} from {ordered[0].facts.date} to {ordered[-1].facts.date}{_inside(wanted)}",
        call(wanted, "time_series", scenes=[s.id for s in ordered], quantity=quantity),
        target=wanted.target,
    )


def _zonal(wanted: Wanted) -> Plan:
    purpose = "Statistics inside the drawn region"
    if empty := no_scene(wanted, purpose):
        return empty
    if wanted.inputs.region is None:
        return question(purpose, "region", "No region has arrived: draw the area that is meant.")
    index = wanted.index or INDEX_FOR_TARGET.get(wanted.target or "")
    scene = wanted.meant
    return plan_of(
        f"Statistics of {index or 'every band'} in {scene.title} inside the drawn region",
        call(wanted, "zonal_statistics", scene=scene.id, index=index),
        target=wanted.target,
    )


def _point(wanted: Wanted) -> Plan:
    purpose = "Outline the clicked thing"
    if empty := no_scene(wanted, purpose):
        return empty
    if wanted.inputs.point is None:
        return question(purpose, "target", "No click has arrived: which thing is meant?")
    x, y = wanted.inputs.point
    scene = wanted.scenes[0]
    return plan_of(
        f"Outline the thing at the click in {scene.title}",
        call(wanted, "segment_at_point", scene=scene.id, x=x, y=y),
    )


def _coords(wanted: Wanted) -> Plan:
    purpose = "Find positions or lengths on the ground"
    if empty := no_scene(wanted, purpose):
        return empty
    if not wanted.meant.facts.georeferenced:
        return refusal(
            purpose, "georeference",
            "The image has no coordinate reference system, so positions, lengths and a scale "
            "cannot be given; a georeferenced file (GeoTIFF) makes it possible.",
        )  # fmt: skip
    if wanted.asks_point:
        return _point(wanted)
    if wanted.target in lexicon.COUNTABLE:
        return _count(wanted)
    return _measure(wanted) if wanted.target else plain.metadata(wanted)


def _export(wanted: Wanted) -> Plan:
    purpose = "Export the earlier result"
    if wanted.inputs.last_artefact is None and not wanted.inputs.history:
        if wanted.target is not None or wanted.index is not None:
            return _measure(wanted) if wanted.target else _index(wanted)
        return question(
            purpose, "target", "There is no result to export yet: what should be measured?",
            TARGET_OPTIONS,
        )  # fmt: skip
    form = file_format(wanted.question.tokens) or "cog"
    artefact = wanted.inputs.last_artefact or LAST
    return plan_of(f"{purpose} as {form}", call(wanted, "export", artefact=artefact, format=form))


def file_format(tokens: Sequence[str]) -> str | None:
    """The format of a file that folded words name, or None."""
    return next((_FORMATS[word] for word in tokens if word in _FORMATS), None)


_TEMPLATES: Final[dict[str, Callable[[Wanted], Plan]]] = {
    "look": plain.look,
    "look_change": plain.look_change,
    "explain": plain.explain,
    "metadata": plain.metadata,
    "measure": _measure,
    "count": _count,
    "index": _index,
    "change": _change,
    "series": _series,
    "zonal": _zonal,
    "point": _point,
    "archive": plain.archive,
    "archive_changes": plain.archive_changes,
    "catalog": plain.catalog,
    "export": _export,
    "vague": plain.vague,
    "repeat": plain.vague,
    "coords": _coords,
    "sensor": plain.sensor,
    "tiny": plain.tiny,
    "scope": plain.scope,
    "unsafe": plain.unsafe,
}
