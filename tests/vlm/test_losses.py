from __future__ import annotations

import math

import torch

from terralogue.vlm.losses import contrast, distil, prompted, soft_targets

AXES = torch.eye(4)


def test_a_caption_that_means_the_same_counts_half_for_the_other_image() -> None:
    captions = torch.stack([AXES[0], AXES[0], AXES[1]])
    targets = soft_targets(captions, torch.tensor([0, 1, 2]))
    expected = torch.tensor([[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]])
    torch.testing.assert_close(targets, expected)


def test_images_of_like_land_cover_share_their_captions() -> None:
    cover = torch.tensor([[0.8, 0.2], [0.8, 0.2], [0.0, 1.0]])
    targets = soft_targets(AXES[:3], torch.tensor([0, 1, 2]), cover)
    assert math.isclose(float(targets[0, 1]), 0.5, rel_tol=1e-5)
    assert targets[0, 2] == 0


def test_all_captions_of_an_image_are_its_own() -> None:
    targets = soft_targets(AXES, torch.tensor([0, 0, 1, 1]))
    torch.testing.assert_close(targets, torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 1]]))


def test_contrast_of_right_pairs_is_small_and_of_wrong_pairs_is_the_temperature() -> None:
    own = torch.eye(4)
    scale = torch.tensor(20.0)
    assert contrast(AXES, AXES, own, scale) < 1e-6
    wrong = contrast(AXES, AXES.roll(1, 0), own, scale)
    assert math.isclose(float(wrong), 20.0, rel_tol=1e-4)


def test_prompts_and_teachers_prefer_the_right_answer() -> None:
    scale = torch.tensor(20.0)
    labels = torch.arange(4)
    assert prompted(AXES, labels, AXES, scale) < prompted(AXES, labels.flip(0), AXES, scale)
    assert distil(AXES, AXES, 20 * AXES, scale).abs() < 1e-6
    assert distil(AXES, AXES, 20 * AXES.flip(0), scale) > 1
