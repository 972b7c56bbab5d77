"""Embedding many images: read by threads while the tower works.

vectors = embed(clip, paths, read_picture, title="pictures")     # (n, d)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from terralogue.datasets.pictures import RGB_BANDS, Picture

if TYPE_CHECKING:
    from terralogue.vlm.clip import GeoCLIP

Vectors = NDArray[np.float32]
Item = TypeVar("Item")

BATCH: Final = 128
_THREADS: Final = 4


def embed(
    clip: GeoCLIP,
    items: Sequence[Item],
    read: Callable[[Item], Picture],
    *,
    features: bool = False,
    batch: int = BATCH,
    title: str = "pictures",
) -> Vectors:
    """Embed what `read` gives for each item; on a terminal, a progress bar goes to standard error.

    Args:
        clip: the model.
        items: one for each image, such as paths; at least one.
        read: called in threads; gives a colour picture, uint8 (3, H, W), or a Tile.
        features: pooled trunk features instead of vectors in the shared space.
        batch: images per call of the tower.
        title: of the progress bar.

    Returns:
        (n, d), in the order of the items; rows are L2-normalised unless `features`.

    Raises:
        EOError: whatever `read` raises.
    """
    encode = clip.features if features else clip.encode_image
    found: list[Vectors] = []
    # `disable=None`: no bar where standard error is not a terminal.
    with tqdm(total=len(items), desc=title, unit="image", disable=None, leave=False) as bar:
        for pictures in _read_ahead(items, read, batch):
            found.append(encode(pictures, RGB_BANDS))
            bar.update(len(pictures))
    return np.concatenate(found)


def embed_texts(clip: GeoCLIP, texts: Sequence[str], *, batch: int = BATCH) -> Vectors:
    """Embed texts, at least one, with a progress bar as `embed`: (n, d), rows L2-normalised."""
    starts = range(0, len(texts), batch)
    with tqdm(starts, desc="texts", unit="batch", disable=None, leave=False) as bar:
        return np.concatenate([clip.encode_text(texts[start : start + batch]) for start in bar])


def _read_ahead(
    items: Sequence[Item], read: Callable[[Item], Picture], batch: int
) -> Iterator[list[Picture]]:
    """Batches of pictures; the next one is being read while a batch is used."""
    chunks = [items[start : start + batch] for start in range(0, len(items), batch)]
    pool = ThreadPoolExecutor(_THREADS)
    try:
        waiting = [pool.submit(read, item) for item in chunks[0]] if chunks else []
        for chunk in [*chunks[1:], []]:
            current, waiting = waiting, [pool.submit(read, item) for item in chunk]
            yield [future.result() for future in current]
    finally:
        pool.shutdown(cancel_futures=True)
