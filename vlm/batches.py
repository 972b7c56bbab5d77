"""Embedding many images: read by threads while the tower works, in batches of one band set.

vectors = embed(clip, paths, read_picture, title="pictures")     # (n, d)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from terralogue.datasets.bands import Band
from terralogue.datasets.pictures import RGB_BANDS, Picture
from terralogue.datasets.tiles import Tile

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
    found: list[Vectors] = []
    # `disable=None`: no bar where standard error is not a terminal.
    with tqdm(total=len(items), desc=title, unit="image", disable=None, leave=False) as bar:
        for pictures in _read_ahead(items, read, batch):
            found.append(_embed_batch(clip, pictures, features))
            bar.update(len(pictures))
    return np.concatenate(found)


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


def _embed_batch(clip: GeoCLIP, pictures: Sequence[Picture], features: bool) -> Vectors:
    """Embed pictures of any band sets, one call of the tower for each band set: (n, d)."""
    encode = clip.features if features else clip.encode_image
    groups: dict[tuple[Band, ...] | None, list[int]] = defaultdict(list)
    for i, picture in enumerate(pictures):
        groups[picture.bands if isinstance(picture, Tile) else None].append(i)
    found: dict[int, Vectors] = {}
    for tile_bands, places in groups.items():
        bands = RGB_BANDS if tile_bands is None else None
        found.update(zip(places, encode([pictures[i] for i in places], bands), strict=True))
    return np.stack([found[i] for i in range(len(pictures))])
