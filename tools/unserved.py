"""Why no specialist serves a scene, as the error that says best what would help."""

from __future__ import annotations

from typing import NoReturn

import spyndex

from terralogue.datasets.bands import INTERCHANGEABLE, Sensor
from terralogue.datasets.errors import ClarifyError, MissingBandError, RefusalError
from terralogue.datasets.scene import Scene
from terralogue.datasets.sensors import SENSORS
from terralogue.tools.specialist import TITLES, Specialist

# Of several bands that would help, the one that most sensors have is named first.
_COMMONEST = ("N", "G", "R", "B", "S1", "S2", "VV", "VH", "HH", "HV")

# What can be asked for instead on uncalibrated numbers, where the scene itself gives a threshold.
_WIDER = dict.fromkeys(
    ("tree_cover", "grassland", "cropland"), ", or ask for the vegetation as a whole"
)


def refuse(
    scene: Scene,
    target: str,
    reference: Scene | None,
    fitting: list[Specialist],
    serving: list[Specialist],
) -> NoReturn:
    """Raise the error that says best why nothing serves.

    Args:
        scene: that is looked at.
        target: a key of TITLES.
        reference: an earlier scene, where one is used.
        fitting: rows made for such a scene, bands left aside.
        serving: those of them whose bands are there.

    Raises:
        ClarifyError: the bands depend on the sensor, and that is not known.
        MissingBandError: a band is missing.
        RefusalError: the scene cannot serve for another reason.
    """
    title = TITLES[target]
    if scene.sensor is None and scene.recognition.question and not serving:
        raise ClarifyError(
            scene.recognition.question, slot="sensor", options=tuple(scene.recognition.options)
        )
    if serving:
        raise RefusalError(
            f"{title} cannot be found on {scene.name}: {serving[0].refuses(scene)}.",
            reason="resolution" if serving[0].distance(scene) else "sensor",
        )
    if not fitting:
        raise RefusalError(
            f"{title} cannot be found on {scene.name}, which holds uncalibrated digital numbers; "
            f"use a reflectance product of the scene{_WIDER.get(target, '')}.",
            reason="sensor",
        )
    radar = {"VV", "VH", "HH", "HV"}
    if not any(scene.has(band) for band in radar):
        fitting = [row for row in fitting if not radar & set(row.bands)] or fitting
    lacks = {row.missing(scene, reference) for row in fitting}
    fewest = min(len(bands) for bands in lacks)
    ways = [bands for bands in lacks if len(bands) == fewest]
    ways.sort(key=lambda bands: [_COMMONEST.index(band) for band in bands])
    text = ", or else ".join(" and ".join(map(_band_title, bands)) for bands in ways)
    able = [
        sensor.key
        for sensor in SENSORS.values()
        if any(all(_carries(sensor, band) for band in row.bands) for row in fitting)
    ]
    raise MissingBandError(
        f"{title} cannot be measured on {scene.name}: it lacks {text}; "
        f"sensors that serve: {', '.join(able[:8]) or 'none'}."
    )


def _carries(sensor: Sensor, band: str) -> bool:
    return any(each.common in (band, INTERCHANGEABLE.get(band, band)) for each in sensor.bands)


def _band_title(band: str) -> str:
    title = str(spyndex.bands[band].long_name) if band in spyndex.bands else f"{band} radar"
    return f"the band {title} ({band})" if band in spyndex.bands else f"the {title} band"
