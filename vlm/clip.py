"""GeoCLIP: images of any sensor and texts in one space, from whichever model.

    from terralogue.vlm.clip import load_geoclip
    clip = load_geoclip()
    clip.classify(open_scene("S2_pisa.tif"), ["water", "forest", "town"])

`load_geoclip` takes `embedded` (in the package, offline), `embedded:<folder>` (a checkpoint of
`terralogue train align`), `openclip:<name, hf-hub id or local checkpoint>` (RemoteCLIP, GeoRSCLIP,
SkyCLIP, …) and `dofaclip:<local checkpoint>`. ★ PROVIDERS is the table.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError
from terralogue.datasets.label_names import readable
from terralogue.datasets.scene import Scene
from terralogue.datasets.tiles import TILE, Tile, normalise, scene_tile

Floats = NDArray[np.float32]
Image = Scene | Tile | NDArray[np.generic]

PROMPTS: Final = (
    "a satellite image of {}", "an aerial view of {}", "{}", "this is {}",
    "a remote sensing image showing {}", "a scene of {} seen from above", "{} from the air",
    "there is {} in the picture",
)  # fmt: skip
"""Ways to say what a scene is; a label's embedding is the mean over all of them."""


@dataclass(frozen=True)
class LabelScore:
    """A label and its share of a softmax over all labels asked for: a rank, not a confidence."""

    label: str
    score: float


class GeoCLIP(ABC):
    """Two towers that meet in one space.

    Attributes:
        name: what `load_geoclip` was given.
        fingerprint: 16 hex digits of the weights; vectors of two fingerprints never mix.
        dimensions: of the space.
        seen_labels: label names that it was trained with, readable; empty where that is unknown.
        label_scale: inverse temperature of `classify`.
        tile_size: longer side in pixels that scenes are read at.
    """

    name: str
    fingerprint: str
    dimensions: int
    seen_labels: frozenset[str] = frozenset()
    label_scale: float = 100.0
    tile_size: int = TILE

    @abstractmethod
    def encode_tiles(self, data: Floats, bands: tuple[Band, ...]) -> Floats:
        """Embed tiles of one band set: (n, bands, H, W) in about -1 to 1 → (n, dimensions)."""

    @abstractmethod
    def tile_features(self, data: Floats, bands: tuple[Band, ...]) -> Floats:
        """Pooled features before the projection: (n, bands, H, W) → (n, k)."""

    @abstractmethod
    def encode_text(self, texts: Sequence[str]) -> Floats:
        """Embed texts: float32 (n, dimensions), rows L2-normalised."""

    def encode_image(
        self, images: Image | Sequence[Image], bands: Sequence[Band] | None = None
    ) -> Floats:
        """Embed images of any sensors.

        Args:
            images: one or several: scenes, tiles, or arrays (bands, H, W) with `bands` given:
                uint8 pictures, or floats in reflectance, dB or K. An array (n, bands, H, W) is n
                images.
            bands: of the arrays.

        Returns:
            float32 (n, dimensions), rows L2-normalised, in the order of `images`.

        Raises:
            InputError: an array without bands or unit, a scene of unknown sensor.
        """
        return self._by_band_set(images, bands, self.encode_tiles)

    def features(
        self, images: Image | Sequence[Image], bands: Sequence[Band] | None = None
    ) -> Floats:
        """Pooled features of the trunk, for linear probes: float32 (n, k); see `encode_image`."""
        return self._by_band_set(images, bands, self.tile_features)

    def label_embeddings(self, labels: Sequence[str]) -> Floats:
        """Mean embedding of each label over PROMPTS: float32 (n, dimensions), L2-normalised.

        Raises:
            InputError: there are no labels.
        """
        if not labels:
            raise InputError("there is no label to embed")
        names = [readable(label) for label in labels]
        rows = self.encode_text([prompt.format(name) for name in names for prompt in PROMPTS])
        mean = rows.reshape(len(names), len(PROMPTS), -1).mean(axis=1)
        return np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True), np.float32)

    def classify(
        self,
        images: Image | Sequence[Image],
        labels: Sequence[str],
        bands: Sequence[Band] | None = None,
        *,
        taught: Path | None = None,
    ) -> list[list[LabelScore]]:
        """Rank labels for each image, best first.

        Args:
            images: see `encode_image`.
            labels: candidates, at least two.
            bands: see `encode_image`.
            taught: folder of taught classes; a label among them is scored by its own head, see
                `vlm.teach.classify_with_taught`.

        Raises:
            InputError: fewer than two labels; see also `encode_image`.
        """
        if isinstance(labels, str) or len(labels) < 2:
            raise InputError("classification needs a list of at least two labels to choose from")
        if taught is not None:
            from terralogue.vlm.teach import classify_with_taught, taught_among

            heads = taught_among(labels, taught)
            return classify_with_taught(self, images, labels, heads, bands)
        logits = (
            self.label_scale * self.encode_image(images, bands) @ (self.label_embeddings(labels).T)
        )
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        return [
            [LabelScore(labels[i], float(row[i])) for i in np.argsort(-row, kind="stable")]
            for row in shares
        ]

    def _by_band_set(
        self,
        images: Image | Sequence[Image],
        bands: Sequence[Band] | None,
        encode: Callable[[Floats, tuple[Band, ...]], Floats],
    ) -> Floats:
        """Encode images in groups that share bands and shape, and put them back in order."""
        tiles = as_tiles(images, bands, self.tile_size)
        groups: dict[tuple[tuple[Band, ...], tuple[int, ...]], list[int]] = {}
        for i, tile in enumerate(tiles):
            groups.setdefault((tile.bands, tile.data.shape), []).append(i)
        if not groups:
            raise InputError("there is no image to embed")
        rows: dict[int, Floats] = {}
        for (known, _), places in groups.items():
            encoded = encode(np.stack([tiles[i].data for i in places]), known)
            rows.update(zip(places, encoded, strict=True))
        return np.stack([rows[i] for i in range(len(tiles))])


