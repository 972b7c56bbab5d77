"""What can be said and asked about simulated scenes and pairs, exact by construction.

Captions of a scene come from `captions`, questions with their answers from `questions`; those of a
pair of scenes from `change_captions` and `pair_questions`.
"""

from __future__ import annotations

from terralogue.datasets.synthetic_captions import captions
from terralogue.datasets.synthetic_change_text import change_captions, pair_questions
from terralogue.datasets.synthetic_questions import Question, questions

__all__ = ["Question", "captions", "change_captions", "pair_questions", "questions"]
