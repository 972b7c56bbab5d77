"""Training of dense networks from packs: `terralogue train dense`.

Every step draws a fixed number of crops from each pack; packs of one band set share a pass through
the network, and each head learns from those that have labels for it. A run goes on from `state.pt`
where there is one.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError
from terralogue.tools.dense_augment import crop, recolour
from terralogue.tools.dense_checkpoint import DenseFacts, write_dense
from terralogue.tools.dense_data import IGNORE, DensePack
from terralogue.tools.dense_model import DenseNet
from terralogue.tools.dense_scores import confusions, scores
from terralogue.vlm.align_augment import relight, roughen

STATE: Final = "state.pt"
_WARM: Final = 0.04  # share of the run over which the learning rate rises
_KEEP: Final = 60.0  # seconds between states on disk


@dataclass(frozen=True)
class DenseTraining:
    """How to train; a command line option mirrors each field.

    Attributes:
        minutes: length of the schedule.
        steps: ends the schedule earlier where it is reached; 0 for no limit.
        batch: crops in a step, divided among the packs by weight.
        size: of a crop in pixels.
        lr: largest learning rate of the decoder.
        encoder_lr: that of the pretrained encoder; 0 keeps it frozen.
        depthwise: learn the encoder's depthwise kernels too: 3 % of its weights, whose gradients
            take half of the time of a step on a CPU.
        decay: weight decay.
        average: decay of the averaged weights.
        dice: weight of the Dice loss beside the cross entropy.
        every: seconds between validations.
        seed: of everything drawn.
    """

    minutes: float = 30.0
    steps: int = 0
    batch: int = 24
    size: int = 256
    lr: float = 1.5e-3
    encoder_lr: float = 3e-4
    depthwise: bool = True
    decay: float = 0.02
    average: float = 0.998
    dice: float = 0.5
    every: float = 60.0
    seed: int = 0


def dense_loss(logits: Tensor, labels: Tensor, dice: float) -> Tensor:
    """Cross entropy and the Dice loss (Milletari et al. 2016, arXiv 1606.04797) of known pixels.

    Args:
        logits: (n, classes, H, W).
        labels: uint8 (n, H, W), IGNORE where not known.
        dice: weight of the second.
    """
    known = labels != IGNORE
    count = known.sum().clamp(min=1)
    target = torch.where(known, labels, 0).long()
    entropy = F.cross_entropy(logits.float(), target, reduction="none")
    plain = (entropy * known).sum() / count
    shares = logits.float().softmax(1) * known[:, None]
    truth = F.one_hot(target, logits.shape[1]).permute(0, 3, 1, 2) * known[:, None]
    overlap = (shares * truth).sum((0, 2, 3))
    sizes = truth.sum((0, 2, 3))
    loss = 1 - (2 * overlap + 1) / (shares.sum((0, 2, 3)) + sizes + 1)
    there = (sizes > 0).float()
    return plain + dice * (loss * there).sum() / there.sum().clamp(min=1)


class _Stock:
    """One pack on the device, and how many crops of it go into a step."""

    def __init__(self, pack: DensePack, count: int, device: str) -> None:
        self.pack, self.count = pack, count
        self.heads = tuple(pack.labels)
        self.images = torch.from_numpy(np.ascontiguousarray(pack.images)).to(device)
        stacked = np.stack([pack.labels[head] for head in self.heads], 1)
        self.labels = torch.from_numpy(stacked).to(device)

    def draw(self, size: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Crops (count, bands, size, size) in about -1 to 1, and labels (count, heads, …)."""
        chosen = torch.from_numpy(rng.integers(0, len(self.images), self.count))
        chosen = chosen.to(self.images.device)
        images = in_range(self.images[chosen])
        images, labels = crop(images, self.labels[chosen], size, self.pack.zoom, rng)
        images = relight(images, self.pack.bands, rng)
        if self.images.dtype == torch.uint8 and images.shape[1] == 3:
            images = roughen(recolour(images, rng), rng)
        return images, labels


def in_range(images: Tensor) -> Tensor:
    """Pixels of a pack as the network takes them: float32, about -1 to 1."""
    return images.float() / 127.5 - 1 if images.dtype == torch.uint8 else images.float()


