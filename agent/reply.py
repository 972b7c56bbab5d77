"""A person's reply to a question: which option it picks, which dates it names, what it changes."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from terralogue.agent.state import Message, State, Update
from terralogue.agent.world import World
from terralogue.datasets.errors import InputError

_DATE = re.compile(r"(?<!\d)(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)")
_COMPACT = re.compile(r"(?<!\d)((?:19|20)\d{2})(\d{2})(\d{2})(?!\d)")
# Bands in the words of a reply, by their spyndex short names.
_BANDS = {
    "red edge": "RE1", "near infrared": "N", "near-infrared": "N", "nir": "N", "infrared": "N",
    "swir 1": "S1", "swir1": "S1", "swir 2": "S2", "swir2": "S2", "swir": "S1", "red": "R",
    "green": "G", "blue": "B", "coastal": "A",
}  # fmt: skip
_BAND = re.compile(rf"\b({'|'.join(_BANDS)})\b", re.IGNORECASE)
# Below this, two words are rather two words than one with a slip in it.
_ALIKE = 0.8
# A longer reply says more than the option that it mentions.
_SHORT = 4


def pick(reply: str, options: Sequence[str]) -> str | None:
    """The option that a reply means, or None: by its text, its number from 1, a part, or a slip.

    Letters and digits count, spelling of the rest does not: "Sentinel-2 L2A" is sentinel2_l2a.
    """
    plain = [_plain(option) for option in options]
    said = _plain(reply)
    if not said:
        return None
    if said in plain:
        return options[plain.index(said)]
    number = re.fullmatch(r"\s*(?:option\s*)?[#(]?(\d{1,2})[.)]?\s*", reply, re.IGNORECASE)
    if number:
        place = int(number[1]) - 1
        return options[place] if 0 <= place < len(options) else None
    runs = _runs(reply)
    held = [option for option, text in zip(options, plain, strict=True) if text in runs]
    if longest := max(held, key=len, default=None):
        return longest
    holding = [option for option, text in zip(options, plain, strict=True) if said in text]
    if holding:
        return holding[0] if len(holding) == 1 and len(said) > 2 else None
    near = difflib.get_close_matches(said, plain, n=2, cutoff=_ALIKE)
    return options[plain.index(near[0])] if len(near) == 1 else None


def dates(reply: str) -> list[str]:
    """The calendar days that a reply names, as YYYY-MM-DD in their order.

    Year first, as 2021-05-03, 2021/5/3 or 20210503; other orders are ambiguous and not read.
    """
    found = [match for pattern in (_DATE, _COMPACT) for match in pattern.finditer(reply)]
    days = []
    for match in sorted(found, key=lambda match: match.start()):
        try:
            days.append(date(*map(int, match.groups())).isoformat())
        except ValueError:
            continue
    return days


def _plain(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def _runs(text: str) -> set[str]:
    """Words and neighbouring words together, as `_plain` writes them."""
    words = [_plain(word) for word in re.findall(r"[^\W_]+", text)]
    spans = itertools.combinations(range(len(words) + 1), 2)
    return {"".join(words[start:stop]) for start, stop in spans if stop - start <= _SHORT}


def replied(world: World, state: State, given: Mapping[str, Any]) -> Update:
    """What a reply changes: a scene's sensor or date, the selection, or the wording.

    Args:
        world: where sensors and dates are kept.
        state: of the turn that waits.
        given: `reply` (text, perhaps empty) and what came with it: `scenes`, `region`, `point`.
    """
    stop = state["stop"] or {}
    reply, options = str(given["reply"]), [str(option) for option in stop.get("options", ())]
    question = state["wordings"][0]
    update: Update = {
        "messages": [Message(role="user", content=reply)] if reply else [],
        "wordings": [question],
        "answer": None,
        "stop": None,
    }
    update |= {key: given[key] for key in ("scenes", "region", "point") if key in given}
    if not reply:
        return update
    settle = {"sensor": _settle_sensor, "time": _settle_time}.get(stop["slot"])
    notes = settle(world, state, reply, options) if settle else None
    if notes is not None:
        return update | {"notes": [*state["notes"], *notes]}
    chosen = pick(reply, options) if len(reply.split()) <= _SHORT else None
    joined = f"{question.rstrip(' ?.!')}: {chosen or reply}"
    return update | {"wordings": [joined] if chosen else [joined, reply]}


def _settle_sensor(world: World, state: State, reply: str, options: list[str]) -> list[str] | None:
    """Keep the sensor for the scene in question and those that look just like it; None: no sensor.

    Scenes of one thread with the same open question are taken for the same sensor, and each is
    named in the answer.
    """
    unknown = [scene for scene in world.facts(state["scenes"]) if scene.sensor is None]
    alike = [scene for scene in unknown if list(scene.sensor_options) == options] or unknown
    # A colon begins the order of the bands, as in landsat5:S1,N,R,G.
    chosen = None if ":" in reply else pick(reply, options)
    sensor = f"{chosen}{_order(reply)}" if chosen else reply.strip()
    try:
        for scene in alike:
            world.set_sensor(scene.id, sensor)
    except InputError as error:
        # A sensor that does not fit is said, or the same question would come without a reason.
        return [str(error)] if chosen else None
    return [f"{scene.name} was read as {sensor}, as you said." for scene in alike]


def _order(reply: str) -> str:
    """The order of the bands that a reply names in words, as in ":S1,N,R,G"; "" for none."""
    named = [_BANDS[found.lower()] for found in _BAND.findall(reply)]
    return f":{','.join(named)}" if len(named) > 1 else ""


def _settle_time(world: World, state: State, reply: str, options: list[str]) -> list[str] | None:
    """Keep the dates for the scenes that lack one, in their order; None: the reply has no date."""
    undated = [scene for scene in world.facts(state["scenes"]) if scene.date is None]
    pairs = list(zip(undated, dates(reply), strict=False))
    for scene, day in pairs:
        world.set_time(scene.id, day)
    return [f"{scene.name} was dated {day}, as you said." for scene, day in pairs] or None
