"""Weights and what they are for, in two files that belong together by a SHA-256.

Half-precision safetensors beside a config.json with `sha256`: every checkpoint of ours is kept so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from safetensors.torch import load, save
from torch import Tensor

from terralogue.datasets.errors import InputError

CONFIG: Final = "config.json"
T = TypeVar("T")


def write_weights(
    folder: Path, weights: str, tensors: Mapping[str, Tensor], settings: Mapping[str, Any]
) -> str:
    """Write tensors in half precision and settings; each of the two files appears whole or not.

    Args:
        folder: made where it does not exist.
        weights: name of the weights file.
        tensors: by name; integers stay as they are.
        settings: JSON values; the SHA-256 is added.

    Returns:
        SHA-256 of the weights file.
    """
    half = {name: _half(value).detach().contiguous().cpu() for name, value in tensors.items()}
    blob = save(half)
    digest = hashlib.sha256(blob).hexdigest()
    text = json.dumps({**settings, "sha256": digest}, indent=1) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    parts = {weights: blob, CONFIG: text.encode()}
    for name, content in parts.items():
        (folder / f"{name}.part").write_bytes(content)
    for name in parts:
        (folder / f"{name}.part").replace(folder / name)
    return digest


def read_weights(
    folder: Path, weights: str, understood: Callable[[dict[str, Any]], T]
) -> tuple[T, dict[str, Tensor], str]:
    """Read what `write_weights` wrote, and check that the two files belong together.

    Args:
        folder: that holds both.
        weights: name of the weights file.
        understood: makes of the settings what is wanted of them; a ValueError, KeyError or
            TypeError of it is told as a broken configuration.

    Returns:
        What was understood, the tensors in single precision, and the SHA-256 of the weights.

    Raises:
        InputError: a file is missing or broken, or the weights are not those of the configuration.
    """
    for name in (weights, CONFIG):
        if not (folder / name).is_file():
            raise InputError(f"{name} is missing in {folder}; name a folder that training wrote")
    blob = (folder / weights).read_bytes()
    try:
        settings = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        expected, made = settings["sha256"], understood(settings)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / CONFIG} cannot be read ({error}); train again") from error
    digest = hashlib.sha256(blob).hexdigest()
    if digest != expected:
        raise InputError(
            f"{folder / weights} has SHA-256 {digest[:12]}…, {CONFIG} says {expected[:12]}…; "
            "the two files do not belong together"
        )
    return made, {name: _single(value) for name, value in load(blob).items()}, digest


def _half(value: Tensor) -> Tensor:
    return value.half() if value.is_floating_point() else value


def _single(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value
