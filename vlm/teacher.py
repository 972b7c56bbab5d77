"""What a bigger model thinks of a batch, for `losses.distil`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from terralogue.datasets.bands import Band
from terralogue.vlm.clip import GeoCLIP


def teacher_logits(
    clip: GeoCLIP, images: Tensor, bands: Sequence[Band], captions: Sequence[str]
) -> Tensor:
    """Logits of images against texts, at the teacher's own temperature.

    Args:
        clip: the teacher.
        images: (n, bands, H, W) in about -1 to 1, as the student sees them.
        bands: along the second axis.
        captions: m texts.

    Returns:
        float32 (n, m), without gradient.
    """
    data = np.ascontiguousarray(images.detach().float().cpu().numpy())
    similarity = clip.encode_tiles(data, tuple(bands)) @ clip.encode_text(captions).T
    return torch.from_numpy(np.asarray(clip.label_scale * similarity, np.float32))
