"""Training of Gemma's projector and LoRA adapters on a store of image tokens."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from terralogue.vlm.gemma_model import ASKED, TARGETS, GemmaReader, condense
from terralogue.vlm.gemma_text import Pictures, Pieces
from terralogue.vlm.vlm_mixture import Drawn, Mixture
from terralogue.vlm.vlm_pack import Example, Pack
from terralogue.vlm.vlm_store import Store, Variant

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_WARM: Final = 50
_DROPOUT: Final = 0.05
JUDGED: Final = 100
"""Questions of each pack by which progress is shown."""


@dataclass(frozen=True)
class GemmaTraining:
    """How to train.

    Attributes:
        steps: of the schedule.
        minutes: the schedule in time instead of steps.
        batch: examples in a step.
        lr: highest learning rate of the adapters.
        projector_lr: highest learning rate of the projector.
        decay: of the projector's weights.
        rank: of the adapters; their scale is 2.
        robust: half of a step's examples are corrupted pictures with perturbed questions.
        every: steps between validations.
        seed: of everything.
    """

    steps: int = 1500
    minutes: float | None = None
    batch: int = 32
    lr: float = 3e-4
    projector_lr: float = 1e-3
    decay: float = 0.05
    rank: int = 8
    robust: bool = True
    every: int = 500
    seed: int = 0


@dataclass(frozen=True)
class Answered:
    """An example with what the model answered.

    Attributes:
        pack: name of its pack.
        picture: key of its first picture.
        example: with the right answer.
        text: what was answered.
        log: logarithm of its probability.
    """

    pack: str
    picture: str
    example: Example
    text: str
    log: float

    @property
    def right(self) -> bool:
        """Whether the answer is right word for word."""
        return self.text.casefold() == " ".join(self.example.answer.split()).casefold()


def adapted(language: PreTrainedModel, rank: int) -> nn.Module:
    """A language model with fresh LoRA adapters (Hu et al. 2022), all else frozen."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, lora_dropout=_DROPOUT, target_modules=list(TARGETS)
    )
    made: nn.Module = get_peft_model(language, config)
    return made


