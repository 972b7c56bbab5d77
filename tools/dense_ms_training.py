"""Training of a `SlotNet`: cross-entropy with Dice loss, averaged weights, the best kept.

Real images without labels may help: the averaged network labels what it is sure of, and the
trained one learns to give the same under another light and with fewer bands (FixMatch, Sohn et
al. 2020, arXiv 2001.07685; mean teacher, Tarvainen and Valpola 2017, arXiv 1703.01780).

Losses: Milletari et al. 2016 (Dice, arXiv 1606.04797). Weights are averaged over the last steps by
an exponential moving average, which is what is validated and kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from terralogue.datasets.dense_slots import SLOTS
from terralogue.tools.dense_ms_augment import augment
from terralogue.tools.dense_ms_model import SlotNet

IGNORED = 255
_MILD = 0.25
_COLOURS = torch.tensor([float(name in ("B", "G", "R")) for name in SLOTS])


class Tiles(NamedTuple):
    """Labelled images of one size.

    Attributes:
        planes: (n, slots, H, W), NaN where unobserved; any float type.
        present: (n, slots) of 0 and 1, float32.
        codes: (n, H, W) uint8, 255 where unknown.
    """

    planes: Tensor
    present: Tensor
    codes: Tensor

    def to(self, device: str) -> Tiles:
        """The same on another device."""
        return Tiles(*(part.to(device) for part in self))

    def at(self, index: NDArray[np.intp] | Tensor) -> Tiles:
        """Some of them."""
        chosen = torch.as_tensor(index, device=self.planes.device)
        return Tiles(*(part[chosen] for part in self))

    def floats(self) -> Tiles:
        """The same with planes of float32."""
        return self._replace(planes=self.planes.float())

    def plus(self, other: Tiles) -> Tiles:
        """Both together."""
        return Tiles(*(torch.cat(pair) for pair in zip(self, other, strict=True)))


def as_tiles(
    planes: NDArray[np.floating], present: NDArray[np.bool_], codes: NDArray[np.uint8]
) -> Tiles:
    """Tiles of arrays."""
    return Tiles(
        torch.from_numpy(planes.astype(np.float16)),
        torch.from_numpy(present.astype(np.float32)),
        torch.from_numpy(codes),
    )


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        minutes: of wall clock; training stops at whichever of the two comes first.
        steps: at most.
        batch: images in a step.
        side: of the crops that are learned from, in pixels; a multiple of 8.
        rate: highest learning rate (AdamW, one cycle).
        decay: weight decay.
        average: of the moving average of the weights, per step.
        strength: of the augmentation.
        drop: share of the images that lose bands.
        every: seconds between validations.
        pictures: real images with labels in a step, where there are any.
        unlabelled: images without labels in a step, where there are any.
        sure: probability from which the averaged network labels a pixel of those.
        alone: share of the schedule before it is good enough for that.
        bf16: compute in half precision; always so on CUDA.
    """

    minutes: float = 4.0
    steps: int = 4000
    batch: int = 24
    side: int = 128
    rate: float = 2e-3
    decay: float = 0.02
    average: float = 0.995
    strength: float = 1.0
    drop: float = 0.6
    every: float = 20.0
    pictures: int = 12
    unlabelled: int = 12
    sure: float = 0.8
    alone: float = 0.3
    bf16: bool = False


class Confusion:
    """Counts of truth by prediction, for intersection over union."""

    def __init__(self, classes: int) -> None:
        """Empty."""
        self.counts = np.zeros((classes, classes), np.int64)

    def add(self, truth: Tensor, found: Tensor) -> None:
        """Count codes (n, H, W); 255 in the truth is left out."""
        size = len(self.counts)
        known = truth != IGNORED
        pairs = truth[known].long() * size + found[known].long()
        self.counts += torch.bincount(pairs, minlength=size * size).view(size, size).cpu().numpy()

    @property
    def ious(self) -> NDArray[np.float64]:
        """Of each class; NaN of a class that is neither there nor found."""
        hit = np.diag(self.counts)
        union = self.counts.sum(0) + self.counts.sum(1) - hit
        with np.errstate(invalid="ignore"):
            return np.asarray(hit / np.where(union > 0, union, np.nan))


def predict(net: SlotNet, tiles: Tiles, batch: int = 32) -> Tensor:
    """Logits (n, classes, H, W) float32, on the CPU."""
    device = next(net.parameters()).device
    net.eval()
    found = []
    with torch.inference_mode():
        for start in range(0, len(tiles.codes), batch):
            planes = tiles.planes[start : start + batch].to(device).float().nan_to_num(0.0)
            found.append(net(planes, tiles.present[start : start + batch].to(device)).cpu())
    return torch.cat(found)


def validate(net: SlotNet, tiles: Tiles) -> Confusion:
    """Confusion of the likeliest classes."""
    confusion = Confusion(len(net.config.classes))
    confusion.add(tiles.codes.cpu(), predict(net, tiles).argmax(1))
    return confusion


