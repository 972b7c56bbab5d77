"""How good a dense network is on packs: confusions, intersection over union, calibration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from terralogue.tools.dense_data import IGNORE, DensePack
from terralogue.tools.dense_model import STRIDE, DenseNet

BINS: Final = 15
"""Of the expected calibration error (Guo et al. 2017, arXiv 1706.04599)."""
_BATCH: Final = 8
# Between 1/5 and 5: what is outside is a broken model.
_TEMPERATURES: Final = np.exp(np.linspace(-1.6, 1.6, 65))


def predictions(
    net: DenseNet, pack: DensePack, device: str = "cpu", batch: int = _BATCH
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Head, logits float32 (n, classes, H, W) and labels uint8 (n, H, W), batch by batch."""
    height, width = pack.images.shape[-2:]
    for start in range(0, len(pack.images), batch):
        part = slice(start, start + batch)
        images = prepared(pack, part).to(device)
        with torch.inference_mode(), torch.autocast(device.partition(":")[0], torch.bfloat16):
            found = net.look(images, pack.bands)
        for head, labels in pack.labels.items():
            if head in found:
                logits = found[head][..., :height, :width]
                yield head, logits, torch.from_numpy(labels[part]).to(device)


def prepared(pack: DensePack, part: slice) -> Tensor:
    """Images of a pack as a network takes them, mirrored to multiples of STRIDE at two edges."""
    height, width = pack.images.shape[-2:]
    images = torch.from_numpy(np.ascontiguousarray(pack.images[part]))
    images = images.float() / 127.5 - 1 if images.dtype == torch.uint8 else images.float()
    return F.pad(images, (0, -width % STRIDE, 0, -height % STRIDE), mode="reflect")


def confusions(
    net: DenseNet, packs: Sequence[DensePack], device: str = "cpu"
) -> dict[str, NDArray[np.int64]]:
    """Counts of pixels by head: int64 (true class, found class), unknown pixels left out."""
    totals = {
        head: np.zeros((len(classes),) * 2, np.int64) for head, classes in net.config.heads.items()
    }
    for pack in packs:
        for head, logits, labels in predictions(net, pack, device):
            totals[head] += confusion(labels, logits.argmax(1), logits.shape[1])
    return totals


def confusion(labels: Tensor, found: Tensor, classes: int) -> NDArray[np.int64]:
    """Counts of pixels: int64 (true class, found class)."""
    known = labels != IGNORE
    both = labels[known].long() * classes + found[known].long()
    counted = torch.bincount(both, minlength=classes**2).reshape(classes, classes)
    return np.asarray(counted.cpu().numpy(), np.int64)


def scores(
    totals: Mapping[str, NDArray[np.int64]], heads: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, float]]:
    """Intersection over union by head and class, and their "mean"; the class "other" is left out.

    Classes that neither occur nor were found have none.
    """
    found = {}
    for head, counts in totals.items():
        union = counts.sum(0) + counts.sum(1) - np.diag(counts)
        rows = {
            name: float(counts[i, i] / union[i])
            for i, name in enumerate(heads[head])
            if name != "other" and union[i]
        }
        found[head] = {**rows, "mean": float(np.mean(list(rows.values()))) if rows else 0.0}
    return found


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature of least cross entropy for logits (n, classes) and labels (n,)."""
    losses = [
        float(F.cross_entropy(logits / float(temperature), labels.long()))
        for temperature in _TEMPERATURES
    ]
    return float(_TEMPERATURES[int(np.argmin(losses))])


def calibration_error(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> float:
    """Expected calibration error of the chosen class: (n, classes) against (n,)."""
    confidence, found = probabilities.max(1), probabilities.argmax(1)
    right = found == labels
    places = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [
        abs(float(right[places == i].mean()) - float(confidence[places == i].mean()))
        * float((places == i).mean())
        for i in range(BINS)
        if (places == i).any()
    ]
    return float(sum(gaps))
