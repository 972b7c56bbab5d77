"""Training of change networks from packs of places: `terralogue train change`.

Every step draws patches around changed and around any pixels of all training places, turns, mirrors
and stretches them, moves the second date by a fraction of a pixel, and relights both dates apart
from each other, all on the device. Patches of one shape keep cuDNN from setting up again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from terralogue.tools.change_facts import ChangeFacts
from terralogue.tools.change_net import (
    ChangeConfig,
    ChangeNet,
    Ensemble,
    Floats,
    Standard,
    standard,
    write_change,
)
from terralogue.tools.change_training_data import Place

_WARM: Final = 0.05  # share of the run over which the learning rate rises
_SAMPLES: Final = 200_000  # pixels that a place is standardised by
THRESHOLDS: Final = np.linspace(0.02, 0.98, 49)

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class ChangeTraining:
    """How to train; a command line option mirrors each field.

    Attributes:
        minutes: length of the schedule.
        steps: ends the schedule earlier where it is reached; 0 for no limit.
        batch: patches in a step.
        size: of a patch in pixels, a multiple of 16.
        lr: largest learning rate.
        encoder_lr: of a pretrained encoder, as a share of `lr`.
        decay: weight decay.
        average: decay of the averaged weights.
        dice: weight of the Dice loss beside the cross entropy.
        around: share of patches centred on a changed pixel.
        stretch: largest factor by which a patch is stretched or shrunk, less one.
        light: standard deviation of the shift of each band of each date, in its spreads.
        still: share of patches that show one date twice, relit: light alone is no change.
        bandless: share of patches that lack some bands on both dates.
        simulated: share of patches from simulated places, where there are any.
        every: seconds between validations.
        seed: of everything drawn.
    """

    minutes: float = 30.0
    steps: int = 0
    batch: int = 24
    size: int = 128
    lr: float = 2e-3
    encoder_lr: float = 0.2
    decay: float = 0.02
    average: float = 0.995
    dice: float = 0.5
    around: float = 0.5
    stretch: float = 0.25
    light: float = 0.2
    still: float = 0.05
    bandless: float = 0.25
    simulated: float = 0.25
    every: float = 25.0
    seed: int = 0


def standards(place: Place) -> tuple[Standard, Standard]:
    """How either date of a place is standardised, from a sample of its observed pixels."""
    pixels = np.flatnonzero(place.seen)
    if len(pixels) > _SAMPLES:
        pixels = np.random.default_rng(0).choice(pixels, _SAMPLES, replace=False)
    flat = place.data.reshape(2, len(place.bands), -1)[:, :, pixels].astype(np.float32)
    return standard(flat[0], root=False), standard(flat[1], root=False)


class _Atlas:
    """Places below one another on the device, with a margin that belongs to none."""

    def __init__(self, places: Sequence[Place], margin: int, device: str) -> None:
        bands = len(places[0].bands)
        width = max(place.data.shape[-1] for place in places) + 2 * margin
        height = sum(place.data.shape[-2] + margin for place in places) + margin
        data = np.zeros((2 * bands, height, width), np.uint8)
        masks = np.zeros((2, height, width), np.uint8)
        owner = np.full((height, width), -1, np.int16)
        top = margin
        scales = np.zeros((len(places), 2, 2 * bands), np.float32)
        for number, place in enumerate(places):
            rows = slice(top, top + place.data.shape[-2])
            columns = slice(margin, margin + place.data.shape[-1])
            data[:, rows, columns] = place.data.reshape(2 * bands, *place.data.shape[-2:])
            masks[0, rows, columns], masks[1, rows, columns] = place.changed, place.seen
            owner[rows, columns] = number
            known = standards(place)
            scales[number, 0] = np.concatenate([date.middle for date in known])
            scales[number, 1] = np.concatenate([date.spread for date in known])
            top += place.data.shape[-2] + margin
        seen = masks[1] > 0
        self.changed = np.argwhere((masks[0] > 0) & seen)
        self.anywhere = np.argwhere(seen)
        self.data, self.masks = (
            torch.from_numpy(data).to(device),
            torch.from_numpy(masks).to(device),
        )
        self.owner = torch.from_numpy(owner).to(device)
        self.scales = torch.from_numpy(scales).to(device)

    def draw(
        self, count: int, side: int, around: float, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Standardised patches (count, 2 x bands, side, side), and masks (count, 2, side, side)."""
        near = rng.random(count) < around
        centres = self.anywhere[rng.integers(0, len(self.anywhere), count)]
        if len(self.changed):
            chosen = self.changed[rng.integers(0, len(self.changed), count)]
            centres = np.where(near[:, None], chosen, centres)
        device = self.data.device
        owners = self.owner[tuple(torch.from_numpy(centres).T)].long()
        # A changed pixel need not lie in the middle.
        height, width = self.owner.shape
        centres = centres + rng.integers(-side // 4, side // 4 + 1, centres.shape)
        corner = np.clip(centres - side // 2, 0, (height - side, width - side))
        steps = np.arange(side)
        rows = torch.from_numpy(corner[:, :1] + steps).to(device)[:, :, None]
        columns = torch.from_numpy(corner[:, 1:] + steps).to(device)[:, None, :]
        patch = self.data[:, rows, columns].transpose(0, 1).float()
        scale = self.scales[owners]
        patch = (patch - scale[:, 0, :, None, None]) / scale[:, 1, :, None, None]
        own = self.owner[rows, columns] == owners[:, None, None]
        masks = self.masks[:, rows, columns].transpose(0, 1).float()
        masks = masks * own[:, None]
        return patch.clamp(-6, 6) * masks[:, 1:], masks


def augment(
    patch: Tensor, masks: Tensor, config: ChangeTraining, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Turn, mirror, stretch, shift and relight patches.

    Args:
        patch: (n, 2 x bands, S, S) with S about half as much again as the patch wanted.
        masks: (n, 2, S, S): changed, seen.
        config: how much.
        rng: what is drawn.

    Returns:
        Before and after (n, bands, size, size), changed and seen (n, size, size).
    """
    count, channels, side = patch.shape[:3]
    bands, device = channels // 2, patch.device
    angle = rng.integers(0, 4, count) * (math.pi / 2) + rng.normal(0, 0.15, count)
    factor = np.exp(rng.uniform(-1, 1, count) * math.log1p(config.stretch)) * config.size / side
    mirror = rng.choice([-1.0, 1.0], count)
    theta = np.zeros((count, 2, 3), np.float32)
    theta[:, 0, 0], theta[:, 0, 1] = factor * np.cos(angle) * mirror, -factor * np.sin(angle)
    theta[:, 1, 0], theta[:, 1, 1] = factor * np.sin(angle) * mirror, factor * np.cos(angle)
    moved = theta.copy()
    moved[:, :, 2] += rng.normal(0, 0.3, (count, 2)) * 2 / side
    shape = [count, bands, config.size, config.size]
    grids = [
        F.affine_grid(torch.from_numpy(each).to(device), shape, align_corners=False)
        for each in (theta, moved)
    ]
    before, after = (
        F.grid_sample(date, grid, align_corners=False)
        for date, grid in zip((patch[:, :bands], patch[:, bands:]), grids, strict=True)
    )
    # A patch that shows another place's neighbourhood has not seen it.
    masks = F.grid_sample(masks, grids[0], align_corners=False)
    changed, seen = masks[:, 0] > 0.5, masks[:, 1] > 0.99
    still = torch.from_numpy(rng.random(count) < config.still).to(device)
    after = torch.where(still[:, None, None, None], before, after)
    changed = changed & ~still[:, None, None]
    swap = torch.from_numpy(rng.random(count) < 0.5).to(device)[:, None, None, None]
    before, after = torch.where(swap, after, before), torch.where(swap, before, after)
    dates = [_relit(date, config.light, rng) for date in (before, after)]
    kept = np.ones((count, bands), np.float32)
    lacking = rng.random(count) < config.bandless
    kept[lacking] = rng.random((int(lacking.sum()), bands)) > rng.choice([0.15, 0.5])
    keep = torch.from_numpy(kept).to(device)[:, :, None, None]
    known = seen[:, None].float() * keep
    return dates[0] * known, dates[1] * known, changed.float(), seen.float()


def _relit(date: Tensor, light: float, rng: np.random.Generator) -> Tensor:
    """Another gain and offset for all bands, a little of either for each, and noise."""
    count, bands = date.shape[:2]
    gain = np.exp(
        rng.normal(0, 0.75 * light, (count, 1)) + rng.normal(0, light / 2, (count, bands))
    )
    offset = rng.normal(0, light, (count, 1)) + rng.normal(0, light / 2, (count, bands))
    parts = np.stack([gain, offset]).astype(np.float32)
    scale, shift = torch.from_numpy(parts).to(date.device)[..., None, None]
    noise = float(rng.uniform(0, 0.15))
    relit: Tensor = date * scale + shift + noise * torch.randn_like(date)
    return relit


def change_loss(logits: Tensor, changed: Tensor, seen: Tensor, dice: float) -> Tensor:
    """Cross entropy and the Dice loss (Milletari et al. 2016, arXiv 1606.04797), both (n, H, W)."""
    count = seen.sum().clamp(min=1)
    entropy = F.binary_cross_entropy_with_logits(logits, changed, reduction="none")
    share = logits.sigmoid() * seen
    overlap, sizes = (share * changed).sum(), share.sum() + (changed * seen).sum()
    return (entropy * seen).sum() / count + dice * (1 - (2 * overlap + 1) / (sizes + 1))


def train(
    config: ChangeConfig,
    training: ChangeTraining,
    places: Sequence[Place],
    held: Sequence[Place],
    out: Path,
    *,
    device: str = "cpu",
    say: Callable[[str], None] = print,
    begin: Callable[[ChangeNet], None] | None = None,
) -> Ensemble:
    """Train one network; `out/last` holds the averaged weights, `out/best` the best validated.

    Args:
        config: of the network.
        training: how.
        places: to learn from; names that begin with "simulated" make up a share of their own.
        held: to validate on; may be empty.
        out: folder.
        device: of torch.
        say: gets a line at each validation.
        begin: gives the network pretrained weights.
    """
    torch.manual_seed(training.seed)
    rng = np.random.default_rng(training.seed)
    net = ChangeNet(config)
    if begin is not None:
        begin(net)
    net.to(device)
    side = 16 * math.ceil(training.size * 1.45 / 16)
    real = [place for place in places if not place.name.startswith("simulated")]
    simulated = [place for place in places if place.name.startswith("simulated")]
    atlases = [_Atlas(part, side // 2, device) for part in (real, simulated) if part]
    extra = round(training.batch * training.simulated) if len(atlases) > 1 else 0
    counts = [training.batch - extra, extra]
    encoder = [p for p in net.encoder.parameters() if p.requires_grad]
    share = training.encoder_lr if begin is not None else 1.0
    groups = [
        {"params": encoder, "lr": training.lr * share},
        {"params": list(net.decoder.parameters()), "lr": training.lr},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=training.decay)
    rates = [float(group["lr"]) for group in optimiser.param_groups]
    ema = get_ema_multi_avg_fn(training.average)  # type: ignore[no-untyped-call]
    averaged = AveragedModel(net, multi_avg_fn=ema, use_buffers=True)
    began = last = time.monotonic()
    step, best = 0, -1.0
    losses: list[Tensor] = []
    while True:
        done = (time.monotonic() - began) / (60 * training.minutes)
        if training.steps:
            done = max(done, step / training.steps)
        if done >= 1:
            break
        rate = min(done / _WARM, 1.0) * 0.5 * (1 + math.cos(math.pi * done)) + 0.01
        for group, full in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = full * rate
        drawn = [
            atlas.draw(count, side, training.around, rng)
            for atlas, count in zip(atlases, counts, strict=False)
            if count
        ]
        patch, masks = (torch.cat(part) for part in zip(*drawn, strict=True))
        before, after, changed, seen = augment(patch, masks, training, rng)
        net.train()
        with torch.autocast(device, torch.bfloat16):
            logits = net(before, after)
        loss = change_loss(logits, changed, seen, training.dice)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        averaged.update_parameters(net)
        losses.append(loss.detach())
        step += 1
        if time.monotonic() - last >= training.every:
            kept = _kept(averaged, config)
            score = validate(kept, held, device) if held else 0.0
            spent = (time.monotonic() - began) / 60
            mean = float(torch.stack(losses).mean())
            say(f"{spent:6.2f} min step {step:6d} loss {mean:.4f} val F1 {score:.4f}")
            if score > best:
                best = score
                write_change(out / "best", kept.nets, kept.facts)
            losses, last = [], time.monotonic()
    kept = _kept(averaged, config)
    score = validate(kept, held, device) if held else 0.0
    say(f"last: step {step} val F1 {score:.4f}, best before {best:.4f}")
    write_change(out / "last", kept.nets, kept.facts)
    return kept


def _kept(averaged: AveragedModel, config: ChangeConfig) -> Ensemble:
    net = ChangeNet(config)
    net.load_state_dict({k: v.detach().cpu() for k, v in averaged.module.state_dict().items()})
    return Ensemble((net.eval(),), ChangeFacts())


def validate(ensemble: Ensemble, places: Sequence[Place], device: str) -> float:
    """Pooled F1 of the changed class at the best of THRESHOLDS: to compare, not to report."""
    counts = np.zeros((len(THRESHOLDS), 3))
    for place in places:
        counts += confusions(
            sigmoid(place_logits(ensemble, place, device)), place.changed, place.seen
        )
    return float(f1_of(counts).max())


def place_logits(ensemble: Ensemble, place: Place, device: str = "cpu") -> Floats:
    """Logits of a place of a pack: float32 (H, W)."""
    known = standards(place)
    dates = [
        each(date.astype(np.float32)) * place.seen
        for each, date in zip(known, place.data, strict=True)
    ]
    return ensemble.logits(dates[0], dates[1], device)


def sigmoid(logits: Floats) -> Floats:
    """Shares of logits, without overflow."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))), np.float32)


def confusions(scores: Floats, changed: Bools, seen: Bools) -> NDArray[np.float64]:
    """Pixels that are both, mapped and changed at each of THRESHOLDS: (thresholds, 3)."""
    edges = np.concatenate([[-np.inf], THRESHOLDS, [np.inf]])
    where = np.where(seen, scores, -1.0)
    mapped = np.histogram(where, edges)[0][::-1].cumsum()[::-1][1:]
    both = np.histogram(where[changed], edges)[0][::-1].cumsum()[::-1][1:]
    return np.stack([both, mapped, np.full(len(THRESHOLDS), changed.sum())], 1).astype(np.float64)


def f1_of(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """F1 of (…, 3) counts: both, mapped, changed."""
    return 2 * counts[..., 0] / np.maximum(counts[..., 1] + counts[..., 2], 1)
