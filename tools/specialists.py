"""Who segments what: one table, and the choice from it.

A learned model is added by one more line: its name, targets, bands, sensors and measured scores,
and a function that builds a `Model` for one scene.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from rasterio.windows import Window

from terralogue.datasets.errors import InputError, RefusalError
from terralogue.datasets.scene import Scene
from terralogue.tools import rules
from terralogue.tools.baselines import (
    Model,
    Rule,
    SplitRule,
    decreased,
    new_since,
    rule_model,
)
from terralogue.tools.clouds import CloudModel, why_not_network
from terralogue.tools.foundation_checkpoints import CHECKPOINTS, Checkpoint, FinetunedModel, why_not
from terralogue.tools.specialist import TITLES, UNMEASURED, Choice, Job, Score, Specialist
from terralogue.tools.spectral import bands_of
from terralogue.tools.unserved import refuse

_WATER_SCORE = "46 chips of Sentinel-2 and Landsat 8 with noisy labels, edges half way"
_WATER_FOLDS = (
    "46 chips with noisy labels, by networks that had not seen the place (boosting on pixels: 0.66)"
)
_POTSDAM = "three chips of Potsdam"
# The chips name their bands and no sensor; "" is the key of scenes whose sensor is not known.
_WATER_SENSORS = ("", "sentinel2_l2a", "landsat8")
# No threshold was published for these, so the scene gives it on reflectance as well.
_FOR_BOTH = ("nbr_split", "gli_split")
# Scores closer than this are taken for equal, and the order of the table decides: on the chips
# that the water indices were measured on, labels are too noisy to tell more.
_TIE = 0.02

_NONE: Mapping[str, Score] = {}


def _rule(
    name: str,
    targets: str,
    rule: Rule,
    *cautions: str,
    iou: float | None = None,
    scores: Mapping[str, Score] = _NONE,
) -> Specialist:
    keys = _WATER_SENSORS if iou is not None else ()
    return Specialist(
        name,
        tuple(targets.split()),
        rule.bands,
        lambda job: rule_model(rule, job.scene),
        scores={key: Score(iou or 0.0, _WATER_SCORE) for key in keys} | {**scores},
        cautions=cautions,
    )


def _split(name: str, targets: str, rule: SplitRule, *cautions: str) -> Specialist:
    return Specialist(
        name,
        tuple(targets.split()),
        rule.bands,
        lambda job: rule.model(job.scene, job.hidden),
        calibrated=None if rule.speckle or name in _FOR_BOTH else False,
        cautions=(rules.FROM_SCENE, *cautions),
    )


def _single_dates(iou: float) -> dict[str, Score]:
    """Scores of water on one date, for flood, which is water now and not before."""
    return dict.fromkeys(_WATER_SENSORS, Score(iou, f"water on single dates of {_WATER_SCORE}"))


def _flood(
    name: str, rule: Rule | SplitRule, *cautions: str, iou: float | None = None
) -> Specialist:
    def build(job: Job) -> Model:
        assert job.reference_scene is not None
        assert job.reference is not None
        if isinstance(rule, SplitRule):
            now, before = rule.model(job.scene, job.hidden), rule.model(job.reference_scene)
        else:
            now, before = rule_model(rule, job.scene), rule_model(rule, job.reference_scene)
        return new_since(now, before, job.reference)

    calibrated = None if isinstance(rule, SplitRule) and rule.speckle else isinstance(rule, Rule)
    return Specialist(
        name,
        ("flooded_area", "water"),
        rule.bands,
        build,
        calibrated=calibrated,
        reference=True,
        scores={} if iou is None else _single_dates(iou),
        cautions=cautions,
    )


def _burn(job: Job) -> Model:
    assert job.reference is not None
    return decreased(rules.DNBR, "NBR", 0.27, job.scene, job.reference)


def _cloud(job: Job) -> Model:
    if job.clouds.method is None:
        raise RefusalError(job.clouds.warnings[0], reason="sensor")
    return CloudModel(job.scene, job.clouds, job.target)


def _why_no_clouds(scene: Scene) -> str | None:
    return None if scene.quality is not None else why_not_network(scene)


def _finetuned(row: Checkpoint) -> Specialist:
    """A published fine-tuned network; refuses where it is not on this machine."""
    return Specialist(
        row.name,
        row.targets,
        row.bands,
        lambda job: FinetunedModel(job.scene, row),
        cautions=(row.caution,),
        refuses=lambda scene: why_not(row.name),
        learned=True,
        gsd=(row.gsd, row.gsd),
    )


# Pixel sizes in metres that the network of pictures was trained at, and the largest it is used on:
# beyond it single buildings are a few mixed pixels.
_RGB_GSD = (0.07, 1.2)
_RGB_COARSEST = 3.0


_DRONE = Score(0.634, "28 drone pictures of a place not seen")
_DUBAI = "two pieces of aerial pictures of Dubai"


# Different colours in 256 pixels square: 193 at least (a desert) in 2,956 aerial and satellite
# pictures of eleven data sets with pixels of up to some metres; a handful in drawings.
_FEWEST_COLOURS = 64
_MIDDLE = 256


def _no_picture(scene: Scene) -> str | None:
    if scene.gsd is None or scene.gsd <= _RGB_COARSEST:
        return _few_colours(scene)
    low, high = _RGB_GSD
    return (
        f"its pixels of {scene.gsd:.3g} m are too coarse for a network trained at {low:g} to "
        f"{high:g} m"
    )


def _few_colours(scene: Scene) -> str | None:
    width, height = min(scene.width, _MIDDLE), min(scene.height, _MIDDLE)
    middle = Window((scene.width - width) // 2, (scene.height - height) // 2, width, height)
    if not scene.has("R", "G", "B"):
        return None
    pixels = scene.read(["R", "G", "B"], middle).data.reshape(3, -1)
    colours = len(np.unique(pixels[:, np.isfinite(pixels).all(axis=0)], axis=1).T)
    if colours >= _FEWEST_COLOURS:
        return None
    return (
        f"it shows only {colours} different colours, as a drawing or a flat picture does, and a "
        "network reads things into those; use a photograph"
    )


def _rgb_model(job: Job) -> Model:
    from terralogue.tools.dense_network import DenseModel
    from terralogue.tools.dense_recipe import recipe
    from terralogue.tools.dense_voices import Voice, load

    name = "rgb_road" if job.target == "road" else "rgb_cover"
    made = recipe(name)
    voices = [Voice(load(name), *made.targets[job.target])]
    if job.target in made.partners:
        other, head, classes = made.partners[job.target]
        voices.append(Voice(load(other), head, classes))
    return DenseModel(job.scene, voices, job.target, name)


def _rgb(target: str, *cautions: str, **scores: Score) -> Specialist:
    return Specialist(
        f"rgb_{target}",
        (target,),
        ("R", "G", "B"),
        _rgb_model,
        calibrated=None,
        scores=scores,
        cautions=cautions,
        refuses=_no_picture,
        learned=True,
        gsd=_RGB_GSD,
    )


# Pixel sizes in metres that the networks over slots were trained at, and the smallest that they are
# used on: below it things stand out that they have never seen.
_SLOT_GSD = (10.0, 30.0)
_SLOT_FINEST = 5.0
_SIX = ("B", "G", "R", "N", "S1", "S2")


def _too_fine(scene: Scene) -> str | None:
    if scene.gsd is None or scene.gsd >= _SLOT_FINEST:
        return None
    return f"its pixels of {scene.gsd:.3g} m are too fine for a network made for satellite scenes"


def _slot_water(job: Job) -> Model:
    from terralogue.tools.dense_ms_network import slot_model

    reference = None
    if job.reference_scene is not None and job.reference is not None:
        reference = job.reference_scene, job.reference
    return slot_model(job.scene, "water", ("water",), reference=reference, rule=True)


def _slot_cover(job: Job) -> Model:
    from terralogue.tools.dense_ms_network import slot_model

    return slot_model(job.scene, "ms_cover", (job.target,))


_ELKTON = (
    "polygons at Elkton, Virginia, where everything green taken for trees scores the same, so that "
    "trees were not told from crops"
)


def _on_real_scenes(sentinel2: float, landsat8: float, enmap: float) -> dict[str, Score]:
    """Scores on the three real scenes of `tools/dense_cover_scenes.py`.

    At Elkton NDVI > 0.3, which is all that grows, scores 0.725 for trees too.
    """
    return {
        "sentinel2_l1c": Score(sentinel2, "three dates in Slovenia"),
        "landsat8": Score(landsat8, _ELKTON),
        "enmap": Score(enmap, _POTSDAM),
    }


def _slots(
    name: str, targets: str, build: Callable[[Job], Model], *cautions: str,
    reference: bool = False, scores: Mapping[str, Score] = _NONE,
) -> Specialist:  # fmt: skip
    return Specialist(
        name,
        tuple(targets.split()),
        _SIX,
        build,
        reference=reference,
        scores={**scores},
        cautions=cautions,
        refuses=_too_fine,
        learned=True,
        gsd=_SLOT_GSD,
    )


# ★ One line per model. Among those that serve a scene the best score on its sensor wins; among
# equals, and where nothing was measured, the first.
SPECIALISTS: tuple[Specialist, ...] = (
    _rule(
        "mndwi",
        "water flooded_area",
        rules.MNDWI,
        rules.DARK,
        iou=0.647,
        scores={"enmap": Score(0.787, _POTSDAM)},
    ),
    _rule("awei", "water flooded_area", rules.AWEI, rules.DARK, iou=0.558),
    _rule("ndwi", "water flooded_area", rules.NDWI, rules.DARK, iou=0.599),
    _split("mndwi_split", "water flooded_area", rules.SPLIT_MNDWI, rules.DARK, rules.NO_SNOW_TEST),
    _split("ndwi_split", "water flooded_area", rules.SPLIT_NDWI, rules.DARK, rules.NO_SNOW_TEST),
    _split("radar_vv_water", "water flooded_area", rules.SPLIT_VV, rules.RADAR),
    _split("radar_hh_water", "water flooded_area", rules.SPLIT_HH, rules.RADAR),
    _split("radar_vh_water", "water flooded_area", rules.SPLIT_VH, rules.RADAR),
    _flood("mndwi_flood", rules.MNDWI, rules.DARK, iou=0.647),
    _flood("ndwi_flood", rules.NDWI, rules.DARK, iou=0.599),
    _flood("mndwi_split_flood", rules.SPLIT_MNDWI, rules.DARK, rules.NO_SNOW_TEST),
    _flood("ndwi_split_flood", rules.SPLIT_NDWI, rules.DARK, rules.NO_SNOW_TEST),
    _flood("radar_vv_flood", rules.SPLIT_VV, rules.RADAR),
    _flood("radar_vh_flood", rules.SPLIT_VH, rules.RADAR),
    _rule("ndvi", "vegetation", rules.NDVI),
    _split("ndvi_split", "vegetation", rules.SPLIT_NDVI),
    _rule(
        "ndvi_dense",
        "tree_cover",
        rules.DENSE,
        rules.DENSE_CAUTION,
        scores=_on_real_scenes(0.780, 0.726, 0.390),
    ),
    _split("gli_split", "vegetation", rules.SPLIT_GLI, rules.RGB_CAUTION),
    _rule("bare_soil_swir", "bare_soil", rules.SOIL, rules.SOIL_CAUTION),
    _rule("bare_soil_nir", "bare_soil", rules.SOIL_NIR, rules.SOIL_CAUTION),
    _split("bare_soil_split", "bare_soil", rules.SPLIT_BI, rules.SOIL_CAUTION),
    _rule("ndsi", "snow_ice", rules.SNOW_RULE),
    Specialist(
        "dnbr",
        ("burned_area",),
        bands_of("NBR", "MNDWI"),
        _burn,
        reference=True,
        cautions=(rules.SEASONS,),
    ),
    _split("nbr_split", "burned_area", rules.SPLIT_NBR, rules.SINGLE_DATE_BURN),
    _rule("built_up_index", "built_up", rules.BUILT, rules.BUILT_CAUTION),
    _split("built_up_split", "built_up", rules.SPLIT_BU, rules.BUILT_CAUTION),
    _split("radar_vv_built", "built_up", rules.SPLIT_VV_BUILT, rules.RADAR_BUILT),
    Specialist(
        "clouds",
        ("cloud", "cloud_shadow"),
        (),
        _cloud,
        calibrated=None,
        refuses=_why_no_clouds,
        learned=True,
    ),
    *(_finetuned(row) for row in CHECKPOINTS),
    _slots(
        "ms_water",
        "water flooded_area",
        _slot_water,
        rules.DARK,
        scores=dict.fromkeys(_WATER_SENSORS, Score(0.691, _WATER_FOLDS)),
    ),
    _slots(
        "ms_tree_cover",
        "tree_cover",
        _slot_cover,
        rules.COVER_CAUTION,
        scores=_on_real_scenes(0.895, 0.726, 0.071),
    ),
    _slots(
        "ms_grassland",
        "grassland",
        _slot_cover,
        rules.COVER_CAUTION,
        scores={"sentinel2_l1c": Score(0.618, "three dates in Slovenia")},
    ),
    _slots(
        "ms_cover_water", "water", _slot_cover, rules.DARK, scores={"enmap": Score(0.938, _POTSDAM)}
    ),
    _slots(
        "ms_water_flood",
        "flooded_area water",
        _slot_water,
        rules.DARK,
        reference=True,
        scores=_single_dates(0.691),
    ),
    _rgb("building", unknown_rgb=_DRONE, rgb_aerial=_DRONE),
    _rgb("road", unknown_rgb=Score(0.727, "7 aerial pictures")),
    _rgb("built_up", rules.ONE_TOWN),
    _rgb("vegetation", rules.ONE_TOWN, unknown_rgb=Score(0.338, _DUBAI)),
    _rgb("water", rules.ONE_TOWN, unknown_rgb=Score(0.751, _DUBAI)),
    _rgb("bare_soil", rules.ONE_TOWN, unknown_rgb=Score(0.830, _DUBAI)),
)


def choose(
    scene: Scene,
    target: str,
    reference: Scene | None = None,
    *,
    model: str | None = None,
    physical: bool = False,
) -> Choice:
    """Choose who segments a target on a scene.

    A reference scene is used where a row of the table takes one for this target.

    Args:
        scene: what is looked at.
        target: a key of TITLES.
        reference: an earlier scene of the same place.
        model: the name of a row, which is then taken if it serves; None takes the best.
        physical: choose among the rows that were not learned, for a comparison.

    Raises:
        InputError: no such target, no such model, or the model is made for other targets.
        ClarifyError: the bands depend on the sensor, and that is not known.
        MissingBandError: the scene lacks a band; says which, and which sensors have it.
        RefusalError: the scene cannot serve the target for another reason, or no rule finds it.
    """
    rows = [row for row in SPECIALISTS if target in row.targets]
    if not rows:
        raise InputError(
            f"{target!r} cannot be segmented by the models at hand; the targets are "
            f"{', '.join(TITLES)}."
        )
    if physical:
        rows = [row for row in rows if not row.learned]
        if not rows:
            raise RefusalError(
                f"{TITLES[target]} has no physical rule; only a learned model finds it.",
                reason="out_of_scope",
            )
    if model is not None:
        rows = [_named(model, target, rows)]
        if rows[0].reference and reference is None:
            raise InputError(
                f"The model {model!r} compares with an earlier scene of the same place; give one "
                "as reference."
            )
    if reference is not None and not any(row.reference for row in rows):
        reference = None
    fitting = [row for row in rows if row.fits(scene, reference)]
    serving = [row for row in fitting if not row.missing(scene, reference)]
    able = [row for row in serving if row.refuses(scene) is None]
    if not able:
        refuse(scene, target, reference, fitting, serving)
    key = scene.sensor.key if scene.sensor else ""
    best = max((row.scores[key].iou for row in able if key in row.scores), default=None)
    if model is not None:
        return Choice(able[0], f"asked for by name; {_measured(able[0], key)}")
    if best is None:
        return _nearest(scene, able)
    row = next(r for r in able if key in r.scores and r.scores[key].iou >= best - _TIE)
    return Choice(row, _measured(row, key))


def _nearest(scene: Scene, able: list[Specialist]) -> Choice:
    """Where nothing was measured on the sensor: a rule, else the closest pixel size, then bands."""
    rule = next((row for row in able if not row.learned), None)
    if rule is not None:
        return Choice(rule, f"the first method whose bands {scene.name} has; {UNMEASURED}")
    row = min(able, key=lambda row: (row.distance(scene), -len(row.bands)))
    size = "" if row.gsd is None else f", of pixels of {row.gsd[0]:g} to {row.gsd[1]:g} m"
    return Choice(row, f"the closest network{size}; {UNMEASURED}")


def _measured(row: Specialist, sensor: str) -> str:
    """How good a row is on a sensor, in a few words."""
    score = row.scores.get(sensor)
    return f"IoU {score.iou:.2f} measured on {score.how}" if score else UNMEASURED


def _named(model: str, target: str, rows: list[Specialist]) -> Specialist:
    """The row of a name among those for a target."""
    for row in rows:
        if row.name == model:
            return row
    others = {row.name: row.targets for row in SPECIALISTS}
    names = ", ".join(row.name for row in rows) or "none"
    if model in others:
        raise InputError(
            f"The model {model!r} finds {', '.join(others[model])}, not {target}; the models for "
            f"{target} are {names}."
        )
    raise InputError(f"There is no model {model!r}; the models for {target} are {names}.")
