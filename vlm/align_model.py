"""The model that alignment trains: both towers, their temperatures, and the losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from timm.layers.drop import DropPath
from torch import Tensor, nn

from terralogue.datasets.band_tables import RGB
from terralogue.datasets.errors import InputError
from terralogue.vlm.align_batches import Batch
from terralogue.vlm.align_config import AlignConfig
from terralogue.vlm.align_texts import FixedText, TextTable
from terralogue.vlm.checkpoint import read_checkpoint
from terralogue.vlm.losses import contrast, distil, prompted, soft_targets
from terralogue.vlm.stem import WavelengthStem, descriptors
from terralogue.vlm.text import tidy
from terralogue.vlm.text_training import TextTower
from terralogue.vlm.tower import ImageTower, TowerConfig, freeze

# CLIP's bound on the inverse temperature.
_LARGEST_SCALE = 100.0


class AlignModel(nn.Module):
    """Both towers and the temperatures.

    Args:
        config: how to train.
        init: folders of checkpoints whose mean to begin with (model soups, Wortsman et al. 2022);
            none begins with the pretrained parts.
        device: of the vectors of fixed texts.

    Raises:
        InputError: a checkpoint cannot be read, or is of another shape.

    Attributes:
        seen: label names that the checkpoints were trained with.
    """

    text: TextTower | FixedText

    def __init__(
        self, config: AlignConfig, init: Sequence[Path] = (), device: torch.device | str = "cpu"
    ) -> None:
        super().__init__()
        tower = TowerConfig(config.trunk, folded=not config.scratch)
        self.image = ImageTower(tower, pretrained=not config.scratch and not init)
        self.scale = nn.Parameter(torch.tensor(np.log(1 / 0.07), dtype=torch.float32))
        self.label_scale = nn.Parameter(torch.tensor(np.log(1 / 0.07), dtype=torch.float32))
        found = [read_checkpoint(folder) for folder in init]
        for folder, each in zip(init, found, strict=True):
            rank = min(next(v.shape for k, v in each.text.items() if "lora_A" in k))
            if rank != config.rank:
                raise InputError(f"the adapters in {folder} are of rank {rank}; give --rank {rank}")
            if each.tower.config != tower:
                raise InputError(
                    f"the checkpoint in {folder} is of {each.tower.config}, "
                    f"the run of {tower}; give the same --trunk"
                )
        if found:
            self.image.load_state_dict(_mean([each.tower.state_dict() for each in found]))
            for place, scale in enumerate((self.scale, self.label_scale)):
                logs = [math.log(each.scales[place]) for each in found]
                nn.init.constant_(scale, float(np.mean(logs)))
        self.seen = frozenset(name for each in found for name in each.labels)
        told = _mean([each.text for each in found]) if found else {}
        if config.fixed_text:
            self.text = FixedText(told, device)
        else:
            self.text = TextTower(tower.dimensions, config.rank)
            if told:
                self.text.load_exported(told)
        if config.only_stem:
            self.requires_grad_(False)
            self.image.stem.to_kernel.requires_grad_(True)
        elif not config.scratch:
            freeze(self.image, config.frozen, depthwise=config.depthwise)
        _drop_paths(self.image, config.drop_path)

    def forward(self, images: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Embed a batch: images, captions, label names, and both inverse temperatures."""
        captions, names = batch.captions, batch.names
        # Pictures have nothing to teach the stem, and their steps are quicker without it.
        vectors = self.image(images, batch.bands, learn_stem=batch.companion is not None)
        asked = [*captions, *names]
        fixed = isinstance(self.text, FixedText)
        texts = self.text(asked if fixed else [tidy(text) for text in asked])
        scales = torch.stack([self.scale, self.label_scale]).exp().clamp(max=_LARGEST_SCALE)
        return vectors, texts[: len(captions)], texts[len(captions) :], scales

    @property
    def temperatures(self) -> tuple[float, float]:
        """Inverse temperatures of captions and of labels."""
        both = (self.scale, self.label_scale)
        first, second = (min(_LARGEST_SCALE, math.exp(float(s.detach()))) for s in both)
        return first, second


