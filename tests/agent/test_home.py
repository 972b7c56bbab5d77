from __future__ import annotations

from pathlib import Path

import pytest

from terralogue.agent.home import home_folder, make_home
from terralogue.datasets.errors import InputError


def test_the_environment_names_the_home_folder(home: Path, tmp_path: Path) -> None:
    assert home_folder() == home
    assert home_folder(tmp_path) == tmp_path
    assert make_home().is_dir()


def test_a_home_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="TERRALOGUE_HOME"):
        make_home(tmp_path / "file" / "home")
