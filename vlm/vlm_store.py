"""The store that training draws from: tokens of all views, computed once by the frozen tower.

What an example looks at is a sight: its pictures and perhaps a region. Each sight is there in
several variants: as it is, turned, and corrupted (`datasets/corruptions.py`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from terralogue.datasets.corruptions import CORRUPTIONS, Corruption, corrupt
from terralogue.datasets.pictures import RGB_BANDS
from terralogue.datasets.tiles import Tile
from terralogue.vlm.text import TextEncoder, tidy
from terralogue.vlm.tower import ImageTower
from terralogue.vlm.vlm_config import TASKS
from terralogue.vlm.vlm_model import Inputs
from terralogue.vlm.vlm_pack import Example, Pack
from terralogue.vlm.vlm_tokens import TOKENS, token_width, tokens_of
from terralogue.vlm.vlm_views import Share, View, views_of

Variant = Literal["clean", "turned", "corrupted"]
Sight = tuple[int, tuple[int, ...], Share | None]
"""Pack, pictures in it, region."""

STILL: Final = tuple(name for name, kind in CORRUPTIONS.items() if kind.motion is None)
"""Corruptions that move nothing, so that answers about places still hold."""
_DIRECTIONS: Final = re.compile(
    r"\b(left|right|top|bottom|up|upper|lower|north|south|east|west|above|below)\b"
)
_AT_ONCE: Final = 256
_THREADS: Final = 16


def directed(example: Example) -> bool:
    """Whether an example speaks of directions, which turning would make wrong."""
    return example.region is not None or bool(
        _DIRECTIONS.search(f"{example.question} {example.answer}".casefold())
    )


@dataclass
class Store:
    """Tokens and question states on one device.

    Attributes:
        tokens: float16 (views, TOKENS, width).
        places: float32 (views, 4).
        dates: long (views,).
        asked: bool (views,).
        starts: first view of each sight, by variant.
        counts: number of views of each sight, by variant.
        sights: number of each sight.
        states: float16 (tokens, 384) of all questions, one after the other.
        spans: first state and number of states of each question.
    """

    tokens: Tensor
    places: Tensor
    dates: Tensor
    asked: Tensor
    starts: dict[Variant, NDArray[np.int64]]
    counts: dict[Variant, NDArray[np.int64]]
    sights: dict[Sight, int]
    states: Tensor = field(default_factory=lambda: torch.zeros(0, 384, dtype=torch.float16))
    spans: dict[str, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        tower: ImageTower,
        packs: Sequence[Pack],
        variants: Sequence[Variant] = ("clean",),
        *,
        seed: int = 0,
        device: str = "cpu",
        whole: Collection[str] = (),
    ) -> Store:
        """Show the tower all that the examples of some packs look at.

        Args:
            tower: in evaluation mode, on any device.
            packs: with examples.
            variants: that training wants.
            seed: of corruptions and turns.
            device: that the store is kept on.
            whole: packs whose pictures are shown as a whole alone, by name.
        """
        sights: dict[Sight, int] = {}
        for number, pack in enumerate(packs):
            for example in pack.examples:
                sights.setdefault((number, example.pictures, example.region), len(sights))
        jobs = [(sight, variant) for variant in variants for sight in sights]
        tokens = torch.zeros(0, TOKENS, token_width(tower), dtype=torch.float16)
        parts, views, counts = [tokens.to(device)], [], []
        with ThreadPoolExecutor(_THREADS) as pool:
            bar = tqdm(total=len(jobs), desc="image tokens", unit="sight", disable=None)
            for chunk in _chunks(jobs, _AT_ONCE):
                made = list(pool.map(lambda job: _views(packs, job[0], job[1], seed, whole), chunk))
                flat = [view for each in made for view in each]
                parts.append(tokens_of(tower, flat).to(device))
                views += [(view.place, view.date, view.asked) for view in flat]
                counts += [len(each) for each in made]
                bar.update(len(chunk))
            bar.close()
        sizes = np.array(counts, np.int64).reshape(len(variants), len(sights))
        firsts = (np.cumsum(sizes) - sizes.ravel()).reshape(sizes.shape)
        return cls(
            torch.cat(parts),
            torch.tensor([place for place, _, _ in views], device=device),
            torch.tensor([date for _, date, _ in views], device=device),
            torch.tensor([asked for _, _, asked in views], device=device),
            dict(zip(variants, firsts, strict=True)),
            dict(zip(variants, sizes, strict=True)),
            sights,
        )

    def hear(self, text: TextEncoder, questions: Sequence[str]) -> None:
        """Encode questions that batches will ask; those known already are left out."""
        new = [q for q in dict.fromkeys(questions) if q not in self.spans]
        if not new:
            return
        start = len(self.states)
        parts = [self.states]
        for question, state in zip(new, question_states(text, new), strict=True):
            self.spans[question] = (start, len(state))
            start += len(state)
            parts.append(torch.from_numpy(state.astype(np.float16)).to(self.states.device))
        self.states = torch.cat(parts).to(self.tokens.device)

    def inputs(
        self, sights: Sequence[int], variants: Sequence[Variant], questions: Sequence[str],
        tasks: Sequence[str], *, whole: bool = False,
    ) -> Inputs:  # fmt: skip
        """A batch: one sight, variant, question and task for each row.

        Args:
            sights: numbers.
            variants: of each.
            questions: that were heard.
            tasks: keys of TASKS.
            whole: take the first view of each alone, which shows the whole picture.
        """
        device = self.tokens.device
        starts = [int(self.starts[v][s]) for s, v in zip(sights, variants, strict=True)]
        counts = [int(self.counts[v][s]) for s, v in zip(sights, variants, strict=True)]
        rows, seen = _padded(starts, [1] * len(counts) if whole else counts, device)
        spans = [self.spans[question] for question in questions]
        words, heard = _padded([s for s, _ in spans], [c for _, c in spans], device)
        return Inputs(
            self.tokens[rows], self.places[rows], self.dates[rows], self.asked[rows], seen,
            self.states[words], heard,
            torch.tensor([TASKS.index(task) for task in tasks], device=device),
        )  # fmt: skip


def question_states(text: TextEncoder, questions: Sequence[str]) -> list[NDArray[np.float32]]:
    """States of the tokens of questions by the aligned text tower: (tokens, 384) each."""
    return text.encoder.states([tidy(question) for question in questions])


def _padded(
    starts: Sequence[int], counts: Sequence[int], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Rows (n, most) and bool (n, most); padding repeats the first row of all."""
    start = torch.tensor(starts, device=device)[:, None]
    steps = torch.arange(max(counts), device=device)[None]
    seen = steps < torch.tensor(counts, device=device)[:, None]
    return torch.where(seen, start + steps, 0), seen