def _mean(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([s[name] for s in states]).mean(0) for name in states[0]}


def _drop_paths(tower: ImageTower, rate: float) -> None:
    """Leave out residual branches at random, later ones more often (Huang et al. 2016)."""
    blocks = [m for m in tower.trunk.modules() if hasattr(m, "drop_path")]
    for i, block in enumerate(blocks):
        block.drop_path = DropPath(rate * i / len(blocks))


class PictureKeeper:
    """Keeps the stem's kernels for red, green and blue pictures while those of others learn.

    A kernel is linear in the last layer of the hypernetwork, so each step is freed of what it would
    change for the three bands of pictures.

    Args:
        stem: of which only `to_kernel` learns.
    """

    def __init__(self, stem: WavelengthStem) -> None:
        self._layer = stem.to_kernel
        device = self._layer.weight.device
        with torch.no_grad():
            told = stem.hyper(torch.from_numpy(descriptors(RGB)).to(device))
            self._before = self._joined()
        told = torch.cat([told, torch.ones_like(told[:, :1])], 1).double()
        self._basis = torch.linalg.qr(told.T).Q

    def _joined(self) -> Tensor:
        """Weight and bias as one matrix (out, hidden + 1)."""
        return torch.cat([self._layer.weight, self._layer.bias[:, None]], 1).detach().double()

    @torch.no_grad()
    def restore(self) -> None:
        """Take back what the steps so far have changed for pictures."""
        change = self._joined() - self._before
        kept = self._before + change - change @ self._basis @ self._basis.T
        self._layer.weight.copy_(kept[:, :-1])
        self._layer.bias.copy_(kept[:, -1])


def loss_of(
    model: nn.Module,
    batch: Batch,
    config: AlignConfig,
    meanings: TextTable,
    pictured: Tensor | None = None,
    taught: Tensor | None = None,
) -> dict[str, Tensor]:
    """Losses of a batch by name; they are to be added.

    Args:
        model: an `AlignModel`, perhaps wrapped.
        batch: on any device.
        config: weights of the losses.
        meanings: of texts by frozen MiniLM.
        pictured: embeddings of the companions by the averaged weights, (n, d).
        taught: a teacher's logits of images against captions, (n, m).
    """
    images, texts, names, scales = model(batch.images, batch)
    # In half precision, similarities times the scale would be off by a quarter.
    with torch.autocast(images.device.type, enabled=False):
        return _losses(images, texts, names, scales, batch, config, meanings, pictured, taught)


def _losses(
    images: Tensor, texts: Tensor, names: Tensor, scales: Tensor, batch: Batch,
    config: AlignConfig, meanings: TextTable, pictured: Tensor | None, taught: Tensor | None,
) -> dict[str, Tensor]:  # fmt: skip
    device = images.device
    losses = {}
    if pictured is not None:
        same = torch.eye(len(images), device=device)
        losses["consistency"] = contrast(images, pictured, same, scales[0])
    if batch.captions:
        cover = batch.source.fractions
        shares = None if cover is None else torch.from_numpy(cover[batch.rows]).to(device)
        targets = soft_targets(meanings(batch.captions), batch.owners, shares)
        losses["contrast"] = contrast(images, texts, targets, scales[0])
        if taught is not None:
            learned = distil(images, texts, taught.to(device), scales[0])
            losses["teacher"] = config.teacher_weight * learned
    labels = batch.source.labels[batch.rows]
    known = np.flatnonzero(labels >= 0)
    if batch.names and len(known):
        weight = config.label_weight if batch.captions else 1.0
        chosen = images[torch.from_numpy(known).to(device)]
        right = torch.from_numpy(labels[known]).to(device)
        losses["labels"] = weight * prompted(chosen, right, names, scales[1])
    return losses
