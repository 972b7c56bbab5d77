"""Tiny untrained chat models of the full-size architectures, for tests of what is built on them.

    write_tiny(folder, "qwen2_5_vl")
    load_vlm(f"hf:{folder}")

Every letter (byte) is a token, and the chat templates are those of the published models without
tools and videos. What they write is noise.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

hf: Any = transformers

_QWEN_TOKENS: Final = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
    "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
_QWEN_TEMPLATE: Final = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% elif 'text' in part %}{{ part['text'] }}"
    "{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SMOL_TOKENS: Final = (
    "<|endoftext|>", "<|im_start|>", "<end_of_utterance>", "<fake_token_around_image>", "<image>",
    "<global-img>", *(f"<row_{i}_col_{j}>" for i in range(1, 7) for j in range(1, 7)),
)  # fmt: skip
_SMOL_TEMPLATE: Final = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}"
    "{% if message['content'][0]['type'] == 'image' %}{{ ':' }}{% else %}{{ ': ' }}{% endif %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}"
    "{% elif part['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
_TEXT: Final = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 8192, "initializer_range": 0.2,
}  # fmt: skip
_ROTARY: Final = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [1, 1, 2]}


def _tokenizer(special: tuple[str, ...], end: str) -> Any:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(special))
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=end, pad_token=special[0], bos_token=special[1]
    )


def _ids(tokenizer: Any, **names: str) -> dict[str, int]:
    return {key: int(tokenizer.convert_tokens_to_ids(name)) for key, name in names.items()}


def _qwen_parts() -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Tokeniser, what the configurations share, and what the text parts share."""
    tokenizer = _tokenizer(_QWEN_TOKENS, "<|im_end|>")
    shared = _ids(
        tokenizer, image_token_id="<|image_pad|>", video_token_id="<|video_pad|>",
        vision_start_token_id="<|vision_start|>", vision_end_token_id="<|vision_end|>",
    )  # fmt: skip
    ends = _ids(
        tokenizer, bos_token_id="<|im_start|>", eos_token_id="<|im_end|>",
        pad_token_id="<|endoftext|>",
    )  # fmt: skip
    text = {**_TEXT, **ends, "vocab_size": len(tokenizer), "rope_parameters": dict(_ROTARY)}
    return tokenizer, shared, text


def _qwen2_5() -> tuple[Any, Any]:
    tokenizer, shared, text = _qwen_parts()
    vision = {
        "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 4,
        "out_hidden_size": 32, "fullatt_block_indexes": [1], "window_size": 56, "patch_size": 14,
    }  # fmt: skip
    images = hf.Qwen2VLImageProcessor(
        patch_size=14, merge_size=2, size={"shortest_edge": 28**2, "longest_edge": 8 * 28**2}
    )
    videos = hf.Qwen2VLVideoProcessor()
    processor = hf.Qwen2_5_VLProcessor(images, tokenizer, videos, chat_template=_QWEN_TEMPLATE)
    config = hf.Qwen2_5_VLConfig(text_config=text, vision_config=vision, **shared)
    return hf.Qwen2_5_VLForConditionalGeneration(config), processor


def _qwen3() -> tuple[Any, Any]:
    tokenizer, shared, text = _qwen_parts()
    vision = {
        "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 4,
        "out_hidden_size": 32, "patch_size": 16, "num_position_embeddings": 64,
        "deepstack_visual_indexes": [1],
    }  # fmt: skip
    images = hf.Qwen2VLImageProcessor(
        patch_size=16, merge_size=2, size={"shortest_edge": 32**2, "longest_edge": 8 * 32**2}
    )
    videos = hf.Qwen3VLVideoProcessor()
    processor = hf.Qwen3VLProcessor(images, tokenizer, videos, chat_template=_QWEN_TEMPLATE)
    config = hf.Qwen3VLConfig(text_config={**text, "head_dim": 8}, vision_config=vision, **shared)
    return hf.Qwen3VLForConditionalGeneration(config), processor


def _smol_parts() -> tuple[Any, dict[str, Any]]:
    """Tokeniser, and the configuration: pictures of 32 pixels are four tokens."""
    tokenizer = _tokenizer(_SMOL_TOKENS, "<end_of_utterance>")
    ends = _ids(
        tokenizer, bos_token_id="<|im_start|>", eos_token_id="<end_of_utterance>",
        pad_token_id="<|endoftext|>",
    )  # fmt: skip
    config = {
        "text_config": {**_TEXT, **ends, "model_type": "llama", "vocab_size": len(tokenizer)},
        "vision_config": {
            "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
            "num_attention_heads": 4, "image_size": 32, "patch_size": 8,
        },
        "scale_factor": 2,
        **_ids(tokenizer, image_token_id="<image>"),
    }  # fmt: skip
    return tokenizer, config


_SMALL: Final = {
    "size": {"longest_edge": 32}, "max_image_size": {"longest_edge": 32},
    "do_image_splitting": False,
}  # fmt: skip


def _smolvlm() -> tuple[Any, Any]:
    tokenizer, config = _smol_parts()
    processor = hf.SmolVLMProcessor(
        hf.SmolVLMImageProcessor(**_SMALL), tokenizer, hf.SmolVLMVideoProcessor(), image_seq_len=4,
        chat_template=_SMOL_TEMPLATE,
    )  # fmt: skip
    return hf.SmolVLMForConditionalGeneration(hf.SmolVLMConfig(**config)), processor


def _idefics3() -> tuple[Any, Any]:
    tokenizer, config = _smol_parts()
    processor = hf.Idefics3Processor(
        hf.Idefics3ImageProcessor(**_SMALL),
        tokenizer,
        image_seq_len=4,
        chat_template=_SMOL_TEMPLATE,
    )
    return hf.Idefics3ForConditionalGeneration(hf.Idefics3Config(**config)), processor


TINY: Final[dict[str, Callable[[], tuple[Any, Any]]]] = {
    "qwen2_5_vl": _qwen2_5, "qwen3_vl": _qwen3, "smolvlm": _smolvlm, "idefics3": _idefics3,
}  # fmt: skip
"""Model types of transformers, and what builds a model and its processor."""


def write_tiny(folder: Path, kind: str = "qwen2_5_vl", seed: int = 0) -> Path:
    """Write an untrained model as `save_pretrained` does; returns the folder.

    Args:
        folder: made where it does not exist.
        kind: key of TINY.
        seed: of the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, processor = TINY[kind]()
    tokenizer = processor.tokenizer
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
