"""`terralogue ask`: arguments in, answer out."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from terralogue.agent.answer import Answer, Event, Finished, ToolProgress, ToolStarted
from terralogue.datasets.errors import InputError

if TYPE_CHECKING:
    from terralogue.agent.session import ChatSession


def run(args: argparse.Namespace) -> int:
    """Ask, print the answer, give the exit code that it leads to."""
    if args.batch:
        return _batch(args)
    if not args.question and not args.thread:
        raise InputError('There is no question; give one with -q "…".')
    # Planning a batch needs neither the graph nor the tools, which take a second to import.
    from terralogue.agent.session import ChatSession

    session = ChatSession(args.thread, planner=args.planner, vlm=args.vlm, quick=args.quick)
    answer = asyncio.run(_asked(session, args))
    if args.out:
        from terralogue.agent.deliver import deliver

        answer = deliver(answer, Path(args.out))
    if args.json:
        print(answer.model_dump_json(indent=2))
    else:
        print(plain(answer))
    return answer.exit_code


async def _asked(session: ChatSession, args: argparse.Namespace) -> Answer:
    from terralogue.agent.uploads import grouped

    teller = _Teller(quiet=args.json and not sys.stderr.isatty())
    events = session.stream(
        args.question,
        grouped(args.scenes),
        region=args.region,
        point=_point(args.point),
        sensor=args.sensor,
        date=args.date,
        dry_run=args.dry_run,
    )
    async for event in events:
        teller.tell(event)
        if isinstance(event, Finished):
            answer = event.answer
    return answer


class _Teller:
    """Progress on standard error: on a terminal one line that changes, else a line a tenth."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._inline = sys.stderr.isatty()
        self._told = -1.0

    def tell(self, event: Event) -> None:
        """Print what is worth a line."""
        if self._quiet:
            return
        if isinstance(event, ToolStarted):
            self._told = -1.0
            self._print(f"{event.tool} …")
        elif isinstance(event, ToolProgress) and event.total:
            share = event.done / event.total
            if self._inline or share >= self._told + 0.1:
                self._told = share
                self._print(f"{event.tool} {share:4.0%} {event.message}")
        elif isinstance(event, Finished) and self._inline:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _print(self, line: str) -> None:
        start, end = ("\r\x1b[K", "") if self._inline else ("", "\n")
        print(f"{start}{line}", end=end, file=sys.stderr, flush=True)


def plain(answer: Answer) -> str:
    """An answer as text for a terminal."""
    lines = []
    if answer.interpretation:
        lines += [f"Understood as: {answer.interpretation}", ""]
    lines.append(answer.answer)
    lines += [f"  {number}. {option}" for number, option in enumerate(answer.options, start=1)]
    if answer.alternatives:
        lines += ["", "Not what was meant? Reply, for instance:"]
        lines += [f'  "{reading}"' for reading in answer.alternatives]
    if answer.artefacts:
        lines += ["", "Files:"]
        lines += [f"  {artefact.title}: {artefact.path}" for artefact in answer.artefacts]
    if answer.route == "clarify":
        lines += ["", f'Answer with: terralogue ask --thread {answer.thread} -q "…"']
    else:
        lines += ["", f"Conversation: --thread {answer.thread}"]
    return "\n".join(lines)


def _point(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"--point {text!r} is not a column and a row; write X,Y, such as 120,340."
        ) from None
    return x, y


def _batch(args: argparse.Namespace) -> int:
    if not args.dry_run:
        raise InputError("--batch only plans; add --dry-run.")
    from terralogue.agent.batch import plan_batch  # type: ignore[import-not-found,unused-ignore]

    for line in plan_batch(Path(args.batch), planner=args.planner):
        print(json.dumps(line, ensure_ascii=False))
    return 0
