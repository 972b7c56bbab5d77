"""`terralogue train calibrate`: confidences, limits and their figures for a trained model.

    terralogue train calibrate --model out/reader --packs packs

Temperature, slope and threshold are fitted on the validation parts, the limits of distance on
their pictures. Writes `calibration.json`, `support.safetensors` and `reliability.png` beside the
model, and prints what was measured.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from terralogue.datasets.errors import InputError
from terralogue.vlm import embedded_clip
from terralogue.vlm.align_command import Parser
from terralogue.vlm.align_scenes import oscd
from terralogue.vlm.embedded_vlm import EmbeddedVLM, features_of
from terralogue.vlm.minilm import encode
from terralogue.vlm.plain_questions import SEEABLE, UNSEEABLE
from terralogue.vlm.vlm import Query
from terralogue.vlm.vlm_calibration import (
    Calibration,
    expected_calibration_error,
    fitted_temperature,
)
from terralogue.vlm.vlm_checkpoint import FOLDER, fingerprint, read_model
from terralogue.vlm.vlm_decode import likelihoods
from terralogue.vlm.vlm_nonsense import nonsense
from terralogue.vlm.vlm_pack import Example, Pack
from terralogue.vlm.vlm_sources import BENCHMARKS, SOURCES, prepare
from terralogue.vlm.vlm_support import Support
from terralogue.vlm.vlm_tokens import tokens_of
from terralogue.vlm.vlm_views import views_of

# Questions of a source, and pictures of a source, that are looked at.
_ASKED: Final = 150
_PICTURES: Final = 300
# Pictures of each family of nonsense.
_NONSENSE: Final = 150
# Answers at least as likely as the threshold are right in this share of cases.
_WANTED: Final = 0.8
_LOWEST, _HIGHEST = 0.35, 0.9
# Where all are right, or all wrong, the slope is not known; Platt's targets keep it finite.
_FIRM: Final = 10.0


@dataclass(frozen=True)
class _Asked:
    """A validation question and what the model made of it."""

    source: str
    query: Query
    gold: str
    likelihood: float = 0.0
    right: bool = False


def _questions(packs: Sequence[Pack]) -> list[_Asked]:
    asked = []
    for pack in packs:
        examples = [e for e in pack.examples if e.task == "qa"]
        for each in examples[:: max(1, len(examples) // _ASKED)]:
            asked.append(_Asked(pack.name, _query(pack, each), each.answer))
    return asked


def _query(pack: Pack, example: Example) -> Query:
    pictures: tuple[Any, ...] = tuple(pack.pictures[row] for row in example.pictures)
    return Query(example.question, pictures)


def _loss(vlm: EmbeddedVLM, asked: Sequence[_Asked]) -> Any:
    """Mean negative log-likelihood of the right answers, by temperature."""
    memories = []
    for start in range(0, len(asked), 32):
        rows = asked[start : start + 32]
        memories.append((rows, vlm.memory([row.query for row in rows], "qa")))

    def loss(temperature: float) -> float:
        total = 0.0
        for rows, memory in memories:
            codes = [vlm.words.encode(row.gold) for row in rows]
            said = likelihoods(vlm.reader, memory, codes, temperature=temperature)
            total -= sum(each.log for each in said)
        return total / len(asked)

    return loss


def calibrated(vlm: EmbeddedVLM, packs: Sequence[Pack]) -> tuple[Calibration, list[_Asked]]:
    """Fit temperature, slope and threshold on validation packs; every source weighs the same.

    Returns:
        The calibration, and the questions with likelihoods at its temperature.
    """
    asked = _questions(packs)
    temperature = fitted_temperature(_loss(vlm, asked))
    vlm.calibration = Calibration(temperature, threshold=0.0)
    answers = vlm.answer_batch([each.query for each in asked])
    asked = [
        replace(
            each,
            likelihood=answer.confidence or 0.0,
            right=answer.text == vlm.words.decode(vlm.words.encode(each.gold)),
        )
        for each, answer in zip(asked, answers, strict=True)
    ]
    likely = np.clip([each.likelihood for each in asked], 1e-4, 1 - 1e-4)
    right = np.array([each.right for each in asked])
    counts = {
        name: sum(each.source == name for each in asked) for name in {e.source for e in asked}
    }
    weights = np.array([1 / counts[each.source] for each in asked])
    # Real questions are what people will judge by.
    weights *= [3.0 if each.source in BENCHMARKS else 1.0 for each in asked]
    regression = LogisticRegression(C=_FIRM)
    regression.fit(np.log(likely / (1 - likely))[:, None], right, weights / weights.mean())
    fitted = Calibration(
        temperature, max(0.1, float(regression.coef_[0, 0])), float(regression.intercept_[0])
    )
    sure = np.array([fitted.confidence(float(each)) for each in likely])
    return replace(fitted, threshold=_threshold(sure, right)), asked


def _threshold(sure: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """The lowest confidence from which on enough answers are right."""
    steps = np.arange(_LOWEST, _HIGHEST, 0.01)
    enough = [x for x in steps if (sure >= x).any() and right[sure >= x].mean() >= _WANTED]
    return round(float(min(enough, default=_HIGHEST)), 2)


def _features(vlm: EmbeddedVLM, pictures: Sequence[Any]) -> NDArray[np.float32]:
    chosen = pictures[:: max(1, len(pictures) // _PICTURES)]
    parts = []
    for start in range(0, len(chosen), 64):
        views = [views_of([picture])[0] for picture in chosen[start : start + 64]]
        parts.append(features_of(tokens_of(vlm.clip.tower, views)))
    return np.concatenate(parts)


def supported(
    vlm: EmbeddedVLM, train: Sequence[Pack], val: Sequence[Pack], scenes: Sequence[Sequence[Any]]
) -> Support:
    """Fit what the training data looks like.

    Args:
        vlm: whose tower looks.
        train: packs.
        val: packs.
        scenes: tiles of real multispectral scenes, of the training and of the validation part.
    """
    features = [_features(vlm, pack.pictures) for pack in train] + [_features(vlm, scenes[0])]
    held_out = [_features(vlm, pack.pictures) for pack in val] + [_features(vlm, scenes[1])]
    odd = [_features(vlm, drawn) for drawn in nonsense(_NONSENSE, seed=0).values()]
    asked = sorted({e.question for pack in train for e in pack.examples if e.question})
    asked = asked[:: max(1, len(asked) // _ASKED)]
    return Support.fitted(
        np.concatenate(features), np.concatenate(held_out), np.concatenate(odd),
        encode([*SEEABLE, *asked]), encode(UNSEEABLE),
    )  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    made = Parser(prog="terralogue train calibrate", description="Calibrate the embedded model.")
    add = made.add_argument
    add("--data", type=Path, default=os.environ.get("TERRALOGUE_DATA") or None, metavar="DIR",
        help="folder of the data sets; TERRALOGUE_DATA otherwise")  # fmt: skip
    add("--packs", type=Path, default=Path("packs"), metavar="DIR", help="prepared examples")
    add("--model", type=Path, default=FOLDER, metavar="DIR", help="base and adapters")
    add("--tower", type=Path, metavar="DIR", help="checkpoint of `train align`")
    return made


def main(argv: Sequence[str]) -> int:
    """Calibrate; returns 0.

    Raises:
        InputError: the model, the packs or the data are missing.
    """
    args = _parser().parse_args(argv)
    if args.data is None or not args.data.is_dir():
        raise InputError("the folder of the data sets is missing; give --data")
    clip = embedded_clip.load(str(args.tower or ""), "cpu")
    reader, adapted = read_model(args.model, clip.fingerprint)
    vlm = EmbeddedVLM(
        clip, reader, adapted, Calibration(), None, "embedded", fingerprint(args.model)
    )
    names = [name for name in SOURCES if not name.startswith("sim_pairs")]
    val = prepare(args.data, args.packs, names, "val")
    calibration, asked = calibrated(vlm, val)
    train = prepare(args.data, args.packs, names, "train")
    scenes = [_tiles(args.data, part) for part in ("train", "val")]
    support = supported(vlm, train, val, scenes)
    calibration.write(args.model)
    support.write(args.model)
    _report(calibration, asked, args.model / "reliability.png")
    return 0


def _tiles(data: Path, part: Any) -> list[Any]:
    from terralogue.datasets.tiles import Tile

    source = oscd(data, part)
    return [Tile(np.asarray(row, np.float32), source.bands) for row in source.pixels]


def _report(calibration: Calibration, asked: Sequence[_Asked], path: Path) -> None:
    from matplotlib.figure import Figure

    real = [each for each in asked if each.source in BENCHMARKS]
    figure = Figure(figsize=(5, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], "--", color="0.6")
    for label, rows in (("real questions", real), ("all", list(asked))):
        sure = np.array([calibration.confidence(each.likelihood) for each in rows])
        right = np.array([each.right for each in rows])
        error = expected_calibration_error(sure.tolist(), right.tolist())
        bins = np.minimum((sure * 10).astype(int), 9)
        places = np.unique(bins)
        axes.plot(
            [sure[bins == b].mean() for b in places], [right[bins == b].mean() for b in places],
            "o-", label=f"{label}: ECE {error:.3f}, n {len(rows)}",
        )  # fmt: skip
        order = np.argsort(-sure)[: int(0.8 * len(sure))]
        print(
            f"{label}: n {len(rows)}, accuracy {right.mean():.3f}, at 80 % coverage "
            f"{right[order].mean():.3f}, ECE {error:.3f}, sure "
            f"{(sure >= calibration.threshold).mean():.3f}"
        )
    axes.set(xlabel="confidence", ylabel="share right", title="Validation parts")
    axes.legend()
    figure.savefig(path, dpi=120)
    print(calibration)
