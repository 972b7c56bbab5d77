"""A planner that asks a tool-calling chat model on this machine, through transformers.

    terralogue ask scene.tif -q "…" --planner hf:Qwen/Qwen2.5-1.5B-Instruct    # or a folder

Nothing leaves the machine, and nothing is fetched: `terralogue models get hf:…` does that. The
tools go into the model's own chat template; calls are read in the form of Hermes and Qwen,
`<tool_call>{"name": …, "arguments": {…}}</tool_call>`, or as bare objects of that kind, with
"parameters" as Llama 3 has it.
"""

from __future__ import annotations

import json
import re
from functools import cached_property
from typing import Any, Final

from terralogue.agent import compat
from terralogue.agent.llm_planner import MOST_TOKENS, Calls, LlmPlanner, tool_schemas
from terralogue.agent.plan import Plan
from terralogue.datasets.errors import InputError
from terralogue.vlm.hf_hub import snapshot

_TAGGED: Final = re.compile(r"<tool_call>\s*(\{.*?\})\s*</tool_call>", re.DOTALL)


class LocalPlanner(LlmPlanner):
    """Plans with a causal language model of the cache or a folder."""

    def __init__(self, base: str) -> None:
        """Find the files; they are read with the first question.

        Raises:
            InputError: neither a folder nor a repository of the cache.
        """
        super().__init__(base_url="this machine", model=base)
        self._folder = snapshot(base)

    def _labelled(self, plan: Plan) -> Plan:
        return plan.model_copy(update={"planner": f"llm: {self.model} on this machine"})

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            tokenizer = AutoTokenizer.from_pretrained(self._folder, local_files_only=True)
            model = AutoModelForCausalLM.from_pretrained(self._folder, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(
                f"{self.model} holds no chat model that can plan ({reason}); name another one, or "
                "use --planner embedded."
            ) from error
        if tokenizer.chat_template is None:
            raise InputError(
                f"{self.model} has no chat template, so it cannot be told of tools; name a model "
                "that was tuned for chat."
            )
        model.train(False)
        return tokenizer, model

    def _asked(self, messages: list[dict[str, str]], seconds: float) -> Calls:
        import torch

        tokenizer, model = self._loaded
        fed = tokenizer.apply_chat_template(
            messages, tools=tool_schemas(), add_generation_prompt=True, return_dict=True,
            return_tensors="pt",
        )  # fmt: skip
        with torch.inference_mode():
            made = model.generate(
                **fed, max_new_tokens=MOST_TOKENS, do_sample=False, max_time=max(0.1, seconds)
            )
        text = tokenizer.decode(made[0, fed["input_ids"].shape[1] :], skip_special_tokens=True)
        return calls_in(text)


def calls_in(text: str) -> Calls:
    """Tool calls in what a model wrote: names and arguments as JSON.

    Raises:
        ValueError: there is none, or one is no JSON object with a name.
    """
    written = _TAGGED.findall(text) or ([text.strip()] if text.strip().startswith("{") else [])
    found = []
    for each in written:
        call = json.loads(each)
        arguments = call.get("arguments", call.get("parameters", {}))
        if call.get("name") not in {*compat.TOOL_TITLES, "answer_from_image", "ask_user", "refuse"}:
            raise ValueError(f"{call.get('name')!r} is no tool")
        found.append((str(call["name"]), json.dumps(arguments)))
    if not found:
        raise ValueError("no tool call in the answer")
    return found
