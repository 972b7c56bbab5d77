"""How the arguments of a tool look on the wire, read from its Python signature. Knows no MCP.

A tool is a plain function, `def segment(scene: Scene, target: str, *, run: Run, …)`. A client says
a scene by its id, a region as a bounding box or GeoJSON and a written file by its id; everything
else travels as it is. The texts that a client reads come from the function's docstring.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError, WithJsonSchema

from terralogue.datasets.errors import InputError
from terralogue.datasets.scene import Scene
from terralogue.tools.region import Region
from terralogue.tools.run import Run
from terralogue.tools.schemas import Artefact
from terralogue.tools.store import Store

SceneId = Annotated[
    str, Field(description="Scene id, or the path of a file relative to the workspace")
]
ArtefactId = Annotated[str, Field(description="Id of an artefact, from an earlier result")]


# Short on purpose: the full schema of GeoJSON would be most of what a model reads of a tool, and
# `Region.parse` says better what is wrong.
RegionArgument = Annotated[
    list[float] | dict[str, Any],
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4},
                {
                    "type": "object",
                    "properties": {
                        "type": {
                            "enum": ["Polygon", "MultiPolygon", "Feature", "FeatureCollection"]
                        }
                    },
                    "required": ["type"],
                },
            ]
        }
    ),
    Field(
        description="[west, south, east, north] in degrees, or GeoJSON with "
        "polygons; in pixels (x right, y down) where the scene has no CRS"
    ),
]


def _region(store: Store, value: list[float] | dict[str, Any]) -> Region:
    return Region.parse(value)


# Python type of a parameter → what a client gives, and how to get the one from the other.
_WIRE: dict[Any, tuple[Any, Callable[[Store, Any], Any]]] = {
    Scene: (SceneId, Store.open),
    Region: (RegionArgument, _region),
    Artefact: (ArtefactId, Store.artefact),
}


@dataclass(frozen=True)
class Argument:
    """One argument of a tool as a client gives it."""

    parameter: inspect.Parameter
    read: Callable[[Store, Any], Any]
    is_scene: bool


@dataclass(frozen=True)
class Interface:
    """A tool as a client sees it."""

    name: str
    description: str
    arguments: tuple[Argument, ...]
    result: type[BaseModel]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the arguments, in the order of the signature."""
        return tuple(argument.parameter.name for argument in self.arguments)

    def scene_ids(self, store: Store, values: dict[str, Any]) -> tuple[str, ...]:
        """The ids of the scenes among the arguments, in the order of the signature.

        Raises:
            WorkspaceError: one is not in the workspace.
        """
        given = (values[a.parameter.name] for a in self.arguments if a.is_scene)
        flat = (ref for value in given for ref in (value if isinstance(value, list) else [value]))
        return tuple(store.find(ref).id for ref in flat if ref is not None)

    def read(self, store: Store, values: dict[str, Any]) -> dict[str, Any]:
        """The arguments of the Python function; opens the scenes.

        Raises:
            EOError: a scene, region or artefact that cannot be used.
        """
        return {
            argument.parameter.name: argument.read(store, values[argument.parameter.name])
            for argument in self.arguments
        }

    def check_names(self, given: Sequence[str]) -> None:
        """Refuse arguments that the tool does not have, rather than pass over them.

        Raises:
            InputError: names the first one and the arguments there are.
        """
        for name in given:
            if name not in self.names:
                raise InputError(
                    f"{self.name} has no argument {name!r}; it takes {_listed(self.names)}."
                )

    def explain(self, error: ValidationError) -> InputError:
        """One sentence for arguments that do not fit the schema."""
        # Of the alternatives of a union, the one that fitted furthest says most.
        first = max(error.errors(), key=lambda item: len(item["loc"]))
        name = str(first["loc"][0]) if first["loc"] else "arguments"
        if first["type"] == "missing" and len(first["loc"]) == 1:
            return InputError(f"{self.name} needs the argument {name!r}{self._what(name)}.")
        reason = re.sub("^Input ", "it ", first["msg"])
        return InputError(
            f"The argument {name!r} of {self.name} cannot be used: {reason}{self._what(name)}."
        )

    def _what(self, name: str) -> str:
        for argument in self.arguments:
            if argument.parameter.name == name:
                metadata = getattr(argument.parameter.annotation, "__metadata__", ())
                texts = [item.description for item in metadata if getattr(item, "description", "")]
                return f" ({texts[-1]})" if texts else ""
        return ""


