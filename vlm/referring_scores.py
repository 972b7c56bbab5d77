"""How well is pointed: expressions with known answers, thresholds chosen by them, and scores.

cases = [case for picture in pictures for case in make_cases(picture, source, rng)]
rows = answer(referrer, pictures, cases)
summarise(rows)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from tqdm import tqdm

from terralogue.datasets.band_tables import RGB
from terralogue.datasets.pictures import Picture
from terralogue.datasets.samples import Box
from terralogue.datasets.tiles import Tile
from terralogue.vlm.align_data import to_float
from terralogue.vlm.referring import Referred, Referrer
from terralogue.vlm.referring_concepts import CONCEPTS, plural
from terralogue.vlm.referring_data import UNKNOWN, Marked
from terralogue.vlm.referring_model import Calibration
from terralogue.vlm.referring_parts import choose, find_parts
from terralogue.vlm.referring_words import parse

Kind = Literal["single", "all", "cover", "relation", "absent"]
# How much larger, or how many pixels further out, the thing meant has to be.
_LARGER: Final = 1.3
_FURTHER: Final = 12.0
_SMALLEST_SHARE: Final = 0.005
_ABSENT: Final = 3
THRESHOLDS: Final = (0.3, 0.4, 0.5)
PEAKS: Final = (0.75,)


@dataclass(frozen=True, eq=False)
class Case:
    """An expression about a picture, and what is right.

    Attributes:
        place: number of the picture.
        source: name of its set.
        kind: what is asked for: one thing, all of a kind, a cover, one thing by a relation, or
            something that is not there.
        concept: key in CONCEPTS.
        expression: the words.
        boxes: of the things that are meant.
        mask: uint8 (H, W), 1 where it is, UNKNOWN where nobody knows.
    """

    place: int
    source: str
    kind: Kind
    concept: str
    expression: str
    boxes: tuple[Box, ...]
    mask: NDArray[np.uint8]


@dataclass(frozen=True)
class Row:
    """A case and how it went.

    Attributes:
        case: what was asked.
        iou: of the box around what was found and the box that is right; of one thing.
        mask_iou: of the masks, where known; of one thing among several, with all of its kind.
        counted: parts found.
        score: of `Referred`.
        label: of `Referred`.
    """

    case: Case
    iou: float
    mask_iou: float
    counted: int
    score: float
    label: str | None

    @property
    def right(self) -> bool:
        """Whether most of what was found and of what is meant is the same."""
        if self.case.kind == "absent":
            return self.counted == 0
        return (self.iou if self.case.kind in ("single", "relation") else self.mask_iou) >= 0.5


def make_cases(place: int, picture: Marked, source: str, rng: np.random.Generator) -> list[Case]:
    """Expressions about a picture with one right answer each."""
    found: list[Case] = []

    def add(kind: Kind, concept: str, words: str, boxes: Sequence[Box] = ()) -> None:
        mark = picture.marks.get(concept, np.zeros(picture.size, np.uint8))
        found.append(Case(place, source, kind, concept, words, tuple(boxes), mark))

    nowhere = sorted(picture.absent)
    for concept, mark in picture.marks.items():
        noun = CONCEPTS[concept].words[0]
        boxes = picture.boxes.get(concept, ())
        if boxes:
            add("all", concept, f"all {plural(noun)}", boxes)
            for words, box in _singles(noun, boxes):
                add("single", concept, words, [box])
        elif (mark == 1).mean() > _SMALLEST_SHARE:
            add("cover", concept, noun)
        elif not (mark == 1).any() and (mark == 0).mean() > 0.5:
            nowhere.append(concept)
    for concept in rng.permutation(nowhere)[:_ABSENT]:
        add("absent", str(concept), f"the {CONCEPTS[str(concept)].words[0]}")
    return found + _relations(place, picture, source)


def _singles(noun: str, boxes: Sequence[Box]) -> Iterable[tuple[str, Box]]:
    """Expressions that mean one of several boxes without doubt."""
    if len(boxes) == 1:
        yield f"the {noun}", boxes[0]
        return
    across = sorted(boxes, key=lambda b: b.left + b.right)
    down = sorted(boxes, key=lambda b: b.top + b.bottom)
    gaps = [
        (word, order[end], order[next_to])
        for order, words in ((across, ("leftmost", "rightmost")), (down, ("topmost", "bottommost")))
        for word, end, next_to in zip(words, (0, -1), (1, -2), strict=True)
    ]
    for word, first, second in gaps:
        apart = (
            first.left + first.right - second.left - second.right
            if word in ("leftmost", "rightmost")
            else first.top + first.bottom - second.top - second.bottom
        )
        if abs(apart) > 2 * _FURTHER:
            yield f"the {word} {noun}", first
    first, second = sorted(boxes, key=_area, reverse=True)[:2]
    if _area(first) > _LARGER * _area(second):
        yield f"the largest {noun}", first


def _relations(place: int, picture: Marked, source: str) -> list[Case]:
    """Buildings, ships and tanks beside water and roads, where the truth is exact."""
    found = []
    for thing in ("building", "ship", "storage_tank", "airplane"):
        mark = picture.marks.get(thing)
        if not source.startswith("sim_") or mark is None or not picture.boxes.get(thing):
            continue
        parts = find_parts((mark == 1).astype(np.float32), 0.5, 0.5)
        for anchor in ("river", "lake", "sea", "forest"):
            other = picture.marks.get(anchor)
            if other is None or (other == 1).mean() < 0.03:
                continue
            for words in ("left of", "right of", "above", "below", "near"):
                text = f"the largest {CONCEPTS[thing].words[0]} {words} the {anchor}"
                chosen = choose(parts, parse(text), anchor=other == 1)
                if chosen and parts.area[chosen[0]] >= 40:
                    boxes = tuple(parts.boxes[i] for i in chosen)
                    mask = parts.mask(chosen).astype(np.uint8)
                    found.append(Case(place, source, "relation", thing, text, boxes, mask))
    return found


def answer(
    referrer: Referrer, pictures: Sequence[Marked], cases: Sequence[Case],
    calibrations: Sequence[Calibration],
) -> dict[Calibration, list[Row]]:  # fmt: skip
    """Point at everything, once for each calibration; each picture is looked at once."""
    found: dict[Calibration, list[Row]] = {each: [] for each in calibrations}
    usual = referrer.calibration
    for place in tqdm(sorted({case.place for case in cases}), desc="pointing", disable=None):
        view = referrer.look(_picture(pictures[place]))
        for case in cases:
            if case.place != place:
                continue
            for each in calibrations:
                referrer.calibration = each
                found[each].append(_row(case, referrer.point(view, case.expression)))
    referrer.calibration = usual
    return found


def _picture(marked: Marked) -> Picture:
    if marked.bands == RGB:
        return np.asarray(marked.pixels, np.uint8)
    return Tile(to_float(marked.pixels).numpy(), marked.bands)


def _row(case: Case, found: Referred) -> Row:
    known = case.mask != UNKNOWN
    truth = case.mask == 1
    union = ((found.mask | truth) & known).sum()
    overlap = (found.mask & truth).sum()
    iou = box_iou(found.boxes[0], case.boxes[0]) if found.boxes and case.boxes else 0.0
    return Row(
        case, iou, float(overlap / union) if union else 1.0, found.count, found.score, found.label
    )


def box_iou(one: Box, other: Box) -> float:
    """Overlap of two boxes over their union."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    common = max(width, 0.0) * max(height, 0.0)
    return common / max(_area(one) + _area(other) - common, 1e-9)


