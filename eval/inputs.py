"""The options and inputs that tasks on pictures have in common."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from terralogue.datasets.samples import CaptionSample, LabelSample, Samples
from terralogue.eval.summary import files_sha256
from terralogue.vlm.batches import BATCH

if TYPE_CHECKING:
    from terralogue.vlm.clip import GeoCLIP


def positive(text: str) -> int:
    """An argument that is a whole number above 0."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return number


def add_picture_options(parser: argparse.ArgumentParser) -> None:
    """Which data, which model, how it runs."""
    add = parser.add_argument
    add("--split", metavar="S", help="a split that the data states, own:train|val|test (cut by "
        "this project for rsicd, ucm, rsscn7, eurosat), or all (default)")  # fmt: skip
    add("--dataset", metavar="NAME", help="which data set it is, where that cannot be told")
    add("--model", metavar="SPEC", default="embedded", help="embedded (default), embedded:PATH, "
        "openclip:NAME or dofaclip:PATH")  # fmt: skip
    add("--device", default="cpu", help="cpu (default) or cuda")
    add("--batch", type=positive, default=BATCH, help=f"pictures at a time (default {BATCH})")


def load_model(options: argparse.Namespace) -> GeoCLIP:
    """The embedding model that the options name."""
    # Brings torch, which neither --help nor a mistake in the data should wait for.
    from terralogue.vlm.clip import load_geoclip

    return load_geoclip(options.model, device=options.device)


def data_sha256(samples: Samples[CaptionSample] | Samples[LabelSample]) -> str:
    """SHA-256 of the pictures used and of their annotations; see `files_sha256`."""
    files = {item.name: item.path for item in samples.items}
    for file in (samples.annotations, *samples.companions):
        if file is not None:
            files[file.name] = file
    return files_sha256(files)