def interface(
    name: str,
    function: Callable[..., BaseModel],
    choices: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Interface:
    """Read the interface of a tool from its signature and docstring.

    Args:
        name: as clients call it.
        function: the tool.
        choices: argument → the values it is meant to have. They stand in the schema as `examples`
            and not as an enumeration, so that the tool itself explains any other value.

    Raises:
        TypeError: the function does not say what it returns.
    """
    hints = typing.get_type_hints(function, include_extras=True)
    summary, documented = _docstring(function)
    arguments = tuple(
        _argument(parameter, hints[name], documented.get(name), choices.get(name, ()))
        for name, parameter in inspect.signature(function).parameters.items()
        if hints.get(name) is not Run
    )
    result = hints.get("return")
    if not (isinstance(result, type) and issubclass(result, BaseModel)):
        raise TypeError(f"{name} must be annotated to return a typed result.")
    return Interface(name, summary, arguments, result)


def _argument(
    parameter: inspect.Parameter, hint: Any, text: str | None, choices: Sequence[str]
) -> Argument:
    """Translate one parameter: `Scene`, `Scene | None`, `Sequence[Scene]`, and so on."""
    bare = typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint
    union = typing.get_origin(bare) in (typing.Union, types.UnionType)
    parts = [part for part in typing.get_args(bare) if part is not types.NoneType] if union else []
    inner = parts[0] if len(parts) == 1 else bare
    many = typing.get_origin(inner) in (list, Sequence) and typing.get_args(inner)[0] in _WIRE
    kind = typing.get_args(inner)[0] if many else inner
    wire: Any = hint
    read: Callable[[Store, Any], Any] = _as_it_is
    if kind in _WIRE:
        wire, read = _WIRE[kind]
        if many:
            wire, read = Annotated[list[wire], Field(min_length=1)], _each(read)
        if inner is not bare:
            wire, read = wire | None, _unless_none(read)
    # What it is for comes from the docstring, how to say it from the table above.
    texts = [text[0].upper() + text[1:]] if text else []
    if kind in _WIRE:
        texts.append(_WIRE[kind][0].__metadata__[-1].description)
    if choices:
        texts.append(f"One of: {', '.join(choices)}")
    if texts:
        wire = Annotated[wire, Field(description=". ".join(texts), examples=list(choices) or None)]
    changed = parameter.replace(annotation=wire, kind=inspect.Parameter.KEYWORD_ONLY)
    return Argument(changed, read, kind is Scene or hint == SceneId)


def _as_it_is(store: Store, value: Any) -> Any:
    return value


def _each(read: Callable[[Store, Any], Any]) -> Callable[[Store, Any], Any]:
    return lambda store, values: [read(store, value) for value in values]


def _unless_none(read: Callable[[Store, Any], Any]) -> Callable[[Store, Any], Any]:
    return lambda store, value: None if value is None else read(store, value)


def _docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """The text before the sections of a Google docstring, and what it says of each argument."""
    text = inspect.getdoc(function) or ""
    sections = re.split(r"\n(?=(?:Args|Returns|Raises|Yields|Note|Example)s?:\n)", text)
    given = next((part for part in sections if part.startswith("Args:")), "")
    found = re.finditer(r"^    (\w+): (.*(?:\n {8}.*)*)", given, re.MULTILINE)
    return sections[0].strip(), {item[1]: " ".join(item[2].split()).rstrip(".") for item in found}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
