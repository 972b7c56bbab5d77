"""Detectors learn from packs: which points answer for a box, what is no lesson, augmentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from terralogue.datasets.errors import InputError
from terralogue.tools.detect_augment import draw, gallery
from terralogue.tools.detect_checkpoint import read_detector
from terralogue.tools.detect_command import divide, main
from terralogue.tools.detect_loss import Truth, assign, detection_loss
from terralogue.tools.detect_model import DetectorConfig, DetectorNet, boxes_at, points_of
from terralogue.tools.detect_pack import (
    RECIPES,
    SKIPPED,
    Example,
    Recipe,
    read_pack,
    shrunk,
    write_pack,
)

STRIDES = (8, 16, 32)
SIDE = 128


def truth(boxes: list[list[float]], kinds: list[int], known: tuple[bool, ...] = (True,)) -> Truth:
    return Truth(torch.tensor([boxes]), torch.tensor([kinds]), torch.tensor([known]))


def square(name: str, left: int, part: str = "train", run: int = 0) -> Example:
    pixels = np.full((3, 96, 128), 40, np.uint8)
    pixels[:, 20:40, left : left + 30] = 230
    return Example(
        name, part, pixels, np.array([[left, 20, left + 30, 40]], np.float32),
        np.zeros(1, np.int64), np.ones(1, np.bool_), run,
    )  # fmt: skip


def test_points_near_the_middle_of_a_box_answer_for_it_on_the_level_of_its_size() -> None:
    points, strides = points_of(STRIDES, (SIDE, SIDE))
    boxes = truth([[8, 8, 24, 24], [10, 10, 122, 122], [0, 0, 0, 0]], [0, 0, -1])
    owner, ignored = assign(points, strides, boxes)
    small = strides[owner[0] == 0]
    large = strides[owner[0] == 1]
    assert set(small.tolist()) == {8}
    assert set(large.tolist()) == {16, 32}
    assert not ignored.any()
    places = points[owner[0] == 0]
    assert ((places > 8) & (places < 24)).all()


def test_a_box_smaller_than_the_grid_still_has_a_point() -> None:
    points, strides = points_of(STRIDES, (SIDE, SIDE))
    owner, _ = assign(points, strides, truth([[63, 63, 65, 65]], [0]))
    assert (owner >= 0).any()


def test_a_class_that_a_picture_does_not_mark_is_no_lesson() -> None:
    points, strides = points_of(STRIDES, (64, 64))
    distances = torch.ones(1, len(points), 4)
    logits = torch.zeros(1, len(points), 2, requires_grad=True)
    known = Truth(torch.zeros(1, 1, 4), torch.tensor([[-1]]), torch.tensor([[True, False]]))
    detection_loss(logits, distances, points, strides, known).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert (logits.grad[..., 0] > 0).all()
    assert (logits.grad[..., 1] == 0).all()


def test_points_inside_a_skipped_box_are_no_lesson() -> None:
    points, strides = points_of(STRIDES, (64, 64))
    logits = torch.zeros(1, len(points), 1, requires_grad=True)
    skipped = truth([[0, 0, 32, 64]], [SKIPPED])
    distances = torch.ones(1, len(points), 4)
    detection_loss(logits, distances, points, strides, skipped).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert (logits.grad[0, points[:, 0] < 32] == 0).all()
    assert (logits.grad[0, points[:, 0] > 32] > 0).all()


def test_the_right_edges_and_score_cost_least() -> None:
    points, strides = points_of(STRIDES, (64, 64))
    box = torch.tensor([16.0, 16, 40, 40])
    right = torch.cat([points - box[:2], box[2:] - points], 1)[None]
    assert torch.allclose(boxes_at(points, right)[0], box.expand(len(points), 4))
    wanted = truth([box.tolist()], [0])
    owner, _ = assign(points, strides, wanted)
    logits = torch.where(owner >= 0, 12.0, -12.0)[..., None]
    best = detection_loss(logits, right, points, strides, wanted)
    assert best < 1e-3
    assert detection_loss(logits, right * 1.5, points, strides, wanted) > best + 0.1
    assert detection_loss(-logits, right, points, strides, wanted) > best + 0.1


def test_boxes_stay_on_their_things_however_a_picture_is_turned_and_zoomed() -> None:
    source = gallery([square("a", 70)], "cpu")
    images, boxes = draw(source, 24, 128, 1.0, torch.Generator().manual_seed(0))
    assert images.shape == (24, 3, 128, 128)
    sure = 0
    for image, box, kind in zip(images, boxes.boxes[:, 0], boxes.kinds[:, 0], strict=True):
        left, top, right, bottom = box.round().int().tolist()
        if kind < 0 or right - left < 8 or bottom - top < 8:
            continue
        inside = image[:, top + 1 : bottom - 1, left + 1 : right - 1].mean()
        outside = torch.ones(128, 128, dtype=torch.bool)
        outside[max(top - 1, 0) : bottom + 1, max(left - 1, 0) : right + 1] = False
        assert inside > image[:, outside].mean() + 0.4
        sure += 1
    assert sure > 12


def test_a_pack_gives_back_what_was_put_in(tmp_path: Path) -> None:
    five = replace(square("ports", 20), pixels=np.repeat(square("x", 20).pixels[:1], 5, 0))
    for name, examples in (("rgb", [square("a", 10), square("b", 60, "val", 3)]), ("s2", [five])):
        path = tmp_path / f"{name}.npz"
        write_pack(path, examples, ("ship",))
        classes, back = read_pack(path)
        assert classes == ("ship",)
        for one, other in zip(examples, back, strict=True):
            assert (one.name, one.part, one.run) == (other.name, other.part, other.run)
            assert np.array_equal(one.boxes, other.boxes)
            assert one.pixels.shape == other.pixels.shape
            assert np.abs(one.pixels.astype(int) - other.pixels).mean() < 4


def test_pictures_of_large_things_are_kept_smaller() -> None:
    large = replace(
        square("a", 0), pixels=np.zeros((3, 600, 800), np.uint8),
        boxes=np.array([[0, 0, 200, 100]], np.float32),
    )  # fmt: skip
    small = shrunk(large)
    assert small.scale == pytest.approx(448 / 800)
    assert small.pixels.shape == (3, 336, 448)
    assert small.boxes[0].tolist() == pytest.approx([0, 0, 112, 56])
    assert shrunk(square("a", 0)).scale == 1


def test_held_out_pictures_are_those_of_a_part_or_of_every_nth_run() -> None:
    examples = [square("a", 0), square("b", 0, "val", 1), square("c", 0, "train", 2)]
    assert [each.name for each in divide(examples, "train")[1]] == ["b"]
    assert divide(examples, "all") == (examples, [])
    learnt, held = divide(examples, "3/3")
    assert [each.name for each in held] == ["c"]
    assert [each.name for each in learnt] == ["a", "b"]
    with pytest.raises(InputError, match="fold"):
        divide(examples, "some")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A detector of squares, small and read from nowhere."""

    def sources(data: Path, recipe: Recipe) -> Iterator[Example]:
        yield from (square(f"t{i}", 10 * i, "train", i) for i in range(6))
        yield square("v", 33, "val", 7)
        yield square("x", 50, "test", 8)

    recipe = Recipe(("ship",), ("R", "G", "B"), sources, blocks=5, width=16)
    monkeypatch.setitem(RECIPES, "tiny", recipe)
    return recipe


