"""`terralogue eval TASK --data PATH [--out DIR]`: score a model on a benchmark."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from terralogue.agent.cli import Parser
from terralogue.eval.inputs import positive
from terralogue.eval.tasks import TASKS, Task


def main(arguments: Sequence[str]) -> int:
    """Score, print the figures, write the files; returns the exit code.

    Raises:
        EOError: the arguments, the data or the model cannot be used.
    """
    options = _parser().parse_args(arguments)
    task: Task = options.task
    report = task.run(options)
    print(json.dumps(report.summary(), indent=2) if options.json else "\n".join(report.lines()))
    if options.out is not None:
        files = report.write(options.out)
        if not options.json:
            print("Files:", *(f"  {path}" for path in files), sep="\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="terralogue eval", description="Score a model on a benchmark.")
    tasks = parser.add_subparsers(required=True, metavar="TASK", parser_class=Parser)
    for name, task in TASKS.items():
        one = tasks.add_parser(name, help=task.title, description=f"{task.title.capitalize()}.")
        one.set_defaults(task=task)
        add = one.add_argument
        add("--data", required=True, type=Path, metavar="PATH", help=task.data)
        add("--limit", type=positive, metavar="N", help="score only N items")
        add("--out", type=Path, metavar="DIR", help="write summary.json and predictions.jsonl here")
        add("--json", action="store_true", help="print the summary as one JSON object")
        task.add_arguments(one)
    return parser
