"""Training of detectors on packs: `terralogue train detect`; see `detect_command.py`."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from terralogue.datasets.bands import Band
from terralogue.datasets.sensors import SENSORS
from terralogue.tools.detect_augment import draw, gallery, values
from terralogue.tools.detect_loss import detection_loss
from terralogue.tools.detect_model import STRIDE, DetectorConfig, DetectorNet, find, points_of
from terralogue.tools.detect_pack import Example, Recipe
from terralogue.tools.detect_scores import Matches, average_precision, collect
from terralogue.vlm.checkpoint import read_checkpoint

_TOWER: Final = Path(__file__).parents[1] / "vlm" / "weights" / "align"
_WARM: Final = 0.04
_CLIP: Final = 10.0
# Colour pictures have the bands of any; the ships' are Sentinel-2's.
_SENSORS: Final = {3: "unknown_rgb", 5: "sentinel2_l2a"}
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        batch: crops in a step.
        side: of a crop in pixels.
        lr: of everything beside the trunk.
        trunk_lr: of stem and trunk.
        decay: weight decay.
        average: decay of the averaged weights, which are the ones that are kept.
        seconds: length of the schedule in wall-clock time.
        every: seconds between validations.
        seed: of everything drawn.
    """

    batch: int = 16
    side: int = 512
    lr: float = 1.5e-3
    trunk_lr: float = 4e-4
    decay: float = 0.03
    average: float = 0.998
    seconds: float = 240.0
    every: float = 30.0
    seed: int = 0


def begin(recipe: Recipe) -> DetectorNet:
    """A detector whose stem and trunk are those of the embedded image tower.

    Raises:
        InputError: the tower's checkpoint is missing or broken.
    """
    net = DetectorNet(
        DetectorConfig(recipe.classes, recipe.bands, blocks=recipe.blocks, width=recipe.width)
    )
    tower = read_checkpoint(_TOWER).tower
    sensor = SENSORS[_SENSORS[len(recipe.bands)]]
    bands = [_band(sensor.bands, name) for name in recipe.bands]
    with torch.no_grad():
        net.stem.weight.copy_(tower.stem.kernels(bands))
        net.stem.bias.copy_(tower.stem.bias)  # type: ignore[union-attr]
    blocks = list(tower.trunk.blocks)[: recipe.blocks]  # type: ignore[arg-type]
    net.blocks.load_state_dict(nn.ModuleList(blocks).state_dict())
    return net


def adopt(recipe: Recipe, other: DetectorNet) -> DetectorNet:
    """A detector that begins with what fits of another one: by name and shape, else as `begin`."""
    net = begin(recipe)
    own = net.state_dict()
    fitting = {
        name: value
        for name, value in other.state_dict().items()
        if name in own and own[name].shape == value.shape
    }
    net.load_state_dict(own | fitting)
    return net


def _band(bands: Sequence[Band], name: str) -> Band:
    return next(band for band in bands if band.common == name)


def train(
    recipe: Recipe,
    examples: Sequence[Example],
    held: Sequence[Example],
    settings: Settings,
    device: str,
    keep: Callable[[DetectorNet], object],
    *,
    net: DetectorNet | None = None,
    say: Callable[[str], None] = print,
) -> DetectorNet:
    """Train on examples; the averaged weights are kept whenever they were validated, and returned.

    Args:
        recipe: of the detector.
        examples: to learn from.
        held: to validate on; where there are none, nothing is scored.
        settings: how.
        device: of torch.
        keep: writes a network that was validated.
        net: to go on with; None begins with the image tower.
        say: told the progress.
    """
    torch.manual_seed(settings.seed)
    generator = torch.Generator(device).manual_seed(settings.seed)
    net = (net or begin(recipe)).to(device).train()
    averaged = copy.deepcopy(net).eval()
    source = gallery(examples, device)
    optimiser = torch.optim.AdamW(_groups(net, settings), weight_decay=settings.decay)
    rates = [group["lr"] for group in optimiser.param_groups]
    points, strides = points_of(net.config.strides, (settings.side, settings.side), device)
    started, validated, step, total = time.monotonic(), 0.0, 0, 0.0
    while (spent := time.monotonic() - started) < settings.seconds:
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * _schedule(spent / settings.seconds)
        images, truth = draw(source, settings.batch, settings.side, recipe.zoom, generator)
        with torch.autocast(device, torch.bfloat16, enabled=device != "cpu"):
            logits, distances = net(images)
        loss = detection_loss(logits, distances, points, strides, truth)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), _CLIP)
        optimiser.step()
        step += 1
        _blend(averaged, net, min(settings.average, 1 - 10 / (10 + step)))
        if step % 20 == 0:
            total = float(loss.detach())
        if spent - validated > settings.every:
            validated = spent
            _report(
                averaged, recipe, held, device, say, f"{spent:5.0f} s, step {step}, {total:.3f}"
            )
            keep(averaged)
    _report(averaged, recipe, held, device, say, f"finished after {step} steps")
    keep(averaged)
    return averaged


