"""Alignment of images of any sensor with texts: `terralogue train align`.

    terralogue train align --data DATA --out out/align --minutes 90
    accelerate launch -m terralogue.vlm.align --data DATA --out out/align --steps 4000

It goes on from `state.pt` in the output folder where there is one. Every few minutes it writes the
averaged weights (`align.safetensors`, `config.json`), the log (`log.csv`) and the curves
(`curves.png`).
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from terralogue.vlm.align_data import Source, augment, to_float
from terralogue.vlm.align_scores import validate
from terralogue.vlm.checkpoint import write_checkpoint
from terralogue.vlm.clip import PROMPTS
from terralogue.vlm.losses import contrast, prompted, soft_targets
from terralogue.vlm.minilm import encode as encode_frozen
from terralogue.vlm.text_training import TextTower, trainable
from terralogue.vlm.tower import ImageTower, TowerConfig, freeze

# CLIP's bound on the inverse temperature.
_LARGEST_SCALE = 100.0


@dataclass(frozen=True)
class AlignConfig:
    """How to train; a command line option mirrors each field.

    Attributes:
        trunk: key of TRUNKS.
        scratch: leave out the ImageNet weights (for comparison).
        frozen: blocks of the trunk that stay as they are.
        depthwise: keep depthwise kernels too.
        rank: of the LoRA adapters of the text tower.
        batch: images in a step.
        captions: texts drawn for each image in a step.
        sizes: of the input in pixels; one is drawn for each step.
        lr: of projections and adapters.
        trunk_lr: of the trunk.
        decay: weight decay.
        average: decay of the averaged weights.
        steps: length of the schedule, unless `minutes` is given.
        minutes: length of the schedule in minutes of computing.
        every: steps between validations.
        label_weight: of the classification by prompts beside the contrast.
        seed: of everything drawn.
    """

    trunk: str = "lite0"
    scratch: bool = False
    frozen: int = 2
    depthwise: bool = True
    rank: int = 16
    batch: int = 256
    captions: int = 1
    sizes: tuple[int, ...] = (112, 128, 144, 160)
    lr: float = 1e-3
    trunk_lr: float = 4e-4
    decay: float = 0.05
    average: float = 0.995
    steps: int = 4000
    minutes: float | None = None
    every: int = 250
    label_weight: float = 0.5
    seed: int = 0


class AlignModel(nn.Module):
    """Both towers and the temperatures."""

    def __init__(self, config: AlignConfig) -> None:
        super().__init__()
        folded = not config.scratch
        self.image = ImageTower(
            TowerConfig(config.trunk, folded=folded), pretrained=not config.scratch
        )
        if not config.scratch:
            freeze(self.image, config.frozen, depthwise=config.depthwise)
        self.text = TextTower(self.image.config.dimensions, config.rank)
        self.scale = nn.Parameter(torch.tensor(np.log(1 / 0.07), dtype=torch.float32))
        self.label_scale = nn.Parameter(torch.tensor(np.log(1 / 0.07), dtype=torch.float32))

    def forward(
        self, images: Tensor, source: Source, captions: Sequence[str], names: Sequence[str]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Embed a batch: images, captions, label names, and both inverse temperatures."""
        vectors = self.image(images, source.bands)
        texts = self.text([*captions, *names])
        scales = torch.stack([self.scale, self.label_scale]).exp().clamp(max=_LARGEST_SCALE)
        return vectors, texts[: len(captions)], texts[len(captions) :], scales


@dataclass(frozen=True)
class Batch:
    """What one step sees."""

    source: Source
    rows: np.ndarray[Any, np.dtype[np.int64]]
    images: Tensor
    captions: list[str]
    owners: Tensor
    names: list[str]


def draw(source: Source, config: AlignConfig, rng: np.random.Generator) -> Batch:
    """Draw a batch of one source: augmented images, captions, and prompts for all its labels."""
    count = min(config.batch, len(source))
    rows = np.sort(rng.choice(len(source), count, replace=False))
    size = int(rng.choice(config.sizes))
    if source.pixels.shape[-1] < min(config.sizes):
        size = min(config.sizes)
    images = augment(
        to_float(source.pixels[rows]), size, rng, colour=source.bands[0].kind == "optical"
    )
    texts, owners = [], []
    for i, row in enumerate(rows):
        own = source.captions[row]
        for _ in range(config.captions if own else 0):
            text = own[rng.integers(len(own))]
            if len(own) > 1 and rng.random() < 0.15:
                text = f"{text} . {own[rng.integers(len(own))]}"
            texts.append(text)
            owners.append(i)
    names = [PROMPTS[rng.integers(len(PROMPTS))].format(name) for name in source.label_names]
    return Batch(source, rows, images, texts, torch.tensor(owners, dtype=torch.long), names)


