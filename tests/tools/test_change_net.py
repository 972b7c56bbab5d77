"""Networks that compare two dates: learnt from places, kept, chosen, and used by detect_change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from scipy import ndimage

from terralogue.datasets.errors import InputError, RefusalError
from terralogue.datasets.scene import Scene
from terralogue.tools.change import BY_BANDS, any_change, detect_change
from terralogue.tools.change_facts import ChangeFacts
from terralogue.tools.change_net import (
    ChangeConfig,
    ChangeNet,
    Ensemble,
    read_change,
    standard,
    write_change,
)
from terralogue.tools.change_training import ChangeTraining, train
from terralogue.tools.change_training_command import main
from terralogue.tools.change_training_data import Place, read_places, write_places
from terralogue.tools.change_training_scores import Held, calibrated, cross_validated
from terralogue.tools.pairs import make_pair
from terralogue.tools.run import Run
from terralogue.tools.store import Store

MakeScene = Callable[..., Scene]
BANDS = ("G", "R", "N")
FACTS = ChangeFacts(
    sensors=("sentinel2_l1c",), required=("G", "R"), gsd=(8.0, 22.0),
    reflectance=True, threshold=0.4, f1=0.6,
    baseline_f1=0.4, area_factors=(0.5, 2.0), how="3 places", caution="Taught buildings only.",
)  # fmt: skip


def place(name: str, seed: int, side: int = 96) -> Place:
    """Textured ground on which bright squares appear."""
    rng = np.random.default_rng(seed)
    ground = ndimage.gaussian_filter(rng.normal(0, 1, (3, side, side)), (0, 3, 3)) * 60 + 90
    changed = np.zeros((side, side), np.bool_)
    for row, column in rng.integers(8, side - 24, (3, 2)):
        changed[row : row + 14, column : column + 14] = True
    after = ground * 0.9 + 12
    after[:, changed] += 90
    dates = np.stack([ground, after]) + rng.normal(0, 3, (2, 3, side, side))
    data = dates.round().clip(0, 255).astype(np.uint8)
    return Place(name, BANDS, data, changed, np.ones_like(changed))


def network(kind: str = "unet", fuse: str = "difference") -> ChangeNet:
    torch.manual_seed(0)
    bands = BANDS if kind == "unet" else ("R", "G", "B")
    return ChangeNet(ChangeConfig(kind, bands, 4, fuse)).eval()


@pytest.mark.parametrize(("kind", "fuse"), [("unet", "both"), ("tower", "difference")])
def test_before_and_after_may_be_exchanged(kind: str, fuse: str) -> None:
    net = network(kind, fuse)
    before, after = torch.randn(2, 2, 3, 48, 64)
    with torch.inference_mode():
        forth, back = net(before, after), net(after, before)
    assert forth.shape == (2, 48, 64)
    torch.testing.assert_close(forth, back)


def test_a_checkpoint_gives_back_what_was_written(tmp_path: Path) -> None:
    nets = (network(), network())
    write_change(tmp_path, nets, FACTS, flips=2)
    read = read_change(tmp_path)
    assert (read.facts, read.flips, len(read.nets)) == (FACTS, 2, 2)
    dates = np.random.default_rng(0).normal(0, 1, (2, 3, 70, 50)).astype(np.float32)
    expected = Ensemble(nets, FACTS, flips=2).logits(dates[0], dates[1])
    np.testing.assert_allclose(read.logits(dates[0], dates[1]), expected, atol=0.02)
    weights = tmp_path / "change.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    read_change.cache_clear()
    with pytest.raises(InputError, match="do not belong together"):
        read_change(tmp_path)
    weights.unlink()
    with pytest.raises(InputError, match="missing"):
        read_change(tmp_path)


def test_pieces_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    ensemble = Ensemble((network(),))
    dates = np.random.default_rng(0).normal(0, 1, (2, 3, 160, 208)).astype(np.float32)
    whole = ensemble.logits(dates[0], dates[1])
    monkeypatch.setattr("terralogue.tools.change_net.PIECE", 64)
    np.testing.assert_allclose(ensemble.logits(dates[0], dates[1]), whole, atol=1e-4)


def test_standardising_takes_away_light_and_gaps() -> None:
    data = np.random.default_rng(0).uniform(0.01, 0.4, (2, 30, 30)).astype(np.float32)
    data[0, 0, 0] = np.nan
    samples = data[:, 1:].reshape(2, -1)
    first = standard(samples, root=True)(data)
    second = standard(2 * samples, root=True)(2 * data)
    assert first[0, 0, 0] == 0
    assert abs(float(first.std()) - 1) < 0.1
    np.testing.assert_allclose(first, second, atol=0.05)


def test_training_finds_squares_that_appear_and_the_folds_are_joined(tmp_path: Path) -> None:
    pack = tmp_path / "pack.npz"
    places = [place(f"place_{number}", number) for number in range(4)]
    write_places(pack, iter(places))
    kept = read_places(pack)
    assert [each.name for each in kept] == [each.name for each in places]
    assert np.abs(kept[0].data.astype(int) - places[0].data).mean() < 8
    np.testing.assert_array_equal(kept[0].changed, places[0].changed)
    training = ChangeTraining(steps=45, batch=4, size=64, lr=1e-2, average=0.9)
    said: list[str] = []
    config = ChangeConfig("unet", BANDS, 4)
    folders = []
    for fold in (0, 1):
        held = kept[fold::2]
        learnt = [each for each in kept if each not in held]
        train(config, training, learnt, held, tmp_path / str(fold), say=said.append)
        folders.append(tmp_path / str(fold) / "last")
    assert all(float(line.split("val F1 ")[1].split(",")[0]) > 0.5 for line in said)
    from terralogue.tools.change_training_scores import join

    lines = list(join("s2", folders, kept, tmp_path / "joined"))
    assert any(line.startswith("cross-validated F1") for line in lines)
    joined = read_change(tmp_path / "joined")
    assert len(joined.nets) == 2
    assert joined.facts.f1 > 0.5


def test_a_threshold_is_never_chosen_on_the_places_it_is_scored_on() -> None:
    truth = np.zeros((100, 100), np.bool_)
    truth[:20] = True
    held = []
    for fold, shift in enumerate((0.0, 3.0)):
        # In either fold one threshold is perfect, but not the other fold's.
        logits = np.where(truth, 1.0, -1.0) + shift
        known = replace(place("x", 0, 100), name=str(fold), changed=truth)
        held.append(Held(known, fold, logits.astype(np.float32)))
    f1, by_place = cross_validated(held)
    assert by_place["0"] == 0
    assert by_place["1"] == pytest.approx(2 * 0.2 / 1.2)
    assert f1 < 0.5
    slope, _ = calibrated(held)
    assert slope > 0


def test_places_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--data"):
        main(["s2", "--pack", str(tmp_path / "none.npz"), "--out", str(tmp_path)])
    pack = tmp_path / "pack.npz"
    write_places(pack, iter([place("a", 0)]))
    with pytest.raises(InputError, match="lacks the band A"):
        main(["s2", "--pack", str(pack), "--out", str(tmp_path)])
    pack.write_bytes(b"nothing")
    with pytest.raises(InputError, match="not a pack"):
        read_places(pack)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that was taught squares that appear, with facts of a good one."""
    tmp_path = tmp_path_factory.mktemp("taught")
    training = ChangeTraining(steps=80, batch=4, size=64, lr=1e-2, average=0.9)
    places = [place(f"place_{number}", number) for number in range(3)]
    taught = train(
        ChangeConfig("unet", BANDS, 4), training, places, [], tmp_path / "net", say=lambda _: None
    )
    folder = tmp_path / "taught"
    write_change(folder, taught.nets, FACTS)
    return folder


