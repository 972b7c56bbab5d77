"""Image tokens → a projector → Gemma 3 with LoRA adapters: a question in, words out.

    reader = GemmaReader(load_base().language, said)
    logits, candidates = reader(batch)

As in LLaVA 1.5 (Liu et al. 2024, arXiv:2310.03744) two linear layers bring image tokens into the
space of word embeddings, and the language model reads them before the question. What it can say
are the pieces that the answers in training were made of, so its head has hundreds of rows instead
of 262,144.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from terralogue.vlm.vlm_tokens import TOKENS
from terralogue.vlm.vlm_views import MOST_DATES

ASKED: Final = MOST_DATES
"""Mark of the region that is asked about; smaller marks are dates, 0 the earliest."""
TARGETS: Final = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
IGNORED: Final = -100
PADDING: Final = -1


def condense(tokens: Tensor, marks: Sequence[int]) -> tuple[Tensor, list[int]]:
    """Bring all views of a picture to one grid, so that a picture costs TOKENS words.

    Args:
        tokens: (views, TOKENS, width) of `vlm_tokens.tokens_of`, all views of one question.
        marks: of each view, its date, or ASKED; the first view of each mark is the whole, those
            that follow are parts of it, row by row.

    Returns:
        (groups, TOKENS, 3 * width) and the mark of each group. A token is of the whole, then the
        mean and the maximum over the tokens of the parts that lie on the same ground; zeros where
        there are no parts.
    """
    wholes: dict[int, int] = {}
    parts: dict[int, list[int]] = {}
    for i, mark in enumerate(marks):
        if mark in wholes:
            parts.setdefault(mark, []).append(i)
        else:
            wholes[mark] = i
    groups = []
    for mark, whole in wholes.items():
        mean = most = torch.zeros_like(tokens[whole])
        if mark in parts:
            mean, most = _merged(tokens[parts[mark]])
        groups.append(torch.cat([tokens[whole], mean, most], 1))
    return torch.stack(groups), list(wholes)


def _merged(parts: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and maximum of (side², TOKENS, width) on the grid of the whole: (TOKENS, width) each."""
    side, grid = round(len(parts) ** 0.5), round((TOKENS - 1) ** 0.5)
    local = parts[:, :-1].float().view(side, side, grid, grid, -1)
    sheet = local.permute(4, 0, 2, 1, 3).reshape(1, -1, side * grid, side * grid)
    pooled = [pool(sheet, side)[0].flatten(1).T for pool in (F.avg_pool2d, F.max_pool2d)]
    whole = parts[:, -1].float()
    ends = [whole.mean(0, keepdim=True), whole.amax(0, keepdim=True)]
    mean, most = (torch.cat(pair).to(parts.dtype) for pair in zip(pooled, ends, strict=True))
    return mean, most


