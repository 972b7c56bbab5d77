"""Training of the decoder that points: `terralogue train refer`.

The image and the text tower stay as they are; only the decoder learns. Each step sees pictures and,
beside them, views of one other band set. A run goes on from `state.pt` where there is one.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from terralogue.datasets.band_tables import RGB
from terralogue.vlm.align_augment import relight
from terralogue.vlm.embedded_clip import EmbeddedCLIP
from terralogue.vlm.referring_concepts import CONCEPTS, phrases
from terralogue.vlm.referring_data import UNKNOWN, Marked
from terralogue.vlm.referring_model import (
    Calibration,
    DecoderConfig,
    ReferringDecoder,
    read_decoder,
    towers_of,
    write_decoder,
)
from terralogue.vlm.referring_views import Bank, Views, draw_views


@dataclass(frozen=True)
class ReferConfig:
    """How to train; a command line option mirrors each field.

    Attributes:
        steps: length of the schedule.
        batch: views of pictures in a step.
        others: views of another band set in a step.
        texts: asked for in each view.
        size: of a view in pixels.
        lr: largest learning rate.
        decay: weight decay.
        average: decay of the averaged weights.
        seed: of everything drawn.
    """

    steps: int = 2200
    batch: int = 12
    others: int = 4
    texts: int = 4
    size: int = 160
    lr: float = 2e-3
    decay: float = 0.02
    average: float = 0.99
    seed: int = 0


# How much more cells beside what is there count than others.
_GAP: Final = 3.0


def _half() -> torch.autocast:
    """Half precision, which halves the time of a step on processors that have it."""
    return torch.autocast("cpu", torch.bfloat16)


def text_bank(clip: EmbeddedCLIP) -> Bank:
    """Embeddings of everything that concepts are called."""
    return Bank({name: clip.encode_text(phrases(name)) for name in CONCEPTS})


def mark_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy of pixels and, where something is there, the Dice loss of its shape.

    Args:
        logits: (n, k, h, w).
        targets: uint8 of the same shape: 1 there, 0 not, UNKNOWN.
    """
    known = targets != UNKNOWN
    truth = (targets == 1).float()
    # Gaps between neighbours are few cells, and decide on how many there are.
    around = F.max_pool2d(truth, 5, stride=1, padding=2) - truth
    weight = known.float() * (1 + _GAP * around)
    entropy = F.binary_cross_entropy_with_logits(logits, truth, weight=weight, reduction="none")
    cells = weight.sum((2, 3))
    plain = (entropy.sum((2, 3)) / cells.clamp(min=1)).mean()
    share = torch.sigmoid(logits) * known.float()
    overlap = (share * truth).sum((2, 3))
    dice = 1 - (2 * overlap + 1) / (share.sum((2, 3)) + truth.sum((2, 3)) + 1)
    there = (truth.sum((2, 3)) > 0).float()
    return 2 * plain + (dice * there).sum() / there.sum().clamp(min=1)