class GemmaTrainer:
    """The loop.

    Args:
        reader: with adapters.
        pieces: of its vocabulary.
        config: how.
        store: tokens of all sights; the reader is trained on its device.
        mixture: of training examples.
        judged: packs of the validation parts.
        judged_store: their tokens.
        out: folder of the log.
    """

    def __init__(
        self, reader: GemmaReader, pieces: Pieces, config: GemmaTraining, store: Store,
        mixture: Mixture, judged: Sequence[Pack], judged_store: Store, out: Path,
    ) -> None:  # fmt: skip
        torch.manual_seed(config.seed)
        self.device = store.tokens.device
        self.reader, self.pieces, self.config = reader.to(self.device), pieces, config
        self.store, self.mixture = store, mixture
        self.judged, self.judged_store, self.out = judged, judged_store, out
        adapters = [p for n, p in _learned(reader) if n.startswith("language.")]
        rest = [p for n, p in _learned(reader) if not n.startswith("language.")]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": adapters, "top": config.lr, "weight_decay": 0.0},
                {"params": rest, "top": config.projector_lr, "weight_decay": config.decay},
            ],
            lr=config.lr, betas=(0.9, 0.98),
        )  # fmt: skip
        self.step, self.seconds = 0, 0.0
        self.rows: list[dict[str, float]] = []
        out.mkdir(parents=True, exist_ok=True)

    @property
    def progress(self) -> float:
        """How much of the schedule is done, 0 to 1."""
        if self.config.minutes is not None:
            return min(1.0, self.seconds / (60 * self.config.minutes))
        return min(1.0, self.step / self.config.steps)

    def run(self) -> None:
        """Train to the end of the schedule."""
        losses: list[float] = []
        bar = tqdm(total=1000, desc="gemma", unit="‰", disable=None)
        while self.progress < 1:
            began = time.monotonic()
            losses.append(self._update())
            self.step += 1
            self.seconds += time.monotonic() - began
            bar.update(int(1000 * self.progress) - bar.n)
            if self.step % self.config.every == 0 or self.progress >= 1:
                self._judge(float(np.mean(losses)))
                losses = []
        bar.close()
        self.reader.eval()

    def _update(self) -> float:
        warm = min(1.0, (self.step + 1) / min(_WARM, max(1, self.config.steps // 10)))
        share = warm * max(0.02, 0.5 * (1 + math.cos(math.pi * self.progress)))
        for group in self.optimiser.param_groups:
            group["lr"] = group["top"] * share
        self.reader.train()
        robust = self.config.robust
        rows = self.mixture.draw(self.config.batch // (2 if robust else 1))
        if robust:
            rows += [self.mixture.spoiled(row) for row in rows]
        loss = self._loss(rows)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_([p for _, p in _learned(self.reader)], 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()
        return float(loss.detach())

    def _loss(self, rows: Sequence[Drawn]) -> Tensor:
        batch = self.pieces.batch(
            [pictures(self.store, r.pack, r.example, r.variant) for r in rows],
            [r.question for r in rows],
            [r.example.answer for r in rows],
        )
        with torch.autocast(self.device.type, torch.bfloat16):
            logs: Tensor = self.reader(batch.to(self.device))[0]
        return -logs.mean()

    def _judge(self, loss: float) -> None:
        scores = {}
        for number, pack in enumerate(self.judged):
            asked = questions(pack, JUDGED)
            found = answers(self.reader, self.pieces, self.judged_store, number, pack, asked)
            scores[pack.name] = sum(each.right for each in found) / max(1, len(found))
        row = {"step": self.step, "minutes": self.seconds / 60, "loss": loss, **scores}
        self.rows.append(row)
        tqdm.write(" ".join(f"{name} {value:.3g}" for name, value in row.items()))
        text = json.dumps({"config": asdict(self.config), "log": self.rows}, indent=1)
        (self.out / "training.json").write_text(text + "\n", encoding="utf-8")


def _learned(reader: GemmaReader) -> list[tuple[str, nn.Parameter]]:
    return [(name, p) for name, p in reader.named_parameters() if p.requires_grad]


def questions(pack: Pack, most: int | None = None) -> list[Example]:
    """Examples of a pack that ask something, at most about so many, spread over the pack."""
    asked = [example for example in pack.examples if example.task == "qa"]
    return asked if most is None else asked[:: max(1, len(asked) // most)]


def pictures(store: Store, pack: int, example: Example, variant: Variant = "clean") -> Pictures:
    """Condensed tokens of what an example looks at."""
    sight = store.sights[pack, example.pictures, example.region]
    start, count = int(store.starts[variant][sight]), int(store.counts[variant][sight])
    span = slice(start, start + count)
    marks = torch.where(store.asked[span], ASKED, store.dates[span]).tolist()
    return condense(store.tokens[span], marks)


def answers(
    reader: GemmaReader, pieces: Pieces, store: Store, number: int, pack: Pack,
    asked: Sequence[Example], *, batch: int = 128, longest: int = 32,
) -> list[Answered]:  # fmt: skip
    """Answer examples of a pack.

    Args:
        reader: on the device of the store.
        pieces: of its vocabulary.
        store: with the tokens of the pack, clean.
        number: of the pack in the store.
        pack: of the examples.
        asked: what to answer.
        batch: questions at a time.
        longest: most pieces in an answer.
    """
    reader.eval()
    device: Any = store.tokens.device
    found = []
    for start in range(0, len(asked), batch):
        rows = asked[start : start + batch]
        made = pieces.batch(
            [pictures(store, number, each) for each in rows], [each.question for each in rows]
        )
        with torch.autocast(device.type, torch.bfloat16):
            texts, logs = reader.generate(made.to(device), longest)
        for each, text, log in zip(rows, texts, logs.tolist(), strict=True):
            key = pack.keys[each.pictures[0]]
            found.append(Answered(pack.name, key, each, pieces.text(text), log))
    return found
