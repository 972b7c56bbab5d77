"""Folders of the embedded vision-language model: base, adapters, calibration."""

from __future__ import annotations

import hashlib
import warnings
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

from peft import PeftModel
from torch import nn
from transformers.utils import logging

from terralogue.datasets.errors import InputError
from terralogue.vlm.vlm_config import TASKS, ReaderConfig
from terralogue.vlm.vlm_model import ReaderModel

FOLDER: Final = Path(__file__).parent / "weights" / "reader"
"""The model in the package."""
WEIGHTS: Final = "model.safetensors"


def read_base(folder: Path, tower: str) -> ReaderModel:
    """Read the base model, float32, in evaluation mode.

    Args:
        folder: that `terralogue train base` wrote.
        tower: fingerprint of the image tower that it will be used with.

    Raises:
        InputError: there is no model, or it was trained on the tokens of another tower.
    """
    if not (folder / WEIGHTS).is_file():
        raise InputError(
            f"there is no model in {folder}; reinstall, or name one that training wrote with "
            "--vlm (what is measured needs none)"
        )
    try:
        # A bar for a tenth of a second would only stand in the way of answers.
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        config = ReaderConfig.from_pretrained(folder, local_files_only=True)
        model = ReaderModel.from_pretrained(folder, config=config, local_files_only=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"the model in {folder} cannot be read ({error}); train again") from error
    if config.tower != tower:
        raise InputError(
            f"the model in {folder} was trained with the image tower {config.tower}, this one is "
            f"{tower}; give the tower that belongs to it"
        )
    return model.float().eval()  # type: ignore[no-any-return, no-untyped-call]


def fingerprint(folder: Path) -> str:
    """First 16 hex digits of the SHA-256 of all weights in a folder, adapters included."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.safetensors")):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def write(model: ReaderModel | PeftModel, folder: Path) -> None:
    """Write a base, or the adapter that is in use in a folder named after it, half precision."""
    halved: Any = nn.Module.to(deepcopy(model), "cpu").half()
    if isinstance(model, PeftModel):
        # Where the base lay on this machine is nobody's business.
        halved.peft_config[model.active_adapter].base_model_name_or_path = ""
        halved.save_pretrained(folder, selected_adapters=[model.active_adapter])
    else:
        halved.save_pretrained(folder)


def read_model(folder: Path, tower: str) -> tuple[ReaderModel, PeftModel | None]:
    """Read the base with the adapters that lie beside it, in folders named after their tasks.

    Returns:
        The model with the layers of its adapters, and what switches them; None without adapters.

    Raises:
        InputError: see `read_base`; or an adapter that does not fit.
    """
    base = read_base(folder, tower)
    adapted: PeftModel | None = None
    for task in TASKS:
        path = folder / task
        if not path.is_dir():
            continue
        try:
            # peft asks transformers by a name that is going; nobody who asks can change that.
            with warnings.catch_warnings(action="ignore", category=FutureWarning):
                if adapted is None:
                    adapted = PeftModel.from_pretrained(base, path, adapter_name=task)
                else:
                    adapted.load_adapter(path, adapter_name=task)
        except (OSError, ValueError, RuntimeError) as error:
            raise InputError(f"the adapter in {path} cannot be read ({error})") from error
    if adapted is None:
        return base, None
    nn.Module.eval(nn.Module.float(adapted))
    return base, adapted
