"""The image tower's first stages as the encoder of a change network for pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from torch import Tensor, nn

from terralogue.datasets.bands import Band
from terralogue.vlm.tower import ImageTower, TowerConfig

# Stages of EfficientNet-Lite0 up to stride 16, and those after which the stride doubles.
_STAGES, _ENDS = 5, (0, 1, 2, 4)
_PICTURE: Final = {"R": 0.665, "G": 0.560, "B": 0.490}
"""Centre wavelengths in µm of a picture's bands."""
# The standard deviation of pictures in the tower's range of -1 to 1.
_SPREAD: Final = 0.4


class TowerLevels(nn.Module):
    """Features at strides 2, 4, 8 and 16 with 16, 24, 40 and 112 channels."""

    def __init__(self, bands: Sequence[str]) -> None:
        """Build it with random weights; `adopt` takes those of a trained tower."""
        super().__init__()
        self.bands = tuple(
            Band(name=name, common=name, wavelength=_PICTURE[name], kind="optical")
            for name in bands
        )
        self._take(ImageTower(TowerConfig()))

    def adopt(self, tower: ImageTower) -> None:
        """Begin with the stages of a trained tower."""
        self._take(tower)

    def _take(self, tower: ImageTower) -> None:
        self.stem, self.norm = tower.stem, tower.trunk.bn1
        self.blocks = nn.ModuleList(list(tower.trunk.blocks)[:_STAGES])  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> list[Tensor]:
        """Levels, finest first, of (n, bands, H, W) in about -1 to 1."""
        x = self.norm(self.stem(_SPREAD * x, self.bands))  # type: ignore[operator]
        found = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in _ENDS:
                found.append(x)
        return found
