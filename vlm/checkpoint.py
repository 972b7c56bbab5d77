"""Checkpoints of the aligned towers: fp16 safetensors and a small JSON beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from torch import Tensor

from terralogue.vlm.tower import ImageTower, TowerConfig
from terralogue.vlm.weight_files import read_weights, write_weights

WEIGHTS: Final = "align.safetensors"
_IMAGE = "image."


@dataclass(frozen=True)
class Checkpoint:
    """What a folder with a checkpoint holds.

    Attributes:
        tower: the image tower, in evaluation mode, float32.
        text: tensors of the text tower, for `TextEncoder.from_tensors`.
        scales: inverse temperatures of captions and of labels.
        labels: label names that were trained with.
        fingerprint: first 16 hex digits of the SHA-256 of the weights file.
    """

    tower: ImageTower
    text: dict[str, Tensor]
    scales: tuple[float, float]
    labels: frozenset[str]
    fingerprint: str


def write_checkpoint(
    folder: Path, tower: ImageTower, text: Mapping[str, Tensor], *,
    scales: tuple[float, float], labels: Sequence[str],
) -> str:  # fmt: skip
    """Write both towers in half precision; each of the two files appears whole or not at all.

    Returns:
        SHA-256 of the weights file.
    """
    tensors = {f"{_IMAGE}{name}": value for name, value in tower.state_dict().items()}
    settings = {
        "tower": tower.settings,
        "scales": [round(scale, 4) for scale in scales],
        "labels": list(labels),
    }
    return write_weights(folder, WEIGHTS, {**tensors, **text}, settings)


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint and check it against the SHA-256 in its configuration.

    Raises:
        InputError: a file is missing or broken, or the weights are not those of the configuration.
    """
    (config, scales, labels), tensors, digest = read_weights(
        folder, WEIGHTS, lambda known: (TowerConfig(**known["tower"]), known["scales"],
                                        known["labels"]),
    )  # fmt: skip
    tower = ImageTower(config)
    tower.load_state_dict(
        {n.removeprefix(_IMAGE): v for n, v in tensors.items() if n.startswith(_IMAGE)}
    )
    text = {name: value for name, value in tensors.items() if not name.startswith(_IMAGE)}
    return Checkpoint(
        tower.eval(), text, (float(scales[0]), float(scales[1])), frozenset(labels), digest[:16]
    )
