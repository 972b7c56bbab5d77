"""The package as people install it: what the wheel holds, and whose `datasets` is imported."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("agent", "vlm", "tools", "datasets", "eval")


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Names of the files in a wheel built from a copy of the sources."""
    copy = tmp_path_factory.mktemp("sources")
    for name in (*ROOMS, "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("app.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    subprocess.run([*command, str(copy)], check=True, capture_output=True)
    (wheel,) = out.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_installs_one_package_and_nothing_beside_it(wheel_names: list[str]) -> None:
    top = {name.split("/", 1)[0] for name in wheel_names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"terralogue"}
    assert len(top) == 2


def test_the_wheel_holds_every_room_and_the_page(wheel_names: list[str]) -> None:
    assert "terralogue/app.py" in wheel_names
    for room in ROOMS:
        sources = {f"terralogue/{room}/{path.name}" for path in (ROOT / room).glob("*.py")}
        assert sources <= set(wheel_names)
    assert not any(
        name.startswith(("terralogue/tests", "terralogue/build")) for name in wheel_names
    )


def test_the_wheel_carries_the_data_files_that_the_code_reads(wheel_names: list[str]) -> None:
    for suffix in ("*.json", "*.jsonl", "*.npz"):
        for path in (ROOT / "agent").glob(suffix):
            assert f"terralogue/agent/{path.name}" in wheel_names


def test_datasets_is_hugging_faces_when_run_from_the_repository_root() -> None:
    code = "import datasets; print(datasets.__file__); print(hasattr(datasets, 'load_dataset'))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    path, has_loader = done.stdout.split()
    assert "site-packages" in Path(path).parts
    assert has_loader == "True"


def test_the_rooms_are_namespace_portions() -> None:
    assert not [room for room in ROOMS if (ROOT / room / "__init__.py").exists()]
    assert not (ROOT / "__init__.py").exists()


def test_only_the_page_lies_at_the_root() -> None:
    assert [path.name for path in ROOT.glob("*.py")] == ["app.py"]
