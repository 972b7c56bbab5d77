"""Chat models of transformers that see pictures: finding, loading and feeding them.

Any model that `AutoModelForImageTextToText` and `AutoProcessor` take and that has a chat template;
tested with Qwen2.5-VL, Qwen3-VL, SmolVLM and Idefics3. Everything is read from this machine.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor

from terralogue.datasets.errors import InputError
from terralogue.vlm.hf_hub import snapshot
from terralogue.vlm.vlm_prompts import Prompt

INSTALL: Final = "run: pip install 'terralogue[train]'"

try:
    from transformers import (
        AutoConfig,
        AutoModelForImageTextToText,
        AutoProcessor,
        BitsAndBytesConfig,
        LogitsProcessor,
    )
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
except ImportError as error:
    raise InputError(f"transformers is not installed; {INSTALL}") from error

# What transformers and peft raise for files that are broken or belong to another model.
_UNREADABLE: Final = (
    OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, SafetensorError,
)  # fmt: skip
ADAPTER: Final = "adapter_config.json"
_WEIGHTS: Final = ("*.safetensors", "*.bin")


@dataclass(frozen=True, eq=False)
class ChatModel:
    """A model with what feeds it.

    Attributes:
        model: of transformers, perhaps with an adapter of peft around it; in evaluation mode.
        processor: with a chat template, padding on the left.
        kind: model type of transformers, such as "qwen2_5_vl".
        folder: of the model.
    """

    model: Any
    processor: Any
    kind: str
    folder: Path

    def encode(self, prompts: Sequence[Prompt]) -> Any:
        """Tensors for a batch of prompts, by name: `input_ids` (n, length) and what goes along."""
        return self.processor.apply_chat_template(
            [messages(prompt) for prompt in prompts], tokenize=True, add_generation_prompt=True,
            return_dict=True, return_tensors="pt", processor_kwargs={"padding": True},
        )  # fmt: skip

    def answered(self, prompt: Prompt, answer: str) -> list[int]:
        """Tokens that the model should write after a prompt: the answer, and the end of its turn.

        Raises:
            InputError: the chat template writes something else between the two.
        """
        asked = messages(prompt)
        told = [*asked, {"role": "assistant", "content": [{"type": "text", "text": answer}]}]
        before = self.processor.apply_chat_template(asked, add_generation_prompt=True)
        after = self.processor.apply_chat_template(told)
        if not after.startswith(before):
            raise InputError(
                f"the chat template of {self.folder} does not continue a question with its answer, "
                "so answers cannot be trained; give an Instruct model"
            )
        rest = after[len(before) :].rstrip()
        tokens: list[int] = self.processor.tokenizer(rest, add_special_tokens=False)["input_ids"]
        return tokens

    def picture_sizes(self, inputs: Any) -> list[tuple[int, int]] | None:
        """Height and width of all pictures as Qwen's processor resized them; None of others."""
        grids = inputs.get("image_grid_thw")
        if grids is None:
            return None
        side = int(self.processor.image_processor.patch_size)
        return [(int(h) * side, int(w) * side) for _, h, w in grids]


