"""Training of the embedded model on a small data set in its real layout, through the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from terralogue.datasets.errors import InputError
from terralogue.datasets.pictures import RGB_BANDS
from terralogue.datasets.sensors import SENSORS
from terralogue.datasets.tiles import Tile
from terralogue.vlm.train import main
from terralogue.vlm.vlm_checkpoint import read_model
from terralogue.vlm.vlm_mixture import Mixture
from terralogue.vlm.vlm_pack import Example, Pack, read_pack, write_pack


def _merced(folder: Path) -> Path:
    """UC Merced with captions and RSIVQA's questions: pictures of two colours in all parts."""
    captions, asked = [], []
    rng = np.random.default_rng(0)
    for number in range(100):
        label = "river" if number % 2 else "harbor"
        name = f"{label}/{label}{number:02d}.png"
        path = folder / "ucm/UCMerced_LandUse/Images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tone = (20, 40, 200) if number % 2 else (220, 200, 30)
        noise = rng.integers(-15, 15, (48, 48, 3))
        Image.fromarray(np.clip(np.array(tone) + noise, 0, 255).astype(np.uint8)).save(path)
        sentence = {"raw": f"There is a {label} ."}
        captions.append(
            {"filename": name, "split": "train", "label": label, "sentences": [sentence]}
        )
        for question, answer in (
            ("What is the theme of this picture?", label),
            ("Does this picture contain an airplane?", "yes" if number % 2 else "no"),
        ):
            asked.append({"image": name, "question": question, "answer": answer})
    for file, content in (
        ("dataset_ucm.json", {"dataset": "ucm_captions", "images": captions}),
        ("rsivqa_ucm_train.json", asked),
    ):
        (folder / "ucm" / file).write_text(json.dumps(content), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _merced(tmp_path_factory.mktemp("data"))


def test_packs_come_back_as_they_were_written(tmp_path: Path) -> None:
    picture = np.full((3, 20, 30), 128, np.uint8)
    examples = (
        Example((0,), "Is there a river?", "yes", "qa", "presence", (0.0, 0.0, 0.5, 1.0)),
        Example((0,), "", "a river", "caption"),
    )
    write_pack(tmp_path / "a.zip", Pack("a", RGB_BANDS, (picture,), ("one",), examples))
    back = read_pack(tmp_path / "a.zip")
    assert back.examples == examples
    assert back.bands == RGB_BANDS
    assert np.abs(np.asarray(back.pictures[0], int) - 128).max() <= 2
    bands = SENSORS["sentinel1_grd"].bands
    tile = Tile(np.linspace(-2, 2, 2 * 8 * 8, dtype=np.float32).reshape(2, 8, 8), bands)
    write_pack(tmp_path / "b.zip", Pack("b", bands, (tile,), ("one",), ()))
    radar = read_pack(tmp_path / "b.zip").pictures[0]
    assert isinstance(radar, Tile)
    assert np.abs(radar.data - tile.data).max() < 0.02
    (tmp_path / "c.zip").write_text("nothing")
    with pytest.raises(InputError, match="no pack"):
        read_pack(tmp_path / "c.zip")


def test_mixtures_turn_nothing_that_speaks_of_directions() -> None:
    picture = np.zeros((3, 8, 8), np.uint8)
    examples = (
        Example((0,), "Where are the ships?", "upper left", "qa", "place"),
        Example((0,), "Is there a ship?", "yes", "qa", "presence"),
    )
    pack = Pack("a", RGB_BANDS, (picture,), ("one",), examples)
    rows = Mixture([pack], {"a": 1.0}, ["qa"], seed=0).draw(400)
    variants = {(row.example.kind, row.variant) for row in rows}
    assert variants == {("place", "clean"), ("presence", "clean"), ("presence", "turned")}


def test_a_base_then_an_adapter_learn_what_pictures_show(data: Path, tmp_path: Path) -> None:
    base, out = tmp_path / "base", tmp_path / "qa"
    common = ["--data", str(data), "--packs", str(tmp_path / "packs"), "--batch", "24"]
    run = [*common, "--every", "1000", "--average", "0.5"]
    assert main(["base", *run, "--sources", "ucm", "--out", str(base), "--steps", "12",
                 "--no-robust"]) == 0  # fmt: skip
    assert main(["lora", *run, "--vlm", "embedded", "--sources", "rsivqa_ucm", "--init", str(base),
                 "--out", str(out), "--steps", "50", "--lr", "0.005"]) == 0  # fmt: skip
    log = json.loads((out / "training.json").read_text())["log"]
    # Two colours are told apart by themes and by airplanes, where chance would have half.
    assert log[-1]["rsivqa_ucm"] > 0.8
    tower = json.loads((base / "config.json").read_text())["tower"]
    reader, adapted = read_model(base, tower)
    assert adapted is None
    (out / "qa").rename(base / "qa")
    again, adapted = read_model(base, tower)
    assert adapted is not None
    assert sorted(adapted.peft_config) == ["qa"]
    assert adapted.peft_config["qa"].base_model_name_or_path == ""
    assert len(again.config.vocabulary) == len(reader.config.vocabulary)


def test_a_run_that_was_cut_short_goes_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = ["--data", str(data), "--packs", str(tmp_path / "packs")]
    folders += ["--out", str(tmp_path / "out"), "--sources", "ucm"]
    options = ["base", *folders, "--batch", "8", "--every", "1", "--no-robust"]
    monkeypatch.setattr("terralogue.vlm.vlm_training._SAVED_EVERY", 0.0)
    assert main([*options, "--steps", "2"]) == 0
    assert main([*options, "--steps", "3"]) == 0
    log = json.loads((tmp_path / "out/training.json").read_text())["log"]
    assert [row["step"] for row in log] == [1, 2, 3]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["base", "--out", "o", "--steps", "0"], "--steps 0 is too little"),
        (["base", "--out", "o", "--sources", "moon"], "unknown source 'moon'"),
        (["base", "--out", "o", "--sources", "ucm", "--packs", "none"], "is missing; give the fol"),
        (["lora", "--out", "o", "--sources", "ucm", "--fold", "7/5"], "fold 7/5 cannot be used"),
    ],
)
def test_options_that_cannot_be_used_are_said_in_one_sentence(
    options: list[str], sentence: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TERRALOGUE_DATA", raising=False)
    with pytest.raises(InputError, match=sentence):
        main(options)
