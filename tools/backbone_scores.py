"""How good encoders are where others measured them: published scores of one protocol each.

All are mean IoU over the classes of a benchmark, background included, of a decoder on a frozen
encoder; the U-Net and the vision transformers named "supervised" were trained whole.

- PANGAEA (arXiv 2412.04204, UPerNet): the best and the runner-up of each data set, as its tables
  give them; scores of DOFA as quoted from them in github.com/VMarsocci/pangaea-bench, issue 126.
  Its other cells could not be looked up, and are not here, nor is SpaceNet 7, of which it is not
  said whether buildings or their change were scored.
- Copernicus-Bench (arXiv 2503.11849, UPerNet): `Copernicus-Bench/results/README.md` of
  github.com/zhu-xlab/Copernicus-FM, means of three runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from terralogue.tools.backbones import find_backbone


@dataclass(frozen=True)
class Benchmark:
    """One data set, and what was scored on it.

    Attributes:
        name: of the data set.
        suite: that it was run in.
        task: what is mapped, a target or a word such as land_cover.
        sensors: of its images, keys of SENSORS.
        gsd: of them in metres.
        scores: mean IoU in percent; by name of BACKBONES, or by what was scored where that cannot
            be had here.
    """

    name: str
    suite: str
    task: str
    sensors: tuple[str, ...]
    gsd: float
    scores: dict[str, float]


_UNET = "baseline:unet"
_DOFA = "torchgeo:dofa_base_patch16_224"
_FM = "torchgeo:copernicusfm_base"
_CROMA = "torchgeo:croma_base_optical"
_CROMA_SAR = "torchgeo:croma_base_sar"
_SOFTCON = "torchgeo:vit_base_patch14_dinov2_sentinel2_all_softcon"
_SOFTCON_SAR = "torchgeo:vit_base_patch14_dinov2_sentinel1_grd_softcon"
_SCALE = "torchgeo:scalemae_large_patch16_fmow_rgb"
_VIT_S, _VIT_B = "supervised ViT-S/16", "supervised ViT-B/16"
_S2 = ("sentinel2_l1c", "sentinel2_l2a")

# ★ One entry per data set.
BENCHMARKS: Final[tuple[Benchmark, ...]] = (
    Benchmark(
        "HLS Burn Scars", "PANGAEA", "burned_area", ("hls_l30", "hls_s30"), 30,
        {_UNET: 84.51, "terratorch:prithvi_eo_v1_100": 83.62, _DOFA: 80.63},
    ),
    Benchmark(
        "Sen1Floods11", "PANGAEA", "water", _S2, 10,
        {_UNET: 91.42, _CROMA: 90.89},
    ),
    Benchmark("MADOS", "PANGAEA", "marine_debris", _S2, 10, {_CROMA: 67.55, _DOFA: 59.58}),
    Benchmark(
        "PASTIS", "PANGAEA", "cropland", _S2, 10,
        {"supervised ViT": 38.53, "torchgeo:vit_small_patch16_224_sentinel2_all_dino": 36.18},
    ),
    Benchmark("AI4SmallFarms", "PANGAEA", "field_boundary", _S2, 10, {_UNET: 46.34}),
    Benchmark("DynamicEarthNet", "PANGAEA", "land_cover", ("planetscope",), 3, {_UNET: 39.46}),
    Benchmark(
        "xView2", "PANGAEA", "damaged_building", ("rgb_satellite", "worldview_rgbn"), 0.5,
        {_SCALE: 60.72},
    ),
    Benchmark(
        "Five Billion Pixels", "PANGAEA", "land_cover", ("gaofen2",), 4, {"RemoteCLIP": 69.19}
    ),
    Benchmark(
        "Cloud-S2", "Copernicus-Bench", "cloud", _S2, 10,
        {_VIT_S: 64.2, _VIT_B: 59.4, _SOFTCON: 66.9, _CROMA: 65.0, _DOFA: 65.0, _FM: 66.7},
    ),
    Benchmark(
        "DFC2020-S2", "Copernicus-Bench", "land_cover", _S2, 10,
        {_VIT_S: 65.3, _VIT_B: 66.2, _SOFTCON: 64.1, _CROMA: 66.5, _DOFA: 61.8, _FM: 64.5},
    ),
    Benchmark(
        "DFC2020-S1", "Copernicus-Bench", "land_cover", ("sentinel1_grd",), 10,
        {_VIT_S: 49.9, _VIT_B: 50.8, _SOFTCON_SAR: 52.8, _CROMA_SAR: 52.7, _DOFA: 49.7, _FM: 52.4},
    ),
    Benchmark(
        "Flood-S1", "Copernicus-Bench", "flooded_area", ("sentinel1_grd",), 10,
        {_VIT_S: 78.0, _VIT_B: 78.3, _SOFTCON_SAR: 77.2, _CROMA_SAR: 77.4, _DOFA: 76.0, _FM: 77.7},
    ),
)  # fmt: skip


def label(model: str) -> str:
    """What was scored, for people."""
    return find_backbone(model).title if ":" in model else model
