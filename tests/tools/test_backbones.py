"""BACKBONES, on tiny untrained models of the architectures, saved as checkpoints are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision.models.swin_transformer import (
    PatchMergingV2,
    SwinTransformer,
    SwinTransformerBlockV2,
)

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError, MissingBandError
from terralogue.datasets.sensors import SENSORS
from terralogue.tools import foundation_listing
from terralogue.tools.backbone_families import FAMILIES, Encoder, taps
from terralogue.tools.backbone_loading import LoadedBackbone, load_backbone, open_backbone
from terralogue.tools.backbones import BACKBONES, SAR, Backbone, find_backbone

api = pytest.importorskip("torchgeo.models.api")

L1C = SENSORS["sentinel2_l1c"].bands
RADAR = SENSORS["sentinel1_grd"].bands[:2]
SMALL = {"embed_dim": 32, "depth": 6, "num_heads": 2}


def tiny(monkeypatch: pytest.MonkeyPatch, name: str) -> Backbone:
    """A row whose architecture is small; its builder is the library's own class."""
    row = find_backbone(name)
    if row.family in ("vit", "prithvi"):
        return replace(row, options={**row.options, **SMALL})
    from torchgeo.models.copernicusfm import CopernicusFM
    from torchgeo.models.croma import CROMA
    from torchgeo.models.dofa import DOFA
    from torchgeo.models.panopticon import Panopticon
    from torchgeo.models.scale_mae import ScaleMAE

    builders: dict[str, Callable[..., Any]] = {
        "dofa": partial(DOFA, **SMALL),
        "copernicusfm": partial(CopernicusFM, **SMALL),
        "croma": partial(CROMA, encoder_dim=64, encoder_depth=12, num_heads=16),
        "scalemae": partial(ScaleMAE, patch_size=16, **SMALL),
        "panopticon": partial(Panopticon, attn_dim=48, embed_dim=32),
        "swin": partial(
            SwinTransformer, patch_size=[4, 4], embed_dim=24, depths=[1, 1, 1, 1],
            num_heads=[1, 2, 2, 4], window_size=[4, 4], block=SwinTransformerBlockV2,
            downsample_layer=PatchMergingV2,
        ),
    }  # fmt: skip
    if row.family == "panopticon":
        monkeypatch.setattr(timm, "create_model", partial(timm.create_model, **SMALL))
    if row.family in builders:
        monkeypatch.setitem(api._model, row.builder, builders[row.family])
    return replace(row, size=48) if row.family == "croma" else row


