"""The table of measured scores, asked for one scene and one target."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from terralogue.datasets.errors import InputError
from terralogue.datasets.scene import Scene
from terralogue.tools.advise import recommend_model
from terralogue.tools.run import Run
from terralogue.tools.store import Store

MakeScene = Callable[..., Scene]
FLAT = dict.fromkeys(("B02", "B03", "B04", "B08", "B11", "B12"), np.full((8, 8), 0.2, np.float32))


def test_the_answer_names_what_is_taken_with_its_score(
    make_scene: MakeScene, tmp_path: Path
) -> None:
    scene = make_scene("s2", FLAT, sensor="sentinel2_l2a")
    found = recommend_model(scene, "water", run=Run(Store(tmp_path)))
    assert found.models[0].ready
    assert found.taken in {model.name for model in found.models}
    scores = [model.score for model in found.models if model.ready and model.score is not None]
    assert scores == sorted(scores, reverse=True)
    assert {m.label: m.value for m in found.measurements}[found.models[0].name] == scores[0]


def test_a_scene_that_no_model_serves_says_why(make_scene: MakeScene, tmp_path: Path) -> None:
    scene = make_scene("s2", FLAT, sensor="sentinel2_l2a")
    found = recommend_model(scene, "road", run=Run(Store(tmp_path)))
    assert found.taken is None
    assert any("On this scene none is used" in text for text in found.warnings)
    with pytest.raises(InputError, match="no task"):
        recommend_model(scene, "unicorn", run=Run(Store(tmp_path)))
