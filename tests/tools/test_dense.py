"""Dense networks on scenes: probabilities, areas with an interval, and what is not observed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from numpy.typing import NDArray
from PIL import Image
from rasterio.crs import CRS
from rasterio.windows import Window

from terralogue.datasets.band_tables import RGB
from terralogue.datasets.errors import InputError, RefusalError
from terralogue.datasets.scene import Scene, open_scene
from terralogue.tools import specialists
from terralogue.tools.dense_checkpoint import (
    WEIGHTS,
    Dense,
    DenseFacts,
    HeadFacts,
    read_dense,
    write_dense,
)
from terralogue.tools.dense_graded import Expectation
from terralogue.tools.dense_model import DenseConfig, DenseNet
from terralogue.tools.dense_network import DenseModel
from terralogue.tools.dense_voices import Voice
from terralogue.tools.export import quiet
from terralogue.tools.grid import whole
from terralogue.tools.run import Run
from terralogue.tools.schemas import Measurement
from terralogue.tools.segment import segment
from terralogue.tools.specialist import Specialist
from terralogue.tools.specialists import choose
from terralogue.tools.store import Store
from terralogue.vlm.weight_files import CONFIG

MakeScene = Callable[..., Scene]
UTM = CRS.from_epsg(32632)
FACTS = DenseFacts(
    sensors=("rgb_aerial",),
    gsd=(0.3, 1.0),
    bands=("R", "G", "B"),
    heads={"cover": HeadFacts(2.0, {"water": 0.5}, {"water": (0.8, 1.25)}, 0.03)},
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained checkpoint."""
    torch.manual_seed(0)
    net = DenseNet(DenseConfig({"cover": ("soil", "water", "road")})).eval()
    target = tmp_path_factory.mktemp("dense")
    write_dense(target, net, FACTS)
    return target


@pytest.fixture
def dense(folder: Path) -> Dense:
    """As read from the disk."""
    return read_dense(folder)


def sure_of_water(dense: Dense, share: float) -> Dense:
    """The network made to say "water" with one probability everywhere."""
    head = dense.net.heads["cover"]
    assert isinstance(head, torch.nn.Conv2d)
    assert head.bias is not None
    torch.nn.init.zeros_(head.weight)
    rest = (1 - share) / 2
    with torch.no_grad():
        # The temperature of 2 halves them again.
        head.bias.copy_(2 * torch.log(torch.tensor([rest, share, rest])))
    return dense


def picture(make_scene: MakeScene, size: tuple[int, int] = (90, 70), metres: float = 0.5) -> Scene:
    """A colour picture with pixels of so many metres, in random colours."""
    random = np.random.default_rng(0)
    bands = {n: random.integers(1, 255, size).astype(np.float32) for n in ("red", "green", "blue")}
    return make_scene(
        "picture", bands, sensor="rgb_aerial", dtype="uint8", crs=UTM,
        transform=Affine(metres, 0, 600_000, 0, -metres, 5_000_000),
    )  # fmt: skip


def model_of(scene: Scene, dense: Dense) -> DenseModel:
    return DenseModel(scene, [Voice(dense, "cover", ("water",))], "water", "tiny")


def probabilities(model: DenseModel, window: Window) -> NDArray[np.float32]:
    """Of a window, put together from its parts."""
    found = np.full((int(window.height), int(window.width)), -1, np.float32)
    with ThreadPoolExecutor(2) as executor:
        for part, values in model.grade(window, executor, None):
            rows = slice(part.row_off - window.row_off, part.row_off - window.row_off + part.height)
            left = part.col_off - window.col_off
            found[rows, left : left + int(part.width)] = values
    return found


def test_a_window_gets_the_probabilities_of_the_whole_scene(
    make_scene: MakeScene, dense: Dense
) -> None:
    model = model_of(picture(make_scene, (500, 130)), dense)
    everything = probabilities(model, whole(model.scene))
    part = probabilities(model, Window(30, 200, 60, 50))
    assert everything.min() >= 0
    assert everything.max() <= 1
    # Tiles lie elsewhere, so context differs a little.
    assert np.abs(part - everything[200:250, 30:90]).max() < 0.1


