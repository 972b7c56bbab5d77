from __future__ import annotations

import pytest

from terralogue.agent.serving import read_options
from terralogue.datasets.errors import InputError


def test_the_page_listens_on_this_machine_only_by_default() -> None:
    options = read_options([])
    assert options.host == "127.0.0.1"
    assert options.login is None
    assert options.warning is None


def test_an_open_page_on_the_network_is_warned_about() -> None:
    assert "--auth" in (read_options(["--host", "0.0.0.0"]).warning or "")
    assert read_options(["--host", "0.0.0.0", "--auth", "ada:pass"]).warning is None
    assert read_options(["--host", "localhost"]).warning is None


def test_the_login_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERRALOGUE_AUTH", "ada:with:colon")
    assert read_options([]).login == ("ada", "with:colon")


@pytest.mark.parametrize("argument", ["ada", "ada:", ":pass"])
def test_half_a_login_is_refused(argument: str) -> None:
    with pytest.raises(InputError, match="USER:PASSWORD"):
        read_options(["--auth", argument])


def test_a_port_out_of_range_is_refused() -> None:
    with pytest.raises(InputError, match="70000"):
        read_options(["--port", "70000"])
