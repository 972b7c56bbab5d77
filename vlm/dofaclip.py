"""DOFA-CLIP, which sees any bands: `load_geoclip("dofaclip:…")`.

    dofaclip:GeoLB-ViT-B-16-SigLIP                 a published model; see `vlm/published.py`
    dofaclip:hf-hub:earthflow/GeoLB-ViT-14-SigLIP-so400m-384-EO
    dofaclip:path/to/open_clip_model.safetensors   its tokeniser beside it
    dofaclip:path/to/folder                        with both

Everything is read from this machine; `terralogue models get` fetches what is not there. The
published weights are not for commercial use (CC-BY-NC-4.0).

Tiles go in as they are: its training took 8-bit pictures to -1 to 1 too
(`open_clip_train/geolb_dataset.py`, augment_image, in github.com/xiong-zhitong/DOFA-CLIP), with the
wavelengths of their bands in µm.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError
from terralogue.vlm.hub import PREFIX, WEIGHTS
from terralogue.vlm.published import NOT_INSTALLED, find, remote_of
from terralogue.vlm.torch_clip import Tokenizer, TorchCLIP, read_state, resized, tokenizer_for

try:
    from terralogue.vlm.dofa_tower import ARCHITECTURES, DofaTowers, architecture_of
except ImportError as error:
    raise InputError(NOT_INSTALLED) from error

SAR_WAVELENGTH: Final = 5.405
"""What DOFA is told for Sentinel-1: its frequency in GHz, in the place of µm (README of
github.com/zhu-xlab/DOFA, `wavelengths = [5.405, 5.405]`). DOFA-CLIP took its wavelengths from
training files that are not published."""

RED_GREEN_BLUE: Final = (0.665, 0.560, 0.490)
"""What its training put where a data set had no wavelengths (`open_clip_train/train.py`)."""

# Parts of training that make other models' features of its own; answering does not need them.
_TRAINING = "translators."
_TEXT: Final = {
    "hf_tokenizer_name": "timm/ViT-B-16-SigLIP", "tokenizer_kwargs": {"clean": "canonicalize"}
}  # fmt: skip


class DofaCLIP(TorchCLIP):
    """The model of `dofa_tower`. It projects inside its pooling: features are the embeddings.

    Args:
        towers: with weights.
        architecture: key of ARCHITECTURES.
        tokenizer: SigLIP's.
        name: what `load_geoclip` was given.
        device: of torch.
    """

    def __init__(
        self, towers: DofaTowers, architecture: str, tokenizer: Tokenizer, name: str, device: str
    ) -> None:
        self._sizes = ARCHITECTURES[architecture]
        self.tile_size = self._sizes.image
        super().__init__(
            towers, tokenizer, name=name, settings={"model": architecture},
            dimensions=self._sizes.width, device=device,
        )  # fmt: skip

    def pooled(self, images: Tensor, bands: tuple[Band, ...]) -> Tensor:
        """Embeddings before they are normalised."""
        images, wavelengths = told(images, bands)
        side = self._sizes.image
        features: Tensor = self.towers.visual(resized(images, (side, side)), wavelengths)
        return features


def told(images: Tensor, bands: tuple[Band, ...]) -> tuple[Tensor, Tensor]:
    """The planes that have a wavelength, and these in µm.

    Where none has, the mean becomes a grey picture, as single planes did in training.

    Args:
        images: (n, bands, H, W).
        bands: along the second axis.

    Returns:
        (n, k, H, W), (k,).
    """
    waves = [SAR_WAVELENGTH if band.kind == "sar" else band.wavelength for band in bands]
    kept = [i for i, wave in enumerate(waves) if wave is not None]
    if not kept:
        grey = images.mean(1, keepdim=True).expand(-1, 3, -1, -1)
        return grey, torch.tensor(RED_GREEN_BLUE, device=images.device)
    numbers = [wave for wave in waves if wave is not None]
    return images[:, kept], torch.tensor(numbers, device=images.device)


def load(rest: str, device: str) -> DofaCLIP:
    """Load the model that stands after `dofaclip:`.

    Raises:
        InputError: it is not on this machine, or cannot be read.
    """
    name = f"dofaclip:{rest}"
    path = _file(rest)
    state = {key: tensor for key, tensor in read_state(path).items() if _needed(key)}
    architecture = architecture_of(state, str(path))
    towers = DofaTowers(ARCHITECTURES[architecture])
    try:
        towers.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise InputError(
            f"the tensors of {path} are not those of DOFA-CLIP's {architecture}; name an "
            "unaltered checkpoint"
        ) from error
    text = {**_TEXT, "context_length": ARCHITECTURES[architecture].context}
    tokenizer = tokenizer_for(text, path.parent, name)
    return DofaCLIP(towers, architecture, tokenizer, name, device)


def _needed(key: str) -> bool:
    return not key.startswith(_TRAINING)


def _file(rest: str) -> Path:
    spec = f"dofaclip:{rest}"
    if find(spec) is not None or rest.startswith(PREFIX):
        found = remote_of(spec).cached()
        if found is None:
            raise InputError(f"{spec} is not on this machine; run: terralogue models get {spec}")
        return found
    if not rest:
        raise InputError(
            "dofaclip needs a model; give one as in dofaclip:GeoLB-ViT-B-16-SigLIP, or a file"
        )
    path = Path(rest)
    inside = [path / name for name in WEIGHTS if (path / name).is_file()]
    if inside:
        return inside[0]
    if not path.is_file():
        raise InputError(
            f"there is no checkpoint {path}; name a file, or a folder with {' or '.join(WEIGHTS)}"
        )
    return path
