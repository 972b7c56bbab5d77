"""Words of answers: the part of MiniLM's WordPiece vocabulary that the decoder can say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from terralogue.vlm.minilm import installed

PAD: Final = "[PAD]"
START: Final = "[CLS]"
END: Final = "[SEP]"
_UNKNOWN: Final = "[UNK]"
SPECIAL: Final = (PAD, START, END)
_DIGITS: Final = tuple(f"{joint}{digit}" for joint in ("", "##") for digit in range(10))
_TIGHT: Final = re.compile(r" ?([-'/]) ?")
_LEFT: Final = re.compile(r" ([,.:;?!)])")


class Words:
    """Turns texts into numbers of pieces and back.

    Args:
        pieces: of WordPiece; the special ones come first.
    """

    def __init__(self, pieces: Sequence[str]) -> None:
        self.pieces = tuple(pieces)
        self._numbers = {piece: i for i, piece in enumerate(pieces)}

    @classmethod
    def of(cls, texts: Iterable[str]) -> Words:
        """The pieces that some texts are made of, and all digits."""
        tokenizer = installed().tokenizer
        found = {
            piece
            for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False)
            for piece in encoding.tokens
        }
        rest = (found | set(_DIGITS)) - {*SPECIAL, _UNKNOWN}
        return cls([*SPECIAL, *sorted(rest)])

    def __len__(self) -> int:
        return len(self.pieces)

    def encode(self, text: str) -> list[int]:
        """Numbers of a text's pieces, the end included; unknown pieces are left out."""
        tokens = installed().tokenizer.encode(text, add_special_tokens=False).tokens
        known = [self._numbers[piece] for piece in tokens if piece in self._numbers]
        return [*known, self._numbers[END]]

    def decode(self, numbers: Sequence[int]) -> str:
        """The text of pieces, up to the end."""
        said = ""
        for number in numbers:
            piece = self.pieces[number]
            if piece == END:
                break
            if piece in SPECIAL:
                continue
            said += piece[2:] if piece.startswith("##") else f" {piece}"
        return _LEFT.sub(r"\1", _TIGHT.sub(r"\1", said.strip()))

    def embeddings(self) -> NDArray[np.float32]:
        """MiniLM's embeddings of the pieces: (pieces, 384)."""
        model = installed()
        vocabulary = model.tokenizer.get_vocab()
        rows = [vocabulary[piece] for piece in self.pieces]
        return np.asarray(model.weights["embeddings.word_embeddings.weight"][rows], np.float32)
