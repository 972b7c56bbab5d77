"""Architecture of DOFA-CLIP (Xiong et al. 2025, arXiv 2503.06312): any bands, by wavelength.

Written from the paper and from the names and shapes of its tensors, as the authors' code has them:
`src/open_clip/dofa_patch_embed.py` of github.com/xiong-zhitong/geolb_open_clip (kernel generator),
`open_clip/src/open_clip/timm_model.py`, `model.py` and `model_configs` of
github.com/xiong-zhitong/DOFA-CLIP (towers), and the printed model in its `geolb_training.out`. For
ViT-B/16 these tensors add up to 914.7 MB; the published file has 915 MB.

The image tower is a SigLIP vision transformer whose patch kernels a small transformer makes anew
for each set of wavelengths. The text tower is SigLIP's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch
import torch.nn.functional as F  # noqa: N812
from open_clip.transformer import LayerNorm, TextTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from terralogue.datasets.errors import InputError

_WAVE = 128
_TOKENS = 128
_HEADS = 4
# Keeps generated kernels as small as those of a trained convolution.
_KERNEL_SCALE = 0.01
_EPSILON = 1e-6


@dataclass(frozen=True)
class Architecture:
    """Sizes of both towers, which share width, depth, heads and the ratio of their MLPs.

    Attributes:
        image: side of the input in pixels.
        patch: side of a patch in pixels.
        width: of the towers and of the common space.
        depth: blocks of each tower.
        heads: of the attention.
        mlp_ratio: hidden width of the MLPs in units of `width`.
        context: tokens of a text.
        vocabulary: of the tokeniser.
    """

    image: int
    patch: int
    width: int
    depth: int
    heads: int
    mlp_ratio: float = 4.0
    context: int = 64
    vocabulary: int = 32000


# ★ One line per architecture; the names are those of the authors' configuration files.
ARCHITECTURES: Final[dict[str, Architecture]] = {
    "GeoLB-ViT-B-16-SigLIP": Architecture(224, 16, 768, 12, 12),
    "GeoLB-ViT-14-so400m-SigLIP-384": Architecture(384, 14, 1152, 27, 16, 3.7362),
}


class KernelGenerator(nn.Module):
    """Wavelengths → one patch kernel for each, and a bias for all."""

    def __init__(self, patch: int, width: int) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(_WAVE, _HEADS, activation="gelu", dropout=0.0)
        self.transformer_encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.fc_weight = nn.Linear(_WAVE, patch * patch * width)
        self.fc_bias = nn.Linear(_WAVE, width)
        self.weight_tokens = nn.Parameter(torch.randn(_TOKENS, _WAVE) * 0.02)
        self.bias_token = nn.Parameter(torch.randn(1, _WAVE) * 0.02)

    def forward(self, waves: Tensor) -> tuple[Tensor, Tensor]:
        """(bands, 128) → kernels (bands, patch * patch * width), bias (width,)."""
        out = self.transformer_encoder(torch.cat([self.weight_tokens, waves, self.bias_token]))
        return self.fc_weight(out[_TOKENS:-1] + waves), self.fc_bias(out[-1])


class WaveLayer(nn.Module):
    """A residual step on the encoded wavelengths."""

    def __init__(self) -> None:
        super().__init__()
        self.w1 = nn.Linear(_WAVE, _WAVE)
        self.w2 = nn.Linear(_WAVE, _WAVE)

    def forward(self, waves: Tensor) -> Tensor:
        """(bands, 128) → (bands, 128)."""
        return waves + F.relu(self.w2(F.relu(self.w1(waves))))


class WavelengthPatches(nn.Module):
    """Patch embedding for any bands.

    Args:
        patch: side of a patch in pixels.
        width: of a patch's embedding.
    """

    def __init__(self, patch: int, width: int) -> None:
        super().__init__()
        self.patch, self.width = patch, width
        self.weight_generator = KernelGenerator(patch, width)
        self.fclayer = WaveLayer()

    def forward(self, images: Tensor, wavelengths: Tensor) -> Tensor:
        """Images (n, bands, H, W) and wavelengths (bands,) in µm → (n, patches, width)."""
        waves = self.fclayer(encoded(wavelengths * 1000))
        kernels, bias = self.weight_generator(waves)
        kernels = kernels.view(-1, self.patch, self.patch, self.width).permute(3, 0, 1, 2)
        out = F.conv2d(
            images, kernels * _KERNEL_SCALE, bias * _KERNEL_SCALE, stride=self.patch
        )  # fmt: skip
        return out.flatten(2).transpose(1, 2)


class ImageTower(nn.Module):
    """The vision transformer with attention pooling."""

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        self.trunk: Any = VisionTransformer(
            img_size=sizes.image, patch_size=sizes.patch, embed_dim=sizes.width,
            depth=sizes.depth, num_heads=sizes.heads, mlp_ratio=sizes.mlp_ratio,
            class_token=False, global_pool="map", num_classes=0,
        )  # fmt: skip
        self.trunk.patch_embed = WavelengthPatches(sizes.patch, sizes.width)

    def forward(self, images: Tensor, wavelengths: Tensor) -> Tensor:
        """Images (n, bands, H, W) and wavelengths (bands,) in µm → (n, width)."""
        x = self.trunk.patch_embed(images, wavelengths) + self.trunk.pos_embed
        pooled: Tensor = self.trunk.attn_pool(self.trunk.norm(self.trunk.blocks(x)))
        return pooled


class DofaTowers(nn.Module):
    """Both towers, with the tensor names of the authors' checkpoints.

    Args:
        sizes: a line of ARCHITECTURES.
    """

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        self.visual = ImageTower(sizes)
        self.text = TextTransformer(
            context_length=sizes.context, vocab_size=sizes.vocabulary, width=sizes.width,
            heads=sizes.heads, layers=sizes.depth, mlp_ratio=sizes.mlp_ratio,
            output_dim=sizes.width, no_causal_mask=True, pool_type="last", proj_bias=True,
            norm_layer=partial(LayerNorm, eps=_EPSILON),
        )  # fmt: skip
        self.logit_scale = nn.Parameter(torch.zeros([]))
        self.logit_bias = nn.Parameter(torch.zeros([]))

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Tokens (n, context) → (n, width)."""
        embedded: Tensor = self.text(tokens)
        return embedded


def encoded(values: Tensor) -> Tensor:
    """Sines and cosines of (m,) wavelengths in nm at 64 frequencies: (m, 128)."""
    half = _WAVE // 2
    frequencies = 10000.0 ** -(torch.arange(half, device=values.device) / half)
    phase = values[:, None] * frequencies
    return torch.cat([phase.sin(), phase.cos()], dim=1)


def architecture_of(state: Mapping[str, Tensor], where: str) -> str:
    """The architecture that a checkpoint has, by its tensors' shapes.

    Args:
        state: its tensors.
        where: for the message.

    Raises:
        InputError: it has none of ARCHITECTURES.
    """
    position = state.get("visual.trunk.pos_embed")
    depth = sum(name.endswith("attn.qkv.weight") for name in state)
    for name, sizes in ARCHITECTURES.items():
        shape = (1, (sizes.image // sizes.patch) ** 2, sizes.width)
        if position is not None and tuple(position.shape) == shape and depth == sizes.depth:
            return name
    raise InputError(
        f"{where} is not a checkpoint of DOFA-CLIP; its architecture has to be one of "
        + ", ".join(ARCHITECTURES)
    )
