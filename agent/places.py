"""Place and period in a request for catalogue scenes, and names that belong to several places."""

from __future__ import annotations

import re
from typing import Final

from terralogue.agent.words import fold, word_set

# Names shared by well-known places, with the places to choose from.
AMBIGUOUS: Final[dict[str, tuple[str, ...]]] = {
    "alexandria": ("Alexandria, Egypt", "Alexandria, Virginia"),
    "athens": ("Athens, Greece", "Athens, Georgia (US)"),
    "birmingham": ("Birmingham, England", "Birmingham, Alabama"),
    "cambridge": ("Cambridge, England", "Cambridge, Massachusetts"),
    "columbus": ("Columbus, Ohio", "Columbus, Georgia (US)"),
    "congo": ("Democratic Republic of the Congo", "Republic of the Congo"),
    "cordoba": ("Córdoba, Spain", "Córdoba, Argentina"),
    "frankfurt": ("Frankfurt am Main", "Frankfurt (Oder)"),
    "georgia": ("Georgia, the country", "Georgia, the US state"),
    "granada": ("Granada, Spain", "Granada, Nicaragua"),
    "guadalajara": ("Guadalajara, Mexico", "Guadalajara, Spain"),
    "guinea": ("Guinea", "Equatorial Guinea", "Guinea-Bissau", "Papua New Guinea"),
    "hamilton": ("Hamilton, Ontario", "Hamilton, New Zealand", "Hamilton, Bermuda"),
    "hyderabad": ("Hyderabad, India", "Hyderabad, Pakistan"),
    "kingston": ("Kingston, Jamaica", "Kingston, Ontario", "Kingston upon Hull"),
    "la paz": ("La Paz, Bolivia", "La Paz, Mexico"),
    "leon": ("León, Spain", "León, Mexico", "León, Nicaragua"),
    "london": ("London, England", "London, Ontario"),
    "merida": ("Mérida, Mexico", "Mérida, Spain", "Mérida, Venezuela"),
    "neustadt": ("Neustadt an der Weinstraße", "Neustadt in Holstein", "Neustadt in Sachsen"),
    "newcastle": ("Newcastle upon Tyne", "Newcastle, New South Wales"),
    "newport": ("Newport, Wales", "Newport, Rhode Island"),
    "perth": ("Perth, Australia", "Perth, Scotland"),
    "portland": ("Portland, Oregon", "Portland, Maine", "Isle of Portland"),
    "richmond": ("Richmond, Virginia", "Richmond, London", "Richmond, British Columbia"),
    "rochester": ("Rochester, New York", "Rochester, Minnesota", "Rochester, Kent"),
    "salem": ("Salem, Oregon", "Salem, Massachusetts", "Salem, India"),
    "san jose": ("San José, Costa Rica", "San Jose, California"),
    "san juan": ("San Juan, Puerto Rico", "San Juan, Argentina"),
    "santa cruz": ("Santa Cruz de la Sierra", "Santa Cruz de Tenerife", "Santa Cruz, California"),
    "santiago": ("Santiago, Chile", "Santiago de Compostela", "Santiago de Cuba"),
    "springfield": ("Springfield, Illinois", "Springfield, Missouri", "Springfield, Massachusetts"),
    "st john s": ("St. John's, Newfoundland", "St. John's, Antigua"),
    "sydney": ("Sydney, Australia", "Sydney, Nova Scotia"),
    "tripoli": ("Tripoli, Libya", "Tripoli, Lebanon"),
    "valencia": ("Valencia, Spain", "Valencia, Venezuela"),
    "victoria": ("Victoria, Australia", "Victoria, British Columbia", "Lake Victoria"),
    "washington": ("Washington, DC", "Washington State"),
    "wellington": ("Wellington, New Zealand", "Wellington, Somerset"),
}
# Of these the first is meant unless something else is said.
_FAMOUS: Final = frozenset(
    {"athens", "london", "sydney", "perth", "wellington", "leon", "valencia"}
)

