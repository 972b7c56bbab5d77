"""Networks that compare two dates of one place pixel by pixel, and their checkpoints.

ensemble = read_change(WEIGHTS_FOLDER / "change_rgb")
probability = ensemble.probability(before, after, seen)

Both dates go through one encoder, and what the decoder sees are absolute differences of their
features (FC-Siam-diff, Daudt et al. 2018, doi:10.1109/ICIP.2018.8451652), so before and after may
be exchanged. A checkpoint holds several networks that were trained on different places; the mean of
their logits counts. Inputs are standardised over the scene, each band and date by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from terralogue.tools.change_facts import ChangeFacts, facts_of
from terralogue.tools.change_features import Piece
from terralogue.vlm.weight_files import read_weights, write_weights

WEIGHTS: Final = "change.safetensors"
# Side of the pieces that a network sees at once, and the surroundings that are cut off again.
PIECE, CONTEXT = 512, 48
_LEVELS: Final = (16, 24, 40, 112)

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ChangeConfig:
    """What is needed to build a network before its weights are loaded.

    Attributes:
        kind: "unet" (full resolution, from nothing) or "tower" (the image tower's first stages).
        bands: common names, along the bands axis.
        width: channels of the first level of the U-Net, or of the tower's last decoder level.
        fuse: "difference" of the features, or "both": the difference and the mean.
        dropout: share of channels left out after each level while training.
    """

    kind: str
    bands: tuple[str, ...]
    width: int = 16
    fuse: str = "difference"
    dropout: float = 0.1


class _Block(nn.Module):
    """Two 3 x 3 convolutions with a way around them."""

    def __init__(self, channels: int, out: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, out, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out)
        self.second = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out)
        self.around = nn.Conv2d(channels, out, 1)
        self.drop = nn.Dropout2d(dropout)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.first(x)))
        out: Tensor = self.drop(F.relu(self.norm2(self.second(y)) + self.around(x)))
        return out


def _conv(channels: int, out: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, padding=1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(),
        nn.Dropout2d(dropout),
    )


class _Decoder(nn.Module):
    """From the coarsest level up; each finer one is joined where it belongs."""

    def __init__(self, levels: Sequence[int], widths: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.join = nn.ModuleList()
        below = levels[-1]
        for level, width in zip(reversed(levels[:-1]), reversed(widths), strict=True):
            self.join.append(_conv(below + level, width, dropout))
            below = width
        self.out = nn.Conv2d(below, 1, 1)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        x = levels[-1]
        for join, level in zip(self.join, reversed(levels[:-1]), strict=True):
            x = F.interpolate(x, size=level.shape[-2:], mode="bilinear", align_corners=False)
            x = join(torch.cat([x, level], dim=1))
        out: Tensor = self.out(x)
        return out


class ChangeNet(nn.Module):
    """One network: two dates → logit of change."""

    def __init__(self, config: ChangeConfig) -> None:
        """Build it with random weights; see `ChangeConfig`."""
        super().__init__()
        self.config = config
        self.encoder: nn.Module
        if config.kind == "unet":
            levels = [config.width * factor for factor in (1, 2, 4, 8)]
            self.encoder = _Levels(len(config.bands), levels, config.dropout)
            widths = levels[:-1]
        else:
            from terralogue.tools.change_tower import TowerLevels

            self.encoder, levels = TowerLevels(config.bands), list(_LEVELS)
            widths = [config.width, 2 * config.width, 3 * config.width]
        factor = 2 if config.fuse == "both" else 1
        self.decoder = _Decoder([factor * level for level in levels], widths, config.dropout)

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """Logits (n, H, W) of standardised dates (n, bands, H, W); H and W multiples of 16."""
        count = len(before)
        fused = []
        for level in self.encoder(torch.cat([before, after])):
            first, second = level[:count], level[count:]
            difference = (first - second).abs()
            both = self.config.fuse == "both"
            fused.append(torch.cat([difference, (first + second) / 2], 1) if both else difference)
        logits = self.decoder(fused)
        if logits.shape[-2:] != before.shape[-2:]:
            size = before.shape[-2:]
            logits = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
        found: Tensor = logits[:, 0].float()
        return found


class _Levels(nn.Module):
    """The encoder of the U-Net: residual blocks at strides 1, 2, 4 and 8."""

    def __init__(self, bands: int, widths: Sequence[int], dropout: float) -> None:
        super().__init__()
        sizes = [bands, *widths]
        self.blocks = nn.ModuleList(
            _Block(sizes[i], sizes[i + 1], dropout) for i in range(len(widths))
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        found = []
        for number, block in enumerate(self.blocks):
            x = block(F.max_pool2d(x, 2) if number else x)
            found.append(x)
        return found


@dataclass(frozen=True)
class Ensemble:
    """Networks that vote, and the facts about them.

    Attributes:
        nets: in evaluation mode.
        facts: see `ChangeFacts`.
        flips: how many of the four mirrored views of a piece are averaged.
        fingerprint: first 16 hex digits of the SHA-256 of the weights file.
    """

    nets: tuple[ChangeNet, ...]
    facts: ChangeFacts = field(default_factory=ChangeFacts)
    flips: int = 1
    fingerprint: str = ""

    @property
    def bands(self) -> tuple[str, ...]:
        """Common names of the bands it takes; those of a scene without one are zero."""
        return self.nets[0].config.bands

    @property
    def halo(self) -> int:
        """Pixels of surroundings that are read with a window and cut off again."""
        return CONTEXT

    @property
    def what(self) -> str:
        """In a few words."""
        many = f"{len(self.nets)} Siamese networks" if len(self.nets) > 1 else "a Siamese network"
        return f"{many}, each date standardised by itself"

    def begin(self, pieces: Sequence[Piece]) -> Callable[[Piece], Floats]:
        """Standardise either date of a pair; gives what maps a piece to probabilities (H, W)."""
        standards = [
            standard(
                np.concatenate([piece[number][:, piece.seen] for piece in pieces], axis=1),
                root=self.facts.reflectance,
            )
            for number in (0, 1)
        ]

        def probability(piece: Piece) -> Floats:
            before, after = (
                each(date) * piece.seen
                for each, date in zip(standards, (piece.before, piece.after), strict=True)
            )
            return self.probability(before, after)

        return probability

    def logits(self, before: Floats, after: Floats, device: str = "cpu") -> Floats:
        """Mean logit of change.

        Args:
            before: standardised bands (bands, H, W) of one date, 0 where not observed.
            after: of the other.
            device: of torch.

        Returns:
            float32 (H, W), before calibration.
        """
        height, width = before.shape[1:]
        found = np.zeros((height, width), np.float32)
        for net in self.nets:
            net.to(device)
        with torch.inference_mode():
            for row in range(0, height, PIECE):
                for column in range(0, width, PIECE):
                    top, left = max(row - CONTEXT, 0), max(column - CONTEXT, 0)
                    bottom = min(row + PIECE + CONTEXT, height)
                    right = min(column + PIECE + CONTEXT, width)
                    dates = [d[None, :, top:bottom, left:right] for d in (before, after)]
                    part = self._piece(*(torch.from_numpy(d.copy()).to(device) for d in dates))
                    inner = part[row - top : row - top + PIECE, column - left :][:, :PIECE]
                    target = found[row : row + PIECE, column : column + PIECE]
                    target[:] = inner[: target.shape[0], : target.shape[1]]
        return found

    def _piece(self, before: Tensor, after: Tensor) -> Floats:
        height, width = before.shape[-2:]
        # One shape on a GPU, where each new one has to be set up.
        step = 16 if before.device.type == "cpu" else PIECE + 2 * CONTEXT
        pad = (0, -width % step, 0, -height % step)
        dates = [F.pad(date, pad, mode="replicate") for date in (before, after)]
        total = torch.zeros(dates[0].shape[-2:], device=before.device)
        views: list[list[int]] = [[], [-1], [-2], [-2, -1]]
        for net in self.nets:
            for axes in views[: self.flips]:
                turned = [date.flip(axes) if axes else date for date in dates]
                logits = net(turned[0], turned[1])
                total += (logits.flip(axes) if axes else logits)[0]
        mean = total / (len(self.nets) * self.flips)
        return np.asarray(mean[:height, :width].cpu().numpy(), np.float32)

    def probability(self, before: Floats, after: Floats) -> Floats:
        """Calibrated probability of change (H, W); see `logits`."""
        logits = self.facts.slope * self.logits(before, after) + self.facts.offset
        return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))), np.float32)


@dataclass(frozen=True)
class Standard:
    """Middle and spread of each band of one date, so that (x - middle) / spread is about -1 to 1.

    Reflectance is taken as its square root, which makes noise alike in the dark and the bright;
    pictures as they are.
    """

    middle: Floats
    spread: Floats
    root: bool

    def __call__(self, data: Floats) -> Floats:
        """Standardise (bands, H, W); what is not observed becomes 0."""
        values = stored(data, self.root)
        shape = (-1, *([1] * (values.ndim - 1)))
        found = (values - self.middle.reshape(shape)) / self.spread.reshape(shape)
        return np.where(np.isfinite(found), np.clip(found, -6, 6), np.float32(0))


def stored(data: Floats, root: bool) -> Floats:
    """Reflectance 0 to 1 (or bytes) as 0 to 255, by its root; NaN stays."""
    if not root:
        return data
    return np.asarray(255 * np.sqrt(np.clip(data, 0, 1)), np.float32)


def standard(samples: Floats, *, root: bool) -> Standard:
    """Learn from samples (bands, pixels): mean and standard deviation without the outer 2 %.

    A band that does not vary, or has no sample, gets the spread 1.
    """
    values = stored(samples, root)
    middle, spread = np.zeros(len(values), np.float32), np.ones(len(values), np.float32)
    for number, band in enumerate(values):
        known = band[np.isfinite(band)]
        if known.size:
            known = np.clip(known, *np.percentile(known, (1, 99)))
            middle[number], spread[number] = known.mean(), max(float(known.std()), 1.0)
    return Standard(middle, spread, root)


def write_change(
    folder: Path, nets: Sequence[ChangeNet], facts: ChangeFacts, flips: int = 1
) -> str:
    """Write all networks in half precision; each of the two files appears whole or not at all.

    Returns:
        SHA-256 of the weights file.
    """
    tensors = {
        f"{number}.{name}": value
        for number, net in enumerate(nets)
        for name, value in net.state_dict().items()
    }
    settings = {
        "nets": [asdict(net.config) for net in nets], "flips": flips, "facts": asdict(facts),
    }  # fmt: skip
    return write_weights(folder, WEIGHTS, tensors, settings)


def _understood(known: dict[str, Any]) -> tuple[list[ChangeConfig], ChangeFacts, int]:
    return [_config(each) for each in known["nets"]], facts_of(known["facts"]), int(known["flips"])


@lru_cache(maxsize=4)
def read_change(folder: Path) -> Ensemble:
    """Read a checkpoint and check it against the SHA-256 in its configuration.

    Raises:
        InputError: a file is missing or broken, or the weights are not those of the configuration.
    """
    (configs, facts, flips), tensors, digest = read_weights(folder, WEIGHTS, _understood)
    nets = []
    for number, config in enumerate(configs):
        net, head = ChangeNet(config), f"{number}."
        net.load_state_dict(
            {
                name.removeprefix(head): value
                for name, value in tensors.items()
                if name.startswith(head)
            }
        )
        nets.append(net.eval())
    return Ensemble(tuple(nets), facts, flips, digest[:16])


def _config(given: Mapping[str, Any]) -> ChangeConfig:
    return ChangeConfig(**{**given, "bands": tuple(given["bands"])})
