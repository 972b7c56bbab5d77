"""The command line, called as a function, with its real planner."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from terralogue.agent.cli import main

from .conftest import SIZE, WATER_ROWS, WriteScene

HECTARES = WATER_ROWS * SIZE * 9 / 1e4
WATER = "How much water is there?"

pytestmark = pytest.mark.usefixtures("home")


class Told(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def answer(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found

    def figure(self, name: str) -> float:
        return next(m["value"] for m in self.answer["measurements"] if m["name"] == name)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: str | Path) -> Told:
        code = main([str(argument) for argument in arguments])
        return Told(code, *capsys.readouterr())

    return call


def test_a_question_is_answered_in_plain_text(run: Any, write_scene: WriteScene) -> None:
    told = run("ask", write_scene(), "-q", WATER)
    assert told.code == 0
    assert "Water covers 0.922 ha, 25 % of what could be seen." in told.out
    assert "--thread" in told.out
    assert "segment" in told.err


def test_json_is_one_object_with_every_promised_key(run: Any, write_scene: WriteScene) -> None:
    told = run("ask", write_scene(), "-q", WATER, "--json")
    assert set(told.answer) == {
        "thread", "question", "interpretation", "route", "plan", "answer", "confidence",
        "measurements", "artefacts", "warnings", "options", "alternatives", "missing_slot",
        "reason", "timings",
    }  # fmt: skip
    assert told.figure("area") == pytest.approx(HECTARES, rel=2e-3)
    assert told.err == ""


def test_files_are_put_where_out_says(run: Any, write_scene: WriteScene, tmp_path: Path) -> None:
    told = run("ask", write_scene(), "-q", WATER, "--json", "--out", tmp_path / "out")
    paths = [Path(artefact["path"]) for artefact in told.answer["artefacts"]]
    assert {path.parent for path in paths} == {tmp_path / "out"}
    assert {path.suffix for path in paths} == {".tif", ".geojson", ".png"}
    assert json.loads((tmp_path / "out" / "answer.json").read_text(encoding="utf-8")) == told.answer


def test_a_thread_goes_on_in_another_call(run: Any, write_scene: WriteScene) -> None:
    assert run("ask", write_scene(), "-q", WATER, "--thread", "mine").code == 0
    told = run("ask", "-q", "And in acres?", "--thread", "mine", "--json")
    assert told.figure("area") == pytest.approx(HECTARES / 0.40468564224, rel=2e-3)


def test_a_question_back_leads_to_exit_3_and_is_answered_by_thread(
    run: Any, write_scene: WriteScene
) -> None:
    scene = write_scene(bands=("", "", "", ""), date=None)
    asked = run("ask", scene, "-q", WATER, "--json")
    assert (asked.code, asked.answer["missing_slot"]) == (3, "sensor")
    told = run("ask", "--thread", asked.answer["thread"], "-q", "planetscope", "--json")
    assert told.code == 0
    assert told.figure("area") == pytest.approx(HECTARES, rel=2e-3)


def test_the_options_of_a_question_are_numbered(run: Any, write_scene: WriteScene) -> None:
    told = run("ask", write_scene(bands=("", "", "", ""), date=None), "-q", WATER)
    assert "\n  1. " in told.out
    assert "Answer with: terralogue ask --thread" in told.out


def test_a_sensor_and_a_date_may_be_given_with_the_scene(run: Any, write_scene: WriteScene) -> None:
    scene = write_scene(bands=("", "", "", ""), date=None)
    told = run("ask", scene, "-q", WATER, "--sensor", "planetscope", "--date", "2024-06-01")
    assert told.code == 0


def test_a_dry_run_stops_after_the_plan(run: Any, write_scene: WriteScene) -> None:
    told = run("ask", write_scene(), "-q", WATER, "--dry-run", "--json")
    assert told.code == 0
    assert [call["tool"] for call in told.answer["plan"]] == ["segment"]
    assert told.answer["measurements"] == []


def test_a_batch_is_planned_line_by_line(run: Any, tmp_path: Path) -> None:
    scene = {"id": "s", "sensor": "sentinel2_l2a", "georeferenced": True, "date": "2024-01-01"}
    row = {"id": 7, "query": WATER, "inputs": {"scenes": [scene]}}
    path = tmp_path / "queries.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    told = run("ask", "--batch", path, "--dry-run")
    assert (told.code, told.answer["id"], told.answer["route"]) == (0, 7, "tools")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["ask"], "no question"),
        (["ask", "-q", " "], "empty"),
        (["ask", "--thread", "nobody"], "nothing to go on with"),
        (["ask", "-q", "x", "--wings"], "--wings"),
        (["ask", "-q", "x", "--point", "here"], "write X,Y"),
        (["ask", "-q", "x", "--region", "none.geojson"], "none.geojson"),
        (["ask", "-q", "x", "--planner", "oracle"], "unknown planner"),
        (["ask", "-q", "x", "--vlm", "oracle:some"], "unknown model"),
        (["ask", "-q", "x", "--batch", "q.jsonl"], "--dry-run"),
        (["ask", "--batch", "none.jsonl", "--dry-run"], "none.jsonl"),
        (["models", "get", "oracle"], "minilm"),
        (["ask", "none.tif", "-q", "x"], "does not exist"),
    ],
)
def test_a_wrong_call_is_told_in_one_sentence(run: Any, arguments: list[str], said: str) -> None:
    told = run(*arguments)
    assert (told.code, told.out) == (2, "")
    assert said in told.err
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1


def test_a_traceback_comes_with_debug_alone(run: Any) -> None:
    assert "Traceback" not in run("ask", "none.tif", "-q", "x").err
    assert "Traceback" in run("ask", "none.tif", "-q", "x", "--debug").err


def loaded_by(*arguments: str) -> set[str]:
    """Modules that a call of the command line loads, in a process of its own."""
    code = (
        "import sys\nfrom terralogue.agent.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print('modules:', *sys.modules)"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_help_loads_next_to_nothing() -> None:
    loaded = loaded_by("--help")
    assert not loaded & {"torch", "numpy", "rasterio", "langgraph", "mcp", "gradio", "pydantic"}


def test_a_dry_run_loads_no_torch(write_scene: WriteScene) -> None:
    loaded = loaded_by("ask", str(write_scene()), "-q", WATER, "--dry-run")
    assert "langgraph" in loaded
    assert not loaded & {"torch", "transformers", "gradio"}


def test_other_commands_explain_themselves(run: Any) -> None:
    for command in (["chat"], ["serve-tools"], ["models", "get"], ["doctor"], ["ask"]):
        told = run(*command, "--help")
        assert told.code == 0
        assert f"terralogue {' '.join(command)}" in told.out


def test_models_and_doctor_answer(run: Any) -> None:
    assert "minilm" in run("models", "list").out
    assert "rasterio" in run("doctor").out
