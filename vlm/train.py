"""Training of what is embedded: `terralogue train STAGE …`.

    terralogue train align --data DATA --out out/align --minutes 60
    accelerate launch -m terralogue.vlm.train align --data DATA --out out/align

★ STAGES is the table; each stage's module has a `main(argv)`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from terralogue.datasets.errors import EOError, InputError

# ★ One line per stage.
STAGES: Final = {
    "align": "terralogue.vlm.align_command",
    "refer": "terralogue.vlm.referring_command",
    "lora": "terralogue.vlm.lora_command",
    "base": "terralogue.vlm.vlm_command",
    "calibrate": "terralogue.vlm.vlm_calibrate",
    "detect": "terralogue.tools.detect_command",
    "dense": "terralogue.tools.dense_command",
    "slots": "terralogue.tools.dense_ms_command",
    "change": "terralogue.tools.change_training_command",
    "change-features": "terralogue.tools.change_feature_training",
    "planner": "terralogue.agent.planner_training",
}


def main(argv: Sequence[str]) -> int:
    """Run a stage; returns its exit code.

    Raises:
        InputError: no such stage.
    """
    if argv[:1] in (["-h"], ["--help"]):
        print(f"usage: terralogue train STAGE [options]\n\nstages: {', '.join(STAGES)}")
        return 0
    if not argv or argv[0] not in STAGES:
        named = f"unknown stage {argv[0]!r}" if argv else "no stage was given"
        raise InputError(f"{named}; the stages are: {', '.join(STAGES)}")
    code: int = import_module(STAGES[argv[0]]).main(argv[1:])
    return code


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except EOError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
