"""DATASETS: benchmark data sets known by name, one line each, and reading them from their files.

    from terralogue.datasets.registry import read_captions, read_labels, read_vqa
    read_captions(Path("rsicd"), split="test")
    read_vqa(Path("rsvqa_lr"), split="own:val")

The layout is detected from the content. The table is for what the content does not say: the name,
which our own parts depend on. A set that is not in the table is read all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from terralogue.datasets.benchmark_layouts import CAPTIONS, CHANGES, GROUNDING, VQA, first_match
from terralogue.datasets.captions import is_captions, read_karpathy
from terralogue.datasets.class_folders import read_class_folders
from terralogue.datasets.errors import InputError
from terralogue.datasets.samples import (
    CaptionSample,
    ChangeSample,
    GroundingSample,
    LabelSample,
    Samples,
    VQASample,
)

_AID = (
    "Airport BareLand BaseballField Beach Bridge Center Church Commercial DenseResidential Desert "
    "Farmland Forest Industrial Meadow MediumResidential Mountain Park Parking Playground Pond "
    "Port RailwayStation Resort River School SparseResidential Square Stadium StorageTanks Viaduct"
)
_UCM = (
    "agricultural airplane baseballdiamond beach buildings chaparral denseresidential forest "
    "freeway golfcourse harbor intersection mediumresidential mobilehomepark overpass parkinglot "
    "river runway sparseresidential storagetanks tenniscourt"
)
_EUROSAT = (
    "AnnualCrop Forest HerbaceousVegetation Highway Industrial Pasture PermanentCrop Residential "
    "River SeaLake"
)
_RSSCN7 = "aGrass bField cIndustry dRiverLake eForest fResident gParking"
_RESISC45 = (
    "airplane airport baseball_diamond basketball_court beach bridge chaparral church "
    "circular_farmland cloud commercial_area dense_residential desert forest freeway golf_course "
    "ground_track_field harbor industrial_area intersection island lake meadow medium_residential "
    "mobile_home_park mountain overpass palace parking_lot railway railway_station "
    "rectangular_farmland river roundabout runway sea_ice ship snowberg sparse_residential stadium "
    "storage_tank tennis_court terrace thermal_power_station wetland"
)


@dataclass(frozen=True)
class Dataset:
    """A data set known by name.

    Attributes:
        key: name in DATASETS.
        title: for people.
        called: what caption files call it, lower case.
        folders: the class folders by which it is recognised.
        source: where it was described.
        iou: overlap from which a box of detection data counts as found.
    """

    key: str
    title: str
    called: tuple[str, ...] = ()
    folders: frozenset[str] = frozenset()
    source: str = ""
    iou: float = 0.5


def _set(
    key: str,
    title: str,
    source: str,
    called: tuple[str, ...] = (),
    folders: str = "",
    iou: float = 0.5,
) -> Dataset:
    return Dataset(key, title, called, frozenset(folders.split()), source, iou)


_ENTRIES = (
    _set("rsicd", "RSICD captions", "Lu et al. 2017, doi:10.1109/TGRS.2017.2776321", ("rsicd",)),
    _set("rsitmd", "RSITMD captions", "Yuan et al. 2021, doi:10.1109/TGRS.2021.3078451",
         ("rsitmd",)),
    _set("sydney", "Sydney-captions", "Qu et al. 2016, doi:10.1109/CITS.2016.7546397",
         ("sydney", "sydney_captions")),
    _set("ucm", "UC Merced land use and UCM-captions", "Yang and Newsam 2010; Qu et al. 2016",
         ("ucm", "ucm_captions"), _UCM),
    _set("eurosat", "EuroSAT", "Helber et al. 2019, doi:10.1109/JSTARS.2019.2918242", (), _EUROSAT),
    _set("rsscn7", "RSSCN7", "Zou et al. 2015, doi:10.1109/LGRS.2015.2475299", (), _RSSCN7),
    _set("aid", "AID", "Xia et al. 2017, doi:10.1109/TGRS.2017.2685945", (), _AID),
    _set("resisc45", "NWPU-RESISC45", "Cheng et al. 2017, doi:10.1109/JPROC.2017.2675998", (),
         _RESISC45),
    _set("rsvqa_lr", "RSVQA low resolution", "Lobry et al. 2020, doi:10.1109/TGRS.2020.2988782"),
    _set("rsvqa_hr", "RSVQA high resolution", "Lobry et al. 2020, doi:10.1109/TGRS.2020.2988782"),
    _set("rsivqa", "RSIVQA", "Zheng et al. 2022, doi:10.1109/TGRS.2021.3079918"),
    _set("rsivqa_ucm", "RSIVQA on UC Merced, by class folder",
         "Zheng et al. 2022, doi:10.1109/TGRS.2021.3079918"),
    _set("cdvqa", "CDVQA", "Yuan et al. 2022, doi:10.1109/TGRS.2022.3203314"),
    _set("vrsbench", "VRSBench", "Li et al. 2024, arXiv:2406.12384"),
    _set("geobench_vlm", "GEOBench-VLM", "Danish et al. 2025, arXiv:2411.19325"),
    _set("bigearthnet_txt", "BigEarthNet.txt", "arXiv:2603.29630"),
    _set("dvl_bench", "DVL-Bench", "Xuan et al. 2025, arXiv:2505.21076"),
    _set("levir_cc", "LEVIR-CC", "Liu et al. 2022, doi:10.1109/TGRS.2022.3218921"),
    _set("gaia", "GAIA", "Zavras et al. 2025, arXiv:2502.09598"),
    _set("chatearthnet", "ChatEarthNet", "Yuan et al. 2024, arXiv:2402.11325"),
    _set("nwpu_vhr10", "NWPU VHR-10", "Cheng et al. 2014, doi:10.1016/j.isprsjprs.2014.10.002"),
    _set("rsod", "RSOD", "Long et al. 2017, doi:10.1109/TGRS.2016.2645610"),
    _set("dota", "DOTA", "Xia et al. 2018, arXiv:1711.10398"),
    _set("neon_trees", "NEON tree crowns", "Weinstein et al. 2021, "
         "doi:10.1371/journal.pcbi.1009180", iou=0.4),
    _set("sen2ships", "Vessels in ports on Sentinel-2", "Ciocarlan and Stoian 2021, "
         "doi:10.3390/rs13214255", iou=0.3),
)  # fmt: skip

DATASETS: dict[str, Dataset] = {entry.key: entry for entry in _ENTRIES}


def get_dataset(name: str) -> Dataset:
    """Look up a data set.

    Raises:
        InputError: not in the table; the message lists what is.
    """
    if name not in DATASETS:
        raise InputError(f"unknown data set {name!r}; the known ones are: {', '.join(DATASETS)}")
    return DATASETS[name]


def read_captions(
    path: str | Path, split: str | None = None, dataset: str | None = None
) -> Samples[CaptionSample]:
    """Read pictures with captions from a file, or from the folder that holds one.

    Args:
        path: file or folder; the layout is told from its content.
        split: see `samples.py`.
        dataset: key in DATASETS, where the file does not say it.

    Raises:
        InputError: nothing of the kind there, broken, or pictures are missing.
    """
    source = _existing(path)
    found = first_match(CAPTIONS, source, split, _key(dataset))
    if found is not None:
        return found
    if any(layout.find(source) for layout in CHANGES):
        raise InputError(
            f"{source} holds captions of changes between dates; give captions of single pictures."
        )
    annotations = source if source.is_file() else _caption_file(source)
    if annotations is None:
        raise InputError(
            f"{source} holds no captions; give a caption file in Karpathy's layout, such as "
            "dataset_rsicd.json, or its folder."
        )
    called, items = read_karpathy(annotations)
    key = _key(dataset) or _by_name(called)
    return Samples(source, key, items, annotations).chosen(split).checked()


def read_vqa(
    path: str | Path, split: str | None = None, dataset: str | None = None
) -> Samples[VQASample]:
    """Read questions and answers from a file, or from the folder that holds them.

    Args:
        path: file or folder; the layout is told from its content.
        split: see `samples.py`.
        dataset: key in DATASETS, where the content does not tell it.

    Raises:
        InputError: nothing of the kind there, broken, or pictures are missing.
    """
    source = _existing(path)
    found = first_match(VQA, source, split, _key(dataset))
    if found is None:
        raise InputError(_unread(source, "questions", [layout.title for layout in VQA]))
    return found


def read_grounding(
    path: str | Path, split: str | None = None, dataset: str | None = None
) -> Samples[GroundingSample]:
    """Read referring expressions with their boxes in pixels; arguments as `read_vqa`.

    Raises:
        InputError: nothing of the kind there, broken, or pictures are missing.
    """
    source = _existing(path)
    found = first_match(GROUNDING, source, split, _key(dataset))
    if found is None:
        titles = [layout.title for layout in GROUNDING]
        raise InputError(_unread(source, "referring expressions", titles))
    return found


def read_changes(
    path: str | Path, split: str | None = None, dataset: str | None = None
) -> Samples[ChangeSample]:
    """Read what is said about changes between dates; arguments as `read_vqa`.

    Raises:
        InputError: nothing of the kind there, broken, or pictures are missing.
    """
    source = _existing(path)
    found = first_match(CHANGES, source, split, _key(dataset))
    if found is None:
        titles = [layout.title for layout in CHANGES]
        raise InputError(_unread(source, "captions of changes", titles))
    return found


def read_labels(
    path: str | Path, split: str | None = None, dataset: str | None = None
) -> Samples[LabelSample]:
    """Read pictures with classes: from a caption file whose entries have labels, or class folders.

    Args:
        path: file, or folder; a folder with a labelled caption file is read from that file.
        split: see `samples.py`.
        dataset: key in DATASETS, where the content does not tell it.

    Raises:
        InputError: nothing of the kind there, broken, or pictures are missing.
    """
    source = _existing(path)
    annotations = source if source.is_file() else _caption_file(source)
    key = _key(dataset)
    if annotations is None:
        folders = read_class_folders(source)
        key = key or _by_folders({item.label for item in folders})
        return Samples(source, key, folders).chosen(split)
    called, captions = read_karpathy(annotations)
    items = tuple(
        LabelSample(item.name, item.path, item.label, item.split)
        for item in captions
        if item.label is not None
    )
    if len(items) < len(captions):
        raise InputError(
            f'{annotations} states no "label" for {len(captions) - len(items)} of its '
            f"{len(captions)} images; give a labelled file, or the folder of class folders."
        )
    return Samples(source, key or _by_name(called), items, annotations).chosen(split).checked()


def _key(dataset: str | None) -> str | None:
    return get_dataset(dataset).key if dataset else None


def _unread(source: Path, what: str, titles: list[str]) -> str:
    return f"{source} holds no {what} in a layout that is known: {'; '.join(titles)}."


def _existing(path: str | Path) -> Path:
    source = Path(path)
    if not source.exists():
        raise InputError(f"{source} does not exist; give a file or folder with --data.")
    return source


def _caption_file(folder: Path) -> Path | None:
    """The caption file of a folder; None where it has none."""
    found = [path for path in sorted(folder.glob("*.json")) if is_captions(path)]
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise InputError(f"{folder} holds several caption files ({names}); give one of them.")
    return found[0] if found else None


def _by_name(called: str) -> str | None:
    wanted = called.strip().lower().replace("-", "_")
    return next((key for key, entry in DATASETS.items() if wanted in entry.called), None)


def _by_folders(labels: set[str]) -> str | None:
    return next((key for key, entry in DATASETS.items() if labels == entry.folders), None)
