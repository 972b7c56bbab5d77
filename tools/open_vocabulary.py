"""Things of any name and outlines of anything clicked, by published models of transformers.

    detector = open_vocabulary_detector("hf:IDEA-Research/grounding-dino-tiny")
    detector.detect(picture, ["swimming pool"])
    segmenter = promptable_segmenter("hf:facebook/sam2.1-hiera-tiny")
    segmenter.outline(picture, x=120.5, y=80.5)

Detectors are Grounding DINO (arXiv 2303.05499) and OWLv2 (arXiv 2306.09683); what answers a click
is Segment Anything (arXiv 2304.02643) and SAM 2 (arXiv 2408.00714). A specification is
`hf:<owner>/<name>` or `hf:<folder>`; everything is read from this machine, and
`terralogue models get SPEC` fetches what is not there.

They were trained on photographs: how well they see from above was not measured here, and their
scores are no probabilities.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.errors import InputError
from terralogue.vlm.hf_hub import PROVIDER, HubModel, snapshot

Picture = NDArray[np.uint8]

UNMEASURED: Final = "trained on photographs; accuracy not measured on scenes from above"


# ★ One entry per model. Sizes and licences: the listings of these repositories on huggingface.co
# (IDEA-Research/grounding-dino-tiny, google/owlv2-base-patch16-ensemble, facebook/sam-vit-base);
# the size of SAM 2.1 is of its conversion danelcsb/sam2.1_hiera_tiny, its licence that of
# facebook/sam2-hiera-tiny-hf.
OPEN_MODELS: Final = (
    HubModel(
        "hf:IDEA-Research/grounding-dino-tiny", "boxes of things of any name (Grounding DINO)",
        690, "Apache-2.0",
    ),
    HubModel(
        "hf:google/owlv2-base-patch16-ensemble", "boxes of things of any name (OWLv2)",
        622, "Apache-2.0",
    ),
    HubModel(
        "hf:facebook/sam-vit-base", "outlines of what is clicked (Segment Anything)",
        375, "Apache-2.0",
    ),
    HubModel(
        "hf:facebook/sam2.1-hiera-tiny", "outlines of what is clicked (SAM 2.1)",
        156, "Apache-2.0",
    ),
)  # fmt: skip

# Model types of transformers: detectors with the threshold on scores that their pages in its
# documentation use (model_doc/grounding-dino, model_doc/owlv2), segmenters with their class.
_DETECTORS: Final = {"grounding-dino": 0.25, "owlv2": 0.1}
_SEGMENTERS: Final = {"sam": "SamModel", "sam2": "Sam2Model"}
# A checkpoint of SAM 2 says that it follows things through videos, which includes pictures
# (the configurations of facebook/sam2.1-hiera-*).
_SAME: Final = {"sam2_video": "sam2"}


_LEAST: Final = 0.5  # pixels a side of a box that is worth giving


class Found(NamedTuple):
    """What a detector found, the surest first.

    Attributes:
        boxes: float32 (n, 4): left, top, right, bottom in pixels, within the picture.
        scores: float32 (n,), 0 to 1, not calibrated.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]


class Outline(NamedTuple):
    """What was clicked.

    Attributes:
        mask: bool (H, W).
        score: the model's own estimate of the mask's intersection over union, not calibrated.
    """

    mask: NDArray[np.bool_]
    score: float


class OpenVocabularyDetector:
    """Finds things by words.

    Args:
        name: what it was loaded by.
        model: of transformers.
        processor: that goes with it.
        threshold: on scores.
    """

    def __init__(self, name: str, model: Any, processor: Any, threshold: float) -> None:
        self.name = name
        self.threshold = threshold
        self._model = model
        self._processor = processor

    def detect(
        self, picture: Picture, phrases: Sequence[str], threshold: float | None = None
    ) -> Found:
        """Find everything that one of the phrases names.

        Args:
            picture: uint8 (H, W, 3), red, green and blue.
            phrases: names of one thing, such as "ship" and "boat".
            threshold: of scores; the model's own where None.

        Raises:
            InputError: no phrase, or not a picture.
        """
        import torch

        phrases = [phrase.strip().rstrip(".") for phrase in phrases if phrase.strip()]
        if not phrases:
            raise InputError(f"{self.name} needs words for what it shall find; give a target.")
        height, width = _checked(picture)
        level = self.threshold if threshold is None else threshold
        inputs = self._processor(images=picture, text=[phrases], return_tensors="pt")
        with torch.inference_mode():
            outputs = self._model(**inputs.to(self._model.device))
        (found,) = self._processor.post_process_grounded_object_detection(
            outputs, threshold=level, target_sizes=[(height, width)]
        )
        boxes = found["boxes"].float().cpu().numpy()
        scores = found["scores"].float().cpu().numpy()
        boxes = np.clip(boxes, 0, np.array([width, height, width, height], np.float32))
        real = (boxes[:, 2:] - boxes[:, :2] >= _LEAST).all(1)
        boxes, scores = boxes[real], scores[real]
        order = np.argsort(-scores, kind="stable")
        return Found(boxes[order].astype(np.float32), scores[order].astype(np.float32))