class DenseTrainer:
    """The loop, with its state on disk.

    Args:
        net: to train, perhaps with a pretrained encoder.
        config: how to train.
        train: packs to learn from.
        val: packs to judge by; the best weights by them are kept.
        out: folder of the weights, the state and the log.
        facts: written beside the weights.
        device: of torch.

    Raises:
        InputError: a head has no pack to learn from, or there are fewer crops than packs.
    """

    def __init__(
        self, net: DenseNet, config: DenseTraining, train: Sequence[DensePack],
        val: Sequence[DensePack], out: Path, *, facts: DenseFacts, device: str = "cpu",
    ) -> None:  # fmt: skip
        torch.manual_seed(config.seed)
        self.config, self.val, self.out, self.facts = config, list(val), out, facts
        self.device = device
        learnt = {head for pack in train for head in pack.labels}
        if missing := set(net.config.heads) - learnt:
            raise InputError(f"no pack has labels for {', '.join(sorted(missing))}; add one")
        # Other layouts take long to set up on a GPU.
        layout = torch.channels_last if device == "cpu" else torch.contiguous_format
        self.net = net.to(device).to(memory_format=layout)
        counts = _shares([pack.weight for pack in train], config.batch)
        groups: dict[tuple[Band, ...], list[_Stock]] = {}
        for pack, count in zip(train, counts, strict=True):
            groups.setdefault(pack.bands, []).append(_Stock(pack, count, device))
        self.groups = groups
        self.optimiser = _optimiser(net, config)
        self.average = AveragedModel(self.net, multi_avg_fn=self._blend, use_buffers=True)
        self.step, self.spent, self.best = 0, 0.0, -1.0
        self.rows: list[dict[str, float]] = []
        out.mkdir(parents=True, exist_ok=True)
        if (out / STATE).is_file():
            self._resume()

    @torch.no_grad()
    def _blend(self, kept: Sequence[Tensor], new: Sequence[Tensor], seen: Tensor | int) -> None:
        decay = min(self.config.average, (1 + self.step) / (10 + self.step))
        for mean, value in zip(kept, new, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)

    @property
    def averaged(self) -> DenseNet:
        """The network with averaged weights, in evaluation mode."""
        return cast(DenseNet, self.average.module.eval())

    def run(self) -> float:
        """Train to the end of the schedule; the best validation score."""
        began = time.monotonic() - self.spent
        judged, saved = self.spent, self.spent
        losses: list[Tensor] = []
        while self._progress() < 1:
            losses.append(self._update())
            self.step += 1
            self.spent = time.monotonic() - began
            if self.spent - judged >= self.config.every or self._progress() >= 1:
                judged = self.spent
                self._judge(float(torch.stack(losses).mean()))
                losses = []
            if self.spent - saved >= _KEEP:
                saved = self.spent
                self._save()
        self._save()
        return self.best

    def _progress(self) -> float:
        """Share of the schedule that is done."""
        done = self.spent / (60 * self.config.minutes)
        return max(done, self.step / self.config.steps) if self.config.steps else done

    def _update(self) -> Tensor:
        progress = self._progress()
        warm = min(1.0, progress / _WARM) if self.step else 0.02
        factor = max(0.02, warm * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))
        for group in self.optimiser.param_groups:
            group["lr"] = group["highest"] * factor
        rng = np.random.default_rng([self.config.seed, self.step])
        self.net.train()
        total = torch.zeros((), device=self.device)
        for bands, stocks in self.groups.items():
            drawn = [stock.draw(self.config.size, rng) for stock in stocks]
            images = torch.cat([each for each, _ in drawn])
            with torch.autocast(self.device.partition(":")[0], torch.bfloat16):
                features = self.net.features(images, bands)
                for head in self.net.config.heads:
                    rows, labels = _of_head(head, stocks, [marks for _, marks in drawn])
                    if rows:
                        logits = self.net.classify(features[rows], head)
                        total = total + dense_loss(logits, labels, self.config.dice)
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 2.0)
        self.optimiser.step()
        self.average.update_parameters(self.net)
        return total.detach()

    def _judge(self, loss: float) -> None:
        """Score the averaged weights, and keep them where they are the best so far."""
        found = scores(confusions(self.averaged, self.val, self.device), self.net.config.heads)
        mean = float(np.mean([head["mean"] for head in found.values()]))
        row = {"step": float(self.step), "seconds": self.spent, "loss": loss, "score": mean}
        row |= {f"{head}_{name}": iou for head, rows in found.items() for name, iou in rows.items()}
        self.rows.append(row)
        print(" ".join(f"{name} {value:.4g}" for name, value in row.items()), flush=True)
        if mean > self.best:
            self.best = mean
            write_dense(self.out, self.averaged, self.facts)
        with (self.out / "log.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
            writer.writerows(self.rows)

    def _save(self) -> None:
        part = self.out / f"{STATE}.part"
        state = {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "spent": self.spent,
            "best": self.best,
            "rows": self.rows,
        }
        torch.save(state, part)
        part.replace(self.out / STATE)

    def _resume(self) -> None:
        state = torch.load(self.out / STATE, map_location=self.device, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.spent, self.best = state["step"], state["spent"], state["best"]
        self.rows = state["rows"]


def _of_head(
    head: str, stocks: Sequence[_Stock], labels: Sequence[Tensor]
) -> tuple[list[int], Tensor]:
    """Rows of a batch that have labels for a head, and those labels (rows, size, size)."""
    rows: list[int] = []
    found = []
    start = 0
    for stock, marks in zip(stocks, labels, strict=True):
        if head in stock.heads:
            rows += range(start, start + stock.count)
            found.append(marks[:, stock.heads.index(head)])
        start += stock.count
    return rows, torch.cat(found) if found else torch.zeros(0)


def _shares(weights: Sequence[float], batch: int) -> list[int]:
    """Divide a batch by weights, at least one for each."""
    if not weights or batch < len(weights):
        raise InputError(f"--batch {batch} is too little for {len(weights)} packs; give more")
    exact = np.array(weights) / sum(weights) * batch
    counts = np.maximum(np.floor(exact).astype(int), 1)
    while counts.sum() != batch:
        step = 1 if counts.sum() < batch else -1
        gap = (exact - counts) * step
        gap[(counts == 1) & (step < 0)] = -np.inf
        counts[int(gap.argmax())] += step
    return [int(count) for count in counts]


def _optimiser(net: DenseNet, config: DenseTraining) -> torch.optim.AdamW:
    pretrained = {id(p) for module in net.encoder for p in module.parameters()}
    if not config.depthwise:
        for module in net.modules():
            if isinstance(module, nn.Conv2d) and module.groups > 1:
                module.weight.requires_grad_(False)
    groups = []
    for inside, rate in ((True, config.encoder_lr), (False, config.lr)):
        own = [p for p in net.parameters() if (id(p) in pretrained) == inside]
        if rate == 0:
            for parameter in own:
                parameter.requires_grad_(False)
            continue
        for wide, decay in ((True, config.decay), (False, 0.0)):
            chosen = [p for p in own if (p.ndim > 1) == wide and p.requires_grad]
            groups.append({"params": chosen, "weight_decay": decay, "highest": rate})
    return torch.optim.AdamW(groups, lr=config.lr)
