from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError
from terralogue.datasets.pictures import RGB_BANDS
from terralogue.datasets.sensors import SENSORS
from terralogue.vlm.clip import load_geoclip
from terralogue.vlm.dofa_tower import ARCHITECTURES, Architecture, DofaTowers
from terralogue.vlm.dofaclip import RED_GREEN_BLUE

TINY = Architecture(32, 8, 24, 1, 2, 2.0, context=6, vocabulary=8)
PIXELS = np.random.default_rng(0).integers(0, 256, (2, 3, 40, 32)).astype(np.uint8)

# Names and shapes of the published tensors, in this architecture: as its authors' code makes them
# and as the training log in their repository prints them.
_LAYER = "visual.trunk.patch_embed.weight_generator.transformer_encoder.layers.0"
PUBLISHED: dict[str, tuple[int, ...]] = {
    "logit_scale": (), "logit_bias": (),
    "visual.trunk.pos_embed": (1, 16, 24),
    "visual.trunk.patch_embed.weight_generator.weight_tokens": (128, 128),
    "visual.trunk.patch_embed.weight_generator.bias_token": (1, 128),
    f"{_LAYER}.self_attn.in_proj_weight": (384, 128), f"{_LAYER}.self_attn.in_proj_bias": (384,),
    f"{_LAYER}.self_attn.out_proj.weight": (128, 128), f"{_LAYER}.self_attn.out_proj.bias": (128,),
    f"{_LAYER}.linear1.weight": (2048, 128), f"{_LAYER}.linear1.bias": (2048,),
    f"{_LAYER}.linear2.weight": (128, 2048), f"{_LAYER}.linear2.bias": (128,),
    f"{_LAYER}.norm1.weight": (128,), f"{_LAYER}.norm1.bias": (128,),
    f"{_LAYER}.norm2.weight": (128,), f"{_LAYER}.norm2.bias": (128,),
    "visual.trunk.patch_embed.weight_generator.fc_weight.weight": (8 * 8 * 24, 128),
    "visual.trunk.patch_embed.weight_generator.fc_weight.bias": (8 * 8 * 24,),
    "visual.trunk.patch_embed.weight_generator.fc_bias.weight": (24, 128),
    "visual.trunk.patch_embed.weight_generator.fc_bias.bias": (24,),
    "visual.trunk.patch_embed.fclayer.w1.weight": (128, 128),
    "visual.trunk.patch_embed.fclayer.w1.bias": (128,),
    "visual.trunk.patch_embed.fclayer.w2.weight": (128, 128),
    "visual.trunk.patch_embed.fclayer.w2.bias": (128,),
    "visual.trunk.blocks.0.norm1.weight": (24,), "visual.trunk.blocks.0.norm1.bias": (24,),
    "visual.trunk.blocks.0.attn.qkv.weight": (72, 24), "visual.trunk.blocks.0.attn.qkv.bias": (72,),
    "visual.trunk.blocks.0.attn.proj.weight": (24, 24),
    "visual.trunk.blocks.0.attn.proj.bias": (24,),
    "visual.trunk.blocks.0.norm2.weight": (24,), "visual.trunk.blocks.0.norm2.bias": (24,),
    "visual.trunk.blocks.0.mlp.fc1.weight": (48, 24), "visual.trunk.blocks.0.mlp.fc1.bias": (48,),
    "visual.trunk.blocks.0.mlp.fc2.weight": (24, 48), "visual.trunk.blocks.0.mlp.fc2.bias": (24,),
    "visual.trunk.norm.weight": (24,), "visual.trunk.norm.bias": (24,),
    "visual.trunk.attn_pool.latent": (1, 1, 24),
    "visual.trunk.attn_pool.q.weight": (24, 24), "visual.trunk.attn_pool.q.bias": (24,),
    "visual.trunk.attn_pool.kv.weight": (48, 24), "visual.trunk.attn_pool.kv.bias": (48,),
    "visual.trunk.attn_pool.proj.weight": (24, 24), "visual.trunk.attn_pool.proj.bias": (24,),
    "visual.trunk.attn_pool.norm.weight": (24,), "visual.trunk.attn_pool.norm.bias": (24,),
    "visual.trunk.attn_pool.mlp.fc1.weight": (48, 24),
    "visual.trunk.attn_pool.mlp.fc1.bias": (48,),
    "visual.trunk.attn_pool.mlp.fc2.weight": (24, 48),
    "visual.trunk.attn_pool.mlp.fc2.bias": (24,),
    "text.positional_embedding": (6, 24), "text.token_embedding.weight": (8, 24),
    "text.transformer.resblocks.0.ln_1.weight": (24,),
    "text.transformer.resblocks.0.ln_1.bias": (24,),
    "text.transformer.resblocks.0.attn.in_proj_weight": (72, 24),
    "text.transformer.resblocks.0.attn.in_proj_bias": (72,),
    "text.transformer.resblocks.0.attn.out_proj.weight": (24, 24),
    "text.transformer.resblocks.0.attn.out_proj.bias": (24,),
    "text.transformer.resblocks.0.ln_2.weight": (24,),
    "text.transformer.resblocks.0.ln_2.bias": (24,),
    "text.transformer.resblocks.0.mlp.c_fc.weight": (48, 24),
    "text.transformer.resblocks.0.mlp.c_fc.bias": (48,),
    "text.transformer.resblocks.0.mlp.c_proj.weight": (24, 48),
    "text.transformer.resblocks.0.mlp.c_proj.bias": (24,),
    "text.ln_final.weight": (24,), "text.ln_final.bias": (24,),
    "text.text_projection.weight": (24, 24), "text.text_projection.bias": (24,),
}  # fmt: skip


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def state(seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(shape, generator=generator) / 5 for name, shape in PUBLISHED.items()
    }  # fmt: skip


