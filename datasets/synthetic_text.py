"""Captions and questions about simulated scenes, written from their exact truth.

python -c "from terralogue.datasets import synthetic as s, synthetic_text as t; \\
               print(t.captions(s.simulate_scene(seed=3)))"
"""

from __future__ import annotations

from typing import Final

import numpy as np

from terralogue.datasets.synthetic_render import Simulated
from terralogue.datasets.synthetic_words import (
    COVER,
    NOTABLE,
    THINGS,
    Facts,
    many,
    read_facts,
    sensor_words,
)


def captions(scene: Simulated, count: int = 5, seed: int = 0) -> list[str]:
    """Write different captions of a scene.

    Args:
        scene: What to describe.
        count: How many; fewer come back where a bare scene gives no more different ones.
        seed: The same seed gives the same text.
    """
    facts = read_facts(scene)
    rng = np.random.default_rng([seed, scene.seed, 11])
    written: list[str] = []
    for _ in range(6 * count):
        text = _caption(scene, facts, rng)
        if text not in written:
            written.append(text)
        if len(written) == count:
            break
    return written


def _caption(scene: Simulated, facts: Facts, rng: np.random.Generator) -> str:
    """One caption: a sentence about what prevails, sometimes one about details and the sky."""
    framed = scene.unit in ("dB", "m") or rng.random() < 0.22
    body, told = _main(facts, rng, noun=framed)
    if framed:
        kind = str(rng.choice(sensor_words(scene)))
        article = "an" if kind[0].lower() in "aeiou" or kind.startswith("SAR") else "a"
        body = str(rng.choice(_FRAMES)).format(article=article, kind=kind, body=body)
    sentences = [body]
    if rng.random() < 0.55:
        sentences += _details(facts, rng, told)[: int(rng.integers(1, 3))]
    if facts.clouds > 0.03 and rng.random() < 0.75:
        sentences.append(str(rng.choice(_CLOUDY if facts.clouds > 0.35 else _SOME_CLOUDS)))
    if facts.snow and facts.themes[0][0] != "snow_ice" and rng.random() < 0.6:
        sentences.append(str(rng.choice(_SNOWY)))
    return " ".join(f"{text[0].upper()}{text[1:]}." for text in sentences)


_FRAMES: Final = (
    "{article} {kind} of {body}",
    "{article} {kind} showing {body}",
    "this {kind} shows {body}",
    "{body} in {article} {kind}",
    "{article} {kind} with {body}",
    "{body}, seen in {article} {kind}",
    "{article} {kind} that shows {body}",
    "this is {article} {kind} of {body}",
)
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
# Sentences of two things; those of the second group have a verb.
_CROSSED: Final = (
    ("{part} running through {first}", "{first} with {part}", "{first} along {part}",
     "{first} on both sides of {part}", "{part} and {first}", "{part} winding through {first}"),
    ("{part} crosses {first}", "{part} winds through {first}", "{part} passes through {first}",
     "{first} is on both sides of {part}", "there is {part} in the middle of {first}"),
)  # fmt: skip
_BESIDE: Final = (
    ("{first} with {part}", "{part} surrounded by {first}", "{part} next to {first}",
     "{first} around {part}", "{part} and {first}", "{first} close to {part}", "{first} near {part}"),
    ("{part} lies beside {first}", "{part} is surrounded by {first}", "there is {part} near {first}",
     "{part} is close to {first}", "there is {part} with {first} around it"),
)  # fmt: skip
_EVEN: Final = (
    ("{first} and {second}", "{first} next to {second}", "{first} beside {second}",
     "{second} next to {first}", "{first} bordering {second}", "a mix of {first} and {second}",
     "{first} alternating with {second}", "{first} together with {second}"),
    ("the scene is shared by {first} and {second}", "there is {first} as well as {second}",
     "{first} can be seen beside {second}", "one half is {first}, the other {second}"),
)  # fmt: skip
_UNEVEN: Final = (
    ("{first} with {second}", "mostly {first} with {second}", "{first} and {second}",
     "{first}, and {second} in part of the scene", "mainly {first}, partly {second}",
     "{first} dotted with {second}", "{first} surrounding {second}", "{first} bordered by {second}"),
    ("most of the scene is {first}, the rest is {second}", "there is {second} among {first}",
     "{first} dominates, with {second}", "{second} can be seen in {first}"),
)  # fmt: skip
_ALONE: Final = (
    ("{first}", "{first}", "mostly {first}", "nothing but {first}", "{first} across the whole image",
     "{first} from edge to edge"),
    ("the image is dominated by {first}", "the whole scene is {first}", "there is only {first} here",
     "{first} covers most of the scene"),
)  # fmt: skip
_CROSSING: Final = ("river", "highway", "road", "railway")
_LYING: Final = ("lake", "beach", "pond", "bridge")


def _main(facts: Facts, rng: np.random.Generator, *, noun: bool) -> tuple[str, set[str]]:
    """What prevails with what comes second or crosses it, and which names that has used up."""
    if not facts.themes:
        return ("clouds" if facts.clouds > 0.3 else "open ground"), set()
    group = 0 if noun or rng.random() < 0.6 else 1
    top = facts.themes[0][0]
    first = str(rng.choice(COVER[top]))
    notable = [name for name in facts.notable if name in _CROSSING + _LYING]
    if notable and rng.random() < 0.5:
        forms = _CROSSED if notable[0] in _CROSSING else _BESIDE
        part = str(rng.choice(NOTABLE[notable[0]]))
        return str(rng.choice(forms[group])).format(part=part, first=first), {top, notable[0]}
    if len(facts.themes) > 1 and rng.random() < 0.8:
        (_, share), (other, lesser) = facts.themes[:2]
        forms = _EVEN if lesser > 0.6 * share else _UNEVEN
        second = str(rng.choice(COVER[other]))
        return str(rng.choice(forms[group])).format(first=first, second=second), {top, other}
    return str(rng.choice(_ALONE[group])).format(first=first), {top}


def _details(facts: Facts, rng: np.random.Generator, used: set[str]) -> list[str]:
    """Sentences about single things: counted objects, further parts, further covers."""
    told = []
    for name, count in facts.counts.items():
        if count == 0 or (name == "building" and count > 40):
            continue
        noun = many(count, str(rng.choice(THINGS[name])), rng)
        verb = "is" if count == 1 else "are"
        where = {
            "ship": "on the water",
            "vehicle": "on the ground",
            "aircraft": "on the apron",
            "storage_tank": "on the site",
            "building": "in the scene",
        }[name]
        told.append(str(rng.choice((
            f"there {verb} {noun}", f"{noun} {verb} visible", f"{noun} {verb} {where}",
            f"{noun} can be seen", f"it contains {noun}", f"{noun} {verb} in the image",
        ))))  # fmt: skip
    for name in facts.notable:
        if name in used:
            continue
        part = str(rng.choice(NOTABLE[name]))
        verb = "are" if part.endswith("s") and not part.startswith("a ") else "is"
        told.append(str(rng.choice((
            f"there {verb} {part}", f"{part} {verb} visible", f"{part} can be seen",
            f"{part} {verb} part of the scene", f"one can make out {part}", f"it also shows {part}",
        ))))  # fmt: skip
    for name, share in facts.themes[1:4]:
        if share > 0.05 and name not in used:
            cover = str(rng.choice(COVER[name]))
            told.append(str(rng.choice((f"there is also {cover}", f"some of it is {cover}",
                                        f"{cover} can be seen too", f"a smaller part is {cover}"))))  # fmt: skip
    order = rng.permutation(len(told))
    return [told[i] for i in order]
