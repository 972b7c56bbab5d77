"""The typed results of the tools: also the output schemas over MCP. Imports nothing heavy."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

ArtefactKind = Literal[
    "mask", "index", "change", "polygons", "preview", "plot", "table", "geopackage", "report"
]
AreaUnit = Literal["ha", "km2", "acre", "m2"]
CheckLevel = Literal["PASS", "WARN", "FAIL"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Artefact(_Model):
    """A file that a tool wrote into the workspace."""

    id: str = Field(description="Workspace id; `export` and the resource artefact://{id} take it")
    kind: ArtefactKind
    title: str = Field(description="What it shows, in a few words")
    path: str = Field(description="Absolute path of the file")
    media_type: str


class Measurement(_Model):
    """One figure with its unit and the way it was measured."""

    name: str = Field(description="Stable name, such as area, share, observed_share, mean")
    value: float
    unit: str = Field(description="ha, km2, acre, m2, %, px, 1 (dimensionless), dB, per year …")
    method: str
    artefact: str | None = Field(default=None, description="Id of the artefact it was read from")
    label: str = Field(default="", description="What it is of, for people: 'Water', 'NDVI mean'")


class ToolResult(_Model):
    """What every tool gives back."""

    tool: str
    scenes: list[str] = Field(description="Ids of the scenes it looked at")
    title: str = Field(description="What was measured, in a few words")
    method: str = Field(description="Model or formula with threshold and source")
    why: str = Field(default="", description="Why this model or formula was chosen")
    measurements: list[Measurement] = Field(default_factory=list)
    artefacts: list[Artefact] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    confidence: float | None = Field(
        default=None, description="Calibrated probability, absent where none was measured"
    )


class BandInfo(_Model):
    """One band of a scene."""

    name: str
    common_name: str | None = Field(description="spyndex short name, such as G, N, S1, VV")
    kind: str
    wavelength: float | None = Field(description="Centre wavelength in micrometres")
    bandwidth: float | None = Field(description="Bandwidth in micrometres")
    gsd: float | None = Field(description="Native ground sampling distance in metres")


class InputCheck(_Model):
    """One check of the input, and what it found."""

    name: str
    level: CheckLevel
    message: str


class SceneDescription(ToolResult):
    """`describe_scene`."""

    name: str
    sensor: str | None = Field(description="Key in SENSORS; null where it must be asked for")
    sensor_title: str
    sensor_reason: str = Field(description="How the sensor was recognised")
    sensor_question: str | None = Field(default=None, description="Set where the sensor is open")
    sensor_options: list[str] = Field(default_factory=list)
    bands: list[BandInfo]
    calibrated: bool = Field(description="False: raw digital numbers, no reflectance or dB")
    unit: str
    width: int
    height: int
    gsd: float | None = Field(description="Metres per pixel")
    crs: str | None
    bounds_wgs84: tuple[float, float, float, float] | None = Field(
        description="west, south, east, north in degrees"
    )
    time: str | None = Field(description="ISO 8601")
    has_quality_layer: bool = Field(description="A cloud mask comes with the file")
    checks: list[InputCheck]
    targets: list[str] = Field(
        default_factory=list, description="What `segment` can find with these bands"
    )


class SuggestedModel(_Model):
    """One model that could be used."""

    name: str
    why: str
    score: float | None = Field(
        description="IoU or F1 as measured here, or published mean IoU, 0 to 1"
    )
    ready: bool = Field(description="Usable as it is")
    licence: str = Field(description="Of the weights; empty where they come with the package")
    lacks: str = Field(description="What is to be done before it can be used; empty where ready")


class ModelAdvice(ToolResult):
    """`recommend_model`."""

    sensor: str
    target: str
    taken: str | None = Field(description="What `segment` takes for this scene by itself")
    models: list[SuggestedModel] = Field(description="The best first")


class Segmentation(ToolResult):
    """`segment`."""

    target: str
    model: str = Field(description="Name in SPECIALISTS")
    threshold: float | None = None
    polygons: int = Field(description="How many separate outlines the vector file holds")


class FoundObject(_Model):
    """One thing that a detector found."""

    box: tuple[float, float, float, float] = Field(
        description="left, top, right, bottom in pixels of the scene"
    )
    map_box: tuple[float, float, float, float] | None = Field(
        description="left, bottom, right, top in coordinates of the scene's CRS; null without one"
    )
    probability: float | None = Field(
        description="Calibrated, that the box is right; null where the detector is not calibrated"
    )


class Detection(ToolResult):
    """`detect_objects`."""

    target: str
    model: str = Field(description="Name in DETECTORS")
    threshold: float = Field(description="Score from which a box is counted")
    count: int
    objects: list[FoundObject] = Field(
        description="The most probable ones, 200 at most; the vector file holds all"
    )


class PointSegmentation(ToolResult):
    """`segment_at_point`."""

    x: float = Field(description="Column that was clicked, in pixels of the scene")
    y: float = Field(description="Row that was clicked")
    polygons: int = Field(description="How many separate outlines the vector file holds")


class IndexResult(ToolResult):
    """`compute_index`.

    Where the parts of a scene, three by three, can be compared, `lowest_in` and `highest_in` say in
    which the mean is lowest and highest.
    """

    index: str
    formula: str
    reference: str
    lowest_in: str | None = None
    highest_in: str | None = None


class ZonalStatistics(ToolResult):
    """`zonal_statistics`."""

    pixels: int


class Change(ToolResult):
    """`detect_change`."""

    target: str | None
    before: str
    after: str
    shift: tuple[float, float] = Field(
        description="Misregistration found and removed, in pixels (rows, columns)"
    )


class SeriesPoint(_Model):
    """One date of a time series."""

    scene: str
    time: str
    value: float
    observed_share: float


class TimeSeries(ToolResult):
    """`time_series`."""

    quantity: str
    points: list[SeriesPoint]


class ArchiveHit(_Model):
    """One image or pair that a search found."""

    rank: int
    kind: Literal["scene", "tile", "pair"] = Field(
        description="A whole scene, a window of one, or two dates of one place"
    )
    name: str
    score: float = Field(description="Cosine of query and image; it is no probability")
    deviations: float | None = Field(
        description="Standard deviations above the mean score of the archive"
    )
    sensor: str | None
    date: str | None = Field(description="Of a pair, of the later image")
    before_date: str | None = Field(default=None, description="Of a pair")
    paths: list[str] = Field(description="A file, a folder, or the files of one acquisition")
    before_paths: list[str] = Field(default_factory=list, description="Of a pair")
    window: list[int] | None = Field(description="Column, row, width, height in pixels")
    bounds_wgs84: tuple[float, float, float, float] | None = Field(
        description="west, south, east, north in degrees; west > east over the antimeridian"
    )
    gsd: float | None = Field(description="Metres per pixel of the scene")
    observed_share: float = Field(description="Per cent of the pixels with data")
    cloud_share: float | None = Field(description="Per cent by the quality layer; null without one")


class ArchiveSearch(ToolResult):
    """`search_archive` and `search_changes`."""

    query: str = Field(description="The words, or the name of the scene")
    archive: str = Field(description="Folder or URL")
    searched: int = Field(description="Images (or pairs) in the archive")
    mean_score: float | None = Field(description="Of the whole archive, or of a sample of it")
    hits: list[ArchiveHit]


class Exported(ToolResult):
    """`export`."""

    format: str
