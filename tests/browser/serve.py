"""Serves the page with a model that says what it is told to: python serve.py HOME."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from terralogue.app import build_app, launch_options
from terralogue.datasets.samples import Box
from terralogue.vlm.vlm import VLM, Query, Reading


class Eyes(VLM):
    """Sure of what is there, not sure of the rest, and pointing at one place."""

    name = "eyes"
    fingerprint = "0" * 16

    def answer_batch(self, queries: Sequence[Query]) -> list[Reading]:
        return [self._answered(query) for query in queries]

    @staticmethod
    def _answered(query: Query) -> Reading:
        if query.task == "grounding":
            return Reading("1 found", 0.74, boxes=(Box(20, 20, 60, 50),), label="water")
        if query.question.startswith("Is there"):
            return Reading("yes", 0.83)
        doubt = "several answers are about equally likely"
        others = (("urban", 0.38),)
        return Reading("rural", 0.41, sure=False, doubt=doubt, alternatives=others)


if __name__ == "__main__":
    home = Path(sys.argv[1])
    app = build_app(home, Eyes())
    _, address, _ = app.launch(prevent_thread_lock=True, **launch_options(home))
    print(f"\nThe chat is at {address}", flush=True)
    app.block_thread()
