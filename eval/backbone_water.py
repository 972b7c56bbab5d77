"""Cloud networks as encoders for water: frozen and fine-tuned, in the folds of `ms_water`.

    python -m terralogue.eval.backbone_water --data FOLDER --pack packs/water_s2l8.npz

The encoders are the EfficientNet-B4 of the two six-band networks of ukis-csmask. A light decoder
takes the levels of their pyramid, the last map of their own decoder, the bands and three indices.
What is taken for a fold of places is chosen on the next one: the product level that the encoder was
trained for, and then whether its last two stages are trained along. The decoder on bands and
indices alone says what an encoder adds: nothing (figures in the card of the water network).

Needs segmentation-models-pytorch and ukis-csmask.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from terralogue.datasets.dense_slots import SLOTS
from terralogue.eval.backbone_ensemble import cloud_network
from terralogue.tools.dense_ms_calibration import calibrated, softmax
from terralogue.tools.dense_ms_rule import with_rule
from terralogue.tools.dense_ms_training import loss_of
from terralogue.tools.dense_ms_water import (
    FOLDS,
    Chips,
    best_threshold,
    nested_masks,
    pack_chips,
    read_chips,
    water_score,
)

Positions = NDArray[np.intp]

LEVELS: Final = ("l1c", "l2a")
STEPS: Final = 150
TUNED: Final = 40  # steps of the encoder, after those of the decoder
_CLASSES: Final = ("other", "water")
_SIX: Final = [SLOTS.index(name) for name in ("B", "G", "R", "N", "S1", "S2")]
_INDICES: Final = (("G", "S1"), ("G", "N"), ("N", "R"))
_RATE, _TUNED_RATE = 3e-3, 1e-4
_BATCH, _TUNED_BATCH, _CROP = 12, 6, 64
_STRIDE: Final = 32  # of the deepest level
_WIDTH, _HIDDEN = 8, 24
_TURNS: Final = 8  # quarter turns of the image, and of its mirror image


class Decoder(nn.Module):
    """Levels of any size, brought to the size of the image, beside what needs no encoder."""

    def __init__(self, channels: Sequence[int], plain: int) -> None:
        """Build.

        Args:
            channels: of each level.
            plain: channels of bands and indices.
        """
        super().__init__()
        self.narrow = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(each), nn.Dropout2d(0.2), nn.Conv2d(each, _WIDTH, 1))
            for each in channels
        )
        self.plain = nn.BatchNorm2d(plain)
        inside = _WIDTH * len(channels) + plain
        self.mix = nn.Sequential(
            nn.Conv2d(inside, _HIDDEN, 3, padding=1), nn.BatchNorm2d(_HIDDEN), nn.ReLU()
        )
        self.leave = nn.Conv2d(_HIDDEN, 2, 1)

    def forward(self, levels: Sequence[Tensor], plain: Tensor) -> Tensor:
        """Logits (n, 2, H, W) of levels (n, channels, h, w) and of plain maps (n, plain, H, W)."""
        size = plain.shape[2:]
        wide = [
            F.interpolate(narrow(level), size, mode="bilinear", align_corners=False)
            for narrow, level in zip(self.narrow, levels, strict=True)
        ]
        logits: Tensor = self.leave(self.mix(torch.cat([*wide, self.plain(plain)], 1)))
        return logits


@dataclass
class Encoder:
    """A cloud network, and what its images are standardised with."""

    net: Any
    mean: Tensor
    std: Tensor

    def __call__(self, reflectance: Tensor) -> list[Tensor]:
        """Levels of six bands (n, 6, H, W): from stride 2 to 32, and the decoder's last map."""
        levels = self.net.encoder((reflectance - self.mean) / self.std)
        return [*levels[1:], self.net.decoder(levels)]


@cache
def encoder_of(level: str) -> Encoder:
    """The frozen encoder for a product level."""
    net, mean, std = cloud_network(level)
    return Encoder(net.requires_grad_(requires_grad=False), mean, std)


