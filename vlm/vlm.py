"""Vision-language models: questions about images of any sensor, answered in words, behind one call.

    from terralogue.vlm.vlm import Query, load_vlm
    vlm = load_vlm()
    vlm.answer(Query("Is there an airport?", (open_scene("berlin.tif"),))).text

`load_vlm` takes `embedded` (in the package, offline), `embedded:<folder>` (a model of `terralogue
train`), `gemma` and `gemma:<folder>` (Gemma 3 270M behind the embedded tower, an extra),
`hf:<repo or folder>[+lora:<folder>]` (a chat model of transformers), and
`openai:<base url>#<model>` (a server). ★ VLMS is the table.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.errors import InputError
from terralogue.datasets.samples import Box
from terralogue.datasets.scene import Scene
from terralogue.datasets.tiles import Tile

Picture = Scene | Tile | NDArray[np.uint8]
"""A scene, a tile, or a colour picture (3, H, W) of uint8."""

Task = Literal["qa", "caption", "grounding"]


@dataclass(frozen=True)
class Query:
    """What is asked about which pictures.

    Attributes:
        question: in the person's words; "" asks for a description where the task is "caption".
        pictures: one, or several of one place in order of time.
        region: part that is asked about, in pixels of the first picture; None for all of it.
        task: answer the question, describe the picture, or point at what the words refer to.
        options: texts of multiple choice; the answer is one of them, or several joined by "; "
            where `several`.
        several: whether more than one option may be right.
        dates: of the pictures, as text; () where unknown.
    """

    question: str
    pictures: tuple[Picture, ...]
    region: Box | None = None
    task: Task = "qa"
    options: tuple[str, ...] = ()
    several: bool = False
    dates: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Reading:
    """What a model read from the pictures.

    Attributes:
        text: the answer; also given where the model is not sure, so that it can be scored.
        confidence: calibrated probability that the text is right; None where the model has none.
        sure: False where nobody should be told the text as an answer.
        doubt: one clause that says why the model is not sure; "" where it is.
        alternatives: other answers that it weighed with their probabilities, likeliest first.
        distance: from the training data, 0 in its midst, 1 at the measured limit; None if unknown.
        boxes: where the things are, in pixels of the first picture; of grounding.
        mask: the same as bool (H, W) on the grid of the first picture; boxes are its parts.
        label: class of what was pointed at.
        notes: what a person must know: renderings that the model saw, what left the machine.
    """

    text: str
    confidence: float | None = None
    sure: bool = True
    doubt: str = ""
    alternatives: tuple[tuple[str, float], ...] = ()
    distance: float | None = None
    boxes: tuple[Box, ...] = ()
    mask: NDArray[np.bool_] | None = None
    label: str | None = None
    notes: tuple[str, ...] = ()


class VLM(ABC):
    """Reads answers from pictures.

    Attributes:
        name: what `load_vlm` was given.
        fingerprint: 16 hex digits of the weights, or of what is known of a server's model.
        tasks: what it can do.
        offline: whether pictures stay on this machine.
    """

    name: str
    fingerprint: str
    tasks: frozenset[Task] = frozenset({"qa", "caption", "grounding"})
    offline: bool = True

    @abstractmethod
    def answer_batch(self, queries: Sequence[Query]) -> list[Reading]:
        """Answer queries together, in their order.

        Raises:
            InputError: a query that the model cannot take.
            EOError: a picture that cannot be read, a server that does not answer.
        """

    def answer(self, query: Query) -> Reading:
        """Answer one query; see `answer_batch`."""
        return self.answer_batch([query])[0]


def _embedded(rest: str, device: str) -> VLM:
    from terralogue.vlm.embedded_vlm import load

    return load(rest, device)


def _hf(rest: str, device: str) -> VLM:
    from terralogue.vlm.hf_vlm import load

    return load(rest, device)


def _openai(rest: str, device: str) -> VLM:
    from terralogue.vlm.openai_vlm import load

    return load(rest)


def _gemma(rest: str, device: str) -> VLM:
    from terralogue.vlm.gemma_vlm import load

    return load(rest, device)


# ★ One line per provider.
VLMS: Final[dict[str, Callable[[str, str], VLM]]] = {
    "embedded": _embedded,
    "hf": _hf,
    "openai": _openai,
    "gemma": _gemma,
}


def load_vlm(spec: str = "embedded", *, device: str = "cpu") -> VLM:
    """Load a model by its specification; nothing is downloaded, `terralogue models get` does that.

    Args:
        spec: `<provider>` or `<provider>:<model>`.
        device: of torch; "auto" lets accelerate choose.

    Raises:
        InputError: an unknown provider, or a model that cannot be read.
    """
    provider, _, rest = spec.partition(":")
    if provider not in VLMS:
        raise InputError(
            f"unknown model {spec!r}; give one of: "
            "embedded, embedded:<folder>, gemma, gemma:<folder>, "
            "hf:<repo or folder>[+lora:<folder>], "
            "openai:<base url>#<model>."
        )
    return VLMS[provider](rest, device)


def tiny_vlm(seed: int = 0) -> VLM:
    """An untrained model of the embedded architecture, for tests of what is built on it."""
    from terralogue.vlm.embedded_vlm import untrained

    return untrained(seed)
