"""What the parts of the embedded planner are worth: other encoders and other ways to decide.

    python -m terralogue.eval.intent_ablation [--data DIR] [--epochs 2] [--parts val] [--out FILE]

Fits on the training part, decides on the validation part and scores the parts named, for

- `frozen`: trained heads on the frozen sentence encoder, as the package ships them;
- `lora`: the same heads on the encoder with LoRA adapters (Hu et al. 2021, "LoRA", rank 8 on the
  four projections of every attention layer), fitted with one linear layer to tell the acts of the
  training part, then merged;
- `nearest`: the act of the most alike labelled examples, without trained heads;
- `words_only`: the frozen heads, every item planned as if one Sentinel-2 scene were all there is.

Prints the figures of `terralogue eval intent` for each as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from terralogue.agent.acts import act_model
from terralogue.agent.embedded_planner import EmbeddedPlanner
from terralogue.agent.planner_features import Asked, Embed
from terralogue.agent.planner_heads import Decision, Head, Heads
from terralogue.agent.planner_training import SEED, Item, decide, fit_heads, load_items
from terralogue.datasets.errors import EOError
from terralogue.datasets.vague_seeds import FOLDER
from terralogue.eval.intent import evaluate, metrics
from terralogue.vlm.minilm import MiniLM, installed, model_folder

RANK: Final = 8
SCALE: Final = 16
RATE: Final = 5e-4
BATCH: Final = 32
_PROJECTIONS: Final = ["query", "key", "value", "attention.output.dense"]
_FIGURES: Final = (
    "n", "route_accuracy", "tool_accuracy", "target_accuracy", "pair_accuracy", "over_calling",
    "clarify_precision", "clarify_recall", "calibration_error",
)  # fmt: skip


@dataclass(frozen=True)
class NearestExample(Heads):
    """The act of the most alike labelled examples; knows no inputs and no outcomes."""

    def judge(self, asked: Sequence[Asked]) -> list[tuple[dict[str, float], dict[str, float]]]:
        """All acts for each question, the one of the most alike examples with certainty."""
        model = act_model()
        ranks = np.argsort(-model.scores([a.question for a in asked]), axis=1)
        return [({model.acts[i]: float(i == r[0]) for i in r}, {}) for r in ranks]


def nearest() -> NearestExample:
    """The planner without trained heads."""
    empty = Head((), np.zeros((0, 0), np.float32), np.zeros(0, np.float32))
    return NearestExample(empty, empty, Decision(0.0, 1.0, 0.0))


def adapted(texts: Sequence[str], labels: Sequence[str], epochs: int) -> MiniLM:
    """The sentence encoder with LoRA adapters fitted to tell labels apart, merged.

    Args:
        texts: n texts.
        labels: of the n texts.
        epochs: how often every text is seen.
    """
    import torch  # loads seconds; this ablation only
    from peft import LoraConfig, get_peft_model
    from transformers import BertModel

    torch.manual_seed(SEED)
    classes = sorted(set(labels))
    encoder = BertModel.from_pretrained(model_folder(), add_pooling_layer=False)
    config = LoraConfig(
        r=RANK, lora_alpha=SCALE, lora_dropout=0.05, target_modules=_PROJECTIONS, bias="none"
    )
    model: Any = get_peft_model(encoder, config)
    layer = torch.nn.Linear(encoder.config.hidden_size, len(classes))
    wanted = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW([*wanted, *layer.parameters()], lr=RATE)
    steps = max(1, epochs * -(-len(texts) // BATCH))
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.05, steps)
    tokens = installed().tokenizer.encode_batch(list(texts))
    rng = np.random.default_rng(SEED)
    model.train()
    for _ in range(epochs):
        order = rng.permutation(len(texts))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            ids = [torch.tensor(tokens[i].ids) for i in rows]
            padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)
            # 0 is [PAD], which no text contains.
            seen = (padded > 0).long()
            states = model(input_ids=padded, attention_mask=seen).last_hidden_state
            mean = (states * seen[..., None]).sum(1) / seen.sum(1, keepdim=True)
            logits = 20 * layer(torch.nn.functional.normalize(mean, dim=1))
            right = torch.tensor([classes.index(labels[i]) for i in rows])
            optimiser.zero_grad()
            loss: Any = torch.nn.functional.cross_entropy(logits, right)
            loss.backward()
            optimiser.step()
            schedule.step()
    merged = model.merge_and_unload().eval()
    weights = {
        name: value.detach().numpy().astype(np.float32)
        for name, value in merged.state_dict().items()
        if name in installed().weights
    }
    return MiniLM(weights, installed().tokenizer)


def adapted_on(items: Sequence[Item], epochs: int) -> MiniLM:
    """The encoder fitted on the words and the acts of the training part."""
    pairs = list(dict.fromkeys((item.asked.question.english, item.act) for item in items))
    return adapted([text for text, _ in pairs], [act for _, act in pairs], epochs)


def fitted(folder: Path, embed: Embed) -> Heads:
    """Heads on an encoder, with their decision."""
    train, val = (load_items(folder / f"{part}.jsonl") for part in ("train", "val"))
    heads = fit_heads(train, embed)
    return replace(heads, decision=decide(heads, val)[0])


def scores(path: Path, heads: Heads, *, words_only: bool = False) -> dict[str, Any]:
    """Figures of a planner on one part."""
    found = metrics(evaluate(path, EmbeddedPlanner(heads), words_only=words_only))
    return {name: found[name] for name in _FIGURES}


def run(folder: Path, parts: Sequence[str], epochs: int) -> dict[str, dict[str, Any]]:
    """Figures of every variant on every part.

    Raises:
        InputError: a part is missing.
    """
    frozen = fitted(folder, installed().encode)
    tuned = fitted(folder, adapted_on(load_items(folder / "train.jsonl"), epochs).encode)
    variants = {"frozen": frozen, "lora": tuned, "nearest": nearest()}
    found: dict[str, dict[str, Any]] = {}
    for part in parts:
        path = folder / f"{part}.jsonl"
        found[part] = {name: scores(path, heads) for name, heads in variants.items()}
        found[part]["words_only"] = scores(path, frozen, words_only=True)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures as JSON; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m terralogue.eval.intent_ablation", description="Ablate the planner."
    )
    parser.add_argument("--data", type=Path, default=FOLDER, help="folder with the three parts")
    parser.add_argument("--parts", nargs="+", default=["val"], help="parts to score")
    parser.add_argument("--epochs", type=int, default=2, help="of the adapters")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    options = parser.parse_args(arguments)
    try:
        text = json.dumps(run(options.data, options.parts, options.epochs), indent=2) + "\n"
    except EOError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    if options.out is not None:
        options.out.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