def loss_of(logits: Tensor, codes: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean of cross-entropy and soft Dice loss over the classes that are there."""
    logits = logits.float()
    target = codes.long()
    entropy = F.cross_entropy(
        logits, target, weight=weights, ignore_index=IGNORED, label_smoothing=0.03
    )
    known = (codes != IGNORED).unsqueeze(1)
    likely = logits.softmax(1) * known
    truth = F.one_hot(torch.where(known[:, 0], target, 0), logits.shape[1]).movedim(-1, 1) * known
    both, sizes = (likely * truth).sum((0, 2, 3)), (likely + truth).sum((0, 2, 3))
    there = truth.sum((0, 2, 3)) > 0
    dice = 1 - (2 * both[there] + 1) / (sizes[there] + 1)
    return entropy + 0.5 * dice.mean()


def train(
    net: SlotNet,
    more: Callable[[], Tiles],
    recipe: Recipe,
    *,
    pictures: Callable[[int], Tiles] | None = None,
    unlabelled: Callable[[int], Tiles] | None = None,
    score: Callable[[SlotNet], float] | None = None,
    keep: Callable[[SlotNet, float], None] | None = None,
    class_weights: Tensor | None = None,
    say: Callable[[str], None] = print,
) -> SlotNet:
    """Train a network; gives the averaged weights with the best score, or the last ones.

    Args:
        net: on its device; changed in place.
        more: gives the tiles to draw from, on the device; asked at every step, so that there may
            be more of them later.
        recipe: how.
        pictures: gives so many real images with labels, of the side of the crops.
        unlabelled: gives so many real images that the averaged network labels where it is sure.
        score: of the averaged network, the higher the better.
        keep: called with every network that is better than those before.
        class_weights: of the cross-entropy.
        say: is told what happens.
    """
    device = next(net.parameters()).device
    fast = recipe.bf16 or device.type == "cuda"
    net.to(memory_format=torch.channels_last)
    groups = torch.optim.AdamW(net.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    averaged = deepcopy(net)
    best, best_score = deepcopy(net), -1.0
    begun = last = time.monotonic()
    step = 0
    while True:
        done = max(step / recipe.steps, (time.monotonic() - begun) / (60 * recipe.minutes))
        if done >= 1:
            break
        for group in groups.param_groups:
            group["lr"] = recipe.rate * _pace(done)
        tiles = more()
        chosen = drawn(tiles, recipe.batch, recipe.side)
        if unlabelled is not None and done > recipe.alone:
            chosen = chosen.plus(_labelled(averaged, unlabelled(recipe.unlabelled), recipe, fast))
        shown = Tiles(*augment(*chosen.floats(), strength=recipe.strength, drop=recipe.drop))
        count = len(shown.codes)
        if pictures is not None:
            # Real light is as varied as it is; it is not made any stranger.
            real = pictures(recipe.pictures).floats()
            shown = shown.plus(Tiles(*augment(*real, strength=_MILD * recipe.strength, drop=0.0)))
        net.train()
        with torch.autocast(device.type, torch.bfloat16, enabled=fast):
            logits = net(shown.planes.contiguous(memory_format=torch.channels_last), shown.present)
        loss = loss_of(logits[:count], shown.codes[:count], class_weights)
        if pictures is not None:
            loss = loss + loss_of(logits[count:], shown.codes[count:])
        groups.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        groups.step()
        _follow(averaged, net, min(recipe.average, (1 + step) / (10 + step)))
        step += 1
        if time.monotonic() - last > recipe.every:
            last = time.monotonic()
            found = score(averaged) if score is not None else 0.0
            say(f"step {step} share {done:.2f} loss {float(loss.detach()):.3f} score {found:.4f}")
            if score is not None and found > best_score:
                best, best_score = deepcopy(averaged), found
                if keep is not None:
                    keep(best, best_score)
    found = score(averaged) if score is not None else 0.0
    if score is None or found >= best_score:
        best, best_score = averaged, found
        if keep is not None:
            keep(best, best_score)
    say(f"steps {step} score {found:.4f} best {best_score:.4f}")
    return best.eval()


def drawn(tiles: Tiles, count: int, side: int) -> Tiles:
    """Crops of tiles drawn at random, at one place of all of them."""
    some = tiles.at(torch.randint(len(tiles.codes), (count,)))
    free = max(0, some.codes.shape[-1] - side)
    row, column = (int(torch.randint(free + 1, ())) for _ in range(2))
    place = slice(row, row + side), slice(column, column + side)
    return Tiles(some.planes[:, :, *place], some.present, some.codes[:, *place])


def _labelled(teacher: SlotNet, some: Tiles, recipe: Recipe, fast: bool) -> Tiles:
    """Real images with the classes that the averaged network is sure of.

    It sees them twice, with all bands and with the colours alone, which is how it knows real land,
    and the mean of both is what it has to be sure of.
    """
    teacher.eval()
    colours = some.present * _COLOURS.to(some.present)
    planes = some.planes.float().nan_to_num(0.0)
    both = torch.cat((planes, planes * colours[:, :, None, None]))
    with torch.no_grad(), torch.autocast(planes.device.type, torch.bfloat16, enabled=fast):
        logits = teacher(
            both.contiguous(memory_format=torch.channels_last),
            torch.cat((some.present, colours)),
        )
    likely, codes = logits.float().softmax(1).view(2, len(planes), *logits.shape[1:]).mean(0).max(1)
    sure = torch.where(likely >= recipe.sure, codes, IGNORED).to(torch.uint8)
    return Tiles(some.planes, some.present, sure)


def _pace(done: float) -> float:
    """One cycle: up over a twentieth, down along a cosine."""
    if done < 0.05:
        return 0.1 + 0.9 * done / 0.05
    return float(0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * (done - 0.05) / 0.95)))


def _follow(averaged: SlotNet, net: SlotNet, share: float) -> None:
    with torch.no_grad():
        mine, theirs = averaged.state_dict(), net.state_dict()
        for name, value in mine.items():
            if value.is_floating_point():
                value.lerp_(theirs[name].to(value.dtype), 1 - share)
            else:
                value.copy_(theirs[name])
