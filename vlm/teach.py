"""Teaching a class: a few pictures with it and without it become a head on the frozen embeddings.

    solar = teach("solar farm", ["farms/"], ["others/"], load_geoclip())
    solar.score(vectors)        # probabilities of archive vectors
    solar.direction             # query vector for an archive search

The head is a logistic regression with L2 regularisation. It fits one model's embeddings and no
other's, so the model's fingerprint is stored with it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError
from terralogue.datasets.examples import Example, find_examples, read_example
from terralogue.datasets.tiles import TILE
from terralogue.vlm.batches import embed
from terralogue.vlm.cross_validation import Validation, cross_validate
from terralogue.vlm.head import fit_head, fitted, platt

if TYPE_CHECKING:
    from terralogue.vlm.clip import GeoCLIP, Image, LabelScore

_TENSORS: Final = ".safetensors"
_FACTS: Final = ".json"


@dataclass(frozen=True)
class TaughtClass:
    """A class that a person taught.

    Attributes:
        name: as the person wrote it.
        weights: float32 (d,), on L2-normalised embeddings.
        bias: added to the product.
        platt: slope and offset that turn a decision value into a probability, fitted to the
            cross-validated decision values (Platt 1999); None where there was no cross-validation.
        model: name of the embedding model.
        fingerprint: of its weights.
        validation: cross-validated score.
        yes: examples with the class.
        no: examples without.
    """

    name: str
    weights: NDArray[np.float32]
    bias: float
    platt: tuple[float, float] | None
    model: str
    fingerprint: str
    validation: Validation
    yes: tuple[str, ...]
    no: tuple[str, ...]

    @property
    def direction(self) -> NDArray[np.float32]:
        """Unit vector (d,) whose cosine with an embedding ranks as `score` does."""
        return np.asarray(self.weights / np.linalg.norm(self.weights), np.float32)

    @property
    def calibrated(self) -> bool:
        """Whether `score` was fitted to examples that the head had not seen."""
        return self.platt is not None

    def score(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of the class for L2-normalised embeddings (n, d): (n,).

        It holds for data in which the class is as common as among the examples; in an archive,
        where it is rarer, take it as a rank. Not `calibrated`, it is the head's own, overconfident.
        """
        values = np.asarray(embeddings, np.float64) @ self.weights + self.bias
        slope, offset = self.platt or (1.0, 0.0)
        return np.asarray(1 / (1 + np.exp(-np.clip(slope * values + offset, -50, 50))), np.float32)

    def save(self, file: Path) -> Path:
        """Write FILE.json and FILE.safetensors, each whole or not at all.

        Args:
            file: with either suffix or none; its folder is made.

        Returns:
            The JSON file.

        Raises:
            InputError: it cannot be written.
        """
        blob = save({"weights": self.weights, "bias": np.array([self.bias], np.float64)})
        facts = {
            "name": self.name,
            "model": self.model,
            "fingerprint": self.fingerprint,
            "platt": self.platt,
            "validation": asdict(self.validation),
            "yes": self.yes,
            "no": self.no,
            "sha256": hashlib.sha256(blob).hexdigest(),
        }
        tensors, description = _pair(file)
        try:
            tensors.parent.mkdir(parents=True, exist_ok=True)
            _write(tensors, blob)
            _write(description, (json.dumps(facts, indent=2, ensure_ascii=False) + "\n").encode())
        except OSError as error:
            raise InputError(f"{description} cannot be written: {error.strerror}.") from error
        return description

    def check_model(self, clip: GeoCLIP) -> None:
        """Refuse another model than the one it was taught with.

        Raises:
            InputError: naming both.
        """
        if clip.fingerprint != self.fingerprint:
            raise InputError(
                f"{self.name!r} was taught with the model {self.model} ({self.fingerprint}), not "
                f"with {clip.name} ({clip.fingerprint}); use that model, or teach it again."
            )


def teach(
    name: str,
    yes: Sequence[str | Path],
    no: Sequence[str | Path],
    clip: GeoCLIP,
    *,
    size: int = TILE,
    sensor: str | None = None,
) -> TaughtClass:
    """Fit a class on examples.

    Args:
        name: what to call it.
        yes: examples that show it; see `find_examples`.
        no: examples that do not.
        clip: model whose embeddings are used.
        size: side in pixels of the window around a clicked point.
        sensor: key in SENSORS of all examples; None recognises it.

    Raises:
        InputError: the name cannot be used, a side has no examples, or one is on both sides.
        SceneError: an example cannot be read.
    """
    if not _stem(name):
        raise InputError(f"{name!r} cannot be the name of a class; use letters or digits.")
    sides = {"--yes": find_examples(yes), "--no": find_examples(no)}
    for option, examples in sides.items():
        if not examples:
            raise InputError(f"{name!r} has no examples with {option}; both kinds are needed.")
    both = set(_texts(sides["--yes"])) & set(_texts(sides["--no"]))
    if both:
        raise InputError(f"{min(both)} is given with --yes and with --no; decide for one.")
    examples = sides["--yes"] + sides["--no"]
    flags = np.arange(len(examples)) < len(sides["--yes"])
    vectors = embed(clip, examples, partial(read_example, size=size, sensor=sensor), title=name)
    validation, values = cross_validate(vectors, flags, [e.scene for e in examples], fitted)
    weights, bias = fit_head(vectors, flags)
    return TaughtClass(
        name=name,
        weights=weights.astype(np.float32),
        bias=bias,
        platt=None if validation.scheme == "none" else platt(values, flags),
        model=clip.name,
        fingerprint=clip.fingerprint,
        validation=validation,
        yes=_texts(sides["--yes"]),
        no=_texts(sides["--no"]),
    )