def _area(box: Box) -> float:
    return (box.right - box.left) * (box.bottom - box.top)


def calibrate(found: Mapping[Calibration, Sequence[Row]]) -> tuple[Calibration, list[Row]]:
    """The thresholds with most right answers, kinds counted alike, and a fitted score.

    The score is a logistic function of the strength of what was found (Platt 1999), fitted to
    whether the answer was right; nothing found has no strength and is left out.

    Args:
        found: rows of each calibration, all with plain strengths for scores.

    Returns:
        The calibration, and the rows that it gives.
    """
    best = max(found, key=lambda each: balanced(found[each]))
    rows = [row for row in found[best] if row.counted]
    x = np.array([_logit(row.score) for row in rows])
    y = np.array([row.right for row in rows], float)

    def loss(p: NDArray[np.float64]) -> float:
        z = p[0] * x + p[1]
        return float(np.mean(np.logaddexp(0, z) - y * z) + 1e-3 * (p**2).sum())

    scale, shift = minimize(loss, np.array([1.0, 0.0])).x if len(set(y)) > 1 else (1.0, 0.0)
    chosen = replace(best, scale=round(float(scale), 4), shift=round(float(shift), 4))
    return chosen, [
        replace(row, score=chosen.score(row.score)) if row.counted else row for row in found[best]
    ]


