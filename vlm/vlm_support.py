"""How far a picture and a question are from what the model was trained on.

A picture is far where its features lie outside the subspace and the spread of the training
pictures' (Mahalanobis distance in principal components, Lee et al. 2018, and the norm of what the
components leave over, Wang et al. 2022, "ViM"), or where a logistic regression on the same
components, taught by pictures that show no ground (`vlm_nonsense.py`), takes it for one of those. A
question is far where its meaning is nearer to
questions that no picture answers (`plain_questions.py`) than to those that one does, by a logistic
regression on sentence embeddings. Both are divided by a limit, so that 1 is at the limit.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from sklearn.linear_model import LogisticRegression

from terralogue.datasets.errors import InputError

Floats = NDArray[np.float32]

SUPPORT: Final = "support.safetensors"
_COMPONENTS: Final = 128
# Share of held-out pictures within the limit.
WITHIN: Final = 0.97
# Share of held-out pictures that are not taken for nonsense.
_SENSE: Final = 0.99
_ODD_PENALTY: Final = 0.1
# Probability that a picture answers the question, at the limit.
ANSWERABLE: Final = 0.4
_PENALTY: Final = 30.0
# Of 800 real and simulated pictures, none has neighbouring pixels that correlate less than 0.57, or
# spreads less than 0.004 (of a range of 2); noise correlates by 0.26 once it is brought to a tile.
_CORRELATION: Final = 0.45
_SPREAD: Final = 0.002
FEATURELESS: Final = 2.0
"""Distance of what is flat or noise."""


def structured(data: Floats) -> bool:
    """Whether some band of a tile (bands, H, W) shows more than one tone, and more than noise."""
    centred = data - data.mean((1, 2), keepdims=True)
    variance = (centred**2).mean((1, 2))
    if float(variance.max()) < _SPREAD**2:
        return False
    across = (centred[:, :, 1:] * centred[:, :, :-1]).mean((1, 2))
    down = (centred[:, 1:] * centred[:, :-1]).mean((1, 2))
    alike = (across + down) / 2 / np.maximum(variance, _SPREAD**2)
    return bool(alike.max() >= _CORRELATION)


@dataclass(frozen=True)
class Support:
    """What the training data looked like.

    Attributes:
        mean: (k,) of the features of training pictures.
        components: (components, k) principal directions, divided by their spread.
        basis: (components, k) the same, of length 1.
        limits: (2,) of what the subspace leaves over, and of the distance within it.
        sense: (components + 2,) of the regression that tells scenes from nonsense.
        sensible: (2,) its value at the limit, and its spread among held-out pictures.
        weights: (d,) of the regression on embeddings of questions.
        bias: (1,) of it.
    """

    mean: Floats
    components: Floats
    basis: Floats
    limits: Floats
    sense: Floats
    sensible: Floats
    weights: Floats
    bias: Floats

    @classmethod
    def fitted(
        cls, features: Floats, held_out: Floats, odd: Floats, seeable: Floats, unseeable: Floats
    ) -> Support:
        """Fit to training data, with limits that 97 % of held-out pictures keep.

        Args:
            features: (n, k) of training pictures.
            held_out: (m, k) of pictures that were not trained on.
            odd: (o, k) of pictures that show no ground.
            seeable: (p, d) embeddings of questions that a picture answers.
            unseeable: (q, d) embeddings of questions that none does.
        """
        mean = features.mean(axis=0)
        _, spread, basis = np.linalg.svd(features - mean, full_matrices=False)
        count = min(_COMPONENTS, len(spread))
        sizes = np.maximum(spread[:count] / np.sqrt(len(features)), 1e-6)
        regression = LogisticRegression(C=_PENALTY, class_weight="balanced", max_iter=5000)
        marks = np.r_[np.ones(len(seeable)), np.zeros(len(unseeable))]
        regression.fit(np.concatenate([seeable, unseeable]), marks)
        made = cls(
            mean.astype(np.float32),
            (basis[:count] / sizes[:, None]).astype(np.float32),
            basis[:count].astype(np.float32),
            np.ones(2, np.float32),
            np.zeros(count + 2, np.float32),
            np.ones(2, np.float32),
            regression.coef_[0].astype(np.float32),
            regression.intercept_.astype(np.float32),
        )
        limits = np.quantile(made._parts(held_out)[:, -2:], WITHIN, axis=0)
        judge = LogisticRegression(C=_ODD_PENALTY, class_weight="balanced", max_iter=5000)
        marks = np.r_[np.ones(len(features)), np.zeros(len(odd))]
        judge.fit(made._parts(np.concatenate([features, odd])), marks)
        sense = judge.coef_[0].astype(np.float32)
        values = made._parts(held_out) @ sense
        sensible = [np.quantile(values, 1 - _SENSE), values.std()]
        return replace(
            made,
            limits=limits.astype(np.float32),
            sense=sense,
            sensible=np.array(sensible, np.float32),
        )

    def _parts(self, features: Floats) -> Floats:
        """Components over their spread, the norm of the rest, and that of these components."""
        centred = features - self.mean
        within = centred @ self.components.T
        left = np.linalg.norm(centred - centred @ self.basis.T @ self.basis, axis=1)
        return np.column_stack([within, left, np.linalg.norm(within, axis=1)]).astype(np.float32)

    def picture(self, features: Floats) -> Floats:
        """Distance of pictures, by features (n, k): (n,), 1 at the limit."""
        parts = self._parts(features)
        odd = 1 + (self.sensible[0] - parts @ self.sense) / self.sensible[1]
        far = (parts[:, -2:] / self.limits).max(axis=1)
        return np.asarray(np.maximum(far, odd), np.float32)

    def question(self, embeddings: Floats) -> Floats:
        """Distance of questions, by sentence embeddings (n, d): (n,), 1 at the limit."""
        answerable = 1 / (1 + np.exp(-(embeddings @ self.weights + self.bias)))
        return np.asarray((1 - answerable) / (1 - ANSWERABLE), np.float32)

    def write(self, folder: Path) -> None:
        """Write `support.safetensors`; what is large in half precision."""
        arrays = {f.name: np.ascontiguousarray(getattr(self, f.name)) for f in fields(self)}
        for name in ("basis", "components"):
            arrays[name] = arrays[name].astype(np.float16)
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
        except (OSError, TypeError, ValueError, SafetensorError) as error:
            message = f"{folder / SUPPORT} cannot be read ({error}); calibrate again"
            raise InputError(message) from error