_MEANINGS: dict[str, NDArray[np.float32]] = {}


def meanings(texts: Sequence[str]) -> NDArray[np.float32]:
    """Embeddings of texts by frozen MiniLM, remembered: captions come again and again."""
    new = list(dict.fromkeys(text for text in texts if text not in _MEANINGS))
    if new:
        _MEANINGS.update(zip(new, encode_frozen(new).astype(np.float16), strict=True))
    return np.stack([_MEANINGS[text] for text in texts]).astype(np.float32)


def loss_of(model: nn.Module, batch: Batch, config: AlignConfig) -> dict[str, Tensor]:
    """Losses of a batch by name; they are to be added."""
    images, texts, names, scales = model(batch.images, batch.source, batch.captions, batch.names)
    losses = {}
    if batch.captions:
        frozen = torch.from_numpy(meanings(batch.captions)).to(images.device)
        cover = batch.source.fractions
        targets = soft_targets(
            frozen,
            batch.owners.to(images.device),
            None if cover is None else torch.from_numpy(cover[batch.rows]).to(images.device),
        )
        losses["contrast"] = contrast(images, texts, targets, scales[0])
    labels = torch.from_numpy(batch.source.labels[batch.rows]).to(images.device)
    if batch.names and bool((labels >= 0).any()):
        known = labels >= 0
        weight = config.label_weight if batch.captions else 1.0
        losses["labels"] = weight * prompted(images[known], labels[known], names, scales[1])
    return losses


