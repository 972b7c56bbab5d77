"""All pictures of a segmentation benchmark, written down as they are scored."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tqdm import tqdm

from terralogue.datasets.errors import RefusalError
from terralogue.eval.journal import RowJournal
from terralogue.eval.segmentation_cases import Case, Row, score


def score_all(
    cases: Sequence[Case],
    targets: Sequence[str],
    sensor: str | None,
    model: str | None,
    journal: RowJournal,
) -> list[Row]:
    """Score every case that the journal does not know; rows in the order of the cases.

    Raises:
        EOError: a picture or its mask cannot be read.
        RefusalError: the tool refused every picture.
    """
    if journal.resumed:
        print(f"going on: {journal.resumed} of {len(cases)} are there already", file=sys.stderr)
    for case in tqdm(cases, desc="segmentation", unit="image", disable=None, leave=False):
        if case.name not in journal.known:
            journal.write([score(case, targets, sensor, model)])
    rows = [journal.known[case.name] for case in cases]
    found = [each for row in rows for each in row["targets"].values()]
    if all(each["refused"] for each in found):
        raise RefusalError(str(found[0]["refused"]), reason="sensor")
    return rows
