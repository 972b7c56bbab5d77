"""Adapters for full-size chat models, trained on tiny ones of the same architectures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from terralogue.datasets.errors import InputError
from terralogue.vlm.hf_examples import Collator, read_examples
from terralogue.vlm.hf_lora import LoraSettings, Trainer
from terralogue.vlm.hf_model import load_model
from terralogue.vlm.hf_tiny import write_tiny
from terralogue.vlm.hf_vlm import HFVLM
from terralogue.vlm.train import main
from terralogue.vlm.vlm import Query, load_vlm

DARK, LIGHT = (np.full((3, 32, 32), level, np.uint8) for level in (20, 230))
QUESTION = "Is there a lake?"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Questions in the layout of RSIVQA-UCM: a lake in dark pictures, none in bright ones."""
    folder = tmp_path_factory.mktemp("data")
    rows = []
    for number in range(20):
        picture = DARK if number % 2 else LIGHT
        name = f"river/river{number:02d}.png"
        path = folder / "UCMerced_LandUse" / "Images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.transpose(1, 2, 0)).save(path)
        rows.append({"image": name, "question": QUESTION, "answer": "yes" if number % 2 else "no"})
        if number % 2:
            # Nobody can tell these apart.
            rows.append({"image": name, "question": "How many?", "answer": str(number // 4)})
    (folder / "rsivqa_ucm_train.json").write_text(json.dumps(rows), encoding="utf-8")
    entries = [
        {"filename": name, "split": "train", "sentences": [{"raw": "a lake ."}] * 2}
        for name in dict.fromkeys(row["image"] for row in rows)
    ]
    content = {"dataset": "ucm", "images": entries}
    (folder / "dataset_ucm.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tiny") / "qwen")


def train(base: Path, data: Path, out: Path, *options: str) -> int:
    return main(
        ["lora", "--vlm", f"hf:{base}", "--data", str(data), "--split", "all", "--out", str(out),
         "--rank", "4", "--batch", "2", "--accumulate", "1", *options]
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["qwen2_5_vl", "qwen3_vl", "smolvlm"])
def test_a_trained_adapter_is_saved_and_read_again_with_the_same_answers(
    kind: str, data: Path, tmp_path: Path
) -> None:
    base = write_tiny(tmp_path / "base", kind)
    settings = LoraSettings(
        str(base), (str(data),), split="all", steps=2, rank=4, lr=0.02, accumulate=1
    )
    trainer = Trainer(settings, tmp_path / "out")
    trained = HFVLM(trainer.run(), "trained", "")
    queries = [Query(QUESTION, (DARK,)), Query("", (LIGHT,), task="caption")]
    again = load_vlm(f"hf:{base}+lora:{tmp_path / 'out'}")
    untrained = load_vlm(f"hf:{base}")
    assert [r.text for r in again.answer_batch(queries)] == [
        r.text for r in trained.answer_batch(queries)
    ]
    assert [r.text for r in again.answer_batch(queries)] != [
        r.text for r in untrained.answer_batch(queries)
    ]
    assert again.fingerprint != untrained.fingerprint
    record = json.loads((tmp_path / "out" / "training.json").read_text(encoding="utf-8"))
    assert (record["kind"], record["steps_done"], record["samples"]) == (kind, 2, 30)


def test_an_adapter_learns_to_answer_from_the_picture(
    tiny: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    options = ("--rank", "8", "--batch", "4", "--steps", "60", "--lr", "0.02")
    assert train(tiny, data, out, *options, "--calibrate", "all") == 0
    assert "calibrated on 30 answers: accuracy 0." in capsys.readouterr().err
    vlm = load_vlm(f"hf:{tiny}+lora:{out}")
    lake, none = vlm.answer_batch([Query(QUESTION, (picture,)) for picture in (DARK, LIGHT)])
    assert (lake.text, none.text) == ("yes", "no")
    assert lake.confidence is not None
    assert lake.confidence > 0.5


def test_only_the_answer_and_its_end_are_learned(tiny: Path, data: Path) -> None:
    chat = load_model(str(tiny), "cpu")
    examples = read_examples(data, "all", "qa", limit=3)
    batch = Collator(chat)(examples)
    decode = chat.processor.tokenizer.decode
    learned = [decode(row[row != -100]) for row in batch["labels"]]
    assert learned == [f"{example.answer}<|im_end|>" for example in examples]
    whole = decode(batch["input_ids"][0][batch["attention_mask"][0].bool()])
    assert whole.endswith(f"<|im_start|>assistant\n{learned[0]}")
    assert batch["mm_token_type_ids"].shape == batch["input_ids"].shape


def test_a_run_that_was_cut_short_goes_on_to_the_same_end(
    tiny: Path, data: Path, tmp_path: Path
) -> None:
    options = ("--steps", "3", "--lr", "0.01", "--limit", "6")
    train(tiny, data, tmp_path / "whole", *options)
    cut = tmp_path / "cut"
    train(tiny, data, cut, *options, "--minutes", "0.00001")
    record = json.loads((cut / "training.json").read_text(encoding="utf-8"))
    assert (record["steps_done"], record["finished"]) == (1, False)
    train(tiny, data, cut, *options)
    record = json.loads((cut / "training.json").read_text(encoding="utf-8"))
    assert (record["steps_done"], record["finished"]) == (3, True)
    whole, again = (load_file(tmp_path / n / "adapter_model.safetensors") for n in ("whole", "cut"))
    assert all(np.allclose(whole[name], again[name], atol=1e-6) for name in whole)
    train(tiny, data, cut, *options)
    with pytest.raises(InputError, match=r"another --rank \(4\)"):
        train(tiny, data, cut, *options, "--rank", "8")


def test_captions_are_learned_once_each(data: Path) -> None:
    captions = read_examples(data, "all", "caption")
    assert len(captions) == 20
    assert {(c.question, c.answer) for c in captions} == {("", "a lake .")}


def test_options_that_cannot_be_used_say_why(
    tiny: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERRALOGUE_DATA", str(data.parent))
    out = ("--out", str(tmp_path / "out"))
    there = ("--vlm", f"hf:{tiny}", "--data", data.name, "--split", "all", *out)
    said = {
        ("--vlm", "openai:http://h#m", "--data", data.name, *out): "cannot be trained",
        ("--vlm", "hf:", "--data", data.name, *out): "cannot be trained",
        (*there, "--vlm", f"hf:{tiny}+lora:x"): "has an adapter already",
        (*there, "--data", "nothing"): "--data nothing does not exist, nor below",
        (*there, "--steps", "0"): "--steps 0 is too little",
        (*there, "--adapter", "poems"): "a full-size model takes: qa, caption",
        (*there, "--split", "test"): "has no split 'test'",
        (*there, "--calibrate", "test"): "has no split 'test'",
        (*there, "--adapter", "caption", "--calibrate", "all"): "leave it out for captions",
        ("--vlm", f"hf:{tiny}", "--data", data.name): "--out",
    }
    for argv, message in said.items():
        with pytest.raises(InputError, match=message):
            main(["lora", *argv])
        assert not (tmp_path / "out").exists()