class Trainer:
    """The loop, with its state on disk.

    Args:
        config: how to train.
        sources: what to train on.
        validation: what to choose by; never trained on.
        out: folder of the state, the log and the weights.
    """

    def __init__(
        self, config: AlignConfig, sources: Sequence[Source], validation: Sequence[Source],
        out: Path,
    ) -> None:  # fmt: skip
        torch.manual_seed(config.seed)
        self.config, self.sources, self.validation, self.out = config, sources, validation, out
        self.accelerator = Accelerator(
            mixed_precision="bf16",
            cpu=not torch.cuda.is_available(),
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
        model = AlignModel(config)
        trunk = [p for p in trainable(model.image.trunk)]
        known = {id(p) for p in trunk}
        rest = [p for p in trainable(model) if id(p) not in known]
        optimiser = torch.optim.AdamW(
            [{"params": trunk, "lr": config.trunk_lr}, {"params": rest, "lr": config.lr}],
            weight_decay=config.decay,
        )
        self.rates = [group["lr"] for group in optimiser.param_groups]
        self.plain = model
        self.model, self.optimiser = self.accelerator.prepare(model, optimiser)
        self.average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(config.average))
        self.step, self.seconds = 0, 0.0
        self.rng = np.random.default_rng(config.seed + 1000 * self.accelerator.process_index)
        self.rows: list[dict[str, float]] = []
        out.mkdir(parents=True, exist_ok=True)
        if (out / "state.pt").is_file():
            self._resume()

    @property
    def progress(self) -> float:
        """How much of the schedule is done, 0 to 1."""
        if self.config.minutes is not None:
            return min(1.0, self.seconds / (60 * self.config.minutes))
        return min(1.0, self.step / self.config.steps)

    def run(self) -> dict[str, float]:
        """Train to the end of the schedule; returns the last validation scores."""
        weights = np.array([source.weight for source in self.sources])
        bar = tqdm(total=1000, initial=int(1000 * self.progress), desc="align", unit="‰")
        sums: dict[str, list[float]] = {}
        scores: dict[str, float] = {}
        saved = time.monotonic()
        while self.progress < 1:
            began = _clock()
            source = self.sources[self.rng.choice(len(weights), p=weights / weights.sum())]
            for name, value in self._update(draw(source, self.config, self.rng)).items():
                sums.setdefault(f"{name}_{source.name}", []).append(value)
            self.step += 1
            self.seconds += _clock() - began
            bar.update(int(1000 * self.progress) - bar.n)
            last = self.progress >= 1
            if self.step % self.config.every == 0 or last:
                scores = self._validate(sums)
                sums = {}
            if self.accelerator.is_main_process and (last or time.monotonic() - saved > 180):
                self._save()
                saved = time.monotonic()
        bar.close()
        return scores

    def _update(self, batch: Batch) -> dict[str, float]:
        done = self.progress
        warm = min(1.0, (self.step + 1) / 100)
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * warm * max(0.01, 0.5 * (1 + np.cos(np.pi * done)))
        self.model.train()
        with self.accelerator.autocast():
            losses = loss_of(self.model, batch, self.config)
        total = torch.stack(list(losses.values())).sum()
        self.accelerator.backward(total)
        self.accelerator.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()
        if self.step < 50:
            self.average.module.load_state_dict(self.plain.state_dict())
        else:
            self.average.update_parameters(self.plain)
        return {name: float(value.detach()) for name, value in losses.items()}

    def _validate(self, sums: dict[str, list[float]]) -> dict[str, float]:
        if not self.accelerator.is_main_process:
            return {}
        averaged = self.average.module.eval()
        with self.accelerator.autocast():
            scores = validate(averaged.image, averaged.text, self.validation)
        row = {name: float(np.mean(values)) for name, values in sums.items()}
        row = {"step": self.step, "minutes": self.seconds / 60, **row, **scores}
        self.rows.append(row)
        tqdm.write(" ".join(f"{name} {value:.3g}" for name, value in row.items()))
        self._write(scores)
        return scores

    def _write(self, scores: dict[str, float]) -> None:
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        with (self.out / "log.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self.rows)
        _plot(self.rows, self.out / "curves.png")
        averaged = self.average.module
        write_checkpoint(
            self.out,
            averaged.image,
            averaged.text.exported(),
            scales=(float(averaged.scale.exp()), float(averaged.label_scale.exp())),
            labels=sorted({name for s in self.sources for name in s.label_names}),
        )
        (self.out / "training.json").write_text(
            json.dumps({"config": asdict(self.config), "step": self.step, "scores": scores}),
            encoding="utf-8",
        )

    def _save(self) -> None:
        state = {
            "model": _learned(self.plain),
            "average": _learned(self.average.module),
            "averaged": self.average.n_averaged,
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "rows": self.rows,
        }
        torch.save(state, self.out / "state.part")
        (self.out / "state.part").replace(self.out / "state.pt")

    def _resume(self) -> None:
        state = torch.load(self.out / "state.pt", map_location="cpu", weights_only=True)
        self.plain.load_state_dict(state["model"], strict=False)
        self.average.module.load_state_dict(state["average"], strict=False)
        self.average.n_averaged = state["averaged"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds, self.rows = state["step"], state["seconds"], state["rows"]
        self.rng = np.random.default_rng([self.config.seed, self.step])


def _clock() -> float:
    """Seconds of computing: on a CPU what this process got of it, so that neighbours don't count."""
    if torch.cuda.is_available():
        return time.monotonic()
    return time.process_time() / torch.get_num_threads()


def _learned(model: nn.Module) -> dict[str, Tensor]:
    """State without MiniLM's own weights, which never change."""
    return {
        name: value
        for name, value in model.state_dict().items()
        if not name.startswith("text.bert") or "lora_" in name
    }


def _plot(rows: Sequence[dict[str, float]], path: Path) -> None:
    """Losses and validation scores against minutes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name in dict.fromkeys(key for row in rows for key in row):
        if name in ("step", "minutes"):
            continue
        points = [(row["minutes"], row[name]) for row in rows if name in row]
        axes = left if name.startswith(("contrast", "labels", "consistency")) else right
        axes.plot(*zip(*points, strict=True), label=name, marker=".")
    left.set_ylabel("loss")
    right.set_ylabel("validation, per cent")
    for axes in (left, right):
        axes.set_xlabel("minutes")
        axes.legend(fontsize=6)
    figure.savefig(path, dpi=110)