def checkpoint(folder: Path, tensors: dict[str, Tensor]) -> Path:
    """A folder as the hub has it: weights and tokeniser."""
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "open_clip_model.safetensors")
    words = models.WordLevel({"[PAD]": 0, "[UNK]": 1, "lake": 2, "town": 3}, unk_token="[UNK]")
    tokens = Tokenizer(words)
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokens, unk_token="[UNK]", pad_token="[PAD]"
    ).save_pretrained(folder)
    return folder


def test_the_towers_have_the_published_names_and_shapes() -> None:
    built = DofaTowers(TINY).state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in built.items()} == PUBLISHED


def test_a_checkpoint_embeds_pictures_and_texts(tmp_path: Path) -> None:
    # What training put beside the towers is left out.
    tensors = {**state(), "translators.dinov2_vitl14_reg.conv1.bias": torch.zeros(4)}
    folder = checkpoint(tmp_path / "model", tensors)
    clip = load_geoclip(f"dofaclip:{folder}")
    assert clip.encode_image(PIXELS, RGB_BANDS).shape == (2, 24)
    assert clip.features(PIXELS, RGB_BANDS).shape == (2, 24)
    lake, town = clip.encode_text(["Lake.", "town"])
    assert not np.allclose(lake, town)
    np.testing.assert_allclose(lake, clip.encode_text(["lake"])[0], atol=1e-6)
    assert len(clip.classify(PIXELS, ["lake", "town"], RGB_BANDS)) == 2
    file = load_geoclip(f"dofaclip:{folder / 'open_clip_model.safetensors'}")
    assert file.fingerprint == clip.fingerprint
    other = load_geoclip(f"dofaclip:{checkpoint(tmp_path / 'other', state(1))}")
    assert other.fingerprint != clip.fingerprint


def test_every_band_counts_and_their_order_does_not(tmp_path: Path) -> None:
    clip = load_geoclip(f"dofaclip:{checkpoint(tmp_path / 'model', state())}")
    bands = SENSORS["sentinel2_l2a"].bands
    scene = np.random.default_rng(0).uniform(0, 0.3, (len(bands), 32, 32)).astype(np.float32)
    whole = clip.features(scene, bands)
    np.testing.assert_allclose(clip.features(scene[::-1], bands[::-1]), whole, atol=1e-3)
    assert not np.allclose(clip.features(scene[:-1], bands[:-1]), whole, atol=1e-3)
    # The same numbers mean something else at other wavelengths.
    assert not np.allclose(
        clip.features(scene[:3], bands[9:12]), clip.features(scene[:3], bands[:3])
    )


def test_radar_has_a_wavelength_and_heights_become_a_grey_picture(tmp_path: Path) -> None:
    clip = load_geoclip(f"dofaclip:{checkpoint(tmp_path / 'model', state())}")
    radar = SENSORS["sentinel1_grd"].bands
    backscatter = np.full((len(radar), 32, 32), -12, np.float32)
    backscatter[:, :, 20:] = -3
    assert clip.features(backscatter, radar).shape == (1, 24)
    heights = SENSORS["elevation"].bands
    slope = np.tile(np.linspace(0, 90, 32, dtype=np.float32), (1, 32, 1))
    grey = np.repeat((slope - slope.mean()) / 100, 3, axis=0)
    colours = tuple(Band(str(wave), wavelength=wave) for wave in RED_GREEN_BLUE)
    picture = clip.tile_features(grey[None], colours)
    np.testing.assert_allclose(clip.features(slope, heights), picture, atol=1e-4)


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ("", "needs a model"),
        ("{folder}/gone", "there is no checkpoint"),
        ("{folder}/short/open_clip_model.safetensors", "not those of DOFA-CLIP's tiny"),
        ("{folder}/other.safetensors", "is not a checkpoint of DOFA-CLIP"),
        ("{folder}/bare.safetensors", "tokeniser timm/ViT-B-16-SigLIP"),
        ("GeoLB-ViT-B-16-SigLIP", "run: terralogue models get dofaclip:GeoLB-ViT-B-16-SigLIP"),
        ("hf-hub:earthflow/none", "run: terralogue models get dofaclip:hf-hub:earthflow/none"),
    ],
)
def test_what_cannot_be_loaded_is_one_sentence(rest: str, says: str, tmp_path: Path) -> None:
    missing = state()
    del missing["text.ln_final.bias"]
    checkpoint(tmp_path / "short", missing)
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    save_file(state(), tmp_path / "bare.safetensors")
    with pytest.raises(InputError, match=says):
        load_geoclip(f"dofaclip:{rest.format(folder=tmp_path)}")
