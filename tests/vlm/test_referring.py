from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from terralogue.agent.cli import main
from terralogue.datasets.errors import InputError
from terralogue.datasets.samples import Box
from terralogue.datasets.synthetic import simulate_scene
from terralogue.datasets.tiles import Tile, normalise
from terralogue.vlm.embedded_clip import EmbeddedCLIP, untrained
from terralogue.vlm.referring import Referrer, load_referrer, scales
from terralogue.vlm.referring_colours import in_colour
from terralogue.vlm.referring_model import (
    WEIGHTS,
    Calibration,
    DecoderConfig,
    ReferringDecoder,
    Trained,
    read_decoder,
    towers_of,
    write_decoder,
)
from terralogue.vlm.referring_parts import choose, find_parts
from terralogue.vlm.referring_scores import answer, box_iou, make_cases
from terralogue.vlm.referring_sources import marked, read_sources
from terralogue.vlm.referring_words import parse
from terralogue.vlm.vlm import Query, tiny_vlm
from terralogue.vlm.weight_files import CONFIG


@pytest.fixture(scope="module")
def tiny() -> Referrer:
    """An untrained decoder that finds something almost everywhere."""
    clip = untrained(0)
    assert isinstance(clip, EmbeddedCLIP)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        decoder = ReferringDecoder(DecoderConfig(width=16, fine=8)).eval()
    return Referrer(clip, Trained(decoder, Calibration(0.5, 0.5), towers_of(clip.tower), "0" * 16))


