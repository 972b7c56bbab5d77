"""Captions of simulated scenes, written from their exact truth; `synthetic_text` exports them."""

from __future__ import annotations

from typing import Final

import numpy as np

from terralogue.datasets.synthetic_render import Simulated
from terralogue.datasets.synthetic_words import (
    COVER,
    NOTABLE,
    THINGS,
    Facts,
    fill,
    many,
    read_facts,
    sensor_words,
    sentence,
    with_article,
)

_Forms = tuple[tuple[str, ...], tuple[str, ...]]

_FRAMES: Final = (
    "{kind} of {body}",
    "{kind} showing {body}",
    "{kind} with {body}",
    "{kind} that shows {body}",
    "{body} in {kind}",
    "{body}, seen in {kind}",
    "this is {kind} of {body}",
    "{body} can be seen in {kind}",
)
# Forms of two phrases: those of the first group have no verb and fit into a frame.
_CROSSED: Final[_Forms] = (
    ("{part} running through {first}", "{first} with {part}", "{first} along {part}",
     "{first} on both sides of {part}", "{part} and {first}", "{part} winding through {first}"),
    ("{part} [crosses|cross:part] {first}", "{part} [winds|wind:part] through {first}",
     "{part} [passes|pass:part] through {first}", "{first} [is|are:first] on both sides of {part}",
     "there [is|are:part] {part} in the middle of {first}",
     "{first} [is|are:first] in two sides of {part}"),
)  # fmt: skip
_BESIDE: Final[_Forms] = (
    ("{first} with {part}", "{part} surrounded by {first}", "{part} next to {first}",
     "{first} around {part}", "{part} and {first}", "{first} close to {part}",
     "{first} near {part}"),
    ("{part} [lies|lie:part] beside {first}", "{part} [is|are:part] surrounded by {first}",
     "there [is|are:part] {part} near {first}", "{part} [is|are:part] close to {first}",
     "{first} [is|are:first] around {part}", "there [is|are:part] {part} with {first} around it"),
)  # fmt: skip
_EVEN: Final[_Forms] = (
    ("{first} and {second}", "{first} next to {second}", "{first} beside {second}",
     "{second} next to {first}", "{first} bordering {second}", "a mix of {first} and {second}",
     "{first} alternating with {second}", "{first} together with {second}"),
    ("the scene is shared by {first} and {second}", "there [is|are:first] {first} and {second}",
     "{first} can be seen beside {second}", "{first} [is|are:first] near {second}",
     "{first} [meets|meet:first] {second}"),
)  # fmt: skip
_UNEVEN: Final[_Forms] = (
    ("{first} with {second}", "mostly {first} with {second}", "{first} and {second}",
     "{first}, and {second} in part of the scene", "mainly {first}, partly {second}",
     "{first} interspersed with {second}", "{first} bordered by {second}"),
    ("a large part of the scene is {first}, another part is {second}",
     "there [is|are:second] {second} among {first}",
     "{first} [dominates|dominate:first], with {second}",
     "{second} can be seen in {first}", "{second} [is|are:second] surrounded by {first}"),
)  # fmt: skip
# Where nothing else is worth a word, and where the rest is left unsaid.
_ALONE: Final[_Forms] = (
    ("{first}", "nothing but {first}", "{first} across the whole image",
     "{first} from edge to edge", "a large area of {first}"),
    ("the whole scene is {first}", "there [is|are:first] only {first} here", "it is all {first}",
     "{first} [covers|cover:first] the whole scene", "{first} [fills|fill:first] the image"),
)  # fmt: skip
_LEADING: Final[_Forms] = (
    ("{first}", "mostly {first}", "a scene of {first}", "a view of {first}"),
    ("the image is dominated by {first}", "there [is|are:first] {first} here",
     "{first} [prevails|prevail:first]", "it is mainly {first}"),
)  # fmt: skip
_THERE: Final = (
    "there [is|are:part] {part}",
    "{part} [is|are:part] visible",
    "{part} can be seen",
    "{part} [is|are:part] in the scene",
    "one can make out {part}",
    "it also shows {part}",
    "the image contains {part}",
    "{part} [stands|stand:part] out",
)
_FURTHER: Final = (
    "there [is|are:part] also {part}",
    "some of it is {part}",
    "{part} can be seen too",
    "a smaller part is {part}",
    "{part} [covers|cover:part] a smaller part",
    "at the edges there [is|are:part] {part}",
    "in places there [is|are:part] {part}",
    "{part} [makes|make:part] up some of the rest",
)
_PLACES: Final = {
    "ship": "on the water",
    "vehicle": "on the ground",
    "aircraft": "on the apron",
    "storage_tank": "on the site",
    "building": "in the scene",
}
_CLOUDY: Final = (
    "large parts are hidden by clouds",
    "clouds cover much of the scene",
    "the scene is very cloudy",
    "thick clouds hide much of the ground",
)
_SOME_CLOUDS: Final = (
    "a few clouds hide part of the ground",
    "some clouds drift over the scene",
    "part of the scene is hidden by clouds",
    "there are some white clouds",
    "clouds and their shadows cover part of it",
)
_SNOWY: Final = (
    "some of the ground is covered with snow",
    "snow lies on the ground",
    "there is snow",
    "open ground is white with snow",
)
_CROSSING: Final = ("river", "highway", "road", "railway")
_LYING: Final = ("lake", "beach", "pond", "bridge")
# Naming these has said that there is water.
_WET: Final = ("river", "lake", "pond")


