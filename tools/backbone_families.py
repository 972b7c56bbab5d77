"""The architectures behind BACKBONES: each builds its model and reads feature maps out of it.

Nothing is downloaded: models are built with random weights, and `load` puts a state dict in.
Transformers are read after a third, a half and two thirds of their blocks, and after the last, as
PANGAEA does (blocks 3, 5, 7 and 11 of 12; 7, 11, 15 and 23 of 24: arXiv 2412.04204); networks with
stages, after each.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError
from terralogue.tools.backbones import Backbone

INSTALL: Final = {
    "torchgeo": "pip install 'terralogue[torchgeo]'",
    "terratorch": "pip install 'terralogue[terratorch]'",
    "baseline": "pip install segmentation-models-pytorch",
}
State = Mapping[str, Any]

# Nanometres and width of C band as Copernicus-FM was trained with (cobench_dfc2020_s1.yaml of
# github.com/zhu-xlab/Copernicus-FM), and micrometres that its authors give radar in DOFA
# (dofa_wrapper.py there).
_RADAR_FM: Final = (5e7, 1e9)
_RADAR_DOFA: Final = 3.75
# TerraTorch's names of Prithvi's bands, in order.
_HLS_NAMES: Final = ("BLUE", "GREEN", "RED", "NIR_NARROW", "SWIR_1", "SWIR_2")


def taps(depth: int) -> tuple[int, ...]:
    """Blocks that feature maps are read after, counted from 0."""
    return depth // 3 - 1, depth // 2 - 1, 2 * depth // 3 - 1, depth - 1


class Encoder(nn.Module):
    """An architecture with the feature maps it gives.

    Attributes:
        channels: of the maps, shallow to deep.
    """

    channels: tuple[int, ...]

    def forward(self, images: Tensor, bands: Sequence[Band]) -> list[Tensor]:
        """Feature maps (n, channels, h, w) of normalised images (n, bands, H, W)."""
        raise NotImplementedError

    def load(self, state: State) -> None:
        """Take weights.

        Raises:
            ValueError: tensors are missing, left over, or of another shape.
        """
        raise NotImplementedError


def _take(model: nn.Module, state: State, unused: tuple[str, ...] = ()) -> None:
    """Load a state dict, whole but for what the names `unused` start with, on either side."""
    wanted = model.state_dict()
    given = {key: value for key, value in state.items() if not key.startswith(unused)}
    missing = [key for key in wanted if key not in given and not key.startswith(unused)]
    extra = [key for key in given if key not in wanted]
    if missing or extra:
        names = ", ".join([*missing, *extra][:3])
        raise ValueError(f"{len(missing)} tensors missing, {len(extra)} unknown: {names}")
    try:
        model.load_state_dict(given, strict=False)
    except RuntimeError as error:
        raise ValueError(str(error).strip().splitlines()[-1].strip()) from error


def _grid(tokens: Tensor, prefix: int) -> Tensor:
    """Tokens (n, prefix + side², channels) → a map (n, channels, side, side)."""
    tokens = tokens[:, prefix:]
    side = round(tokens.shape[1] ** 0.5)
    n, _, channels = tokens.shape
    return tokens.transpose(1, 2).reshape(n, channels, side, side)


def _keep(block: nn.Module, inputs: Any, output: Tensor) -> None:
    # On the block, so that a copy of the network reads its own.
    block.output = output


class _Tokens(Encoder):
    """A transformer with `blocks`: its maps are caught where the blocks give them."""

    def __init__(self, model: Any, width: int, prefix: int) -> None:
        super().__init__()
        self.model = model
        self.prefix = prefix
        self.channels = (width,) * 4
        self._at = taps(len(model.blocks))
        for number in self._at:
            model.blocks[number].register_forward_hook(_keep)

    def run(self, images: Tensor, bands: Sequence[Band]) -> None:
        """Send images through the blocks."""
        self.model.forward_features(images)

    def forward(self, images: Tensor, bands: Sequence[Band]) -> list[Tensor]:
        self.run(images, bands)
        blocks = [self.model.blocks[number] for number in self._at]
        maps = [_grid(block.output, self.prefix) for block in blocks]
        for block in set(blocks):
            del block.output
        return maps

    def load(self, state: State) -> None:
        _take(self.model, state, ("head.", "norm.", "fc_norm.", "mask_token"))


class _ResNet(Encoder):
    """timm's residual network: the four stages."""

    def __init__(self, row: Backbone) -> None:
        super().__init__()
        model = _torchgeo(row)(features_only=True, out_indices=(1, 2, 3, 4), **row.options)
        self.channels = tuple(model.feature_info.channels())
        self.model = model

    def forward(self, images: Tensor, bands: Sequence[Band]) -> list[Tensor]:
        return list(self.model(images))

    def load(self, state: State) -> None:
        _take(self.model, state, ("fc.",))


