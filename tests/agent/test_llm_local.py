"""Plans of a chat model on this machine: a tiny Qwen2 that was taught one call, and bad folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers as hf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from terralogue.agent.llm_local import LocalPlanner, calls_in
from terralogue.agent.plan import Inputs, SceneFacts
from terralogue.agent.planner import get_planner
from terralogue.datasets.errors import InputError

INPUTS = Inputs(scenes=(SceneFacts(id="s1", name="a.tif", sensor="sentinel2", date="2020-06-01"),))
CALL = '<tool_call>{"name":"segment","arguments":{"scene":"s1","target":"water"}}</tool_call>'
QUESTION = "water?"
# How many tools it was told of, and the question, which is all that so small a model can attend to.
TEMPLATE = "{{ tools | length }} {{ messages[-1]['content'].split('Question: ')[-1] }} "


def write_model(folder: Path, *, taught: bool, template: str | None = TEMPLATE) -> Path:
    """A Qwen2 of bytes, which after some steps answers everything with CALL."""
    torch.manual_seed(0)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(letters)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens(["<pad>", "<end>"])
    tokenizer = hf.PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="<end>", chat_template=template
    )
    config = hf.Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=1024,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    model = hf.Qwen2ForCausalLM(config)
    if taught:
        from terralogue.agent.llm_planner import tool_schemas

        prompt = f"{len(tool_schemas())} {QUESTION} "
        ids = torch.tensor([tokenizer(prompt + CALL + "<end>")["input_ids"]])
        optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
        for _ in range(150):
            loss = model(input_ids=ids, labels=ids).loss
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_call_that_a_model_of_this_machine_makes_is_planned(tmp_path: Path) -> None:
    planner = get_planner(f"hf:{write_model(tmp_path / 'chat', taught=True)}")
    plan = planner.plan(QUESTION, INPUTS)
    assert (plan.route, plan.target) == ("tools", "water")
    assert [(call.tool, call.arguments["scene"]) for call in plan.calls] == [("segment", "s1")]
    assert plan.planner.endswith("on this machine")
    assert not any("went to" in text for text in plan.warnings)


def test_a_model_that_calls_nothing_gives_no_plan(tmp_path: Path) -> None:
    planner = LocalPlanner(str(write_model(tmp_path / "chat", taught=False)))
    with pytest.raises(InputError, match="no usable plan"):
        planner.plan(QUESTION, INPUTS)


def test_what_is_no_chat_model_is_said_in_a_sentence(tmp_path: Path) -> None:
    mute = write_model(tmp_path / "mute", taught=False, template=None)
    with pytest.raises(InputError, match="no chat template"):
        LocalPlanner(str(mute)).plan(QUESTION, INPUTS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no model"):
        get_planner(f"hf:{tmp_path / 'empty'}")
    with pytest.raises(InputError, match="not on this machine"):
        get_planner("hf:nobody/never-fetched")


def test_calls_are_read_in_either_form() -> None:
    two = CALL + "\n" + CALL.replace("water", "vegetation")
    assert [json.loads(a)["target"] for _, a in calls_in(two)] == ["water", "vegetation"]
    bare = '{"name": "export", "parameters": {"format": "csv"}}'
    assert calls_in(bare) == [("export", '{"format": "csv"}')]
    for text in ("I cannot help.", '{"name": "rm"}', '<tool_call>{"name": }</tool_call>'):
        with pytest.raises(ValueError, match=r"tool|Expecting"):
            calls_in(text)
