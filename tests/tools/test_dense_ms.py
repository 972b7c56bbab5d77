"""Networks over slots: any bands in, calibrated classes out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.datasets.bands import Band
from terralogue.datasets.dense_covers import COVERS, simulate_cover
from terralogue.datasets.dense_slots import SLOTS, slot_planes
from terralogue.datasets.errors import InputError
from terralogue.datasets.scene import Scene
from terralogue.datasets.sensors import SENSORS
from terralogue.tools.dense_ms_augment import augment
from terralogue.tools.dense_ms_calibration import calibrated, calibration_error, softmax
from terralogue.tools.dense_ms_checkpoint import WEIGHTS, SlotFacts, read_slots, write_slots
from terralogue.tools.dense_ms_model import SlotConfig, SlotNet
from terralogue.tools.dense_ms_network import SlotModel, source
from terralogue.tools.dense_ms_supply import Supply, as_water
from terralogue.tools.dense_ms_training import Confusion, Recipe, Tiles, as_tiles, predict, train
from terralogue.tools.dense_ms_water import (
    FOLDS,
    PLACES,
    Chips,
    best_threshold,
    fold_of,
    held_out,
    nested_masks,
    water_score,
)
from terralogue.tools.grid import whole
from terralogue.vlm.weight_files import CONFIG

MakeScene = Callable[..., Scene]
TEN = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")


def flat(bands: tuple[Band, ...], value: float = 0.2) -> NDArray[np.float32]:
    return np.full((len(bands), 4, 4), value, np.float32)


def filled(*bands: Band) -> list[str]:
    present = slot_planes(flat(bands), bands)[1]
    return [name for name, there in zip(SLOTS, present, strict=True) if there]


def test_sensors_fill_the_slots_of_the_bands_that_they_have() -> None:
    assert filled(*SENSORS["sentinel2_l2a"].bands) == list(SLOTS[:10])
    assert filled(*SENSORS["landsat8"].bands) == ["A", "B", "G", "R", "N", "S1", "S2", "T"]
    assert filled(*SENSORS["landsat5"].bands) == ["B", "G", "R", "N", "S1", "S2", "T"]
    assert filled(*SENSORS["sentinel1_grd"].bands) == ["co", "cross"]
    assert filled(*SENSORS["naip_rgbn"].bands) == ["B", "G", "R", "N"]


def test_a_panchromatic_band_is_no_colour() -> None:
    assert filled(Band("pan", 0.59, 0.18)) == []


def test_the_order_of_the_bands_does_not_matter_and_narrow_bands_are_averaged() -> None:
    narrow = tuple(Band(f"b{i}", 0.64 + 0.005 * i, 0.005) for i in range(8))
    data = np.linspace(0.1, 0.2, 8, dtype=np.float32)[:, None, None] * np.ones((1, 4, 4), "f4")
    planes, present = slot_planes(data, narrow)
    turned, _ = slot_planes(data[::-1], narrow[::-1])
    np.testing.assert_allclose(planes, turned, rtol=1e-5)
    red = ((planes[SLOTS.index("R")] + 1) / 2.5) ** 2
    assert 0.1 < red[0, 0] < 0.2
    assert present.sum() == 1
    assert not planes[~present].any()


def test_what_was_not_observed_stays_so() -> None:
    bands = SENSORS["landsat5"].bands
    data = flat(bands)
    data[2, 1, 1] = np.nan
    planes, _ = slot_planes(data, bands)
    assert np.isnan(planes[SLOTS.index("R"), 1, 1])
    assert np.isfinite(planes[SLOTS.index("G")]).all()


def test_simulated_tiles_repeat_and_know_their_classes() -> None:
    planes, present, codes = simulate_cover(3, size=32)
    again = simulate_cover(3, size=32)
    assert planes.shape == (len(SLOTS), 32, 32)
    np.testing.assert_array_equal(planes, again[0])
    np.testing.assert_array_equal(codes, again[2])
    assert set(np.unique(codes)) <= {*range(len(COVERS)), 255}
    assert present.any()


def test_workers_give_the_same_tiles_as_one_call_does() -> None:
    supply = Supply(range(2), workers=1, first=1)
    tiles = supply.all()
    assert len(tiles.codes) == 2
    sums = {float(simulate_cover(seed)[2].sum()) for seed in range(2)}
    assert {float(codes.sum()) for codes in tiles.codes} == sums
    assert set(as_water(tiles).codes.unique().tolist()) <= {0, 1, 255}


def random_tiles(count: int = 6, side: int = 32) -> Tiles:
    """Half of each tile is dark in the near infrared, and that half is class 1."""
    rng = np.random.default_rng(0)
    planes = rng.normal(0, 0.1, (count, len(SLOTS), side, side)).astype(np.float32)
    codes = np.zeros((count, side, side), np.uint8)
    codes[:, :, : side // 2] = 1
    planes[:, SLOTS.index("N")] -= 0.8 * codes
    present = np.zeros((count, len(SLOTS)), bool)
    present[:, :10] = True
    return as_tiles(planes * present[:, :, None, None], present, codes)


def test_augmentation_leaves_bands_out_but_never_all_and_fills_what_was_not_observed() -> None:
    torch.manual_seed(0)
    tiles = random_tiles(16)
    planes = tiles.planes.float()
    planes[:, 0, 0, 0] = torch.nan
    changed, present, codes = augment(planes, tiles.present, tiles.codes, drop=1.0)
    assert torch.isfinite(changed).all()
    assert (present.sum(1) > 0).all()
    assert present.sum() < tiles.present.sum()
    assert not changed[present == 0].any()
    assert codes.sum() == tiles.codes.sum()


def test_training_learns_a_plain_rule_and_real_images_without_labels_go_along() -> None:
    torch.manual_seed(0)
    tiles = random_tiles()
    net = SlotNet(SlotConfig(("other", "water"), (8, 8, 8, 8)))
    recipe = Recipe(steps=40, batch=4, rate=1e-2, average=0.9, drop=0.0, unlabelled=2)
    told: list[str] = []
    best = train(
        net, lambda: tiles, recipe, unlabelled=lambda count: tiles.at([0] * count), say=told.append
    )
    confusion = Confusion(2)
    confusion.add(tiles.codes, predict(best, tiles).argmax(1))
    assert confusion.ious.min() > 0.8
    assert told


def test_a_checkpoint_comes_back_as_it_was_and_a_changed_file_is_refused(tmp_path: Path) -> None:
    net = SlotNet(SlotConfig(("other", "water"), (8, 8, 8, 8)))
    write_slots(tmp_path, net, SlotFacts(1.5, 0.02, {"water": (0.8, 1.2)}))
    back = read_slots(tmp_path)
    assert back.facts.temperature == 1.5
    assert list(back.net.config.classes) == ["other", "water"]
    read_slots.cache_clear()
    (tmp_path / WEIGHTS).write_bytes(b"other")
    with pytest.raises(InputError, match="do not belong together"):
        read_slots(tmp_path)
    (tmp_path / CONFIG).unlink()
    with pytest.raises(InputError, match=r"config\.json is missing"):
        read_slots(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint that knows water by the near infrared alone."""
    torch.manual_seed(0)
    tiles = random_tiles()
    net = SlotNet(SlotConfig(("other", "water"), (8, 8, 8, 8)))
    recipe = Recipe(steps=40, batch=4, rate=1e-2, average=0.9, strength=0.3, drop=0.0)
    trained = train(net, lambda: tiles, recipe, say=lambda text: None)
    write_slots(tmp_path / "net", trained, SlotFacts())
    return tmp_path / "net"


