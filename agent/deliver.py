"""Puts the files of an answer where a person wants them."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from terralogue.agent.answer import Answer, AnswerArtefact
from terralogue.datasets.errors import InputError

ANSWER = "answer.json"


def deliver(answer: Answer, folder: Path) -> Answer:
    """Copy the files of an answer into a folder, and write the answer beside them.

    Each file appears whole or not at all; `answer.json` comes last. Files of the same name from
    before are replaced.

    Returns:
        The answer, with paths in the folder.

    Raises:
        InputError: the folder cannot be written.
    """
    folder = folder.expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".terralogue-", dir=folder) as temporary:
            return _deliver(answer, folder, Path(temporary))
    except OSError as error:
        raise InputError(
            f"The files cannot be put into {folder} ({error.strerror}); choose another folder "
            "with --out."
        ) from error


def _deliver(answer: Answer, folder: Path, temporary: Path) -> Answer:
    places: dict[str, str] = {}
    moved: list[AnswerArtefact] = []
    taken = {ANSWER}
    for artefact in answer.artefacts:
        source = Path(artefact.path)
        name = source.name if source.name not in taken else f"{source.stem}-{artefact.id}"
        name = name if Path(name).suffix == source.suffix else name + source.suffix
        taken.add(name)
        shutil.copyfile(source, temporary / name)
        places[artefact.path] = str(folder / name)
        moved.append(artefact.model_copy(update={"path": str(folder / name)}))
    measured = tuple(
        m.model_copy(update={"artefact": places.get(m.artefact or "", m.artefact)})
        for m in answer.measurements
    )
    told = answer.model_copy(update={"artefacts": tuple(moved), "measurements": measured})
    (temporary / ANSWER).write_text(told.model_dump_json(indent=2) + "\n", encoding="utf-8")
    for name in [*sorted(taken - {ANSWER}), ANSWER]:
        (temporary / name).replace(folder / name)
    return told
