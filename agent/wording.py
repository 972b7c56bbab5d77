"""What a tool found, in a sentence or two: one function per tool, figures from the result alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from terralogue.agent.figures import number, quantity

Result = Mapping[str, Any]
Figure = Mapping[str, Any]

# Hits in the text; the sheet of thumbnails and the files have all.
_SHOWN: Final = 10
# Kinds of change in the text; the result has all.
_TURNED: Final = 4
# Below this a Mann-Kendall p is commonly called significant.
_SIGNIFICANT: Final = 0.05
# Percent of a scene below which the figures say little about the whole.
_MOSTLY: Final = 60


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
        text = f"{_covers(size['label'])} {_said(share)} of {of} ({_said(size)})."
    else:
        text = f"{_covers(size['label'])} {_said(size)}, {_said(share)} of {of}."
    seen = f"{_visibility(result, confined)}{_agreement(result)}"
    return f"{text}{_between(result)} {seen}".rstrip()


def _covers(label: str) -> str:
    """A class and its verb: "Water covers", "Roads cover", "Snow and ice cover"."""
    several = " and " in label or (label.endswith("s") and not label.endswith("ss"))
    return f"{label} {'cover' if several else 'covers'}"


def _agreement(result: Result) -> str:
    """By optical and by radar, where both were given."""
    optical, radar, both = (
        _first(result, f"{kind}_area", f"{kind}_pixels") for kind in ("optical", "radar", "both")
    )
    share, kappa = _first(result, "agreement"), _first(result, "kappa")
    if not (optical and radar and both and share):
        return ""
    chance = f" (kappa {number(kappa['value'])})" if kappa else ""
    return (
        f" Where both saw, optical finds {_said(optical)} and radar {_said(radar)}, "
        f"{_said(both)} of it in common; they agree on {_said(share)} of the ground{chance}."
    )


def _between(result: Result) -> str:
    """The interval of an area, or of the share of an image without ground, where there is one."""
    names = ("area", "share", "pixels")
    low, high = (_first(result, *(f"{name}_{end}" for name in names)) for end in ("low", "high"))
    return f" It is probably between {_said(low)} and {_said(high)}." if low and high else ""


def _count(result: Result, confined: bool) -> str:
    count, low, high = (_first(result, name) for name in ("count", "count_low", "count_high"))
    if count is None:
        return _listed(result, confined)
    text = f"{number(count['value'])} found" if count["value"] else "none found"
    if low and high and count["value"]:
        least, most = number(low["value"]), number(high["value"])
        text += f", probably between {least} and {most} in all"
    elif high is None:
        text += "; how many were missed is not known"
    elif high["value"]:
        text += f"; there may be up to {number(high['value'])}"
    density = _first(result, "density")
    per = f" That is {number(density['value'])} per hectare." if density else ""
    return f"{count['label']}: {text}.{per} {_visibility(result, confined)}".rstrip()


def _change(result: Result, confined: bool) -> str:
    gain, loss = (_first(result, f"{side}_area", f"{side}_pixels") for side in ("gain", "loss"))
    net = _first(result, "net_area", "net_pixels")
    changed, share = _first(result, "area", "pixels"), _first(result, "share")
    if changed is None or share is None:
        return _listed(result, confined)
    if gain and loss and net:
        text = f"{_said(gain)} gained, {_said(loss)} lost, net change {_said(net)}"
    else:
        text = f"{_said(changed)} changed, {_said(share)} of what could be seen"
    text += f".{_between(result)}"
    if other := _first(result, "other_area", "other_pixels"):
        text += f" Another {_said(other)} changed in other ways."
    if burned := [m for m in result["measurements"] if "_severity_" in m["name"] and m["value"]]:
        kinds = ", ".join(f"{_said(m)} {m['label'].rpartition(', ')[2]}" for m in burned)
        text += f" Of the burn: {kinds}."
    turned = [m for m in result["measurements"] if "_to_" in m["name"] and m["value"]]
    if turned:
        largest = sorted(turned, key=lambda m: -m["value"])[:_TURNED]
        kinds = "; ".join(f"{m['label']}, {_said(m)}" for m in largest)
        text += f" From what to what: {kinds}."
    return f"{result['title']}: {text} {_visibility(result, confined, 'on both dates')}".rstrip()


def _visibility(result: Result, confined: bool, when: str = "") -> str:
    """How much was seen, and how much was hidden."""
    seen, hidden = _first(result, "observed_share"), _first(result, "hidden_area", "hidden_pixels")
    if seen is None:
        return ""
    whole = "the region" if confined else "the scene"
    how = f"could be seen {when}".rstrip()
    if number(seen["value"]) == "100":
        return f"All of {whole} {how}."
    text = f"{_said(seen)} of {whole} {how}"
    text += f"; {_said(hidden)} was hidden by cloud or had no data." if hidden else "."
    return f"{text} What is there is unknown." if seen["value"] < _MOSTLY else text


def _advice(result: Result, confined: bool) -> str:
    """Models that are ready, one a line, and what could be had besides."""
    ready = [model for model in result["models"] if model["ready"]]
    others = [model for model in result["models"] if not model["ready"]]
    text = f"{result['title']}:"
    if result["taken"]:
        text += f" {result['taken']} is taken for this scene."
    if not ready:
        text += " none is ready to use here."
    lines = [f"- {model['name']}: {model['why']}" for model in ready]
    if others:
        names = "; ".join(f"{model['name']} ({model['lacks']})" for model in others[:_SHOWN])
        lines.append(f"- To be had besides: {names}.")
    return "\n".join([text, *lines])


def _index(result: Result, confined: bool) -> str:
    spread = _spread(result)
    if not spread:
        return _listed(result, confined)
    parts = f"{spread}{_parts(result)} {_visibility(result, confined)}"
    return f"{result['title']}: {parts}".rstrip()


def _parts(result: Result) -> str:
    """In which of nine parts an index is lowest and highest, where they can be compared."""
    low, high = _first(result, "lowest_part"), _first(result, "highest_part")
    if not (low and high):
        return ""
    return (
        f" Of nine parts it is lowest in the {result['lowest_in']} ({_said(low)} on average) and "
        f"highest in the {result['highest_in']} ({_said(high)})."
    )


def _spread(result: Result) -> str:
    mean, median, low, high, least, most = (
        _first(result, name) for name in ("mean", "median", "p5", "p95", "minimum", "maximum")
    )
    if not (mean and median and low and high and least and most):
        return ""
    return (
        f"{_said(mean)} on average, median {_said(median)}. Most of it lies between {_said(low)} "
        f"and {_said(high)}, all of it between {_said(least)} and {_said(most)}."
    )


def _zonal(result: Result, confined: bool) -> str:
    """The index in full; of the bands their means, the rest is in the table."""
    lines = [f"{result['title']}:"]
    mean, spread = _first(result, "mean"), _spread(result)
    if mean and spread:
        lines.append(f"- {mean['label'].removesuffix(' mean')}: {spread}")
    bands = [m for m in result["measurements"] if m["name"].endswith("_mean")]
    if bands:
        means = ", ".join(f"{m['name'].removesuffix('_mean')} {_said(m)}" for m in bands)
        lines.append(f"- Means by band: {means}; medians and spreads are in the table.")
    return "\n".join([*lines, f"- {_visibility(result, confined)}"])


def _series(result: Result, confined: bool) -> str:
    slope, p = _first(result, "slope"), _first(result, "p_value")
    first, last = _first(result, "first"), _first(result, "last")
    low, high = _first(result, "slope_low"), _first(result, "slope_high")
    if not (slope and first and last):
        return _listed(result, confined)
    text = f"{result['title']}: from {_said(first)} to {_said(last)}, by {_said(slope)} on average"
    if low and high:
        text += f" (likely between {number(low['value'])} and {number(high['value'])})"
    if p:
        clear = p["value"] < _SIGNIFICANT
        text += ". That is a trend" if clear else ". That is no clear trend"
        text += f" (Mann-Kendall p = {number(p['value'])})"
    return f"{text}.{_season(result)}"


def _season(result: Result) -> str:
    """Whether the latest date is unusual, where earlier years have its season."""
    usual, count = _first(result, "season_median"), _first(result, "season_count")
    away, rank = _first(result, "season_difference"), _first(result, "season_rank")
    if not (usual and count and away and rank):
        return ""
    others = int(count["value"])
    place = {1: ", the lowest of all", others + 1: ", the highest of all"}.get(
        int(rank["value"]), ""
    )
    return (
        f" The latest date differs by {_said(away)} from what is usual in its season "
        f"({_said(usual)}, {others} earlier date{'s' if others > 1 else ''}){place}."
    )


def _scene(result: Result, confined: bool) -> str:
    parts = [f"{number(result['width'])} by {number(result['height'])} pixels"]
    bands = len(result["bands"])
    parts.append("one band" if bands == 1 else f"{bands} bands")
    if result["gsd"] is not None:
        parts.append(f"{number(result['gsd'])} m per pixel")
    parts.append(result["crs"] or "no coordinate reference system")
    parts.append(f"taken {result['time']}" if result["time"] else "date unknown")
    if not result["calibrated"]:
        parts.append("uncalibrated digital numbers")
    kind = result["sensor_title"] if result["sensor"] else "sensor not known"
    lines = [f"{result['name']}: {kind}; {', '.join(parts)}."]
    if result["sensor_reason"]:
        lines.append(f"How the sensor was recognised: {result['sensor_reason'].rstrip('.')}.")
    lines += [f"- {m['label'] or m['name']}: {_said(m)}" for m in result["measurements"]]
    troubles = [check for check in result["checks"] if check["level"] != "PASS"]
    return "\n".join([*lines, *(f"- {check['level']}: {check['message']}" for check in troubles)])


def _search(result: Result, confined: bool) -> str:
    """The hits, one a line, and how far the best one stands out."""
    if not result["hits"]:
        return f"{result['title']}: nothing was found."
    lines = [f"{result['title']}, of {number(result['searched'])} searched:"]
    for hit in result["hits"][:_SHOWN]:
        dates = " to ".join(date for date in (hit["before_date"], hit["date"]) if date)
        known = ", ".join(part for part in (hit["name"], hit["sensor"], dates) if part)
        place = (
            f", from column {hit['window'][0]} and row {hit['window'][1]}" if hit["window"] else ""
        )
        lines.append(f"{hit['rank']}. {known}{place}: score {hit['score']:.3f}")
    above = _first(result, "best_deviations")
    if above is not None:
        lines.append(f"The best score is {_said(above)} above the archive's mean.")
    return "\n".join(lines)


def _exported(result: Result, confined: bool) -> str:
    return f"Exported: {result['title']}."


def _listed(result: Result, confined: bool) -> str:
    """Every measurement on a line of its own."""
    lines = [f"- {m['label'] or m['name']}: {_said(m)}" for m in result["measurements"]]
    return "\n".join([f"{result['title']}:", *lines] if lines else [f"{result['title']}."])


def _first(result: Result, *names: str) -> Figure | None:
    return next((m for m in result["measurements"] if m["name"] in names), None)


def _said(measurement: Figure) -> str:
    unit = str(measurement["unit"])
    return quantity(measurement["value"], "pixels" if unit == "px" else unit)


# Tool → its sentence; a tool without one gets a list of its measurements.
_SENTENCES: Final[dict[str, Callable[[Result, bool], str]]] = {
    "describe_scene": _scene,
    "segment": _segment,
    "detect_objects": _count,
    "compute_index": _index,
    "zonal_statistics": _zonal,
    "detect_change": _change,
    "time_series": _series,
    "search_archive": _search,
    "search_changes": _search,
    "export": _exported,
    "recommend_model": _advice,
}
