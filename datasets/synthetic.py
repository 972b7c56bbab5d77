"""Our own scenes with exact truth, for any sensor: for training, the demo, tests and benchmarks.

A place is laid out in metres on a grid two to four times finer than the pixels, made of materials
with measured spectra, lit, averaged, blurred, seen through air and cloud, and made noisy.

    python -c "from terralogue.datasets import synthetic as s; print(s.simulate_scene().areas())"
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from terralogue.datasets.bands import Sensor
from terralogue.datasets.errors import InputError
from terralogue.datasets.sensors import get_sensor
from terralogue.datasets.synthetic_changes import CHANGES
from terralogue.datasets.synthetic_demo import (
    BANDS,
    Event,
    make_demo_pair,
    make_demo_scene,
    make_large_scene,
    simulate,
    write_scene,
)
from terralogue.datasets.synthetic_layouts import LAYOUTS, choose_place
from terralogue.datasets.synthetic_materials import CLASSES
from terralogue.datasets.synthetic_pairs import PAIR_CHANGES, SimulatedPair, simulate_pair
from terralogue.datasets.synthetic_render import PICTURES, Box, Simulated, render

__all__ = [
    "BANDS",
    "CHANGES",
    "CLASSES",
    "LAYOUTS",
    "PAIR_CHANGES",
    "Box",
    "Event",
    "Simulated",
    "SimulatedPair",
    "make_demo_pair",
    "make_demo_scene",
    "make_large_scene",
    "simulate",
    "simulate_pair",
    "simulate_scene",
    "simulate_views",
    "write_scene",
]

# Metres along a pixel of the sensors whose products vary: smallest and largest.
_GSD: Final = {
    "naip_rgbn": (0.6, 1.0),
    "worldview_rgbn": (0.5, 2.0),
    "worldview2": (0.5, 2.0),
    "pleiades": (0.5, 2.0),
    "spot": (1.5, 6.0),
    "gaofen2": (1.0, 3.2),
    "rgb_aerial": (0.15, 0.5),
    "rgb_satellite": (0.4, 6.0),
    "unknown_rgb": (0.3, 10.0),
    "elevation": (1.0, 30.0),
}


def simulate_scene(
    sensor: str = "sentinel2_l2a",
    *,
    layout: str | None = None,
    size: int = 256,
    gsd: float | None = None,
    seed: int = 0,
    season: float | None = None,
    clouds: float | None = None,
    prosail: bool = False,
) -> Simulated:
    """Simulate one scene; what is not given is drawn from the seed.

    Args:
        sensor: Key or alias in SENSORS.
        layout: In LAYOUTS.
        size: Pixels along each side.
        gsd: Metres along a pixel; the sensor's own where not given.
        seed: Of everything.
        season: Fraction of the year, 0 on the first of January, northern hemisphere.
        clouds: Share of the image below cloud, 0 to 1.
        prosail: Plants by the radiative transfer model PROSAIL, of the optional package `prosail`,
            instead of the library's; slower.

    Raises:
        InputError: No such sensor or layout, a size that is not positive, or prosail is asked for
            and not installed.
    """
    known = get_sensor(sensor)
    metres = _pixel(known, gsd, seed)
    _check(size, metres)
    place = replace(choose_place(seed, layout, size * metres, metres), prosail=prosail)
    share = _cloud_share(known, metres, seed) if clouds is None else clouds
    when = _season(seed) if season is None else season % 1.0
    return render(place, known, size=size, gsd=metres, season=when, clouds=share)


def simulate_views(
    sensors: Sequence[str],
    *,
    layout: str | None = None,
    size: int = 256,
    gsd: float | None = None,
    seed: int = 0,
    season: float | None = None,
    clouds: float | None = None,
) -> list[Simulated]:
    """See the same place in the same season with several sensors.

    Without `gsd` each sensor has its own pixels, and all views span the footprint that the sensor
    with the largest pixels has, up to four times its number of pixels for the others; beyond that
    they show the middle of it. `size` is that of the sensor with the largest pixels.

    Args:
        sensors: Keys or aliases in SENSORS.
        layout: In LAYOUTS.
        size: Pixels along each side.
        gsd: Metres along a pixel, the same for all.
        seed: Of everything.
        season: Fraction of the year.
        clouds: Share of the image below cloud; each view has its own sky.

    Raises:
        InputError: No such sensor or layout, or a size that is not positive.
    """
    known = [get_sensor(name) for name in sensors]
    metres = [_pixel(sensor, gsd, seed) for sensor in known]
    largest = max(metres, default=1.0)
    _check(size, min(metres, default=1.0))
    place = choose_place(seed, layout, size * largest, largest)
    when = _season(seed) if season is None else season % 1.0
    views = []
    for number, (sensor, pixel) in enumerate(zip(known, metres, strict=True)):
        count = min(round(size * largest / pixel), 4 * size)
        share = _cloud_share(sensor, pixel, seed + number) if clouds is None else clouds
        views.append(
            render(
                place,
                sensor,
                size=count,
                gsd=pixel,
                season=when,
                clouds=share,
                sky=seed + 1_000_003 * number,
            )
        )
    return views


def _check(size: int, gsd: float) -> None:
    if size < 8 or gsd <= 0:
        raise InputError(
            f"a simulated scene needs 8 or more pixels of positive size, not {size} of {gsd} m"
        )


def _pixel(sensor: Sensor, gsd: float | None, seed: int) -> float:
    """Metres along a pixel: as asked, the sensor's, or drawn from its range."""
    if gsd is not None or sensor.gsd is not None:
        return float(gsd if gsd is not None else sensor.gsd or 1.0)
    low, high = np.log(_GSD[sensor.key])
    return float(np.exp(np.random.default_rng([seed, 2]).uniform(low, high)))


def _season(seed: int) -> float:
    """A time of the year, three times of four in the growing season."""
    rng = np.random.default_rng([seed, 3])
    grows = rng.random() < 0.75
    return float(rng.uniform(0.22, 0.82) if grows else rng.uniform(0.82, 1.22) % 1.0)


def _cloud_share(sensor: Sensor, gsd: float, seed: int) -> float:
    """Clear mostly, and always in pictures, whose providers choose the day."""
    rng = np.random.default_rng([seed, 4])
    chance = rng.random()
    if gsd < 3 or sensor.key in PICTURES or chance < 0.72:
        return 0.0
    return float(rng.uniform(0.02, 0.2) if chance < 0.92 else rng.uniform(0.2, 0.6))
