"""Alignment of images of any sensor with texts: `terralogue train align`.

    terralogue train align --data DATA --out out/align --minutes 90
    torchrun --nproc_per_node 2 -m terralogue.vlm.train align --data DATA --out out/align
    accelerate launch -m terralogue.vlm.train align --data DATA --out out/align

Several processes average their gradients; each contrasts the images of its own batch. A run goes
on from `state.pt` in the output folder where there is one. Every few minutes it writes the averaged
weights (`align.safetensors`, `config.json`), the log (`log.csv`) and the curves (`curves.png`).
"""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, broadcast
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError
from terralogue.vlm.align_config import AlignConfig
from terralogue.vlm.align_data import Source, augment, relight, to_float
from terralogue.vlm.align_scores import validate
from terralogue.vlm.checkpoint import read_checkpoint, write_checkpoint
from terralogue.vlm.clip import PROMPTS, load_geoclip
from terralogue.vlm.losses import contrast, distil, prompted, soft_targets
from terralogue.vlm.minilm import encode as encode_frozen
from terralogue.vlm.teacher import teacher_logits
from terralogue.vlm.text import tidy
from terralogue.vlm.text_training import TextTower, trainable
from terralogue.vlm.tower import ImageTower, TowerConfig, freeze

# CLIP's bound on the inverse temperature.
_LARGEST_SCALE = 100.0
_LARGEST_ZOOM = 2.5
# Steps in which the learning rate rises, at most.
_WARM = 100