class _Swin(Encoder):
    """torchvision's Swin V2: the four stages, between which patches are merged."""

    def __init__(self, row: Backbone) -> None:
        super().__init__()
        model = _torchgeo(row)()
        first = model.features[0][0]
        width = first.out_channels
        # As TorchGeo does for other than three bands.
        model.features[0][0] = nn.Conv2d(row.options["in_chans"], width, (4, 4), (4, 4))
        self.channels = tuple(width * 2**i for i in range(4))
        self.model = model

    def forward(self, images: Tensor, bands: Sequence[Band]) -> list[Tensor]:
        maps = []
        for number, part in enumerate(self.model.features):
            images = part(images)
            if number % 2:
                maps.append(images.permute(0, 3, 1, 2).contiguous())
        return maps

    def load(self, state: State) -> None:
        _take(self.model, state, ("head.", "norm."))


def _vit(row: Backbone) -> Encoder:
    model = _torchgeo(row)(img_size=row.size, num_classes=0, **row.options)
    return _Tokens(model, model.embed_dim, model.num_prefix_tokens)


class _ScaleMAE(_Tokens):
    """Scale-MAE: its position embedding follows the ground sampling distance."""

    def __init__(self, row: Backbone) -> None:
        model = _torchgeo(row)(img_size=row.size, res=row.gsd, num_classes=0, **row.options)
        super().__init__(model, model.embed_dim, 1)


class _DOFA(_Tokens):
    """DOFA: kernels from wavelengths in micrometres."""

    def __init__(self, row: Backbone) -> None:
        model = _torchgeo(row)(img_size=row.size, **row.options)
        super().__init__(model, model.embed_dim, 1)

    def run(self, images: Tensor, bands: Sequence[Band]) -> None:
        waves = [_RADAR_DOFA if b.kind == "sar" else float(b.wavelength or 0) for b in bands]
        self.model.forward_features(images, waves)


class _CopernicusFM(_Tokens):
    """Copernicus-FM: kernels from wavelengths and widths in nanometres; place and date unknown."""

    def __init__(self, row: Backbone) -> None:
        model = _torchgeo(row)(img_size=row.size, **row.options)
        super().__init__(model, int(model.cls_token.shape[-1]), 1)

    def run(self, images: Tensor, bands: Sequence[Band]) -> None:
        radar = bands[0].kind == "sar"
        waves = [_RADAR_FM[0] if radar else 1e3 * float(b.wavelength or 0) for b in bands]
        widths = [_RADAR_FM[1] if radar else 1e3 * float(b.bandwidth or 0) for b in bands]
        unknown = torch.full((len(images), 4), torch.nan, device=images.device)
        self.model.forward_features(images, unknown, waves, widths)


class _Panopticon(_Tokens):
    """Panopticon: attention over bands known by their wavelengths in nanometres."""

    def __init__(self, row: Backbone) -> None:
        whole = _torchgeo(row)(img_size=row.size, **row.options)
        model = whole.model
        super().__init__(model, int(model.cls_token.shape[-1]), 1)

    def run(self, images: Tensor, bands: Sequence[Band]) -> None:
        waves = [1e3 * float(band.wavelength or 0) for band in bands]
        # The model writes into these numbers.
        ids = torch.tensor(waves, device=images.device).repeat(len(images), 1)
        self.model.forward_features({"imgs": images, "chn_ids": ids})

    def load(self, state: State) -> None:
        from torchgeo.models.copernicusfm import resize_abs_pos_embed

        own = self.model.state_dict()["pos_embed"].shape[1]
        given = state["pos_embed"]
        sides = [round((count - 1) ** 0.5) for count in (own, given.shape[1])]
        moved = resize_abs_pos_embed(given, sides[0], sides[1])
        super().load({**state, "pos_embed": moved})


