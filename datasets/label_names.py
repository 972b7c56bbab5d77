"""Label names as words: "AnnualCrop", "aGrass" and "denseresidential" made readable.

from terralogue.datasets.label_names import readable
readable("denseresidential")  # "dense residential"
"""

from __future__ import annotations

import re
from typing import Final

# Names that are written as one word in lower case, and those that need more than a space.
WORDS: Final = {
    "aircraft": "aircraft",
    "annualcrop": "annual crop",
    "bareland": "bare land",
    "baseballdiamond": "baseball diamond",
    "baseballfield": "baseball field",
    "center": "center building",
    "denseresidential": "dense residential",
    "golfcourse": "golf course",
    "herbaceousvegetation": "herbaceous vegetation",
    "industrial": "industrial area",
    "mediumresidential": "medium residential",
    "mobilehomepark": "mobile home park",
    "oiltank": "oil tank",
    "parkinglot": "parking lot",
    "permanentcrop": "permanent crop",
    "railwaystation": "railway station",
    "resident": "residential area",
    "residential": "residential area",
    "riverlake": "river or lake",
    "sealake": "sea or lake",
    "sparseresidential": "sparse residential",
    "storagetanks": "storage tanks",
    "tenniscourt": "tennis court",
}
_PREFIX = re.compile(r"^[a-z](?=[A-Z])")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def readable(label: str) -> str:
    """Words of a label, in lower case: RSSCN7's letter in front, joined words and "_" undone."""
    bare = _PREFIX.sub("", label.strip())
    key = re.sub(r"[\W_]+", "", bare).casefold()
    if key in WORDS:
        return WORDS[key]
    return " ".join(re.split(r"[\W_]+", _CAMEL.sub(" ", bare))).strip().casefold()
