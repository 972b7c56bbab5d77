"""The exceptions that a person may see: one clear sentence each, with the exit code it leads to.

EOError                      never raised itself
├── InputError               exit 2   a file, option or argument cannot be used
│   ├── SceneError           exit 2   a file is not a scene that can be read
│   ├── RegionError          exit 2   a region cannot be read or lies outside the scene
│   └── WorkspaceError       exit 2   a path or id does not belong to the workspace
├── ClarifyError             exit 3   one question, with options, has to be answered first
└── RefusalError             exit 4   cannot be done with this input; says what would help
    ├── MissingBandError     exit 4   the scene lacks a band that the method needs
    └── NoOverlapError       exit 4   two scenes do not show the same ground

A message says what is wrong, with which file or option, and what to do.
"""

from __future__ import annotations

from typing import ClassVar, Literal

RefusalReason = Literal[
    "sensor", "resolution", "georeference", "out_of_scope", "unsafe", "no_data", "no_overlap"
]
MissingSlot = Literal["target", "second_scene", "time", "region", "intent", "place", "sensor"]


class EOError(Exception):
    """Base of every error whose text is meant for a person."""

    exit_code: ClassVar[int] = 2

    def details(self) -> dict[str, object]:
        """What a program needs beside the sentence, JSON-compatible; see `from_details`."""
        return {"kind": type(self).__name__}


class InputError(EOError):
    """A file, option or argument cannot be used."""


class SceneError(InputError):
    """A file is not a scene that can be read."""


class RegionError(InputError):
    """A region cannot be read, or lies outside the scene."""


class WorkspaceError(InputError):
    """A path or id does not belong to the workspace."""


class ClarifyError(EOError):
    """One question has to be answered before the work can go on."""

    exit_code = 3

    def __init__(self, question: str, *, slot: MissingSlot, options: tuple[str, ...] = ()) -> None:
        """Keep the question (also the message), the slot it fills and the possible answers."""
        super().__init__(question)
        self.slot: MissingSlot = slot
        self.options = options

    def details(self) -> dict[str, object]:
        """Add the slot and its options."""
        return {**super().details(), "slot": self.slot, "options": list(self.options)}


class RefusalError(EOError):
    """The work cannot be done with this input, and no question would change that."""

    exit_code = 4

    def __init__(self, message: str, *, reason: RefusalReason) -> None:
        """Keep the sentence and the class of reason it belongs to."""
        super().__init__(message)
        self.reason: RefusalReason = reason

    def details(self) -> dict[str, object]:
        """Add the class of reason."""
        return {**super().details(), "reason": self.reason}


class MissingBandError(RefusalError):
    """The scene lacks a band that the method needs."""

    def __init__(self, message: str) -> None:
        """The message names the missing band and the sensors that have it."""
        super().__init__(message, reason="sensor")


class NoOverlapError(RefusalError):
    """Two scenes do not show the same ground."""

    def __init__(self, message: str) -> None:
        """The message names both scenes."""
        super().__init__(message, reason="no_overlap")


_PLAIN: dict[str, type[EOError]] = {
    cls.__name__: cls
    for cls in (
        InputError,
        SceneError,
        RegionError,
        WorkspaceError,
        MissingBandError,
        NoOverlapError,
    )
}


def from_details(message: str, details: dict[str, object]) -> EOError:
    """Rebuild the error that crossed a process boundary as its message and `details()`."""
    kind = str(details.get("kind"))
    if kind == "ClarifyError":
        options = details.get("options")
        return ClarifyError(
            message,
            slot=details["slot"],  # type: ignore[arg-type]
            options=tuple(map(str, options)) if isinstance(options, list) else (),
        )
    if kind == "RefusalError":
        return RefusalError(message, reason=details["reason"])  # type: ignore[arg-type]
    return _PLAIN.get(kind, InputError)(message)