def test_finer_pixels_are_read_coarser_and_the_result_has_the_pixels_of_the_scene(
    make_scene: MakeScene, dense: Dense
) -> None:
    model = model_of(picture(make_scene, (640, 70), metres=0.1), sure_of_water(dense, 0.8))
    assert model.step == pytest.approx(3.0, rel=0.01)
    assert "3 times coarser" in model.method
    found = probabilities(model, whole(model.scene))
    assert found.shape == (640, 70)
    assert np.allclose(found, 0.8, atol=1e-3)


def test_pixels_without_data_have_no_probability(make_scene: MakeScene, dense: Dense) -> None:
    bands = {name: np.full((60, 60), 0.1, np.float32) for name in ("B02", "B03", "B04")}
    bands["B03"][10:20, 5:15] = np.nan
    found = probabilities(model_of(make_scene("gap", bands), dense), Window(0, 0, 60, 60))
    hole = np.isnan(found)
    assert hole[10:20, 5:15].all()
    assert hole.sum() == 100


def test_the_area_has_an_interval_from_the_probabilities_and_the_answer_a_confidence(
    make_scene: MakeScene, dense: Dense, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sure_of_water(dense, 0.8)
    row = Specialist(
        "tiny", ("water",), ("R", "G", "B"),
        lambda job: model_of(job.scene, dense), calibrated=None, learned=True, gsd=(0.3, 1.0),
    )  # fmt: skip
    monkeypatch.setattr(specialists, "SPECIALISTS", (row,))
    scene = picture(make_scene)
    result = segment(scene, "water", run=Run(Store(tmp_path / "w"), ("scene",)), unit="m2")
    value = {each.name: each.value for each in result.measurements}
    assert value["area"] == pytest.approx(90 * 70 * 0.25, rel=0.005)
    # 0.8 of it is expected; between 0.8 and 1.25 times as much was there at validation.
    assert value["area_low"] == pytest.approx(0.64 * value["area"], rel=0.01)
    assert value["area_high"] == pytest.approx(1.0 * value["area"], rel=0.01)
    assert result.confidence == pytest.approx(0.8, abs=1e-3)
    method = next(each.method for each in result.measurements if each.name == "area_low")
    assert "nine of ten validation images" in method
    random = np.random.default_rng(0)
    plain = {
        n: random.integers(1, 255, (90, 70)).astype(np.float32) for n in ("red", "green", "blue")
    }
    flat = make_scene("flat", plain, sensor="unknown_rgb", dtype="uint8", crs=None)
    result = segment(flat, "water", run=Run(Store(tmp_path / "flat"), ("scene",)))
    value = {each.name: each.value for each in result.measurements}
    assert value["share_low"] == pytest.approx(64, rel=0.01)
    assert value["share_high"] == pytest.approx(100, rel=0.01)


@pytest.mark.parametrize(("crs", "whole"), [(UTM, 100.0), (None, 400.0)])
def test_an_interval_ends_at_what_was_observed(
    make_scene: MakeScene, crs: CRS | None, whole: float
) -> None:
    grid = Affine(0.5, 0, 600_000, 0, -0.5, 5_000_000)
    bands = {"red": np.full((20, 20), 9, np.float32)}
    scene = make_scene("plain", bands, dtype="uint8", crs=crs, transform=grid)
    expectation, seen = Expectation(scene), np.ones((20, 20), np.bool_)
    expectation.add(Window(0, 0, 20, 20), np.full((20, 20), 0.6, np.float32), seen, seen)
    unit = "m2" if crs else "px"
    area = Measurement(name="area", value=50.0, unit=unit, method="", label="Roads")
    ends = expectation.interval(area, (0.5, 8.0), "m2")
    low, high = (each.value for each in ends if each.unit == unit)
    assert low <= 50
    assert high == pytest.approx(whole, rel=0.01)
    assert all(each.value <= 100 for each in ends if each.unit == "%")


def test_an_unknown_pixel_size_is_said(make_scene: MakeScene, dense: Dense) -> None:
    bands = {n: np.full((40, 40), 90, np.float32) for n in ("red", "green", "blue")}
    scene = make_scene("plain", bands, sensor="unknown_rgb", dtype="uint8", crs=None)
    assert "pixel size of plain.tif is not known" in model_of(scene, dense).warnings[0]
    coarse = picture(make_scene, metres=1.2)
    assert "trust it less" in model_of(coarse, dense).warnings[0]
    assert model_of(picture(make_scene), dense).warnings == ()


def test_a_checkpoint_comes_back_as_it_was_written(folder: Path, dense: Dense) -> None:
    assert dense.facts == FACTS
    assert (folder / WEIGHTS).stat().st_size < 8_000_000
    again = read_dense(folder)
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(dense.net(images, RGB, "cover"), again.net(images, RGB, "cover"))


def test_broken_checkpoints_say_what_is_wrong(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing"):
        read_dense(tmp_path)
    blob = bytearray((folder / WEIGHTS).read_bytes())
    blob[-1] ^= 1
    (tmp_path / WEIGHTS).write_bytes(blob)
    (tmp_path / CONFIG).write_bytes((folder / CONFIG).read_bytes())
    with pytest.raises(InputError, match="do not belong together"):
        read_dense(tmp_path)
    (tmp_path / CONFIG).write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="train again"):
        read_dense(tmp_path)


def test_a_fine_tuned_network_can_begin_from_another_with_other_heads(folder: Path) -> None:
    net = DenseNet.begin(DenseConfig({"new": ("other", "thing")}), str(folder))
    old = read_dense(folder).net
    assert torch.equal(net.context.weight, old.context.weight)
    assert set(net.heads) == {"new"}


def test_of_several_voices_the_one_that_is_surest_counts(
    make_scene: MakeScene, folder: Path, dense: Dense
) -> None:
    scene = picture(make_scene)
    voices = [
        Voice(sure_of_water(read_dense(folder), share), "cover", ("water",)) for share in (0.3, 0.7)
    ]
    model = DenseModel(scene, voices, "water", "two")
    assert np.allclose(probabilities(model, whole(scene)), 0.7, atol=1e-3)
    assert model.method.count(dense.fingerprint) == 2


def test_the_temperature_only_tempers(make_scene: MakeScene, dense: Dense) -> None:
    scene = picture(make_scene)

    def at(temperature: float) -> NDArray[np.float32]:
        facts = replace(
            FACTS, heads={"cover": replace(FACTS.heads["cover"], temperature=temperature)}
        )
        return probabilities(model_of(scene, replace(dense, facts=facts)), whole(scene))

    sharp, flat = at(0.5), at(50.0)
    assert np.abs(flat - 1 / 3).max() < np.abs(sharp - 1 / 3).max()
    assert np.abs(flat - 1 / 3).max() < 0.05


def test_pictures_get_the_network_and_coarse_scenes_are_refused(make_scene: MakeScene) -> None:
    aerial = picture(make_scene)
    for target in ("building", "road", "built_up", "water"):
        assert choose(aerial, target).specialist.name == f"rgb_{target}"
    bands = {name: np.full((40, 40), 0.1, np.float32) for name in ("B02", "B03", "B04")}
    with pytest.raises(RefusalError, match="10 m are too coarse") as caught:
        choose(make_scene("coarse", bands), "road")
    assert caught.value.reason == "resolution"


@pytest.mark.parametrize(
    ("target", "path", "least"),
    [
        ("road", "eth_roads/images/satImage_041.webp", 0.4),
        ("building", "fair_buildings/images/OAM-619228-523264-20.tif", 0.4),
    ],
)
def test_the_network_of_the_package_finds_real_things_it_has_not_seen(
    data_dir: Path, tmp_path: Path, target: str, path: str, least: float
) -> None:
    scene = open_scene(data_dir / path)
    result = segment(scene, target, run=Run(Store(tmp_path / "w"), ("scene",)))
    with quiet(), rasterio.open(result.artefacts[0].path) as file:
        found = file.read(1) == 1
    stem = Path(path).stem
    with Image.open((data_dir / path).parents[1] / "masks" / f"{stem}.png") as mask:
        truth = np.asarray(mask) > 0
    assert (found & truth).sum() / (found | truth).sum() > least
    assert result.confidence is not None
    assert 0.5 < result.confidence <= 1
