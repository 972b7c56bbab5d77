"""Checkpoints of a `SlotNet`: fp16 safetensors, and a config.json that says what they are for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load, save
from torch import Tensor

from terralogue.datasets.errors import InputError
from terralogue.tools.dense_ms_model import SlotConfig, SlotNet

WEIGHTS_FOLDER: Final = Path(__file__).parent / "weights"
"""Folders of the checkpoints in the package."""
WEIGHTS: Final = "slots.safetensors"
CONFIG: Final = "config.json"


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
    half = {
        name: (value.half() if value.is_floating_point() else value).detach().cpu().contiguous()
        for name, value in net.state_dict().items()
    }
    blob = save(half)
    digest = hashlib.sha256(blob).hexdigest()
    settings = {"net": net.config.settings, "facts": asdict(facts), "sha256": digest}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (
        (WEIGHTS, blob),
        (CONFIG, (json.dumps(settings, indent=1) + "\n").encode()),
    ):
        part = folder / f"{name}.part"
        part.write_bytes(content)
        part.replace(folder / name)
    return digest


@lru_cache(maxsize=4)
def read_slots(folder: Path) -> SlotCheckpoint:
    """Read a checkpoint and check it against the SHA-256 in its configuration.

    Raises:
        InputError: a file is missing or broken, or the weights are not those of the configuration.
    """
    for name in (WEIGHTS, CONFIG):
        if not (folder / name).is_file():
            raise InputError(f"{name} is missing in {folder}; name a folder that training wrote")
    blob = (folder / WEIGHTS).read_bytes()
    try:
        settings: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        expected, config = settings["sha256"], SlotConfig(**settings["net"])
        facts = SlotFacts(**settings["facts"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / CONFIG} cannot be read ({error}); train again") from error
    digest = hashlib.sha256(blob).hexdigest()
    if digest != expected:
        raise InputError(
            f"{folder / WEIGHTS} has SHA-256 {digest[:12]}…, {CONFIG} says {expected[:12]}…; "
            "the two files do not belong together"
        )
    net = SlotNet(config)
    net.load_state_dict(
        {
            name: value.float() if value.is_floating_point() else value
            for name, value in load(blob).items()
        }
    )
    return SlotCheckpoint(net.eval(), facts)
