"""Words of a question: folding, language, spelling, and a rough English gist.

The sentence encoder reads English. A question in German, French, Spanish, Portuguese or Italian is
turned word by word into an English gist (`glossary.json`), which is enough to tell what is wanted.
"""

from __future__ import annotations

import json
import re
import string
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from terralogue.vlm.minilm import vocabulary

HERE = Path(__file__).parent


def word_set(text: str) -> frozenset[str]:
    """The words of a text, for tables of plain words."""
    return frozenset(text.split())


ENGLISH = word_set(
    "polygon polygons change changes difference differences index export report archive port line "
    "lines temperature normalised normalized contour mask save time loss gain vector pairs "
    "container analysis detection great night pre post fire "
    "the of is are was were be been how much many what which where when why who this that "
    "these those here there any some show me my i we our you your it its and or in on at to "
    "for from by with a an do does did has have had can could would should please not no if "
    "so than then give find get make tell draw map image picture scene area all between since "
    "before after about into out over under up down new more less most now only just one two "
    "big large"
)
SHORTHAND = {
    "u": "you", "r": "are", "ur": "your", "pls": "please", "plz": "please", "thx": "thanks",
    "teh": "the", "hte": "the", "taht": "that", "tihs": "this", "hw": "how", "hwo": "how",
    "wat": "what", "wht": "what", "waht": "what", "whats": "what is", "wheres": "where is",
    "cna": "can", "adn": "and", "nad": "and", "fo": "of", "si": "is", "ot": "to", "mch": "much",
    "mcuh": "much", "mny": "many", "meny": "many", "hows": "how is", "im": "i am", "ow": "how",
    "dont": "do not", "doesnt": "does not", "gimme": "give me", "wanna": "want to", "iz": "is",
    "pic": "picture", "pics": "pictures", "img": "image", "imgs": "images", "hv": "have",
}  # fmt: skip


# Letters that are left of a word without its ending; shorter pieces stem from slips ("wa-er").
STEM = 4
# A word of so many letters is rarely a slip of another by chance.
_LONG = 8


class Found(NamedTuple):
    """A phrase found in a list of tokens: its label, and the tokens [start, stop) it covers."""

    label: str
    start: int
    stop: int


def fold(text: str) -> str:
    """Lower case, no accents, no punctuation: "Où, exactement ?" becomes "ou exactement"."""
    text = unicodedata.normalize("NFKD", text.replace("ß", "ss").casefold())
    text = "".join(c for c in text if not unicodedata.combining(c))
    return " ".join(re.findall(r"[^\W_]+(?:\.\d+)?", text))


class Phrases:
    """Phrases with labels, the longest found first; one that ends in * matches by its beginning."""

    def __init__(self, labelled: Iterable[tuple[str, str]]) -> None:
        """Take pairs of (phrase, label)."""
        self._exact: dict[tuple[str, ...], str] = {}
        self._open: dict[tuple[str, ...], str] = {}
        for phrase, label in labelled:
            table = self._open if phrase.endswith("*") else self._exact
            table.setdefault(tuple(fold(phrase).split()), label)
        self._longest = max((len(k) for k in (*self._exact, *self._open)), default=0)
        self._stems: dict[tuple[str, ...], set[int]] = {}
        for key in self._open:
            self._stems.setdefault(key[:-1], set()).add(len(key[-1]))

    def words(self) -> set[str]:
        """Every word that occurs in a phrase."""
        return {word for key in (*self._exact, *self._open) for word in key}

    def _label(self, piece: tuple[str, ...]) -> str | None:
        if piece in self._exact:
            return self._exact[piece]
        head, last = piece[:-1], piece[-1]
        for length in sorted(self._stems.get(head, ()), reverse=True):
            if (*head, last[:length]) in self._open:
                return self._open[*head, last[:length]]
        return None

    def find(self, tokens: Sequence[str]) -> list[Found]:
        """Non-overlapping phrases from left to right, the longest first at each place."""
        found, start = [], 0
        while start < len(tokens):
            for stop in range(min(start + self._longest, len(tokens)), start, -1):
                label = self._label(tuple(tokens[start:stop]))
                if label is not None:
                    found.append(Found(label, start, stop))
                    start = stop
                    break
            else:
                start += 1
        return found


