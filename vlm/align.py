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
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, broadcast
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from terralogue.datasets.errors import InputError
from terralogue.vlm.align_batches import Batch, Stock, draw
from terralogue.vlm.align_config import AlignConfig
from terralogue.vlm.align_data import Source
from terralogue.vlm.align_model import AlignModel, PictureKeeper, loss_of
from terralogue.vlm.align_scores import validate
from terralogue.vlm.align_texts import FixedText, TextTable
from terralogue.vlm.checkpoint import write_checkpoint
from terralogue.vlm.clip import PROMPTS, load_geoclip
from terralogue.vlm.minilm import encode as encode_frozen
from terralogue.vlm.teacher import teacher_logits
from terralogue.vlm.text import tidy
from terralogue.vlm.text_training import trainable

# Steps in which the learning rate rises, at most.
_WARM = 100


class Trainer:
    """The loop, with its state on disk.

    Args:
        config: how to train.
        sources: what to train on.
        validation: what to choose by; never trained on.
        out: folder of the state, the log and the weights.
        init: folders of checkpoints whose mean to begin with; none begins with the pretrained
            parts.
        cache: folder where the vectors of fixed texts are kept between runs; with all of them
            there, MiniLM need not be installed. None keeps none.

    Raises:
        InputError: the checkpoint cannot be read, or is of another trunk.
    """

    def __init__(
        self, config: AlignConfig, sources: Sequence[Source], validation: Sequence[Source],
        out: Path, init: Sequence[Path] = (), cache: Path | None = None,
    ) -> None:  # fmt: skip
        torch.manual_seed(config.seed)
        self.config, self.sources, self.validation, self.out = config, sources, validation, out
        self.accelerator = Accelerator(
            mixed_precision="bf16",
            cpu=not torch.cuda.is_available(),
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
        device = self.accelerator.device
        # Inputs come in a few sizes only, so trying out algorithms for each pays.
        torch.backends.cudnn.benchmark = True
        model = AlignModel(config, init, device)
        self.meanings = TextTable(encode_frozen, device)
        if isinstance(model.text, FixedText):
            self._know(self.meanings, cache, "meanings")
            self._know(model.text.table, cache, f"texts_{model.text.fingerprint}")
        self.stock = Stock(sources, device)
        optimiser = torch.optim.AdamW(_groups(model, config))
        self.rates = [group["lr"] for group in optimiser.param_groups]
        self.plain = model
        self.model, self.optimiser = self.accelerator.prepare(model, optimiser)
        self.keeper = PictureKeeper(model.image.stem) if config.only_stem else None
        blend = get_ema_multi_avg_fn(config.average)  # type: ignore[no-untyped-call]
        self.average = AveragedModel(model, multi_avg_fn=blend)
        self.teacher = load_geoclip(config.teacher) if config.teacher else None
        self.step, self.seconds = 0, 0.0
        self.rng = self._chance()
        self.rows: list[dict[str, float]] = []
        out.mkdir(parents=True, exist_ok=True)
        if (out / "state.pt").is_file():
            self._resume()

    def _know(self, table: TextTable, cache: Path | None, name: str) -> None:
        """Have all captions and prompts in a table, from the cache where they are there."""
        path = None if cache is None else cache / f"{name}.npz"
        if path is not None and path.is_file():
            table.load(path)
        before = len(table)
        for source in (*self.sources, *self.validation):
            table.learn([caption for own in source.captions for caption in own])
            labels = source.label_names
            table.learn([tidy(prompt.format(name)) for name in labels for prompt in PROMPTS])
        if path is not None and len(table) > before:
            table.save(path)

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
        sums: dict[str, list[Tensor]] = {}
        scores = self.rows[-1] if self.rows else {}
        saved = time.monotonic()
        while self.progress < 1:
            began = _clock()
            source = self.sources[self.rng.choice(len(weights), p=weights / weights.sum())]
            batch = draw(source, self.config, self.rng, self.stock)
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
        if self.accelerator.num_processes == 1:
            return seconds
        told = torch.tensor([seconds], device=self.accelerator.device)
        return float(broadcast(told))

    def _update(self, batch: Batch) -> dict[str, Tensor]:
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
            losses = loss_of(self.model, batch, self.config, self.meanings, pictured, taught)
        total = torch.stack(list(losses.values())).sum()
        self.accelerator.backward(total)
        self.accelerator.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()
        if self.keeper is not None:
            self.keeper.restore()
        if self.step < 50:
            self.average.module.load_state_dict(self.plain.state_dict())
        else:
            self.average.update_parameters(self.plain)
        return {name: value.detach() for name, value in losses.items()}

    def _validate(self, sums: dict[str, list[Tensor]]) -> dict[str, float]:
        if not self.accelerator.is_main_process:
            return {}
        averaged = self.averaged
        with self.accelerator.autocast():
            scores = validate(averaged.image, averaged.text, self.validation)
        row = {name: float(torch.stack(values).mean()) for name, values in sums.items()}
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
        self._write_weights(self.out)
        means = [sum(row[name] for name in scores) for row in self.rows]
        if self.config.keep_best and means[-1] == max(means):
            self._write_weights(self.out / "best")
        (self.out / "training.json").write_text(
            json.dumps({"config": asdict(self.config), "step": self.step, "scores": scores}),
            encoding="utf-8",
        )

    def _write_weights(self, folder: Path) -> None:
        averaged = self.averaged
        write_checkpoint(
            folder,
            averaged.image,
            averaged.text.exported(),
            scales=averaged.temperatures,
            labels=sorted({name for s in self.sources for name in s.label_names} | averaged.seen),
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


def _shape(config: AlignConfig) -> dict[str, object]:
    """Settings that decide which tensors there are, and which are trained."""
    kept = ("trunk", "scratch", "frozen", "depthwise", "rank", "fixed_text", "only_stem")
    return {name: getattr(config, name) for name in kept}


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