def plain_maps(planes: Tensor) -> tuple[Tensor, Tensor]:
    """Six bands of reflectance and three indices (n, 9, H, W), and the bands alone, of slots."""
    reflectance = ((planes + 1) / 2.5) ** 2
    indices = [
        (one - other) / (one + other + 1e-3)
        for one, other in (
            (reflectance[:, SLOTS.index(a)], reflectance[:, SLOTS.index(b)]) for a, b in _INDICES
        )
    ]
    bands = reflectance[:, _SIX]
    return torch.cat((bands.sqrt(), torch.stack(indices, 1)), 1), bands


def turned(maps: Tensor, turn: int) -> Tensor:
    """One of the eight ways to lay an image (…, H, W)."""
    image = maps.rot90(turn % 4, (-2, -1))
    return image.flip(-1) if turn >= 4 else image


class Water:
    """The chips, with what the frozen encoders see in every turn of them."""

    def __init__(self, chips: Chips, levels: Sequence[str] = LEVELS) -> None:
        """Run the encoders once."""
        self.chips = chips
        self.plain, self.bands = plain_maps(torch.from_numpy(chips.planes))
        self.codes = torch.from_numpy(chips.water.astype(np.int64))
        self.levels = {level: self._seen(encoder_of(level)) for level in levels}

    def _seen(self, encoder: Encoder) -> list[list[Tensor]]:
        """By turn and level: float16 (chips, channels, h, w)."""
        found = []
        with torch.inference_mode():
            for turn in range(_TURNS):
                parts = [encoder(turned(one[None], turn)) for one in self.bands]
                found.append([torch.cat(each).half() for each in zip(*parts, strict=True)])
        return found

    def fit(self, level: str, chosen: Positions, seed: int = 0) -> Decoder:
        """Train a decoder on the cached levels ("" takes none) of some chips."""
        torch.manual_seed(seed)
        cached = self.levels.get(level, [[]] * _TURNS)
        net = Decoder([each.shape[1] for each in cached[0]], self.plain.shape[1])

        def loss() -> Tensor:
            turn = int(torch.randint(_TURNS, ()))
            some = torch.from_numpy(chosen)[torch.randint(len(chosen), (_BATCH,))]
            crop = self._cropping()
            levels = [crop(each[some]).float() for each in cached[turn]]
            plain, codes = (turned(maps[some], turn) for maps in (self.plain, self.codes))
            return loss_of(net(levels, crop(plain)), crop(codes))

        _descend(loss, [{"params": net.parameters(), "lr": _RATE}], STEPS)
        return net.eval()

    def _cropping(self) -> Callable[[Tensor], Tensor]:
        """Cuts one place, drawn at random, out of maps of any size."""
        size = self.plain.shape[-1]
        places = (size - _CROP) // _STRIDE + 1
        row, column = (_STRIDE * int(torch.randint(places, ())) for _ in range(2))

        def crop(maps: Tensor) -> Tensor:
            scale = maps.shape[-1] / size
            top, left, side = (round(scale * each) for each in (row, column, _CROP))
            return maps[..., top : top + side, left : left + side]

        return crop

    def tune(self, level: str, net: Decoder, chosen: Positions) -> tuple[Encoder, Decoder]:
        """Train the last two stages of an encoder along with a decoder that has learned."""
        torch.manual_seed(0)
        frozen = encoder_of(level)
        encoder, decoder = Encoder(deepcopy(frozen.net), frozen.mean, frozen.std), deepcopy(net)
        last = [
            weights
            for stages in encoder.net.encoder.get_stages().values()
            for blocks in stages
            for weights in blocks.requires_grad_().parameters()
        ]

        def loss() -> Tensor:
            turn = int(torch.randint(_TURNS, ()))
            some = torch.from_numpy(chosen)[torch.randint(len(chosen), (_TUNED_BATCH,))]
            crop = self._cropping()
            # Another light, which cached levels cannot have.
            gain = torch.exp(0.1 * torch.randn(_TUNED_BATCH, 6, 1, 1))
            levels = encoder(crop(turned(self.bands[some], turn)) * gain)
            plain, codes = (turned(maps[some], turn) for maps in (self.plain, self.codes))
            return loss_of(decoder(levels, crop(plain)), crop(codes))

        groups = [
            {"params": last, "lr": _TUNED_RATE},
            {"params": decoder.parameters(), "lr": _RATE / 10},
        ]
        _descend(loss, groups, TUNED)
        return encoder, decoder.eval()

    def logits(
        self, level: str, net: Decoder, which: Positions, encoder: Encoder | None = None
    ) -> NDArray[np.float32]:
        """Logits (n, 2, H, W) of some chips, by cached levels or by an encoder."""
        with torch.inference_mode():
            found = []
            for one in which:
                here = slice(one, one + 1)
                if encoder is not None:
                    levels = encoder(self.bands[here])
                else:
                    cached = self.levels[level][0] if level else []
                    levels = [each[here].float() for each in cached]
                found.append(net(levels, self.plain[here]))
            return np.asarray(torch.cat(found).numpy(), np.float32)