@cache
def glossary() -> dict[str, Phrases]:
    """Foreign words and phrases with their English gist, by language."""
    raw: Mapping[str, Mapping[str, str]] = json.loads(
        (HERE / "glossary.json").read_text(encoding="utf-8")
    )
    return {language: Phrases(words.items()) for language, words in raw.items()}


def language(tokens: Sequence[str], nouns: Mapping[str, Phrases]) -> str:
    """The likeliest of en, de, fr, es, pt, it.

    Args:
        tokens: folded words.
        nouns: words for targets by language; the topic often tells the language too.
    """
    # The unit is no word of any of them, though it is spelled like the Italian for "has".
    tokens = [token for token in tokens if token != "ha"]

    def covered(tables: Iterable[Phrases]) -> int:
        places = {i for t in tables for f in t.find(tokens) for i in range(f.start, f.stop)}
        return len(places)

    english = sum(t in ENGLISH for t in tokens)
    # English unless another language covers clearly more: many short words are shared.
    scores = {"en": 0.5 + english + 0.5 * covered([nouns["en"]])}
    for name, table in glossary().items():
        scores[name] = covered([table]) + 0.5 * covered([nouns[name]])
    return max(scores, key=lambda name: (scores[name], name == "en"))


def _slips(word: str) -> tuple[set[str], set[str]]:
    """Words one slip away: the likelier slips (a letter left out, two swapped), then others."""
    letters = string.ascii_lowercase
    cuts = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    left_out = {a + c + b for a, b in cuts for c in letters}
    swapped = {a + b[1] + b[0] + b[2:] for a, b in cuts if len(b) > 1}
    wrong = {a + c + b[1:] for a, b in cuts if b for c in letters}
    extra = {a + b[1:] for a, b in cuts if b}
    return left_out | swapped, wrong | extra


def _one_edit_away(word: str) -> set[str]:
    first, second = _slips(word)
    return first | second


@cache
def _spelled(word: str, known: frozenset[str]) -> str:
    common = vocabulary()
    if word in SHORTHAND:
        return SHORTHAND[word]
    if len(word) < 4 or not word.isascii() or not word.isalpha() or word in known or word in common:
        return word
    first, second = _slips(word)
    near = first | second
    ours = (first & known) or (second & known)
    # A plural or participle that the vocabulary splits is a word, not a slip; of a stem that only
    # the vocabulary knows ("forrest") it is a slip where a long word of our trade is so near.
    endings = ("s", "es", "d", "ed", "ing", "er", "est", "ly")
    stems = {
        word[: -len(end)] + added
        for end in endings
        for added in ("", "e")
        if word.endswith(end) and len(word) - len(end) >= STEM
    }
    if stems & known or (stems & common.keys() and not (ours and len(word) >= _LONG)):
        return word
    if ours:
        return min(ours, key=lambda w: (common.get(w, len(common)), w))
    if len(word) > 5:
        # Two slips: only words of our own trade are tried.
        trade = {w for w in known if w[0] == word[0] and len(w) > max(4, len(word) - 3)}
        if twice := {w for w in trade if near & _one_edit_away(w)}:
            return min(twice, key=lambda w: (common.get(w, len(common)), w))
    theirs = {w for w in near if w in common and len(w) > 2}
    return min(theirs, key=lambda w: common[w]) if theirs else word


def spell(text: str, known: frozenset[str]) -> list[str]:
    """Folded English words with likely slips repaired; capitalised names are left alone.

    Args:
        text: as typed.
        known: words of our own trade, preferred over all others.
    """
    words = re.findall(r"[^\W_]+(?:\.\d+)?", text)
    out: list[str] = []
    for place, word in enumerate(words):
        is_name = place > 0 and word[0].isupper() and not text.isupper()
        folded = fold(word)
        out += (folded if is_name else _spelled(folded, known)).split()
    return out


def gist(tokens: Sequence[str], name: str, nouns: Phrases, english: Mapping[str, str]) -> list[str]:
    """Word-by-word English for tokens in another language.

    Args:
        tokens: folded words.
        name: language code with a glossary.
        nouns: words for targets in that language.
        english: one English noun for each target.
    """
    out: list[str] = []
    found = {f.start: (f.stop, english[f.label]) for f in nouns.find(tokens)}
    found |= {f.start: (f.stop, f.label) for f in glossary()[name].find(tokens)}
    place = 0
    while place < len(tokens):
        stop, words = found.get(place, (place + 1, tokens[place]))
        out += fold(words).split()
        place = stop
    return out
