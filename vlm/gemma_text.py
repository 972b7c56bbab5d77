"""What Gemma reads: the pieces of a question around its pictures, and an answer after it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import torch
from tokenizers import Tokenizer
from torch import Tensor

from terralogue.datasets.errors import InputError
from terralogue.vlm.gemma_model import IGNORED, PADDING, Batch
from terralogue.vlm.vlm_tokens import TOKENS

_BEGIN: Final = "<bos>"
_END: Final = "<eos>"
# More of a question is not read: none in training was a quarter as long.
_LONGEST: Final = 256
_DIGITS: Final = " ".join("0123456789")

Pictures = tuple[Tensor, Sequence[int]]
"""Condensed tokens (groups, TOKENS, width) of one question, and their marks."""


class Pieces:
    """Turns questions and answers into pieces of Gemma's vocabulary and back.

    Args:
        tokenizer: of a Gemma model.

    Raises:
        InputError: the tokeniser has no beginning or end.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        begin, end = tokenizer.token_to_id(_BEGIN), tokenizer.token_to_id(_END)
        if begin is None or end is None:
            raise InputError(
                f"the tokeniser knows no {_BEGIN} or {_END}; name a folder with a Gemma 3 model"
            )
        self._tokenizer = tokenizer
        self.begin: int = begin
        self.end: int = end

    def said(self, answers: Iterable[str]) -> list[int]:
        """All pieces that some answers are made of, all digits, and the end; sorted."""
        found = {piece for text in {*answers, _DIGITS} for piece in self.answer(text)}
        return sorted(found)

    def answer(self, text: str) -> list[int]:
        """Pieces of an answer and the end."""
        return [*self._encoded(f" {text}"), self.end]

    def text(self, pieces: Sequence[int]) -> str:
        """The answer that pieces spell."""
        spelt: str = self._tokenizer.decode(list(pieces))
        return spelt.strip()

    def batch(
        self,
        pictures: Sequence[Pictures],
        questions: Sequence[str],
        answers: Sequence[str] | None = None,
    ) -> Batch:
        """Questions about pictures; an empty question asks for a description.

        Args:
            pictures: of each question.
            questions: in the person's words.
            answers: that follow; None where they are to be found.
        """
        most = max(len(marks) for _, marks in pictures)
        first = pictures[0][0]
        tokens = first.new_zeros(len(pictures), most, *first.shape[1:])
        marks = torch.full((len(pictures), most), PADDING)
        rows: list[tuple[list[int], int, list[int]]] = []
        for i, ((seen, its), question) in enumerate(zip(pictures, questions, strict=True)):
            tokens[i, : len(its)] = seen
            marks[i, : len(its)] = torch.tensor(its)
            said = self.answer(answers[i]) if answers is not None else []
            rows.append((self._asked(question), len(its) * TOKENS, said))
        length = max(1 + drawn + len(asked) + max(0, len(said) - 1) for asked, drawn, said in rows)
        ids = torch.full((len(rows), length), self.end)
        labels = torch.full((len(rows), length), IGNORED)
        visible = torch.zeros(len(rows), length, dtype=torch.bool)
        shown = torch.zeros(len(rows), length, dtype=torch.bool)
        for i, (asked, drawn, said) in enumerate(rows):
            words = asked + said[:-1]
            start = length - len(words)
            ids[i, start:] = torch.tensor(words)
            ids[i, start - drawn - 1] = self.begin
            visible[i, start - drawn - 1 :] = True
            shown[i, start - drawn : start] = True
            if said:
                labels[i, length - len(said) :] = torch.tensor(said)
        return Batch(tokens, marks, ids, visible, shown, labels)

    def _asked(self, question: str) -> list[int]:
        if not question.strip():
            return self._encoded("\nDescription:")
        return self._encoded(f"\nQuestion: {' '.join(question.split())}\nAnswer:")[-_LONGEST:]

    def _encoded(self, text: str) -> list[int]:
        pieces: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return pieces
