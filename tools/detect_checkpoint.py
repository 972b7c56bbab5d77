"""Checkpoints of detectors: fp16 safetensors and a small JSON beside them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from safetensors.torch import load as load_safetensors
from safetensors.torch import save_file

from terralogue.datasets.errors import InputError
from terralogue.tools.detect_model import DetectorConfig, DetectorNet

CONFIG: Final = "config.json"


@dataclass(frozen=True, eq=False)
class DetectorCheckpoint:
    """What a folder holds.

    Attributes:
        net: in evaluation mode, float32.
        facts: further settings, such as thresholds and calibration; see `detect_calibrate.py`.
    """

    net: DetectorNet
    facts: Mapping[str, Any]


def write_detector(
    folder: Path, name: str, net: DetectorNet, facts: Mapping[str, Any] | None = None
) -> str:
    """Write NAME.safetensors in half precision and config.json; each appears whole or not at all.

    Returns:
        SHA-256 of the weights file.
    """
    tensors = {
        key: value.detach().half().contiguous().cpu() for key, value in net.state_dict().items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{name}.part"
    save_file(tensors, part)
    # The library lets nobody else read it.
    part.chmod(0o644)
    digest = hashlib.sha256(part.read_bytes()).hexdigest()
    settings = {"net": net.config.settings, "sha256": digest, **(facts or {})}
    config = folder / f"{CONFIG}.part"
    config.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    part.replace(folder / f"{name}.safetensors")
    config.replace(folder / CONFIG)
    return digest


def read_detector(folder: Path) -> DetectorCheckpoint:
    """Read a checkpoint and check it against the SHA-256 in its configuration.

    Raises:
        InputError: a file is missing or broken, or the weights are not those of the configuration.
    """
    weights = sorted(folder.glob("*.safetensors"))
    if len(weights) != 1 or not (folder / CONFIG).is_file():
        raise InputError(f"{folder} holds no detector; name a folder that training wrote.")
    blob = weights[0].read_bytes()
    try:
        settings = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        expected, shape = settings.pop("sha256"), settings.pop("net")
        config = DetectorConfig(
            **{**shape, "classes": tuple(shape["classes"]), "bands": tuple(shape["bands"])}
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / CONFIG} cannot be read ({error}); train again.") from error
    digest = hashlib.sha256(blob).hexdigest()
    if digest != expected:
        raise InputError(
            f"{weights[0]} has SHA-256 {digest[:12]}…, {CONFIG} says {expected[:12]}…; the two "
            "files do not belong together."
        )
    net = DetectorNet(config)
    net.load_state_dict({name: value.float() for name, value in load_safetensors(blob).items()})
    return DetectorCheckpoint(net.eval(), settings)