def as_tiles(
    images: Image | Sequence[Image], bands: Sequence[Band] | None, size: int = TILE
) -> list[Tile]:
    """Bring scenes (read with their longer side at `size` pixels), arrays and tiles to tiles.

    Raises:
        InputError: an array without bands or unit, a scene of unknown sensor.
    """
    if isinstance(images, np.ndarray) and images.ndim == 4:
        images = list(images)
    listed = [images] if isinstance(images, Scene | Tile | np.ndarray) else list(images)
    return [_as_tile(image, bands, size) for image in listed]


def _as_tile(image: Image, bands: Sequence[Band] | None, size: int) -> Tile:
    if isinstance(image, Tile):
        return image
    if isinstance(image, Scene):
        return scene_tile(image, size=size)
    if bands is None:
        raise InputError("an array needs its bands; give bands=SENSORS[...].bands")
    data = normalise(image, bands)
    observed = np.isfinite(data).all(axis=0)
    return Tile(np.nan_to_num(data), tuple(bands), float(observed.mean()))


def _embedded(rest: str, device: str) -> GeoCLIP:
    from terralogue.vlm.embedded_clip import load

    return load(rest, device)


def _openclip(rest: str, device: str) -> GeoCLIP:
    from terralogue.vlm.openclip import load

    return load(rest, device)


def _dofaclip(rest: str, device: str) -> GeoCLIP:
    from terralogue.vlm.dofaclip import load

    return load(rest, device)


# ★ One line per provider.
PROVIDERS: Final[dict[str, Callable[[str, str], GeoCLIP]]] = {
    "embedded": _embedded,
    "openclip": _openclip,
    "dofaclip": _dofaclip,
}


def load_geoclip(spec: str = "embedded", *, device: str = "cpu") -> GeoCLIP:
    """Load a model by its specification; nothing is downloaded, `terralogue models get` does that.

    Args:
        spec: `<provider>` or `<provider>:<model>`.
        device: of torch.

    Raises:
        InputError: an unknown provider, or a model that cannot be read.
    """
    provider, _, rest = spec.partition(":")
    if provider not in PROVIDERS:
        raise InputError(
            f"unknown model {spec!r}; give one of: "
            + ", ".join(name if name == "embedded" else f"{name}:<model>" for name in PROVIDERS)
        )
    return PROVIDERS[provider](rest, device)


def tiny_geoclip(seed: int = 0) -> GeoCLIP:
    """An untrained model of the embedded architecture, for tests of what is built on it."""
    from terralogue.vlm.embedded_clip import untrained

    return untrained(seed)