class PromptableSegmenter:
    """Outlines what is at a point.

    Args:
        name: what it was loaded by.
        model: of transformers.
        processor: that goes with it.
    """

    def __init__(self, name: str, model: Any, processor: Any) -> None:
        self.name = name
        self._model = model
        self._processor = processor

    def outline(self, picture: Picture, x: float, y: float) -> Outline:
        """Outline the thing at a point: of the model's proposals, the one it thinks best.

        Args:
            picture: uint8 (H, W, 3), red, green and blue.
            x: column in pixels from the left edge.
            y: row in pixels from the upper edge.

        Raises:
            InputError: the point is outside of the picture, or it is not a picture.
        """
        import torch

        height, width = _checked(picture)
        if not (0 <= x < width and 0 <= y < height):
            raise InputError(
                f"The point {x:g}, {y:g} lies outside of the picture of {width} by {height} pixels."
            )
        inputs = self._processor(
            images=picture,
            input_points=[[[[float(x), float(y)]]]],
            input_labels=[[[1]]],
            return_tensors="pt",
        )
        with torch.inference_mode():
            outputs = self._model(**inputs.to(self._model.device), multimask_output=True)
        (masks,) = self._resized(outputs.pred_masks, inputs)
        scores = outputs.iou_scores.flatten()
        best = int(scores.argmax())
        return Outline(masks.reshape(-1, height, width)[best].numpy(), float(scores[best]))

    def _resized(self, masks: Any, inputs: Any) -> Any:
        """Masks at the size of the picture, bool."""
        sizes = [inputs["original_sizes"]]
        if "reshaped_input_sizes" in inputs:  # SAM fills pictures up to a square, SAM 2 stretches
            sizes.append(inputs["reshaped_input_sizes"])
        return self._processor.post_process_masks(masks.cpu(), *(each.cpu() for each in sizes))


def open_vocabulary_detector(spec: str, device: str = "cpu") -> OpenVocabularyDetector:
    """Load a Grounding DINO or an OWLv2 from this machine.

    Args:
        spec: `hf:<owner>/<name>` of the hub's local cache, or `hf:<folder>`.
        device: of torch.

    Raises:
        InputError: it is not on this machine, cannot be read, or is another kind of model.
    """
    kind, folder = _looked_up(spec, tuple(_DETECTORS))
    model, processor = _loaded(spec, folder, "AutoModelForZeroShotObjectDetection", device)
    return OpenVocabularyDetector(spec, model, processor, _DETECTORS[kind])


def promptable_segmenter(spec: str, device: str = "cpu") -> PromptableSegmenter:
    """Load a SAM or a SAM 2 from this machine.

    Args:
        spec: `hf:<owner>/<name>` of the hub's local cache, or `hf:<folder>`.
        device: of torch.

    Raises:
        InputError: it is not on this machine, cannot be read, or is another kind of model.
    """
    kind, folder = _looked_up(spec, tuple(_SEGMENTERS))
    model, processor = _loaded(spec, folder, _SEGMENTERS[kind], device)
    return PromptableSegmenter(spec, model, processor)


def _looked_up(spec: str, kinds: tuple[str, ...]) -> tuple[str, Path]:
    """The kind of a model and its folder."""
    if not spec.startswith(PROVIDER):
        raise InputError(f"{spec!r} names no such model; give hf:<owner>/<name> or hf:<folder>.")
    folder = snapshot(spec.removeprefix(PROVIDER))
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{folder}/config.json is not JSON; fetch the model again.") from error
    named = str(config.get("model_type", "nothing"))
    kind = _SAME.get(named, named)
    if kind not in kinds:
        raise InputError(
            f"{spec} is a model of the type {named}, which does not do this; what does: "
            f"{', '.join(kinds)}."
        )
    return kind, folder


def _loaded(spec: str, folder: Path, name: str, device: str) -> tuple[Any, Any]:
    """The model and its processor."""
    import transformers
    from safetensors import SafetensorError

    hub: Any = transformers
    try:
        model, report = getattr(hub, name).from_pretrained(
            folder, local_files_only=True, output_loading_info=True
        )
        processor = hub.AutoProcessor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, SafetensorError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise InputError(f"{spec} cannot be loaded: {reason}; fetch the model again.") from error
    if report["missing_keys"]:
        few = ", ".join(sorted(report["missing_keys"])[:3])
        raise InputError(f"{spec} lacks weights ({few} …); fetch the model again.")
    return model.to(device).eval(), processor


def _checked(picture: Picture) -> tuple[int, int]:
    """Rows and columns of a picture.

    Raises:
        InputError: it is not one.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or not picture.size:
        raise InputError(
            f"A picture of red, green and blue in bytes is needed, uint8 (H, W, 3), not "
            f"{picture.dtype} {picture.shape}."
        )
    return picture.shape[0], picture.shape[1]
