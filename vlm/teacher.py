"""What a bigger model thinks of a batch, for `losses.distil`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from terralogue.datasets.bands import Band
from terralogue.datasets.pictures import RGB_BANDS
from terralogue.vlm.clip import GeoCLIP


def teacher_logits(
    clip: GeoCLIP,
    pixels: NDArray[np.uint8],
    captions: Sequence[str],
    bands: Sequence[Band] = RGB_BANDS,
) -> Tensor:
    """Logits of images against texts, at the teacher's own temperature.

    Args:
        clip: the teacher.
        pixels: uint8 (n, bands, H, W), as in the training data.
        captions: m texts.
        bands: of the pixels.

    Returns:
        float32 (n, m), without gradient.
    """
    similarity = clip.encode_image(pixels, bands) @ clip.encode_text(captions).T
    return torch.from_numpy(np.asarray(clip.label_scale * similarity, np.float32))