def test_a_detector_is_trained_from_data_and_calibrated(
    tiny: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack, out = tmp_path / "tiny.npz", tmp_path / "out"
    common = ["tiny", "--pack", str(pack), "--out", str(out)]
    train = ["--data", str(tmp_path), "--minutes", "0.02", "--batch", "2", "--side", "64"]
    assert main([*common, *train]) == 0
    assert [each.part for each in read_pack(pack)[1]].count("test") == 0
    assert main([*common, "--calibrate", str(out)]) == 0
    said = capsys.readouterr().out
    assert "6 pictures to learn from, 1 held out" in said
    assert "ship: AP" in said
    facts = read_detector(out).facts
    assert facts["iou"] == tiny.iou
    assert set(facts["classes"]) == {"ship"}
    assert main([*common, *train, "--init", str(out)]) == 0


def test_options_that_cannot_be_used_are_told(tiny: Recipe, tmp_path: Path) -> None:
    common = ["--pack", str(tmp_path / "none.npz"), "--out", str(tmp_path)]
    with pytest.raises(InputError, match="unknown detector 'planes'"):
        main(["planes", *common])
    with pytest.raises(InputError, match="give the data with --data"):
        main(["tiny", *common])
    write_pack(tmp_path / "other.npz", [square("a", 0)], ("aircraft",))
    with pytest.raises(InputError, match="other classes"):
        main(["tiny", "--pack", str(tmp_path / "other.npz"), "--out", str(tmp_path)])


def test_a_broken_checkpoint_is_told(tmp_path: Path) -> None:
    from terralogue.tools.detect_checkpoint import write_detector

    with pytest.raises(InputError, match="holds no detector"):
        read_detector(tmp_path)
    net = DetectorNet(DetectorConfig(("ship",), blocks=5, width=16))
    write_detector(tmp_path, "tiny", net)
    weights = tmp_path / "tiny.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    with pytest.raises(InputError, match="do not belong together"):
        read_detector(tmp_path)
