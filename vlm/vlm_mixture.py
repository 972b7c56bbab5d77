"""What each step of training sees: examples drawn by source and kind, in a variant each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from terralogue.datasets.text_perturbation import (
    PERTURBATIONS,
    Perturbation,
    perturb,
)
from terralogue.vlm.vlm import Task
from terralogue.vlm.vlm_pack import Example, Pack
from terralogue.vlm.vlm_store import Variant, directed

_TYPED: Final = 2
"""Perturbed wordings of each question."""
_TURNED: Final = 0.4


@dataclass(frozen=True)
class Drawn:
    """One row of a batch."""

    pack: int
    example: Example
    variant: Variant
    question: str


class Mixture:
    """Draws examples of some tasks.

    Args:
        packs: what there is.
        weights: how often each pack is drawn from, by name.
        tasks: whose examples are wanted.
        seed: of chance.
    """

    def __init__(
        self, packs: Sequence[Pack], weights: Mapping[str, float], tasks: Sequence[Task], seed: int
    ) -> None:
        self.packs, self.rng = packs, np.random.default_rng([seed, 77])
        groups: dict[tuple[int, str], list[Example]] = defaultdict(list)
        for number, pack in enumerate(packs):
            for example in pack.examples:
                if example.task in tasks and weights.get(pack.name, 0) > 0:
                    groups[number, example.kind].append(example)
        self.groups = list(groups.items())
        # Within a source, kinds are drawn by the root of their number, so that rare ones count.
        roots = np.array([len(examples) ** 0.5 for _, examples in self.groups])
        totals: dict[int, float] = defaultdict(float)
        for ((number, _), _), root in zip(self.groups, roots, strict=True):
            totals[number] += root
        chances = np.array(
            [
                weights[packs[number].name] * root / totals[number]
                for ((number, _), _), root in zip(self.groups, roots, strict=True)
            ]
        )
        self.chances = chances / chances.sum()
        self._typed: dict[str, list[str]] = {}

    @property
    def examples(self) -> list[Example]:
        """All that may be drawn."""
        return [example for _, examples in self.groups for example in examples]

    @property
    def questions(self) -> list[str]:
        """All wordings that may be drawn, perturbed ones included."""
        asked = dict.fromkeys(example.question for example in self.examples)
        return [text for question in asked for text in (question, *self._perturbed(question))]

    def draw(self, count: int) -> list[Drawn]:
        """Draw rows, clean or turned."""
        chosen = self.rng.choice(len(self.groups), count, p=self.chances)
        rows = []
        for place in chosen:
            (number, _), examples = self.groups[place]
            example = examples[int(self.rng.integers(len(examples)))]
            rows.append(Drawn(number, example, self._variant(example), example.question))
        return rows

    def spoiled(self, row: Drawn) -> Drawn:
        """The same example corrupted, its question as somebody would type it in a hurry."""
        typed = [row.example.question, *self._perturbed(row.example.question)]
        question = typed[int(self.rng.integers(len(typed)))]
        return Drawn(row.pack, row.example, "corrupted", question)

    def _variant(self, example: Example) -> Variant:
        turned = self.rng.random() < _TURNED and not directed(example)
        return "turned" if turned else "clean"

    def _perturbed(self, question: str) -> list[str]:
        if not question:
            return []
        if question not in self._typed:
            kinds = list(PERTURBATIONS)
            made = [
                perturb(question, Perturbation(kinds[i % len(kinds)], 0.6), seed=i)
                for i in range(len(question) % len(kinds), len(question) % len(kinds) + _TYPED)
            ]
            self._typed[question] = [text for text in dict.fromkeys(made) if text != question]
        return self._typed[question]