def lake(dark: slice) -> dict[str, NDArray[np.float32]]:
    """Ten bands of grey ground (300 x 300) with a dark near infrared in some columns."""
    bands = {name: np.full((300, 300), 0.16, np.float32) for name in TEN}
    for name in ("B08", "B8A"):
        bands[name][:, dark] = 0.01
    bands["B03"][:20, :20] = np.nan
    return bands


def model_of(scene: Scene, folder: Path, before: Scene | None = None) -> SlotModel:
    def reads(of: Scene) -> Callable[..., NDArray[np.float32]]:
        return lambda bands, window: of.read(bands, window).data

    return SlotModel(
        source(scene.bands, reads(scene)), scene.width, scene.height, read_slots(folder),
        "net", ("water",), before=None if before is None else source(before.bands, reads(before)),
    )  # fmt: skip


def mask_of(model: SlotModel, window: Window) -> NDArray[np.uint8]:
    mask = np.full((int(window.height), int(window.width)), 9, np.uint8)
    with ThreadPoolExecutor(1) as executor:
        for part, found in model.run(window, executor, None):
            row, column = int(part.row_off - window.row_off), int(part.col_off - window.col_off)
            mask[row : row + found.shape[0], column : column + found.shape[1]] = found
    return mask


def test_a_scene_is_covered_and_what_is_missing_is_marked(
    make_scene: MakeScene, folder: Path
) -> None:
    scene = make_scene("scene", lake(slice(150, 300)))
    mask = mask_of(model_of(scene, folder), whole(scene))
    assert (mask[:20, :20] == 255).all()
    assert (mask[30:, 160:] == 1).mean() > 0.9
    assert (mask[30:, :140] == 0).mean() > 0.9
    part = mask_of(model_of(scene, folder), Window(100, 50, 120, 90))
    assert (part == mask[50:140, 100:220]).mean() > 0.97


