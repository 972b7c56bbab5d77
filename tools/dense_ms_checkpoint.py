"""Checkpoints of a `SlotNet`: fp16 safetensors, and a config.json that says what they are for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from terralogue.tools.dense_ms_model import SlotConfig, SlotNet
from terralogue.vlm.weight_files import read_weights, write_weights

WEIGHTS: Final = "slots.safetensors"


@dataclass(frozen=True)
class SlotFacts:
    """What was measured on validation data.

    Attributes:
        temperature: that logits are divided by, so that probabilities are calibrated.
        calibration_error: expected calibration error (15 bins) with that temperature.
        unused: classes that were learned but are never found, because other means find them better.
        thresholds: probability from which a pixel belongs to a class, where it is not one half.
        area_factors: by class, true area over the sum of probabilities, in nine of ten validation
            images (5th and 95th percentile).
    """

    temperature: float = 1.0
    calibration_error: float | None = None
    unused: Sequence[str] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)
    area_factors: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class SlotCheckpoint:
    """A network in evaluation mode, and its facts."""

    net: SlotNet
    facts: SlotFacts

    def shares(self, planes: Tensor, present: Tensor) -> Tensor:
        """Calibrated probabilities (n, classes, H, W); see `SlotNet.forward`."""
        with torch.inference_mode():
            logits = self.net(planes, present) / self.facts.temperature
            for name in self.facts.unused:
                logits[:, list(self.net.config.classes).index(name)] = -torch.inf
            shares: Tensor = logits.softmax(1)
            return shares


def write_slots(folder: Path, net: SlotNet, facts: SlotFacts) -> str:
    """Write both files; gives the SHA-256 of the weights, which are in half precision."""
    settings = {"net": net.config.settings, "facts": asdict(facts)}
    return write_weights(folder, WEIGHTS, net.state_dict(), settings)


@lru_cache(maxsize=4)
def read_slots(folder: Path) -> SlotCheckpoint:
    """Read a checkpoint and check it against the SHA-256 in its configuration.

    Raises:
        InputError: a file is missing or broken, or the weights are not those of the configuration.
    """
    (config, facts), tensors, _ = read_weights(
        folder, WEIGHTS,
        lambda known: (SlotConfig(**known["net"]), SlotFacts(**known["facts"])),
    )  # fmt: skip
    net = SlotNet(config)
    net.load_state_dict(tensors)
    return SlotCheckpoint(net.eval(), facts)
