"""The check that no planner can talk its way past: can these inputs support this plan?

It runs after every planner. It never invents work; it only turns a plan that the inputs cannot
support into a question or a refusal, and adds warnings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

from terralogue.agent.facts import FINEST_PIXEL, SceneView, by_date, sensors_with, views
from terralogue.agent.plan import Inputs, Plan, ToolCall, result_number
from terralogue.datasets.errors import MissingSlot, RefusalReason

TOOL_TITLES: Final = {
    "describe_scene": "describe a scene's file",
    "segment": "outline and measure a land cover",
    "segment_at_point": "outline a clicked thing",
    "detect_objects": "count objects",
    "compute_index": "compute a spectral index",
    "zonal_statistics": "statistics inside a drawn region",
    "detect_change": "measure change between two dates",
    "time_series": "follow a quantity over several dates",
    "search_archive": "search the archive",
    "search_changes": "search the archive for changes",
    "search_catalog": "search satellite catalogues",
    "export": "export a result",
    "recommend_model": "say which model suits a scene and a target",
}
EXPORT_FORMATS: Final = ("cog", "geojson", "geopackage", "csv", "png")
# Targets that only a learned model tells apart, and the wider one that can stand in for them.
UNMODELLED: Final = {
    "tree_cover": "vegetation", "cropland": "vegetation", "grassland": "vegetation",
    "wetland": "vegetation", "building": "built_up", "road": "built_up", "tree": "vegetation",
}  # fmt: skip
NO_RESULT: Final = "There is no result to export yet: what should be measured?"
_NO_SCENE_NEEDED: Final = frozenset(
    {"search_archive", "search_changes", "search_catalog", "export"}
)


@cache
def index_bands(index: str) -> tuple[str, ...] | None:
    """Bands that a spectral index needs, by spyndex; None where spyndex does not know it."""
    import spyndex  # loads a large table: only when an index is asked for

    name = _SPYNDEX_NAMES.get(index.upper(), index)
    if name not in spyndex.indices:
        return None
    return tuple(b for b in spyndex.indices[name].bands if b in spyndex.bands or b in _RADAR)


# Names that people use, where spyndex has another.
_SPYNDEX_NAMES: Final = {"NDRE": "NDREI", "BSI": "BI"}
_RADAR: Final = frozenset({"VV", "VH", "HH", "HV"})


def refuse(plan: Plan, reason: RefusalReason, message: str) -> Plan:
    """The plan turned into a refusal."""
    return plan.model_copy(
        update={
            "route": "refuse", "calls": (), "reason": reason, "message": message,
            "question": None, "options": (), "missing_slot": None,
        }
    )  # fmt: skip


def ask(plan: Plan, slot: MissingSlot, question: str, options: Sequence[str] = ()) -> Plan:
    """The plan turned into one question."""
    return plan.model_copy(
        update={
            "route": "clarify", "calls": (), "missing_slot": slot, "question": question,
            "options": tuple(options), "reason": None, "message": None,
        }
    )  # fmt: skip


def warn(plan: Plan, warning: str) -> Plan:
    """The plan with one more warning."""
    if warning in plan.warnings:
        return plan
    return plan.model_copy(update={"warnings": (*plan.warnings, warning)})


def check(
    plan: Plan,
    inputs: Inputs,
    tools: frozenset[str] | None = None,
    targets: frozenset[str] | None = None,
    things: frozenset[str] | None = None,
) -> Plan:
    """Test a plan against what the scenes, the archive and the marks on the map can support.

    Args:
        plan: from any planner.
        inputs: everything that is known beside the words.
        tools: names of the installed tools; None skips that test, as a dry run on declared inputs
            does.
        targets: what the installed models can outline; None skips that test.
        things: what the installed detectors can count; None skips that test.

    Returns:
        The plan, perhaps with warnings, or a question or refusal in its place.

    Raises:
        InputError: a declared sensor is not in SENSORS.
    """
    if plan.route == "answer":
        if not inputs.scenes and not inputs.history:
            return refuse(plan, "no_data", "There is no scene to look at; add one and ask again.")
        return plan
    if plan.route != "tools":
        return plan
    if not plan.calls:
        return ask(plan, "intent", "What should be measured?", measurable(tools))
    scenes = {scene.id: scene for scene in views(inputs)}
    for call in plan.calls:
        if call.tool not in TOOL_TITLES:
            return refuse(plan, "out_of_scope", f"There is no tool called {call.tool!r}.")
        plan = _check_call(plan, call, inputs, scenes)
        if plan.route != "tools":
            return plan
    return _check_models(_check_installed(plan, tools, things), targets)


def measurable(tools: frozenset[str] | None) -> tuple[str, ...]:
    """What the installed tools can do, in a few words each."""
    return tuple(title for name, title in TOOL_TITLES.items() if tools is None or name in tools)


def _check_installed(
    plan: Plan, tools: frozenset[str] | None, things: frozenset[str] | None
) -> Plan:
    if tools is None:
        return plan
    if [c.tool for c in plan.calls] == ["detect_objects"]:
        if "detect_objects" not in tools:
            return _look_instead(plan, "no detector is installed here")
        target = str(plan.calls[0].arguments.get("target"))
        if things is not None and target not in things:
            return _look_instead(plan, f"no detector here finds {target.replace('_', ' ')}")
    for call in plan.calls:
        if call.tool not in tools:
            able = "; ".join(measurable(tools)) or "nothing yet"
            return refuse(
                plan,
                "out_of_scope",
                f"No tool is installed here to {TOOL_TITLES[call.tool]}; what can be done: {able}.",
            )
    return plan


def _look_instead(plan: Plan, why: str) -> Plan:
    """Things that no detector finds are looked for by eye: the answer is an estimate."""
    text = f"{plan.interpretation}, by eye: {why}"
    scene = plan.calls[0].arguments["scene"]
    return plan.model_copy(
        update={"route": "answer", "calls": (), "interpretation": text, "scenes": (scene,)}
    )


def _check_models(plan: Plan, targets: frozenset[str] | None) -> Plan:
    if targets is None or plan.route != "tools":
        return plan
    for call in plan.calls:
        form = call.arguments.get("format", "cog")
        if call.tool == "export" and form not in EXPORT_FORMATS:
            return refuse(
                plan, "out_of_scope",
                f"A {form} cannot be written here; {', '.join(EXPORT_FORMATS)} can.",
            )  # fmt: skip
        target = call.arguments.get("target", call.arguments.get("quantity"))
        if call.tool == "detect_objects":
            continue
        if target in UNMODELLED and target not in targets:
            noun, wider = str(target).replace("_", " "), UNMODELLED[target]
            return refuse(
                plan, "out_of_scope",
                f"No method here can tell {noun} from other {wider.replace('_', ' ')} yet. All of "
                f"the {wider.replace('_', ' ')} together can be measured: ask for that instead.",
            )  # fmt: skip
    return plan


def _used(call: ToolCall, scenes: dict[str, SceneView]) -> list[SceneView] | str:
    """The scenes a call names, or the first name that is not a scene."""
    named: list[Any] = [
        call.arguments.get(key) for key in ("scene", "before", "after", "reference")
    ]
    listed = call.arguments.get("scenes")
    named += listed if isinstance(listed, list | tuple) else []
    ids = [str(name) for name in named if name is not None]
    for name in ids:
        if name not in scenes:
            return name
    return [scenes[name] for name in ids]


def _check_call(plan: Plan, call: ToolCall, inputs: Inputs, scenes: dict[str, SceneView]) -> Plan:
    if call.tool not in _NO_SCENE_NEEDED and not scenes:
        return refuse(plan, "no_data", "There is no scene to measure on; add one and ask again.")
    used = _used(call, scenes)
    if isinstance(used, str):
        known = ", ".join(scenes) or "none"
        return refuse(plan, "no_data", f"There is no scene {used!r} here; the scenes are: {known}.")
    plan = _CHECKS.get(call.tool, _nothing)(plan, call, inputs, used)
    if plan.route == "tools" and call.arguments.get("unit"):
        plan = _check_units(plan, used)
    return plan


def _nothing(plan: Plan, call: ToolCall, inputs: Inputs, used: list[SceneView]) -> Plan:
    return plan


def _check_units(plan: Plan, used: list[SceneView]) -> Plan:
    if all(scene.facts.georeferenced for scene in used):
        return plan
    calls = tuple(
        c.model_copy(update={"arguments": {k: v for k, v in c.arguments.items() if k != "unit"}})
        for c in plan.calls
    )
    return warn(
        plan.model_copy(update={"calls": calls}),
        "The image has no coordinate reference system, so area units are unavailable: "
        "the answer is a share of the image.",
    )


def ask_sensor(plan: Plan, scene: SceneView) -> Plan:
    """The plan turned into the question which sensor a scene is of."""
    question = scene.facts.sensor_question or f"Which sensor took {scene.title}?"
    return ask(plan, "sensor", question, scene.facts.sensor_options)


def _check_target(plan: Plan, target: str | None, used: list[SceneView], tool: str) -> Plan:
    for scene in used:
        if scene.open_sensor:
            return ask_sensor(plan, scene)
        if scene.elevation:
            return refuse(
                plan, "sensor", f"{scene.title} holds heights only; land cover needs an image."
            )
        if target == "cloud" and scene.radar:
            return refuse(
                plan, "sensor",
                "Radar sees through cloud; a cloud mask needs an optical scene such as Sentinel-2.",
            )  # fmt: skip
        if target is None:
            continue
        large = target == "solar_panel" and tool != "detect_objects"
        if not large and not scene.resolves(target):
            noun = target.replace("_", " ")
            return refuse(
                plan, "resolution",
                f"A pixel of {scene.title} is {scene.gsd:g} m wide; to tell a single {noun} apart "
                f"it takes about {FINEST_PIXEL[target]:g} m or finer.",
            )  # fmt: skip
        if target in FINEST_PIXEL and scene.gsd is None:
            plan = warn(plan, "The pixel size is unknown; small things may be missed.")
    return plan


def _check_index(plan: Plan, index: str, scene: SceneView) -> Plan:
    if scene.open_sensor:
        return ask_sensor(plan, scene)
    needed = index_bands(index)
    if needed is None:
        return plan
    lacking = scene.missing(needed)
    if not lacking:
        return plan
    kind = "radar backscatter" if scene.radar else ", ".join(sorted(scene.bands)) or "no known band"
    helps = ", ".join(sensors_with(needed)) or "another sensor"
    return refuse(
        plan, "sensor",
        f"{index} needs the bands {', '.join(needed)}; {scene.title} has {kind} and lacks "
        f"{', '.join(lacking)}. A scene from {helps} would make it possible.",
    )  # fmt: skip


def _target_of(call: ToolCall) -> str | None:
    target = call.arguments.get("target")
    return None if target in (None, "any") else str(target)


def _segment(plan: Plan, call: ToolCall, inputs: Inputs, used: list[SceneView]) -> Plan:
    return _check_target(plan, _target_of(call), used, call.tool)


def _at_point(plan: Plan, call: ToolCall, inputs: Inputs, used: list[SceneView]) -> Plan:
    if inputs.point is None:
        return ask(plan, "target", "No point has arrived: what should be outlined? Click on it.")
    return plan


def _index(plan: Plan, call: ToolCall, inputs: Inputs, used: list[SceneView]) -> Plan:
    for scene in used:
        plan = _check_index(plan, str(call.arguments.get("index")), scene)
        if plan.route != "tools":
            return plan
    return plan


def _zonal(plan: Plan, call: ToolCall, inputs: Inputs, used: list[SceneView]) -> Plan:
    if inputs.region is None:
        return ask(plan, "region", "No region has arrived: draw the area that is meant.")
    return _index(plan, call, inputs, used) if call.arguments.get("index") else plan


def _comparable(plan: Plan, used: list[SceneView]) -> Plan:
    """Scenes whose values can be set against each other."""
    for scene in used:
        if scene.open_sensor:
            return ask_sensor(plan, scene)
    shared = frozenset.intersection(*(scene.bands for scene in used))
    if not shared and len({scene.radar for scene in used}) > 1:
        titles = " and ".join(scene.title for scene in used[:2])
        return refuse(
            plan, "sensor",
            f"{titles} share no usable band, so they cannot be compared; take two scenes of one "
            "sensor.",
        )  # fmt: skip
    return plan


def _change(plan: Plan, call: ToolCall, inputs: Inputs, used: list[SceneView]) -> Plan:
    if len({scene.id for scene in used}) < 2:
        return ask(plan, "second_scene", "Change takes two dates: which earlier or later scene?")
    plan = _comparable(plan, used)
    if plan.route != "tools":
        return plan
    ordered = by_date(used)
    if ordered is None:
        unknown = next(scene for scene in used if scene.facts.date is None)
        return ask(plan, "time", f"When was {unknown.facts.name or unknown.id} taken (YYYY-MM-DD)?")
    before, after = used[0], used[1]
    if (before.facts.date or "") > (after.facts.date or ""):
        swapped = {**call.arguments, "before": after.id, "after": before.id}
        calls = tuple(
            c.model_copy(update={"arguments": swapped}) if c is call else c for c in plan.calls
        )
        plan = plan.model_copy(update={"calls": calls})
    return _check_target(plan, _target_of(call), used, call.tool)


def _series(plan: Plan, call: ToolCall, inputs: Inputs, used: list[SceneView]) -> Plan:
    if len(used) < 3:
        return ask(plan, "second_scene", "A series takes at least three dated scenes: add more.")
    plan = _comparable(plan, used)
    if plan.route != "tools":
        return plan
    if by_date(used) is None:
        unknown = next(scene for scene in used if scene.facts.date is None)
        return ask(plan, "time", f"When was {unknown.facts.name or unknown.id} taken (YYYY-MM-DD)?")
    quantity = str(call.arguments.get("quantity"))
    if quantity.isupper():
        for scene in used:
            plan = _check_index(plan, quantity, scene)
            if plan.route != "tools":
                return plan
        return plan
    return _check_target(plan, quantity, used, call.tool)


def _archive(plan: Plan, call: ToolCall, inputs: Inputs, used: list[SceneView]) -> Plan:
    if not inputs.archive:
        return refuse(
            plan, "no_data",
            "No archive has been indexed here; `terralogue index add` makes one to search.",
        )  # fmt: skip
    return plan


def _catalog(plan: Plan, call: ToolCall, inputs: Inputs, used: list[SceneView]) -> Plan:
    if not (call.arguments.get("place") or call.arguments.get("bbox")):
        return ask(plan, "place", "Which place is meant?")
    if not call.arguments.get("period"):
        return ask(plan, "time", "For which dates?")
    return plan


def _export(plan: Plan, call: ToolCall, inputs: Inputs, used: list[SceneView]) -> Plan:
    before = result_number(str(call.arguments.get("artefact", "")))
    if before is not None:
        if before <= plan.calls.index(call):
            return plan
        return ask(plan, "target", NO_RESULT)
    if inputs.last_artefact is None and not inputs.history:
        return ask(plan, "target", NO_RESULT)
    return plan


_CHECKS: Final[dict[str, Callable[[Plan, ToolCall, Inputs, list[SceneView]], Plan]]] = {
    "segment": _segment,
    "detect_objects": _segment,
    "segment_at_point": _at_point,
    "compute_index": _index,
    "zonal_statistics": _zonal,
    "detect_change": _change,
    "time_series": _series,
    "search_archive": _archive,
    "search_changes": _archive,
    "search_catalog": _catalog,
    "export": _export,
}
