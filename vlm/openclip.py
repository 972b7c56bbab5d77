"""Any CLIP of open_clip: `load_geoclip("openclip:…")`.

    openclip:RemoteCLIP-ViT-B-32              a published model; see `vlm/published.py`
    openclip:ViT-B-32/laion2b_s34b_b79k       an architecture of open_clip and a tag of weights
    openclip:hf-hub:owner/name                a repository with open_clip_config.json
    openclip:ViT-B-32@path/to/file.pt         a checkpoint on this machine
    openclip:path/to/RemoteCLIP-ViT-B-32.pt   the same, where name or shapes tell the architecture
    openclip:path/to/folder                   what open_clip's push_to_hf_hub writes

Everything is read from this machine; `terralogue models get` fetches what is not there.

These models see red, green and blue. Other bands are resampled to them by wavelength; bands
without one, such as radar's, become a grey picture. An image is squeezed to the model's square, so
that nothing of it is cut off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError
from terralogue.vlm.hub import CONFIG, PREFIX
from terralogue.vlm.published import NOT_INSTALLED, architecture_of, find, remote_of, tags_of
from terralogue.vlm.stem import mixing
from terralogue.vlm.torch_clip import (
    UNREADABLE,
    Tokenizer,
    TorchCLIP,
    read_state,
    resized,
    tokenizer_for,
)

try:
    import open_clip
    from open_clip.timm_model import TimmModel
except ImportError as error:
    raise InputError(NOT_INSTALLED) from error

_LOCAL = "local-dir:"
_SUFFIXES = (".pt", ".pth", ".bin", ".safetensors")


@dataclass(frozen=True)
class _Build:
    """What to build, and from which files.

    Attributes:
        architecture: a name of open_clip, or `local-dir:<folder>` with configuration and weights.
        weights: the checkpoint; None where the folder has it.
        options: further arguments of `open_clip.create_model`.
    """

    architecture: str
    weights: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the files are."""
        if self.weights is None:
            return Path(self.architecture.removeprefix(_LOCAL))
        return self.weights.parent


class OpenCLIP(TorchCLIP):
    """A CLIP of open_clip.

    Args:
        model: with weights.
        tokenizer: that goes with its text tower.
        name: what `load_geoclip` was given.
        config: open_clip's description of the model.
        device: of torch.
    """

    def __init__(
        self, model: Any, tokenizer: Tokenizer, name: str, config: Mapping[str, Any],
        device: str,
    ) -> None:  # fmt: skip
        seen: Mapping[str, Any] = model.visual.preprocess_cfg
        super().__init__(
            model, tokenizer, name=name, settings={"model": config, "input": seen},
            dimensions=int(config["embed_dim"]), device=device,
        )  # fmt: skip
        size = seen["size"]
        self._size = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
        self.tile_size = max(self._size)
        self._mean = torch.tensor(seen["mean"], device=device)[:, None, None]
        self._std = torch.tensor(seen["std"], device=device)[:, None, None]
        self._projection = _detach_projection(self.towers.visual)

    def pooled(self, images: Tensor, bands: tuple[Band, ...]) -> Tensor:
        """Pooled features of the image tower.

        The residual networks of CLIP project inside their pooling; theirs are the embeddings.
        """
        mix = torch.from_numpy(mixing(bands)).to(images.device)
        picture = (torch.einsum("cb,nbhw->nchw", mix, images) + 1) / 2
        picture = resized(picture.clamp(0, 1), self._size).clamp(0, 1)
        features: Tensor = self.towers.visual((picture - self._mean) / self._std)
        return features

    def projected(self, features: Tensor) -> Tensor:
        """Bring features into the common space."""
        out: Tensor = self._projection(features)
        return out


class _Product(nn.Module):
    """Multiplication by a matrix (k, dimensions), which is how open_clip keeps a projection."""

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.matrix = matrix

    def forward(self, features: Tensor) -> Tensor:
        return features @ self.matrix


def _detach_projection(visual: Any) -> nn.Module:
    """Take the last linear step off an image tower, so that it returns what comes before it."""
    if isinstance(visual, TimmModel):
        head: nn.Module = visual.head
        visual.head = nn.Identity()
        return head
    if isinstance(getattr(visual, "proj", None), Tensor):
        matrix = visual.proj
        visual.proj = None
        return _Product(matrix)
    return nn.Identity()