@dataclass(frozen=True)
class Batch:
    """What one step sees."""

    source: Source
    rows: np.ndarray[Any, np.dtype[np.int64]]
    images: Tensor
    captions: list[str]
    owners: Tensor
    names: list[str]
    bands: tuple[Band, ...]
    companion: Tensor | None

    def to(self, device: torch.device) -> Batch:
        """The same batch with its images on a device."""
        other = None if self.companion is None else self.companion.to(device)
        return replace(self, images=self.images.to(device), companion=other)


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

    def forward(self, images: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Embed a batch: images, captions, label names, and both inverse temperatures."""
        captions, names = batch.captions, batch.names
        # Pictures have nothing to teach the stem, and their steps are quicker without it.
        vectors = self.image(images, batch.bands, learn_stem=batch.companion is not None)
        texts = self.text([tidy(text) for text in (*captions, *names)])
        scales = torch.stack([self.scale, self.label_scale]).exp().clamp(max=_LARGEST_SCALE)
        return vectors, texts[: len(captions)], texts[len(captions) :], scales


def draw(source: Source, config: AlignConfig, rng: np.random.Generator) -> Batch:
    """Draw a batch of one source: augmented images, captions, and prompts for all its labels."""
    large = config.batch if source.companion is None else config.batch // 2
    rows = np.sort(rng.choice(len(source), min(large, len(source)), replace=False))
    # Small chips hold no detail that a larger input would show.
    size = min(int(rng.choice(config.sizes)), int(_LARGEST_ZOOM * source.pixels.shape[-1]))
    planes, bands = to_float(source.pixels[rows]), source.bands
    companion = None
    if source.companion is not None:
        # Band dropout: any subset is a sensor that somebody has.
        kept = np.flatnonzero(rng.random(len(bands)) < rng.uniform(0.3, 1.3))
        kept = kept if len(kept) else np.array([rng.integers(len(bands))])
        other = to_float(source.companion[rows])
        # Both go through the same crop and turn; the light of the companion is left as it is.
        both = augment(torch.cat([planes[:, kept], other], 1), size, rng)
        planes, companion = both[:, : len(kept)], both[:, len(kept) :]
        bands = tuple(bands[i] for i in kept)
    else:
        planes = augment(planes, size, rng)
    images = relight(planes, bands, rng)
    texts, owners = [], []
    for i, row in enumerate(rows):
        own = source.captions[row]
        for choice in rng.permutation(len(own))[: config.captions]:
            text = own[choice]
            if len(own) > 1 and rng.random() < 0.15:
                text = f"{text}{_JOINT}{own[rng.integers(len(own))]}"
            texts.append(text)
            owners.append(i)
    names = [PROMPTS[rng.integers(len(PROMPTS))].format(name) for name in source.label_names]
    return Batch(
        source, rows, images, texts, torch.tensor(owners, dtype=torch.long), names, bands, companion
    )


_JOINT = " . "
_MEANINGS: dict[str, NDArray[np.float32]] = {}


def meanings(texts: Sequence[str]) -> NDArray[np.float32]:
    """Embeddings (n, 384) of texts by frozen MiniLM, remembered: captions come again and again.

    Two captions joined into one mean what both mean, half and half.
    """
    parts = [text.split(_JOINT) for text in texts]
    new = list(dict.fromkeys(p for each in parts for p in each if p not in _MEANINGS))
    if new:
        _MEANINGS.update(zip(new, encode_frozen(new).astype(np.float16), strict=True))
    rows = np.stack([np.mean([_MEANINGS[p] for p in each], axis=0) for each in parts])
    rows = rows.astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def loss_of(
    model: nn.Module,
    batch: Batch,
    config: AlignConfig,
    pictured: Tensor | None = None,
    taught: Tensor | None = None,
) -> dict[str, Tensor]:
    """Losses of a batch by name; they are to be added.

    Args:
        model: an `AlignModel`, perhaps wrapped.
        batch: on any device.
        config: weights of the losses.
        pictured: embeddings of the companions by the averaged weights, (n, d).
        taught: a teacher's logits of images against captions, (n, m).
    """
    images, texts, names, scales = model(batch.images, batch)
    losses = {}
    if pictured is not None:
        same = torch.eye(len(images), device=images.device)
        losses["consistency"] = contrast(images, pictured, same, scales[0])
    if batch.captions:
        frozen = torch.from_numpy(meanings(batch.captions)).to(images.device)
        cover = batch.source.fractions
        targets = soft_targets(
            frozen,
            batch.owners.to(images.device),
            None if cover is None else torch.from_numpy(cover[batch.rows]).to(images.device),
        )
        losses["contrast"] = contrast(images, texts, targets, scales[0])
        if taught is not None:
            learned = distil(images, texts, taught.to(images.device), scales[0])
            losses["teacher"] = config.teacher_weight * learned
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
        init: folders of checkpoints whose mean to begin with; none begins with the pretrained
            parts.

    Raises:
        InputError: the checkpoint cannot be read, or is of another trunk.
    """

    def __init__(
        self, config: AlignConfig, sources: Sequence[Source], validation: Sequence[Source],
        out: Path, init: Sequence[Path] = (),
    ) -> None:  # fmt: skip
        torch.manual_seed(config.seed)
        self.config, self.sources, self.validation, self.out = config, sources, validation, out
        self.accelerator = Accelerator(
            mixed_precision="bf16",
            cpu=not torch.cuda.is_available(),
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
        model = AlignModel(config)
        if init:
            _begin_with(model, init, config)
        optimiser = torch.optim.AdamW(_groups(model, config))
        self.rates = [group["lr"] for group in optimiser.param_groups]
        self.plain = model
        self.model, self.optimiser = self.accelerator.prepare(model, optimiser)
        blend = get_ema_multi_avg_fn(config.average)  # type: ignore[no-untyped-call]
        self.average = AveragedModel(model, multi_avg_fn=blend)
        self.teacher = load_geoclip(config.teacher) if config.teacher else None
        self.step, self.seconds = 0, 0.0
        self.rng = self._chance()
        self.rows: list[dict[str, float]] = []
        out.mkdir(parents=True, exist_ok=True)
        if (out / "state.pt").is_file():
            self._resume()

    def _chance(self) -> np.random.Generator:
        """Every process draws batches of its own, and others after a resumption."""
        place = self.accelerator.process_index
        return np.random.default_rng([self.config.seed, self.step, place])

    @property
    def averaged(self) -> AlignModel:
        """The model with averaged weights, in evaluation mode."""
        return cast(AlignModel, self.average.module.eval())

    @property
    def progress(self) -> float:
        """How much of the schedule is done, 0 to 1."""
        if self.config.minutes is not None:
            return min(1.0, self.seconds / (60 * self.config.minutes))
        return min(1.0, self.step / self.config.steps)

    def run(self) -> dict[str, float]:
        """Train to the end of the schedule; returns the last validation scores."""
        weights = np.array([source.weight for source in self.sources])
        bar = tqdm(
            total=1000, initial=int(1000 * self.progress), desc="align", unit="‰",
            disable=not self.accelerator.is_main_process,
        )  # fmt: skip
        sums: dict[str, list[float]] = {}
        scores = self.rows[-1] if self.rows else {}
        saved = time.monotonic()
        while self.progress < 1:
            began = _clock()
            source = self.sources[self.rng.choice(len(weights), p=weights / weights.sum())]
            batch = draw(source, self.config, self.rng).to(self.accelerator.device)
            for name, value in self._update(batch).items():
                sums.setdefault(f"{name}_{source.name}", []).append(value)
            self.step += 1
            self.seconds += self._agreed(_clock() - began)
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

    def _agreed(self, seconds: float) -> float:
        """The first process's clock: all have to keep to one schedule."""
        told = torch.tensor([seconds], device=self.accelerator.device)
        return float(broadcast(told))

    def _update(self, batch: Batch) -> dict[str, float]:
        done = self.progress
        warm = min(1.0, (self.step + 1) / min(_WARM, max(1, self.config.steps // 10)))
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * warm * max(0.01, 0.5 * (1 + math.cos(math.pi * done)))
        self.model.train()
        with self.accelerator.autocast():
            pictured = None
            if batch.companion is not None:
                with torch.no_grad():
                    pictured = self.averaged.image(batch.companion, batch.source.companion_bands)
            taught = None
            if self.teacher is not None and batch.captions:
                taught = teacher_logits(self.teacher, batch.images, batch.bands, batch.captions)
            losses = loss_of(self.model, batch, self.config, pictured, taught)
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
        averaged = self.averaged
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
        averaged = self.averaged
        write_checkpoint(
            self.out,
            averaged.image,
            averaged.text.exported(),
            scales=(_inverse(averaged.scale), _inverse(averaged.label_scale)),
            labels=sorted({name for s in self.sources for name in s.label_names}),
        )
        (self.out / "training.json").write_text(
            json.dumps({"config": asdict(self.config), "step": self.step, "scores": scores}),
            encoding="utf-8",
        )

    def _save(self) -> None:
        state = {
            "shape": _shape(self.config),
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
        if state["shape"] != _shape(self.config):
            raise InputError(
                f"the run in {self.out} was begun with {state['shape']}; go on with the same "
                "options, or give another --out"
            )
        self.plain.load_state_dict(state["model"], strict=False)
        self.average.module.load_state_dict(state["average"], strict=False)
        self.average.n_averaged = state["averaged"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds, self.rows = state["step"], state["seconds"], state["rows"]
        self.rng = self._chance()


def _groups(model: AlignModel, config: AlignConfig) -> list[dict[str, Any]]:
    """Parameters by learning rate; biases, norms and temperatures do not decay."""
    trunk = trainable(model.image.trunk)
    known = {id(p) for p in trunk}
    rest = [p for p in trainable(model) if id(p) not in known]
    return [
        {"params": chosen, "lr": rate, "weight_decay": decay}
        for parameters, rate in ((trunk, config.trunk_lr), (rest, config.lr))
        for chosen, decay in (
            ([p for p in parameters if p.ndim > 1], config.decay),
            ([p for p in parameters if p.ndim <= 1], 0.0),
        )
    ]


def _begin_with(model: AlignModel, folders: Sequence[Path], config: AlignConfig) -> None:
    """Load the mean of checkpoints of one shape (model soups, Wortsman et al. 2022)."""
    found = [read_checkpoint(folder) for folder in folders]
    for folder, each in zip(folders, found, strict=True):
        rank = min(next(v.shape for k, v in each.text.items() if "lora_A" in k))
        if rank != config.rank:
            raise InputError(f"the adapters in {folder} are of rank {rank}; give --rank {rank}")
        if each.tower.config != model.image.config:
            raise InputError(
                f"the checkpoint in {folder} is of {each.tower.config}, "
                f"the run of {model.image.config}; give the same --trunk"
            )
    model.image.load_state_dict(_mean([each.tower.state_dict() for each in found]))
    model.text.load_exported(_mean([each.text for each in found]))
    with torch.no_grad():
        for place, scale in enumerate((model.scale, model.label_scale)):
            scale.fill_(float(np.mean([math.log(each.scales[place]) for each in found])))


def _mean(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([s[name] for s in states]).mean(0) for name in states[0]}


def _shape(config: AlignConfig) -> dict[str, object]:
    """Settings that decide which tensors there are, and which are trained."""
    kept = ("trunk", "scratch", "frozen", "depthwise", "rank")
    return {name: getattr(config, name) for name in kept}


def _inverse(scale: Tensor) -> float:
    return min(_LARGEST_SCALE, math.exp(float(scale.detach())))


def _clock() -> float:
    """Seconds of computing; on a CPU only what this process had of it."""
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
        if axes.lines:
            axes.legend(fontsize=6)
    figure.savefig(path, dpi=110)
