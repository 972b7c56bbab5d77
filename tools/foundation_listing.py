"""Dense models by name: what can be had, and fetching one (`terralogue models list | get NAME`)."""

from __future__ import annotations

import json
from typing import NamedTuple

from terralogue.datasets.errors import InputError
from terralogue.tools.backbones import BACKBONES, find_backbone
from terralogue.tools.foundation_checkpoints import CHECKPOINTS, find_checkpoint
from terralogue.tools.open_vocabulary import OPEN_MODELS
from terralogue.vlm.hf_hub import Snapshot
from terralogue.vlm.hub import Remote

PROVIDERS = ("torchgeo:", "terratorch:", "baseline:")
"""What names of encoders and of fine-tuned checkpoints begin with."""


class _Row(NamedTuple):
    name: str
    does: str
    licence: str
    remote: Remote | Snapshot


def _rows() -> list[_Row]:
    encoders = [
        _Row(b.name, f"encoder: {b.title}; {', '.join(b.sensors)}", b.licence, b.remote)
        for b in BACKBONES
        if b.file
    ]
    tuned = [
        _Row(f"terratorch:{c.name}", f"segments {' and '.join(c.targets)}", c.licence, c.remote)
        for c in CHECKPOINTS
    ]
    open_ones = [_Row(m.spec, m.does, m.licence, m.remote) for m in OPEN_MODELS]
    return [*encoders, *tuned, *open_ones]


def print_list(*, as_json: bool) -> int:
    """Print what can be had beside the models of the agent; 0."""
    for row in _rows():
        version, install = row.remote.revision(), f"terralogue models get {row.name}"
        if as_json:
            values = {"name": row.name, "does": row.does, "licence": row.licence}
            print(json.dumps({**values, "install": install, "version": version}))
        else:
            state = f"installed, {version}" if version else f"get it: {install}"
            print(f"{row.name:<55}{row.licence:<20}{state}")
            print(f"{'':<4}{row.does}")
    return 0


def get(name: str) -> int:
    """Fetch an encoder or a fine-tuned checkpoint, or say that it is there; 0.

    Raises:
        InputError: no such name, nothing to fetch, or it cannot be fetched.
    """
    key = name.strip().casefold()
    if any(key == f"terratorch:{row.name}" for row in CHECKPOINTS):
        remote = find_checkpoint(key).remote
    else:
        row = find_backbone(key)
        if not row.file:
            raise InputError(f"{row.name} has no weights to fetch; it is trained from nothing.")
        remote = row.remote
    there = remote.cached()
    path = there or remote.fetch()
    print(f"{name} is {'installed' if there else 'fetched'}: {path}")
    return 0
