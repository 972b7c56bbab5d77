"""Captions find their image and images their captions.

    terralogue eval retrieval --data rsicd/dataset_rsicd.json --split test --out out/rsicd

Every image of the split is a candidate for every caption and the other way round. `r@k_i2t` is the
percent of images with one of their own captions among the first k, `r@k_t2i` the percent of
captions with their image among the first k, `mean_recall` the mean of the six for k of 1, 5 and 10.
`mean_recall_dedup` takes captions with the same words as one. How ties count: see `recall.py`. The
intervals come from resampling images, each together with its captions.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.corruptions import Corruption
from terralogue.datasets.pictures import Picture, read_picture
from terralogue.datasets.registry import read_captions
from terralogue.datasets.samples import CaptionSample, Samples
from terralogue.eval.inputs import add_picture_options, data_sha256, load_model, picture_reader
from terralogue.eval.recall import KS, Captions, Hits, by_chance, gather, merged, published
from terralogue.eval.summary import Figures, Report, interval, model_title, resamples
from terralogue.vlm.batches import BATCH, embed, embed_texts

if TYPE_CHECKING:
    from terralogue.vlm.clip import GeoCLIP

NAMES: Final = tuple(f"r@{k}_{way}" for way in ("i2t", "t2i") for k in KS)
_SHOWN = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this task."""
    add_picture_options(parser)


def run(options: argparse.Namespace) -> Report:
    """Score what the options name."""
    samples = read_captions(options.data, options.split, options.dataset).limited(options.limit)
    return evaluate(
        load_model(options),
        samples,
        read=picture_reader(corruption=options.corrupt),
        corruption=options.corrupt,
        batch=options.batch,
    )


def evaluate(
    clip: GeoCLIP,
    samples: Samples[CaptionSample],
    *,
    read: Callable[[Path], Picture] = read_picture,
    corruption: Corruption | None = None,
    batch: int = BATCH,
) -> Report:
    """Score a model.

    Args:
        clip: the model.
        samples: all of them are queries and candidates.
        read: reads a picture, and corrupts it where wanted.
        corruption: what it does, for the summary.
        batch: pictures at a time.

    Raises:
        SceneError: a picture cannot be read.
    """
    captions = gather([item.captions for item in samples.items])
    texts = embed_texts(clip, captions.texts)
    paths = [item.path for item in samples.items]
    images = embed(clip, paths, read, batch=batch)
    hits = published(images, texts, captions)
    tolerant = merged(images, texts, captions)
    rounds = hits.recalls(resamples(len(paths)))
    return Report(
        task="retrieval",
        n=len(paths),
        metrics={**_figures(hits), "mean_recall_dedup": float(tolerant.recalls().mean())},
        units="percent",
        model=model_title(clip.name, clip.fingerprint),
        data_sha256=data_sha256(samples),
        predictions=_predictions(images, texts, captions, [item.name for item in samples.items]),
        per_type=_by_label(hits, samples.items),
        baselines={"chance": _figures(by_chance(captions))["mean_recall"]},
        interval_95={
            "mean_recall": interval(rounds.mean(axis=1)),
            **{name: interval(rounds[:, i]) for i, name in enumerate(NAMES)},
        },
        details={
            "dataset": samples.dataset,
            "corruption": None if corruption is None else str(corruption),
            "n_captions": int(hits.captions.sum()),
            "n_distinct_captions": len(captions.texts),
        },
    )


def _figures(hits: Hits) -> dict[str, float]:
    recalls = hits.recalls()
    named = zip(NAMES, recalls.tolist(), strict=True)
    return {"mean_recall": float(recalls.mean()), **dict(named)}


def _by_label(hits: Hits, items: Sequence[CaptionSample]) -> dict[str, Figures]:
    """Mean recall of the queries of each class, among all candidates."""
    members: Mapping[str, list[int]] = defaultdict(list)
    for i, item in enumerate(items):
        if item.label is not None:
            members[item.label].append(i)
    weights = np.zeros(len(items))
    found: dict[str, Figures] = {}
    for label, places in sorted(members.items()):
        weights[:] = 0
        weights[places] = 1
        found[label] = {"n": len(places), "mean_recall": float(hits.recalls(weights).mean())}
    return found


def _predictions(
    images: NDArray[np.float32],
    texts: NDArray[np.float32],
    captions: Captions,
    names: Sequence[str],
) -> list[dict[str, Any]]:
    """The best candidates of each image and of each distinct caption, with their cosines."""
    owners = captions.times.T.tocsr()
    rows = [
        _row(f"i2t:{name}", vector @ texts.T, captions.texts, captions.times[[i]].indices.tolist())
        for i, (name, vector) in enumerate(zip(names, images, strict=True))
    ]
    rows += [
        _row(f"t2i:{text}", vector @ images.T, names, owners[[i]].indices.tolist())
        for i, (text, vector) in enumerate(zip(captions.texts, texts, strict=True))
    ]
    return rows


def _row(
    name: str, scores: NDArray[np.float32], candidates: Sequence[str], right: Sequence[int]
) -> dict[str, Any]:
    best = np.argsort(-scores, kind="stable")[:_SHOWN]
    return {
        "id": name,
        "prediction_raw": {candidates[i]: round(float(scores[i]), 4) for i in best},
        "prediction_parsed": candidates[best[0]],
        "gold": [candidates[i] for i in right],
        "correct": bool(best[0] in right),
    }
