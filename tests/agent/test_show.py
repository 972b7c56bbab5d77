from __future__ import annotations

from pathlib import Path

import numpy as np

from terralogue.agent import show
from terralogue.agent.answer import Answer, AnswerMeasurement
from terralogue.datasets.scene import open_scene
from terralogue.datasets.synthetic import make_demo_scene


def _answer(text: str = "", *measurements: AnswerMeasurement) -> Answer:
    return Answer(
        thread="t", question="q", interpretation="i", route="tools", answer=text,
        measurements=measurements,
    )  # fmt: skip


def _measured(name: str, value: float, unit: str, label: str = "") -> AnswerMeasurement:
    return AnswerMeasurement(name=name, value=value, unit=unit, method="m", label=label)


def test_text_of_strangers_is_no_markup() -> None:
    text, _ = show.answer_markdown(_answer("![x](http://elsewhere/a.png) <img src=x> *bold*"))
    assert "\\!\\[x\\]" in text or "!\\[x\\]" in text
    assert "<img" not in text
    assert "\\*bold\\*" in text


def test_the_method_is_told_apart_and_lists_stay_lists() -> None:
    text, how = show.answer_markdown(_answer("12.3 ha.\n\nHow: an index.\n\nMind:\n- cloud"))
    assert text == "12.3 ha.\n\n**Mind:**\n- cloud\n\n*Understood as: i.*"
    assert how == "- an index."


def test_buttons_are_our_options_or_else_other_readings() -> None:
    readings = ("I meant: count the ships",)
    answered = _answer("12.3 ha.").model_copy(update={"alternatives": readings})
    assert show.offered(answered) == ["I meant: count the ships"]
    asked = answered.model_copy(update={"route": "clarify", "options": ("water",)})
    assert show.offered(asked) == ["water"]
    assert "Understood as" not in show.answer_markdown(asked)[0]
    unsure = _answer('Not sure: x.\n\n- Measure instead: "how much is water?"')
    assert show.offered(unsure) == ["how much is water?"]


def test_the_area_comes_first_among_the_figures() -> None:
    shown = show.figures_html(
        _answer("", _measured("observed_share", 98.0, "%"), _measured("area", 12.34, "ha", "Water"))
    )
    assert shown.index("12.3") < shown.index("98")
    assert "Water" in shown


def test_labels_are_escaped_in_html() -> None:
    shown = show.figures_html(_answer("", _measured("area", 1.0, "ha", "<script>")))
    assert "<script>" not in shown


def test_no_figures_give_no_cards() -> None:
    assert show.figures_html(_answer()) == ""


def test_every_figure_is_a_row_with_its_unit_and_method() -> None:
    assert show.rows(_answer("", _measured("observed_share", 98.0, "%"))) == [
        ["Observed share", "98 %", "m"]
    ]


def test_facts_name_sensor_place_and_date(tmp_path: Path) -> None:
    path = make_demo_scene(tmp_path / "a<b>.tif", size=32)
    facts = show.facts_html(open_scene(path))
    assert "Sentinel-2 L2A" in facts
    assert "EPSG:32633" in facts
    assert "2024-06-15" in facts
    assert "a&lt;b&gt;.tif" in facts


def test_a_mark_is_drawn_where_it_was_clicked_and_stays_inside() -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    marked = show.mark(picture, 30, 20)
    assert tuple(marked[20, 30]) == show.MARK_COLOUR
    assert not picture.any()
    assert show.mark(picture, 59.6, -3).shape == picture.shape
