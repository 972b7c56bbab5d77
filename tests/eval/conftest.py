"""Small pictures that are told apart by their colour, questions on them, and models that see it."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from terralogue.agent.cli import main
from terralogue.datasets.samples import Box
from terralogue.vlm.vlm import VLM, VLMS, Query, Reading

COLOURS = {"blueWater": (20, 40, 200), "greenForest": (30, 160, 40), "redSoil": (200, 60, 30)}

WritePictures = Callable[[Path, int], Path]
WORDS = {"blueWater": "water", "greenForest": "forest", "redSoil": "soil"}


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Specification of an untrained checkpoint, loaded by the same code as a trained one."""
    import torch

    from terralogue.vlm.checkpoint import write_checkpoint
    from terralogue.vlm.text import PROJECTION
    from terralogue.vlm.tower import ImageTower, TowerConfig

    with torch.random.fork_rng():
        torch.manual_seed(0)
        tower = ImageTower(TowerConfig(hidden=32)).eval()
    text = {f"{PROJECTION}.weight": torch.eye(384), f"{PROJECTION}.bias": torch.zeros(384)}
    folder = tmp_path_factory.mktemp("checkpoint")
    write_checkpoint(folder, tower, text, scales=(14.0, 14.0), labels=["green forest"])
    return f"embedded:{folder}"


@pytest.fixture(scope="session")
def load_once() -> Callable[..., Any]:
    """The real loader, which keeps what it loaded: that takes longer than any of these tests."""
    from terralogue.vlm.clip import load_geoclip

    return cache(load_geoclip)


@pytest.fixture
def model(checkpoint: str, load_once: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """The checkpoint, loaded once for all tests."""
    monkeypatch.setattr("terralogue.vlm.clip.load_geoclip", load_once)
    return checkpoint


@pytest.fixture
def write_pictures() -> WritePictures:
    """Write class folders of noisy pictures, one colour a class, numbered from 1."""

    def write(folder: Path, count: int) -> Path:
        random = np.random.default_rng(len(folder.parts))
        for label, colour in COLOURS.items():
            (folder / label).mkdir(parents=True)
            for number in range(1, count + 1):
                noise = random.integers(-15, 16, (16, 16, 3))
                pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / label / f"{label}_{number}.png")
        return folder

    return write


def pytest_configure(config: pytest.Config) -> None:
    # inspect_ai 0.3.285 never closes the receiving end of its streams of events, in
    # `drain_sample_events` (https://github.com/UKGovernmentBEIS/inspect_ai/blob/main/src/inspect_ai/hooks/_hooks.py).
    line = "ignore:Unclosed <MemoryObjectReceiveStream:ResourceWarning"
    config.addinivalue_line("filterwarnings", line)


@pytest.fixture(scope="session", autouse=True)
def _streams_are_collected() -> Iterator[None]:
    """While the line above counts, which it no longer does when pytest ends."""
    yield
    gc.collect()


class Seer(VLM):
    """Tells the colour of a picture, and little else; it is blind to what it is not asked."""

    name = "seer"
    fingerprint = "5ee25ee25ee25ee2"

    def __init__(self) -> None:
        self.batches: list[list[Query]] = []

    def answer_batch(self, queries: Sequence[Query]) -> list[Reading]:
        self.batches.append(list(queries))
        return [self._answer(query) for query in queries]

    def _answer(self, query: Query) -> Reading:
        picture = query.pictures[0]
        assert isinstance(picture, np.ndarray)
        assert picture.dtype == np.uint8
        means = picture.reshape(3, -1).mean(axis=1)
        word = ("soil", "forest", "water")[int(means.argmax())]
        # The further one colour stands out, the surer it is.
        confidence = float(np.clip(means.max() / means.sum(), 0, 1))
        if query.task == "caption":
            return Reading(f"this is {word}", confidence)
        if query.task == "grounding":
            height, width = picture.shape[1:]
            return Reading(word, confidence, boxes=(Box(0, 0, width / 2, height),), label=word)
        if query.options:
            return Reading(next(o for o in query.options if word in o.split()), confidence)
        if query.question.startswith("How many"):
            return Reading("eight", 0.5, sure=False, doubt="it cannot count")
        if query.question.startswith("What is the area"):
            return Reading("300m2", 0.5)
        return Reading("yes" if word in query.question else "no", confidence)


@pytest.fixture
def seer(monkeypatch: pytest.MonkeyPatch) -> Seer:
    """A model that `--model seer` names; the test sees what it was asked."""
    made = Seer()
    monkeypatch.setitem(VLMS, "seer", lambda rest, device: made)
    return made


@pytest.fixture
def run_eval(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Run a task by the command line, and give the summary."""

    def run(*arguments: str | Path) -> dict[str, Any]:
        assert main(["eval", *map(str, arguments), "--json"]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    return run


@pytest.fixture
def questions(tmp_path: Path, write_pictures: WritePictures) -> Path:
    """Twelve pictures of three colours with four questions each, in the three files of RSVQA."""
    data = tmp_path / "data"
    pictures = write_pictures(tmp_path / "pictures", 4)
    (data / "Data").mkdir(parents=True)
    images, asked, answers = [], [], []
    for number, path in enumerate(sorted(pictures.rglob("*.png"))):
        path.rename(data / "Data" / f"{number}.png")
        word = WORDS[path.parent.name]
        images.append({"id": number, "active": True})
        for kind, question, answer in (
            ("presence", "Is there water in the image?", "yes" if word == "water" else "no"),
            ("comp", "Is there more forest than road?", "yes" if word == "forest" else "no"),
            ("count", "How many roads are there?", str(8 + 7 * (number % 2))),
            ("area", "What is the area covered by buildings?", f"{200 * (number % 3)}m2"),
        ):
            place = len(asked)
            asked.append({"id": place, "img_id": number, "type": kind, "question": question,
                          "answers_ids": [place], "active": True})  # fmt: skip
            answers.append({"id": place, "question_id": place, "answer": answer, "active": True})
    for name, rows in (("images", images), ("questions", asked), ("answers", answers)):
        file = data / f"USGS_split_test_{name}.json"
        file.write_text(json.dumps({name: rows}), encoding="utf-8")
    return data
