"""Training of the embedded vision-language model on a store: the base, and adapters on it."""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from terralogue.vlm.vlm_decode import padded, search
from terralogue.vlm.vlm_mixture import Drawn, Mixture
from terralogue.vlm.vlm_model import ReaderModel
from terralogue.vlm.vlm_pack import Pack
from terralogue.vlm.vlm_store import Store
from terralogue.vlm.vlm_words import Words

TARGETS: Final = r"decoder\.\d+\.(own|across)\.(query|key|value|out)|decoder\.\d+\.(up|down)|spoken"
"""Layers that carry an adapter, as a pattern of their names."""
WHOLE: Final = ("fuse", "meaning")
"""Small layers that an adapter has its own copies of."""
# Steps in which the learning rate rises, at most.
_WARM: Final = 200
_SAVED_EVERY: Final = 120.0
_JUDGED: Final = 400
_CAPTION_LONGEST: Final = 32


@dataclass(frozen=True)
class ReaderTraining:
    """How to train.

    Attributes:
        steps: of the schedule.
        minutes: the schedule in time instead of steps.
        batch: examples in a step.
        lr: highest learning rate.
        decay: of weights.
        average: decay of the averaged weights.
        rank: of adapters.
        robust: train on corrupted pictures and perturbed questions beside the clean ones, and ask
            for the same answer.
        consistency: weight of the divergence between both answers.
        whole: share of single pictures that are shown without their parts.
        every: steps between validations.
        seed: of everything.
    """

    steps: int = 4000
    minutes: float | None = None
    batch: int = 256
    lr: float = 6e-4
    decay: float = 0.05
    average: float = 0.999
    rank: int = 16
    robust: bool = True
    consistency: float = 0.5
    whole: float = 0.5
    every: int = 1000
    seed: int = 0


