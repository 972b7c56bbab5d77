"""Settings of alignment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AlignConfig:
    """How to train; a command line option mirrors each field.

    Attributes:
        trunk: key of TRUNKS.
        scratch: leave out the ImageNet weights (for comparison).
        frozen: blocks of the trunk that stay as they are.
        depthwise: keep depthwise kernels too.
        drop_path: share of steps in which the last residual branch is left out; earlier ones less.
        rank: of the LoRA adapters of the text tower.
        fixed_text: leave the text tower of the checkpoint as it is; each text is embedded once.
        only_stem: learn the kernels of bands beyond red, green and blue pictures, nothing else.
        strong: augment more strongly.
        batch: images in a step.
        captions: texts drawn for each image in a step.
        sizes: of the input in pixels; one is drawn for each step.
        lr: of projections and adapters.
        trunk_lr: of the trunk.
        decay: weight decay.
        average: decay of the averaged weights.
        steps: length of the schedule, unless `minutes` is given.
        minutes: length of the schedule in minutes of computing.
        every: steps between validations.
        label_weight: of the classification by prompts beside the contrast.
        teacher: model to distil from, as `load_geoclip` takes it; "" for none.
        teacher_weight: of the distillation beside the contrast.
        keep_best: write the weights with the best mean validation score to OUT/best as well.
        seed: of everything drawn.
    """

    trunk: str = "lite0"
    scratch: bool = False
    frozen: int = 3
    depthwise: bool = True
    drop_path: float = 0.0
    rank: int = 16
    fixed_text: bool = False
    only_stem: bool = False
    strong: bool = False
    batch: int = 256
    captions: int = 1
    sizes: tuple[int, ...] = (112, 128, 144, 160)
    lr: float = 1e-3
    trunk_lr: float = 4e-4
    decay: float = 0.05
    average: float = 0.995
    steps: int = 1200
    minutes: float | None = None
    every: int = 100
    label_weight: float = 0.5
    teacher: str = ""
    teacher_weight: float = 0.5
    keep_best: bool = False
    seed: int = 0
