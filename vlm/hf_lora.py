"""LoRA adapters for full-size chat models: transformers' Trainer with peft and accelerate.

    terralogue train lora --vlm hf:Qwen/Qwen2.5-VL-3B-Instruct --data rsvqa_lr --out out/lr
    accelerate launch -m terralogue.vlm.train lora --vlm hf:… --data rsvqa_lr --out out/lr

One recipe: matrices of low rank (arXiv:2106.09685) beside all linear layers of the language model;
the image tower stays frozen, since benchmarks of a few thousand pictures would unlearn it. The
folder holds the adapter (`adapter_model.safetensors`, `adapter_config.json`), `training.json` with
what it was trained on, `calibration.json` where asked for, and `state` to go on from.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import peft
import torch
import transformers
from transformers import TrainerCallback, TrainingArguments, trainer_utils

from terralogue.datasets.errors import InputError
from terralogue.vlm.hf_calibration import Fitted, fit_calibration
from terralogue.vlm.hf_examples import Collator, Example, Examples, read_examples
from terralogue.vlm.hf_model import ADAPTER, ChatModel, fingerprint_of, load_model, with_adapter
from terralogue.vlm.hf_vlm import FOUR_BIT, HFVLM, LORA
from terralogue.vlm.vlm_prompts import reading_of

RECORD: Final = "training.json"
STATE: Final = "state"
MOST_ANSWERS: Final = 1000
"""Questions of a data set that a calibration asks at most."""

# The language model's part of Qwen-VL is called language_model, that of SmolVLM text_model.
_LAYERS: Final = r".*\b(language_model|text_model)\..*\.(q|k|v|o|gate|up|down)_proj"
_AT_ONCE: Final = 32


@dataclass(frozen=True)
class LoraSettings:
    """What an adapter is trained on, and how; a run goes on only with the same.

    Attributes:
        vlm: what stands after `hf:`.
        data: files or folders of benchmarks.
        split: of all of them.
        adapter: "qa" or "caption".
        steps: of the optimiser.
        seed: of weights and order.
        rank: of the matrices; their scale is twice the rank.
        lr: learning rate at its highest; it rises over a twentieth of the steps and falls with the
            cosine.
        batch: samples at once on each device.
        accumulate: batches in a step.
        limit: samples of every data set; None for all.
        save_memory: compute activations twice instead of keeping them.
    """

    vlm: str
    data: tuple[str, ...]
    split: str = "train"
    adapter: str = "qa"
    steps: int = 1000
    seed: int = 0
    rank: int = 16
    lr: float = 1e-4
    batch: int = 2
    accumulate: int = 8
    limit: int | None = None
    save_memory: bool = False


class Trainer:
    """Trains one adapter.

    Args:
        settings: what and how.
        out: folder of adapter and state.
        device: of torch; "auto" lets accelerate choose.
        every: steps between saved states.

    Raises:
        InputError: the folder holds a run with other settings.
    """

    def __init__(
        self, settings: LoraSettings, out: Path, *, device: str = "cpu", every: int = 100
    ) -> None:
        if LORA in settings.vlm:
            raise InputError(
                f"hf:{settings.vlm} has an adapter already; give the model alone, and a new --out"
            )
        self.settings = settings
        self.out = out
        self.device = device
        self.every = every
        # Of several processes one writes.
        self._first = os.environ.get("RANK", "0") == "0"
        self._check_record()

    def run(self, *, minutes: float | None = None) -> ChatModel:
        """Train until the steps are done or the minutes are over; goes on from a saved state.

        Returns:
            The trained model.

        Raises:
            InputError: a model or data set that cannot be used.
        """
        if self._record().get("finished"):
            print(f"{self.out} is trained already.", file=sys.stderr)
            return with_adapter(self._load(), self.out)
        examples = self._examples(self.settings.split)
        chat = self._load()
        trainer = transformers.Trainer(
            model=self._adapted(chat.model), args=self._arguments(), train_dataset=examples,
            data_collator=Collator(chat),
            callbacks=[] if minutes is None else [_Clock(minutes * 60)],
        )  # fmt: skip
        if self._first and not self._record():
            self.out.mkdir(parents=True, exist_ok=True)
            self._write_record(finished=False)
        trainer.train(resume_from_checkpoint=self._last_state())
        unwrapped: Any = trainer.accelerator.unwrap_model(trainer.model)
        trained = ChatModel(unwrapped.eval(), chat.processor, chat.kind, chat.folder)
        if not self._first:
            return trained
        unwrapped.save_pretrained(self.out)
        done = trainer.state.global_step
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        self._write_record(
            steps_done=done, finished=done >= self.settings.steps, samples=len(examples),
            base=fingerprint_of(chat.folder), kind=chat.kind,
            last_loss=losses[-1] if losses else None,
            versions={m.__name__: m.__version__ for m in (transformers, peft, torch)},
        )  # fmt: skip
        print(f"adapter after {done} steps: {self.out}", file=sys.stderr)
        return trained

    def questions(self, split: str) -> list[Example]:
        """Up to 1000 questions of a split of every data set, to calibrate by.

        Raises:
            InputError: the adapter is not for questions, or there is no such split.
        """
        if self.settings.adapter != "qa":
            raise InputError("--calibrate goes with --adapter qa; leave it out for captions")
        return [
            example
            for path in self.settings.data
            for example in read_examples(Path(path), split, "qa", MOST_ANSWERS)
        ]

    def calibrate(self, examples: Sequence[Example]) -> Fitted | None:
        """Ask questions whose answers are known, and write `calibration.json`.

        Returns:
            What was fitted; None in all but the first of several processes.

        Raises:
            InputError: no adapter yet, or answers that nothing can be fitted to.
        """
        if not self._first:
            return None
        vlm = HFVLM(with_adapter(self._load(), self.out), f"hf:{self.settings.vlm}", "")
        answered = list(_answered(vlm, examples))
        likelihoods, right = zip(*answered, strict=True)
        made = fit_calibration(likelihoods, right, [example.place for example in examples])
        made.calibration.write(self.out)
        told = {"answers": made.answers, "accuracy": made.accuracy, "ece": made.ece}
        self._write_record(**{**self._record(), "calibration": told})
        print(
            f"calibrated on {made.answers} answers: accuracy {made.accuracy:.3f}, "
            f"calibration error {made.ece:.3f}",
            file=sys.stderr,
        )
        return made

    def _last_state(self) -> str | None:
        find: Any = trainer_utils.get_last_checkpoint
        state = self.out / STATE
        found: str | None = find(state) if state.is_dir() else None
        return found

    def _load(self) -> ChatModel:
        base = self.settings.vlm.removesuffix(FOUR_BIT)
        device = self.device
        if device == "auto" and int(os.environ.get("WORLD_SIZE", "1")) > 1:
            # Of `accelerate launch`: every process has the whole model on a device of its own.
            device = f"cuda:{os.environ['LOCAL_RANK']}"
        return load_model(base, device, four_bit=base != self.settings.vlm)

    def _adapted(self, model: Any) -> Any:
        settings = self.settings
        if getattr(model, "is_loaded_in_4bit", False):
            prepare: Any = peft.prepare_model_for_kbit_training
            model = prepare(model, use_gradient_checkpointing=settings.save_memory)
        config = peft.LoraConfig(
            r=settings.rank, lora_alpha=2 * settings.rank, lora_dropout=0.05,
            target_modules=_LAYERS, task_type="CAUSAL_LM",
        )  # fmt: skip
        # The matrices are drawn here, before Trainer sets its seed.
        torch.manual_seed(settings.seed)
        return peft.get_peft_model(model, config)

    def _arguments(self) -> TrainingArguments:
        settings = self.settings
        on_cpu = self.device == "cpu" or not torch.cuda.is_available()
        return TrainingArguments(
            output_dir=str(self.out / STATE), max_steps=settings.steps, seed=settings.seed,
            per_device_train_batch_size=settings.batch, learning_rate=settings.lr,
            gradient_accumulation_steps=settings.accumulate, lr_scheduler_type="cosine",
            warmup_steps=settings.steps // 20, activation_checkpointing=settings.save_memory,
            save_steps=self.every, save_total_limit=1, logging_steps=min(10, settings.steps),
            report_to="none", remove_unused_columns=False, label_names=["labels"],
            ddp_find_unused_parameters=False,
            use_cpu=on_cpu, bf16=not on_cpu and torch.cuda.is_bf16_supported(),
            dataloader_pin_memory=not on_cpu, disable_tqdm=not sys.stderr.isatty(),
        )  # fmt: skip

    def _examples(self, split: str) -> Examples:
        settings = self.settings
        found = [
            example
            for path in settings.data
            for example in read_examples(Path(path), split, settings.adapter, settings.limit)
        ]
        return Examples(found)

    def _record(self) -> dict[str, Any]:
        path = self.out / RECORD
        if not path.is_file():
            return {}
        try:
            record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{path} cannot be read ({error}); give another --out") from error
        return record

    def _check_record(self) -> None:
        record = self._record()
        asked = json.loads(json.dumps(asdict(self.settings)))
        there = record.get("settings", asked)
        changed = [name for name in asked if there.get(name) != asked[name]]
        if changed:
            raise InputError(
                f"{self.out} holds a run with another --{changed[0].replace('_', '-')} "
                f"({there.get(changed[0])}); give the same options, or another --out"
            )
        if not record and (self.out / ADAPTER).is_file():
            raise InputError(f"{self.out} holds an adapter from elsewhere; give another --out")

    def _write_record(self, **values: object) -> None:
        part = self.out / f"{RECORD}.part"
        text = json.dumps({**values, "settings": asdict(self.settings)}, indent=1)
        part.write_text(f"{text}\n", encoding="utf-8")
        part.replace(self.out / RECORD)


class _Clock(TrainerCallback):
    """Stops training, with a saved state, when its time is over."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        if time.monotonic() >= self._end:
            control.should_training_stop = True
            control.should_save = True


def _answered(vlm: HFVLM, examples: Sequence[Example]) -> Iterator[tuple[float, bool]]:
    """Likelihood of each answer, and whether it is right."""
    for start in range(0, len(examples), _AT_ONCE):
        part = examples[start : start + _AT_ONCE]
        asked = [example.asked() for example in part]
        queries, prompts = [query for query, _ in asked], [prompt for _, prompt in asked]
        for example, query, prompt, written in zip(
            part, queries, prompts, vlm.write(queries, prompts), strict=True
        ):
            said = reading_of(written.text, query, prompt).text
            yield written.likelihood, _folded(said) == _folded(_truth(example))


def _truth(example: Example) -> str:
    """The right answer in words: of multiple choice the options that the letters stand for."""
    if not example.options:
        return example.answer
    letters = re.findall(r"[A-Z]", example.answer)
    return "; ".join(example.options[ord(letter) - ord("A")] for letter in sorted(letters))


def _folded(text: str) -> str:
    """Exact match as VQA benchmarks have it: case and punctuation do not count."""
    return " ".join(re.findall(r"[\w.]+", text.casefold())).strip(" .")