@dataclass(frozen=True)
class Batch:
    """Questions about pictures, with their answers or the beginnings of these; padded on the left.

    Attributes:
        pictures: (n, groups, TOKENS, image_width), any floating type.
        marks: (n, groups) long, date or ASKED; PADDING where a question has fewer groups.
        ids: (n, length) long, pieces of Gemma's vocabulary; anything where a picture goes.
        seen: (n, length) bool, False for padding.
        drawn: (n, length) bool, where the tokens of pictures go.
        labels: (n, length) long, what comes after each place; IGNORED is not counted.
    """

    pictures: Tensor
    marks: Tensor
    ids: Tensor
    seen: Tensor
    drawn: Tensor
    labels: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on a device."""
        return Batch(*(getattr(self, f.name).to(device) for f in fields(self)))


class GemmaReader(nn.Module):
    """A projector in front of a Gemma 3 text model.

    Args:
        language: Gemma3TextModel, or the same with adapters of peft.
        said: pieces that answers are made of, the end among them.
        image_width: of condensed tokens.
        end: piece that ends an answer.
    """

    said: Tensor

    def __init__(
        self, language: nn.Module, said: Sequence[int], image_width: int, end: int
    ) -> None:
        super().__init__()
        self.language = language
        self.end = end
        words = self._words.weight
        width = words.shape[1]
        self.norm = nn.LayerNorm(image_width)
        # A view's last token is its embedding, which has nothing in common with the others.
        self.local = nn.Linear(image_width, width)
        self.whole = nn.Linear(image_width, width)
        self.project = nn.Sequential(nn.GELU(), nn.Linear(width, width))
        self.mark = nn.Embedding(ASKED + 1, width)
        nn.init.normal_(self.mark.weight, std=0.02)
        sample = words[:: max(1, len(words) // 4096)].float()
        # Projected tokens begin as long as words are, which Gemma multiplies by this root.
        size = sample.pow(2).mean().sqrt() * width**0.5
        self.size = nn.Parameter(torch.full((width,), float(size)))
        self.register_buffer("said", torch.tensor(sorted(set(said))), persistent=False)

    @property
    def _words(self) -> nn.Embedding:
        language: Any = self.language
        words: nn.Embedding = language.get_input_embeddings()
        return words

    def projector(self) -> dict[str, Tensor]:
        """Tensors that are neither the language model's nor its adapters'."""
        return {k: v for k, v in self.state_dict().items() if not k.startswith("language.")}

    def embed(self, batch: Batch) -> Tensor:
        """What the language model reads: (n, length, width)."""
        x = self.norm(batch.pictures.to(self.size.dtype))
        y = torch.cat([self.local(x[:, :, :-1]), self.whole(x[:, :, -1:])], 2)
        y = self.project(y) + self.mark(batch.marks.clamp(min=0))[:, :, None]
        y = F.rms_norm(y, y.shape[-1:]) * self.size
        words: Tensor = self._words(batch.ids)
        tokens = y[batch.marks != PADDING].flatten(0, 1).to(words.dtype)
        return words.masked_scatter(batch.drawn[..., None], tokens)

    def logits(self, states: Tensor, candidates: Tensor) -> Tensor:
        """Logits of some pieces: (…, width) and (k,) → float32 (…, k)."""
        words = self._words.weight[candidates]
        # In half precision, likely answers could not be told apart.
        with torch.autocast(states.device.type, enabled=False):
            scores: Tensor = states.float() @ words.float().T
        return scores

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logarithms of the probabilities of labels, among what can be said and all labels.

        Returns:
            float32 (labels,) in order of rows and places, and long (labels,) the row of each.
        """
        states = self.language(
            inputs_embeds=self.embed(batch), attention_mask=batch.seen.long(),
            position_ids=_positions(batch.seen), use_cache=False,
        ).last_hidden_state  # fmt: skip
        counted = batch.labels != IGNORED
        labels = batch.labels[counted]
        candidates = torch.unique(torch.cat([self.said, labels]))
        scores = self.logits(states[counted], candidates).log_softmax(-1)
        chosen = scores.gather(1, torch.searchsorted(candidates, labels)[:, None])[:, 0]
        return chosen, counted.nonzero()[:, 0]

    @torch.inference_mode()
    def generate(self, batch: Batch, longest: int) -> tuple[list[list[int]], Tensor]:
        """Answer greedily.

        Args:
            batch: with no answers in it.
            longest: most pieces in an answer.

        Returns:
            The pieces of each answer without the end, and float32 (n,) the logarithms of the
            probabilities of all of them and the end.
        """
        seen, x = batch.seen, self.embed(batch)
        positions = _positions(seen)
        likelihood = torch.zeros(len(seen), device=seen.device)
        going = torch.ones(len(seen), dtype=torch.bool, device=seen.device)
        answers: list[list[int]] = [[] for _ in range(len(seen))]
        memory: Any = None
        for _ in range(longest):
            out = self.language(
                inputs_embeds=x, attention_mask=seen.long(), position_ids=positions,
                past_key_values=memory, use_cache=True,
            )  # fmt: skip
            memory = out.past_key_values
            best, places = (
                self.logits(out.last_hidden_state[:, -1], self.said).log_softmax(-1).max(-1)
            )
            pieces = self.said[places]
            likelihood += best * going
            going &= pieces != self.end
            for row in going.nonzero()[:, 0].tolist():
                answers[row].append(int(pieces[row]))
            if not going.any():
                break
            seen = torch.cat([seen, seen.new_ones(len(seen), 1)], 1)
            positions = positions[:, -1:] + 1
            x = self._words(pieces[:, None])
        return answers, likelihood


def _positions(seen: Tensor) -> Tensor:
    """Places of words counted from the first that is no padding: (n, length) long."""
    return (seen.long().cumsum(1) - 1).clamp(min=0)
