"""The image tower: any bands → a pyramid of features, and one vector in the space of the texts.

tower = ImageTower.build("lite0", pretrained=True)
vector = tower(images, bands)            # (n, 384), L2-normalised
levels = tower.pyramid(images, bands)    # strides 2, 4, 8, 16, 32
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from terralogue.datasets.bands import Band
from terralogue.vlm.stem import WavelengthStem
from terralogue.vlm.trunk import build_trunk

# Blocks of EfficientNet after which the stride is 2, 4, 8, 16 and 32.
_LEVELS: Final = (0, 1, 2, 4, 6)


@dataclass(frozen=True)
class TowerConfig:
    """What is needed to build the tower before its weights are loaded.

    Attributes:
        trunk: key of TRUNKS.
        dimensions: of the shared space.
        hidden: width of the hidden layer of the projection.
        folded: whether the batch norms are merged into the convolutions.
    """

    trunk: str = "lite0"
    dimensions: int = 384
    hidden: int = 768
    folded: bool = True


class ImageTower(nn.Module):
    """Wavelength-conditioned stem, EfficientNet-Lite trunk, projection into the text space."""

    def __init__(self, config: TowerConfig, *, pretrained: bool = False) -> None:
        """Build the tower; see `TowerConfig`. `pretrained` loads ImageNet weights into the trunk.

        Raises:
            InputError: the trunk's name or weights cannot be used.
        """
        super().__init__()
        self.config = config
        trunk = build_trunk(config.trunk, pretrained=pretrained, fold=config.folded)
        first = trunk.conv_stem
        assert isinstance(first, nn.Conv2d)
        bias = first.bias if first.bias is not None else torch.zeros(first.out_channels)
        self.stem = WavelengthStem(first.weight, bias)
        trunk.conv_stem = nn.Identity()
        self.trunk = trunk
        self.features_width = int(trunk.num_features)  # type: ignore[arg-type]
        self.skip = nn.Linear(self.features_width, config.dimensions)
        self.project = nn.Sequential(
            nn.LayerNorm(self.features_width),
            nn.Linear(self.features_width, config.hidden),
            nn.GELU(),
            nn.Dropout(0.1),
            nn.Linear(config.hidden, config.dimensions),
        )

    @property
    def settings(self) -> dict[str, object]:
        """The configuration, JSON-compatible."""
        return asdict(self.config)

    def pyramid(
        self, images: Tensor, bands: Sequence[Band], *, learn_stem: bool = True
    ) -> list[Tensor]:
        """Features at strides 2, 4, 8, 16 and 32 of (n, bands, H, W) in about -1 to 1.

        Args:
            images: as `datasets.tiles` gives them; float32 or bfloat16.
            bands: along the second axis.
            learn_stem: let gradients reach the stem.

        Returns:
            Five maps (n, channels, H/stride, W/stride); Lite0 has 16, 24, 40, 112, 320 channels.
        """
        x = self.stem(images, bands)
        x = self.trunk.bn1(x if learn_stem else x.detach())  # type: ignore[operator]
        levels = []
        for i, block in enumerate(self.trunk.blocks):  # type: ignore[arg-type]
            x = block(x)
            if i in _LEVELS:
                levels.append(x)
        return levels

    def features(self, images: Tensor, bands: Sequence[Band], *, learn_stem: bool = True) -> Tensor:
        """Pooled features of the trunk, before any projection: (n, features_width)."""
        x = self.pyramid(images, bands, learn_stem=learn_stem)[-1]
        pooled: Tensor = self.trunk.bn2(self.trunk.conv_head(x)).float()  # type: ignore[operator]
        return pooled.mean((2, 3))

    def head(self, features: Tensor) -> Tensor:
        """Project pooled features into the shared space: (n, dimensions), L2-normalised."""
        # In half precision, near neighbours could not be told apart.
        with torch.autocast(features.device.type, enabled=False):
            features = features.float()
            return F.normalize(self.skip(features) + self.project(features), dim=-1)

    def forward(self, images: Tensor, bands: Sequence[Band], *, learn_stem: bool = True) -> Tensor:
        """Embed (n, bands, H, W) images: (n, dimensions), L2-normalised."""
        return self.head(self.features(images, bands, learn_stem=learn_stem))


def freeze(tower: ImageTower, blocks: int, *, depthwise: bool) -> None:
    """Exclude the stem's pretrained kernels and the first blocks from training.

    Args:
        tower: to fine-tune.
        blocks: how many of the seven stages stay as they are.
        depthwise: keep all depthwise kernels too. They hold 3 % of the weights, and their
            gradients take half of the time of a step on a CPU.
    """
    tower.stem.weight.requires_grad_(False)
    tower.stem.bias.requires_grad_(False)
    for block in list(tower.trunk.blocks)[:blocks]:  # type: ignore[arg-type]
        block.requires_grad_(False)
    for module in tower.trunk.modules():
        if depthwise and isinstance(module, nn.Conv2d) and module.groups > 1:
            module.weight.requires_grad_(False)
