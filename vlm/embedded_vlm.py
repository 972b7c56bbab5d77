"""The vision-language model that comes inside the package: `load_vlm("embedded")`."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from terralogue.datasets.errors import InputError
from terralogue.datasets.samples import Box
from terralogue.datasets.scene import Scene
from terralogue.datasets.tiles import Tile
from terralogue.vlm import embedded_clip
from terralogue.vlm.answer_kinds import (
    asks_growth,
    fitting,
    is_named,
    tells_change,
    thing_asked,
    unknown_thing,
)
from terralogue.vlm.embedded_clip import EmbeddedCLIP
from terralogue.vlm.minilm import encode
from terralogue.vlm.vlm import VLM, Picture, Query, Reading, Task
from terralogue.vlm.vlm_calibration import Calibration
from terralogue.vlm.vlm_checkpoint import FOLDER, fingerprint, read_model
from terralogue.vlm.vlm_config import TASKS, ReaderConfig
from terralogue.vlm.vlm_decode import Said, likelihoods, search
from terralogue.vlm.vlm_model import Inputs, Memory, ReaderModel
from terralogue.vlm.vlm_store import question_states
from terralogue.vlm.vlm_support import FEATURELESS, Support, structured
from terralogue.vlm.vlm_tokens import TOKENS, token_width, tokens_of
from terralogue.vlm.vlm_views import WHOLE, Share, View, views_of
from terralogue.vlm.vlm_words import Words

_BATCH: Final = 32
_THREADS: Final = 4
_BEAMS: Final = 4
_ANSWER: Final = 16
# Of captions; without a penalty the shortest would win.
_PENALTY: Final = 0.8
FAR_PICTURE: Final = "the picture is unlike those that the model was trained on"
FAR_QUESTION: Final = "the question is unlike those that the model was trained to answer"
NOTHING: Final = "nothing of the kind was found in the picture"
FAINT: Final = "what was found stands out too little"
UNCERTAIN: Final = "several answers are about equally likely"
UNFIT: Final = "the model's answer is not of the kind that the question asks for"
NO_CHANGE_TOLD: Final = "the model described the place, not what changed"
CHANGE_BY_EYE: Final = "what this model says of change is often wrong"
CONTRADICTED: Final = "the model says no, and yet calls the place: "
GROWTH: Final = "how a size changed is measured, not judged by eye"
UNKNOWN: Final = "the model was never taught what this looks like: "
# In the words of the questions of the training.
_PLACE: Final = "What is the theme of this picture?"
# Distance of what the training could not prepare the model for.
_BEYOND: Final = 2.0


@dataclass(frozen=True)
class Seen:
    """What the tower made of the pictures of a query.

    Attributes:
        tokens: float16 (views, TOKENS, width).
        views: without their pixels.
        structured: whether every picture shows more than one tone and more than noise.
    """

    tokens: Tensor
    views: tuple[View, ...]
    structured: bool

    @property
    def features(self) -> NDArray[np.float32]:
        """Mean and spread of the tokens of each whole picture: (pictures, 2 width)."""
        whole = [i for i, v in enumerate(self.views) if v.place == WHOLE]
        return features_of(self.tokens[whole])


def features_of(tokens: Tensor) -> NDArray[np.float32]:
    """Mean and spread of the local tokens of views (n, TOKENS, width): (n, 2 width)."""
    local = tokens[:, : TOKENS - 1].float()
    return np.asarray(torch.cat([local.mean(1), local.std(1)], 1).cpu().numpy(), np.float32)


class EmbeddedVLM(VLM):
    """Our image tower and the small decoder with its adapters.

    Args:
        clip: the aligned towers.
        reader: the decoder, in evaluation mode, with the layers of its adapters.
        adapted: switches adapters, by `set_adapter`; None where there are none.
        calibration: of confidences.
        support: of the training data; None where it was not measured.
        name: for people.
        mark: fingerprint of the weights.
    """

    def __init__(
        self, clip: EmbeddedCLIP, reader: ReaderModel, adapted: Any, calibration: Calibration,
        support: Support | None, name: str, mark: str,
    ) -> None:  # fmt: skip
        self.clip, self.reader, self._adapted = clip, reader, adapted
        self.calibration, self.support = calibration, support
        self.name, self.fingerprint = name, mark
        self.words = Words(reader.config.vocabulary)

    def answer_batch(self, queries: Sequence[Query]) -> list[Reading]:
        """Answer queries; see `VLM`. Pictures that several queries share are looked at once."""
        found: dict[int, Reading] = {}
        for task in ("qa", "caption", "grounding"):
            rows = [i for i, query in enumerate(queries) if query.task == task]
            for start in range(0, len(rows), _BATCH):
                chosen = rows[start : start + _BATCH]
                found |= zip(
                    chosen, self._answered([queries[i] for i in chosen], task), strict=True
                )
        return [found[i] for i in range(len(queries))]

    def _answered(self, queries: Sequence[Query], task: Task) -> list[Reading]:
        if task == "grounding":
            return [self._pointed(query) for query in queries]
        seen = self.look(queries)
        memory = self._memory(queries, seen, task)
        far = [self._distance(query, each) for query, each in zip(queries, seen, strict=True)]
        if task == "caption":
            said = search(
                self.reader, memory, beams=_BEAMS, longest=self.reader.config.longest - 1,
                penalty=_PENALTY,
            )  # fmt: skip
            return [
                _told(_described(query, self.words.decode(each[0].words)), distances)
                for query, each, distances in zip(queries, said, far, strict=True)
            ]
        ranked = self._ranked(queries, memory)
        judged = [self._judged(*pair) for pair in zip(queries, ranked, strict=True)]
        checked = self._checked(queries, seen, judged)
        return [_told(*pair) for pair in zip(checked, far, strict=True)]

    def _checked(
        self, queries: Sequence[Query], seen: Sequence[Seen], readings: list[Reading]
    ) -> list[Reading]:
        """Those that say no to a thing are not sure where the place is called by its name."""
        denied = [
            i for i, (query, reading) in enumerate(zip(queries, readings, strict=True))
            if reading.sure and reading.text == "no" and not query.options
            and len(query.pictures) == 1 and thing_asked(query.question)
        ]  # fmt: skip
        if not denied:
            return readings
        asked = [replace(queries[i], question=_PLACE) for i in denied]
        memory = self._memory(asked, [seen[i] for i in denied], "qa")
        for i, answers in zip(denied, self._ranked(asked, memory), strict=True):
            place, likely = answers[0]
            confident = self.calibration.confidence(likely) >= self.calibration.threshold
            if confident and is_named(thing_asked(queries[i].question), place):
                doubt = f"{CONTRADICTED}{place}"
                readings[i] = replace(readings[i], sure=False, doubt=doubt, distance=_BEYOND)
        return readings

    def memory(self, queries: Sequence[Query], task: Task) -> Memory:
        """What the decoder attends to for each query."""
        return self._memory(queries, self.look(queries), task)

    def _memory(self, queries: Sequence[Query], seen: Sequence[Seen], task: Task) -> Memory:
        if self._adapted is not None:
            self._adapted.set_adapter(task)
        with torch.inference_mode():
            return self.reader.encode(self._inputs(queries, seen, task))

    def look(self, queries: Sequence[Query]) -> list[Seen]:
        """Views and tokens of the pictures of queries."""
        keys = [(tuple(map(id, q.pictures)), q.region) for q in queries]
        unique = dict(zip(keys, queries, strict=True))
        with ThreadPoolExecutor(_THREADS) as pool:
            made = list(pool.map(lambda q: views_of(q.pictures, _share(q)), unique.values()))
        tokens = tokens_of(self.clip.tower, [view for views in made for view in views])
        parts = torch.split(tokens, [len(views) for views in made])
        looked = {
            key: Seen(
                part,
                tuple(replace(v, data=v.data[:, :0, :0]) for v in views),
                all(structured(v.data) for v in views if v.place == WHOLE),
            )
            for key, part, views in zip(unique, parts, made, strict=True)
        }
        return [looked[key] for key in keys]

    def _inputs(self, queries: Sequence[Query], seen: Sequence[Seen], task: Task) -> Inputs:
        def padded(parts: list[Tensor]) -> Tensor:
            return pad_sequence(parts, batch_first=True)

        states = question_states(self.clip.text, [query.question for query in queries])
        device = self.reader.device
        return Inputs(
            padded([each.tokens for each in seen]),
            padded([torch.tensor([v.place for v in each.views]) for each in seen]),
            padded([torch.tensor([v.date for v in each.views]) for each in seen]),
            padded([torch.tensor([v.asked for v in each.views]) for each in seen]),
            padded([torch.ones(len(each.views), dtype=torch.bool) for each in seen]),
            padded([torch.from_numpy(state) for state in states]),
            padded([torch.ones(len(state), dtype=torch.bool) for state in states]),
            torch.full((len(queries),), TASKS.index(task)),
        ).to(device)

    def _ranked(self, queries: Sequence[Query], memory: Memory) -> list[list[tuple[str, float]]]:
        """Answers with their likelihoods, best first; those of multiple choice sum to one."""
        temperature = self.calibration.temperature
        found: dict[int, list[tuple[str, float]]] = {}
        free = [i for i, query in enumerate(queries) if not query.options]
        if free:
            said = search(
                self.reader, memory[free], beams=_BEAMS, longest=_ANSWER,
                temperature=temperature,
            )  # fmt: skip
            found |= zip(free, map(self._texts, said), strict=True)
        for i, query in enumerate(queries):
            if query.options:
                count = len(query.options)
                codes = [self.words.encode(option.casefold()) for option in query.options]
                logs = likelihoods(
                    self.reader, memory[[i] * count], codes,
                    temperature=temperature,
                )  # fmt: skip
                shares = np.exp([each.log for each in logs] - np.max([each.log for each in logs]))
                pairs = zip(query.options, (shares / shares.sum()).tolist(), strict=True)
                found[i] = sorted(pairs, key=lambda pair: -pair[1])
        return [found[i] for i in range(len(queries))]

    def _texts(self, said: Sequence[Said]) -> list[tuple[str, float]]:
        likely: dict[str, float] = {}
        for each in said:
            text = self.words.decode(each.words)
            likely[text] = likely.get(text, 0.0) + float(np.exp(each.log))
        return sorted(likely.items(), key=lambda pair: -pair[1])

    def _judged(self, query: Query, answers: Sequence[tuple[str, float]]) -> Reading:
        scaled = [(text, self.calibration.confidence(share)) for text, share in answers]
        fits = scaled if query.options else fitting(query.question, scaled)
        text, confidence = (fits or scaled)[0]
        if doubt := self._beyond(query, bool(fits)):
            return Reading(text, confidence, sure=False, doubt=doubt, distance=_BEYOND)
        reading = Reading(text, confidence, alternatives=tuple(fits[1:]))
        if confidence < self.calibration.threshold:
            return replace(reading, sure=False, doubt=UNCERTAIN)
        return reading

    def _beyond(self, query: Query, fits: bool) -> str:
        """Why no answer to a question can be relied on, however likely it is; "" where one can."""
        if not fits:
            return UNFIT
        if len(query.pictures) > 1 and asks_growth(query.question):
            return GROWTH
        thing = unknown_thing(query.question, self.words.pieces)
        return f"{UNKNOWN}{thing}" if thing else ""

    def _distance(self, query: Query, seen: Seen) -> tuple[float, float] | None:
        """Of the pictures, and of the question; None where it was not measured."""
        if self.support is None:
            return None
        picture = float(self.support.picture(seen.features).max())
        if not seen.structured:
            picture = max(picture, FEATURELESS)
        if not query.question:
            return picture, 0.0
        return picture, float(self.support.question(encode([query.question]))[0])

    def _pointed(self, query: Query) -> Reading:
        from terralogue.vlm.referring import refer

        if len(query.pictures) != 1:
            raise InputError("things can be pointed at in one picture at a time; give one")
        found = refer(query.pictures[0], query.question, query.region)
        seen = self.look([query])[0]
        if found.count == 0:
            reading = Reading("none", sure=False, doubt=NOTHING)
        else:
            sure = found.score >= self.calibration.threshold
            reading = Reading(
                f"{found.count}", found.score, sure=sure, doubt="" if sure else FAINT,
                boxes=found.boxes, mask=found.mask, label=found.label,
            )  # fmt: skip
        far = self._distance(replace(query, question=""), seen)
        return _told(reading, far)


def _described(query: Query, text: str) -> Reading:
    """A description; of several dates never one to rely on.

    The model learned what changed from simulated pairs alone, and calls a flood new buildings.
    """
    if len(query.pictures) == 1:
        return Reading(text)
    if tells_change(text):
        return Reading(text, sure=False, doubt=CHANGE_BY_EYE)
    return Reading(text, sure=False, doubt=NO_CHANGE_TOLD, distance=_BEYOND)


def _told(reading: Reading, far: tuple[float, float] | None) -> Reading:
    """The reading with its distance, and not sure beyond the limit."""
    if far is None:
        return reading
    reading = replace(reading, distance=max(*far, reading.distance or 0.0))
    if far[0] > 1:
        return replace(reading, sure=False, doubt=FAR_PICTURE)
    if far[1] > 1:
        return replace(reading, sure=False, doubt=FAR_QUESTION)
    return reading


def _share(query: Query) -> Share | None:
    """The region as shares of the first picture."""
    if query.region is None or not query.pictures:
        return None
    width, height = size_of(query.pictures[0])
    box: Box = query.region
    return box.left / width, box.top / height, box.right / width, box.bottom / height


def size_of(picture: Picture) -> tuple[int, int]:
    """Width and height of a picture in pixels."""
    if isinstance(picture, Scene):
        return picture.width, picture.height
    data = picture.data if isinstance(picture, Tile) else picture
    return int(data.shape[2]), int(data.shape[1])


def load(folder: str, device: str) -> EmbeddedVLM:
    """Load the package's model, or the one in a folder with base, adapters and calibration.

    Raises:
        InputError: there is no model, or it is broken.
    """
    path = Path(folder) if folder else FOLDER
    clip = embedded_clip.load("", device)
    reader, adapted = read_model(path, clip.fingerprint)
    return EmbeddedVLM(
        clip, nn.Module.to(reader, device), adapted, Calibration.read(path), Support.read(path),
        f"embedded:{folder}" if folder else "embedded", fingerprint(path),
    )  # fmt: skip


def untrained(seed: int) -> EmbeddedVLM:
    """Random weights in the embedded architecture."""
    clip = embedded_clip.untrained(seed)
    words = Words.of(["yes", "no", "a river beside a forest", "10 m2", "30 %", "upper left"])
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        reader = ReaderModel.begin(
            ReaderConfig(
                list(words.pieces), width=32, encoder_layers=1, decoder_layers=1, heads=2, feed=64,
                image_width=token_width(clip.tower), tower=clip.fingerprint,
            )
        )  # fmt: skip
    nn.Module.eval(reader)
    return EmbeddedVLM(clip, reader, None, Calibration(), None, "tiny", f"{seed:016x}")