_MONTHS: Final = (
    "january|february|march|april|may|june|july|august|september|october|november|december|"
    "jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec|"
    "januar|februar|marz|mai|juni|juli|oktober|dezember|"
    "janvier|fevrier|mars|avril|juin|juillet|aout|septembre|octobre|novembre|decembre|"
    "enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre|"
    "janeiro|fevereiro|marco|maio|junho|julho|setembro|outubro|novembro|dezembro|"
    "gennaio|febbraio|aprile|maggio|giugno|luglio|settembre|ottobre|dicembre"
)
_PERIOD: Final = re.compile(
    rf"\b(?:(?:\d{{1,2}} )?(?:(?:de |d |del |do |di )?(?:{_MONTHS})\b)(?: \d{{1,2}}\b)?"
    r"(?: (?:de |del )?(?:19|20)\d\d)?"
    r"|(?:(?:spring|summer|autumn|fall|winter|sommer|herbst|fruhling|ete|hiver|verano|invierno|verao|"
    r"inverno|estate)(?: (?:of |de |del )?(?:19|20)\d\d)?)"
    r"|(?:19|20)\d\d(?: \d{1,2} \d{1,2})?"
    r"|(?:this|last|past|previous|next) (?:week|month|year|night|summer|winter|spring|autumn|fall|"
    r"few \w+|\d+ \w+)|yesterday|today|latest|newest|most recent|recent|recently|right now|current"
    r"|gestern|heute|neueste\w*|aktuell\w*|letzte\w* \w+|hier|derniere?|ayer|ultim[ao]|ontem"
    r"|ieri)\b"
)
_TIME_WORDS: Final = word_set(
    "first second third last early late mid spring summer autumn fall winter week day month year "
    "from before after around between this next past any some least "
    "cloud clear please no with without"
)
_NAME: Final = re.compile(r"[^\W\d_][\w'.\u2019-]*", re.UNICODE)
_NOT_PLACES: Final = word_set(
    "sentinel landsat stac modis naip planet planetscope spot worldview skysat enmap i ndvi "
    "sar rgb l1c l2a grd rtc bbox level find get search show fetch download retrieve look "
    "pull load order please can could is are any what which the a give i'd satellite imagery "
    "image images scene scenes least need want have do does hol such suche lade finde trouve "
    "cherche busca consigue procura encontra trova cerca gib zeig arranja bild aufnahme eine "
    "ein une un una um uma"
)
_SMALL: Final = word_set(
    "of de la le du des del di da do dos das el los las the upon am an der den sur sous and et y e"
)
_COORDINATES: Final = re.compile(
    r"-?\d{1,3}\.\d+\s*°?\s*[NSEW]?[,\s]+-?\d{1,3}\.\d+", re.IGNORECASE
)
_AFTER: Final = re.compile(
    r"\b(?:of|over|around|near|at|in|for|above|covering|cover|across|von|uber|um|bei|sur|de|"
    r"autour de|sobre|cerca de|su|di|do|da|em|en|a) (?:the |der |la |le |il |el |o |a )?"
    r"([a-z]{4,}(?: [a-z]{4,})?)"
)
_COMMON: Final = word_set(
    "image images imagery scene scenes lake river area place region field fields farm spot "
    "here city town forest village coast island same this that last next clear cloud clouds "
    "free with from before after during since between least most summer winter spring autumn "
    "week month year pass passes fire flood storm some good any satellite sentinel landsat "
    "wolken nuages nubes nuvens sans senza them these those there time date dates more less"
)


def period(text: str) -> str | None:
    """The time that a request names ("June 2022", "last week"), or None."""
    found = _PERIOD.search(fold(text))
    return found.group(0) if found else None


def place(text: str) -> str | None:
    """The place that a request names, or None: coordinates, or a capitalised name."""
    if coordinates := _COORDINATES.search(text):
        return coordinates.group(0)
    months = set(_MONTHS.split("|"))
    best: list[str] = []
    current: list[str] = []
    for word in _NAME.findall(text):
        bare = (fold(word).split() or [word])[0]
        if (word[0].isupper() and bare not in _NOT_PLACES and bare not in months) or (
            current and bare in _SMALL
        ):
            current.append(word)
        else:
            best = best or current
            current = []
    best = best or current
    while best and fold(best[-1]) in _SMALL:
        best = best[:-1]
    if best:
        return " ".join(best)
    # Typed in lower case: a shared name, or what follows a preposition and is no common word.
    folded = fold(text)
    for name in AMBIGUOUS:
        if re.search(rf"\b{name}\b", folded):
            return name.title()
    for found in _AFTER.finditer(folded):
        words = found.group(1).split()
        if words[0] not in _COMMON and words[0] not in months:
            return " ".join(w for w in words if w not in _COMMON and w not in months)
    return None


def readings(text: str, name: str) -> tuple[str, ...]:
    """The places that a name may mean, where that is really open; else nothing.

    Args:
        text: the whole request; a country or state beside the name settles it.
        name: from `place`.
    """
    key = fold(name)
    if key not in AMBIGUOUS or key in _FAMOUS:
        return ()
    after = re.search(
        rf"{re.escape(name)}\s*(?:,|\(|\b(?:in|im|en|em|au)\b)\s*(?:the\s+)?([^\W\d_]+)",
        text,
        re.IGNORECASE,
    )
    word = after.group(1) if after else ""
    is_time = fold(word) in _TIME_WORDS or re.fullmatch(_MONTHS, fold(word)) is not None
    named = word[:1].isupper() or text.islower()
    return () if word and named and not is_time else AMBIGUOUS[key]
