"""Tiny untrained detectors and segmenters of the published architectures, for tests.

    write_tiny(folder, "grounding_dino")
    open_vocabulary_detector(f"hf:{folder}")

What they find is noise.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

hf: Any = transformers

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
# Ids that Grounding DINO's code fixes: those of [CLS], [SEP], "." and "?" in BERT's vocabulary.
_FIXED: Final = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, ".": 1012, "?": 1029}
_TEXT: Final = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2}


def _bert_tokenizer() -> Any:
    """Every letter is a token."""
    vocabulary = {letter: 200 + i for i, letter in enumerate(_LETTERS)} | _FIXED
    vocabulary |= {f"##{letter}": 300 + i for i, letter in enumerate(_LETTERS)}
    tokenizer = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 102), ("[CLS]", 101))
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", model_max_length=64,
    )  # fmt: skip


def _grounding_dino() -> tuple[Any, Any]:
    config = hf.GroundingDinoConfig(
        backbone_config=hf.SwinConfig(
            embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=4,
            out_indices=[2, 3, 4], image_size=64,
        ),
        text_config=hf.BertConfig(**_TEXT, num_hidden_layers=1, vocab_size=1100),
        d_model=32, encoder_layers=1, decoder_layers=2, encoder_ffn_dim=32, decoder_ffn_dim=32,
        encoder_attention_heads=2, decoder_attention_heads=2, num_queries=9, max_text_len=64,
        disable_custom_kernels=True,
    )  # fmt: skip
    images = hf.GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 96})
    processor = hf.GroundingDinoProcessor(images, _bert_tokenizer())
    return hf.GroundingDinoForObjectDetection(config), processor


def _owlv2() -> tuple[Any, Any]:
    words = {f"{letter}</w>": i for i, letter in enumerate(_LETTERS)}
    words |= {letter: 50 + i for i, letter in enumerate(_LETTERS)}
    words |= {"<|startoftext|>": 100, "<|endoftext|>": 101}
    tokenizer = hf.CLIPTokenizer(vocab=words, merges=[], model_max_length=16, pad_token="!")
    vision = {**_TEXT, "num_hidden_layers": 1, "image_size": 64, "patch_size": 16}
    text = {
        **_TEXT, "num_hidden_layers": 1, "vocab_size": 102,
        "max_position_embeddings": 16, "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": 100, "eos_token_id": 101,
    }  # fmt: skip
    config = hf.Owlv2Config(text_config=text, vision_config=vision, projection_dim=32)
    images = hf.Owlv2ImageProcessor(size={"height": 64, "width": 64})
    return hf.Owlv2ForObjectDetection(config), hf.Owlv2Processor(images, tokenizer)


def _sam() -> tuple[Any, Any]:
    config = hf.SamConfig(
        vision_config={
            "hidden_size": 32, "output_channels": 16, "num_hidden_layers": 1, "mlp_dim": 32,
            "num_attention_heads": 2, "image_size": 64, "patch_size": 16, "window_size": 2,
            "global_attn_indexes": [0], "num_pos_feats": 8,
        },
        prompt_encoder_config={
            "hidden_size": 16, "image_size": 64, "patch_size": 16, "mask_input_channels": 4
        },
        mask_decoder_config={
            "hidden_size": 16, "mlp_dim": 16, "num_attention_heads": 2, "iou_head_hidden_dim": 16
        },
    )  # fmt: skip
    images = hf.SamImageProcessor(
        size={"longest_edge": 64}, pad_size={"height": 64, "width": 64},
        mask_size={"longest_edge": 16}, mask_pad_size={"height": 16, "width": 16},
    )  # fmt: skip
    return hf.SamModel(config), hf.SamProcessor(images)


def _sam2() -> tuple[Any, Any]:
    config = hf.Sam2Config(
        vision_config={
            "backbone_config": {
                "model_type": "sam2_hiera_det_model", "hidden_size": 8, "image_size": [64, 64],
                "blocks_per_stage": [1, 1, 2, 1], "embed_dim_per_stage": [8, 16, 32, 64],
                "num_attention_heads_per_stage": [1, 1, 2, 2], "global_attention_blocks": [3],
                "window_positional_embedding_background_size": [2, 2],
                "window_size_per_stage": [4, 4, 2, 2],
            },
            "backbone_channel_list": [64, 32, 16, 8], "fpn_hidden_size": 32,
            "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        },
        prompt_encoder_config={"hidden_size": 32, "image_size": 64, "patch_size": 16,
                               "mask_input_channels": 4},
        mask_decoder_config={"hidden_size": 32, "mlp_dim": 16, "num_attention_heads": 2,
                             "iou_head_hidden_dim": 16},
    )  # fmt: skip
    images = hf.Sam2ImageProcessor(
        size={"height": 64, "width": 64}, mask_size={"height": 16, "width": 16}
    )
    return hf.Sam2Model(config), hf.Sam2Processor(images)


TINY: Final[dict[str, Callable[[], tuple[Any, Any]]]] = {
    "grounding_dino": _grounding_dino, "owlv2": _owlv2, "sam": _sam, "sam2": _sam2,
}  # fmt: skip
"""Kinds, and what builds a model and its processor."""


def write_tiny(folder: Path, kind: str, seed: int = 0) -> Path:
    """Write an untrained model as `save_pretrained` does; returns the folder.

    Args:
        folder: made where it does not exist.
        kind: key of TINY.
        seed: of the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, processor = TINY[kind]()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
