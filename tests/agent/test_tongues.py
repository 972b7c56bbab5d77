"""The figure comes first in the language of the question."""

from __future__ import annotations

from pathlib import Path

import pytest

from terralogue.agent.session import ChatSession
from terralogue.agent.tongues import lead
from terralogue.datasets.synthetic import make_demo_pair, make_demo_scene


@pytest.mark.parametrize(
    ("question", "begins", "rest"),
    [
        ("Wie viel Wasser gibt es hier?", "Wasser: ", "Alles Weitere auf Englisch:"),
        ("Quelle est la surface en eau ?", "Eau : ", "La suite est en anglais :"),
        ("¿Cuánta agua hay en la imagen?", "Agua: ", "Lo demás, en inglés:"),
        ("Quanta água há na imagem?", "Água: ", "O resto está em inglês:"),
        ("Quanta acqua c'è nell'immagine?", "Acqua: ", "Il resto è in inglese:"),
    ],
)
def test_a_question_in_another_language_is_answered_in_it_first(
    tmp_path: Path, question: str, begins: str, rest: str
) -> None:
    scene = make_demo_scene(tmp_path / "valley.tif", size=64, clouds=0)
    answer = ChatSession(home=tmp_path / "home").ask(question, scene)
    area = next(m for m in answer.measurements if m.name == "area")
    first, _, more = answer.answer.partition("\n")
    assert first.startswith(begins)
    assert f"{area.value:.3g}"[:3] in first
    assert rest in more
    assert "of what could be seen" in more


def test_a_count_without_an_interval_is_told_in_the_language_of_the_question() -> None:
    count = {"name": "count", "value": 3.0, "unit": "1"}
    found = {"tool": "detect_objects", "target": "tennis_court", "measurements": [count]}
    assert (lead([found], "fr") or "").startswith("Courts de tennis : 3 trouvés.")


def test_gain_and_loss_are_told_in_the_language_of_the_question(tmp_path: Path) -> None:
    before, after = make_demo_pair(tmp_path, event="flood", size=64, scl=True)
    asked = "Wie hat sich das Wasser zwischen den beiden Bildern verändert?"
    answer = ChatSession(home=tmp_path / "home").ask(asked, [before, after])
    assert [call.tool for call in answer.plan] == ["detect_change"]
    assert " dazugekommen, " in answer.answer.splitlines()[0]
    assert "Alles Weitere auf Englisch:" in answer.answer


def test_a_question_in_english_is_answered_in_english_alone(tmp_path: Path) -> None:
    scene = make_demo_scene(tmp_path / "valley.tif", size=64, clouds=0)
    answer = ChatSession(home=tmp_path / "home").ask("How much water is there?", scene)
    assert answer.answer.startswith("Water covers ")
