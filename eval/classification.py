"""The class of a scene, told by its name, by a linear probe, or by a model that answers.

    terralogue eval classification --data EuroSAT --split own:test --out out/eurosat
    terralogue eval classification --data EuroSAT --split own:test --probe --train own:train
    terralogue eval classification --data EuroSAT --split own:test --model vlm:embedded

`--model vlm:SPEC` asks a vision-language model; see `classification_answers.py`. Any other model is
an embedding tower:

Without `--probe` nothing is fitted: each class name, made readable, becomes the mean vector of the
model's prompts, and the class with the highest cosine is predicted. Every class of the data is a
candidate, whatever the split. `labels_seen` says whether the model was trained on any of the names,
since then the score is not zero-shot. With `--probe`, see `probe.py`.

`accuracy`, `balanced_accuracy` (mean recall of the classes) and `macro_f1` are shares, over the
classes that occur among the scored pictures. Intervals come from resampling pictures; neighbouring
chips of one data set resemble each other, so the truth may lie outside more often than 5 %.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.corruptions import Corruption
from terralogue.datasets.errors import InputError
from terralogue.datasets.label_names import readable
from terralogue.datasets.pictures import Picture, read_picture
from terralogue.datasets.registry import read_labels
from terralogue.datasets.samples import OWN, LabelSample, Samples
from terralogue.eval.classification_answers import PREFIX
from terralogue.eval.classification_answers import run as run_answers
from terralogue.eval.confusion import Confusion, save_confusion
from terralogue.eval.inputs import add_picture_options, data_sha256, load_model, picture_reader
from terralogue.eval.probe import fit_probe
from terralogue.eval.summary import Report, model_title
from terralogue.vlm.batches import BATCH, embed

if TYPE_CHECKING:
    from terralogue.vlm.clip import GeoCLIP

_SHOWN: Final = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this task."""
    add_picture_options(parser, answers=True)
    add = parser.add_argument
    add("--sensor", metavar="KEY", help="sensor of all images, where recognition is not enough")
    add("--probe", action="store_true", help="fit a linear probe instead of asking by name")
    add("--train", metavar="SPLIT|PATH", help="what the probe learns from: a split of the same "
        "data, or other data (default: the split 'train')")  # fmt: skip


def run(options: argparse.Namespace) -> Report:
    """Score what the options name.

    Raises:
        InputError: the options do not go together, or training and test pictures overlap.
    """
    everything = read_labels(options.data, None, options.dataset)
    samples = everything.chosen(options.split).limited(options.limit)
    classes = sorted({item.label for item in everything.items})
    if options.model.startswith(PREFIX):
        if options.probe or options.train:
            raise InputError(
                f"--probe is for towers; leave it away, or give --model without {PREFIX}."
            )
        return run_answers(options, samples, {label: readable(label) for label in classes})
    train = _train(options, everything, samples)
    return evaluate(
        load_model(options),
        samples,
        classes,
        train=train,
        read=picture_reader(options.sensor, options.corrupt),
        corruption=options.corrupt,
        batch=options.batch,
    )


def _train(
    options: argparse.Namespace, everything: Samples[LabelSample], test: Samples[LabelSample]
) -> Samples[LabelSample] | None:
    """What the probe learns from; None without a probe."""
    if not options.probe:
        if options.train:
            raise InputError("--train is what a probe learns from; add --probe.")
        return None
    named = options.train or "train"
    if not named.startswith(OWN) and options.train and Path(named).exists():
        train = read_labels(named, None, options.dataset)
    else:
        train = everything.chosen(named)
    shared = {item.path.resolve() for item in train.items} & {i.path.resolve() for i in test.items}
    if shared:
        raise InputError(
            f"{len(shared)} pictures are both in --train {named} and in what is scored; choose the "
            "part to score with --split."
        )
    return train


def evaluate(
    clip: GeoCLIP,
    samples: Samples[LabelSample],
    classes: Sequence[str],
    *,
    train: Samples[LabelSample] | None = None,
    read: Callable[[Path], Picture] = read_picture,
    corruption: Corruption | None = None,
    batch: int = BATCH,
) -> Report:
    """Score a model.

    Args:
        clip: the model.
        samples: to score.
        classes: candidates, as the data write them.
        train: what a linear probe learns from; None asks by name.
        read: reads a picture, and corrupts it where wanted.
        corruption: what it does, for the summary.
        batch: pictures at a time.

    Raises:
        InputError: the probe has too little to learn from.
        SceneError: a picture cannot be read.
    """
    paths = [item.path for item in samples.items]
    names = {label: readable(label) for label in classes}
    details: dict[str, Any] = {
        "dataset": samples.dataset,
        "corruption": None if corruption is None else str(corruption),
        "label_names": names,
        **_seen(clip, names),
    }
    if train is None:
        images = embed(clip, paths, read, batch=batch)
        scores = images @ clip.label_embeddings(list(names.values())).T
        details["method"] = "prompted with the names of the classes"
    else:
        learnt = embed(
            clip, [i.path for i in train.items], read, features=True, batch=batch, title="train"
        )
        probe = fit_probe(learnt, train.items, classes)
        scores = probe.scores(embed(clip, paths, read, features=True, batch=batch))
        details["method"] = "linear probe on frozen features"
        details["probe"] = probe.facts()
    gold = np.array([classes.index(item.label) for item in samples.items])
    confusion = Confusion(tuple(classes), gold, scores.argmax(axis=1))
    return Report(
        task="classification",
        n=len(paths),
        metrics=confusion.metrics(),
        units="share",
        model=model_title(clip.name, clip.fingerprint),
        data_sha256=data_sha256(samples),
        predictions=_predictions(samples.items, classes, scores),
        per_type=confusion.by_class(),
        baselines={"majority": confusion.majority(), "chance": 1 / len(classes)},
        interval_95=confusion.intervals(),
        details=details,
        plots={"confusion.png": partial(save_confusion, confusion, names)},
    )


def _seen(clip: GeoCLIP, names: dict[str, str]) -> dict[str, Any]:
    """Which classes the model was trained on by name; `labels_seen` None where it does not say."""
    if not clip.seen_labels:
        return {"labels_seen": None, "labels_seen_list": []}
    known = {_folded(label) for label in clip.seen_labels}
    seen = [label for label, name in names.items() if {_folded(label), _folded(name)} & known]
    return {"labels_seen": bool(seen), "labels_seen_list": seen}


def _folded(label: str) -> str:
    return "".join(c for c in label.casefold() if c.isalnum())


def _predictions(
    items: Sequence[LabelSample], classes: Sequence[str], scores: NDArray[np.floating]
) -> list[dict[str, Any]]:
    rows = []
    for item, of_item in zip(items, scores, strict=True):
        best = np.argsort(-of_item, kind="stable")[:_SHOWN]
        rows.append(
            {
                "id": item.name,
                "prediction_raw": {classes[i]: round(float(of_item[i]), 4) for i in best},
                "prediction_parsed": classes[best[0]],
                "gold": item.label,
                "correct": classes[best[0]] == item.label,
            }
        )
    return rows
