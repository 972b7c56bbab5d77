"""Answers from the decoder: beam search, and how likely given answers are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from terralogue.vlm.vlm_model import Memory, ReaderModel
from terralogue.vlm.vlm_words import END, SPECIAL

_PAD: Final = 0
_START: Final = 1
_END: Final = SPECIAL.index(END)


@dataclass(frozen=True)
class Said:
    """One answer in pieces.

    Attributes:
        words: numbers of its pieces, the end included where it was reached.
        logs: log-probability of each.
    """

    words: tuple[int, ...]
    logs: tuple[float, ...]

    @property
    def log(self) -> float:
        """Log-probability of the whole."""
        return sum(self.logs)


@torch.inference_mode()
def search(
    model: ReaderModel,
    memory: Memory,
    *,
    beams: int,
    longest: int,
    temperature: float = 1.0,
    penalty: float = 0.0,
) -> list[list[Said]]:
    """Beam search for each row.

    Args:
        model: in evaluation mode.
        memory: of `encode`.
        beams: answers kept at each step; as many come back.
        longest: most pieces of an answer.
        temperature: that logits are divided by.
        penalty: exponent of the length that scores are divided by while searching (Wu et al.
            2016 without the constants); 0 ranks by probability.

    Returns:
        For each row, answers from the best to the worst.
    """
    n, device = len(memory.seen), memory.seen.device
    looked = [
        (keys.repeat_interleave(beams, 0), values.repeat_interleave(beams, 0))
        for keys, values in model.look_up(memory)
    ]
    memory = memory[[row for row in range(n) for _ in range(beams)]]
    words = torch.full((n * beams, 1), _START, dtype=torch.long, device=device)
    logs = torch.zeros(n * beams, 1, device=device)[:, :0]
    totals = torch.full((n, beams), -torch.inf, device=device)
    totals[:, 0] = 0
    done = torch.zeros(n * beams, dtype=torch.bool, device=device)
    first = torch.arange(n, device=device)[:, None] * beams
    for _ in range(longest):
        step = F.log_softmax(model.decode(words, looked, memory)[:, -1] / temperature, -1)
        step[:, [_PAD, _START]] = -torch.inf
        # A finished answer goes on with padding, which costs nothing.
        step[done] = -torch.inf
        step[done, _PAD] = 0
        pieces = step.shape[1]
        new = totals[..., None] + step.view(n, beams, pieces)
        lengths = (words[:, 1:] != _PAD).sum(1).view(n, beams, 1) + (~done).view(n, beams, 1)
        ranked = (new / lengths.clamp(min=1).float() ** penalty).flatten(1)
        chosen = ranked.topk(beams).indices
        totals = new.flatten(1).gather(1, chosen)
        origin = (first + chosen // pieces).flatten()
        word = (chosen % pieces).flatten()
        logs = torch.cat([logs[origin], step[origin, word][:, None]], 1)
        words = torch.cat([words[origin], word[:, None]], 1)
        done = done[origin] | (word == _END)
        if bool(done.all()):
            break
    found = [_said(w, v) for w, v in zip(words[:, 1:].tolist(), logs.tolist(), strict=True)]
    rows = [found[i * beams : (i + 1) * beams] for i in range(n)]
    return [[each for each in row if each.log > -torch.inf] for row in rows]


def _said(words: Sequence[int], logs: Sequence[float]) -> Said:
    kept = [i for i, word in enumerate(words) if word != _PAD]
    return Said(tuple(words[i] for i in kept), tuple(logs[i] for i in kept))


@torch.inference_mode()
def likelihoods(
    model: ReaderModel,
    memory: Memory,
    answers: Sequence[Sequence[int]],
    *,
    temperature: float = 1.0,
) -> list[Said]:
    """How likely each answer is, one for each row.

    Args:
        model: in evaluation mode.
        memory: of `encode`.
        answers: n answers in pieces, each with its end.
        temperature: that logits are divided by.
    """
    words, labels = padded(answers, memory.seen.device)
    logs = F.log_softmax(model.decode(words, model.look_up(memory), memory) / temperature, -1)
    taken = logs.gather(-1, labels.clamp(min=0)[..., None])[..., 0]
    return [
        Said(tuple(answer), tuple(row[: len(answer)]))
        for answer, row in zip(answers, taken.tolist(), strict=True)
    ]


def padded(answers: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Words to read, the start first, and to say, -100 beyond the end: both (n, longest)."""
    longest = max(map(len, answers))
    words = torch.full((len(answers), longest), _PAD, dtype=torch.long)
    labels = torch.full((len(answers), longest), -100, dtype=torch.long)
    for i, answer in enumerate(answers):
        row = torch.tensor(answer)
        labels[i, : len(answer)] = row
        words[i, 0] = _START
        words[i, 1 : len(answer)] = row[:-1]
    return words.to(device), labels.to(device)
