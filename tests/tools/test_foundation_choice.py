"""Which model for a sensor and a task, and the published checkpoints among them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from rasterio.windows import Window
from torch import Tensor, nn

from terralogue.agent import cli
from terralogue.datasets.errors import InputError, RefusalError
from terralogue.tools import foundation_checkpoints
from terralogue.tools.backbone_scores import BENCHMARKS
from terralogue.tools.backbones import find_backbone
from terralogue.tools.foundation_checkpoints import (
    CHECKPOINTS,
    FinetunedModel,
    build,
    find_checkpoint,
    why_not,
)
from terralogue.tools.foundation_choice import recommend, tasks
from terralogue.tools.specialists import SPECIALISTS, choose


def encoders(sensor: str, task: str) -> list[str]:
    return [each.name for each in recommend(sensor, task).models if ":" in each.name]


def test_an_encoder_measured_on_the_sensor_comes_first_and_a_u_net_may_win() -> None:
    assert encoders("hls_s30", "burned area")[:3] == [
        "baseline:unet", "terratorch:prithvi_eo_v1_100", "torchgeo:dofa_base_patch16_224",
    ]  # fmt: skip
    assert encoders("sentinel2_l1c", "cloud")[0].endswith("sentinel2_all_softcon")
    assert encoders("s2", "land_cover")[0] == "torchgeo:croma_base_optical"


def test_without_a_score_the_closest_sensor_then_pixel_size_then_bands_decide() -> None:
    landsat = encoders("landsat8", "snow_ice")
    assert all("landsat_oli_sr" in name for name in landsat[:3])
    assert find_backbone(landsat[3]).gsd == 30
    assert encoders("naip", "built_up")[0].startswith("torchgeo:swin_v2_b_naip")


def test_ready_models_measured_here_come_before_encoders_and_are_not_compared_with_them() -> None:
    found = recommend("sentinel2_l2a", "water")
    scores = [each.score for each in found.models if each.ready]
    assert scores[0] == max(score for score in scores if score is not None)
    kinds = [":" in each.name for each in found.models]
    assert kinds == sorted(kinds)
    assert "cannot be compared" in found.notes[-1]
    assert found.text.splitlines()[1].startswith("1. ")


def test_detectors_are_named_for_what_they_count_where_pixels_are_small_enough() -> None:
    assert recommend("sentinel2_l1c", "ship").models[0].name == "detect_ships"
    assert not any(each.ready for each in recommend("sentinel2_l1c", "vehicle").models)
    assert any("detect" in each.name for each in recommend("rgb_aerial", "vehicle").models)


def test_what_cannot_be_had_here_but_was_better_is_said() -> None:
    notes = recommend("sentinel1_grd", "flooded_area").notes
    assert any("supervised ViT-B/16 reached 78.3 %" in note for note in notes)


def test_only_encoders_whose_bands_the_product_has_are_named() -> None:
    for sensor in ("sentinel2_l2a", "planetscope", "sentinel1_grd", "enmap", "rgb_aerial"):
        for name in encoders(sensor, "built_up"):
            assert "B10" not in find_backbone(name).bands
    assert "torchgeo:panopticon_vitb14" not in encoders("sentinel1_grd", "land_cover")


def test_unknown_words_list_what_can_be_asked() -> None:
    with pytest.raises(InputError, match=r"no task 'happiness'; the tasks are: water"):
        recommend("sentinel2_l2a", "happiness")
    with pytest.raises(InputError, match="unknown sensor"):
        recommend("hubble", "water")


def test_published_scores_are_percentages_of_models_that_the_table_knows() -> None:
    for each in BENCHMARKS:
        assert each.task in tasks()
        assert all(10 < score < 100 for score in each.scores.values())
        assert all(find_backbone(name) for name in each.scores if ":" in name)


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--recommend", "s2", "water"]) == 0
    assert "baseline:unet" in capsys.readouterr().out
    assert cli.main(["doctor", "--recommend", "s2", "water", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sensor"] == "sentinel2_l2a"
    assert cli.main(["doctor", "--recommend", "s2", "luck"]) == 2
    assert cli.main(["models", "list", "--json"]) == 0
    names = {json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()}
    assert {"minilm", "terratorch:prithvi_burn_scars", "torchgeo:croma_base_sar"} <= names


NAMES = ("B02", "B03", "B04", "B8A", "B11", "B12")


def dull(shape: tuple[int, int]) -> NDArray[np.float32]:
    return np.full(shape, 0.1, np.float32)


class Bright(nn.Module):
    """In place of TerraTorch's network: what is brighter than its mean in the first band."""

    class _Output:
        def __init__(self, output: Tensor) -> None:
            self.output = output

    def forward(self, images: Tensor) -> _Output:
        return self._Output(torch.stack([-images[:, 0], images[:, 0]], 1) * 20)


