"""Checkpoints of detectors: fp16 safetensors and a small JSON beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terralogue.datasets.errors import InputError
from terralogue.tools.detect_model import DetectorConfig, DetectorNet
from terralogue.vlm.weight_files import read_weights, write_weights


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
    settings = {"net": net.config.settings, **(facts or {})}
    return write_weights(folder, f"{name}.safetensors", net.state_dict(), settings)


def read_detector(folder: Path) -> DetectorCheckpoint:
    """Read a checkpoint and check it against the SHA-256 in its configuration.

    Raises:
        InputError: a file is missing or broken, or the weights are not those of the configuration.
    """
    weights = sorted(folder.glob("*.safetensors"))
    if len(weights) != 1:
        raise InputError(f"{folder} holds no detector; name a folder that training wrote.")
    (config, facts), tensors, _ = read_weights(folder, weights[0].name, _understood)
    net = DetectorNet(config)
    net.load_state_dict(tensors)
    return DetectorCheckpoint(net.eval(), facts)


def _understood(known: dict[str, Any]) -> tuple[DetectorConfig, dict[str, Any]]:
    shape = known["net"]
    config = DetectorConfig(
        **{**shape, "classes": tuple(shape["classes"]), "bands": tuple(shape["bands"])}
    )
    return config, {name: value for name, value in known.items() if name not in ("net", "sha256")}