def _texts(examples: Sequence[Example]) -> tuple[str, ...]:
    return tuple(str(example.resolved()) for example in examples)


def load_taught(name: str, folder: Path) -> TaughtClass:
    """A class taught earlier.

    Args:
        name: as taught; case and spaces do not matter.
        folder: where taught classes are kept.

    Raises:
        InputError: no such class (the message lists those there are), or its files are broken.
    """
    file = taught_file(name, folder)
    if not file.is_file():
        known = ", ".join(taught_names(folder)) or "none"
        raise InputError(f"No class {name!r} was taught; taught classes: {known}.")
    return read_taught(file)


def taught_names(folder: Path) -> list[str]:
    """Names of the classes in a folder, sorted; broken files are left out."""
    names = []
    for file in folder.glob(f"*{_FACTS}"):
        try:
            names.append(read_taught(file).name)
        except InputError:
            continue
    return sorted(names, key=str.casefold)


def taught_among(labels: Sequence[str], folder: Path) -> dict[str, TaughtClass]:
    """The taught classes among labels, by label as written; for `classify_with_taught`.

    Raises:
        InputError: a class's files are broken.
    """
    files = {label: folder / f"{stem}{_FACTS}" for label in labels if (stem := _stem(label))}
    return {label: read_taught(file) for label, file in files.items() if file.is_file()}


def taught_file(name: str, folder: Path) -> Path:
    """Where a class of this name is kept.

    Raises:
        InputError: the name has no letter or digit.
    """
    stem = _stem(name)
    if not stem:
        raise InputError(f"{name!r} cannot be the name of a class; use letters or digits.")
    return folder / f"{stem}{_FACTS}"


def read_taught(file: Path) -> TaughtClass:
    """Read a class from its file.

    Args:
        file: the JSON file or the one beside it.

    Raises:
        InputError: a file is missing or broken, or the two do not belong together.
    """
    tensors, description = _pair(file)
    try:
        facts: dict[str, Any] = json.loads(description.read_text(encoding="utf-8"))
        blob = tensors.read_bytes()
        if hashlib.sha256(blob).hexdigest() != facts["sha256"]:
            raise ValueError(f"{tensors.name} is not the file that {description.name} describes")
        arrays = load(blob)
        validation = facts["validation"]
        validation["interval"] = _two(validation["interval"])
        return TaughtClass(
            name=facts["name"],
            weights=arrays["weights"],
            bias=float(arrays["bias"][0]),
            platt=_two(facts["platt"]),
            model=facts["model"],
            fingerprint=facts["fingerprint"],
            validation=Validation(**validation),
            yes=tuple(facts["yes"]),
            no=tuple(facts["no"]),
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise InputError(
            f"{description} cannot be read as a taught class ({error}); teach it again."
        ) from error


def classify_with_taught(
    clip: GeoCLIP,
    images: Image | Sequence[Image],
    labels: Sequence[str],
    taught: Mapping[str, TaughtClass],
    bands: Sequence[Band] | None = None,
) -> list[list[LabelScore]]:
    """Classify where some labels were taught.

    A taught label scores its head's probability. The other labels share what the taught ones leave
    over, in the proportions that the model gives them by name; where the taught ones alone come to
    more than 1, they are scaled to 1.

    Args:
        clip: the model.
        images: see `GeoCLIP.encode_image`.
        labels: candidates.
        taught: taught classes by label, for those labels that were taught.
        bands: see `GeoCLIP.encode_image`.

    Returns:
        For each image, all labels, best first.

    Raises:
        InputError: a class was taught with another model.
    """
    from terralogue.vlm.clip import LabelScore

    own = [label for label in labels if label in taught]
    for label in own:
        taught[label].check_model(clip)
    named = [label for label in labels if label not in taught]
    if not own:
        return clip.classify(images, labels, bands)
    vectors = clip.encode_image(images, bands)
    heads = np.stack([taught[label].score(vectors) for label in own], axis=1)
    heads /= np.maximum(heads.sum(axis=1, keepdims=True), 1)
    rest = 1 - heads.sum(axis=1)
    if len(named) == 1:
        by_name = [[LabelScore(named[0], 1.0)] for _ in vectors]
    else:
        by_name = clip.classify(images, named, bands) if named else [[] for _ in vectors]
    return [
        sorted(
            [
                *(LabelScore(label, float(p)) for label, p in zip(own, of_image, strict=True)),
                *(LabelScore(each.label, float(left * each.score)) for each in others),
            ],
            key=lambda each: -each.score,
        )
        for of_image, left, others in zip(heads, rest, by_name, strict=True)
    ]


def _pair(file: Path) -> tuple[Path, Path]:
    """The tensors and the JSON that belong to one name."""
    stem = file.with_suffix("") if file.suffix in (_TENSORS, _FACTS) else file
    return stem.with_name(stem.name + _TENSORS), stem.with_name(stem.name + _FACTS)


def _write(file: Path, content: bytes) -> None:
    part = file.with_name(f"{file.name}.part")
    part.write_bytes(content)
    part.replace(file)


def _two(pair: Sequence[float] | None) -> tuple[float, float] | None:
    return None if pair is None else (float(pair[0]), float(pair[1]))


def _stem(name: str) -> str:
    """Name of a class as a file name; empty where it has no letter or digit."""
    return re.sub(r"[\W_]+", "_", name.casefold()).strip("_")
