"""Where a person's scenes, results and conversations live.

    HOME/workspace/         scenes, uploads and the files that tools wrote
    HOME/threads.sqlite     conversations

HOME is the environment variable TERRALOGUE_HOME, or the system's folder for such data.
"""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from terralogue.datasets.errors import InputError

VARIABLE = "TERRALOGUE_HOME"


def home_folder(home: str | Path | None = None) -> Path:
    """The home folder: the one given, else the environment's, else the system's."""
    chosen = home or os.environ.get(VARIABLE) or platformdirs.user_data_dir("terralogue")
    return Path(chosen).expanduser().absolute()


def make_home(home: str | Path | None = None) -> Path:
    """The home folder, created where it is missing.

    Raises:
        InputError: it cannot be created or written.
    """
    folder = home_folder(home)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"The home folder {folder} cannot be made ({error.strerror}); "
            f"set {VARIABLE} to a folder that can be written."
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(
            f"The home folder {folder} cannot be written; set {VARIABLE} to one that can."
        )
    return folder


def workspace(home: Path) -> Path:
    """Folder of scenes and results."""
    return home / "workspace"


def threads_file(home: Path) -> Path:
    """SQLite file of the conversations."""
    return home / "threads.sqlite"
