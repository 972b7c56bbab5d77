"""Settings of the embedded vision-language model."""

from __future__ import annotations

from typing import Any, Final

from transformers import PretrainedConfig

from terralogue.vlm.vlm import Task

TASKS: Final[tuple[Task, ...]] = ("qa", "caption")


class ReaderConfig(PretrainedConfig):  # type: ignore[no-untyped-call]
    """Sizes and vocabulary; see `ReaderModel`.

    Args:
        vocabulary: pieces that can be said, see `Words`.
        width: of all layers.
        encoder_layers: over image, question and task.
        decoder_layers: over the words said so far.
        heads: of attention.
        feed: width between the two layers of a feed-forward block.
        image_width: numbers in an image token.
        vector_width: numbers in the embedding of a view.
        text_width: numbers in the state of a question's token, and in the embedding of a piece.
        dates: most pictures in a series.
        longest: most pieces in an answer.
        dropout: while training.
        tower: fingerprint of the image tower whose tokens it was trained on.
    """

    model_type = "terralogue_reader"

    def __init__(
        self,
        vocabulary: list[str] | None = None,
        width: int = 256,
        encoder_layers: int = 3,
        decoder_layers: int = 3,
        heads: int = 8,
        feed: int = 1024,
        image_width: int = 768,
        vector_width: int = 384,
        text_width: int = 384,
        dates: int = 12,
        longest: int = 48,
        dropout: float = 0.1,
        tower: str = "",
        **more: Any,
    ) -> None:
        self.vocabulary = list(vocabulary or [])
        self.width = width
        self.encoder_layers = encoder_layers
        self.decoder_layers = decoder_layers
        self.heads = heads
        self.feed = feed
        self.image_width = image_width
        self.vector_width = vector_width
        self.text_width = text_width
        self.dates = dates
        self.longest = longest
        self.dropout = dropout
        self.tower = tower
        super().__init__(**more)
