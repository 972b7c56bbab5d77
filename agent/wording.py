"""What a tool found, in a sentence or two: one function per tool, figures from the result alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from terralogue.agent.figures import number, quantity

Result = Mapping[str, Any]


def describe(result: Result, *, confined: bool = False) -> str:
    """What a result says, for people.

    Args:
        result: a typed tool result as JSON.
        confined: whether it is about a region rather than the whole scene.
    """
    return _SENTENCES.get(str(result["tool"]), _listed)(result, confined)


def _segment(result: Result, confined: bool) -> str:
    size, share = _first(result, "area", "pixels"), _first(result, "share")
    if size is None or share is None:
        return _listed(result, confined)
    of = "what could be seen"
    if size["unit"] == "px":
        text = f"{size['label']} covers {_said(share)} of {of} ({number(size['value'])} pixels)."
    else:
        text = f"{size['label']} covers {_said(size)}, {_said(share)} of {of}."
    return f"{text} {_visibility(result, confined)}".rstrip()


def _visibility(result: Result, confined: bool) -> str:
    """How much was seen, and how much was hidden."""
    seen, hidden = _first(result, "observed_share"), _first(result, "hidden_area", "hidden_pixels")
    if seen is None or hidden is None:
        return ""
    whole = "region" if confined else "scene"
    if hidden["value"] == 0:
        return f"All of the {whole} could be seen."
    unit = "pixels" if hidden["unit"] == "px" else hidden["unit"]
    return (
        f"{_said(seen)} of the {whole} could be seen; {quantity(hidden['value'], unit)} "
        "was hidden by cloud or had no data."
    )


def _scene(result: Result, confined: bool) -> str:
    parts = [
        f"{number(result['width'])} by {number(result['height'])} pixels",
        f"{len(result['bands'])} bands" if len(result["bands"]) > 1 else "one band",
    ]
    if result["gsd"] is not None:
        parts.append(f"{number(result['gsd'])} m per pixel")
    parts.append(result["crs"] or "no coordinate reference system")
    parts.append(f"taken {result['time']}" if result["time"] else "date unknown")
    if not result["calibrated"]:
        parts.append("uncalibrated digital numbers")
    sensor = f"a {result['sensor_title']} scene" if result["sensor"] else "a scene"
    text = f"{result['name']} is {sensor}: {', '.join(parts)}."
    if result["sensor_reason"]:
        text += f" The sensor: {result['sensor_reason'].rstrip('.')}."
    troubles = [check for check in result["checks"] if check["level"] != "PASS"]
    lines = [f"- {check['level']}: {check['message']}" for check in troubles]
    return "\n".join(
        [text, *([_listed(result, confined)] if result["measurements"] else []), *lines]
    )


def _exported(result: Result, confined: bool) -> str:
    titles = ", ".join(artefact["title"] for artefact in result["artefacts"])
    return f"Written as {result['format']}: {titles}."


def _listed(result: Result, confined: bool) -> str:
    """Every measurement on a line of its own."""
    lines = [f"- {m['label'] or m['name']}: {_said(m)}" for m in result["measurements"]]
    return "\n".join([f"{result['title']}:", *lines] if lines else [f"{result['title']}."])


def _first(result: Result, *names: str) -> Mapping[str, Any] | None:
    return next((m for m in result["measurements"] if m["name"] in names), None)


def _said(measurement: Mapping[str, Any]) -> str:
    return quantity(measurement["value"], measurement["unit"])


# Tool → its sentence; a tool without one gets a list of its measurements.
_SENTENCES: Final[dict[str, Callable[[Result, bool], str]]] = {
    "segment": _segment,
    "describe_scene": _scene,
    "export": _exported,
}
