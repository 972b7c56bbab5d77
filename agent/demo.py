"""The demonstration in the terminal: one question on our own synthetic scene, answered in full."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from terralogue.agent.answer import Answer
from terralogue.agent.figures import quantity
from terralogue.agent.samples import DEMO_QUESTION, SAMPLES, sample_files
from terralogue.agent.session import ChatSession


def write_samples(home: Path) -> None:
    """Write the sample scenes into the home folder, those that are not there yet."""
    for key in SAMPLES:
        sample_files(home / "samples", key)


def run_demo(home: Path, say: Callable[[str], None] = print) -> Answer:
    """Ask one question about the synthetic river valley, and print what comes of it.

    Args:
        home: Where scenes, results and the conversation are kept.
        say: Takes one paragraph at a time.

    Raises:
        EOError: the home folder cannot be written.
    """
    (scene,) = sample_files(home / "samples", "valley")
    say(f"A synthetic Sentinel-2 scene: {scene}\n\n? {DEMO_QUESTION}\n")
    with ChatSession(home=home) as session:
        answer = session.ask(DEMO_QUESTION, [scene])
    say(f"{answer.answer}\n")
    labels = [item.label or item.name for item in answer.measurements]
    width = max(map(len, labels), default=0)
    for label, item in zip(labels, answer.measurements, strict=True):
        say(f"  {label:<{width}}  {quantity(item.value, item.unit):>10}")
    say("\nFiles:")
    for artefact in answer.artefacts:
        say(f"  {artefact.title or artefact.kind}: {artefact.path}")
    say(f'\nGo on with it: terralogue ask --thread {answer.thread} -q "And in acres?"')
    return answer
