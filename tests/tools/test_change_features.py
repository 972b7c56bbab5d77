"""The regression on Sentinel-2 pairs: learnt, kept, blind to light, and used where it earns it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from scipy import ndimage

from terralogue.datasets.errors import InputError
from terralogue.datasets.scene import Scene
from terralogue.datasets.synthetic_pairs import simulate_pair
from terralogue.tools.change import detect_change
from terralogue.tools.change_depth import HALO, TOWER
from terralogue.tools.change_facts import WEIGHTS_FOLDER
from terralogue.tools.change_feature_training import main
from terralogue.tools.change_features import BANDS, FEATURES, Piece, fit_pair, read_features
from terralogue.tools.change_training_data import Place, write_places
from terralogue.tools.run import Run
from terralogue.tools.store import Store

MakeScene = Callable[..., Scene]
# Reflectance of meadow and of new roofs.
MEADOW = (0.04, 0.07, 0.05, 0.10, 0.25, 0.32, 0.36, 0.37, 0.20, 0.10)
ROOF = (0.22, 0.23, 0.25, 0.26, 0.27, 0.28, 0.29, 0.29, 0.33, 0.31)


def dates(seed: int, side: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Reflectance float32 (2, 10, side, side) of a meadow, then with roofs; and where they are."""
    rng = np.random.default_rng(seed)
    fields = 1 + 0.25 * np.clip(
        ndimage.gaussian_filter(rng.normal(0, 1, (side, side)), 6) * 12, -1, 1
    )
    both = np.array(MEADOW)[None, :, None, None] * fields * np.array([1, 0.8])[:, None, None, None]
    changed = np.zeros((side, side), np.bool_)
    for row, column in rng.integers(10, side - 30, (3, 2)):
        changed[row : row + 12, column : column + 16] = True
    both[1][:, changed] = np.array(ROOF)[:, None]
    noisy = both * (1 + 0.03 * rng.normal(0, 1, both.shape))
    return noisy.clip(0.001).astype(np.float32), changed


def pack(path: Path, count: int) -> Path:
    places = []
    for seed in range(count):
        data, changed = dates(seed)
        stored = (255 * np.sqrt(data)).round().astype(np.uint8)
        places.append(Place(f"p{seed}", BANDS, stored, changed, np.ones_like(changed)))
    write_places(path, iter(places), quality=95)
    return path


def test_roofs_on_places_never_seen_are_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = pack(tmp_path / "pack.npz", 3)
    assert main(["--pack", str(packed), "--out", str(tmp_path / "out")]) == 0
    assert "places left out one by one: F1" in capsys.readouterr().out
    model = read_features(tmp_path / "out")
    assert model.facts.f1 > 0.8
    data, changed = dates(9)
    piece = Piece(data[0], data[1], np.ones_like(changed))
    found = model.begin([piece])(piece) >= model.facts.threshold
    assert 2 * (found & changed).sum() / (found.sum() + changed.sum()) > 0.8
    config = tmp_path / "out" / "config.json"
    settings = json.loads(config.read_text(encoding="utf-8"))
    settings["features"]["cva0"] += 1
    config.write_text(json.dumps(settings), encoding="utf-8")
    read_features.cache_clear()
    with pytest.raises(InputError, match="SHA-256"):
        read_features(tmp_path / "out")


def test_too_few_places_and_no_data_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="three or more"):
        main(["--pack", str(pack(tmp_path / "pack.npz", 2)), "--out", str(tmp_path)])
    with pytest.raises(InputError, match="give the data"):
        main(["--pack", str(tmp_path / "none.npz"), "--out", str(tmp_path)])


def test_light_and_lacking_bands_change_little() -> None:
    data, changed = dates(0)
    seen = np.ones_like(changed)
    pieces = [Piece(data[0], data[1], seen), Piece(data[0], 0.8 * data[1], seen)]
    first, second = (fit_pair([piece])(piece) for piece in pieces)
    assert np.median(np.abs(first - second)) < 0.05
    lacking = data.copy()
    lacking[:, 3] = np.nan
    piece = Piece(lacking[0], lacking[1], seen)
    assert np.isfinite(fit_pair([piece])(piece)).all()


def test_a_part_gives_what_the_whole_gives() -> None:
    data, changed = dates(0, 320)
    features = fit_pair([Piece(data[0], data[1], np.ones_like(changed))])
    whole = features(Piece(data[0], data[1], np.ones_like(changed)))
    rows = slice(16, 304)
    part = features(Piece(data[0][:, rows], data[1][:, rows], np.ones((288, 320), np.bool_)))
    inner = part[:, HALO:-HALO] - whole[:, 16 + HALO : 304 - HALO]
    spectral = len(FEATURES) - len(TOWER)
    assert np.abs(inner[:spectral]).max() < 1e-3
    assert np.abs(inner[spectral:]).max() < 0.15


def test_the_tower_sees_new_roofs_and_no_change_of_light() -> None:
    data, changed = dates(3)
    seen = np.ones_like(changed)
    planes = fit_pair([Piece(data[0], data[1], seen)])(Piece(data[0], data[1], seen))
    tower = planes[-len(TOWER) :]
    apart = tower[:, changed].mean(axis=1) - tower[:, ~changed].mean(axis=1)
    assert (apart > 1).all()
    unseen = seen.copy()
    unseen[40:60] = False
    partly = fit_pair([Piece(data[0], data[1], unseen)])(Piece(data[0], data[1], unseen))
    assert np.isfinite(partly).all()
    assert not partly[:, 40:60].any()


def test_the_package_model_serves_a_sentinel_pair_and_no_other(
    make_scene: MakeScene, tmp_path: Path
) -> None:
    facts = read_features(WEIGHTS_FOLDER / "change_s2").facts
    assert facts.f1 > facts.baseline_f1 > 0
    pair = simulate_pair("sentinel2_l1c", change="new_buildings", size=192, seed=5002)
    made = [
        make_scene(time, dict(zip([band.name for band in pair.before.bands], data, strict=True)),
                   time=time)
        for data, time in (
            (pair.before.data, "2020-06-01"), (pair.after.data, "2021-06-05"),
        )
    ]  # fmt: skip
    found = detect_change(*made, run=Run(Store(tmp_path / "w")))
    assert found.method.startswith("change_s2")
    told = {each.name: each.value for each in found.measurements}
    assert 0 < told["area_low"] <= told["area"] <= told["area_high"]
    assert "other_area" in told
    assert facts.caution in found.warnings
    built = detect_change(*made, "built_up", run=Run(Store(tmp_path / "u")))
    assert built.method == found.method
    assert (found.title[:7], built.title[:18]) == ("Change,", "Change by building")
    assert built.target == "built_up"
    assert [m.value for m in built.measurements] == [m.value for m in found.measurements]
    assert any("gain and loss are not told apart" in text for text in built.warnings)
    rgb = [make_scene(f"rgb{n}", dict.fromkeys("RGB", 90 + 20 * data[0]), dtype="uint8",
                      sensor="rgb_aerial", transform=Affine(30, 0, 6e5, 0, -30, 5e6))
           for n, data in enumerate((pair.before.data, pair.after.data))]  # fmt: skip
    coarse = detect_change(rgb[0], rgb[1], run=Run(Store(tmp_path / "v")))
    assert "change vector analysis" in coarse.method
    assert "m a pixel" in coarse.why
