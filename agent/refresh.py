"""Fit the act model anew and store what ships with the package.

    python -m terralogue.agent.refresh

Run it after any change of the examples, the word lists or the code that reads questions; a test
says when it is due.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from terralogue.agent.acts import FITTED, as_arrays, fingerprint, fit_examples, packed
from terralogue.agent.targets import known_texts
from terralogue.vlm.minilm import encode


def main() -> None:
    """Read, encode, fit, store."""
    arrays: dict[str, Any] = {"fingerprint": np.array(fingerprint())}
    arrays |= as_arrays(fit_examples()[0])
    arrays |= {f"targets_{key}": value for key, value in packed(encode(known_texts())).items()}
    np.savez_compressed(FITTED, **arrays)


if __name__ == "__main__":
    main()