def _logit(share: float) -> float:
    share = float(np.clip(share, 1e-4, 1 - 1e-4))
    return float(np.log(share / (1 - share)))


def balanced(rows: Sequence[Row]) -> float:
    """Share of right answers, averaged over kinds."""
    kinds = sorted({row.case.kind for row in rows})
    return float(
        np.mean([np.mean([r.right for r in rows if r.case.kind == kind]) for kind in kinds])
    )


def expected_error(rows: Sequence[Row], bins: int = 10) -> float:
    """Expected calibration error of the scores of what was found."""
    kept = [row for row in rows if row.counted]
    if not kept:
        return 0.0
    scores = np.array([row.score for row in kept])
    right = np.array([row.right for row in kept], float)
    place = np.minimum((scores * bins).astype(int), bins - 1)
    gaps = [
        abs(scores[place == b].mean() - right[place == b].mean()) * (place == b).mean()
        for b in np.unique(place)
    ]
    return float(np.sum(gaps))


def summarise(
    rows: Sequence[Row], sizes: Mapping[int, tuple[int, int]]
) -> dict[str, dict[str, float]]:
    """Scores by source and kind, with those of boxes that need no model.

    Args:
        rows: to score.
        sizes: height and width of each picture.
    """
    found: dict[str, dict[str, float]] = {}
    for source in dict.fromkeys(row.case.source for row in rows):
        for kind in ("single", "relation", "all", "cover", "absent"):
            kept = [r for r in rows if r.case.source == source and r.case.kind == kind]
            if kept:
                found[f"{source} {kind}"] = _scores(kept, sizes)
    for concept in CONCEPTS:
        kept = [r for r in rows if r.case.concept == concept and r.case.kind == "cover"]
        if kept:
            found[f"cover {concept}"] = _scores(kept, sizes)
    found["everything"] = {
        "n": len(rows), "balanced": balanced(rows), "calibration_error": expected_error(rows),
    }  # fmt: skip
    return {name: {k: round(v, 4) for k, v in each.items()} for name, each in found.items()}


def _scores(rows: Sequence[Row], sizes: Mapping[int, tuple[int, int]]) -> dict[str, float]:
    kind = rows[0].case.kind
    scores: dict[str, float] = {"n": len(rows)}
    if kind == "absent":
        return scores | {"false_positives": float(np.mean([row.counted > 0 for row in rows]))}
    noun = [CONCEPTS[row.case.concept].words[0] for row in rows]
    named = [row.label == word for row, word in zip(rows, noun, strict=True)]
    scores["label"] = float(np.mean(named))
    if kind != "single":
        # The mark of one thing among several is not known.
        scores["mask_iou"] = float(np.mean([row.mask_iou for row in rows]))
    if kind in ("single", "relation"):
        boxes = [row.case.boxes[0] for row in rows]
        extents = [sizes[row.case.place] for row in rows]
        whole = [box_iou(b, Box(0, 0, w, h)) for b, (h, w) in zip(boxes, extents, strict=True)]
        middle = [
            box_iou(b, Box(w / 4, h / 4, 3 * w / 4, 3 * h / 4))
            for b, (h, w) in zip(boxes, extents, strict=True)
        ]
        ious = np.array([row.iou for row in rows])
        scores |= {
            "acc_50": float((ious >= 0.5).mean()), "acc_70": float((ious >= 0.7).mean()),
            "mean_iou": float(ious.mean()),
            "whole_mean_iou": float(np.mean(whole)),
            "whole_acc_50": float((np.array(whole) >= 0.5).mean()),
            "middle_mean_iou": float(np.mean(middle)),
            "middle_acc_50": float((np.array(middle) >= 0.5).mean()),
        }  # fmt: skip
    elif kind == "all":
        errors = [abs(row.counted - len(row.case.boxes)) for row in rows]
        scores["count_error"] = float(np.mean(errors))
        scores["count_mean"] = float(np.mean([len(row.case.boxes) for row in rows]))
        scores["count_exact"] = float(np.mean([e == 0 for e in errors]))
    return scores