class ReferTrainer:
    """The loop, with its state on disk.

    Args:
        config: how to train.
        clip: towers that stay as they are.
        sources: pictures by source name, each with a weight of how often it is drawn.
        out: folder of the state, the log and the weights.
        init: folder of a decoder to begin with, perhaps of other towers; None begins anew.
    """

    def __init__(
        self, config: ReferConfig, clip: EmbeddedCLIP,
        sources: Mapping[str, tuple[Sequence[Marked], float]], out: Path,
        init: Path | None = None,
    ) -> None:  # fmt: skip
        torch.manual_seed(config.seed)
        self.config, self.clip, self.out = config, clip, out
        self.pictures = {n: s for n, s in sources.items() if s[0] and s[0][0].bands == RGB}
        self.others = {n: s for n, s in sources.items() if s[0] and s[0][0].bands != RGB}
        self.bank = text_bank(clip)
        self.decoder = (
            ReferringDecoder(DecoderConfig(text=clip.dimensions))
            if init is None
            else read_decoder(init).decoder
        )
        decaying = [p for p in self.decoder.parameters() if p.ndim > 1]
        plain = [p for p in self.decoder.parameters() if p.ndim <= 1]
        self.optimiser = torch.optim.AdamW(
            [{"params": decaying, "weight_decay": config.decay},
             {"params": plain, "weight_decay": 0.0}], lr=config.lr,
        )  # fmt: skip
        blend = get_ema_multi_avg_fn(config.average)  # type: ignore[no-untyped-call]
        self.average = AveragedModel(self.decoder, multi_avg_fn=blend, use_buffers=True)
        self.step = 0
        self.rows: list[dict[str, float]] = []
        out.mkdir(parents=True, exist_ok=True)
        if (out / "state.pt").is_file():
            self._resume()

    @property
    def averaged(self) -> ReferringDecoder:
        """The decoder with averaged weights, in evaluation mode."""
        return cast(ReferringDecoder, self.average.module.eval())

    def run(self) -> ReferringDecoder:
        """Train to the end of the schedule; the averaged decoder, in evaluation mode."""
        saved = time.monotonic()
        losses: list[float] = []
        bar = tqdm(total=self.config.steps, initial=self.step, desc="refer", disable=None)
        while self.step < self.config.steps:
            losses.append(self._update())
            self.step += 1
            bar.update()
            last = self.step == self.config.steps
            if self.step % 25 == 0 or last:
                self.rows.append({"step": self.step, "loss": float(np.mean(losses))})
                losses = []
                self._log()
            if last or time.monotonic() - saved > 90:
                self._save()
                saved = time.monotonic()
        bar.close()
        return self.averaged

    def _update(self) -> float:
        # Others after a resumption, the same in every run.
        rng = np.random.default_rng([self.config.seed, self.step])
        batches = self._draw(self.pictures, self.config.batch, rng, sources=3)
        batches += self._draw(self.others, self.config.others, rng, sources=1)
        with torch.no_grad(), _half():
            pyramids = [self._pyramid(views, rng) for views in batches]
        levels = [torch.cat(parts) for parts in zip(*pyramids, strict=True)]
        warm = min(1.0, (self.step + 1) / 50)
        done = self.step / self.config.steps
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.lr * warm * max(0.01, 0.5 * (1 + math.cos(math.pi * done)))
        self.decoder.train()
        with _half():
            features = self.decoder.fuse(levels)
            logits = self.decoder.point(features, torch.cat([views.texts for views in batches]))
        loss = mark_loss(logits.float(), torch.cat([views.targets for views in batches]))
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.decoder.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.average.update_parameters(self.decoder)
        return float(loss.detach())

    def _draw(
        self, among: Mapping[str, tuple[Sequence[Marked], float]], count: int,
        rng: np.random.Generator, *, sources: int,
    ) -> list[Views]:  # fmt: skip
        """Views of a few sources, one batch of each."""
        if not among or count == 0:
            return []
        names = list(among)
        weights = np.array([among[name][1] for name in names])
        drawn = rng.choice(len(names), sources, p=weights / weights.sum())
        config = self.config
        return [
            draw_views(among[names[i]][0], self.bank, count // sources, config.size,
                       config.texts, rng)
            for i in drawn
        ]  # fmt: skip

    def _pyramid(self, views: Views, rng: np.random.Generator) -> list[Tensor]:
        images, bands = views.images, views.bands
        # Any subset of bands is a sensor that somebody has.
        if bands != RGB and rng.random() < 0.6:
            kept = np.flatnonzero(rng.random(len(bands)) < rng.uniform(0.4, 1.2))
            if len(kept):
                images, bands = images[:, kept], tuple(bands[i] for i in kept)
        images = relight(images, bands, rng).contiguous(memory_format=torch.channels_last)
        return self.clip.tower.pyramid(images, bands)[1:]

    def _log(self) -> None:
        with (self.out / "log.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["step", "loss"])
            writer.writeheader()
            writer.writerows(self.rows)
        tqdm.write(f"step {self.step} loss {self.rows[-1]['loss']:.3f}")

    def _save(self) -> None:
        state = {
            "decoder": self.decoder.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "rows": self.rows,
        }
        torch.save(state, self.out / "state.part")
        (self.out / "state.part").replace(self.out / "state.pt")
        write_decoder(self.out, self.averaged, Calibration(), towers_of(self.clip.tower))

    def _resume(self) -> None:
        state = torch.load(self.out / "state.pt", map_location="cpu", weights_only=True)
        self.decoder.load_state_dict(state["decoder"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.rows = state["step"], state["rows"]
