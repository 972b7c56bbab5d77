"""Files of the Hugging Face hub: what the local cache holds, and fetching what it does not.

Looking never opens a connection. Only `terralogue models get` fetches.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terralogue.datasets.errors import InputError

PREFIX: Final = "hf-hub:"
"""Marks a repository in a specification, as open_clip writes it."""
CONFIG: Final = "open_clip_config.json"
WEIGHTS: Final = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
"""Names that open_clip gives to a checkpoint on the hub, the first preferred."""
TOKENIZER: Final = "tokenizer_config.json"
_TOKENIZER_FILES: Final = (TOKENIZER, "tokenizer.json", "special_tokens_map.json")


@dataclass(frozen=True)
class Remote:
    """A checkpoint on the hub.

    Attributes:
        repo: owner and name.
        weights: names of the file, the first that exists counts.
        tokenizer: repository of its tokenizer; "" where open_clip carries it or `CONFIG` says.
    """

    repo: str
    weights: tuple[str, ...] = WEIGHTS
    tokenizer: str = ""

    def cached(self) -> Path | None:
        """The checkpoint in the local cache; None where it is not there."""
        return cached(self.repo, *self.weights)

    def revision(self) -> str | None:
        """Seven digits of the commit that the cached file is of; None where it is not there."""
        path = self.cached()
        # <cache>/models--owner--name/snapshots/<commit>/<file, perhaps in a folder>
        return None if path is None else path.parts[path.parts.index("snapshots") + 1][:7]

    def fetch(self) -> Path:
        """Download the checkpoint, its configuration and its tokeniser.

        Raises:
            InputError: the repository cannot be reached, or holds no such checkpoint.
        """
        path = next((path for path in map(self._download, self.weights) if path), None)
        if path is None:
            raise InputError(
                f"{self.repo} holds none of {', '.join(self.weights)}; name a repository with an "
                "open_clip checkpoint"
            )
        for name in (CONFIG, *_TOKENIZER_FILES):
            self._download(name)
        tokenizer = self.tokenizer or tokenizer_of(path.parent)
        if tokenizer and not (path.parent / TOKENIZER).is_file():
            for name in _TOKENIZER_FILES:
                Remote(tokenizer)._download(name)
        return path

    def _download(self, name: str) -> Path | None:
        """Download one file; None where the repository has no such file."""
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        try:
            return Path(hf_hub_download(self.repo, name))
        except EntryNotFoundError as error:
            # The local one is raised where there is no connection.
            if not isinstance(error, LocalEntryNotFoundError):
                return None
            raise InputError(
                f"{self.repo} cannot be reached; check the connection, or copy the files of "
                "another machine's Hugging Face cache here"
            ) from error
        except OSError as error:
            reason = str(error).strip().splitlines()[0].rstrip(".")
            raise InputError(
                f"{self.repo} could not be fetched: {reason}; check its name"
            ) from error


def cached(repo: str, *names: str) -> Path | None:
    """The first of these files of a repository that the local cache holds.

    Raises:
        InputError: no repository can have such a name.
    """
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = [try_to_load_from_cache(repo, name) for name in names]
    except HFValidationError as error:
        raise InputError(f"{repo!r} is not a repository; give {PREFIX}<owner>/<name>") from error
    return next((Path(path) for path in found if isinstance(path, str)), None)


def tokenizer_of(folder: Path) -> str:
    """The repository that a folder's `CONFIG` names for the tokenizer; "" where it names none."""
    path = folder / CONFIG
    if not path.is_file():
        return ""
    config = json.loads(path.read_text(encoding="utf-8"))
    return str(config.get("model_cfg", {}).get("text_cfg", {}).get("hf_tokenizer_name", ""))


def alternatives(name: str) -> tuple[str, ...]:
    """Names to look for where `name` is wanted: open_clip prefers safetensors; "" is its own."""
    if not name:
        return WEIGHTS
    path = Path(name)
    return (path.with_suffix(".safetensors").name, name) if path.suffix == ".bin" else (name,)
