"""`recommend_model`: which model for a scene and a target, from the table of measured scores."""

from __future__ import annotations

from terralogue.datasets.errors import EOError, InputError
from terralogue.datasets.scene import Scene
from terralogue.tools.detectors import COUNTED
from terralogue.tools.foundation_choice import recommend
from terralogue.tools.run import Run
from terralogue.tools.schemas import Measurement, ModelAdvice, SuggestedModel
from terralogue.tools.specialist import TITLES
from terralogue.tools.specialists import choose

_HOW = (
    "score measured on that sensor first, then the score published on it, the closest pixel size, "
    "and the bands that a model reads"
)


def recommend_model(scene: Scene, target: str, *, run: Run) -> ModelAdvice:
    """Say which models can find a target on a scene, the best measured first; nothing is run.

    Args:
        scene: The scene; its sensor and bands decide.
        target: A land cover or a thing: water, vegetation, tree_cover, building, ship, ...
        run: Has the ids of the scenes.

    Raises:
        InputError: no such target, or the sensor of the scene is not known.
    """
    if scene.sensor is None:
        raise InputError(
            f"The sensor of {scene.name} is not known, and the choice of a model depends on it; "
            "name the sensor first."
        )
    found = recommend(scene.sensor.key, target)
    taken, warnings = None, []
    if found.task in TITLES and found.task not in COUNTED:
        try:
            taken = choose(scene, found.task).specialist.name
        except EOError as error:
            warnings.append(f"On this scene none is used: {error}")
    return ModelAdvice(
        tool="recommend_model",
        scenes=list(run.scene_ids),
        title=f"Models for {found.task.replace('_', ' ')} on {scene.sensor.title}",
        method=_HOW,
        measurements=[
            Measurement(
                name=f"score_{number}", value=model.score, unit="1", method=model.why,
                label=model.name,
            )
            for number, model in enumerate(found.models, 1)
            if model.score is not None
        ],
        warnings=[*warnings, *found.notes],
        sensor=found.sensor,
        target=found.task,
        taken=taken,
        models=[
            SuggestedModel(
                name=model.name, why=model.why, score=model.score, ready=model.ready,
                licence=model.licence, lacks="" if model.ready else model.lacks,
            )
            for model in found.models
        ],
    )  # fmt: skip
