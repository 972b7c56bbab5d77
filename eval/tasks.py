"""TASKS: what `terralogue eval` can score, one line each.

A task is a module with `add_arguments(parser)` and `run(options) -> Report`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from terralogue.eval import (
    agent,
    caption,
    change,
    classification,
    detection,
    grounding,
    intent,
    retrieval,
    robustness,
    segmentation,
    vqa,
)
from terralogue.eval.summary import Report


@dataclass(frozen=True)
class Task:
    """One benchmark task.

    Attributes:
        title: for the list of tasks.
        data: what --data takes.
        add_arguments: adds the task's own options to a parser that has --data, --limit, --out.
        run: scores what the options name.
    """

    title: str
    data: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], Report]


TASKS: dict[str, Task] = {
    "retrieval": Task("captions find images and images captions",
                      "caption file (Karpathy JSON) or its folder",
                      retrieval.add_arguments, retrieval.run),
    "classification": Task("class of a scene, from its name or by a linear probe",
                           "folder of class folders, or labelled caption file",
                           classification.add_arguments, classification.run),
    "vqa": Task("questions about pictures, scored strictly",
                "file of questions, or its folder",
                vqa.add_arguments, vqa.run),
    "caption": Task("descriptions of pictures, or of changes between dates",
                    "caption file, or its folder",
                    caption.add_arguments, caption.run),
    "grounding": Task("pointing at what words refer to",
                      "file of referring expressions or COCO boxes, or its folder",
                      grounding.add_arguments, grounding.run),
    "detection": Task("boxes and counts of things",
                      "boxes in COCO's, PASCAL VOC's or DOTA's layout",
                      detection.add_arguments, detection.run),
    "robustness": Task("drop of answers where pictures or questions are corrupted",
                       "data of vqa or classification",
                       robustness.add_arguments, robustness.run),
    "segmentation": Task("masks of a target, as the tool segment gives them",
                         "folder with images and masks, or one scene with --reference",
                         segmentation.add_arguments, segmentation.run),
    "change": Task("what changed between two dates, as the tool detect_change tells it",
                   "folder in the layout of OSCD or SZTAKI AirChange, or A, B and label",
                   change.add_arguments, change.run),
    "agent": Task("whole conversations on simulated scenes, by the figure at the end",
                  "file of conversations, or `package`", agent.add_arguments, agent.run),
    "intent": Task("route, tool and target of vague questions",
                   "items with gold (JSON lines)", intent.add_arguments, intent.run),
}  # fmt: skip
