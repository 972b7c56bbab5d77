"""How long a plan takes: warm, in one process; and cold, as a command of its own.

    python -m terralogue.eval.intent_bench [--data FILE.jsonl] [--runs 3]

Prints JSON: `warm_ms` (median and 95th percentile over the items after the first) and `cold_s`
(wall and processor seconds of `terralogue ask --batch … --dry-run` on one item, the best run).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from terralogue.datasets.vague_seeds import FOLDER
from terralogue.eval.intent import evaluate, latency

_COMMAND: Final = (
    "import sys; from terralogue.agent.cli import main; "
    "sys.exit(main(['ask', '--batch', sys.argv[1], '--dry-run']))"
)


def cold(line: str, runs: int) -> dict[str, float]:
    """Seconds to plan one item in a fresh process: wall, and of the processor.

    Args:
        line: the item, as JSON.
        runs: how often; the best counts, since others use the machine too.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.jsonl"
        path.write_text(line, encoding="utf-8")
        return min((_run(path) for _ in range(runs)), key=lambda cost: cost["wall"])


def _run(path: Path) -> dict[str, float]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    command = [sys.executable, "-c", _COMMAND, str(path)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": wall, "processor": used}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the times as JSON; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m terralogue.eval.intent_bench", description="Time the embedded planner."
    )
    parser.add_argument("--data", type=Path, default=FOLDER / "val.jsonl", help="items with gold")
    parser.add_argument("--limit", type=int, default=100, help="items to plan warm")
    parser.add_argument("--runs", type=int, default=3, help="cold starts, the best of which counts")
    options = parser.parse_args(arguments)
    start = time.process_time()
    scored = evaluate(options.data, limit=options.limit)
    used = 1000 * (time.process_time() - start) / len(scored)
    line = options.data.read_text(encoding="utf-8").splitlines()[0]
    times = {
        "warm_ms": {**latency(scored), "processor_mean_with_start": used},
        "cold_s": cold(line, options.runs),
    }
    sys.stdout.write(json.dumps(times, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