def test_only_new_water_is_left_where_an_earlier_scene_is_given(
    make_scene: MakeScene, folder: Path
) -> None:
    scene = make_scene("now", lake(slice(100, 300)))
    earlier = make_scene("before", lake(slice(200, 300)))
    model = model_of(scene, folder, earlier)
    mask = mask_of(model, whole(scene))
    assert (mask[30:, 110:190] == 1).mean() > 0.9
    assert (mask[30:, 210:] == 0).mean() > 0.9
    assert "reference" in model.method
    assert model.area_factors is None


def test_temperature_makes_overconfident_logits_honest() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2, (12, 16, 16)).astype(np.uint8)
    right = rng.random(codes.shape) < 0.8
    sign = np.where(right == (codes == 1), 4.0, -4.0).astype(np.float32)
    logits = np.stack([-sign, sign], axis=1)
    facts = calibrated(logits, codes, ("other", "water"))
    assert facts.temperature > 3
    assert facts.calibration_error is not None
    assert facts.calibration_error < 0.02
    before = softmax(logits, 1)[:, :, :4, :4].transpose(0, 2, 3, 1).reshape(-1, 2)
    assert calibration_error(before, codes[:, :4, :4].ravel()) > 0.1
    low, high = facts.area_factors["water"]
    assert low < 1.1
    assert high > 0.9


def test_places_are_never_split_between_folds() -> None:
    assert sorted(place for fold in FOLDS for place in fold) == list(range(len(PLACES)))
    numbers = [number for place in PLACES for number in place]
    assert len(numbers) == len(set(numbers)) == 46
    with pytest.raises(InputError, match="no known place"):
        fold_of(9999)


def test_streams_that_the_rule_is_sure_of_are_water_whatever_the_network_says(
    make_scene: MakeScene, folder: Path
) -> None:
    bands = lake(slice(0, 0))
    bands["B03"][100:102] = 0.08
    for name in ("B08", "B8A", "B11", "B12"):
        bands[name][100:102] = 0.04
    scene = make_scene("scene", bands)
    model = replace(model_of(scene, folder), rule=True, threshold=0.9)
    mask = mask_of(model, whole(scene))
    assert (mask[100:102] == 1).all()
    assert "MNDWI > 0.25" in model.method
    assert (mask[120:] == 0).mean() > 0.9


def test_classes_that_are_left_to_other_means_are_never_found(folder: Path) -> None:
    planes, present = random_tiles().planes.float(), random_tiles().present
    checkpoint = read_slots(folder)
    assert (checkpoint.shares(planes, present).argmax(1) == 1).any()
    facts = replace(checkpoint.facts, unused=("water",))
    assert (replace(checkpoint, facts=facts).shares(planes, present)[:, 1] == 0).all()


def test_a_threshold_is_chosen_on_other_places_than_it_is_used_on() -> None:
    folds = np.array([0, 1, 2, 3, 4])
    water = np.zeros((5, 2, 2), bool)
    water[:, 0] = True
    likely = np.where(water, 0.65, 0.1).astype(np.float32)
    # One place where a high threshold would be best.
    likely[0] = [[0.75, 0.75], [0.68, 0.68]]
    chips = Chips(np.zeros((5, len(SLOTS), 2, 2), np.float32), np.ones(13, bool), water, folds)
    assert nested_masks(chips, likely)[0].all()
    assert best_threshold(likely[:1], water[:1]) == 0.7


def test_no_model_sees_the_place_that_it_is_scored_on() -> None:
    folds = np.array([0, 0, 1, 2, 3, 4])
    water = np.zeros((6, 4, 4), bool)
    chips = Chips(np.zeros((6, len(SLOTS), 4, 4), np.float32), np.ones(13, bool), water, folds)

    def fit(rest: NDArray[np.intp], left_out: NDArray[np.intp]) -> NDArray[np.float32]:
        assert not set(folds[rest]) & set(folds[left_out])
        return np.full((len(left_out), 4, 4), len(rest), np.float32)

    assert held_out(chips, fit)[:, 0, 0].tolist() == [4, 4, 5, 5, 5, 5]
    assert water_score(water, water).iou == 0
