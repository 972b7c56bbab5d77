"""The options and inputs that tasks on pictures have in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from terralogue.datasets.corruptions import CORRUPTIONS, Corruption, corrupt, parse_corruption
from terralogue.datasets.pictures import RGB_BANDS, Picture, read_picture
from terralogue.datasets.samples import CaptionSample, LabelSample, Sample, Samples
from terralogue.datasets.tiles import Tile
from terralogue.eval.answerers import QUESTIONS
from terralogue.eval.asks import seed_of
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


def add_picture_options(parser: argparse.ArgumentParser, *, answers: bool = False) -> None:
    """Which data, which model (a tower, or one that `answers`), how it runs."""
    add = parser.add_argument
    add("--split", metavar="S", help="a split that the data states, own:train|val|test (cut by "
        "this project for rsicd, ucm, rsscn7, eurosat), or all (default)")  # fmt: skip
    add("--dataset", metavar="NAME", help="which data set it is, where that cannot be told")
    models = "embedded (default), embedded:PATH, openclip:NAME or dofaclip:PATH"
    asked = "; vlm:SPEC is asked, and answers in words" if answers else ""
    add("--model", metavar="SPEC", default="embedded", help=f"{models}{asked}")
    add("--device", default="cpu", help="cpu (default) or cuda")
    add("--batch", type=positive, default=BATCH, help=f"pictures at a time (default {BATCH})")
    add_corrupt_option(parser)


def add_answer_options(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Which data, which model that answers (or several that are compared), how it runs."""
    add = parser.add_argument
    add("--split", metavar="S", help="a split that the data state, own:train|val|test (cut by this "
        "project), or all (default)")  # fmt: skip
    add("--dataset", metavar="NAME", help="which data set it is, where that cannot be told")
    models = (
        "embedded (default), embedded:FOLDER, gemma, gemma:FOLDER, hf:REPO[+lora:FOLDER], "
        "openai:URL#MODEL, agent, agent:ONE OF THESE, PROVIDER/MODEL of inspect_ai"
    )
    if several:
        add("--model", metavar="SPEC", action="append", help=f"{models}; of classes a tower, or "
            "vlm:SPEC; several are compared")  # fmt: skip
    else:
        add("--model", metavar="SPEC", default="embedded", help=models)
    add("--sensor", metavar="KEY", help="sensor of all pictures, where recognition is not enough")
    add("--device", default="cpu", help="cpu (default), cuda or auto")
    add("--batch", type=positive, default=QUESTIONS, metavar="N", help="questions that a model is "
        f"given at a time (default {QUESTIONS})")  # fmt: skip
    if not several:
        add_corrupt_option(parser)


def add_corrupt_option(parser: argparse.ArgumentParser) -> None:
    """What is done to the pictures first."""
    parser.add_argument(
        "--corrupt", metavar="NAME:SEVERITY", type=parse_corruption,
        help="corrupt the pictures first, by a severity from 1 to 5: " + ", ".join(CORRUPTIONS),
    )  # fmt: skip


def picture_reader(
    sensor: str | None = None, corruption: Corruption | None = None
) -> Callable[[Path], Picture]:
    """What reads a picture for a tower, as `read_picture`, and corrupts it as the tower gets it."""
    read = partial(read_picture, sensor=sensor)
    if corruption is None:
        return read

    def corrupted(path: Path) -> Picture:
        picture = read(path)
        if isinstance(picture, Tile):
            return corrupt(picture, corruption, seed=seed_of(path))
        return corrupt(picture, corruption, bands=RGB_BANDS, seed=seed_of(path))

    return corrupted


def load_model(options: argparse.Namespace) -> GeoCLIP:
    """The embedding model that the options name."""
    return load_tower(options.model, options.device)


def load_tower(spec: str, device: str) -> GeoCLIP:
    """An embedding model by its specification."""
    # Brings torch, which neither --help nor a mistake in the data should wait for.
    from terralogue.vlm.clip import load_geoclip

    return load_geoclip(spec, device=device)


def data_sha256(samples: Samples[Sample]) -> str:
    """SHA-256 of the pictures used and of their annotations; see `files_sha256`."""
    files: dict[str, Path] = {}
    for item in samples.items:
        if isinstance(item, LabelSample | CaptionSample):
            files[item.name] = item.path
        else:
            for path in item.pictures:
                files |= _below(path, samples.source)
    for file in (samples.annotations, *samples.companions):
        if file is not None:
            files[file.name] = file
    return files_sha256(files)


def _below(path: Path, source: Path) -> Mapping[str, Path]:
    """Names below the data of a picture, or of all files of a scene that is a folder."""
    root = source if source.is_dir() else source.parent
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return {(p.relative_to(root) if p.is_relative_to(root) else p).as_posix(): p for p in files}
