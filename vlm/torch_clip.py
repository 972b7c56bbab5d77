"""What the models of other people share: batches, tokeniser, fingerprint, reading files."""

from __future__ import annotations

import hashlib
import json
import pickle
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError
from terralogue.vlm.clip import GeoCLIP
from terralogue.vlm.hub import TOKENIZER

_IMAGES = 32
_TEXTS = 256

Floats = NDArray[np.float32]
Tokenizer = Callable[[list[str]], Tensor]

UNREADABLE: Final = (RuntimeError, ValueError, KeyError, OSError, EOFError, pickle.UnpicklingError)
"""What reading a file that is no checkpoint raises."""


class TorchCLIP(GeoCLIP):
    """Two towers of torch.

    Args:
        towers: a module with `encode_text` (tokens → embeddings) and `logit_scale`.
        tokenizer: texts → int64 (n, length).
        name: what `load_geoclip` was given.
        settings: what else the vectors depend on, beside the weights; JSON-compatible.
        dimensions: of the space.
        device: of torch.
    """

    def __init__(
        self, towers: Any, tokenizer: Tokenizer, *, name: str, settings: Mapping[str, Any],
        dimensions: int, device: str,
    ) -> None:  # fmt: skip
        self.name = name
        self.fingerprint = fingerprint(towers.state_dict(), settings)
        self.dimensions = dimensions
        self.towers = towers.eval().to(device)
        self.label_scale = float(towers.logit_scale.detach().exp())
        self.device = device
        self._tokenizer = tokenizer

    @abstractmethod
    def pooled(self, images: Tensor, bands: tuple[Band, ...]) -> Tensor:
        """Features of tiles before the projection: (n, bands, H, W) in about -1 to 1 → (n, k)."""

    def projected(self, features: Tensor) -> Tensor:
        """Bring features (n, k) into the common space (n, dimensions)."""
        return features

    def tile_features(self, data: Floats, bands: tuple[Band, ...]) -> Floats:
        """Features of tiles; see `GeoCLIP`."""
        parts = []
        with torch.inference_mode():
            for start in range(0, len(data), _IMAGES):
                images = torch.from_numpy(np.ascontiguousarray(data[start : start + _IMAGES]))
                parts.append(self.pooled(images.float().to(self.device), bands).float().cpu())
        return torch.cat(parts).numpy()

    def encode_tiles(self, data: Floats, bands: tuple[Band, ...]) -> Floats:
        """Embed tiles; see `GeoCLIP`."""
        features = torch.from_numpy(self.tile_features(data, bands)).to(self.device)
        with torch.inference_mode():
            return F.normalize(self.projected(features).float(), dim=-1).cpu().numpy()

    def encode_text(self, texts: Sequence[str]) -> Floats:
        """Embed texts; see `GeoCLIP`."""
        parts = []
        with torch.inference_mode():
            for start in range(0, len(texts), _TEXTS):
                tokens = self._tokenizer(list(texts[start : start + _TEXTS])).to(self.device)
                parts.append(F.normalize(self.towers.encode_text(tokens).float(), dim=-1).cpu())
        return torch.cat(parts).numpy() if parts else np.zeros((0, self.dimensions), np.float32)


def fingerprint(state: Mapping[str, Tensor], settings: Mapping[str, Any]) -> str:
    """First 16 hex digits of the SHA-256 of weights and settings.

    Settings count because the same weights give other vectors with another activation or scaling.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring images (n, c, H, W) to the size a tower was trained at, all of each image kept."""
    if tuple(images.shape[-2:]) == size:
        return images
    return F.interpolate(images, size, mode="bicubic", antialias=True, align_corners=False)


def read_state(path: Path, device: str = "cpu") -> dict[str, Tensor]:
    """Tensors of a checkpoint: safetensors, or what torch saved without other objects in it.

    Args:
        path: of the file; a checkpoint of training is taken apart.
        device: "meta" reads names and shapes only.

    Raises:
        InputError: it is not such a file.
    """
    try:
        if path.suffix == ".safetensors":
            return _safetensors(path, device)
        found = torch.load(path, map_location=device, weights_only=True)
    except UNREADABLE as error:
        raise unreadable(path) from error
    state = found.get("state_dict", found) if isinstance(found, dict) else None
    if not isinstance(state, dict) or not state or not all(map(torch.is_tensor, state.values())):
        raise unreadable(path)
    return {str(name).removeprefix("module."): tensor for name, tensor in state.items()}


def unreadable(path: Path) -> InputError:
    """The error for a file that is no checkpoint."""
    return InputError(
        f"{path} cannot be read as a checkpoint; give a state dict (.safetensors, or .pt as "
        "torch.save writes it, with nothing but tensors in it)"
    )


def _safetensors(path: Path, device: str) -> dict[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            if device != "meta":
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def tokenizer_for(text: Mapping[str, Any], folder: Path, spec: str) -> Tokenizer:
    """The tokeniser that a text configuration of open_clip asks for, from what is on this machine.

    Args:
        text: the `text_cfg`.
        folder: of the checkpoint, where its tokeniser may lie.
        spec: for the message.

    Raises:
        InputError: the tokeniser is not on this machine.
    """
    from open_clip.tokenizer import HFTokenizer, SimpleTokenizer

    options = {"context_length": text.get("context_length", 77), **text.get("tokenizer_kwargs", {})}
    name = text.get("hf_tokenizer_name")
    if not name:
        simple: Tokenizer = SimpleTokenizer(**options)
        return simple
    inside = (folder / TOKENIZER).is_file()
    try:
        tokenizer: Tokenizer = HFTokenizer(
            str(folder) if inside else name, tokenizer_mode=text.get("tokenizer_mode"),
            local_files_only=True, **options,
        )  # fmt: skip
    except (OSError, ValueError, ImportError) as error:
        raise InputError(
            f"the tokeniser {name} of {spec} is not on this machine; put its tokenizer.json and "
            f"{TOKENIZER} into {folder}, or fetch the model by its name: terralogue models get"
        ) from error
    return tokenizer
