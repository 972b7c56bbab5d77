"""The embedded vision-language model, untrained and small, through its public interface."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from peft import PeftModel
from torch import nn

from terralogue.datasets.errors import InputError
from terralogue.datasets.samples import Box
from terralogue.datasets.sensors import SENSORS
from terralogue.datasets.tiles import Tile
from terralogue.vlm.answer_kinds import tells_change
from terralogue.vlm.embedded_vlm import (
    CHANGE_BY_EYE,
    FAR_PICTURE,
    GROWTH,
    NO_CHANGE_TOLD,
    UNCERTAIN,
    UNFIT,
    UNKNOWN,
    EmbeddedVLM,
)
from terralogue.vlm.vlm import Query, Task, load_vlm, tiny_vlm
from terralogue.vlm.vlm_calibration import Calibration
from terralogue.vlm.vlm_checkpoint import read_base, read_model, write
from terralogue.vlm.vlm_model import ReaderModel
from terralogue.vlm.vlm_nonsense import nonsense
from terralogue.vlm.vlm_support import Support
from terralogue.vlm.vlm_training import reader_of, with_adapter


@pytest.fixture(scope="module")
def vlm() -> EmbeddedVLM:
    made = tiny_vlm()
    assert isinstance(made, EmbeddedVLM)
    return made


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 255, (3, 120, 150)).astype(np.uint8)


def test_questions_in_a_batch_get_the_answers_that_they_get_alone(
    vlm: EmbeddedVLM, picture: NDArray[np.uint8]
) -> None:
    other = picture[:, ::-1, :60].copy()
    queries = [
        Query("Is there a river?", (picture,)),
        Query("", (other,), task="caption"),
        Query("What changed in this place between the two dates?", (picture, other)),
        Query("How many?", (other,), region=Box(5, 5, 40, 40)),
    ]
    together = vlm.answer_batch(queries)
    alone = [vlm.answer(query) for query in queries]
    assert [each.text for each in together] == [each.text for each in alone]
    for one, both in zip(alone, together, strict=True):
        assert one.confidence == pytest.approx(both.confidence, abs=1e-4)


def test_a_region_and_the_order_of_dates_matter(
    vlm: EmbeddedVLM, picture: NDArray[np.uint8]
) -> None:
    def memory(query: Query) -> torch.Tensor:
        return vlm.memory([query], "qa").states

    whole = memory(Query("What is this?", (picture,)))
    part = memory(Query("What is this?", (picture,), region=Box(0, 0, 30, 30)))
    assert part.shape[1] > whole.shape[1]
    other = picture[:, ::-1].copy()
    forth = memory(Query("What changed?", (picture, other)))
    back = memory(Query("What changed?", (other, picture)))
    assert not torch.allclose(forth, back, atol=1e-4)


def test_any_bands_can_be_asked_about(vlm: EmbeddedVLM) -> None:
    for key in ("sentinel2_l2a", "sentinel1_grd"):
        bands = SENSORS[key].bands
        data = np.random.default_rng(1).normal(0, 0.5, (len(bands), 40, 40)).astype(np.float32)
        assert vlm.answer(Query("Is there a river?", (Tile(data, bands),))).text


def test_options_are_ranked_and_their_shares_sum_to_one(
    vlm: EmbeddedVLM, picture: NDArray[np.uint8]
) -> None:
    options = ("yes", "no", "a river")
    reading = vlm.answer(Query("Which?", (picture,), options=options))
    ranked = [(reading.text, reading.confidence), *reading.alternatives]
    assert {text for text, _ in ranked} == set(options)
    assert sum(share or 0 for _, share in ranked) == pytest.approx(1, abs=1e-4)
    assert [share for _, share in ranked] == sorted((share for _, share in ranked), reverse=True)


def test_alternatives_come_with_falling_confidence(
    vlm: EmbeddedVLM, picture: NDArray[np.uint8]
) -> None:
    reading = vlm.answer(Query("Is there a river?", (picture,)))
    assert reading.confidence is not None
    shares = [reading.confidence, *(share for _, share in reading.alternatives)]
    assert shares == sorted(shares, reverse=True)
    # Random weights know nothing, and say so.
    assert not reading.sure
    assert reading.doubt == UNCERTAIN


def test_a_picture_unlike_those_of_training_is_answered_without_being_sure(
    vlm: EmbeddedVLM, picture: NDArray[np.uint8]
) -> None:
    rng = np.random.default_rng(0)
    noise = picture
    # Fields of one tone each, as noise is like no ground.
    picture = np.kron(picture[:, ::12, ::15], np.ones((1, 12, 15), np.uint8))
    seen = vlm.look([Query("?", (picture,))])[0].features
    features = seen + rng.normal(0, 0.01, (200, seen.shape[1])).astype(np.float32)
    words = rng.normal(0, 1, (20, 384)).astype(np.float32)
    drawn = [each for kind in nonsense(2, seed=0, size=64).values() for each in kind]
    odd = np.concatenate([look.features for look in vlm.look([Query("?", (p,)) for p in drawn])])
    support = Support.fitted(features[:150], features[150:], odd, words[:10], words[10:])
    careful = EmbeddedVLM(
        vlm.clip, vlm.reader, None, Calibration(threshold=0.0), support, "tiny", "0" * 16
    )
    known = careful.answer(Query("", (picture,), task="caption"))
    assert known.distance is not None
    assert known.distance < 1
    assert known.sure
    for strange in (np.zeros_like(picture), noise):
        reading = careful.answer(Query("", (strange,), task="caption"))
        assert reading.distance is not None
        assert reading.distance > 1
        assert not reading.sure
        assert reading.doubt == FAR_PICTURE


def test_a_picture_of_another_kind_of_numbers_is_refused(vlm: EmbeddedVLM) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        vlm.answer(Query("?", (np.zeros((4, 20, 20), np.uint8),)))
    with pytest.raises(InputError, match="at least one picture"):
        vlm.answer(Query("?", ()))


def test_adapters_are_saved_loaded_switched_and_merged(
    vlm: EmbeddedVLM, picture: NDArray[np.uint8], tmp_path: Path
) -> None:
    write(vlm.reader, tmp_path)
    for number, task in enumerate(("qa", "caption")):
        torch.manual_seed(number)
        adapted = with_adapter(read_base(tmp_path, vlm.clip.fingerprint), task, rank=4)
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                nn.init.normal_(weight, std=0.3)
        write(adapted, tmp_path)
    reader, switch = read_model(tmp_path, vlm.clip.fingerprint)
    assert isinstance(switch, PeftModel)
    loaded = EmbeddedVLM(vlm.clip, reader, switch, Calibration(), None, "two", "0" * 16)
    query = Query("Is there a river?", (picture,))
    base = _logits(vlm, query, "qa")
    qa, caption = _logits(loaded, query, "qa"), _logits(loaded, query, "caption")
    assert not torch.allclose(qa, base, atol=1e-2)
    assert not torch.allclose(caption, _logits(vlm, query, "caption"), atol=1e-2)
    # Switched back and forth, an adapter is as it was.
    assert torch.allclose(_logits(loaded, query, "qa"), qa)
    switch.set_adapter("qa")
    merged = reader_of_merged(switch)
    plain = EmbeddedVLM(vlm.clip, merged, None, Calibration(), None, "merged", "0" * 16)
    assert torch.allclose(_logits(plain, query, "qa"), qa, atol=2e-2)


def _logits(vlm: EmbeddedVLM, query: Query, task: Task) -> torch.Tensor:
    """Of what comes after two words, from one model or adapter."""
    memory = vlm.memory([query], task)
    with torch.inference_mode():
        return vlm.reader.decode(torch.tensor([[1, 5]]), vlm.reader.look_up(memory), memory)


def reader_of_merged(switch: PeftModel) -> ReaderModel:
    merged = switch.merge_and_unload(adapter_names=["qa"])
    assert isinstance(merged, ReaderModel)
    return merged


def test_a_model_is_not_used_with_another_tower(vlm: EmbeddedVLM, tmp_path: Path) -> None:
    write(vlm.reader, tmp_path)
    with pytest.raises(InputError, match="was trained with the image tower"):
        read_base(tmp_path, "f" * 16)
    with pytest.raises(InputError, match="there is no model in"):
        load_vlm(f"embedded:{tmp_path / 'nothing'}")
    assert reader_of(vlm.reader) is vlm.reader


def test_an_unknown_provider_is_named_with_those_that_are_known() -> None:
    with pytest.raises(InputError, match="unknown model 'gpt'; give one of: embedded"):
        load_vlm("gpt")


@pytest.mark.parametrize(
    ("question", "count", "doubt"),
    [
        ("When was this taken?", 1, UNFIT),
        ("Is there a volcano?", 1, f"{UNKNOWN}volcano"),
        ("Did the river get wider?", 2, GROWTH),
    ],
)
def test_what_the_training_never_asked_is_not_answered_however_likely_it_seems(
    vlm: EmbeddedVLM, picture: NDArray[np.uint8], question: str, count: int, doubt: str
) -> None:
    bold = EmbeddedVLM(
        vlm.clip, vlm.reader, None, Calibration(threshold=0.0), None, "tiny", "0" * 16
    )
    reading = bold.answer(Query(question, (picture,) * count))
    assert (reading.sure, reading.doubt, reading.alternatives) == (False, doubt, ())
    assert reading.distance is not None
    assert reading.distance > 1


def test_a_description_of_two_dates_is_not_relied_on(
    vlm: EmbeddedVLM, picture: NDArray[np.uint8]
) -> None:
    reading = vlm.answer(Query("", (picture, picture), task="caption"))
    assert not reading.sure
    assert reading.doubt == (CHANGE_BY_EYE if tells_change(reading.text) else NO_CHANGE_TOLD)
    assert vlm.answer(Query("", (picture,), task="caption")).sure
