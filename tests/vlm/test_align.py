from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from terralogue.agent.cli import main
from terralogue.datasets.band_tables import RGB
from terralogue.datasets.errors import InputError
from terralogue.vlm.align import Trainer
from terralogue.vlm.align_config import AlignConfig
from terralogue.vlm.align_scores import mean_recall
from terralogue.vlm.align_sources import load_sources, read_source, write_source
from terralogue.vlm.clip import load_geoclip

COLOURS = {"Lake": (20, 40, 160), "Meadow": (40, 160, 40)}
CONFIG = AlignConfig(
    batch=8, sizes=(64,), steps=4, every=2, average=0.5, trunk_lr=1e-3, lr=3e-3, seed=1
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RSICD in small: blue lakes and green meadows in every part."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    (folder / "rsicd/RSICD_images").mkdir(parents=True)
    rows = []
    for label, colour in COLOURS.items():
        for number in (*range(1, 13), *range(60, 66), *range(160, 164)):
            name = f"{label.lower()}_{number}.png"
            pixels = np.array(colour) + rng.normal(0, 12, (64, 64, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(
                folder / "rsicd/RSICD_images" / name
            )
            said = (f"This is a {label.lower()} .", f"a {label} number {number} .")
            sentences = [{"raw": text} for text in said]
            row = {"filename": name, "split": "train", "label": label, "sentences": sentences}
            rows.append(row)
    (folder / "rsicd/dataset_rsicd.json").write_text(json.dumps({"images": rows}), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "align"
    code = main(
        ["train", "align", "--data", str(data), "--out", str(out), "--sources", "rsicd",
         "--batch", "8", "--sizes", "64", "--steps", "4", "--every", "2", "--average", "0.5",
         "--cache", str(out.parent / "cache")]
    )  # fmt: skip
    assert code == 0
    return out


def test_training_leaves_weights_that_the_package_can_use(trained: Path) -> None:
    clip = load_geoclip(f"embedded:{trained}")
    vector = clip.encode_image(np.full((3, 64, 64), 90, np.uint8), RGB)
    assert vector.shape == (1, clip.dimensions)
    assert clip.seen_labels == {"lake", "meadow"}
    assert (trained / "align.safetensors").stat().st_size < 16 * 2**20


def test_training_leaves_a_log_and_curves(trained: Path) -> None:
    with (trained / "log.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["2", "4"]
    assert float(rows[-1]["contrast_rsicd"]) > 0
    assert 0 <= float(rows[-1]["rsicd_recall"]) <= 100
    with Image.open(trained / "curves.png") as picture:
        assert picture.width > 500


def test_a_run_that_was_cut_short_goes_on_where_it_was(trained: Path, data: Path) -> None:
    state = torch.load(trained / "state.pt", weights_only=True)
    assert state["step"] == 4
    sources = load_sources(["rsicd"], data, "train")
    again = Trainer(CONFIG, sources, [], trained)
    assert again.step == 4
    assert again.progress == 1
    ours = {k: v for k, v in again.plain.state_dict().items() if k in state["model"]}
    assert all(torch.equal(ours[name], value) for name, value in state["model"].items())


def test_a_second_phase_begins_with_the_weights_of_the_first(
    trained: Path, data: Path, tmp_path: Path
) -> None:
    sources = load_sources(["rsicd"], data, "train")
    trainer = Trainer(CONFIG, sources, [], tmp_path / "next", init=[trained])
    assert trainer.step == 0
    image = np.full((3, 64, 64), 90, np.uint8)
    first = load_geoclip(f"embedded:{trained}").features(image, RGB)
    with torch.inference_mode():
        tensor = torch.from_numpy(image).float()[None] / 127.5 - 1
        enlarged = torch.nn.functional.interpolate(
            tensor, (160, 160), mode="bilinear", antialias=True
        )
        ours = trainer.plain.image.eval().features(enlarged, RGB).numpy()
    np.testing.assert_allclose(ours, first, rtol=1e-3, atol=1e-3)


def test_the_mean_of_several_checkpoints_may_be_the_beginning(
    trained: Path, data: Path, tmp_path: Path
) -> None:
    sources = load_sources(["rsicd"], data, "train")
    other = Trainer(replace(CONFIG, steps=2, seed=5), sources, [], tmp_path / "other")
    other.run()
    both = Trainer(CONFIG, sources, [], tmp_path / "both", init=[trained, tmp_path / "other"])
    states = [load_file(folder / "align.safetensors") for folder in (trained, tmp_path / "other")]
    name = "trunk.conv_head.weight"
    mean = (states[0][f"image.{name}"].float() + states[1][f"image.{name}"].float()) / 2
    torch.testing.assert_close(both.plain.image.state_dict()[name], mean)


def test_weights_of_sources_can_be_told_and_wrong_ones_are_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "align", "--data", str(data), "--out", str(tmp_path), "--sources", "rsicd"]
    for told in ("rsicd=often", "laion=2", "rsicd=-1"):
        assert main([*command, "--weights", told]) == 2
        assert f"--weights {told}" in capsys.readouterr().err


def test_a_teacher_by_name_takes_part_in_the_loss(
    trained: Path, data: Path, tmp_path: Path
) -> None:
    config = replace(CONFIG, teacher=f"embedded:{trained}", steps=1, every=1)
    Trainer(config, load_sources(["rsicd"], data, "train"), [], tmp_path / "student").run()
    with (tmp_path / "student/log.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert float(row["teacher_rsicd"]) > 0


def test_each_image_belongs_to_one_part(data: Path) -> None:
    names = [
        {key for source in load_sources(["rsicd"], data, part) for key in source.keys}
        for part in ("train", "val", "test")
    ]
    assert [len(each) for each in names] == [24, 12, 8]
    assert not names[0] & names[1] | names[1] & names[2]


def test_a_source_comes_back_from_the_cache_as_it_went_in(data: Path, tmp_path: Path) -> None:
    source = load_sources(["rsicd"], data, "val")[0]
    write_source(tmp_path / "rsicd_val", source)
    back = read_source(tmp_path / "rsicd_val")
    assert back.captions == source.captions
    assert back.bands == source.bands
    assert back.label_names == source.label_names
    np.testing.assert_array_equal(back.pixels, source.pixels)
    assert back.companion is None


def test_mean_recall_counts_ranks_both_ways() -> None:
    axes = np.eye(12, dtype=np.float32)
    owners = np.arange(12)
    assert mean_recall(axes, axes, owners) == 100
    # Each image's own text is the second best: nothing at 1, all at 5 and 10.
    second = 0.9 * axes + np.roll(axes, 1, axis=0)
    assert np.isclose(mean_recall(axes, second, owners), 100 * 4 / 6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["train", "polish"], "stages are: align"),
        (["train"], "no stage"),
        (["train", "align", "--out", "x", "--data", "/nowhere"], "TERRALOGUE_DATA"),
        (["train", "align", "--out", "x", "--batch", "many"], "invalid int"),
        (["train", "align", "--out", "x", "--data", ".", "--steps", "0"], "--steps 0"),
    ],
)
def test_a_wrong_option_is_one_sentence_and_exit_code_2(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(options) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_an_unknown_source_is_answered_with_those_that_exist(data: Path) -> None:
    with pytest.raises(InputError, match="pictures, scenes, rsicd"):
        load_sources(["laion"], data, "train")
