"""Never a confident answer on nonsense: the whole agent with the embedded model.

Not all of it is new to the model. Flat pictures and noise have a rule of their own, and its limit
of distance was lowered once the portrait had passed; "who owns this field?" and "what will it look
like next year?" are among the questions that it was calibrated on.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from terralogue.agent.answer import Answer
from terralogue.agent.said import NOT_SURE
from terralogue.agent.session import ChatSession
from terralogue.datasets.errors import InputError
from terralogue.datasets.synthetic import make_demo_scene
from terralogue.vlm.vlm import load_vlm

SIZE = 256
Picture = NDArray[np.uint8]


def white_noise() -> Picture:
    return np.random.default_rng(7).integers(0, 256, (SIZE, SIZE, 3), np.uint8)


def grey_noise() -> Picture:
    grain = np.random.default_rng(8).normal(128, 40, (SIZE, SIZE, 1))
    return np.clip(np.repeat(grain, 3, axis=2), 0, 255).astype(np.uint8)


def flat(value: int) -> Callable[[], Picture]:
    return lambda: np.full((SIZE, SIZE, 3), value, np.uint8)


def chessboard() -> Picture:
    rows, columns = np.indices((SIZE, SIZE)) // 32
    squares = (rows + columns) % 2
    return np.repeat((squares * 255).astype(np.uint8)[..., None], 3, axis=2)


def drawn(paint: Callable[[ImageDraw.ImageDraw], Any], paper: str = "white") -> Picture:
    image = Image.new("RGB", (SIZE, SIZE), paper)
    paint(ImageDraw.Draw(image))
    return np.asarray(image)


def line_drawing() -> Picture:
    def paint(pen: ImageDraw.ImageDraw) -> None:
        pen.rectangle((70, 120, 190, 220), outline="black", width=2)
        pen.polygon([(60, 120), (130, 60), (200, 120)], outline="black", width=2)
        pen.ellipse((110, 160, 150, 220), outline="black", width=2)
        pen.line((20, 220, 236, 220), fill="black", width=2)

    return drawn(paint)


def page_of_text() -> Picture:
    def paint(pen: ImageDraw.ImageDraw) -> None:
        for line in range(14):
            pen.text((12, 10 + 17 * line), "There is a large airport near the river. Yes.", "black")

    return drawn(paint)


def bar_chart() -> Picture:
    def paint(pen: ImageDraw.ImageDraw) -> None:
        for bar, height in enumerate((60, 150, 90, 200, 120)):
            pen.rectangle((30 + 42 * bar, 230 - height, 60 + 42 * bar, 230), fill="steelblue")
        pen.line((20, 20, 20, 232, 246, 232), fill="black", width=2)

    return drawn(paint)


def cat_face() -> Picture:
    def paint(pen: ImageDraw.ImageDraw) -> None:
        pen.ellipse((48, 60, 208, 220), fill="sandybrown")
        for ear in ([(56, 100), (60, 24), (116, 70)], [(200, 100), (196, 24), (140, 70)]):
            pen.polygon(ear, fill="peru")
        for x in (92, 164):
            pen.ellipse((x - 16, 110, x + 16, 142), fill="yellowgreen")
            pen.ellipse((x - 5, 112, x + 5, 140), fill="black")
        pen.polygon([(118, 160), (138, 160), (128, 174)], fill="salmon")
        for y in (168, 178):
            pen.line((30, y - 8, 110, y), fill="white", width=2)
            pen.line((226, y - 8, 146, y), fill="white", width=2)

    return drawn(paint, paper="skyblue")


def photograph(package: str, *place: str) -> Callable[[], Picture]:
    """A picture that an installed package carries."""

    def read() -> Picture:
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        path = Path(spec.origin).parent.joinpath(*place)
        if not path.is_file():
            pytest.skip(f"this version of {package} carries no {place[-1]}")
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB").resize((SIZE, SIZE)))

    return read


PICTURES: dict[str, Callable[[], Picture]] = {
    "white noise": white_noise,
    "grey noise": grey_noise,
    "all black": flat(0),
    "all white": flat(255),
    "chessboard": chessboard,
    "line drawing": line_drawing,
    "page of text": page_of_text,
    "bar chart": bar_chart,
    "drawing of a cat": cat_face,
    "photo of a big cat": photograph("gradio", "media_assets", "images", "cheetah1.jpg"),
    "photo of a lion": photograph("gradio", "media_assets", "images", "lion.jpg"),
    "photo of a flower": photograph("sklearn", "datasets", "images", "flower.jpg"),
    "portrait": photograph("matplotlib", "mpl-data", "sample_data", "grace_hopper.jpg"),
}
ABOUT_PICTURES = (
    "What does this picture show?",
    "Is there a river?",
    "Is it a rural or an urban area?",
    "How many buildings are there?",
    "Where is the runway?",
)
UNSEEABLE = (
    "who owns this field?",
    "what will it look like next year?",
    "what is the price?",
    "Who pays for the fence around this field?",
    "What will this valley look like in 2050?",
    "How much would the farmer sell it for?",
    "Is the mayor popular?",
    "What did the villagers eat yesterday?",
    "Which of my friends lives here?",
    "What is the wifi password of that house?",
    "What song is playing in the stadium?",
    "How old is the farmer's daughter?",
)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChatSession]:
    try:
        load_vlm()
    except InputError as error:
        pytest.skip(str(error))
    with ChatSession(home=tmp_path_factory.mktemp("home")) as opened:
        yield opened


def assert_not_confident(answer: Answer) -> None:
    assert answer.route in ("refuse", "clarify") or answer.answer.startswith(NOT_SURE), (
        answer.answer
    )
    assert answer.measurements == ()


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_of_no_scene_gets_no_confident_answer(
    session: ChatSession, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / f"{kind.replace(' ', '_')}.png"
    Image.fromarray(PICTURES[kind]()).save(path)
    for question in ABOUT_PICTURES:
        assert_not_confident(session.ask(question, path))


@pytest.mark.parametrize("question", UNSEEABLE)
def test_what_no_picture_shows_gets_no_confident_answer(
    session: ChatSession, tmp_path_factory: pytest.TempPathFactory, question: str
) -> None:
    scene = make_demo_scene(tmp_path_factory.mktemp("scene") / "valley.tif", size=128)
    assert_not_confident(session.ask(question, scene))