class _CROMA(Encoder):
    """CROMA: an encoder for each of radar and optical bands, and one that reads both."""

    def __init__(self, row: Backbone) -> None:
        super().__init__()
        options = dict(row.options)
        self.modality = options.pop("modality")
        used = ["sar", "optical"] if self.modality == "joint" else [self.modality]
        model = _torchgeo(row)(modalities=used, image_size=row.size, **options)
        self.channels = (model.encoder_dim,) * 4
        self.model = model

    def forward(self, images: Tensor, bands: Sequence[Band]) -> list[Tensor]:
        if self.modality == "optical":
            return self._single(self.model.s2_encoder, images)[0]
        if self.modality == "sar":
            return self._single(self.model.s1_encoder, images)[0]
        radar = self._single(self.model.s1_encoder, images[:, :2])[1]
        maps, optical = self._single(self.model.s2_encoder, images[:, 2:])
        joint = self.model.joint_encoder(
            x=radar, context=optical, relative_position_bias=self.model.attn_bias
        )
        # The joint encoder gives one map; the optical ones before it are the shallower levels.
        return [*maps[:3], _grid(joint, 0)]

    def _single(self, encoder: Any, images: Tensor) -> tuple[list[Tensor], Tensor]:
        patch = encoder.patch_size
        n, bands, height, width = images.shape
        tokens = images.reshape(n, bands, height // patch, patch, width // patch, patch)
        tokens = tokens.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
        x = encoder.linear_input(tokens)
        layers = encoder.transformer.layers
        found = []
        for number, (attention, mlp) in enumerate(layers):
            x = attention(x, self.model.attn_bias) + x
            x = mlp(x) + x
            if number in taps(len(layers))[:3]:
                found.append(_grid(x, 0))
        x = encoder.transformer.norm_out(x)
        return [*found, _grid(x, 0)], x

    def load(self, state: State) -> None:
        # The published file is a dictionary of the parts' own.
        flat = {f"{part}.{key}": value for part, own in state.items() for key, value in own.items()}
        used = {key.partition(".")[0] for key in self.model.state_dict()}
        here = {key: value for key, value in flat.items() if key.partition(".")[0] in used}
        _take(self.model, {**here, "attn_bias": self.model.attn_bias})


class _Listed(Encoder):
    """A model of TerraTorch, which gives the tokens of all its blocks.

    Args:
        model: with `forward_features`.
        width: channels.
        prefix: tokens in front of those of the image.
    """

    def __init__(self, model: Any, width: int, prefix: int = 1) -> None:
        super().__init__()
        self.model = model
        self.channels = (width,) * 4
        self.prefix = prefix

    def tokens(self, images: Tensor, bands: Sequence[Band]) -> list[Tensor]:
        """Of all blocks, (n, prefix + side², channels) each."""
        return list(self.model.forward_features(images))

    def forward(self, images: Tensor, bands: Sequence[Band]) -> list[Tensor]:
        tokens = self.tokens(images, bands)
        return [_grid(tokens[number], self.prefix) for number in taps(len(tokens))]


class _Prithvi(_Listed):
    """Prithvi-EO: one date; where it was trained with place and date, without them."""

    def __init__(self, row: Backbone) -> None:
        build = _terratorch("terratorch.registry").BACKBONE_REGISTRY.build
        options = {"num_frames": 1, "img_size": row.size, "bands": list(_HLS_NAMES)}
        model = build(row.builder, pretrained=False, **options, **row.options)
        super().__init__(model, int(model.embed_dim))

    def load(self, state: State) -> None:
        adapt = _terratorch("terratorch.models.backbones.prithvi_vit").checkpoint_filter_fn_vit
        bands = self.model.pretrained_bands
        _take(self.model, adapt(dict(state), self.model, bands, bands))


class _TerraMind(_Listed):
    """TerraMind on one modality."""

    def __init__(self, row: Backbone) -> None:
        options = dict(row.options)
        options |= {"modalities": [options.pop("modality")], "img_size": row.size}
        build = _terratorch("terratorch.registry").BACKBONE_REGISTRY.build
        model = build(row.builder, pretrained=False, **options)
        super().__init__(model, int(model.out_channels[0]), prefix=0)

    def tokens(self, images: Tensor, bands: Sequence[Band]) -> list[Tensor]:
        return list(self.model(images))

    def load(self, state: State) -> None:
        own = self.model.state_dict()
        # The published file holds the decoder and the other modalities as well.
        _take(self.model, {key: value for key, value in state.items() if key in own})


class _Clay(_Listed):
    """Clay: kernels from wavelengths; place and date unknown, as TerraTorch sets them."""

    def __init__(self, row: Backbone) -> None:
        embedder = _terratorch("terratorch.models.backbones.clay_v1.embedder").Embedder
        model = embedder(img_size=row.size, **row.options)
        super().__init__(model, int(model.clay_encoder.dim))
        self.gsd = row.gsd

    def tokens(self, images: Tensor, bands: Sequence[Band]) -> list[Tensor]:
        waves = torch.tensor([float(band.wavelength or 0) for band in bands], device=images.device)
        blank = torch.zeros(len(images), 4, device=images.device)
        gsd = torch.tensor(self.gsd, device=images.device)
        return list(self.model.forward_features(images, blank, blank, waves, gsd))

    def load(self, state: State) -> None:
        start = "model.encoder."
        _take(
            self.model.clay_encoder,
            {key.removeprefix(start): v for key, v in state.items() if key.startswith(start)},
        )


def _terratorch(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(_missing("terratorch")) from error


def _torchgeo(row: Backbone) -> Callable[..., Any]:
    try:
        from torchgeo.models import api
    except ImportError as error:
        raise InputError(_missing("torchgeo")) from error
    builder: Callable[..., Any] = api._model[row.builder]
    return builder


def _missing(library: str) -> str:
    return f"{library} is not installed; run: {INSTALL[library]}"


FAMILIES: Final[dict[str, Callable[[Backbone], Encoder]]] = {
    "resnet": _ResNet, "vit": _vit, "swin": _Swin, "dofa": _DOFA, "croma": _CROMA,
    "copernicusfm": _CopernicusFM, "panopticon": _Panopticon, "scalemae": _ScaleMAE,
    "prithvi": _Prithvi, "terramind": _TerraMind, "clay": _Clay,
}  # fmt: skip
"""What builds the encoder of a row."""
