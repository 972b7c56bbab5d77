"""Write the embeddings that ship with the package; run after examples or lexicon change.

python -m terralogue.agent.refresh
"""

from __future__ import annotations

from typing import Any

import numpy as np

from terralogue.agent.acts import EMBEDDINGS, example_texts, fingerprint
from terralogue.agent.targets import known_texts
from terralogue.vlm.minilm import encode


def main() -> None:
    """Encode the fixed texts and store them as bytes, each row with its step."""
    arrays: dict[str, Any] = {}
    for name, texts in (("examples", example_texts()[1]), ("targets", known_texts())):
        unique = list(dict.fromkeys(texts))
        rows = encode(unique)
        step = np.abs(rows).max(axis=1) / 127
        arrays[name] = np.round(rows / step[:, None]).astype(np.int8)
        arrays[f"{name}_step"] = step.astype(np.float32)
        arrays[f"{name}_fingerprint"] = np.array(fingerprint(unique))
    np.savez_compressed(EMBEDDINGS, **arrays)


if __name__ == "__main__":
    main()