class ReaderTrainer:
    """The loop, with its state on disk.

    Args:
        model: to train as a whole, or a base with an adapter, see `with_adapter`.
        config: how.
        store: tokens of all sights, and states of all questions.
        mixture: of training examples.
        judged: packs of the validation parts, by whose examples progress is shown.
        judged_store: their tokens and states.
        out: folder of the state and the log.
    """

    def __init__(
        self, model: ReaderModel | PeftModel, config: ReaderTraining, store: Store,
        mixture: Mixture, judged: Sequence[Pack], judged_store: Store, out: Path,
    ) -> None:  # fmt: skip
        torch.manual_seed(config.seed)
        self.device = store.tokens.device
        self.model, self.config, self.out = model, config, out
        nn.Module.to(model, self.device)
        self.reader = reader_of(model)
        self.store, self.mixture = store, mixture
        self.judged, self.judged_store = judged, judged_store
        self.words = Words(self.reader.config.vocabulary)
        self.codes: dict[str, list[int]] = {}
        learned = [p for p in model.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": [p for p in learned if p.ndim > 1], "weight_decay": config.decay},
                {"params": [p for p in learned if p.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=config.lr, betas=(0.9, 0.98),
        )  # fmt: skip
        blend = get_ema_multi_avg_fn(config.average)  # type: ignore[no-untyped-call]
        self.average = AveragedModel(Learned(learned), multi_avg_fn=blend)
        self.learned = Learned(learned)
        self.step, self.seconds = 0, 0.0
        self.rows: list[dict[str, float]] = []
        out.mkdir(parents=True, exist_ok=True)
        if (out / "state.pt").is_file():
            self._resume()

    @property
    def averaged(self) -> Learned:
        """The averaged values of what is trained."""
        return cast(Learned, self.average.module)

    @property
    def progress(self) -> float:
        """How much of the schedule is done, 0 to 1."""
        if self.config.minutes is not None:
            return min(1.0, self.seconds / (60 * self.config.minutes))
        return min(1.0, self.step / self.config.steps)

    def run(self) -> None:
        """Train to the end of the schedule; the model then has the averaged weights."""
        saved = time.monotonic()
        bar = tqdm(total=1000, initial=int(1000 * self.progress), desc="reader", unit="‰",
                   disable=None)  # fmt: skip
        losses: list[float] = []
        while self.progress < 1:
            began = time.monotonic()
            losses.append(self._update())
            self.step += 1
            self.seconds += time.monotonic() - began
            bar.update(int(1000 * self.progress) - bar.n)
            if self.step % self.config.every == 0 or self.progress >= 1:
                self._judge(float(np.mean(losses)))
                losses = []
            if time.monotonic() - saved > _SAVED_EVERY:
                self._save()
                saved = time.monotonic()
        bar.close()
        self.averaged.hand_to(self.learned)
        self.model.eval()

    def _update(self) -> float:
        warm = min(1.0, (self.step + 1) / min(_WARM, max(1, self.config.steps // 10)))
        rate = self.config.lr * warm * max(0.02, 0.5 * (1 + math.cos(math.pi * self.progress)))
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.model.train()
        robust = self.config.robust
        drawn = self.mixture.draw(self.config.batch // (2 if robust else 1))
        total = 0.0
        for whole, rows in self._alike(drawn):
            if robust:
                rows += [self.mixture.spoiled(row) for row in rows]
            loss = self._loss(rows, whole) * len(rows) / self.config.batch
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        nn.utils.clip_grad_norm_(self.learned.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()
        if self.step < 100:
            self.learned.hand_to(self.average.module)
        else:
            self.average.update_parameters(self.learned)
        return total

    def _alike(self, rows: Sequence[Drawn]) -> list[tuple[bool, list[Drawn]]]:
        """Rows in groups of like numbers of views, so that little work is spent on padding.

        Returns:
            Whether only the whole is shown, and the rows, for each group.
        """
        groups: dict[int, list[Drawn]] = defaultdict(list)
        for row in rows:
            example = row.example
            sight = self.store.sights[row.pack, example.pictures, example.region]
            count = int(self.store.counts["clean"][sight])
            single = len(example.pictures) == 1 and example.region is None
            if single and (count == 1 or self.mixture.rng.random() < self.config.whole):
                groups[0].append(row)
            else:
                groups[1 + count // 4].append(row)
        return [(views == 0, chosen) for views, chosen in groups.items()]

    def _loss(self, rows: Sequence[Drawn], whole: bool) -> Tensor:
        inputs = self.store.inputs(
            [self.store.sights[r.pack, r.example.pictures, r.example.region] for r in rows],
            [r.variant for r in rows],
            [r.question for r in rows],
            [r.example.task for r in rows],
            whole=whole,
        )
        words, labels = padded([self._code(r.example.answer) for r in rows], self.device)
        with torch.autocast(self.device.type, torch.bfloat16):
            logits = self.reader(inputs, words)["logits"]
        loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
        if self.config.robust and self.config.consistency:
            # The spoiled half should say what the clean half says.
            half = len(rows) // 2
            asked = labels[:half] >= 0
            clean = F.log_softmax(logits[:half], -1)[asked].detach()
            spoiled = F.log_softmax(logits[half:], -1)[asked]
            apart = F.kl_div(spoiled, clean, log_target=True, reduction="batchmean")
            loss = loss + self.config.consistency * apart
        return loss

    def _code(self, answer: str) -> list[int]:
        if answer not in self.codes:
            most = self.reader.config.longest
            self.codes[answer] = self.words.encode(answer)[:most]
        return self.codes[answer]

    def _judge(self, loss: float) -> None:
        kept = Learned([p.detach().clone() for p in self.learned.parameters()])
        self.averaged.hand_to(self.learned)
        self.model.eval()
        scores = {
            f"{pack.name}": exact(self.reader, self.judged_store, number, pack, self.words)
            for number, pack in enumerate(self.judged)
        }
        kept.hand_to(self.learned)
        row = {"step": self.step, "minutes": self.seconds / 60, "loss": loss, **scores}
        self.rows.append(row)
        tqdm.write(" ".join(f"{name} {value:.3g}" for name, value in row.items()))
        text = json.dumps({"config": asdict(self.config), "log": self.rows}, indent=1)
        (self.out / "training.json").write_text(text + "\n", encoding="utf-8")

    def _save(self) -> None:
        state = {
            "learned": self.learned.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "rows": self.rows,
        }
        torch.save(state, self.out / "state.part")
        (self.out / "state.part").replace(self.out / "state.pt")

    def _resume(self) -> None:
        state = torch.load(self.out / "state.pt", map_location=self.device, weights_only=True)
        self.learned.load_state_dict(state["learned"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds, self.rows = state["step"], state["seconds"], state["rows"]


class Learned(nn.Module):
    """The trained parameters of a model, so that these alone are averaged and saved."""

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        super().__init__()
        self.kept = nn.ParameterList(
            p if isinstance(p, nn.Parameter) else nn.Parameter(p) for p in parameters
        )

    def forward(self) -> None:
        """Nothing: the module is a list."""

    @torch.no_grad()
    def hand_to(self, other: nn.Module) -> None:
        """Copy all values into another list of the same shape."""
        for mine, its in zip(self.parameters(), other.parameters(), strict=True):
            its.copy_(mine)


def with_adapter(model: ReaderModel, name: str, rank: int) -> PeftModel:
    """The model with a fresh LoRA adapter (Hu et al. 2022), the only thing that is trained."""
    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.05,
        target_modules=TARGETS,
        modules_to_save=list(WHOLE),
    )
    made: PeftModel = get_peft_model(model, config, adapter_name=name)
    return made


def reader_of(model: ReaderModel | PeftModel) -> ReaderModel:
    """The model itself, with the layers of its adapters."""
    reader: Any = model.base_model.model if isinstance(model, PeftModel) else model
    assert isinstance(reader, ReaderModel)
    return reader


def exact(
    reader: ReaderModel, store: Store, number: int, pack: Pack, words: Words, batch: int = 64
) -> float:
    """Share of a pack's questions, at most 400 of them, that are answered word for word."""
    asked = [example for example in pack.examples if example.task == "qa"]
    asked = asked[:: max(1, len(asked) // _JUDGED)]
    right = 0
    device = store.tokens.device
    for start in range(0, len(asked), batch):
        rows = asked[start : start + batch]
        inputs = store.inputs(
            [store.sights[number, each.pictures, each.region] for each in rows],
            ["clean"] * len(rows), [each.question for each in rows], ["qa"] * len(rows),
        )  # fmt: skip
        with torch.autocast(device.type, torch.bfloat16):
            found = search(reader, reader.encode(inputs), beams=1, longest=_CAPTION_LONGEST)
        right += sum(
            words.decode(said[0].words) == words.decode(words.encode(each.answer))
            for said, each in zip(found, rows, strict=True)
        )
    return right / max(1, len(asked))
