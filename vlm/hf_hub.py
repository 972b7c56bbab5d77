"""Whole models of the Hugging Face hub: what the local cache holds, and fetching what it does not.

    terralogue models get hf:Qwen/Qwen2.5-VL-3B-Instruct

★ CHAT_MODELS is the table of those that are listed; any other repository can be had by its name.
Looking never opens a connection.

Where sizes and licences come from:

- Qwen2.5-VL-3B-Instruct: files of 3.98 and 3.53 GB (huggingface.co/unsloth/Qwen2.5-VL-3B-Instruct,
  a copy); its LICENSE is the Qwen Research Licence, not for commercial use
  (github.com/QwenLM/Qwen3-VL, issue 963; github.com/illuin-tech/colpali, issue 334).
- SmolVLM2-2.2B-Instruct: huggingface.co/HuggingFaceTB/SmolVLM2-2.2B-Instruct/tree/main, float32.
- SmolVLM-256M-Instruct: licence from its card; size from
  huggingface.co/mlx-community/SmolVLM-256M-Instruct-bf16/tree/main, the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terralogue.datasets.errors import InputError

PROVIDER: Final = "hf:"
_CONFIG: Final = "config.json"
# Weights in other formats than safetensors are the same numbers again.
_WANTED: Final = ("*.json", "*.jinja", "*.txt", "*.model", "*.safetensors", "LICENSE*", "README.md")


@dataclass(frozen=True)
class Snapshot:
    """A repository on the hub with all that a model needs.

    Attributes:
        repo: owner and name.
    """

    repo: str

    def cached(self) -> Path | None:
        """Its folder in the local cache; None where it is not there, or not whole.

        Raises:
            InputError: no repository can have such a name.
        """
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

        try:
            folder = Path(snapshot_download(self.repo, local_files_only=True))
        except HFValidationError as error:
            raise InputError(
                f"{self.repo!r} is neither a folder nor a repository; give hf:<owner>/<name>, or a "
                "folder that exists"
            ) from error
        except LocalEntryNotFoundError:
            return None
        whole = (folder / _CONFIG).is_file() and any(folder.glob("*.safetensors"))
        return folder if whole else None

    def revision(self) -> str | None:
        """Seven digits of the commit in the cache; None where it is not there."""
        folder = self.cached()
        return None if folder is None else folder.name[:7]

    def fetch(self) -> Path:
        """Download it; what is there already is not fetched again.

        Raises:
            InputError: the repository cannot be reached, or holds no such model.
        """
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError

        try:
            folder = Path(snapshot_download(self.repo, allow_patterns=list(_WANTED)))
        except LocalEntryNotFoundError as error:
            raise InputError(
                f"{self.repo} cannot be reached; check the connection, or copy the files of "
                "another machine's Hugging Face cache here"
            ) from error
        except OSError as error:
            reason = str(error).strip().splitlines()[0].rstrip(".")
            raise InputError(
                f"{self.repo} could not be fetched: {reason}; check its name"
            ) from error
        if self.cached() is None:
            raise InputError(f"{self.repo} holds no weights in safetensors; name another model")
        return folder


@dataclass(frozen=True)
class HubModel:
    """One published model.

    Attributes:
        spec: what `load_vlm` and `terralogue models get` take.
        does: in a few words.
        size: of the download, in MB.
        licence: of the weights, as their publisher states it.
    """

    spec: str
    does: str
    size: int
    licence: str

    @property
    def remote(self) -> Snapshot:
        """Where its files are."""
        return Snapshot(self.spec.removeprefix(PROVIDER))


# ★ One entry per model.
CHAT_MODELS: Final = (
    HubModel(
        "hf:Qwen/Qwen2.5-VL-3B-Instruct", "answers questions about pictures, with boxes (3B)",
        7530, "Qwen Research (non-commercial)",
    ),
    HubModel(
        "hf:HuggingFaceTB/SmolVLM2-2.2B-Instruct", "answers questions about pictures (2.2B)",
        8990, "Apache-2.0",
    ),
    HubModel(
        "hf:HuggingFaceTB/SmolVLM-256M-Instruct", "answers questions about pictures (256M)",
        520, "Apache-2.0",
    ),
)  # fmt: skip

ANY_CHAT_MODEL: Final = "hf:<owner>/<name>"
"""What can be had beside the table."""


def remote_of(spec: str) -> Snapshot:
    """Where the files of `hf:<owner>/<name>` are.

    Raises:
        InputError: it names no repository.
    """
    repo = spec.removeprefix(PROVIDER)
    if repo.count("/") != 1 or "+" in repo:
        listed = ", ".join(model.spec for model in CHAT_MODELS)
        raise InputError(
            f"{spec!r} names no repository; give hf:<owner>/<name>, such as one of: {listed}"
        )
    return Snapshot(repo)


def snapshot(base: str) -> Path:
    """The folder of a model: `base` itself, or its copy in the local cache of the hub.

    Raises:
        InputError: it is neither.
    """
    path = Path(base)
    if path.is_dir():
        if not (path / _CONFIG).is_file():
            raise InputError(f"{path} holds no model ({_CONFIG} is missing); name its folder")
        return path
    if base.count("/") != 1 or base.startswith((".", "~")):
        raise InputError(
            f"hf:{base} is neither a folder nor a repository of the hub; give hf:<owner>/<name>, "
            "or a folder that exists"
        )
    found = Snapshot(base).cached()
    if found is None:
        raise InputError(f"hf:{base} is not on this machine; run: terralogue models get hf:{base}")
    return found
