"""Where the page listens and who may use it: the options of `terralogue chat`."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terralogue.agent.reader import DEFAULT
from terralogue.datasets.errors import InputError

PORT: Final = 7860
LOGIN_VARIABLE: Final = "TERRALOGUE_AUTH"


@dataclass(frozen=True)
class Serving:
    """How to serve the page.

    Attributes:
        host: Address to listen on.
        port: The first free one from PORT on where it is None.
        login: User and password, or None for no login.
        home: See `terralogue.agent.home`.
        vlm: Image-reading model, see `terralogue.vlm.vlm.load_vlm`.
        demo: Answer a question in the terminal first.
    """

    host: str
    port: int | None
    login: tuple[str, str] | None
    home: Path | None
    vlm: str
    demo: bool

    @property
    def warning(self) -> str | None:
        """What the person who starts the page should know."""
        if self.login is not None or _is_local(self.host):
            return None
        return f"Anyone who reaches {self.host} can use this page; ask for a login with --auth."


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the page."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (this machine)")
    parser.add_argument("--port", type=int, help=f"the first free one from {PORT} on")
    parser.add_argument(
        "--auth",
        metavar="USER:PASSWORD",
        help=f"ask for a login; better in the environment, as {LOGIN_VARIABLE}",
    )
    parser.add_argument("--vlm", metavar="SPEC", default=DEFAULT, help="image-reading model")
    parser.add_argument("--home", type=Path, help="where scenes and results live")
    parser.add_argument("--demo", action="store_true", help="answer a question here first")


def read_options(argv: Sequence[str] | None) -> Serving:
    """Read the command line.

    Raises:
        InputError: the login is not USER:PASSWORD, or there is no such port.
    """
    parser = argparse.ArgumentParser(prog="terralogue chat", description="Serve the chat page.")
    add_options(parser)
    given = parser.parse_args(argv)
    if given.port is not None and not 0 < given.port < 65536:
        raise InputError(f"--port {given.port} is no port; choose one from 1 to 65535.")
    login = _login(given.auth or os.environ.get(LOGIN_VARIABLE))
    return Serving(given.host, given.port, login, given.home, given.vlm, given.demo)


def _login(text: str | None) -> tuple[str, str] | None:
    if not text:
        return None
    user, _, password = text.partition(":")
    if not user or not password:
        raise InputError("--auth takes USER:PASSWORD, both not empty.")
    return user, password


def _is_local(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
