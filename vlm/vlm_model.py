"""The embedded vision-language model: image tokens and a question in, words out.

    model = ReaderModel.from_pretrained(folder)
    memory = model.encode(inputs)
    logits = model.decode(words, model.look_up(memory), memory)

An encoder mixes the tokens of all views with the question; a small decoder attends to it and to
the words said so far (Vaswani et al. 2017, pre-norm). Its words are frozen embeddings of MiniLM,
on the way in and, transposed, on the way out (weight tying, Press and Wolf 2017).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from transformers import PreTrainedModel

from terralogue.vlm.vlm_config import TASKS, ReaderConfig
from terralogue.vlm.vlm_tokens import GRID, TOKENS
from terralogue.vlm.vlm_words import SPECIAL, Words

_FREQUENCIES: Final = 6
_IGNORED: Final = -100


@dataclass(frozen=True)
class Inputs:
    """A batch of questions about views; padded where questions have fewer.

    Attributes:
        tokens: (n, views, TOKENS, image_width), any floating type.
        places: (n, views, 4) left, top, right, bottom as shares of the picture.
        dates: (n, views) long, 0 the earliest picture.
        asked: (n, views) bool, the region that is asked about.
        seen: (n, views) bool, False for padding.
        question: (n, words, text_width) states of the question's tokens.
        heard: (n, words) bool, False for padding.
        task: (n,) long, index into TASKS.
    """

    tokens: Tensor
    places: Tensor
    dates: Tensor
    asked: Tensor
    seen: Tensor
    question: Tensor
    heard: Tensor
    task: Tensor

    def to(self, device: torch.device | str) -> Inputs:
        """The same batch on a device."""
        return Inputs(*(getattr(self, f.name).to(device) for f in fields(self)))


Looked = tuple[Tensor, Tensor]
"""Keys and values of attention."""


@dataclass(frozen=True)
class Memory:
    """What the decoder attends to.

    Attributes:
        states: (n, length, width).
        seen: (n, length) bool, False for padding.
        hint: (n, width), added to every word: what the picture as a whole says of the question.
    """

    states: Tensor
    seen: Tensor
    hint: Tensor

    def __getitem__(self, rows: Sequence[int]) -> Memory:
        """Some rows, perhaps more than once."""
        return Memory(self.states[rows], self.seen[rows], self.hint[rows])


class Attention(nn.Module):
    """Multi-head attention with one linear layer for each part, as adapters want them."""

    def __init__(self, config: ReaderConfig) -> None:
        super().__init__()
        self.heads, self.dropout = config.heads, config.dropout
        self.query = nn.Linear(config.width, config.width)
        self.key = nn.Linear(config.width, config.width)
        self.value = nn.Linear(config.width, config.width)
        self.out = nn.Linear(config.width, config.width)

    def look_up(self, memory: Tensor) -> Looked:
        """Keys and values of (n, length, width), each (n, heads, length, width / heads)."""
        return self._split(self.key(memory)), self._split(self.value(memory))

    def forward(
        self, x: Tensor, looked: Looked, mask: Tensor | None = None, *, causal: bool = False
    ) -> Tensor:
        """Attend from (n, a, width) to keys and values; `mask` (n, b) is True where one may."""
        mixed = F.scaled_dot_product_attention(
            self._split(self.query(x)), *looked,
            attn_mask=None if mask is None else mask[:, None, None, :],
            dropout_p=self.dropout if self.training else 0.0, is_causal=causal,
        )  # fmt: skip
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out

    def _split(self, y: Tensor) -> Tensor:
        return y.view(*y.shape[:-1], self.heads, -1).transpose(1, 2)


class Layer(nn.Module):
    """One layer of the encoder, or of the decoder where it looks across."""

    def __init__(self, config: ReaderConfig, *, across: bool) -> None:
        super().__init__()
        self.own_norm, self.own = nn.LayerNorm(config.width), Attention(config)
        self.across = Attention(config) if across else None
        self.across_norm = nn.LayerNorm(config.width) if across else None
        self.feed_norm = nn.LayerNorm(config.width)
        self.up = nn.Linear(config.width, config.feed)
        self.down = nn.Linear(config.feed, config.width)
        self.drop = nn.Dropout(config.dropout)

    def forward(
        self, x: Tensor, mask: Tensor | None, across: Looked | None = None,
        seen: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """(n, length, width) → the same shape; causal where it looks across."""
        y = self.own_norm(x)
        own = self.own(y, self.own.look_up(y), mask, causal=across is not None)
        x = x + self.drop(own)
        if self.across is not None and self.across_norm is not None and across is not None:
            x = x + self.drop(self.across(self.across_norm(x), across, seen))
        fed: Tensor = self.drop(self.down(F.gelu(self.up(self.feed_norm(x)))))
        return x + fed


class ReaderModel(PreTrainedModel):  # type: ignore[no-untyped-call]
    """Encoder over views and question, decoder of words."""

    config_class = ReaderConfig
    base_model_prefix = "reader"

    def __init__(self, config: ReaderConfig) -> None:
        super().__init__(config)
        width = config.width
        self.local = nn.Sequential(
            nn.LayerNorm(config.image_width), nn.Linear(config.image_width, width)
        )
        self.whole = nn.Linear(config.vector_width, width)
        self.place = nn.Linear(4 * _FREQUENCIES + 2, width)
        self.date = nn.Embedding(config.dates, width)
        self.region = nn.Embedding(2, width)
        self.heard = nn.Linear(config.text_width, width)
        self.task = nn.Embedding(len(TASKS), width)
        self.encoder = nn.ModuleList(
            Layer(config, across=False) for _ in range(config.encoder_layers)
        )
        self.encoder_norm = nn.LayerNorm(width)
        vector = config.vector_width
        self.meaning = nn.Linear(config.text_width, vector)
        self.fuse = nn.Sequential(
            nn.Linear(4 * vector, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        pieces = max(len(config.vocabulary), len(SPECIAL))
        self.words = nn.Embedding(pieces, config.text_width)
        self.words.weight.requires_grad_(False)
        self.said = nn.Linear(config.text_width, width)
        self.position = nn.Embedding(config.longest, width)
        self.decoder = nn.ModuleList(
            Layer(config, across=True) for _ in range(config.decoder_layers)
        )
        self.decoder_norm = nn.LayerNorm(width)
        self.spoken = nn.Linear(width, config.text_width)
        self.bias = nn.Parameter(torch.zeros(pieces))
        self.drop = nn.Dropout(config.dropout)
        self.post_init()  # type: ignore[no-untyped-call]

    @classmethod
    def begin(cls, config: ReaderConfig) -> ReaderModel:
        """An untrained model with MiniLM's word embeddings."""
        model = cls(config)
        rows = torch.from_numpy(Words(config.vocabulary).embeddings())
        model.words.weight.data.copy_(F.normalize(rows, dim=-1))
        nn.init.zeros_(model.fuse[-1].weight)  # type: ignore[arg-type]
        return model

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)

    def encode(self, inputs: Inputs) -> Memory:
        """Mix views, question and task."""
        n = len(inputs.seen)
        kind = self.heard.weight.dtype
        tokens = inputs.tokens.to(kind)
        local = self.local(tokens[:, :, :-1])
        whole = self.whole(tokens[:, :, -1:, : self.config.vector_width])
        x = torch.cat([local, whole], 2) + self.place(_placed(inputs.places).to(kind))
        x = x + (self.date(inputs.dates) + self.region(inputs.asked.long()))[:, :, None]
        x = x.flatten(1, 2)
        question = self.heard(inputs.question.to(kind))
        task = self.task(inputs.task)[:, None]
        x = self.drop(torch.cat([x, question, task], 1))
        seen = torch.cat(
            [inputs.seen.repeat_interleave(TOKENS, 1), inputs.heard,
             inputs.heard.new_ones(n, 1)], 1,
        )  # fmt: skip
        for layer in self.encoder:
            x = layer(x, seen)
        return Memory(self.encoder_norm(x), seen, self._hint(inputs, tokens[:, :, -1]))

    def _hint(self, inputs: Inputs, wholes: Tensor) -> Tensor:
        """Fuse embeddings of picture and question, and what the last date has over the first.

        Picture and text lie in one space, so that their product says how well they go together
        (Lobry et al. 2020 fuse by products too).
        """
        heard = inputs.heard[..., None]
        mean = (inputs.question * heard).sum(1) / heard.sum(1).clamp(min=1)
        asked = F.normalize(self.meaning(mean.to(wholes.dtype)), dim=-1)
        vectors = wholes[..., : self.config.vector_width]
        first = vectors[:, 0]
        latest = (inputs.dates * inputs.seen).argmax(1)
        change = vectors[torch.arange(len(first), device=first.device), latest] - first
        fused: Tensor = self.fuse(torch.cat([first, asked, first * asked, change], -1))
        return fused

    def look_up(self, memory: Memory) -> list[Looked]:
        """What each layer of the decoder attends to: it stays the same for every word."""
        return [layer.across.look_up(memory.states) for layer in self.decoder]  # type: ignore[operator, union-attr]

    def decode(self, words: Tensor, looked: Sequence[Looked], memory: Memory) -> Tensor:
        """Logits of what comes after each word.

        Args:
            words: (n, length) long, the start first.
            looked: of `look_up`.
            memory: of `encode`.

        Returns:
            float32 (n, length, pieces).
        """
        places = torch.arange(words.shape[1], device=words.device)
        said = self.said(self.words(words)) + self.position(places)
        x = self.drop(said + memory.hint[:, None])
        for layer, across in zip(self.decoder, looked, strict=True):
            x = layer(x, None, across, memory.seen)
        out = self.spoken(self.decoder_norm(x))
        logits: Tensor = out @ self.words.weight.T + self.bias
        return logits.float()

    def forward(self, inputs: Inputs, words: Tensor, labels: Tensor | None = None, **_: Any) -> Any:
        """Logits (n, length, pieces), and the mean cross-entropy where labels are given.

        Args:
            inputs: views and questions.
            words: (n, length) long, the start first.
            labels: (n, length) long, what comes after each word; -100 is not counted.
        """
        memory = self.encode(inputs)
        logits = self.decode(words, self.look_up(memory), memory)
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=_IGNORED)
        return {"loss": loss, "logits": logits}


def _placed(places: Tensor) -> Tensor:
    """Fourier features of where each token of views lies: (n, views, 4) → (n, views, TOKENS, k)."""
    steps = (torch.arange(GRID, device=places.device, dtype=torch.float32) + 0.5) / GRID
    rows, columns = (part.flatten() for part in torch.meshgrid(steps, steps, indexing="ij"))
    half = rows.new_full((1,), 0.5)
    share = torch.stack([torch.cat([columns, half]), torch.cat([rows, half])], -1)
    low, high = places[..., None, :2].float(), places[..., None, 2:].float()
    centre = low + share * (high - low)
    size = (high - low).expand_as(centre).clone()
    size[..., :-1, :] /= GRID
    angles = (
        centre[..., None]
        * math.pi
        * 2 ** torch.arange(_FREQUENCIES, device=places.device, dtype=torch.float32)
    )
    waves = torch.cat([angles.sin(), angles.cos()], -1).flatten(-2)
    return torch.cat([waves, size.clamp(min=1e-3).log()], -1)
