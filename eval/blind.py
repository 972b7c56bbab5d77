"""What can be answered without looking: the commonest answer, and one from the words alone.

A score means little without these: on RSVQA's questions about presence nine of ten answers follow
from their words. Question-only is logistic regression on TF-IDF of the words and pairs of words of
the question and its options, one model for each type of question (after Goyal et al. 2017,
arXiv:1612.00837, who showed how far language alone goes). It learns from other pictures of the same
data set than those that are scored; where there are none, from the scored ones in five folds, a
picture never in two.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from terralogue.eval.answer_forms import normalised

FOLDS: Final = 5
# More do not change what words alone can tell, and take minutes.
_MOST: Final = 20_000
# Answers that it can give, the commonest first; RSVQA's baseline keeps as many.
_CLASSES: Final = 100
_STRENGTH: Final = 10.0
_ITERATIONS: Final = 300


@dataclass(frozen=True)
class Known:
    """A question with its right answer.

    Attributes:
        text: question and options.
        kind: type of question.
        place: of the picture.
        answer: class of the right answer.
    """

    text: str
    kind: str
    place: str
    answer: str


@dataclass(frozen=True)
class Blind:
    """Answers that were given without looking.

    Attributes:
        answers: one class for each question; "" where nothing could be learnt.
        learnt_from: how, in words.
    """

    answers: tuple[str, ...]
    learnt_from: str


def majority(questions: Sequence[Known]) -> list[str]:
    """The commonest right answer of each question's type, among these very questions.

    No constant answer can score better, also none that was chosen on other data.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for each in questions:
        counts[each.kind][each.answer] += 1
    return [counts[each.kind].most_common(1)[0][0] for each in questions]


def question_only(questions: Sequence[Known], others: Sequence[Known], source: str) -> Blind:
    """Answer from the words of the question.

    Args:
        questions: to answer.
        others: questions on other pictures, to learn from; none learns in folds.
        source: what the others are, in words.
    """
    places = {each.place for each in questions}
    learnable = [each for each in others if each.place not in places]
    if learnable:
        said = f"{len(learnable)} questions on other pictures ({source})"
        return Blind(tuple(_learn(learnable, questions)), said)
    if len(places) < 2:
        return Blind(("",) * len(questions), f"nothing: {source}, and there is one picture alone")
    # By size, so that folds are alike; ties by name, so that they are the same every time.
    sizes = Counter(each.place for each in questions)
    order = sorted(sizes, key=lambda place: (-sizes[place], place))
    fold_of = {place: i % FOLDS for i, place in enumerate(order)}
    found = [""] * len(questions)
    for fold in set(fold_of.values()):
        held = [i for i, each in enumerate(questions) if fold_of[each.place] == fold]
        learnt = [each for each in questions if fold_of[each.place] != fold]
        for i, answer in zip(held, _learn(learnt, [questions[i] for i in held]), strict=True):
            found[i] = answer
    folds = min(FOLDS, len(places))
    return Blind(tuple(found), f"the scored questions, in {folds} folds by picture ({source})")


def _learn(known: Sequence[Known], asked: Sequence[Known]) -> list[str]:
    """Answers of one model for each type of question; "" for a type that was never shown."""
    if len(known) > _MOST:
        known = [known[i * len(known) // _MOST] for i in range(_MOST)]
    found = [""] * len(asked)
    for kind in {each.kind for each in asked}:
        places = [i for i, each in enumerate(asked) if each.kind == kind]
        learnt = [each for each in known if each.kind == kind]
        if learnt:
            answers = _learn_type(learnt, [asked[i].text for i in places])
            for i, answer in zip(places, answers, strict=True):
                found[i] = answer
    return found


def _learn_type(known: Sequence[Known], texts: Sequence[str]) -> list[str]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    common = dict(Counter(each.answer for each in known).most_common(_CLASSES))
    known = [each for each in known if each.answer in common]
    answers = [each.answer for each in known]
    if len(common) == 1:
        return answers[:1] * len(texts)
    words = TfidfVectorizer(
        preprocessor=normalised, ngram_range=(1, 2), token_pattern=r"\S+", sublinear_tf=True
    )
    features: Any = words.fit_transform([each.text for each in known])
    model = LogisticRegression(C=_STRENGTH, max_iter=_ITERATIONS).fit(features, answers)
    return [str(answer) for answer in model.predict(words.transform(texts))]
