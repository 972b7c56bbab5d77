"""The text tower as it is used: MiniLM with the learned adapters merged in, plain numpy.

text = TextEncoder.from_tensors(load_file("align.safetensors"))
text.encode(["a harbour with many small boats"])      # (1, 384)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from terralogue.vlm.minilm import MiniLM, load, model_folder

# Names of the tensors in a checkpoint.
LORA: Final = "text.lora"
PROJECTION: Final = "text.project"
# Dense layers of the encoder that carry an adapter.
TARGETS: Final = (
    "query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"
)  # fmt: skip

# A full stop, unless it is within a number.
_STOP: Final = re.compile(r"\.(?!\d)")

Floats = NDArray[np.float32]


def tidy(text: str) -> str:
    """A text as the tower was trained on: no full stops, no capitals, single spaces."""
    return " ".join(_STOP.sub(" ", text).split()).casefold()


@dataclass(frozen=True)
class TextEncoder:
    """MiniLM with merged adapters, then a linear map.

    Attributes:
        encoder: with the adapters merged.
        weight: (dimensions, 384) of the map.
        bias: (dimensions,).
    """

    encoder: MiniLM
    weight: Floats
    bias: Floats

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.floating]]) -> TextEncoder:
        """Merge the adapters among the tensors of a checkpoint into MiniLM's weights.

        Raises:
            InputError: MiniLM is not installed, or its weights are not the expected ones.
            KeyError: the checkpoint has no text tower.
        """
        plain = load(model_folder())
        weights = dict(plain.weights)
        for name, down in tensors.items():
            if name.startswith(f"{LORA}.") and name.endswith("lora_A.weight"):
                layer = name.removeprefix(f"{LORA}.").removesuffix(".lora_A.weight")
                up = tensors[name.replace("lora_A", "lora_B")]
                update = up.astype(np.float32) @ down.astype(np.float32)
                weights[f"{layer}.weight"] = weights[f"{layer}.weight"] + update
        return cls(
            MiniLM(weights, plain.tokenizer),
            tensors[f"{PROJECTION}.weight"].astype(np.float32),
            tensors[f"{PROJECTION}.bias"].astype(np.float32),
        )

    def encode(self, texts: Sequence[str]) -> Floats:
        """Embed texts, tidied first: float32 (n, dimensions), rows L2-normalised."""
        mapped = self.encoder.encode([tidy(text) for text in texts]) @ self.weight.T + self.bias
        norm = np.linalg.norm(mapped, axis=1, keepdims=True)
        return np.asarray(mapped / np.maximum(norm, 1e-12), np.float32)
