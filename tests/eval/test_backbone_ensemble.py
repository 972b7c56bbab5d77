"""Frozen encoders as features, cross-validated by place."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from terralogue.eval import backbone_ensemble
from terralogue.eval.backbone_ensemble import evaluate, initializers


def test_features_that_show_water_are_told_from_those_that_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backbone_ensemble, "PIXELS", 200)
    monkeypatch.setattr(backbone_ensemble, "STEPS", 60)
    rng = np.random.default_rng(0)
    water = np.zeros((10, 24, 24), np.bool_)
    for i, mask in enumerate(water):
        mask[:, : 6 + i] = True
    shown = torch.from_numpy(water)[:, None, None].half() + 0.1 * torch.randn(10, 1, 1, 24, 24)
    noise = torch.from_numpy(rng.normal(size=(10, 1, 3, 12, 12))).half()
    maps = {"good": [[each] for each in shown], "blind": [[each] for each in noise]}
    folds = np.arange(10) % 5
    good, blind, both = (
        evaluate(names, maps, water, folds) for names in (["good"], ["blind"], ["good", "blind"])
    )
    assert good.iou > 0.9
    assert blind.iou < 0.6
    assert both.iou > 0.8
    assert good.low <= good.iou <= good.high


def test_tensors_of_an_onnx_file_are_read_without_its_library() -> None:
    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    values = np.array([[1.5, -2.0, 0.25]], np.float16)
    dims = bytes([1 << 3, 1, 1 << 3, 3])  # two numbers: 1 and 3
    tensor = dims + bytes([2 << 3, 10]) + field(8, b"stem.weight") + field(9, values.tobytes())
    model = bytes([1 << 3, 8]) + field(7, field(5, tensor) + field(2, b"graph"))
    (found,) = initializers(model)
    assert found[0] == "stem.weight"
    assert found[1].tolist() == [[1.5, -2.0, 0.25]]