class Likelihood(LogitsProcessor):
    """Keeps the logarithm of the likelihood of each token, without keeping the logits.

    It is the last processor, so that the likeliest token is the one that is written.
    """

    def __init__(self) -> None:
        self._steps: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Keep what is known of one step; the scores (n, vocabulary) stay as they are."""
        self._steps.append(scores.float().log_softmax(dim=-1).amax(dim=-1).cpu())
        return scores

    def products(self, tokens: Tensor, ends: int | list[int] | None) -> list[float]:
        """Likelihood of each row of `tokens` (n, length), up to and with the first end."""
        ending = torch.isin(tokens.cpu(), torch.tensor([] if ends is None else ends))
        before = ending.cumsum(dim=1) - ending.long()
        values = torch.stack(self._steps, dim=1)
        return [float(v) for v in torch.where(before == 0, values, 0.0).sum(dim=1).exp()]


def messages(prompt: Prompt) -> list[dict[str, Any]]:
    """A prompt as the messages of a chat template."""
    content = [
        {"type": "text", "text": part}
        if isinstance(part, str)
        else {"type": "image", "image": Image.fromarray(part.picture)}
        for part in prompt.parts
    ]
    return [{"role": "user", "content": content}]


def load_model(base: str, device: str, *, four_bit: bool = False) -> ChatModel:
    """Load a model.

    Args:
        base: folder, or repository that the local cache of the hub holds.
        device: of torch; "auto" lets accelerate spread it over what there is.
        four_bit: weights in 4 bits (NF4, arXiv:2305.14314), with bitsandbytes.

    Raises:
        InputError: it is not here, is no chat model that sees pictures, or cannot be loaded.
    """
    folder = snapshot(base)
    kind, processor = _processor(folder)
    options: dict[str, Any] = {"dtype": "auto", "device_map": device, "local_files_only": True}
    if four_bit:
        options["quantization_config"] = _four_bits(device)
    try:
        loaded: Any = AutoModelForImageTextToText.from_pretrained(
            folder, output_loading_info=True, **options
        )
    except ImportError as error:
        raise InputError(f"{folder} needs another package: {_first_line(error)}") from error
    except _UNREADABLE as error:
        raise InputError(f"{folder} cannot be loaded: {_first_line(error)}") from error
    model, report = loaded
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise InputError(
            f"{folder} lacks {len(missing)} of its tensors, the first is {missing[0]}; fetch the "
            "model again"
        )
    return ChatModel(model.eval(), processor, kind, folder)


def with_adapter(chat: ChatModel, adapter: Path) -> ChatModel:
    """The model with a peft adapter around it.

    Raises:
        InputError: the folder has none, or it does not fit the model.
    """
    if not (adapter / ADAPTER).is_file():
        raise InputError(
            f"{adapter} holds no adapter ({ADAPTER} is missing); give a folder that "
            "`terralogue train lora` wrote"
        )
    try:
        from peft import PeftModel
    except ImportError as error:
        raise InputError(f"adapters need peft; {INSTALL}") from error
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="Found missing adapter keys")
            model = PeftModel.from_pretrained(chat.model, adapter, local_files_only=True)
    except (*_UNREADABLE, UserWarning) as error:
        raise InputError(
            f"the adapter {adapter} does not fit {chat.folder}: {_first_line(error)}; give the "
            "model that it was trained on"
        ) from error
    return ChatModel(model.eval(), chat.processor, chat.kind, chat.folder)


def fingerprint_of(*folders: Path) -> str:
    """16 hex digits of the SHA-256 of the weights in folders and of their configurations."""
    digest = hashlib.sha256()
    for folder in folders:
        for pattern in ("*config*.json", *_WEIGHTS):
            for path in sorted(folder.glob(pattern)):
                digest.update(_sha256(path))
    return digest.hexdigest()[:16]


def _sha256(path: Path) -> bytes:
    """Of a file's content; the cache of the hub names large files by it."""
    name = path.resolve().name
    if re.fullmatch(r"[0-9a-f]{64}", name):
        return bytes.fromhex(name)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _processor(folder: Path) -> tuple[str, Any]:
    """Model type and processor of a folder."""
    try:
        kind = str(AutoConfig.from_pretrained(folder, local_files_only=True).model_type)
        if kind not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
            raise InputError(
                f"{folder} is a model of type {kind}, which answers no questions about pictures; "
                "give one such as Qwen2.5-VL, Qwen3-VL or SmolVLM"
            )
        processors: Any = AutoProcessor
        processor = processors.from_pretrained(folder, local_files_only=True)
    except ImportError as error:
        raise InputError(f"{folder} needs another package: {_first_line(error)}") from error
    except _UNREADABLE as error:
        raise InputError(f"{folder} holds no model: {_first_line(error)}") from error
    if getattr(processor, "chat_template", None) is None:
        raise InputError(f"{folder} has no chat template; give an Instruct model")
    tokenizer = processor.tokenizer
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return kind, processor


def _four_bits(device: str) -> Any:
    if importlib.util.find_spec("bitsandbytes") is None:
        raise InputError("+4bit needs bitsandbytes; run: pip install bitsandbytes")
    if device == "cpu" or not torch.cuda.is_available():
        raise InputError("+4bit needs a GPU; give a device such as cuda, or leave +4bit out")
    settings: Any = BitsAndBytesConfig
    return settings(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )  # fmt: skip


def _first_line(error: Exception | Warning) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")[:300]
