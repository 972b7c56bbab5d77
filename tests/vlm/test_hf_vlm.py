"""Full-size chat models by name, on tiny untrained ones of the same architectures."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from transformers import GPT2Config, GPT2LMHeadModel

from terralogue.agent import models
from terralogue.datasets.errors import InputError
from terralogue.datasets.samples import Box
from terralogue.vlm.hf_calibration import fit_calibration
from terralogue.vlm.hf_tiny import TINY, write_tiny
from terralogue.vlm.hf_vlm import HFVLM
from terralogue.vlm.vlm import Query, load_vlm
from terralogue.vlm.vlm_calibration import Calibration, expected_calibration_error
from terralogue.vlm.vlm_prompts import prompt_for

RNG = np.random.default_rng(0)
WIDE, SQUARE = (RNG.integers(0, 256, (3, *size)).astype(np.uint8) for size in ((40, 60), (64, 64)))
QUERIES = [
    Query("Is there a lake?", (WIDE,)),
    Query("What changed?", (WIDE, SQUARE), dates=("2001", "2009")),
    Query("", (SQUARE,), task="caption"),
    Query("Which is it?", (SQUARE,), options=("a field", "a town")),
    Query("What is it?", (WIDE,), region=Box(3, 3, 20, 20)),
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tiny") / "qwen")


def loaded(spec: str) -> HFVLM:
    vlm = load_vlm(spec)
    assert isinstance(vlm, HFVLM)
    return vlm


@pytest.mark.parametrize("kind", TINY)
def test_every_architecture_answers_a_batch_as_it_answers_one_by_one(
    kind: str, tmp_path: Path
) -> None:
    vlm = loaded(f"hf:{write_tiny(tmp_path / kind, kind)}")
    together = vlm.answer_batch(QUERIES)
    assert [r.text for r in together] == [vlm.answer(query).text for query in QUERIES]
    assert len({r.text for r in together}) > 1
    assert all(r.confidence is None for r in together)
    assert together[4].notes == ("The model saw: inside the red box, enlarged.",)
    assert vlm.offline
    assert vlm.name.startswith("hf:")
    assert ("grounding" in vlm.tasks) == kind.startswith("qwen")
    with pytest.raises(InputError, match="without a picture"):
        vlm.answer(Query("What is it?", ()))


def test_the_likelihood_of_an_answer_is_that_of_its_tokens(tiny: Path) -> None:
    vlm = loaded(f"hf:{tiny}")
    prompt = prompt_for(QUERIES[0])
    (written,) = vlm.write(QUERIES[:1], [prompt])
    inputs = vlm.chat.encode([prompt])
    length = inputs["input_ids"].shape[1]
    with torch.inference_mode():
        made = vlm.chat.model.generate(
            **inputs, do_sample=False, max_new_tokens=48, output_logits=True,
            return_dict_in_generate=True,
        )  # fmt: skip
    logits = torch.stack(made.logits, dim=1).log_softmax(dim=-1)[0]
    chosen = logits.gather(1, made.sequences[0, length:, None])
    assert written.likelihood == pytest.approx(float(chosen.sum().exp()), rel=1e-3)


def test_the_fingerprint_is_that_of_the_weights(tiny: Path, tmp_path: Path) -> None:
    same, other = write_tiny(tmp_path / "same"), write_tiny(tmp_path / "other", seed=1)
    prints = [loaded(f"hf:{folder}").fingerprint for folder in (tiny, same, other)]
    assert prints[0] == prints[1] != prints[2]
    assert len(prints[0]) == 16


def test_boxes_are_asked_for_only_where_a_model_gives_them(tiny: Path, tmp_path: Path) -> None:
    place = Query("the lake", (WIDE,), task="grounding")
    reading = loaded(f"hf:{tiny}").answer(place)
    assert reading.doubt == "the model gave no box that can be read"
    smol = loaded(f"hf:{write_tiny(tmp_path / 'smol', 'smolvlm')}")
    with pytest.raises(InputError, match="does not do grounding; it does caption, qa"):
        smol.answer(place)


def test_a_repository_is_read_from_the_local_cache_alone(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="run: terralogue models get hf:me/tiny"):
        load_vlm("hf:me/tiny")
    base = tmp_path / "models--me--tiny"
    (base / "refs").mkdir(parents=True)
    (base / "refs" / "main").write_text("abcdef0123", encoding="utf-8")
    shutil.copytree(tiny, base / "snapshots" / "abcdef0123")
    assert loaded("hf:me/tiny").fingerprint == loaded(f"hf:{tiny}").fingerprint
    assert models.get("hf:me/tiny") == 0
    assert "hf:me/tiny is installed" in capsys.readouterr().out


def test_a_model_is_fetched_with_all_that_it_needs(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = tmp_path / "hub"

    def download(
        repo: str, *, allow_patterns: list[str] | None = None, local_files_only: bool = False
    ) -> str:
        copy = tmp_path / "cache" / "abcdef0123"
        if not (copy if local_files_only else hub / repo).is_dir():
            raise LocalEntryNotFoundError("no connection")
        for path in () if local_files_only else (hub / repo).iterdir():
            if any(fnmatch(path.name, pattern) for pattern in allow_patterns or ["*"]):
                copy.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, copy)
        return str(copy)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    with pytest.raises(InputError, match="me/tiny cannot be reached"):
        models.get("hf:me/tiny")
    shutil.copytree(tiny, hub / "me" / "tiny")
    (hub / "me" / "tiny" / "pytorch_model.bin").write_bytes(b"the same weights again")
    assert models.get("hf:me/tiny") == 0
    assert "hf:me/tiny is fetched" in capsys.readouterr().out
    assert loaded("hf:me/tiny").fingerprint == loaded(f"hf:{tiny}").fingerprint
    with pytest.raises(InputError, match="names no repository; give hf:<owner>/<name>"):
        models.get("hf:tiny")


def test_what_cannot_be_loaded_says_why(tiny: Path, tmp_path: Path) -> None:
    words = tmp_path / "words"
    GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=1, n_embd=8, vocab_size=9)).save_pretrained(words)
    silent = shutil.copytree(tiny, tmp_path / "silent")
    (silent / "chat_template.jinja").unlink()
    broken = shutil.copytree(tiny, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"nothing")
    (tmp_path / "empty").mkdir()
    said = {
        "": "names no model", f"{tiny}+lora:": "names no model",
        str(words): "type gpt2, which answers no questions about pictures",
        str(silent): "has no chat template", str(broken): "cannot be loaded",
        str(tmp_path / "empty"): "config.json is missing", "a b/c": "neither a folder nor",
        str(tmp_path / "none"): "neither a folder nor", f"{tiny}+lora:{silent}": "holds no adapter",
        f"{tiny}+4bit": r"\+4bit needs",
    }  # fmt: skip
    for spec, message in said.items():
        with pytest.raises(InputError, match=message):
            load_vlm(f"hf:{spec}")


def test_a_missing_package_is_named(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "adapter_config.json").write_text("{}", encoding="utf-8")
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(InputError, match=r"adapters need peft; run: pip install"):
        load_vlm(f"hf:{tiny}+lora:{tmp_path}")


def test_a_model_that_lacks_tensors_is_not_filled_up_with_noise(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "short")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["text_config"]["num_hidden_layers"] = 3
    config["text_config"]["layer_types"] = ["full_attention"] * 3
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(InputError, match=r"lacks \d+ of its tensors, the first is .*layers.2"):
        load_vlm(f"hf:{folder}")


def test_a_model_with_a_calibration_says_how_sure_it_is(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "calibrated")
    Calibration(scale=0.05, shift=1.0, threshold=0.2).write(folder)
    vlm = loaded(f"hf:{folder}")
    reading = vlm.answer(QUERIES[0])
    assert reading.confidence is not None
    assert 0 < reading.confidence < 1
    assert vlm.answer(QUERIES[2]).confidence is None
    assert vlm.calibration is not None
    vlm.calibration = replace(vlm.calibration, threshold=1.0)
    unsure = vlm.answer(QUERIES[0])
    assert unsure.text == reading.text
    assert not unsure.sure
    assert "is below 1.00" in unsure.doubt
    (folder / "calibration.json").write_text('{"scale": 0, "shift": 1}', encoding="utf-8")
    with pytest.raises(InputError, match="needs a scale above 0"):
        load_vlm(f"hf:{folder}")


def test_a_calibration_makes_confidences_match_how_often_answers_are_right() -> None:
    rng = np.random.default_rng(0)
    likelihood = rng.uniform(0.05, 0.999, 4000)
    # Overconfident: the truth is nearer to even odds than the model says.
    truth = 1 / (1 + np.exp(-(np.log(likelihood / (1 - likelihood)) / 2 - 0.5)))
    right = rng.random(4000) < truth
    places = [f"{i // 4}" for i in range(4000)]
    made = fit_calibration(likelihood.tolist(), right.tolist(), places)
    assert made.calibration.scale == pytest.approx(0.5, abs=0.05)
    assert made.calibration.shift == pytest.approx(-0.5, abs=0.1)
    assert made.ece < 0.03
    assert expected_calibration_error(likelihood.tolist(), right.tolist()) > 0.1


@pytest.mark.parametrize(
    ("likelihoods", "right", "message"),
    [
        (np.linspace(0.1, 0.9, 20), np.arange(20) > 9, "20 answers, 10 of them right, are not"),
        (np.linspace(0.1, 0.9, 40), np.arange(40) >= 0, "40 of them right"),
        (np.linspace(0.1, 0.9, 40), np.arange(40) < 20, "likelier answers were not more often"),
    ],
)
def test_answers_that_say_nothing_about_confidence_are_refused(
    likelihoods: np.ndarray, right: np.ndarray, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        fit_calibration(likelihoods.tolist(), right.tolist(), ["a"] * len(right))
