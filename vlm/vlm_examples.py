"""Questions and answers written from what data sets know: captions, classes and boxes.

Nothing is asked that the annotations leave open: what no caption mentions is only denied where
scenes of that class practically never have it.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

import numpy as np

from terralogue.datasets.samples import Box
from terralogue.vlm.vlm_pack import Example

SCENE: Final = (
    "What kind of scene is this?",
    "What does this image show?",
    "Which class of land use is this?",
    "What is this place?",
    "What type of area is it?",
    "What is the scene class?",
    "What am I looking at?",
)
PRESENCE: Final = (
    "Does this picture contain {a}?",
    "Is there {a} in the image?",
    "Is {a} present?",
    "Do you see {a}?",
    "Can {a} be seen here?",
    "Is there {a}?",
    "Is there any {one} in this picture?",
    "Does the image show {a}?",
)
COUNT: Final = (
    "How many {many} in the picture?",
    "How many {many} are there?",
    "What is the number of {many}?",
    "What is the amount of {many} in the image?",
    "Count the {many}.",
    "How many {many} can be seen?",
)
COMPARISON: Final = (
    "Are there more {one} than {other}?",
    "Is the number of {one} larger than that of {other}?",
)
FEWER: Final = ("Are there less {one} than {other}?", "Are there fewer {one} than {other}?")
PLACE: Final = (
    "What is the location of the {many} in this picture?",
    "Where are the {many}?",
    "Where is the {one}?",
    "In which part of the image are the {many}?",
)
HERE: Final = ("What is this?", "What is in this part?", "What can be seen here?")

# Things that captions name, by the patterns that name them. Words are ours.
THINGS: Final[dict[str, str]] = {
    "airplane": r"air ?planes?|planes?|aircrafts?",
    "tree": r"trees?",
    "building": r"buildings?",
    "house": r"houses?|villas?",
    "road": r"roads?|streets?",
    "river": r"rivers?",
    "bridge": r"bridges?",
    "car": r"cars?|vehicles?",
    "pond": r"ponds?",
    "beach": r"beach(?:es)?",
    "boat": r"boats?|ships?|yachts?",
    "playground": r"playgrounds?",
    "football field": r"football fields?|soccer fields?",
    "baseball field": r"baseball (?:fields?|diamonds?)",
    "basketball court": r"basketball (?:courts?|fields?)",
    "tennis court": r"tennis courts?",
    "parking lot": r"parking lots?|parkings?",
    "railway": r"railways?|rails?|tracks?",
    "church": r"church(?:es)?",
    "stadium": r"stadiums?",
    "storage tank": r"(?:storage|oil) tanks?|tanks?",
    "mountain": r"mountains?|ridges?",
    "desert": r"deserts?",
    "field": r"farmlands?|crop ?lands?|farms?|fields? of crops?",
    "meadow": r"meadows?|grass(?:land)?|lawns?",
    "forest": r"forests?|woods?",
    "park": r"parks?",
    "square": r"squares?",
    "viaduct": r"viaducts?|overpass(?:es)?",
    "harbor": r"harbou?rs?|ports?",
    "swimming pool": r"(?:swimming )?pools?",
    "runway": r"runways?",
    "intersection": r"intersections?|crossroads?",
    "roundabout": r"roundabouts?",
    "sea": r"seas?|oceans?",
    "sand": r"sands?",
    "school": r"schools?",
    "mobile home": r"mobile homes?",
    "freeway": r"freeways?|highways?",
    "golf course": r"golf courses?",
}
_PATTERNS: Final = {name: re.compile(rf"\b(?:{words})\b") for name, words in THINGS.items()}
# Below this share of a class's pictures, a thing that nobody mentions is not there.
_NEVER: Final = 0.01
_DENIED: Final = 3


def plural(noun: str) -> str:
    """The plural of an English noun, as regular ones have it."""
    if noun == "aircraft":
        return noun
    if noun.endswith(("s", "ch", "sh", "x")):
        return noun if noun.endswith("ks") else f"{noun}es"
    return f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in "aeiou" else f"{noun}s"


def article(noun: str) -> str:
    """The noun with its indefinite article; mass nouns go without."""
    if noun in ("sand", "sea"):
        return noun if noun == "sand" else "the sea"
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _said(forms: Sequence[str], rng: np.random.Generator, noun: str, other: str = "") -> str:
    return forms[int(rng.integers(len(forms)))].format(
        a=article(noun), one=plural(noun) if other else noun, many=plural(noun), other=other
    )


def scene_questions(
    row: int, label: str, rng: np.random.Generator, count: int = 2
) -> list[Example]:
    """Ask for the class of a picture."""
    forms = rng.permutation(len(SCENE))[:count]
    return [Example((row,), SCENE[i], label, "qa", "scene") for i in forms]


class Mentioned:
    """What captions mention: which things are there, and which are never there in a class.

    Args:
        captions: of each picture.
        labels: class of each picture.
    """

    def __init__(self, captions: Sequence[Sequence[str]], labels: Sequence[str]) -> None:
        self.found = [
            {name for name, words in _PATTERNS.items() if words.search(" ".join(said))}
            for said in captions
        ]
        totals = Counter(labels)
        seen: dict[str, Counter[str]] = defaultdict(Counter)
        for names, label in zip(self.found, labels, strict=True):
            seen[label].update(names)
        self.never = {
            label: sorted(n for n in THINGS if seen[label][n] <= _NEVER * total)
            for label, total in totals.items()
        }
        self.labels = labels

    def questions(self, row: int, rng: np.random.Generator) -> list[Example]:
        """As many questions with "yes" as with "no", at most three of each."""
        yes = sorted(self.found[row])
        no = [name for name in self.never[self.labels[row]] if name not in self.found[row]]
        count = min(len(yes), len(no), _DENIED)
        return [
            Example((row,), _said(PRESENCE, rng, noun), answer, "qa", "presence")
            for nouns, answer in ((yes, "yes"), (no, "no"))
            for noun in (str(each) for each in rng.permutation(nouns)[:count])
        ]


def box_questions(
    row: int,
    boxes: Sequence[tuple[str, Box]],
    nouns: Sequence[str],
    size: tuple[int, int],
    rng: np.random.Generator,
) -> list[Example]:
    """Questions about a picture in which all things of some classes are boxed.

    Args:
        row: of the picture.
        boxes: class and box of each thing.
        nouns: all classes that were looked for.
        size: width and height of the picture.
        rng: source of chance.
    """
    counts = Counter(noun for noun, _ in boxes)
    absent = [noun for noun in nouns if not counts[noun]]
    asked: list[tuple[str, str, str]] = []
    for noun, count in counts.items():
        asked.append((_said(PRESENCE, rng, noun), "yes", "presence"))
        asked.append((_said(COUNT, rng, noun), str(count), "count"))
        where = place_words([box for name, box in boxes if name == noun], size)
        if where:
            asked.append((_said(PLACE, rng, noun), where, "place"))
    for noun in (str(each) for each in rng.permutation(absent)[: len(counts)]):
        asked.append((_said(PRESENCE, rng, noun), "no", "presence"))
        if rng.random() < 0.5:
            asked.append((_said(COUNT, rng, noun), "0", "count"))
    asked += _compared(counts, nouns, rng)
    examples = [Example((row,), q, a, "qa", kind) for q, a, kind in asked]
    return examples + _regional(row, boxes, nouns, size, rng)


def _compared(
    counts: Counter[str], nouns: Sequence[str], rng: np.random.Generator
) -> list[tuple[str, str, str]]:
    asked = []
    for _ in range(3):
        one, other = (str(each) for each in rng.permutation(nouns)[:2])
        if rng.random() < 0.7:
            one = str(rng.choice(sorted(counts)))
        if one != other and counts[one] != counts[other]:
            fewer = rng.random() < 0.5
            text = _said(FEWER if fewer else COMPARISON, rng, one, plural(other))
            right = (counts[one] < counts[other]) == fewer
            asked.append((text, "yes" if right else "no", "comp"))
    return asked


def _regional(
    row: int,
    boxes: Sequence[tuple[str, Box]],
    nouns: Sequence[str],
    size: tuple[int, int],
    rng: np.random.Generator,
) -> list[Example]:
    """Questions about a part: a quarter of the picture, or the surroundings of one thing."""
    width, height = size
    examples = []
    quarter = (float(rng.integers(0, 2)) / 2, float(rng.integers(0, 2)) / 2)
    region = (*quarter, quarter[0] + 0.5, quarter[1] + 0.5)
    centres = [
        (noun, (b.left + b.right) / 2 / width, (b.top + b.bottom) / 2 / height) for noun, b in boxes
    ]
    inside = Counter(
        noun for noun, x, y in centres
        if region[0] <= x < region[2] and region[1] <= y < region[3]
    )  # fmt: skip
    for noun in {str(rng.choice(sorted({n for n, _ in boxes}))), str(rng.choice(list(nouns)))}:
        count = inside[noun]
        examples.append(Example((row,), _said(COUNT, rng, noun), str(count), "qa", "count", region))
        answer = "yes" if count else "no"
        examples.append(
            Example((row,), _said(PRESENCE, rng, noun), answer, "qa", "presence", region)
        )
    noun, box = boxes[int(rng.integers(len(boxes)))]
    margin = 0.15 * max(box.right - box.left, box.bottom - box.top)
    around = (
        max(0.0, (box.left - margin) / width), max(0.0, (box.top - margin) / height),
        min(1.0, (box.right + margin) / width), min(1.0, (box.bottom + margin) / height),
    )  # fmt: skip
    examples.append(Example((row,), HERE[rng.integers(len(HERE))], noun, "qa", "object", around))
    return examples


_CELLS: Final = (
    ("upper left", "up", "upper right"),
    ("left", "center", "right"),
    ("lower left", "bottom", "lower right"),
)


def place_words(boxes: Sequence[Box], size: tuple[int, int]) -> str:
    """Where things are, on a grid of three by three; "" where that takes more than two words.

    Args:
        boxes: in pixels.
        size: width and height of the picture.
    """
    cells = {
        (
            min(2, int(3 * (b.top + b.bottom) / 2 / size[1])),
            min(2, int(3 * (b.left + b.right) / 2 / size[0])),
        )
        for b in boxes
    }
    if len(cells) >= 6:
        return "everywhere"
    if len(cells) == 1:
        row, column = next(iter(cells))
        return _CELLS[row][column]
    return ""


def bucket(area: str) -> str:
    """The class of an area, as RSVQA's baseline has them (VQA_model/VocabEncoder.py).

    Args:
        area: such as "117m2"; other answers come back as they are.
    """
    found = re.fullmatch(r"(\d+) ?m2", area)
    if found is None or int(found[1]) == 0:
        return area
    value = int(found[1])
    for low, high in ((0, 10), (10, 100), (100, 1000)):
        if value <= high:
            return f"between {low}m2 and {high}m2"
    return "more than 1000m2"


def caption_texts(captions: Sequence[str]) -> list[str]:
    """Captions without repetitions, single-spaced, without the full stop at the end."""
    tidy = (" ".join(text.split()).rstrip(" .").casefold() for text in captions)
    return list(dict.fromkeys(filter(None, tidy)))
