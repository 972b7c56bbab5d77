"""Where the archive of a workspace is: a folder beside it, or what TERRALOGUE_ARCHIVE names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

VARIABLE: Final = "TERRALOGUE_ARCHIVE"
MEMORY: Final = "memory:"


def archive_location(workspace: Path) -> str:
    """Folder or URL of the archive that goes with a workspace."""
    return os.environ.get(VARIABLE) or str(workspace.parent / "archive")


def is_remote(location: str) -> bool:
    """Whether it is the URL of an object store rather than a folder."""
    return "://" in location


def as_location(given: str | Path) -> str:
    """A folder as an absolute path, a URL as it is."""
    text = str(given)
    if is_remote(text) or text == MEMORY:
        return text
    return str(Path(text).expanduser().absolute())


def archive_exists(location: str) -> bool:
    """Whether something was indexed there; of an object store that is only known on a search."""
    if is_remote(location):
        return True
    return (Path(location).expanduser() / "images.lance").is_dir()
