"""Full-size chat models of transformers: `load_vlm("hf:Qwen/Qwen2.5-VL-3B-Instruct")`.

    hf:Qwen/Qwen3-VL-4B-Instruct                a repository in the local cache of the hub
    hf:path/to/folder                           what `save_pretrained` writes
    hf:…+lora:path/to/adapter                   with an adapter of `terralogue train lora`
    hf:…+4bit                                   weights in 4 bits, with bitsandbytes on a GPU

Queries are answered in batches, padded on the left, by the likeliest token each time. A confidence
is given where `calibration.json` lies beside the adapter, or beside a model without one; see
`hf_calibration.py`. Boxes come from models whose way of counting is known: `GROUNDING`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch

from terralogue.datasets.errors import InputError
from terralogue.vlm.hf_calibration import read_calibration
from terralogue.vlm.hf_model import (
    ChatModel,
    Likelihood,
    fingerprint_of,
    load_model,
    with_adapter,
)
from terralogue.vlm.vlm import VLM, Query, Reading, Task
from terralogue.vlm.vlm_calibration import Calibration
from terralogue.vlm.vlm_prompts import GROUNDING, MOST_TOKENS, Prompt, prompt_for, reading_of

BATCH: Final = 8
"""Queries that are answered together; a batch of a 3B model with 3 pictures each fits 24 GB."""

_PART: Final = 64
LORA, FOUR_BIT = "+lora:", "+4bit"
_LESS_SURE: Final = "its confidence of {:.2f} is below {:.2f}, where its answers are mostly wrong"


@dataclass(frozen=True)
class Written:
    """What a model wrote after one prompt.

    Attributes:
        text: without special tokens.
        likelihood: of all tokens and the end together, 0 to 1.
        seen: height and width of the first picture as the model got it; None where not known.
    """

    text: str
    likelihood: float
    seen: tuple[int, int] | None


class HFVLM(VLM):
    """A chat model of transformers.

    Args:
        chat: the model.
        name: what `load_vlm` was given.
        fingerprint: of its weights.
        calibration: of its answers; None where it has none.
        batch: queries that are answered together.
    """

    def __init__(
        self, chat: ChatModel, name: str, fingerprint: str,
        calibration: Calibration | None = None, batch: int = BATCH,
    ) -> None:  # fmt: skip
        self.chat = chat
        self.name = name
        self.fingerprint = fingerprint
        self.calibration = calibration
        self.batch = batch
        tasks: set[Task] = {"qa", "caption"}
        if chat.kind in GROUNDING:
            tasks.add("grounding")
        self.tasks = frozenset(tasks)

    def answer_batch(self, queries: Sequence[Query]) -> list[Reading]:
        """Answer queries together; see `VLM.answer_batch`."""
        for query in queries:
            if query.task not in self.tasks:
                raise InputError(
                    f"{self.name} does not do {query.task}; it does {', '.join(sorted(self.tasks))}"
                )
        readings: list[Reading] = []
        # A part at a time, since the pictures of thousands of queries do not fit into memory.
        for start in range(0, len(queries), _PART):
            part = queries[start : start + _PART]
            prompts = [prompt_for(query) for query in part]
            made = zip(part, prompts, self.write(part, prompts), strict=True)
            readings += [self._reading(*each) for each in made]
        return readings

    def write(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> list[Written]:
        """What the model writes after prompts, in their order."""
        written: dict[int, Written] = {}
        for chosen in self._batches(queries, prompts):
            most = MOST_TOKENS[queries[chosen[0]].task]
            made = self._generate([prompts[i] for i in chosen], most)
            written |= dict(zip(chosen, made, strict=True))
        return [written[i] for i in range(len(queries))]

    def _batches(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> Iterator[list[int]]:
        """Numbers of queries of one task and about one length, so that little is padded."""
        for task in sorted({query.task for query in queries}):
            alike = sorted(
                (i for i, query in enumerate(queries) if query.task == task),
                key=lambda i: sum(view.picture.size for view in prompts[i].pictures),
            )
            for start in range(0, len(alike), self.batch):
                yield alike[start : start + self.batch]

    def _generate(self, prompts: Sequence[Prompt], most: int) -> list[Written]:
        model, processor = self.chat.model, self.chat.processor
        inputs = self.chat.encode(prompts)
        sizes = self.chat.picture_sizes(inputs)
        config = copy.deepcopy(model.generation_config)
        config.update(
            do_sample=False, temperature=None, top_p=None, top_k=None, max_new_tokens=most,
            max_length=None, pad_token_id=processor.tokenizer.pad_token_id,
        )  # fmt: skip
        likelihood = Likelihood()
        with torch.inference_mode():
            tokens = model.generate(
                **inputs.to(model.device, model.dtype), generation_config=config,
                logits_processor=[likelihood],
            )[:, inputs["input_ids"].shape[1] :]  # fmt: skip
        texts = processor.batch_decode(tokens, skip_special_tokens=True)
        firsts = [sum(len(p.pictures) for p in prompts[:i]) for i in range(len(prompts))]
        likelihoods = likelihood.products(tokens, config.eos_token_id)
        return [
            Written(text, value, sizes[first] if sizes else None)
            for text, value, first in zip(texts, likelihoods, firsts, strict=True)
        ]

    def _reading(self, query: Query, prompt: Prompt, written: Written) -> Reading:
        reading = reading_of(
            written.text, query, prompt,
            coordinates=GROUNDING.get(self.chat.kind, "pixels"), seen=written.seen,
        )  # fmt: skip
        if self.calibration is None or query.task != "qa":
            return reading
        confidence = self.calibration.confidence(written.likelihood)
        least = self.calibration.threshold
        if reading.sure and confidence < least:
            doubt = _LESS_SURE.format(confidence, least)
            return replace(reading, confidence=confidence, sure=False, doubt=doubt)
        return replace(reading, confidence=confidence)


def load(rest: str, device: str) -> HFVLM:
    """Load what stands after `hf:`.

    Raises:
        InputError: the model or the adapter is not on this machine, or cannot be read.
    """
    spec, four_bit = (rest.removesuffix(FOUR_BIT), rest.endswith(FOUR_BIT))
    base, lora, adapter = spec.partition(LORA)
    if not base or (lora and not adapter):
        raise InputError(
            f"hf:{rest} names no model; give hf:<repo or folder>[+lora:<folder>][+4bit]"
        )
    chat = load_model(base, device, four_bit=four_bit)
    folders = [chat.folder]
    if lora:
        folders.append(Path(adapter))
        chat = with_adapter(chat, Path(adapter))
    print_of = fingerprint_of(*folders)
    return HFVLM(chat, f"hf:{rest}", print_of, read_calibration(folders[-1]))
