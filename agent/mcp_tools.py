"""Calls a tool over MCP: progress as it comes, our errors as they were raised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mcp import Client
from mcp.types import CallToolResult, TextContent, Tool

from terralogue.datasets.errors import EOError, from_details

OnProgress = Callable[[float, float | None, str], object]

ERROR_META = "terralogue/error"


class ToolCrashError(RuntimeError):
    """A tool failed in a way that its author did not foresee."""


async def list_tools(client: Client) -> list[Tool]:
    """What the server offers: name, description, input and output schema of each tool."""
    return (await client.list_tools()).tools


async def call(
    client: Client, tool: str, arguments: dict[str, Any], on_progress: OnProgress
) -> dict[str, Any]:
    """Call a tool and give back its typed result as JSON-compatible values.

    The result was checked against the tool's output schema. Cancelling the task that awaits
    this stops the tool within one tile.

    Args:
        client: connected to the server.
        tool: its name.
        arguments: by name; None stands for "not given".
        on_progress: told steps done, steps in all (None: unknown) and what is being done.

    Raises:
        EOError: as the tool raised it, with its class, options and exit code.
        ToolCrashError: the tool failed for another reason, which the server logged.
    """

    async def forward(
        progress: float, total: float | None = None, message: str | None = None
    ) -> None:
        on_progress(progress, total, message or "")

    given = {name: value for name, value in arguments.items() if value is not None}
    result = await client.call_tool(tool, given, progress_callback=forward)
    if result.is_error:
        raise _error(result)
    return dict(result.structured_content)


def _error(result: CallToolResult) -> EOError | ToolCrashError:
    text = " ".join(part.text for part in result.content if isinstance(part, TextContent))
    details = (result.meta or {}).get(ERROR_META)
    return from_details(text, details) if isinstance(details, dict) else ToolCrashError(text)
