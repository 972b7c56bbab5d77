"""Cloud networks as encoders for water: a light decoder, in folds of places."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from terralogue.datasets.dense_slots import SLOTS
from terralogue.eval import backbone_water
from terralogue.eval.backbone_water import Encoder, Water, cross_validated, plain_maps, turned
from terralogue.tools.dense_ms_water import Chips


class _Stages(nn.Module):
    """Two levels, at strides 2 and 4, as the real encoder gives five."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(6, 4, 2, 2)
        self.last = nn.Conv2d(4, 6, 2, 2)

    def forward(self, x: Tensor) -> list[Tensor]:
        middle = self.first(x)
        return [x, middle, self.last(middle)]

    def get_stages(self) -> dict[int, list[nn.Module]]:
        return {4: [self.last]}


class _Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = _Stages()

    def decoder(self, levels: list[Tensor]) -> Tensor:
        return levels[0][:, :2]


def small_encoder(level: str) -> Encoder:
    torch.manual_seed(len(level))
    return Encoder(_Net().eval().requires_grad_(False), torch.zeros(6, 1, 1), torch.ones(6, 1, 1))


@pytest.fixture
def chips() -> Chips:
    """Ten chips of five places; water is dark in the short-wave infrared."""
    rng = np.random.default_rng(0)
    water = np.zeros((10, 64, 64), np.bool_)
    for i, mask in enumerate(water):
        mask[:, : 10 + 4 * i] = True
    planes = rng.normal(0, 0.05, (10, len(SLOTS), 64, 64)).astype(np.float32)
    planes[:, SLOTS.index("S1")] -= 0.6 * water
    return Chips(planes, np.ones(len(SLOTS), np.bool_), water, np.arange(10) % 5)


def test_held_out_places_are_told_and_the_choice_is_one_of_the_methods(
    chips: Chips, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(backbone_water, "encoder_of", small_encoder)
    monkeypatch.setattr(backbone_water, "STEPS", 12)
    monkeypatch.setattr(backbone_water, "_BATCH", 3)
    monkeypatch.setattr(backbone_water, "TUNED", 2)
    found = cross_validated(Water(chips))
    assert set(found) == {"plain", "l1c", "l2a", "tuned", "chosen"}
    right = (found["plain"][:, 1] > found["plain"][:, 0]) == chips.water
    assert right.mean() > 0.9
    for fold in range(5):
        here = chips.folds == fold
        others = [found[name][here] for name in ("l1c", "l2a", "tuned")]
        assert any(np.array_equal(found["chosen"][here], other) for other in others)
    assert capsys.readouterr().out.count("fold") == 5


def test_only_the_last_stages_of_the_encoder_are_trained(
    chips: Chips, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backbone_water, "encoder_of", small_encoder)
    monkeypatch.setattr(backbone_water, "STEPS", 2)
    monkeypatch.setattr(backbone_water, "TUNED", 2)
    water = Water(chips, ("l1c",))
    net = water.fit("l1c", np.arange(4))
    tuned, decoder = water.tune("l1c", net, np.arange(4))
    before, after = small_encoder("l1c").net.encoder, tuned.net.encoder
    assert torch.equal(before.first.weight, after.first.weight)
    assert not torch.equal(before.last.weight, after.last.weight)
    assert not torch.equal(net.leave.weight, decoder.leave.weight)


def test_bands_become_reflectance_again_and_turns_are_all_different() -> None:
    planes = torch.full((1, len(SLOTS), 2, 2), 2.5 * 0.2**0.5 - 1)
    maps, bands = plain_maps(planes)
    assert maps.shape == (1, 9, 2, 2)
    torch.testing.assert_close(bands, torch.full((1, 6, 2, 2), 0.2))
    image = torch.arange(4.0).view(1, 2, 2)
    assert len({tuple(turned(image, turn).flatten().tolist()) for turn in range(8)}) == 8
