"""How far a picture and a question are from what the model was trained on.

A picture is far where its features lie outside the subspace and the spread of the training
pictures' (Mahalanobis distance in principal components, Lee et al. 2018, and the norm of what the
components leave over, Wang et al. 2022, "ViM"); a question is far where no question of the training
data is near it in the space of texts. Each is divided by a limit measured on held-out data, so that
1 is at the limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from terralogue.datasets.errors import InputError

Floats = NDArray[np.float32]

SUPPORT: Final = "support.safetensors"
_COMPONENTS: Final = 128
# Share of held-out data within the limit.
WITHIN: Final = 0.99
_NEIGHBOURS: Final = 5


@dataclass(frozen=True)
class Support:
    """What the training data looked like.

    Attributes:
        mean: (k,) of the features of training views.
        components: (components, k) principal directions, divided by their spread.
        basis: (components, k) the same, of length 1.
        limits: of the distance within, of what is left over, and of questions.
        questions: (n, d) embeddings of training questions, L2-normalised.
    """

    mean: Floats
    components: Floats
    basis: Floats
    limits: Floats
    questions: Floats

    @classmethod
    def fitted(
        cls, features: Floats, held_out: Floats, questions: Floats, asked: Floats
    ) -> Support:
        """Fit to training data, with limits that 99 % of held-out data keep.

        Args:
            features: (n, k) of training pictures.
            held_out: (m, k) of pictures that were not trained on.
            questions: (p, d) embeddings of training questions.
            asked: (q, d) embeddings of other questions of the same kind.
        """
        mean = features.mean(axis=0)
        _, spread, basis = np.linalg.svd(features - mean, full_matrices=False)
        count = min(_COMPONENTS, len(spread))
        sizes = np.maximum(spread[:count] / np.sqrt(len(features)), 1e-6)
        made = cls(
            mean.astype(np.float32),
            (basis[:count] / sizes[:, None]).astype(np.float32),
            basis[:count].astype(np.float32),
            np.ones(3, np.float32),
            questions.astype(np.float32),
        )
        within, left = made._parts(held_out)
        limits = [np.quantile(part, WITHIN) for part in (within, left, made._unheard(asked))]
        return cls(
            made.mean, made.components, made.basis, np.array(limits, np.float32), made.questions
        )

    def _parts(self, features: Floats) -> tuple[Floats, Floats]:
        centred = features - self.mean
        within = np.linalg.norm(centred @ self.components.T, axis=1)
        left = np.linalg.norm(centred - centred @ self.basis.T @ self.basis, axis=1)
        return within, left

    def _unheard(self, embeddings: Floats) -> Floats:
        near = np.sort(embeddings @ self.questions.T, axis=1)[:, -_NEIGHBOURS:]
        return np.asarray(1 - near.mean(axis=1), np.float32)

    def picture(self, features: Floats) -> Floats:
        """Distance of pictures, by features (n, k): (n,), 1 at the limit."""
        within, left = self._parts(features)
        return np.asarray(np.maximum(within / self.limits[0], left / self.limits[1]), np.float32)

    def question(self, embeddings: Floats) -> Floats:
        """Distance of questions, by embeddings (n, d): (n,), 1 at the limit."""
        return np.asarray(self._unheard(embeddings) / self.limits[2], np.float32)

    def write(self, folder: Path) -> None:
        """Write `support.safetensors`, half precision."""
        arrays = {
            name: np.ascontiguousarray(getattr(self, name).astype(kind))
            for name, kind in (
                ("mean", np.float32), ("components", np.float32), ("basis", np.float16),
                ("limits", np.float32), ("questions", np.float16),
            )
        }  # fmt: skip
        save_file(arrays, folder / SUPPORT)

    @classmethod
    def read(cls, folder: Path) -> Support:
        """Read what `write` wrote.

        Raises:
            InputError: the file is missing or broken.
        """
        try:
            arrays = load_file(folder / SUPPORT)
            return cls(**{name: value.astype(np.float32) for name, value in arrays.items()})
        except (OSError, TypeError, ValueError) as error:
            raise InputError(
                f"{folder / SUPPORT} cannot be read ({error}); calibrate again"
            ) from error
