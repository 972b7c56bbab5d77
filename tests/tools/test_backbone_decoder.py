"""UPerNet on a frozen encoder: a network that stands in for a dense one."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError, MissingBandError
from terralogue.datasets.sensors import SENSORS
from terralogue.datasets.tiles import normalise
from terralogue.tools.backbone_decoder import (
    BackboneConfig,
    BackboneNet,
    backbone_net,
    physical,
    restored,
)
from terralogue.tools.backbone_families import FAMILIES, Encoder
from terralogue.tools.backbone_loading import LoadedBackbone
from terralogue.tools.backbones import find_backbone
from terralogue.tools.dense_checkpoint import WEIGHTS, DenseFacts, write_dense
from terralogue.tools.dense_data import DensePack
from terralogue.tools.dense_training import DenseTrainer, DenseTraining, dense_loss
from terralogue.vlm.weight_files import CONFIG

BANDS = SENSORS["sentinel2_l2a"].bands
HEADS = {"water": ("other", "water"), "cover": ("a", "b", "c")}


class Flat(Encoder):
    """A stand-in for a transformer: four maps of one size."""

    def __init__(self, strides: tuple[int, ...] = (16, 16, 16, 16)) -> None:
        super().__init__()
        self.channels = tuple(6 + 2 * i * (strides[0] != strides[-1]) for i in range(4))
        self.parts = nn.ModuleList(
            nn.Conv2d(3, width, each, each)
            for width, each in zip(self.channels, strides, strict=True)
        )

    def forward(self, images: Tensor, bands: tuple[Band, ...]) -> list[Tensor]:
        return [part(images) for part in self.parts]


def made(*, frozen: bool, staged: bool = False) -> BackboneNet:
    torch.manual_seed(0)
    row = find_backbone("torchgeo:swin_v2_t_sentinel2_si_rgb_satlas")
    encoder = Flat((4, 8, 16, 32)) if staged else Flat()
    config = BackboneConfig(HEADS, backbone=row.name, channels=16, frozen=frozen)
    return BackboneNet(config, LoadedBackbone(row, encoder))


def images(count: int = 4) -> tuple[Tensor, Tensor]:
    """Noise, and labels that its red band decides."""
    raw = torch.rand(count, len(BANDS), 64, 64, generator=torch.Generator().manual_seed(1)) * 0.3
    raw[:, 3, :, 32:] *= 0.1
    labels = torch.zeros(count, 64, 64, dtype=torch.uint8)
    labels[:, :, 32:] = 1
    return torch.from_numpy(normalise(raw.numpy(), BANDS)), labels


@pytest.mark.parametrize("staged", [False, True])
def test_a_head_learns_while_the_encoder_stays_as_published(staged: bool) -> None:
    net = made(frozen=True, staged=staged).train()
    pictures, labels = images()
    assert net.encoder == []
    assert not any(key.startswith(("trained", "_shared")) for key in net.state_dict())
    with torch.no_grad():
        before = [each.clone() for each in net._shared.backbone.parameters()]  # type: ignore[union-attr]
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3)
    losses = []
    for _ in range(25):
        loss = dense_loss(net(pictures, BANDS, "water"), labels, 0.5)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    after = net._shared.backbone.parameters()  # type: ignore[union-attr]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_logits_have_the_size_of_the_image_for_every_head() -> None:
    net = made(frozen=True).eval()
    pictures, _ = images(2)
    assert net(pictures, BANDS, "water").shape == (2, 2, 64, 64)
    assert net(pictures[..., :32, :], BANDS, "cover").shape == (2, 3, 32, 64)


def test_an_encoder_that_is_trained_on_is_among_the_weights_and_copies_are_their_own() -> None:
    net = made(frozen=False)
    pictures, labels = images(2)
    assert net.encoder == [net.trained]
    assert any(key.startswith("trained.encoder") for key in net.state_dict())
    twin = copy.deepcopy(net)
    loss = dense_loss(net(pictures, BANDS, "water"), labels, 0.5)
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(each.grad is not None for each in net.trained.parameters())
    assert all(each.grad is None for each in twin.trained.parameters())
    frozen = made(frozen=True)
    assert copy.deepcopy(frozen)._shared is frozen._shared


def test_physical_numbers_come_back_from_those_of_tiles() -> None:
    rng = np.random.default_rng(0)
    reflectance = rng.uniform(0.0, 1.2, (1, 2, 8, 8)).astype(np.float32)
    reflectance[:, 1] *= 0.2
    bands = BANDS[1:3]
    back = physical(torch.from_numpy(normalise(reflectance, bands)), bands, pictures=False)
    assert np.allclose(back.numpy(), reflectance, atol=1e-5)
    radar = SENSORS["sentinel1_grd"].bands[:2]
    decibels = rng.uniform(-25, 0, (1, 2, 8, 8)).astype(np.float32)
    both = (*radar, bands[0])
    mixed = np.concatenate([decibels, reflectance[:, :1]], 1)
    back = physical(torch.from_numpy(normalise(mixed, both)), both, pictures=False)
    assert np.allclose(back.numpy(), mixed, atol=1e-4)
    bytes_ = rng.integers(0, 256, (1, 2, 8, 8)).astype(np.uint8)
    back = physical(torch.from_numpy(normalise(bytes_, bands)), bands, pictures=True)
    assert np.allclose(back[bytes_ <= 127].numpy() * 255, bytes_[bytes_ <= 127], atol=1e-3)


def test_what_the_encoder_lacks_is_said(tmp_path: Path) -> None:
    net = made(frozen=True)
    pictures, _ = images(2)
    with pytest.raises(MissingBandError, match="lacks R here"):
        net(pictures[:, :3], BANDS[:3], "water")
    with pytest.raises(InputError, match="run: terralogue models get"):
        backbone_net("torchgeo:croma_base_sar", HEADS)


def test_it_is_trained_written_and_restored_as_a_dense_network_is(tmp_path: Path) -> None:
    pytest.importorskip("torchgeo")
    row = find_backbone("torchgeo:resnet18_sentinel2_all_moco")
    weights = tmp_path / "moco.pth"
    torch.save(FAMILIES[row.family](row).model.state_dict(), weights)  # type: ignore[operator,union-attr]
    net = backbone_net(f"{row.name}@{weights}", {"water": HEADS["water"]}, channels=16)
    pictures, labels = images()
    pack = DensePack("field", BANDS, pictures.half().numpy(), {"water": labels.numpy()})
    config = DenseTraining(minutes=1, steps=3, batch=2, size=64)
    trainer = DenseTrainer(net, config, [pack], [pack], tmp_path / "out", facts=DenseFacts())
    assert trainer.run() >= 0
    write_dense(tmp_path / "written", trainer.averaged, DenseFacts())
    settings = json.loads((tmp_path / "written" / CONFIG).read_text(encoding="utf-8"))["net"]
    again = restored(settings)
    held = load_file(tmp_path / "written" / WEIGHTS)
    again.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in held.items()})
    assert (tmp_path / "written" / WEIGHTS).stat().st_size < weights.stat().st_size / 10
    with torch.inference_mode():
        first = trainer.averaged(pictures, BANDS, "water")
        second = again.eval()(pictures, BANDS, "water")
    assert torch.allclose(first, second, atol=0.05)