def _views(
    packs: Sequence[Pack], sight: Sight, variant: Variant, seed: int, whole: Collection[str]
) -> list[View]:
    number, rows, region = sight
    pictures: list[Any] = [packs[number].pictures[row] for row in rows]
    rng = np.random.default_rng([seed, number, *rows])
    if variant == "turned":
        turn, flip = int(rng.integers(0, 4)), bool(rng.integers(0, 2))
        pictures = [_turned(picture, turn, flip) for picture in pictures]
    elif variant == "corrupted":
        kind = Corruption(str(rng.choice(STILL)), int(rng.integers(1, 6)))
        if kind.name == "band_dropout" and len(packs[number].bands) < 2:
            kind = Corruption("gaussian_noise", kind.severity)
        pictures = [_corrupted(p, kind, int(rng.integers(2**31))) for p in pictures]
    return views_of(pictures, region, parts=packs[number].name not in whole)


def _corrupted(picture: Any, kind: Corruption, seed: int) -> Any:
    if isinstance(picture, Tile):
        return corrupt(picture, kind, seed=seed)
    return corrupt(picture, kind, bands=RGB_BANDS, seed=seed)


def _turned(picture: Any, turn: int, flip: bool) -> Any:
    data = picture.data if isinstance(picture, Tile) else picture
    data = np.rot90(data[..., ::-1] if flip else data, turn, (1, 2))
    data = np.ascontiguousarray(data)
    return Tile(data, picture.bands, picture.observed) if isinstance(picture, Tile) else data


def _chunks(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    stream = iter(items)
    while chunk := list(islice(stream, size)):
        yield chunk
