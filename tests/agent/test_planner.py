"""Which planner a name gives."""

from __future__ import annotations

import subprocess
import sys

import pytest

from terralogue.agent.embedded_planner import EmbeddedPlanner
from terralogue.agent.llm_planner import LlmPlanner
from terralogue.agent.planner import get_planner
from terralogue.datasets.errors import InputError


def test_the_default_is_the_embedded_planner() -> None:
    assert isinstance(get_planner(), EmbeddedPlanner)


def test_a_chat_model_is_named_by_address_and_model() -> None:
    planner = get_planner("openai:http://127.0.0.1:8000/v1#some/model")
    assert isinstance(planner, LlmPlanner)
    assert (planner.base_url, planner.model) == ("http://127.0.0.1:8000/v1", "some/model")


@pytest.mark.parametrize("spec", ["oracle", "openai:", "openai:http://127.0.0.1/v1", "openai:x#y"])
def test_a_wrong_name_says_what_is_valid(spec: str) -> None:
    with pytest.raises(InputError, match="openai:<base url>#<model>"):
        get_planner(spec)


def test_planning_imports_nothing_heavy() -> None:
    code = """
import sys
from terralogue.agent.plan import Inputs, SceneFacts
from terralogue.agent.planner import get_planner
inputs = Inputs(scenes=(SceneFacts(id="a", sensor="sentinel2"),))
print(get_planner().plan("How much water is there?", inputs).route)
heavy = {"torch", "transformers", "gradio", "langgraph", "openai", "mcp", "rasterio"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["tools", "[]"]
