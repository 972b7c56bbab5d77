"""The text tower while it is trained: MiniLM in torch with LoRA adapters, and a projection.

What is learned is exported as a few small tensors; `vlm/text.py` merges them into the plain numpy
encoder, so that nobody needs torch or peft to encode a text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from transformers import AutoTokenizer, BertModel

from terralogue.vlm.minilm import DIMENSIONS, load, model_folder
from terralogue.vlm.text import LORA, PROJECTION, TARGETS

MAX_TOKENS = 48
"""Captions are shorter; what is longer is cut in training only."""
_CHUNK = 64
ADAPTED_LAYERS = (2, 3, 4, 5)
"""Of MiniLM's six; no gradient has to go below the first of them."""


class TextTower(nn.Module):
    """MiniLM with LoRA, mean pooling, and a linear map that begins as the identity.

    Args:
        dimensions: of the shared space.
        rank: of the LoRA adapters; alpha is the same, so that the merged update is B @ A.

    Raises:
        InputError: MiniLM is not installed, or its weights are not the expected ones.
    """

    def __init__(self, dimensions: int = DIMENSIONS, rank: int = 16) -> None:
        super().__init__()
        folder = model_folder()
        load(folder)  # checks the SHA-256
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        # Without dropout a step takes half the time on a CPU, and captions are drawn anew anyway.
        bert = BertModel.from_pretrained(
            folder,
            attn_implementation="sdpa",
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        config = LoraConfig(
            r=rank,
            lora_alpha=rank,
            target_modules=list(TARGETS),
            layers_to_transform=list(ADAPTED_LAYERS),
            layers_pattern="layer",
        )
        self.bert = get_peft_model(bert, config)
        self.project = nn.Linear(DIMENSIONS, dimensions)
        nn.init.zeros_(self.project.bias)
        nn.init.eye_(self.project.weight)

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Embed texts: (n, dimensions), L2-normalised."""
        rows = self.tokenizer(list(texts), truncation=True, max_length=MAX_TOKENS)["input_ids"]
        # Neighbours of like length share a chunk, so that little work is spent on padding.
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        chunks = [order[start : start + _CHUNK] for start in range(0, len(order), _CHUNK)]
        pooled = torch.cat([self._pooled([rows[i] for i in chunk]) for chunk in chunks])
        back = torch.empty(len(order), dtype=torch.long, device=pooled.device)
        back[torch.tensor(order, device=pooled.device)] = torch.arange(
            len(order), device=pooled.device
        )
        with torch.autocast(pooled.device.type, enabled=False):
            return F.normalize(self.project(pooled[back]), dim=-1)

    def _pooled(self, rows: Sequence[Sequence[int]]) -> Tensor:
        device = self.project.weight.device
        longest = max(map(len, rows))
        ids = torch.zeros(len(rows), longest, dtype=torch.long)
        mask = torch.zeros(len(rows), longest, dtype=torch.long)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = 1
        ids, mask = ids.to(device), mask.to(device)
        hidden = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        weights = mask[..., None].float()
        return F.normalize((hidden * weights).sum(1) / weights.sum(1), dim=-1)

    def exported(self) -> dict[str, Tensor]:
        """What `vlm/text.py` needs: the factors of each adapter, and the projection."""
        out: dict[str, Tensor] = {
            f"{PROJECTION}.weight": self.project.weight,
            f"{PROJECTION}.bias": self.project.bias,
        }
        for name, value in self.bert.state_dict().items():
            if "lora_" in name:
                layer = name.removeprefix("base_model.model.").replace(".default", "")
                out[f"{LORA}.{layer}"] = value
        return {name: value.detach().float().contiguous() for name, value in out.items()}

    def load_exported(self, tensors: dict[str, Tensor]) -> None:
        """Go on from what `exported` gave."""
        state = {
            f"base_model.model.{name.removeprefix(f'{LORA}.')}".replace(
                ".weight", ".default.weight"
            ): value
            for name, value in tensors.items()
            if name.startswith(LORA)
        }
        unknown = self.bert.load_state_dict(state, strict=False).unexpected_keys
        if unknown:
            raise KeyError(f"no such adapter: {unknown[0]}")
        self.project.load_state_dict(
            {
                "weight": tensors[f"{PROJECTION}.weight"],
                "bias": tensors[f"{PROJECTION}.bias"],
            }
        )


def trainable(module: nn.Module) -> list[nn.Parameter]:
    """Parameters that an optimiser should have."""
    return [p for p in module.parameters() if p.requires_grad]


@torch.no_grad()
def embed_all(
    tower: Callable[[Sequence[str]], Tensor], texts: Sequence[str], batch: int = 1024
) -> Tensor:
    """Embed many texts: float32 (n, dimensions)."""
    parts = [tower(texts[start : start + batch]) for start in range(0, len(texts), batch)]
    return torch.cat(parts).float().cpu()
