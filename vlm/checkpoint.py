"""Checkpoints of the aligned towers: fp16 safetensors and a small JSON beside them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from safetensors.torch import load as load_safetensors
from safetensors.torch import save_file
from torch import Tensor

from terralogue.datasets.errors import InputError
from terralogue.vlm.tower import ImageTower, TowerConfig

WEIGHTS: Final = "align.safetensors"
CONFIG: Final = "config.json"
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
    tensors |= dict(text)
    half = {name: _half(value.detach().contiguous().cpu()) for name, value in tensors.items()}
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{WEIGHTS}.part"
    save_file(half, part)
    # The library lets nobody else read it.
    part.chmod(0o644)
    digest = hashlib.sha256(part.read_bytes()).hexdigest()
    settings = {
        "tower": tower.settings,
        "scales": [round(scale, 4) for scale in scales],
        "labels": list(labels),
        "sha256": digest,
    }
    config = folder / f"{CONFIG}.part"
    config.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    part.replace(folder / WEIGHTS)
    config.replace(folder / CONFIG)
    return digest


def _half(value: Tensor) -> Tensor:
    return value.half() if value.is_floating_point() else value


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint and check it against the SHA-256 in its configuration.

    Raises:
        InputError: a file is missing or broken, or the weights are not those of the configuration.
    """
    for name in (WEIGHTS, CONFIG):
        if not (folder / name).is_file():
            raise InputError(f"{name} is missing in {folder}; name a folder that training wrote")
    blob = (folder / WEIGHTS).read_bytes()
    try:
        settings = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        expected, config = settings["sha256"], TowerConfig(**settings["tower"])
        scales, labels = settings["scales"], settings["labels"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / CONFIG} cannot be read ({error}); train again") from error
    digest = hashlib.sha256(blob).hexdigest()
    if digest != expected:
        raise InputError(
            f"{folder / WEIGHTS} has SHA-256 {digest[:12]}…, {CONFIG} says {expected[:12]}…; "
            "the two files do not belong together"
        )
    tensors = {
        name: value.float() if value.is_floating_point() else value
        for name, value in load_safetensors(blob).items()
    }
    tower = ImageTower(config)
    tower.load_state_dict(
        {n.removeprefix(_IMAGE): v for n, v in tensors.items() if n.startswith(_IMAGE)}
    )
    text = {name: value for name, value in tensors.items() if not name.startswith(_IMAGE)}
    return Checkpoint(
        tower.eval(), text, (float(scales[0]), float(scales[1])), frozenset(labels), digest[:16]
    )
