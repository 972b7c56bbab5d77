"""`describe_scene`: what a scene is, and whether it can be measured on."""

from __future__ import annotations

import math

import numpy as np
import pyproj
from rasterio.windows import Window

from terralogue.datasets.errors import EOError
from terralogue.datasets.scene import Scene
from terralogue.tools.checks import CloudShare, Sample, check_calibration, check_metadata, time_text
from terralogue.tools.export import PNG
from terralogue.tools.figures import save_picture
from terralogue.tools.grid import ground_crs
from terralogue.tools.measure import GroundAreas, to_unit
from terralogue.tools.run import Run
from terralogue.tools.schemas import (
    Artefact,
    BandInfo,
    InputCheck,
    Measurement,
    SceneDescription,
)
from terralogue.tools.specialist import TITLES
from terralogue.tools.specialists import choose

_PREVIEW = 1024


def describe_scene(scene: Scene, *, run: Run) -> SceneDescription:
    """Say what a scene is: sensor, bands, resolution, CRS, extent, time, and checks of the input.

    Args:
        scene: The scene.
        run: Where the preview goes.
    """
    sample = Sample(scene)
    cloud = CloudShare(scene, run)
    preview = _preview(scene, run)
    measurements = _extent(scene)
    measurements.append(
        Measurement(
            name="valid_share",
            value=sample.valid_share,
            unit="%",
            method=sample.method,
            label="Pixels with data",
        )
    )
    if cloud.share is not None:
        measurements.append(
            Measurement(
                name="cloud_share",
                value=cloud.share,
                unit="%",
                method=cloud.method,
                label="Cloud",
            )
        )
    sensor = scene.sensor
    return SceneDescription(
        tool="describe_scene",
        scenes=list(run.scene_ids),
        title=f"What {scene.name} is",
        method="metadata and a sample of the pixels",
        measurements=measurements,
        artefacts=[preview],
        warnings=list(dict.fromkeys(scene.warnings)),
        name=scene.name,
        sensor=sensor.key if sensor else None,
        sensor_title=sensor.title if sensor else "not known",
        sensor_reason=scene.recognition.reason,
        sensor_question=scene.recognition.question,
        sensor_options=list(scene.recognition.options),
        bands=[
            BandInfo(
                name=band.name,
                common_name=band.common,
                kind=band.kind,
                wavelength=band.wavelength,
                bandwidth=band.bandwidth,
                gsd=band.gsd,
            )
            for band in scene.bands
        ],
        calibrated=scene.calibrated,
        unit=scene.unit,
        width=scene.width,
        height=scene.height,
        gsd=scene.gsd,
        crs=scene.crs.to_string() if scene.crs else None,
        bounds_wgs84=scene.bounds_wgs84,
        time=time_text(scene),
        has_quality_layer=scene.quality is not None,
        checks=[
            InputCheck(name="readable", level="PASS", message="All bands can be read."),
            *check_metadata(scene),
            check_calibration(scene, sample),
            sample.check_valid(),
            sample.check_saturation(),
            sample.check_bands(),
            cloud.check(),
        ],
        targets=[target for target in TITLES if _serves(scene, target)],
    )


def _serves(scene: Scene, target: str) -> bool:
    try:
        choose(scene, target)
    except EOError:
        return False
    return True


def _extent(scene: Scene) -> list[Measurement]:
    """Footprint and sides on the ground; nothing without georeference."""
    crs = ground_crs(scene)
    if crs is None or crs.geodetic_crs is None:
        return []
    areas = GroundAreas(scene)
    total = 0.0
    for row in range(0, scene.height, 1024):
        height = min(1024, scene.height - row)
        window = Window(0, row, scene.width, height)
        total += areas.of(np.ones((height, scene.width), np.bool_), window)
    to_degrees = pyproj.Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
    geod = crs.get_geod() or pyproj.Geod(ellps="WGS84")
    middle = (scene.width / 2, scene.height / 2)
    # Points along the middle row and the middle column.
    across = [(scene.width * step / 16, middle[1]) for step in range(17)]
    down = [(middle[0], scene.height * step / 16) for step in range(17)]
    found = {"footprint_area": ("Footprint", to_unit(total, "ha"), "ha", "geodesic area")}
    for name, line in (("width", across), ("height", down)):
        points = [to_degrees.transform(*(scene.transform @ point)) for point in line]
        longitudes, latitudes = zip(*points, strict=True)
        metres = float(geod.line_length(longitudes, latitudes))
        method = "geodesic length through the middle"
        found[f"{name}_extent"] = (f"{name} on the ground", metres / 1000, "km", method)
    return [
        Measurement(name=name, value=value, unit=unit, method=method, label=label.capitalize())
        for name, (label, value, unit, method) in found.items()
        if math.isfinite(value) and value > 0
    ]


def _preview(scene: Scene, run: Run) -> Artefact:
    pending = run.artefact("preview", scene.name, "preview.png", PNG)
    save_picture(pending.path, scene.preview(_PREVIEW))
    return pending.commit()