def scenes(make_scene: MakeScene) -> tuple[tuple[Scene, Scene], np.ndarray]:
    """The two dates of a new place as reflectance, and what changed."""
    known = place("new", 9, 128)
    shares = (known.data.astype(np.float32) / 255) ** 2
    names = ("B03", "B04", "B08")
    made = [
        make_scene(f"date{number}", dict(zip(names, date, strict=True)), time=time)
        for number, (date, time) in enumerate(
            zip(shares, ("2020-06-01", "2021-06-10"), strict=True)
        )
    ]
    return (made[0], made[1]), known.changed


def test_detect_change_uses_the_network_that_earns_it(
    make_scene: MakeScene, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dates, changed = scenes(make_scene)
    run = Run(Store(tmp_path / "workspace"))
    monkeypatch.setattr("terralogue.tools.change.CHANGE_NETS", (str(checkpoint),))
    found = detect_change(*dates, run=run)
    with rasterio.open(found.artefacts[0].path) as mask:
        codes = mask.read(1)
    both = ((codes == 1) & changed).sum()
    assert 2 * both / ((codes == 1).sum() + changed.sum()) > 0.6
    told = {each.name: each.value for each in found.measurements}
    assert told["area_low"] <= told["area"] <= told["area_high"]
    assert "other_area" in told
    assert found.confidence is not None
    assert 0.5 < found.confidence <= 1
    assert "taught" in found.method
    assert "0.60" in found.why
    assert "Taught buildings only." in found.warnings
    plain = detect_change(*dates, run=run, model=BY_BANDS)
    assert "change vector analysis" in plain.method
    assert plain.confidence is None
    with pytest.raises(InputError, match="models are for any change: bands"):
        detect_change(*dates, run=run, model="nothing")


def test_a_network_that_does_not_serve_is_refused(
    make_scene: MakeScene, checkpoint: Path, tmp_path: Path
) -> None:
    dates, _ = scenes(make_scene)
    pair = make_pair(*dates, Run(Store(tmp_path / "workspace")))
    nets = read_change(checkpoint).nets
    for number, (facts, words) in enumerate((
        (replace(FACTS, f1=0.3), "no better than change vector analysis"),
        (replace(FACTS, sensors=("landsat8",)), "not trained for"),
        (replace(FACTS, required=("B",)), "cannot do without the band B"),
        (replace(FACTS, gsd=(0.3, 2.0)), "m a pixel"),
    )):  # fmt: skip
        write_change(tmp_path / f"other{number}", nets, facts)
        with pytest.raises(RefusalError, match=words):
            any_change(pair, str(tmp_path / f"other{number}"))