def picture(seed: int = 0, size: tuple[int, int] = (96, 130)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rough = rng.uniform(0, 255, (3, size[0] // 8 + 1, size[1] // 8 + 1))
    return ndimage.zoom(rough, (1, 8, 8), order=1)[:, : size[0], : size[1]].astype(np.uint8)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all storage tanks", {"noun": "storage tanks", "single": False}),
        ("Where is the airplane?", {"noun": "airplane", "single": True}),
        ("aircraft", {"noun": "aircraft", "single": False}),
        ("the largest ship in the upper left of the image",
         {"noun": "ship", "order": "largest", "place": "upper left"}),
        ("the two largest white roofs", {"noun": "roofs", "limit": 2, "order": "largest",
                                         "colour": "white", "single": False}),
        ("the left-most plane", {"noun": "plane", "order": "leftmost"}),
        ("top-left storage tank", {"noun": "storage tank", "place": "upper left"}),
        ("the second airplane from the left",
         {"noun": "airplane", "order": "leftmost", "rank": 2}),
        ("the field at the bottom of the picture on the right", {"place": "lower right"}),
        ("small boats", {"noun": "boats", "size": "small", "single": False}),
        ("grass", {"noun": "grass", "single": False}),
    ],
)  # fmt: skip
def test_expressions_are_taken_apart(text: str, expected: dict[str, object]) -> None:
    said = parse(text)
    assert {name: getattr(said, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "relation", "anchor"),
    [
        ("the white roof by the river", "near", "river"),
        ("the building to the left of the river", "left", "river"),
        ("houses south of the old bridge", "below", "old bridge"),
        ("ships in the harbor", "in", "harbor"),
        ("the bridge over the river", "near", "river"),
        ("the car that is parked next to the building", "near", "building"),
    ],
)
def test_relations_have_an_anchor(text: str, relation: str, anchor: str) -> None:
    said = parse(text)
    assert said.anchor is not None
    assert (said.relation, said.anchor.noun) == (relation, anchor)


@pytest.fixture(scope="module")
def scattered() -> np.ndarray:
    """Three parts and their probability: small upper left, large right, middling lower left."""
    probability = np.zeros((100, 200), np.float32)
    probability[10:20, 20:30] = 0.75
    probability[15:45, 150:190] = 0.9
    probability[75:95, 40:60] = 0.8
    return probability


@pytest.mark.parametrize(
    ("text", "left_edges"),
    [
        ("all ships", [20, 40, 150]),
        ("the ship", [150]),
        ("the largest ship", [150]),
        ("the smallest ship", [20]),
        ("the second largest ship", [40]),
        ("the two leftmost ships", [20, 40]),
        ("the ship in the upper left", [20]),
        ("ships on the left", [20, 40]),
        ("ships at the bottom", [40]),
        ("the rightmost ship", [150]),
        ("the third ship from the left", [150]),
        ("the ship left of the pier", [40]),
        ("ships left of the pier", [20, 40]),
        ("the ship right of the pier", [150]),
        ("the ship near the pier", [150]),
    ],
)
def test_words_choose_among_parts(text: str, left_edges: list[int], scattered: np.ndarray) -> None:
    parts = find_parts(scattered, 0.5, 0.6)
    pier = np.zeros(scattered.shape, bool)
    pier[:, 120:125] = True
    said = parse(text)
    chosen = choose(parts, said, anchor=pier if said.relation else None)
    assert sorted(parts.boxes[i].left for i in chosen) == left_edges


@pytest.mark.parametrize(
    ("text", "left_edges"),
    [
        ("the leftmost ship", [40]),
        ("the third ship from the left", [150]),
        ("the largest ship left of the pier", [40]),
        ("the two leftmost ships", [20, 40]),
        ("all ships", [20, 40, 150]),
    ],
)
def test_what_is_doubtful_is_not_the_one_that_is_meant(
    text: str, left_edges: list[int], scattered: np.ndarray
) -> None:
    doubtful = np.where(scattered == np.float32(0.75), 0.61, scattered).astype(np.float32)
    parts = find_parts(doubtful, 0.5, 0.6)
    pier = np.zeros(scattered.shape, bool)
    pier[:, 120:125] = True
    chosen = choose(parts, said := parse(text), anchor=pier if said.relation else None)
    assert sorted(parts.boxes[i].left for i in chosen) == left_edges


def test_a_relation_to_what_is_not_there_means_nothing(scattered: np.ndarray) -> None:
    parts = find_parts(scattered, 0.5, 0.6)
    nothing = np.zeros(scattered.shape, bool)
    assert choose(parts, parse("the ship left of the pier"), anchor=nothing) == []


def test_a_cover_is_all_of_its_parts(scattered: np.ndarray) -> None:
    parts = find_parts(scattered, 0.5, 0.6)
    assert len(choose(parts, parse("the water"), counted=False)) == 3


def test_what_is_surrounded_is_in_it() -> None:
    probability = np.zeros((60, 60), np.float32)
    probability[20:30, 20:30] = probability[45:55, 45:55] = 0.9
    forest = np.zeros((60, 60), bool)
    forest[:40, :40] = True
    forest[20:30, 20:30] = False
    parts = find_parts(probability, 0.5, 0.6)
    assert choose(parts, parse("houses in the forest"), anchor=forest) == [0]


def test_colours_are_told_apart() -> None:
    rgb = np.full((3, 20, 60), 0.3, np.float32)
    rgb[:, :, :20] = 0.9
    rgb[0, :, 40:] = 0.8
    white, red = in_colour(rgb, "white")[10], in_colour(rgb, "red")[10]
    assert white[10] == 1
    assert white[50] == 0
    assert red[50] == 1
    assert red[10] == 0
    with pytest.raises(InputError, match="unknown colour"):
        in_colour(rgb, "octarine")


def test_boxes_and_count_are_those_of_the_mask(tiny: Referrer) -> None:
    found = tiny.refer(picture(), "all ships")
    labels, count = ndimage.label(found.mask)
    assert found.mask.shape == (96, 130)
    assert found.count == len(found.boxes) > 0
    covered = np.zeros_like(found.mask)
    for box in found.boxes:
        left, top, right, bottom = map(int, box)
        covered[top:bottom, left:right] = True
        inside = found.mask[top:bottom, left:right]
        assert inside[0].any()
        assert inside[:, -1].any()
    assert not (found.mask & ~covered).any()
    assert count >= found.count
    assert labels.max() == count
    assert 0 <= found.score <= 1


def test_a_region_limits_where_is_looked(tiny: Referrer) -> None:
    found = tiny.refer(picture(), "all ships", Box(32, 16, 100, 80))
    outside = found.mask.copy()
    outside[16:80, 32:100] = False
    assert found.mask.any()
    assert not outside.any()
    with pytest.raises(InputError, match="not within"):
        tiny.refer(picture(), "all ships", Box(400, 400, 500, 500))


def test_words_without_a_noun_are_refused(tiny: Referrer) -> None:
    with pytest.raises(InputError, match="names nothing"):
        tiny.refer(picture(), "the")


def test_tiles_and_scenes_of_any_bands_are_taken(tiny: Referrer) -> None:
    scene = simulate_scene("sentinel1_grd", size=64, seed=1)
    tile = Tile(np.clip(scene.data / 10, -1, 1).astype(np.float32), scene.bands)
    assert tiny.refer(tile, "the ship").mask.shape == (64, 64)


@pytest.mark.parametrize(
    ("text", "word"),
    [("the white ship", "white"), ("the brightest ship", "brightest"),
     ("the ship near the red roof", "red")],
)  # fmt: skip
def test_radar_has_no_colours(tiny: Referrer, text: str, word: str) -> None:
    scene = simulate_scene("sentinel1_grd", size=64, seed=1)
    tile = Tile(np.clip(scene.data / 10, -1, 1).astype(np.float32), scene.bands)
    with pytest.raises(InputError, match=f"'{word}' needs visible light"):
        tiny.refer(tile, text)


def test_nothing_found_is_no_sure_answer(tiny: Referrer, monkeypatch: pytest.MonkeyPatch) -> None:
    careful = Referrer(
        tiny.clip, Trained(tiny.decoder, Calibration(1.0, 1.0), towers_of(tiny.clip.tower), "0")
    )
    found = careful.refer(picture(), "the ship")
    assert not found.mask.any()
    assert (found.boxes, found.count, found.label, found.score) == ((), 0, None, 0.0)
    monkeypatch.setattr("terralogue.vlm.referring.refer", careful.refer)
    reading = tiny_vlm().answer(Query("the ship", (picture(),), task="grounding"))
    assert (reading.text, reading.confidence, reading.sure) == ("none", None, False)


def test_windows_agree_with_one_look(tiny: Referrer, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = picture(3, (64, 700))
    in_windows = tiny.look(shown).features[0]
    monkeypatch.setattr("terralogue.vlm.referring._WINDOW", 704)
    at_once = tiny.look(shown).features[0]
    assert in_windows.shape == at_once.shape
    # Away from seams and with the whole picture's context they differ little.
    assert float((in_windows - at_once).abs().mean()) < 0.1 * float(at_once.abs().mean())


def test_pictures_are_looked_at_coarsely_too() -> None:
    assert scales((200, 100)) == [2.0, 1.0]
    assert scales((1200, 700)) == [1.0, 0.5, 0.25]


def test_a_decoder_is_read_as_it_was_written(tiny: Referrer, tmp_path: Path) -> None:
    write_decoder(tmp_path, tiny.decoder, Calibration(0.4, 0.7, 2.0, -1.0), "tower")
    read = read_decoder(tmp_path)
    assert read.calibration == Calibration(0.4, 0.7, 2.0, -1.0)
    features = torch.randn(1, 8, 6, 5)
    texts = torch.randn(1, 2, 384)
    expected = tiny.decoder.point(features, texts)
    assert torch.allclose(read.decoder.point(features, texts), expected, atol=2e-2)
    with pytest.raises(InputError, match="trained on the image tower tower"):
        Referrer(tiny.clip, read)


def test_broken_decoders_are_refused(tiny: Referrer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is missing"):
        read_decoder(tmp_path)
    write_decoder(tmp_path, tiny.decoder, Calibration(), "tower")
    settings = (tmp_path / CONFIG).read_text(encoding="utf-8")
    (tmp_path / CONFIG).write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="train again"):
        read_decoder(tmp_path)
    (tmp_path / CONFIG).write_text(settings, encoding="utf-8")
    (tmp_path / WEIGHTS).write_bytes((tmp_path / WEIGHTS).read_bytes() + b"0")
    with pytest.raises(InputError, match="do not belong together"):
        read_decoder(tmp_path)


@pytest.fixture(scope="module")
def roads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Gray roads on green, with masks, in training and validation numbers."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "eth_roads/images").mkdir(parents=True)
    (folder / "eth_roads/masks").mkdir()
    rng = np.random.default_rng(0)
    for number in (1, 2, 16, 41):
        mask = np.zeros((100, 100), bool)
        row = int(rng.integers(20, 70))
        mask[row : row + 14] = True
        pixels = np.where(mask[..., None], 150, [40, 110, 50]) + rng.normal(0, 9, (100, 100, 3))
        name = f"satImage_{number:03d}"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(
            folder / "eth_roads/images" / f"{name}.webp", lossless=True
        )
        Image.fromarray(mask).save(folder / "eth_roads/masks" / f"{name}.png")
    return folder


def test_training_goes_on_chooses_and_scores(
    roads: Path, tmp_path: Path, tiny_checkpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "refer", "--data", str(roads), "--out", str(tmp_path / "out"),
               "--sources", "eth_roads", "--towers", tiny_checkpoint, "--batch", "3",
               "--size", "64"]  # fmt: skip
    assert main([*command, "--steps", "2"]) == 0
    assert main([*command, "--steps", "3"]) == 0
    log = (tmp_path / "out/log.csv").read_text(encoding="utf-8").split()
    assert [line.split(",")[0] for line in log] == ["step", "2", "3"]
    assert main([*command, "--score", "test"]) == 0
    scores = json.loads((tmp_path / "out/scores_test.json").read_text(encoding="utf-8"))
    assert scores["eth_roads cover"]["n"] == 1
    assert 0 <= scores["eth_roads cover"]["mask_iou"] <= 1
    assert scores["eth_roads absent"]["n"] == 3
    referrer = load_referrer(tmp_path / "out", tiny_checkpoint)
    assert referrer.refer(picture(), "the road").mask.shape == (96, 130)
    assert "eth_roads cover" in capsys.readouterr().out


def test_unknown_sources_and_options_are_refused(roads: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown source 'atlantis'"):
        read_sources(["atlantis"], roads, "train")
    assert main(["train", "refer", "--out", str(tmp_path), "--data", str(roads), "--size", "50"])


def test_simulated_marks_are_exact() -> None:
    scene = simulate_scene("unknown_rgb", layout="tanks", size=96, seed=4, gsd=1.0)
    known = marked(scene, "tanks")
    assert (known.marks["storage_tank"] == 1).sum() == scene.where("storage_tank").sum()
    assert len(known.boxes["storage_tank"]) == sum(b.label == "storage_tank" for b in scene.boxes)
    assert "tennis_court" in known.absent


def test_pictures_of_any_bands_are_measured_as_they_are_read(tiny: Referrer) -> None:
    scene = simulate_scene("naip_rgbn", size=64, seed=2)
    tile = Tile(normalise(scene.data.astype(np.uint8), scene.bands), scene.bands)
    known = marked(scene, "aerial")
    cases = make_cases(0, known, "sim_naip_rgbn", np.random.default_rng(0))
    rows = answer(tiny, [known], cases, [tiny.calibration])[tiny.calibration]
    read = [tiny.refer(tile, case.expression).score for case in cases]
    assert [row.score for row in rows] == pytest.approx(read, abs=1e-3)


def test_overlap_of_boxes() -> None:
    assert box_iou(Box(0, 0, 10, 10), Box(5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert box_iou(Box(0, 0, 10, 10), Box(20, 0, 30, 10)) == 0
