"""What full-size models are trained on: questions and captions of benchmarks, as prompts.

Pictures are opened when they are needed, with their bands, so that multispectral benchmarks become
renderings as they do in use.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import torch
from torch import Tensor
from torch.utils.data import Dataset

from terralogue.datasets.errors import InputError
from terralogue.datasets.registry import read_captions, read_vqa
from terralogue.datasets.scene import open_scene
from terralogue.vlm.hf_model import ChatModel
from terralogue.vlm.vlm import Query
from terralogue.vlm.vlm_prompts import Prompt, prompt_for

Kind = Literal["qa", "caption"]
KINDS: Final[tuple[Kind, ...]] = ("qa", "caption")
# Marks tokens that the loss of transformers leaves out.
_LEFT_OUT: Final = -100


@dataclass(frozen=True)
class Example:
    """One question, and what should be answered.

    Attributes:
        pictures: files or folders of scenes, in order of time.
        question: "" for a description.
        answer: to be written; of multiple choice the letters.
        place: of the pictures; parts are cut by it.
        kind: of answer.
        options: of multiple choice.
        several: whether more than one option may be right.
        dates: of the pictures.
        sensor: key in SENSORS; None tells it from the files.
    """

    pictures: tuple[Path, ...]
    question: str
    answer: str
    place: str
    kind: Kind
    options: tuple[str, ...] = ()
    several: bool = False
    dates: tuple[str, ...] = ()
    sensor: str | None = None

    def asked(self) -> tuple[Query, Prompt]:
        """Query and prompt; the pictures of the query are closed again.

        Raises:
            EOError: a picture that cannot be read.
        """
        with ExitStack() as stack:
            scenes = tuple(
                stack.enter_context(open_scene(path, sensor=self.sensor)) for path in self.pictures
            )
            query = Query(
                self.question, scenes, task=self.kind, options=self.options,
                several=self.several, dates=self.dates,
            )  # fmt: skip
            return query, prompt_for(query)


def read_examples(path: Path, split: str, kind: str, limit: int | None = None) -> list[Example]:
    """Read a benchmark.

    Args:
        path: file or folder.
        split: see `datasets/samples.py`.
        kind: of answers.
        limit: of samples, spread evenly.

    Raises:
        InputError: nothing of the kind there, an unknown kind or split, or pictures are missing.
    """
    if kind == "qa":
        samples = read_vqa(path, split)
        # Whether one option or several are asked for is known of a type of question, never of one.
        lists = {s.kind for s in samples.items if s.options and "," in s.answer}
        return [
            Example(
                s.pictures, s.question, s.answer, s.place, "qa", s.options, s.kind in lists,
                s.dates, s.sensor,
            )
            for s in samples.limited(limit).items
        ]  # fmt: skip
    if kind == "caption":
        return [
            Example(s.pictures, "", caption, s.place, "caption")
            for s in read_captions(path, split).limited(limit).items
            for caption in dict.fromkeys(s.captions)
        ]
    raise InputError(f"--adapter {kind} is not known; a full-size model takes: {', '.join(KINDS)}")


class Examples(Dataset[Example]):
    """Examples by number."""

    def __init__(self, items: Sequence[Example]) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Example:
        return self._items[index]


class Collator:
    """Makes batches: what the model is given in use, then the answer, which alone is learned.

    Args:
        chat: whose processor is used.
    """

    def __init__(self, chat: ChatModel) -> None:
        self._chat = chat

    def __call__(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """Tensors by name; `labels` (n, length) is -100 wherever there is no answer."""
        prompts = [example.asked()[1] for example in examples]
        inputs = dict(self._chat.encode(prompts))
        answers = [
            self._chat.answered(prompt, " ".join(example.answer.split()))
            for prompt, example in zip(prompts, examples, strict=True)
        ]
        longest = max(map(len, answers))
        tokens = inputs["input_ids"]
        padding = self._chat.processor.tokenizer.pad_token_id
        told = tokens.new_full((len(answers), longest), padding)
        seen = torch.zeros_like(told)
        for row, answer in enumerate(answers):
            told[row, : len(answer)] = torch.tensor(answer)
            seen[row, : len(answer)] = 1
        added = {"input_ids": told, "attention_mask": seen}
        for name, values in inputs.items():
            # Whatever else goes with the tokens, such as their kind, is 0 for text.
            if values.shape == tokens.shape:
                more = added.get(name, torch.zeros_like(told, dtype=values.dtype))
                inputs[name] = torch.cat([values, more], dim=1)
        learned = torch.where(seen.bool(), told, _LEFT_OUT)
        inputs["labels"] = torch.cat([torch.full_like(tokens, _LEFT_OUT), learned], dim=1)
        return inputs
