"""Pretrained encoders that can be named: BACKBONES, a table over TorchGeo and TerraTorch.

    load_backbone("torchgeo:resnet50_sentinel2_all_moco")          (tools/backbone_loading.py)
    terralogue doctor --recommend sentinel2_l2a water

A row says what an encoder expects: bands in order, the numbers that it was trained on, the side of
its input. It is listed only where all of that could be read somewhere:

- names, files, bands and normalisation of TorchGeo's: the weights of `torchgeo.models` (0.8.1),
  each with `meta` and `transforms`;
- of Prithvi and TerraMind: `prithvi_vit.py`, `terramind_register.py` of TerraTorch (1.2.11);
- of Clay: `configs/metadata.yaml` of github.com/Clay-foundation/model, and TerraTorch's `clay_v1`;
- SSL4EO-L for surface reflectance was trained on bytes, 0 to 0.3 of reflectance
  (`experiments/ssl4eo/landsat/compress_oli_sr.sh`, `compress_etm_sr.sh` of TorchGeo); its weights
  for top of atmosphere are left out, as their thermal and panchromatic bands have scales of their
  own;
- SatlasNet (`Normalization.md` of github.com/allenai/satlas) takes the true-colour image of L1C,
  whose 255 is 0.3558 of reflectance (ESA, Sentinel-2 MSI User Guide, Definitions), and other bands
  by 8160;
- CROMA, DOFA, Copernicus-FM and Panopticon publish no constants. They are normalised by mean and
  standard deviation of SSL4EO-S12, as Copernicus-Bench does for the first three ("ssl4eo works
  better", `src/configs/dataset/cobench_dfc2020_s2.yaml` of github.com/zhu-xlab/Copernicus-FM);
  Panopticon asks for "standard normal normalization" (its README).

Left out, as no installed library registers them: SatMAE, SpectralGPT, Galileo, Presto, AnySat.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from terralogue.datasets.errors import InputError
from terralogue.vlm.hub import Remote

Family = Literal[
    "resnet", "vit", "swin", "dofa", "croma", "copernicusfm", "panopticon", "scalemae", "prithvi",
    "terramind", "clay", "unet",
]  # fmt: skip

SIZE: Final = 224


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Common names of the bands of each product, in its order; B10 is cirrus, which has none.
S2_L1C: Final = _words("A B G R RE1 RE2 RE3 N N2 WV B10 S1 S2")
S2_L2A: Final = tuple(name for name in S2_L1C if name != "B10")
S2_SATLAS: Final = _words("R G B RE1 RE2 RE3 N S1 S2")
HLS: Final = _words("B G R N2 S1 S2")
OLI: Final = _words("A B G R N2 S1 S2")
ETM: Final = _words("B G R N S1 S2")
RGB: Final = ("R", "G", "B")
SAR: Final = ("VV", "VH")
ANY: Final[tuple[str, ...]] = ()
"""Whatever has a wavelength."""

_S2 = ("sentinel2_l1c", "sentinel2_l2a")
_S2_HLS = (*_S2, "hls_s30")
_GRD = ("sentinel1_grd",)
_AERIAL = ("rgb_aerial", "naip_rgbn", "rgb_satellite", "unknown_rgb")


@dataclass(frozen=True)
class Scaling:
    """How the numbers that an encoder was trained on follow from physical ones.

    Normalised = (physical * factor - mean) / std, then clipped.

    Attributes:
        factor: reflectance of 1, or 1 dB, in the encoder's unit.
        mean: in its unit: one number, or one for each band.
        std: likewise.
        unit_range: whether the result is clipped to 0 … 1.
    """

    factor: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    unit_range: bool = False


# SSL4EO-S12 as Copernicus-Bench has it (configs named above), by common name: mean and standard
# deviation of reflectance * 10000, or dB.
STATISTICS: Final[dict[str, tuple[float, float]]] = {
    "A": (1353.7, 897.3), "B": (1117.2, 736.0), "G": (1041.8, 684.8), "R": (946.5, 620.0),
    "RE1": (1199.1, 791.9), "RE2": (2003.0, 1341.3), "RE3": (2374.0, 1595.4),
    "N": (2301.2, 1545.5), "N2": (2599.7, 1750.1), "WV": (732.1, 475.1), "B10": (12.1, 98.3),
    "S1": (1820.6, 1216.5), "S2": (1118.2, 736.7), "VV": (-12.548, 5.257), "VH": (-20.192, 5.912),
}  # fmt: skip


def _statistics(bands: tuple[str, ...]) -> Scaling:
    factor = 1.0 if bands[0] in SAR else 1e4
    pairs = [STATISTICS[name] for name in bands]
    return Scaling(factor, tuple(p[0] for p in pairs), tuple(p[1] for p in pairs))


@dataclass(frozen=True)
class Backbone:
    """One encoder with its weights.

    Attributes:
        name: what `load_backbone` takes: the library, and the name there.
        title: for people.
        family: which code runs it.
        builder: the function of the library that builds it.
        bands: common names in order; `ANY` where it takes any by their wavelengths.
        scaling: None where the statistics of each band are taken from STATISTICS.
        sensors: it was trained on, keys of SENSORS.
        gsd: of those images, in metres.
        stride: of its deepest feature map in pixels: the patch of a transformer.
        size: side of its input in pixels; 0 where any multiple of `stride` serves.
        licence: of the weights, as their repository states it.
        source: repository of the hub.
        file: of the weights there; "" for an untrained baseline.
        publication: that describes it.
        options: of the builder.
    """

    name: str
    title: str
    family: Family
    builder: str
    bands: tuple[str, ...]
    scaling: Scaling | None
    sensors: tuple[str, ...]
    gsd: float
    stride: int
    size: int
    licence: str
    source: str
    file: str
    publication: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def library(self) -> str:
        """Python package that holds the architecture."""
        return self.name.partition(":")[0]

    @property
    def remote(self) -> Remote:
        """Where the weights are fetched from."""
        return Remote(self.source, (self.file,))


def _torchgeo(
    builder: str, weights: str, title: str, bands: tuple[str, ...], scaling: Scaling | None,
    sensors: tuple[str, ...], gsd: float, where: str, licence: str, publication: str,
    **options: Any,
) -> Backbone:  # fmt: skip
    family = next(each for start, each in _FAMILIES.items() if builder.startswith(start))
    stride = 14 if "patch14" in builder or family == "panopticon" else _STRIDES[family]
    size = {"resnet": 0, "swin": 0, "croma": 120}.get(family, SIZE)
    name = f"torchgeo:{builder}" + (f"_{weights}" if weights else "")
    repo, _, file = where.rpartition("/")
    return Backbone(
        name, title, family, builder, bands, scaling, sensors, gsd, stride, size, licence, repo,
        file, publication, options,
    )  # fmt: skip


_FAMILIES: dict[str, Family] = {
    "resnet": "resnet", "vit": "vit", "swin": "swin", "dofa": "dofa", "croma": "croma",
    "copernicusfm": "copernicusfm", "panopticon": "panopticon", "scalemae": "scalemae",
}  # fmt: skip
_STRIDES: dict[Family, int] = {
    "resnet": 32, "vit": 16, "swin": 32, "dofa": 16, "croma": 8, "copernicusfm": 16, "scalemae": 16,
}  # fmt: skip

_TEN_THOUSAND = Scaling(1e4, std=(1e4,))
_S1_SSL4EO = Scaling(1.0, (-12.59, -20.26), (5.26, 5.91))
_S2_SSL4EO = Scaling(
    1e4,
    (1612.9, 1397.6, 1322.3, 1373.1, 1561.0, 2108.4, 2390.7, 2318.7, 2581.0, 837.7, 22.0, 2195.2,
     1537.4),
    (791.0, 854.3, 878.7, 1144.9, 1127.5, 1164.2, 1276.0, 1249.5, 1345.9, 577.5, 47.5, 1340.0,
     1142.9),
)  # fmt: skip
_SR_BYTES = Scaling(1 / 0.3, unit_range=True)
_TCI = 1e4 * 0.3558
_SATLAS = Scaling(1e4, std=(_TCI,) * 3 + (8160.0,) * 6, unit_range=True)
_SATLAS_RGB = Scaling(1e4, std=(_TCI,), unit_range=True)
_IMAGENET = Scaling(1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

_SSL4EO = "arXiv 2211.07044 (SSL4EO-S12)"
_CC_BY = "CC-BY-4.0"
_SEE = "see its repository"
_APACHE = "Apache-2.0"


def _ssl4eo(builder: str, method: str, where: str, licence: str, radar: bool = False) -> Backbone:
    kind, label = ("sentinel1_all", "Sentinel-1") if radar else ("sentinel2_all", "Sentinel-2")
    if method in ("mae", "fgmae") and radar:
        kind = "sentinel1_grd"
    title = f"SSL4EO-S12 {method.upper()}, {builder.partition('_patch')[0]} ({label})"
    return _torchgeo(
        builder, f"{kind}_{method}", title, SAR if radar else S2_L1C,
        _S1_SSL4EO if radar else _TEN_THOUSAND, _GRD if radar else _S2[:1], 10, where, licence,
        _SSL4EO, in_chans=2 if radar else 13,
    )  # fmt: skip


def _softcon(builder: str, file: str, radar: bool = False) -> Backbone:
    kind = "sentinel1_grd" if radar else "sentinel2_all"
    return _torchgeo(
        builder, f"{kind}_softcon", f"SoftCon, {builder.partition('_patch')[0]}",
        SAR if radar else S2_L1C, _S1_SSL4EO if radar else _S2_SSL4EO, _GRD if radar else _S2[:1],
        10, f"wangyi111/softcon/{file}", _SEE, "arXiv 2405.20462", in_chans=2 if radar else 13,
    )  # fmt: skip


def _landsat(builder: str, short: str, product: str, digest: str) -> Backbone:
    oli = product == "oli_sr"
    return _torchgeo(
        builder, f"landsat_{product}_moco", f"SSL4EO-L MoCo, {builder.partition('_patch')[0]}",
        OLI if oli else ETM, _SR_BYTES, ("landsat8", "landsat9") if oli else ("landsat7",), 30,
        f"torchgeo/ssl4eo_landsat/{short}_landsat_{product}_moco-{digest}.pth", "CC0-1.0",
        "arXiv 2306.09424", in_chans=7 if oli else 6,
    )  # fmt: skip


def _satlas(builder: str, weights: str, file: str, bands: tuple[str, ...]) -> Backbone:
    aerial = weights.startswith("naip")
    scaling = Scaling() if aerial else _SATLAS_RGB if bands == RGB else _SATLAS
    return _torchgeo(
        builder, f"{weights}_satlas", f"SatlasNet, {builder}", bands, scaling,
        _AERIAL if aerial else _S2[:1], 1.0 if aerial else 10, f"torchgeo/satlas/{file}", _APACHE,
        "arXiv 2211.15660", in_chans=len(bands),
    )  # fmt: skip


def _croma(size: str, file: str, modality: str) -> Backbone:
    bands = {"optical": S2_L2A, "sar": SAR, "joint": (*SAR, *S2_L2A)}[modality]
    pairs = [_statistics(SAR), _statistics(S2_L2A)]
    # 12 optical bands in reflectance * 10000 and two in dB: one factor each would not do.
    joint = Scaling(
        1.0,
        (*pairs[0].mean, *(m / 1e4 for m in pairs[1].mean)),
        (*pairs[0].std, *(s / 1e4 for s in pairs[1].std)),
    )
    sensors = {"optical": _S2, "sar": _GRD, "joint": (*_GRD, *_S2)}[modality]
    return _torchgeo(
        f"croma_{size}", modality, f"CROMA {size}, {modality}", bands,
        joint if modality == "joint" else _statistics(bands), sensors, 10, f"torchgeo/croma/{file}",
        "MIT", "arXiv 2311.00566", modality=modality,
    )  # fmt: skip


_PRITHVI_1 = (
    (775.0, 1081.0, 1229.0, 2497.0, 2204.0, 1611.0),
    (1282.0, 1270.0, 1399.0, 1368.0, 1292.0, 1155.0),
)
_PRITHVI_2 = (
    (1087.0, 1342.0, 1433.0, 2734.0, 1958.0, 1363.0),
    (2248.0, 2179.0, 2178.0, 1850.0, 1242.0, 1049.0),
)


def _prithvi(builder: str, repo: str, file: str, stride: int = 16) -> Backbone:
    first = "_v1_" in builder
    mean, std = _PRITHVI_1 if first else _PRITHVI_2
    return Backbone(
        f"terratorch:{builder}", repo, "prithvi", builder, HLS, Scaling(1e4, mean, std),
        ("hls_l30", "hls_s30"), 30, stride, SIZE, _APACHE, f"ibm-nasa-geospatial/{repo}", file,
        "arXiv 2310.18660" if first else "arXiv 2412.02732",
    )  # fmt: skip


# By modality of TerraMind: bands, then mean and standard deviation of its first version.
_TERRAMIND: dict[str, tuple[tuple[str, ...], Scaling, tuple[str, ...]]] = {
    "S2L2A": (S2_L2A, Scaling(
        1e4,
        (1390.458, 1503.317, 1718.197, 1853.91, 2199.1, 2779.975, 2987.011, 3083.234, 3132.22,
         3162.988, 2424.884, 1857.648),
        (2106.761, 2141.107, 2038.973, 2134.138, 2085.321, 1889.926, 1820.257, 1871.918, 1753.829,
         1797.379, 1434.261, 1334.311),
    ), _S2[1:]),
    "S2L1C": (S2_L1C, Scaling(
        1e4,
        (2357.089, 2137.385, 2018.788, 2082.986, 2295.651, 2854.537, 3122.849, 3040.56, 3306.481,
         1473.847, 506.07, 2472.825, 1838.929),
        (1624.683, 1675.806, 1557.708, 1833.702, 1823.738, 1733.977, 1732.131, 1679.732, 1727.26,
         1024.687, 442.165, 1331.411, 1160.419),
    ), _S2[:1]),
    "S1GRD": (SAR, Scaling(1.0, (-12.599, -20.293), (5.195, 5.890)), _GRD),
    "S1RTC": (SAR, Scaling(1.0, (-10.93, -17.329), (4.391, 4.459)), ("sentinel1_rtc",)),
}  # fmt: skip


def _terramind(size: str, modality: str) -> Backbone:
    bands, scaling, sensors = _TERRAMIND[modality]
    builder = f"terramind_v1_{size}"
    return Backbone(
        f"terratorch:{builder}_{modality.lower()}", f"TerraMind 1.0 {size}, {modality}",
        "terramind", builder, bands, scaling, sensors, 10, 16, SIZE, _APACHE,
        f"ibm-esa-geospatial/TerraMind-1.0-{size}", f"TerraMind_v1_{size}.pt", "arXiv 2504.11171",
        {"modality": modality},
    )  # fmt: skip


_CLAY = Scaling(
    1e4,
    (1105.0, 1355.0, 1552.0, 1887.0, 2422.0, 2630.0, 2743.0, 2785.0, 2388.0, 1835.0),
    (1809.0, 1757.0, 1888.0, 1870.0, 1732.0, 1697.0, 1742.0, 1648.0, 1470.0, 1379.0),
)

# ★ One line per encoder.
BACKBONES: Final[tuple[Backbone, ...]] = (
    Backbone(
        "baseline:unet", "U-Net trained from nothing", "unet", "unet", ANY, None, (), 0, 16, 0, "",
        "", "", "arXiv 1505.04597",
    ),
    _ssl4eo("resnet18", "moco",
            "torchgeo/resnet18_sentinel2_all_moco/resnet18_sentinel2_all_moco-59bfdff9.pth",
            _CC_BY),
    _ssl4eo("resnet50", "moco",
            "torchgeo/resnet50_sentinel2_all_moco/resnet50_sentinel2_all_moco-df8b932e.pth",
            _CC_BY),
    _ssl4eo("resnet50", "dino",
            "torchgeo/resnet50_sentinel2_all_dino/resnet50_sentinel2_all_dino-d6c330e9.pth", _SEE),
    _ssl4eo("resnet50", "decur", "torchgeo/decur/rn50_ssl4eo-s12_ms_decur_ep100-fc6b09ff.pth",
            _SEE),
    _ssl4eo("resnet50", "moco",
            "torchgeo/resnet50_sentinel1_all_moco/resnet50_sentinel1_all_moco-906e4356.pth", _CC_BY,
            radar=True),
    _ssl4eo("resnet50", "decur", "torchgeo/decur/rn50_ssl4eo-s12_sar_decur_ep100-f0e69ba2.pth",
            _SEE, radar=True),
    _ssl4eo("vit_small_patch16_224", "moco",
            "torchgeo/vit_small_patch16_224_sentinel2_all_moco/"
            "vit_small_patch16_224_sentinel2_all_moco-67c9032d.pth", _SEE),
    _ssl4eo("vit_small_patch16_224", "dino",
            "torchgeo/vit_small_patch16_224_sentinel2_all_dino/"
            "vit_small_patch16_224_sentinel2_all_dino-36bcc127.pth", _SEE),
    _ssl4eo("vit_small_patch16_224", "mae", "wangyi111/SSL4EO-S12/B13_vits16_mae_ep99_enc.pth",
            _SEE),
    _ssl4eo("vit_base_patch16_224", "mae", "wangyi111/SSL4EO-S12/B13_vitb16_mae_ep99_enc.pth",
            _SEE),
    _ssl4eo("vit_large_patch16_224", "mae", "wangyi111/SSL4EO-S12/B13_vitl16_mae_ep99_enc.pth",
            _SEE),
    _ssl4eo("vit_base_patch16_224", "fgmae", "wangyi111/FGMAE/B13_vitb16_fgmae_ep99_enc.pth", _SEE),
    _ssl4eo("vit_small_patch16_224", "mae", "wangyi111/SSL4EO-S12/B2_vits16_mae_ep99_enc.pth", _SEE,
            radar=True),
    _ssl4eo("vit_base_patch16_224", "mae", "wangyi111/SSL4EO-S12/B2_vitb16_mae_ep99_enc.pth", _SEE,
            radar=True),
    _softcon("resnet50", "B13_rn50_softcon.pth"),
    _softcon("vit_small_patch14_dinov2", "B13_vits14_softcon_enc.pth"),
    _softcon("vit_base_patch14_dinov2", "B13_vitb14_softcon_enc.pth"),
    _softcon("vit_base_patch14_dinov2", "B2_vitb14_softcon_enc.pth", radar=True),
    _landsat("resnet18", "resnet18", "etm_sr", "4f078acd"),
    _landsat("resnet50", "resnet50", "etm_sr", "1266cde3"),
    _landsat("vit_small_patch16_224", "vits16", "etm_sr", "eaa4674e"),
    _landsat("resnet18", "resnet18", "oli_sr", "660e82ed"),
    _landsat("resnet50", "resnet50", "oli_sr", "ff580dad"),
    _landsat("vit_small_patch16_224", "vits16", "oli_sr", "c9b8898d"),
    _satlas("resnet50", "sentinel2_si_ms", "sentinel2_resnet50_si_ms-1f454cc6.pth", S2_SATLAS),
    _satlas("swin_v2_t", "sentinel2_si_ms", "sentinel2_swint_si_ms-bc68e396.pth", S2_SATLAS),
    _satlas("swin_v2_b", "sentinel2_si_ms", "sentinel2_swinb_si_ms-fe22a12c.pth", S2_SATLAS),
    _satlas("swin_v2_t", "sentinel2_si_rgb", "sentinel2_swint_si_rgb-0c1a96e0.pth", RGB),
    _satlas("swin_v2_b", "naip_rgb_si", "aerial_swinb_si-e4169eb1.pth", RGB),
    _croma("base", "CROMA_base-0238d814.pt", "optical"),
    _croma("base", "CROMA_base-0238d814.pt", "sar"),
    _croma("base", "CROMA_base-0238d814.pt", "joint"),
    _croma("large", "CROMA_large-921e69ad.pt", "optical"),
    _torchgeo("dofa_base_patch16_224", "", "DOFA base", ANY, None, (*_S2, *_GRD), 10,
              "torchgeo/dofa/dofa_base_patch16_224-a0275954.pth", _CC_BY, "arXiv 2403.15356"),
    _torchgeo("dofa_large_patch16_224", "", "DOFA large", ANY, None, (*_S2, *_GRD), 10,
              "torchgeo/dofa/dofa_large_patch16_224-0ff904d3.pth", _CC_BY, "arXiv 2403.15356"),
    _torchgeo("copernicusfm_base", "", "Copernicus-FM base", ANY, None, (*_S2, *_GRD), 10,
              "torchgeo/copernicus-fm/CopernicusFM_ViT_base_varlang-085350e4.pth", _CC_BY,
              "arXiv 2503.11849"),
    _torchgeo("panopticon_vitb14", "", "Panopticon", ANY, None, _S2, 10,
              "lewaldm/panopticon/panopticon_vitb14_teacher.pth", _SEE, "arXiv 2503.10845"),
    _torchgeo("scalemae_large_patch16", "fmow_rgb", "Scale-MAE", RGB, _IMAGENET, _AERIAL, 0.5,
              "isaaccorley/vit_large_patch16_224_fmow_rgb_scalemae/"
              "vit_large_patch16_224_fmow_rgb_scalemae-98ed9821.pth", _SEE, "arXiv 2212.14532"),
    _prithvi("prithvi_eo_v1_100", "Prithvi-EO-1.0-100M", "Prithvi_EO_V1_100M.pt"),
    _prithvi("prithvi_eo_v2_tiny_tl", "Prithvi-EO-2.0-tiny-TL", "Prithvi_EO_V2_tiny_TL.pt"),
    _prithvi("prithvi_eo_v2_100_tl", "Prithvi-EO-2.0-100M-TL", "Prithvi_EO_V2_100M_TL.pt"),
    _prithvi("prithvi_eo_v2_300", "Prithvi-EO-2.0-300M", "Prithvi_EO_V2_300M.pt"),
    _prithvi("prithvi_eo_v2_300_tl", "Prithvi-EO-2.0-300M-TL", "Prithvi_EO_V2_300M_TL.pt"),
    _prithvi("prithvi_eo_v2_600", "Prithvi-EO-2.0-600M", "Prithvi_EO_V2_600M.pt", 14),
    _prithvi("prithvi_eo_v2_600_tl", "Prithvi-EO-2.0-600M-TL", "Prithvi_EO_V2_600M_TL.pt", 14),
    *(_terramind(size, modality) for size in ("tiny", "small", "base", "large")
      for modality in _TERRAMIND),
    Backbone(
        "terratorch:clay_v1_base", "Clay 1.0 base", "clay", "clay_v1_base",
        _words("B G R RE1 RE2 RE3 N N2 S1 S2"), _CLAY, _S2[1:], 10, 8, 256, _APACHE,
        "made-with-clay/Clay-legacy", "v1/clay-v1-base.ckpt", "clay-foundation.github.io/model",
    ),
)  # fmt: skip


def find_backbone(name: str) -> Backbone:
    """The row of the table with this name, case ignored.

    Raises:
        InputError: there is none; the message lists the names.
    """
    for row in BACKBONES:
        if row.name.casefold() == name.strip().casefold():
            return row
    raise InputError(
        f"There is no backbone {name!r}; the names are: {', '.join(b.name for b in BACKBONES)}."
    )