def saved(row: Backbone, path: Path) -> Path:
    """Untrained weights in the form of the published file."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = FAMILIES[row.family](row)
    state: dict[str, Any] = dict(encoder.model.state_dict())  # type: ignore[operator,union-attr]
    if row.family == "croma":
        state = {
            part: {k.removeprefix(f"{part}."): v for k, v in state.items() if k.startswith(part)}
            for part in {key.partition(".")[0] for key in state} - {"attn_bias"}
        }
    torch.save(state, path)
    return path


FAMILY_ROWS = [
    "torchgeo:resnet18_sentinel2_all_moco",
    "torchgeo:vit_small_patch16_224_sentinel2_all_dino",
    "torchgeo:vit_small_patch14_dinov2_sentinel2_all_softcon",
    "torchgeo:swin_v2_t_sentinel2_si_ms_satlas",
    "torchgeo:dofa_base_patch16_224",
    "torchgeo:copernicusfm_base",
    "torchgeo:panopticon_vitb14",
    "torchgeo:croma_base_optical",
    "torchgeo:croma_base_joint",
    "torchgeo:scalemae_large_patch16_fmow_rgb",
]


@pytest.mark.parametrize("name", FAMILY_ROWS)
def test_every_architecture_gives_four_maps_from_a_checkpoint_whatever_the_order_of_the_bands(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = tiny(monkeypatch, name)
    backbone = open_backbone(row, saved(row, tmp_path / "weights.pth")).eval()
    bands = (*RADAR, *L1C) if row.options.get("modality") == "joint" else L1C[1:4]
    bands = L1C if row.bands and not set(SAR) & set(row.bands) else bands
    images = torch.rand(2, len(bands), 96, 96)
    images[:, :, :8] = torch.nan
    with torch.inference_mode():
        maps = backbone(images, bands)
        turned = backbone(images.flip(1), bands[::-1])
        other = backbone(images * 0.5, bands)
    assert [each.shape[1] for each in maps] == list(backbone.channels)
    assert all(bool(each.isfinite().all()) for each in maps)
    stride = (row.size or 96) // row.stride
    assert maps[-1].shape == (2, backbone.channels[-1], stride, stride)
    if row.bands:
        assert all(torch.equal(a, b) for a, b in zip(maps, turned, strict=True))
    assert not torch.allclose(maps[-1], other[-1])


def test_maps_are_read_at_the_blocks_of_pangaea() -> None:
    assert taps(12) == (3, 5, 7, 11)
    assert taps(24) == (7, 11, 15, 23)


def test_rows_of_torchgeo_say_what_its_weights_say() -> None:
    known = {str(each.url): each for group in api._model_weights.values() for each in group}
    names = {"B8a": "N2", **{f"B{i}": b.common or "B10" for i, b in _numbered()}}
    rows = [row for row in BACKBONES if row.library == "torchgeo"]
    assert len(rows) > 35
    for row in rows:
        (weights,) = {
            str(url): each
            for url, each in known.items()
            if row.source in url and url.endswith(f"/{row.file}")
        }.values()
        meta = weights.meta
        if not row.bands or "croma" in row.name or "scalemae" in row.name:
            continue
        assert meta["in_chans"] == len(row.bands), row.name
        if row.sensors[0] in ("sentinel2_l1c", "sentinel1_grd") and "satlas" not in row.name:
            assert [names.get(band, band) for band in meta["bands"]] == list(row.bands)
            _same_normalisation(row, weights.transforms)


def _numbered() -> list[tuple[str, Band]]:
    return [(band.name.lstrip("B0"), band) for band in L1C]


def _same_normalisation(row: Backbone, transforms: nn.Module) -> None:
    side = row.size or 32
    images = torch.rand(1, len(row.bands), side, side)
    expected = images if row.bands == SAR else images * 1e4
    for step in transforms:  # type: ignore[attr-defined]
        if type(step).__name__ == "Normalize":
            expected = step(expected.clone())
    (found,) = bare(row)(images, [_band(name) for name in row.bands])
    assert torch.allclose(found, expected, atol=1e-4), row.name


class _Nothing(Encoder):
    """Gives back what an encoder would see."""

    channels = (1, 1, 1, 1)

    def forward(self, images: Tensor, bands: Any) -> list[Tensor]:
        return [images]


def bare(row: Backbone, statistics: Any = None) -> LoadedBackbone:
    return LoadedBackbone(row, _Nothing(), statistics)


def _band(name: str) -> Band:
    return next(band for band in (*L1C, *RADAR) if band.answers_to(name))


def test_a_band_that_is_not_there_is_named() -> None:
    backbone = bare(find_backbone("torchgeo:resnet18_sentinel2_all_moco"))
    with pytest.raises(MissingBandError, match=r"reads 13 bands and lacks B10 here"):
        backbone(torch.rand(1, 12, 8, 8), [band for band in L1C if band.name != "B10"])
    dofa = bare(find_backbone("torchgeo:dofa_base_patch16_224"))
    with pytest.raises(InputError, match="optical bands or radar, not both"):
        dofa(torch.rand(1, 3, 8, 8), [*RADAR, L1C[1]])
    with pytest.raises(InputError, match="cannot take lwir; leave it out"):
        dofa(torch.rand(1, 1, 8, 8), [Band("lwir", 10.9, kind="thermal", common="T1")])
    with pytest.raises(InputError, match="publishes no constants to normalise pan"):
        dofa(torch.rand(1, 1, 8, 8), [Band("pan", 0.6)])
    given = bare(dofa.row, {"pan": (0.1, 0.1)})
    assert given(torch.full((1, 1, 8, 8), 0.3), [Band("pan", 0.6)])[0].allclose(torch.tensor(2.0))


def test_the_other_near_infrared_band_serves_where_only_that_is_there() -> None:
    row = find_backbone("terratorch:prithvi_eo_v2_300")
    backbone = bare(row)
    bands = [_band(name) for name in ("B", "G", "R", "N", "S1", "S2")]
    assert backbone(torch.rand(1, 6, 8, 8), bands)[0].shape[1] == 6


def test_weights_of_another_architecture_and_damaged_ones_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = tiny(monkeypatch, "torchgeo:vit_small_patch16_224_sentinel2_all_moco")
    other = tmp_path / "other.pth"
    torch.save({"conv.weight": torch.zeros(1)}, other)
    with pytest.raises(InputError, match="does not hold the weights of torchgeo:vit_small"):
        open_backbone(row, other)
    path = saved(row, tmp_path / "weights.pth")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    right, wrong = tmp_path / f"vit-{digest[:8]}.pth", tmp_path / "vit-01234567.pth"
    for named in (right, wrong):
        named.write_bytes(path.read_bytes())
    open_backbone(row, right)
    with pytest.raises(InputError, match="is damaged: its SHA-256 begins with"):
        open_backbone(row, wrong)
    path.write_bytes(b"no weights")
    with pytest.raises(InputError, match="cannot be read as weights"):
        open_backbone(row, path)


def test_what_cannot_be_loaded_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no backbone 'torchgeo:oracle'; the names are"):
        load_backbone("torchgeo:oracle")
    with pytest.raises(InputError, match="run: terralogue models get torchgeo:croma_base_sar"):
        load_backbone("torchgeo:croma_base_sar")
    with pytest.raises(InputError, match="There is no file"):
        load_backbone(f"torchgeo:croma_base_sar@{tmp_path / 'none.pth'}")
    with pytest.raises(InputError, match="trained from nothing"):
        load_backbone("baseline:unet")
    with pytest.raises(InputError, match="trained from nothing"):
        foundation_listing.get("baseline:unet")


def test_every_row_names_sensors_that_carry_its_bands_and_where_its_weights_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert len({row.name for row in BACKBONES}) == len(BACKBONES)
    for row in BACKBONES:
        carried = [band for key in row.sensors for band in SENSORS[key].bands]
        assert all(any(band.answers_to(name) for band in carried) for name in row.bands), row.name
        numbers = row.scaling.mean if row.scaling else ()
        assert len(numbers) in (0, 1, len(row.bands)), row.name
    foundation_listing.print_list(as_json=True)
    listed = capsys.readouterr().out
    assert all(f'"{row.name}"' in listed for row in BACKBONES if row.file)


# TerraTorch's own code warns (clay_v1/modules.py).
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "name",
    ["terratorch:prithvi_eo_v2_300_tl", "terratorch:terramind_v1_tiny_s2l2a",
     "terratorch:terramind_v1_tiny_s1grd", "terratorch:clay_v1_base"],
)  # fmt: skip
def test_models_of_terratorch_give_maps_from_a_checkpoint(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("terratorch")
    row = tiny(monkeypatch, name)
    encoder = FAMILIES[row.family](row)
    model: Any = encoder.model
    state = dict(model.state_dict())
    if row.family == "prithvi":
        state = {f"encoder.{key}": value for key, value in state.items()}
    if row.family == "clay":
        inside = model.clay_encoder.state_dict().items()
        state = {"state_dict": {f"model.encoder.{key}": value for key, value in inside}}
    torch.save(state, tmp_path / "weights.pt")
    backbone = open_backbone(row, tmp_path / "weights.pt").eval()
    bands = SENSORS[row.sensors[0]].bands
    with torch.inference_mode():
        maps = backbone(torch.rand(1, len(bands), 64, 64), bands)
    side = row.size // row.stride
    assert [tuple(each.shape) for each in maps] == [(1, c, side, side) for c in backbone.channels]
    del state[next(iter(state))]
    torch.save(state, tmp_path / "weights.pt")
    with pytest.raises(InputError, match="does not hold the weights"):
        open_backbone(row, tmp_path / "weights.pt")