def _groups(net: DetectorNet, settings: Settings) -> list[dict[str, object]]:
    trunk = [*net.stem.parameters(), *net.blocks.parameters()]
    known = {id(each) for each in trunk}
    rest = [each for each in net.parameters() if id(each) not in known]
    return [{"params": trunk, "lr": settings.trunk_lr}, {"params": rest, "lr": settings.lr}]


def _schedule(done: float) -> float:
    """Linear warm-up, then half a cosine."""
    if done < _WARM:
        return max(done / _WARM, 0.02)
    return 0.5 + 0.5 * math.cos(math.pi * (done - _WARM) / (1 - _WARM))


@torch.no_grad()
def _blend(averaged: DetectorNet, net: DetectorNet, decay: float) -> None:
    own: list[Tensor] = list(averaged.parameters())
    other: list[Tensor] = list(net.parameters())
    torch._foreach_lerp_(own, other, 1 - decay)


def _report(
    net: DetectorNet, recipe: Recipe, held: Sequence[Example], device: str,
    say: Callable[[str], None], done: str,
) -> None:  # fmt: skip
    if not held:
        say(f"{done}; no validation part")
        return
    precisions = {
        name: average_precision(matches)
        for name, matches in score(net, recipe, held, device).items()
    }
    known = {name: value for name, value in precisions.items() if value is not None}
    each = ", ".join(f"{name} {value:.2f}" for name, value in known.items())
    say(f"{done}: AP50 {np.mean(list(known.values())):.4f} ({each})")


def score(
    net: DetectorNet, recipe: Recipe, examples: Sequence[Example], device: str, iou: float = 0.5
) -> dict[str, Matches]:
    """Matches of each class on the pictures that mark it."""
    largest = max(max(each.pixels.shape[1:]) / each.scale for each in examples) * recipe.zoom
    # On a graphics card each new shape takes seconds to set up.
    side = 0 if device == "cpu" else math.ceil(largest / STRIDE) * STRIDE
    found: list[tuple[Floats, Floats, NDArray[np.int64]]] = []
    for each in examples:
        image = _shown(each, recipe.zoom, side, device)
        boxes, scores, kinds = find(net, image, floor=0.02)[0]
        factor = each.scale / recipe.zoom
        found.append((boxes.double().numpy() * factor, scores.double().numpy(), kinds.numpy()))
    scored = {}
    for number, name in enumerate(recipe.classes):
        pictures = []
        for each, (around, strength, named) in zip(examples, found, strict=True):
            if each.known[number]:
                own = (each.kinds == number) | (each.kinds < 0)
                mine = named == number
                pictures.append(
                    (around[mine], strength[mine], each.boxes[own].astype(np.float64),
                     each.kinds[own] < 0)
                )  # fmt: skip
        scored[name] = collect(pictures, iou)
    return scored


def _shown(example: Example, zoom: float, side: int, device: str) -> Tensor:
    """A picture as the detector is shown it, filled up with zeros; see STRIDE and `side`."""
    pixels = values(torch.from_numpy(example.pixels)[None].to(device))
    factor = zoom / example.scale
    if abs(factor - 1) > 1e-3:
        shape = [round(each * factor) for each in pixels.shape[2:]]
        pixels = nn.functional.interpolate(pixels, shape, mode="bilinear", antialias=True)
    height, width = pixels.shape[2:]
    tall, wide = (side or math.ceil(each / STRIDE) * STRIDE for each in (height, width))
    return nn.functional.pad(pixels, (0, wide - width, 0, tall - height))
