"""`terralogue teach NAME --yes PATH… --no PATH…`: a class from a few examples."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terralogue.agent.home import home_folder, make_home
from terralogue.datasets.errors import InputError

if TYPE_CHECKING:
    from terralogue.vlm.teach import TaughtClass

LIST = "list"


def taught_folder(home: Path) -> Path:
    """Folder of taught classes."""
    return home / "taught"


def run(args: argparse.Namespace) -> int:
    """Teach a class and show its score, or list those taught."""
    if args.list or (args.name == LIST and not args.yes and not args.no):
        return _list(taught_folder(home_folder()), as_json=args.json)
    if not args.name:
        raise InputError("There is no name; write terralogue teach NAME --yes PATH … --no PATH ….")
    # Brings torch and scikit-learn, which a mistake in the arguments should not wait for.
    from terralogue.vlm.clip import load_geoclip
    from terralogue.vlm.teach import taught_file, teach

    if args.size < 1:
        raise InputError(f"--size {args.size} is not a size; give pixels, such as 160.")
    folder = taught_folder(home_folder())
    file = Path(args.out) if args.out else taught_file(args.name, folder)
    clip = load_geoclip(args.model, device=args.device)
    taught = teach(args.name, args.yes, args.no, clip, size=args.size, sensor=args.sensor)
    if not args.out:
        make_home()
    replaced = file.is_file()
    written = taught.save(file)
    if args.json:
        print(json.dumps({**_facts(taught), "file": str(written)}, ensure_ascii=False))
        return 0
    print(f"Taught {taught.name!r} from {len(taught.yes)} examples with it and {len(taught.no)} "
          f"without, on the model {taught.model} ({taught.fingerprint}).")  # fmt: skip
    print(taught.validation.sentence())
    print(f"{'Replaced' if replaced else 'Stored'}: {written}")
    if not args.out:
        print(f'Find more of it: terralogue search --taught "{taught.name}"')
    return 0


def _list(folder: Path, *, as_json: bool) -> int:
    from terralogue.vlm.teach import load_taught, taught_names

    names = taught_names(folder)
    for name in names:
        taught = load_taught(name, folder)
        if as_json:
            print(json.dumps(_facts(taught), ensure_ascii=False))
            continue
        score = taught.validation.balanced_accuracy
        shown = "not scored" if score is None else f"balanced accuracy {score:.2f}"
        print(f"{name}  {len(taught.yes)} with, {len(taught.no)} without, {shown}, {taught.model}")
    if not names:
        print("No class was taught yet.", file=sys.stderr)
    return 0


def _facts(taught: TaughtClass) -> dict[str, Any]:
    score = taught.validation
    return {
        "name": taught.name,
        "model": taught.model,
        "fingerprint": taught.fingerprint,
        "n_yes": len(taught.yes),
        "n_no": len(taught.no),
        "scheme": score.scheme,
        "folds": score.folds,
        "balanced_accuracy": score.balanced_accuracy,
        "interval_95": score.interval,
        "auc": score.auc,
        "calibrated": taught.calibrated,
    }
