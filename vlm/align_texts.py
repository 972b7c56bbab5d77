"""Texts whose vectors stay as they are while images are aligned with them.

table = TextTable(encode)              # each text is embedded once
table.learn(captions); table.save(path)
text = FixedText(checkpoint.text)      # in place of a text tower that learns
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from terralogue.datasets.errors import InputError
from terralogue.vlm.text import TextEncoder, tidy

JOINT: Final = " . "
"""Between two captions of one image that are given as one text."""
# Texts embedded at a time.
_CHUNK = 512

Encode = Callable[[Sequence[str]], NDArray[np.float32]]


class TextTable:
    """Vectors of texts by an encoder that does not learn, each computed once.

    Args:
        encode: texts → float32 (n, d), rows L2-normalised; asked for what is not known yet.
        device: of what is returned.
    """

    def __init__(self, encode: Encode, device: torch.device | str = "cpu") -> None:
        self._encode, self._device = encode, torch.device(device)
        self._place: dict[str, int] = {}
        self._rows = torch.zeros(0, 0, device=self._device)

    def __deepcopy__(self, memo: dict[int, Any]) -> TextTable:
        """One table serves a model and its average."""
        return self

    def __len__(self) -> int:
        return len(self._place)

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Vectors (n, d), L2-normalised; what is joined by JOINT means what both mean."""
        parts = [text.split(JOINT) for text in texts]
        self.learn([part for each in parts for part in each])
        places = [[self._place[each[0]], self._place[each[-1]]] for each in parts]
        return F.normalize(self._rows[torch.tensor(places, device=self._device)].mean(1), dim=-1)

    def learn(self, texts: Sequence[str]) -> None:
        """Embed those texts that are not in the table yet."""
        new = [text for text in dict.fromkeys(texts) if text not in self._place]
        for start in range(0, len(new), _CHUNK):
            chunk = new[start : start + _CHUNK]
            self._add(chunk, torch.from_numpy(self._encode(chunk)))

    def _add(self, texts: Sequence[str], rows: Tensor) -> None:
        rows = rows.float().to(self._device)
        self._rows = torch.cat([self._rows, rows]) if len(self._rows) else rows
        self._place |= {text: len(self._place) + i for i, text in enumerate(texts)}

    def save(self, path: Path) -> None:
        """Write all vectors in eight bits, each row with its own scale."""
        rows = self._rows.cpu().numpy()
        scales = np.abs(rows).max(axis=1, keepdims=True) / 127
        part = path.with_name(f"{path.name}.part.npz")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            part,
            texts=np.frombuffer("\n".join(self._place).encode(), np.uint8),
            rows=np.round(rows / scales).astype(np.int8),
            scales=scales.astype(np.float32),
        )
        part.replace(path)

    def load(self, path: Path) -> None:
        """Add what `save` wrote.

        Raises:
            InputError: the file cannot be read.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                texts = file["texts"].tobytes().decode().split("\n")
                rows = file["rows"].astype(np.float32) * file["scales"]
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{path} cannot be read ({error}); delete it") from error
        known = [i for i, text in enumerate(texts) if text not in self._place]
        self._add([texts[i] for i in known], F.normalize(torch.from_numpy(rows[known]), dim=-1))


class FixedText(nn.Module):
    """The text tower of a checkpoint, which does not learn.

    Args:
        tensors: of the text tower, as a checkpoint has them.
        device: of what is returned.
    """

    def __init__(self, tensors: Mapping[str, Tensor], device: torch.device | str = "cpu") -> None:
        super().__init__()
        self._tensors = dict(tensors)

        @cache
        def encoder() -> TextEncoder:
            return TextEncoder.from_tensors({k: v.numpy() for k, v in self._tensors.items()})

        self.table = TextTable(lambda texts: encoder().encode(texts), device)

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Vectors of texts: (n, d), L2-normalised."""
        return self.table([JOINT.join(map(tidy, text.split(JOINT))) for text in texts])

    @property
    def fingerprint(self) -> str:
        """First 16 hex digits of the SHA-256 of the tensors."""
        told = hashlib.sha256()
        for name in sorted(self._tensors):
            told.update(name.encode() + self._tensors[name].numpy().tobytes())
        return told.hexdigest()[:16]

    def exported(self) -> dict[str, Tensor]:
        """The tensors of the text tower as they came."""
        return dict(self._tensors)
