"""Layouts of benchmark files, one line each, by what they hold; the first that matches is read.

To add one, write its reader and add a line here, and one to DATASETS in `registry.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic

from terralogue.datasets import (
    bigearthnet_text,
    caption_files,
    change_captions,
    dvl_bench,
    vqa_geobench,
    vqa_rsivqa,
    vqa_triples,
    vrsbench,
)
from terralogue.datasets.errors import InputError
from terralogue.datasets.samples import (
    CaptionSample,
    ChangeSample,
    GroundingSample,
    Sample,
    Samples,
    VQASample,
)

Files = tuple[Path, ...]


@dataclass(frozen=True)
class Layout(Generic[Sample]):
    """How the annotations of some data sets come.

    Attributes:
        title: for people: the data sets, and what their files are called.
        find: the files of annotations at a file or in a folder; () where it is another layout.
        read: reads those files: given the path, the files and the split wanted, the key of the data
            set (None where it cannot be told) and the samples of at least that split.
    """

    title: str
    find: Callable[[Path], Files]
    read: Callable[[Path, Files, str | None], tuple[str | None, tuple[Sample, ...]]]


def first_match(
    layouts: Sequence[Layout[Sample]], source: Path, split: str | None, dataset: str | None
) -> Samples[Sample] | None:
    """Read a split in the first layout that matches, its pictures checked; None where none does.

    Raises:
        InputError: broken files, no such split, or missing pictures.
    """
    for layout in layouts:
        files = layout.find(source)
        if files:
            key, items = layout.read(source, files, split)
            samples = Samples(source, dataset or key, items, files[0], files[1:])
            return samples.chosen(split).checked()
    return None


def _one(test: Callable[[Path], bool]) -> Callable[[Path], Files]:
    """Find the one file that passes a test."""

    def find(path: Path) -> Files:
        files = [path] if path.is_file() else sorted([*path.glob("*.json"), *path.glob("*.txt")])
        found = tuple(file for file in files if test(file))
        if len(found) > 1:
            names = ", ".join(file.name for file in found)
            raise InputError(
                f"{path} holds several files of questions ({names}); give one of them."
            )
        return found

    return find


def _vrsbench(kind: str) -> Callable[[Path], Files]:
    return _one(lambda path: vrsbench.vrsbench_type(path) == kind)


def _triples(path: Path) -> Files:
    return tuple(
        file for stem in vqa_triples.find_triples(path) for file in vqa_triples.files(*stem)
    )


def _parquet(path: Path) -> Files:
    found = bigearthnet_text.find_bigearthnet(path)
    return () if found is None else (found,)


def _levir(path: Path) -> Files:
    found = change_captions.find_levir(path)
    return () if found is None else (found,)


# fmt: off
VQA: Final[tuple[Layout[VQASample], ...]] = (
    Layout("RSVQA and CDVQA (…_images.json, …_questions.json, …_answers.json)",
           _triples, lambda path, files, split: vqa_triples.read_triples(path)),
    Layout("RSIVQA (….txt, rsivqa_ucm_….json)",
           _one(vqa_rsivqa.is_rsivqa), lambda path, files, split: vqa_rsivqa.read_rsivqa(files[0])),
    Layout("VRSBench (VRSBench_EVAL_vqa.json)",
           _vrsbench("vqa"), lambda path, files, split: vrsbench.read_questions(files[0])),
    Layout("GEOBench-VLM (Single/qa.json, Temporal/qa.json)",
           lambda path: tuple(vqa_geobench.find_geobench(path)),
           lambda path, files, split: vqa_geobench.read_geobench(path)),
    Layout("DVL-Bench (basic_change_choice_qa.json, …)",
           lambda path: tuple(dvl_bench.find_questions(path)),
           lambda path, files, split: dvl_bench.read_questions(path)),
    Layout("BigEarthNet.txt (BigEarthNet.txt.parquet)",
           _parquet, lambda path, files, split: bigearthnet_text.read_questions(files[0], split)),
)
CAPTIONS: Final[tuple[Layout[CaptionSample], ...]] = (
    Layout("VRSBench (VRSBench_EVAL_Cap.json)",
           _vrsbench("caption"), lambda path, files, split: vrsbench.read_captions(files[0])),
    Layout("ChatEarthNet (ChatEarthNet_caps_….json)",
           lambda path: tuple(caption_files.find_chatearthnet(path)),
           lambda path, files, split: caption_files.read_chatearthnet(path)),
    Layout("BigEarthNet.txt (BigEarthNet.txt.parquet)",
           _parquet, lambda path, files, split: bigearthnet_text.read_captions(files[0], split)),
    Layout("GAIA (a folder that img2dataset wrote)",
           lambda path: tuple(caption_files.entries(path)) if caption_files.is_gaia(path) else (),
           lambda path, files, split: caption_files.read_gaia(path)),
)
GROUNDING: Final[tuple[Layout[GroundingSample], ...]] = (
    Layout("VRSBench (VRSBench_EVAL_referring.json)",
           _vrsbench("ref"), lambda path, files, split: vrsbench.read_referring(files[0])),
)
CHANGES: Final[tuple[Layout[ChangeSample], ...]] = (
    Layout("LEVIR-CC (LevirCCcaptions.json)",
           _levir, lambda path, files, split: change_captions.read_levir(files[0])),
    Layout("DVL-Bench (dense_temporal_caption.json, …)",
           lambda path: tuple(dvl_bench.find_texts(path)),
           lambda path, files, split: dvl_bench.read_texts(path)),
)
