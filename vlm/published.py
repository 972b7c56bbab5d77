"""Published CLIP models that can be named, and where each specification's files are.

    terralogue models list
    terralogue models get openclip:RemoteCLIP-ViT-B-32

★ PUBLISHED is the table. Beside its names, `openclip:<architecture>/<tag>` (what open_clip lists as
pretrained), `openclip:hf-hub:<owner>/<name>` and `dofaclip:hf-hub:<owner>/<name>` can be had.

Where names, sizes, licences and architectures come from:

- RemoteCLIP (arXiv 2306.11029): the README of github.com/ChenDelong1999/RemoteCLIP loads
  `RemoteCLIP-{RN50,ViT-B-32,ViT-L-14}.pt`, plain state dicts, into open_clip's architectures of
  those names; sizes from huggingface.co/chendelong/RemoteCLIP/tree/main; licence: the repository's
  (its issue 23 asks which one the weights have).
- GeoRSCLIP (arXiv 2306.11300): huggingface.co/Zilun/GeoRSCLIP loads `RS5M_ViT-B-32.pt` into
  OpenAI's ViT-B/32, which has QuickGELU, and `RS5M_ViT-H-14.pt` into LAION's ViT-H/14, which has
  not; sizes from its ckpt folder; its card says "license: cc" and no more. How its ViT-L-14 files
  are loaded is not said, so they are not listed.
- SkyCLIP (arXiv 2312.12856): the README of github.com/wangzhecheng/SkyScript trains ViT-B-32 from
  LAION's weights, without QuickGELU, and offers `SkyCLIP_ViT_B32_top50pct.zip` outside the hub; a
  checkpoint of training, with `state_dict` and `module.` in front of names. A file is recognised;
  it is not fetched.
- GeoLangBind, now DOFA-CLIP (arXiv 2503.06312): size and licence from
  huggingface.co/earthflow/GeoLB-ViT-B-16-SigLIP/tree/main. Its card calls it a model in
  development. The larger `earthflow/GeoLB-ViT-14-SigLIP-so400m-384-EO` that the README of
  github.com/xiong-zhitong/DOFA-CLIP loads can be had by its name on the hub.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from terralogue.datasets.errors import InputError
from terralogue.vlm.hub import PREFIX, WEIGHTS, Remote, alternatives


@dataclass(frozen=True)
class Published:
    """One published model.

    Attributes:
        spec: what `load_geoclip` and `terralogue models get` take.
        does: in a few words.
        size: of the download, in MB.
        licence: of the weights, as their publisher states it.
        repo: on the hub.
        weights: names of the file there, the first that exists counts.
        architecture: open_clip's name of it; "" where the provider knows.
    """

    spec: str
    does: str
    size: int
    licence: str
    repo: str
    weights: tuple[str, ...] = WEIGHTS
    architecture: str = ""

    @property
    def remote(self) -> Remote:
        """Where its files are."""
        return Remote(self.repo, self.weights)


# ★ One entry per model.
PUBLISHED: Final = (
    Published(
        "openclip:RemoteCLIP-RN50", "CLIP of aerial pictures (RemoteCLIP, ResNet-50)",
        408, "Apache-2.0", "chendelong/RemoteCLIP", ("RemoteCLIP-RN50.pt",), "RN50",
    ),
    Published(
        "openclip:RemoteCLIP-ViT-B-32", "CLIP of aerial pictures (RemoteCLIP, ViT-B/32)",
        605, "Apache-2.0", "chendelong/RemoteCLIP", ("RemoteCLIP-ViT-B-32.pt",), "ViT-B-32",
    ),
    Published(
        "openclip:RemoteCLIP-ViT-L-14", "CLIP of aerial pictures (RemoteCLIP, ViT-L/14)",
        1710, "Apache-2.0", "chendelong/RemoteCLIP", ("RemoteCLIP-ViT-L-14.pt",), "ViT-L-14",
    ),
    Published(
        "openclip:GeoRSCLIP-ViT-B-32", "CLIP of RS5M's five million pictures (GeoRSCLIP, ViT-B/32)",
        605, "CC, version not stated", "Zilun/GeoRSCLIP", ("ckpt/RS5M_ViT-B-32.pt",),
        "ViT-B-32-quickgelu",
    ),
    Published(
        "openclip:GeoRSCLIP-ViT-H-14", "CLIP of RS5M's five million pictures (GeoRSCLIP, ViT-H/14)",
        3940, "CC, version not stated", "Zilun/GeoRSCLIP", ("ckpt/RS5M_ViT-H-14.pt",), "ViT-H-14",
    ),
    Published(
        "dofaclip:GeoLB-ViT-B-16-SigLIP", "CLIP of any bands (DOFA-CLIP in development, ViT-B/16)",
        915, "CC-BY-NC-4.0", "earthflow/GeoLB-ViT-B-16-SigLIP",
    ),
)  # fmt: skip

NOT_INSTALLED: Final = "open_clip is not installed; run: pip install open-clip-torch"

OTHERS: Final = (
    "openclip:<architecture>/<tag>", "openclip:hf-hub:<owner>/<name>",
    "dofaclip:hf-hub:<owner>/<name>",
)  # fmt: skip
"""What can be had beside the table."""

_ELSEWHERE: Final = {"SkyCLIP_ViT_B32_top50pct/epoch_20.pt": "ViT-B-32"}


def find(spec: str) -> Published | None:
    """The row of the table; None where there is none."""
    return next((model for model in PUBLISHED if model.spec == spec), None)


def architecture_of(path: Path) -> str | None:
    """open_clip's architecture of a published file, recognised by its name; None for others."""
    known = {
        PurePath(name).name: model.architecture
        for model in PUBLISHED if model.architecture for name in model.weights
    } | _ELSEWHERE  # fmt: skip
    tail = path.absolute().as_posix()
    return next((known[name] for name in known if tail.endswith(f"/{name}")), None)


def remote_of(spec: str) -> Remote:
    """Where the files of a specification are on the hub.

    Raises:
        InputError: it names nothing that can be fetched.
    """
    provider, _, rest = spec.partition(":")
    model = find(spec)
    if model is not None:
        return model.remote
    if rest.startswith(PREFIX) and "/" in rest:
        return Remote(rest.removeprefix(PREFIX))
    if provider == "openclip" and "/" in rest:
        return _pretrained(rest)
    raise InputError(
        f"there is no model {spec!r}; what has a name: "
        + ", ".join([*(each.spec for each in PUBLISHED), *OTHERS])
    )


def tags_of(architecture: str) -> str:
    """What open_clip has weights of an architecture from, for a message."""
    import open_clip

    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if not tags:
        return "an architecture that open_clip.list_pretrained() names"
    return f"a tag such as {', '.join(tags[:5])}"


def _pretrained(rest: str) -> Remote:
    """Where open_clip has the weights of `<architecture>/<tag>`."""
    try:
        import open_clip
    except ImportError as error:
        raise InputError(NOT_INSTALLED) from error

    name, _, tag = rest.partition("/")
    config = open_clip.get_pretrained_cfg(name, tag)
    if not config:
        raise InputError(
            f"open_clip has no weights {tag!r} of an architecture {name!r}; give {tags_of(name)}"
        )
    owner, repo, file = str(config["hf_hub"]).split("/", 2)
    text = open_clip.get_model_config(name)["text_cfg"]
    return Remote(f"{owner}/{repo}", alternatives(file), text.get("hf_tokenizer_name", ""))