def _descend(loss: Callable[[], Tensor], groups: list[dict[str, Any]], steps: int) -> None:
    optimiser = torch.optim.AdamW(groups, weight_decay=0.05)
    highest = [group["lr"] for group in optimiser.param_groups]
    for step in range(steps):
        for group, rate in zip(optimiser.param_groups, highest, strict=True):
            group["lr"] = rate * (0.02 + 0.98 * (1 - step / steps))
        value = loss()
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        optimiser.step()


def cross_validated(water: Water) -> dict[str, NDArray[np.float32]]:
    """Held-out logits (n, 2, H, W) of every method; see the head of this file for the choice."""
    folds, truth = water.chips.folds, water.chips.water
    shape = (len(folds), 2, *truth.shape[1:])
    names = ("plain", *water.levels, "tuned", "chosen")
    found = {name: np.zeros(shape, np.float32) for name in names}
    for fold in range(len(FOLDS)):
        inner = (fold + 1) % len(FOLDS)
        rest, held = np.flatnonzero((folds != fold) & (folds != inner)), folds == inner
        decoders = {level: water.fit(level, rest) for level in water.levels}
        scores = {
            level: _iou(water.logits(level, net, np.flatnonzero(held)), truth[held])
            for level, net in decoders.items()
        }
        level = max(scores, key=lambda name: scores[name])
        encoder, net = water.tune(level, decoders[level], rest)
        logits = water.logits(level, net, np.flatnonzero(held), encoder)
        scores["tuned"] = _iou(logits, truth[held])
        best = "tuned" if scores["tuned"] > scores[level] else level
        rest, held = np.flatnonzero(folds != fold), folds == fold
        for name in ("", *water.levels):
            net = water.fit(name, rest)
            found[name or "plain"][held] = water.logits(name, net, np.flatnonzero(held))
            if name == level:
                encoder, tuned = water.tune(level, net, rest)
                found["tuned"][held] = water.logits(level, tuned, np.flatnonzero(held), encoder)
        found["chosen"][held] = found[best][held]
        rounded = {name: round(score, 3) for name, score in scores.items()}
        print(f"fold {fold}: {json.dumps(rounded)}, {level}, {best}", flush=True)
    return found


def _iou(logits: NDArray[np.float32], truth: NDArray[np.bool_]) -> float:
    likely = softmax(logits, 1)[:, 1]
    return water_score(likely >= best_threshold(likely, truth), truth).iou


def main() -> None:
    """Print one line per method: alone, and with the rule beside it as `ms_water` has it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the chips")
    parser.add_argument("--pack", type=Path, required=True, help="where they are kept, in one file")
    args = parser.parse_args()
    if not args.pack.is_file():
        pack_chips(args.data, args.pack)
    chips = read_chips(args.pack)
    for name, logits in cross_validated(Water(chips)).items():
        facts = calibrated(logits, chips.water.astype(np.uint8), _CLASSES)
        likely = softmax((logits / facts.temperature).astype(np.float32), 1)[:, 1]
        both = with_rule(likely, chips.planes)
        alone, ruled = (
            water_score(nested_masks(chips, each), chips.water) for each in (likely, both)
        )
        print(f"{name}: {alone.text}; with the rule {ruled.text}", flush=True)


if __name__ == "__main__":
    main()
