"""Published fine-tuned checkpoints, for `segment` by name.

    terralogue models get terratorch:prithvi_sen1floods11
    segment(scene, "water", model="prithvi_sen1floods11")

★ CHECKPOINTS is the table. How each was built and what it reads is taken from these, and checked:

- Prithvi-EO-2.0-300M-TL-Sen1Floods11: `config.yaml` and `inference.py` of its repository, as used
  in public code; built as below it has the 381 tensors and 319 177 489 numbers that the published
  file holds. Means and standard deviations of reflectance: `Sen1Floods11NonGeoDataModule` of
  TerraTorch; Sentinel-2 L1C.
- Prithvi-EO-2.0-300M-BurnScars: `burn_scars_config.yaml` of its repository, likewise; means and
  standard deviations also in TerraTorch's `FireScarsNonGeoDataModule`; HLS at 30 m.

TerraMind-base-Flood is not among them: it reads optical, radar and elevation images of four dates.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.errors import InputError
from terralogue.vlm.hub import Remote

if TYPE_CHECKING:
    from rasterio.windows import Window
    from torch import nn

    from terralogue.datasets.scene import Scene
    from terralogue.tools.run import Progress

_BANDS: Final = ("B", "G", "R", "N2", "S1", "S2")
_NAMES: Final = ("BLUE", "GREEN", "RED", "NIR_NARROW", "SWIR_1", "SWIR_2")
_INSTALL: Final = "pip install 'terralogue[terratorch]'"
_NECKS: Final = (
    {"name": "SelectIndices", "indices": [5, 11, 17, 23]},
    {"name": "ReshapeTokensToImage"},
    {"name": "LearnedInterpolateToPyramidal"},
)
# Weights that a Lightning task keeps in front of a model's own names, and an old wrapper's.
_PREFIX: Final = ("model.", "_timm_module.")


@dataclass(frozen=True)
class Checkpoint:
    """One fine-tuned network of two classes, the second of which is looked for.

    Attributes:
        name: in SPECIALISTS; `terralogue models get terratorch:<name>` fetches it.
        title: for people.
        targets: what it finds.
        sensors: that it was trained on.
        gsd: of those images, in metres.
        remote: where the weights are.
        mean: of reflectance, band by band: blue, green, red, narrow near infrared, two short-wave
            infrared.
        std: likewise.
        arguments: of TerraTorch's EncoderDecoderFactory.
        licence: of the weights.
        caution: said with every result.
    """

    name: str
    title: str
    targets: tuple[str, ...]
    sensors: tuple[str, ...]
    gsd: float
    remote: Remote
    mean: tuple[float, ...]
    std: tuple[float, ...]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    licence: str = "Apache-2.0"
    caution: str = ""

    @property
    def bands(self) -> tuple[str, ...]:
        """Common names of the bands it reads."""
        return _BANDS


# ★ One entry per checkpoint.
CHECKPOINTS: Final[tuple[Checkpoint, ...]] = (
    Checkpoint(
        "prithvi_sen1floods11",
        "Prithvi-EO-2.0-300M-TL-Sen1Floods11",
        ("water", "flooded_area"),
        ("sentinel2_l1c",),
        10,
        Remote(
            "ibm-nasa-geospatial/Prithvi-EO-2.0-300M-TL-Sen1Floods11",
            ("Prithvi-EO-V2-300M-TL-Sen1Floods11.pt",),
        ),
        (0.1412956, 0.13795798, 0.12353792, 0.30902815, 0.2044958, 0.11912015),
        (0.07406382, 0.07370365, 0.08692279, 0.11798815, 0.09772074, 0.07659938),
        {
            "backbone": "prithvi_eo_v2_300_tl",
            "decoder": "UperNetDecoder",
            "decoder_channels": 256,
        },
        caution="prithvi_sen1floods11 was trained on top-of-atmosphere Sentinel-2 images.",
    ),
    Checkpoint(
        "prithvi_burn_scars",
        "Prithvi-EO-2.0-300M-BurnScars",
        ("burned_area",),
        ("hls_l30", "hls_s30"),
        30,
        Remote(
            "ibm-nasa-geospatial/Prithvi-EO-2.0-300M-BurnScars",
            ("Prithvi_EO_V2_300M_BurnScars.pt",),
        ),
        (0.033349706741586264, 0.05701185520536176, 0.05889748132001316, 0.2323245113436119,
         0.1972854853760658, 0.11944914225186566),
        (0.02269135568823774, 0.026807560223070237, 0.04004109844362779, 0.07791732423672691,
         0.08708738838140137, 0.07241979477437814),
        {
            "backbone": "prithvi_eo_v2_300",
            "decoder": "UNetDecoder",
            "decoder_channels": [512, 256, 128, 64],
        },
        caution="prithvi_burn_scars was trained on fires in the contiguous United States.",
    ),
)  # fmt: skip


def find_checkpoint(name: str) -> Checkpoint:
    """The row of the table with this name.

    Raises:
        InputError: there is none.
    """
    for row in CHECKPOINTS:
        if row.name == name.removeprefix("terratorch:"):
            return row
    raise InputError(
        f"There is no checkpoint {name!r}; the names are: {', '.join(c.name for c in CHECKPOINTS)}."
    )


def why_not(name: str) -> str | None:
    """Why a checkpoint cannot be used on this machine, a clause; None where it can."""
    row = find_checkpoint(name)
    if importlib.util.find_spec("terratorch") is None:
        return f"{row.title} needs TerraTorch, which is not installed; run: {_INSTALL}"
    if row.remote.cached() is None:
        return f"the weights are not here; run: terralogue models get terratorch:{name}"
    return None


def build(row: Checkpoint, path: Path) -> nn.Module:
    """A network with its weights, in evaluation mode.

    Raises:
        InputError: TerraTorch is not installed, or the file does not hold these weights.
    """
    import torch

    try:
        factory = importlib.import_module("terratorch.models").EncoderDecoderFactory()
    except ImportError as error:
        raise InputError(f"TerraTorch is not installed; run: {_INSTALL}") from error
    options = {"necks": [dict(neck) for neck in _NECKS], "head_dropout": 0.1, **row.arguments}
    net: nn.Module = factory.build_model(
        task="segmentation", num_classes=2, backbone_pretrained=False, backbone_num_frames=1,
        backbone_bands=list(_NAMES), rescale=True, **options,
    )  # fmt: skip
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
        state = held.get("state_dict", held)
        for prefix in _PREFIX:
            state = {key.replace(prefix, "", 1): value for key, value in state.items()}
        net.load_state_dict(state)
    except Exception as error:  # torch raises of many kinds
        reason = str(error).strip().splitlines()[0].rstrip(".:")
        raise InputError(
            f"{path.name} does not hold the weights of {row.title} ({reason}); fetch it again."
        ) from error
    return net.eval()


@lru_cache(maxsize=2)
def _cached(name: str) -> nn.Module:
    row = find_checkpoint(name)
    path = row.remote.cached()
    if path is None:
        raise InputError(f"{row.title} is not here; run: terralogue models get terratorch:{name}")
    return build(row, path)


class FinetunedModel:
    """A checkpoint on one scene; a `Model`.

    Args:
        scene: calibrated, with the checkpoint's bands.
        row: of CHECKPOINTS.
        net: its network; loaded from the local cache where None.
    """

    threshold: float | None = 0.5

    def __init__(self, scene: Scene, row: Checkpoint, net: nn.Module | None = None) -> None:
        from terralogue.tools.dense_checkpoint import Dense, DenseFacts, HeadFacts
        from terralogue.tools.dense_network import DenseModel
        from terralogue.tools.dense_voices import Voice

        adapted = _adapter()(net or _cached(row.name), row)
        facts = DenseFacts(row.sensors, (row.gsd, row.gsd), row.bands, {"map": HeadFacts()})
        self._row = row
        voice = Voice(Dense(adapted, facts, ""), "map", ("found",))
        self._runs = DenseModel(scene, (voice,), "found", row.name)

    @property
    def method(self) -> str:
        """The network, and how coarse it read."""
        step = self._runs.step
        coarser = f", read {step:.3g} times coarser" if step > 1 else ""
        return f"network {self._row.title}, more probable than not (not calibrated){coarser}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """About the pixel size."""
        return self._runs.warnings

    def run(
        self, window: Window, executor: Executor, progress: Progress | None
    ) -> Iterator[tuple[Window, NDArray[np.uint8]]]:
        """Cover a window; see `Model`."""
        return self._runs.run(window, executor, progress)


def _adapter() -> Callable[[nn.Module, Checkpoint], Any]:
    """What makes a checkpoint take images as a `DenseNet` does; torch is imported when needed."""
    import torch
    from torch import Tensor, nn

    from terralogue.datasets.bands import Band
    from terralogue.tools.backbone_decoder import physical
    from terralogue.tools.dense_model import DenseConfig, DenseNet

    class Adapted(DenseNet):
        mean: Tensor
        std: Tensor

        def __init__(self, net: nn.Module, row: Checkpoint) -> None:
            nn.Module.__init__(self)
            self.config = DenseConfig({"map": ("other", "found")})
            self.net = net
            self.register_buffer("mean", torch.tensor(row.mean)[:, None, None])
            self.register_buffer("std", torch.tensor(row.std)[:, None, None])

        def features(self, images: Tensor, bands: Sequence[Band]) -> Tensor:
            reflectance = physical(images, bands, pictures=False)
            scaled = (reflectance - self.mean) / self.std
            logits: Tensor = self.net(scaled.contiguous()).output
            return logits

        def classify(self, features: Tensor, head: str) -> Tensor:
            return features

    return Adapted
