"""Never a confident answer on nonsense: the whole agent with the embedded model.

Not all of it is new to the model. Noise, flat tones, drawings, charts and text are families that it
was taught by (`vlm/vlm_nonsense.py`, other pictures of them), and its limit of distance was lowered
once the portrait had passed; "who owns this field?" and "what will it look like next year?" are
among the questions that it was calibrated on. What NEW_KINDS names it has never met.
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
from scipy.ndimage import gaussian_filter

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


def _grey(values: NDArray[Any]) -> Picture:
    """Any values, stretched to 0 to 255."""
    scaled = (values - values.min()) / np.ptp(values) * 255
    return np.repeat(scaled.astype(np.uint8)[..., None], 3, axis=2)


def mosaic() -> Picture:
    rng = np.random.default_rng(3)
    rows, columns = np.indices((SIZE, SIZE))
    seeds, tones = rng.integers(0, SIZE, (60, 2)), rng.integers(0, 256, (60, 3), np.uint8)
    apart = (rows[..., None] - seeds[:, 0]) ** 2 + (columns[..., None] - seeds[:, 1]) ** 2
    return tones[apart.argmin(-1)]


def spiral() -> Picture:
    rows, columns = np.indices((SIZE, SIZE)) - SIZE / 2
    return _grey(np.sin(np.hypot(rows, columns) / 6 + 3 * np.arctan2(rows, columns)))


def fractal() -> Picture:
    rows, columns = np.indices((SIZE, SIZE)) / SIZE
    start = (columns * 3 - 2.2) + 1j * (rows * 2.6 - 1.3)
    value, count = np.zeros_like(start), np.zeros((SIZE, SIZE))
    for _ in range(40):
        inside = np.abs(value) < 2
        value = np.where(inside, value**2 + start, value)
        count += inside
    return _grey(np.sqrt(count))


def maze() -> Picture:
    turns = np.random.default_rng(5).integers(0, 2, (24, 24))

    def paint(pen: ImageDraw.ImageDraw) -> None:
        for (row, column), turn in np.ndenumerate(turns):
            x, y = column * 11, row * 11
            ends = (x, y, x + 11, y + 11) if turn else (x + 11, y, x, y + 11)
            pen.line(ends, fill="black", width=3)

    return drawn(paint)


def halftone() -> Picture:
    def paint(pen: ImageDraw.ImageDraw) -> None:
        for row in range(0, SIZE, 12):
            for column in range(0, SIZE, 12):
                radius = 1 + 4.5 * column / SIZE
                spot = (column - radius, row - radius, column + radius, row + radius)
                pen.ellipse(spot, fill="black")

    return drawn(paint)


def brick_wall() -> Picture:
    def paint(pen: ImageDraw.ImageDraw) -> None:
        for row in range(0, SIZE, 24):
            for column in range(-48, SIZE, 48):
                left = column + (24 if row % 48 else 0)
                pen.rectangle((left + 2, row + 2, left + 45, row + 21), fill="firebrick")

    return drawn(paint, paper="lightgrey")


def starry_sky() -> Picture:
    sky = np.zeros((SIZE, SIZE, 3), np.uint8)
    rng = np.random.default_rng(9)
    sky[tuple(rng.integers(0, SIZE, (2, 400)))] = rng.integers(120, 256, (400, 1), np.uint8)
    return sky


def sheet_of_music() -> Picture:
    places = np.random.default_rng(2).integers(0, 9, (5, 14))

    def paint(pen: ImageDraw.ImageDraw) -> None:
        for (staff, number), height in np.ndenumerate(places):
            top, x = 20 + 48 * staff, 14 + 17 * number
            for line in range(5):
                pen.line((6, top + 7 * line, 250, top + 7 * line), fill="black")
            y = top + 3.5 * height
            pen.ellipse((x, y - 3, x + 8, y + 3), fill="black")
            pen.line((x + 8, y, x + 8, y - 22), fill="black", width=1)

    return drawn(paint)


def fingerprint() -> Picture:
    rows, columns = np.indices((SIZE, SIZE)) - SIZE / 2
    bent = gaussian_filter(np.random.default_rng(4).normal(size=(SIZE, SIZE)), 30) * 600
    return _grey(np.sin(np.hypot(rows * 1.3, columns) / 2.5 + bent))


NEW_KINDS: dict[str, Callable[[], Picture]] = {
    "mosaic": mosaic,
    "spiral": spiral,
    "fractal": fractal,
    "maze": maze,
    "halftone dots": halftone,
    "brick wall": brick_wall,
    "starry sky": starry_sky,
    "sheet of music": sheet_of_music,
    "fingerprint": fingerprint,
}
TAUGHT: dict[str, Callable[[], Picture]] = {
    "white noise": white_noise,
    "grey noise": grey_noise,
    "all black": flat(0),
    "all white": flat(255),
    "chessboard": chessboard,
    "line drawing": line_drawing,
    "page of text": page_of_text,
    "bar chart": bar_chart,
    "drawing of a cat": cat_face,
}
PICTURES: dict[str, Callable[[], Picture]] = {
    **TAUGHT,
    "photo of a big cat": photograph("gradio", "media_assets", "images", "cheetah1.jpg"),
    "photo of a lion": photograph("gradio", "media_assets", "images", "lion.jpg"),
    "photo of a flower": photograph("sklearn", "datasets", "images", "flower.jpg"),
    "portrait": photograph("matplotlib", "mpl-data", "sample_data", "grace_hopper.jpg"),
    **NEW_KINDS,
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


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=pytest.mark.slow if kind in TAUGHT else ()) for kind in PICTURES],
)
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
