"""Detectors by words and segmenters by click, on tiny untrained models of the architectures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from terralogue.datasets.errors import InputError
from terralogue.tools.open_vocabulary import (
    OPEN_MODELS,
    open_vocabulary_detector,
    promptable_segmenter,
)
from terralogue.tools.open_vocabulary_tiny import write_tiny

PICTURE = np.random.default_rng(0).integers(0, 256, (80, 120, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {
        kind: write_tiny(root / kind, kind) for kind in ("grounding_dino", "owlv2", "sam", "sam2")
    }


@pytest.mark.parametrize("kind", ["grounding_dino", "owlv2"])
def test_every_detector_finds_boxes_within_the_picture_the_surest_first(
    kind: str, folders: dict[str, Path]
) -> None:
    detector = open_vocabulary_detector(f"hf:{folders[kind]}")
    found = detector.detect(PICTURE, ["ship", "Boat."], threshold=0.0)
    assert found.boxes.shape == (len(found.scores), 4)
    assert len(found.scores) > 1
    assert (np.diff(found.scores) <= 0).all()
    assert (found.boxes >= 0).all()
    assert (found.boxes[:, 2] <= 120).all()
    assert (found.boxes[:, 3] <= 80).all()
    middle = float(np.median(found.scores))
    fewer = detector.detect(PICTURE, ["ship", "boat"], threshold=middle)
    assert len(fewer.scores) == (found.scores > middle).sum()
    assert len(detector.detect(PICTURE, ["ship"], threshold=1.0).scores) == 0


@pytest.mark.parametrize("kind", ["grounding_dino", "owlv2"])
def test_what_a_detector_finds_depends_on_the_words(kind: str, folders: dict[str, Path]) -> None:
    detector = open_vocabulary_detector(f"hf:{folders[kind]}")
    ships, trees = (detector.detect(PICTURE, [word], threshold=0.0) for word in ("ship", "tree"))
    assert not np.array_equal(ships.scores, trees.scores)


@pytest.mark.parametrize("kind", ["sam", "sam2"])
def test_every_segmenter_outlines_what_is_clicked_at_the_size_of_the_picture(
    kind: str, folders: dict[str, Path]
) -> None:
    segmenter = promptable_segmenter(f"hf:{folders[kind]}")
    outline = segmenter.outline(PICTURE, x=119.5, y=10.0)
    assert outline.mask.shape == (80, 120)
    assert outline.mask.dtype == np.bool_
    again = segmenter.outline(PICTURE, x=119.5, y=10.0)
    elsewhere = segmenter.outline(PICTURE, x=5.0, y=70.0)
    assert np.array_equal(outline.mask, again.mask)
    assert outline.score == again.score != elsewhere.score


def test_what_cannot_be_asked_is_said_in_one_sentence(folders: dict[str, Path]) -> None:
    detector = open_vocabulary_detector(f"hf:{folders['owlv2']}")
    segmenter = promptable_segmenter(f"hf:{folders['sam']}")
    with pytest.raises(InputError, match="needs words"):
        detector.detect(PICTURE, [" "])
    with pytest.raises(InputError, match=r"uint8 \(H, W, 3\), not float64"):
        detector.detect(PICTURE / 255, ["ship"])
    with pytest.raises(InputError, match="outside of the picture of 120 by 80"):
        segmenter.outline(PICTURE, 120, 5)


def test_another_kind_of_model_and_one_that_is_not_here_are_refused(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="type sam, which does not do this; what does: grounding"):
        open_vocabulary_detector(f"hf:{folders['sam']}")
    with pytest.raises(InputError, match="type owlv2"):
        promptable_segmenter(f"hf:{folders['owlv2']}")
    with pytest.raises(InputError, match="run: terralogue models get hf:nobody/nothing"):
        open_vocabulary_detector("hf:nobody/nothing")
    with pytest.raises(InputError, match="give hf:<owner>/<name>"):
        promptable_segmenter("embedded")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "sam2_video"}))
    with pytest.raises(InputError, match="cannot be loaded"):
        promptable_segmenter(f"hf:{tmp_path}")


def test_listed_models_can_be_looked_up_and_had() -> None:
    assert all(model.remote.repo == model.spec.removeprefix("hf:") for model in OPEN_MODELS)
    assert all(model.size > 100 and model.licence for model in OPEN_MODELS)