def load(rest: str, device: str) -> OpenCLIP:
    """Load the model that stands after `openclip:`.

    Raises:
        InputError: it is not on this machine, cannot be read, or is not clear.
    """
    name = f"openclip:{rest}"
    build = _resolve(rest)
    config = _config(build, name)
    if build.weights is not None:
        read_state(build.weights, "meta")
    try:
        model = open_clip.create_model(
            build.architecture, pretrained=build.weights and str(build.weights),
            require_pretrained=True, weights_only=True, **build.options,
        )  # fmt: skip
    # open_clip asserts the width of the text tower.
    except (*UNREADABLE, AssertionError) as error:
        where = build.weights or build.folder
        raise InputError(
            f"the tensors of {where} do not fit {build.architecture.removeprefix(_LOCAL)}; name "
            "the architecture that they were trained with: openclip:<architecture>@<file>"
        ) from error
    tokenizer = tokenizer_for(config["text_cfg"], build.folder, name)
    return OpenCLIP(model, tokenizer, name, {**config, **build.options}, device)


def _config(build: _Build, name: str) -> dict[str, Any]:
    """open_clip's description of a model with two plain towers.

    Raises:
        InputError: it cannot be read, or is of another kind.
    """
    try:
        config: dict[str, Any] = open_clip.get_model_config(build.architecture)
        foreign = _foreign(config)
    except UNREADABLE as error:
        raise InputError(
            f"{build.folder / CONFIG} does not describe a model; name an architecture instead"
        ) from error
    if foreign:
        raise InputError(
            f"{name} has a text tower that open_clip takes from elsewhere, or a captioner; name a "
            "model with two plain towers"
        )
    return config


def _resolve(rest: str) -> _Build:
    if not rest:
        raise InputError("openclip needs a model; give one as in openclip:RemoteCLIP-ViT-B-32")
    architecture, at, file = rest.partition("@")
    if at and architecture in open_clip.list_models():
        return _Build(architecture, _existing(file))
    model = find(f"openclip:{rest}")
    if model is not None:
        return _Build(model.architecture, _on_this_machine(rest))
    if rest.startswith(PREFIX):
        folder = _on_this_machine(rest).parent
        if not (folder / CONFIG).is_file():
            raise InputError(f"{rest} has no {CONFIG}; name its architecture and file instead")
        return _Build(f"{_LOCAL}{folder}")
    path = Path(rest)
    if path.is_dir():
        if not (path / CONFIG).is_file():
            raise InputError(f"{path} has no {CONFIG}; name a file, or a folder of open_clip")
        return _Build(f"{_LOCAL}{path}")
    if path.is_file() or path.suffix in _SUFFIXES:
        return _Build(architecture_of(path) or _by_shapes(path), _existing(rest))
    return _tagged(rest)


def _tagged(rest: str) -> _Build:
    """`<architecture>/<tag>`, with the activation and the scaling that these weights had."""
    name, slash, tag = rest.partition("/")
    if not slash and name in open_clip.list_models():
        raise InputError(
            f"{name} needs weights; give openclip:{name}@<file> or openclip:{name}/<tag>, with "
            f"{tags_of(name)}"
        )
    path = _on_this_machine(rest)
    tagged = open_clip.get_pretrained_cfg(name, tag)
    scaling = {key: tagged[key] for key in ("mean", "std") if key in tagged}
    options = {
        "force_quick_gelu": bool(tagged.get("quick_gelu")), "force_preprocess_cfg": scaling
    }  # fmt: skip
    return _Build(name, path, options)


def _on_this_machine(rest: str) -> Path:
    spec = f"openclip:{rest}"
    found = remote_of(spec).cached()
    if found is None:
        raise InputError(f"{spec} is not on this machine; run: terralogue models get {spec}")
    return found


def _existing(file: str) -> Path:
    path = Path(file)
    if not path.is_file():
        raise InputError(f"there is no checkpoint {path}; name a file that exists")
    return path


def _by_shapes(path: Path) -> str:
    """The architecture whose tensors have just the names and shapes of a file's.

    Raises:
        InputError: there is none, or several.
    """
    state = read_state(_existing(str(path)), "meta")
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    words = {shape for name, shape in shapes.items() if name.endswith("token_embedding.weight")}
    fitting: list[str] = []
    for name in open_clip.list_models():
        config = open_clip.get_model_config(name)
        text = config["text_cfg"]
        if (text.get("vocab_size", 49408), text.get("width", 512)) not in words:
            continue
        if not _foreign(config) and shapes == _shapes(config):
            fitting.append(name)
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise InputError(
            f"{path} fits {' and '.join(fitting)}, which a file does not tell apart; say which: "
            f"openclip:{fitting[0]}@{path}"
        )
    raise InputError(
        f"{path} fits no architecture that open_clip knows; name it: openclip:<architecture>@{path}"
    )


def _shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    kind = open_clip.CustomTextCLIP if config.pop("custom_text", False) else open_clip.CLIP
    with torch.device("meta"):
        state = kind(**config).state_dict()
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def _foreign(config: Mapping[str, Any]) -> bool:
    """Whether a part of the model is made elsewhere, or it also writes captions."""
    return "hf_model_name" in config["text_cfg"] or "multimodal_cfg" in config
