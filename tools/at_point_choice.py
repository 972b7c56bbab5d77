"""Which of the regions that grew from a click is the thing: a small network tells its overlap.

    chooser = load_chooser()
    overlaps = chooser.overlap(descriptions)          # expected IoU of each region
    chooser.probability(overlaps.max())               # that the outline is right by half

Trained by `python -m terralogue.tools.at_point_training`; see the model card beside the weights.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save_file

from terralogue.datasets.errors import InputError
from terralogue.tools.at_point_growth import DESCRIPTION

Floats = NDArray[np.float32]

FOLDER: Final = Path(__file__).parent / "weights" / "click"
"""The network in the package."""
WEIGHTS: Final = "click.safetensors"
CONFIG: Final = "config.json"


@dataclass(frozen=True, eq=False)
class Layer:
    """Weights (inputs, outputs) and bias (outputs,) of each network of an ensemble: (n, …)."""

    weight: Floats
    bias: Floats


@dataclass(frozen=True, eq=False)
class Chooser:
    """An ensemble of perceptrons over descriptions of regions.

    Attributes:
        mean: of each figure of a description in training.
        spread: its standard deviation.
        layers: rectified but for the last, whose one output is the expected overlap.
        scale: of the overlap, in the logit of `probability`.
        shift: added to it; both fitted on validation.
    """

    mean: Floats
    spread: Floats
    layers: tuple[Layer, ...]
    scale: float = 1.0
    shift: float = 0.0

    def overlap(self, descriptions: Floats) -> Floats:
        """Expected intersection over union with what was clicked: float32 (regions,).

        Args:
            descriptions: (regions, figures), in the order of DESCRIPTION.
        """
        x = ((descriptions - self.mean) / self.spread)[None]
        for number, layer in enumerate(self.layers):
            x = x @ layer.weight + layer.bias[:, None]
            if number + 1 < len(self.layers):
                x = np.maximum(x, 0)
        return np.asarray(x[..., 0].mean(axis=0), np.float32)

    def probability(self, overlap: float) -> float:
        """Calibrated probability that the true overlap of the chosen region is at least 0.5."""
        return 1 / (1 + math.exp(-(self.scale * overlap + self.shift)))


def write_chooser(folder: Path, chooser: Chooser) -> None:
    """Write an ensemble; each file appears whole or not at all."""
    tensors = {"mean": chooser.mean, "spread": chooser.spread}
    for number, layer in enumerate(chooser.layers):
        tensors |= {f"weight{number}": layer.weight, f"bias{number}": layer.bias}
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{WEIGHTS}.part"
    # The smallest spreads lie below what half precision holds, and the file is small anyway.
    save_file({name: np.asarray(value, np.float32) for name, value in tensors.items()}, part)
    part.chmod(0o644)
    settings = {
        "figures": list(DESCRIPTION),
        "layers": len(chooser.layers),
        "scale": chooser.scale,
        "shift": chooser.shift,
        "sha256": hashlib.sha256(part.read_bytes()).hexdigest(),
    }
    config = folder / f"{CONFIG}.part"
    config.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    part.replace(folder / WEIGHTS)
    config.replace(folder / CONFIG)


@lru_cache(maxsize=2)
def load_chooser(folder: Path = FOLDER) -> Chooser:
    """Read an ensemble and check it against the SHA-256 in its configuration.

    Raises:
        InputError: a file is missing or broken, or the two do not belong together.
    """
    try:
        blob = (folder / WEIGHTS).read_bytes()
        settings = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if settings["sha256"] != hashlib.sha256(blob).hexdigest():
            raise ValueError("the weights are not those of the configuration")
        if settings["figures"] != list(DESCRIPTION):
            raise ValueError("it was trained on other figures")
        tensors = load(blob)
        layers = tuple(
            Layer(tensors[f"weight{number}"], tensors[f"bias{number}"])
            for number in range(settings["layers"])
        )
        return Chooser(
            tensors["mean"], tensors["spread"], layers, settings["scale"], settings["shift"]
        )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"The network in {folder} that outlines what is clicked cannot be read ({error}); "
            "install the package again, or train it with terralogue.tools.at_point_training."
        ) from error
