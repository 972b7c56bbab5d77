"""A typed result in plain words, for a model or a person who reads no JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from terralogue.datasets.scaling import NOT_CALIBRATED
from terralogue.tools.schemas import ToolResult

_DOI = re.compile(r",? doi:[^\s,;]+")
RAW = "uncalibrated digital numbers"


def each_once(warnings: Iterable[str]) -> list[str]:
    """Warnings without repetition.

    What a scene says of its raw numbers is left out where a tool says what that means for its
    result.
    """
    said = list(dict.fromkeys(warnings))
    if any(RAW in text for text in said):
        said = [text for text in said if not text.startswith(NOT_CALIBRATED)]
    return said


def without_doi(method: str) -> str:
    """A method with author and year, but without the addresses of the papers."""

    def closing(found: re.Match[str]) -> str:
        # A bracket that was opened before the address stays; one inside it goes.
        return ")" * max(0, found[0].count(")") - found[0].count("("))

    return _DOI.sub(closing, method)


def in_words(result: ToolResult) -> str:
    """A result in a few lines of plain text, every figure included, for a model to read."""
    lines = [f"{result.title} ({result.method})"]
    if result.why:
        lines.append(f"Why this method: {result.why}")
    for item in result.measurements:
        lines.append(f"- {item.label or item.name}: {item.value:.6g} {item.unit}")
    rest = result.model_dump(mode="json", exclude=set(ToolResult.model_fields), exclude_none=True)
    for name, value in rest.items():
        if value == []:
            continue
        many = isinstance(value, list) and value and isinstance(value[0], dict)
        lines.append(f"{name}:" if many else f"{name}: {_plain(value)}")
        lines.extend(f"- {_plain(entry)}" for entry in (value if many else ()))
    lines.extend(f"Warning: {warning}" for warning in result.warnings)
    if result.confidence is not None:
        lines.append(f"Confidence: {result.confidence:.2f}")
    return "\n".join(lines)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(part)}" for key, part in value.items() if part is not None)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