def captions(scene: Simulated, count: int = 5, seed: int = 0) -> list[str]:
    """Write different captions of a scene.

    Args:
        scene: What to describe.
        count: How many; fewer come back where a bare scene gives no more different ones.
        seed: The same seed gives the same text.
    """
    facts = read_facts(scene)
    rng = np.random.default_rng([seed, scene.seed, 11])
    written: dict[str, None] = {}
    for _ in range(8 * count):
        written.setdefault(_caption(scene, facts, rng))
        if len(written) == count:
            break
    return list(written)


def _caption(scene: Simulated, facts: Facts, rng: np.random.Generator) -> str:
    """One caption: a sentence about what prevails, sometimes others about details and the sky."""
    framed = scene.unit in ("dB", "m") or rng.random() < 0.22
    body, told = _main(facts, rng, noun=framed)
    if framed:
        kind = with_article(str(rng.choice(sensor_words(scene))))
        body = str(rng.choice(_FRAMES)).format(kind=kind, body=body)
    sentences = [body]
    if rng.random() < 0.55:
        sentences += _details(facts, rng, told)[: int(rng.integers(1, 3))]
    if facts.clouds > 0.03 and rng.random() < 0.75:
        sentences.append(str(rng.choice(_CLOUDY if facts.clouds > 0.35 else _SOME_CLOUDS)))
    if facts.snow and "snow_ice" not in told and rng.random() < 0.6:
        sentences.append(str(rng.choice(_SNOWY)))
    return " ".join(map(sentence, sentences))


def _main(facts: Facts, rng: np.random.Generator, *, noun: bool) -> tuple[str, set[str]]:
    """What prevails with what comes second or crosses it, and which names that has used up."""
    if not facts.themes:
        return ("clouds" if facts.clouds > 0.3 else "open ground"), set()
    group = 0 if noun or rng.random() < 0.5 else 1
    top = facts.themes[0][0]
    first = str(rng.choice(COVER[top]))
    striking = [name for name in facts.notable if name in _CROSSING + _LYING]
    if striking and rng.random() < 0.5:
        forms = _CROSSED if striking[0] in _CROSSING else _BESIDE
        part = str(rng.choice(NOTABLE[striking[0]]))
        told = {top, striking[0]} | ({"water", "sea"} if striking[0] in _WET else set())
        return fill(str(rng.choice(forms[group])), part=part, first=first), told
    if len(facts.themes) > 1 and rng.random() < 0.8:
        (_, share), (other, lesser) = facts.themes[:2]
        forms = _EVEN if lesser > 0.6 * share else _UNEVEN
        second = str(rng.choice(COVER[other]))
        return fill(str(rng.choice(forms[group])), first=first, second=second), {top, other}
    forms = _LEADING if any(share > 0.08 for _, share in facts.themes[1:]) else _ALONE
    return fill(str(rng.choice(forms[group])), first=first), {top}


def _details(facts: Facts, rng: np.random.Generator, used: set[str]) -> list[str]:
    """Sentences about single things: counted objects, further parts, further covers."""
    told = []
    for name, count in facts.counts.items():
        if count and not (name == "building" and count > 40):
            part = many(count, str(rng.choice(THINGS[name])), rng)
            forms = (*_THERE, f"{{part}} [is|are:part] {_PLACES[name]}")
            told.append(fill(str(rng.choice(forms)), part=part))
    for name in facts.notable:
        if name not in used:
            told.append(fill(str(rng.choice(_THERE)), part=str(rng.choice(NOTABLE[name]))))
    for name, share in facts.themes[1:4]:
        if share > 0.05 and name not in used:
            told.append(fill(str(rng.choice(_FURTHER)), part=str(rng.choice(COVER[name]))))
    return [told[i] for i in rng.permutation(len(told))]
