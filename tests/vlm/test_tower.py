from __future__ import annotations

import pytest
import torch

from terralogue.datasets.band_tables import RGB
from terralogue.datasets.errors import InputError
from terralogue.vlm.tower import ImageTower, TowerConfig, freeze
from terralogue.vlm.trunk import build_trunk, pretrained_state


def test_folding_the_batch_norms_changes_nothing_in_what_the_trunk_computes() -> None:
    torch.manual_seed(0)
    plain = build_trunk("lite0", fold=False)
    with torch.no_grad():
        for name, buffer in plain.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.uniform_(0.5, 1.5)
    folded = build_trunk("lite0", fold=False)
    folded.load_state_dict(plain.state_dict())
    from terralogue.vlm import trunk

    trunk._fold(folded.eval())
    picture = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        expected, found = plain.eval()(picture), folded(picture)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert not any("BatchNorm" in type(m).__name__ for m in folded.modules())


def test_the_pyramid_halves_the_image_five_times_at_any_even_or_odd_size() -> None:
    tower = ImageTower(TowerConfig()).eval()
    for height, width in ((64, 96), (75, 101)):
        with torch.inference_mode():
            levels = tower.pyramid(torch.zeros(1, 3, height, width), RGB)
        for level, stride, channels in zip(
            levels, (2, 4, 8, 16, 32), (16, 24, 40, 112, 320), strict=True
        ):
            assert level.shape == (1, channels, -(-height // stride), -(-width // stride))


def test_a_frozen_tower_learns_only_late_blocks_and_the_projection() -> None:
    tower = ImageTower(TowerConfig())
    freeze(tower, 2, depthwise=True)
    learned = {name for name, p in tower.named_parameters() if p.requires_grad}
    assert not any(name.startswith(("trunk.blocks.0.", "trunk.blocks.1.")) for name in learned)
    assert not any("conv_dw.weight" in name for name in learned)
    assert "trunk.blocks.6.0.conv_pw.weight" in learned
    assert "project.1.weight" in learned
    assert "stem.weight" not in learned


def test_pretrained_weights_are_those_that_the_package_carries() -> None:
    state = pretrained_state("lite0")
    assert state["conv_stem.weight"].shape == (32, 3, 3, 3)
    assert state["classifier.weight"].shape == (1000, 1280)


def test_an_unknown_trunk_is_answered_with_those_that_exist() -> None:
    with pytest.raises(InputError, match="lite0, lite2"):
        build_trunk("resnet50")