def test_a_checkpoint_marks_a_scene_window_by_window_in_the_units_it_was_trained_with(
    make_scene: Any,
) -> None:
    blue = np.full((40, 60), 0.05, np.float32)
    blue[:, 30:] = 0.25
    blue[:5, :5] = np.nan
    scene = make_scene("river", {"B02": blue} | dict.fromkeys(NAMES[1:], dull((40, 60))))
    model = FinetunedModel(scene, find_checkpoint("prithvi_sen1floods11"), Bright())
    found = np.zeros((40, 60), np.uint8)
    with ThreadPoolExecutor(1) as executor:
        for part, mask in model.run(Window(0, 0, 60, 40), executor, None):
            found[part.toslices()] = mask
    assert (found[:5, :5] == 255).all()
    assert (found[10:, 31:] == 1).all()
    assert (found[10:, :29] == 0).all()
    assert "not calibrated" in model.method


def test_a_checkpoint_that_is_not_here_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, make_scene: Any
) -> None:
    assert {row.name for row in CHECKPOINTS} <= {row.name for row in SPECIALISTS}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'terralogue[terratorch]'" in str(why_not("prithvi_burn_scars"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    absent = why_not("prithvi_burn_scars")
    assert "terralogue models get terratorch:prithvi_burn_scars" in str(absent)
    scene = make_scene("field", dict.fromkeys(NAMES, dull((8, 8))))
    with pytest.raises(RefusalError, match="terralogue models get terratorch:prithvi_burn"):
        choose(scene, "burned_area", model="prithvi_burn_scars")
    with pytest.raises(InputError, match="no checkpoint 'prithvi_ships'"):
        find_checkpoint("prithvi_ships")


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("row", CHECKPOINTS, ids=lambda row: row.name)
def test_a_checkpoint_of_the_published_form_loads_whole_or_not_at_all(
    row: Any, tmp_path: Path
) -> None:
    pytest.importorskip("terratorch")
    from terratorch.models import EncoderDecoderFactory

    channels = row.arguments["decoder_channels"]
    small = {
        "backbone_embed_dim": 32, "backbone_num_heads": 2,
        "decoder_channels": 16 if isinstance(channels, int) else [16, 8, 8, 8],
    }  # fmt: skip
    tiny = replace(row, arguments={**row.arguments, **small})
    net = EncoderDecoderFactory().build_model(
        task="segmentation", num_classes=2, backbone_pretrained=False, backbone_num_frames=1,
        backbone_bands=list(foundation_checkpoints._NAMES), head_dropout=0.1,
        necks=[dict(each) for each in foundation_checkpoints._NECKS], **tiny.arguments,
    )  # fmt: skip
    state = {f"model.{key}": value for key, value in net.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 1}, tmp_path / "tuned.pt")
    built = build(tiny, tmp_path / "tuned.pt")
    images = torch.rand(1, 6, 64, 64)
    with torch.inference_mode():
        assert torch.equal(built(images).output, net.eval()(images).output)
    state.popitem()
    torch.save({"state_dict": state}, tmp_path / "tuned.pt")
    with pytest.raises(InputError, match="does not hold the weights"):
        build(tiny, tmp_path / "tuned.pt")
