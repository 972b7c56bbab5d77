"""`terralogue train refer`: train the decoder that points, choose its thresholds, score it.

    terralogue train refer --data DATA --out out/refer --cache packs
    terralogue train refer --data DATA --out out/refer --cache packs --score test

The first command trains on the training parts and chooses and scores on the validation parts; the
second only scores what is there, on the test parts.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from terralogue.datasets.errors import InputError
from terralogue.vlm.align_command import Parser

if TYPE_CHECKING:
    from terralogue.datasets.parts import Part
    from terralogue.vlm.embedded_clip import EmbeddedCLIP
    from terralogue.vlm.referring_data import Marked
    from terralogue.vlm.referring_scores import Case

# How often sources are drawn: pictures among themselves, scenes of other sensors likewise.
WEIGHTS: Final = {
    "nwpu_vhr10": 4.0, "rsod": 3.0, "dubai": 1.2, "eth_roads": 0.6, "fair_buildings": 0.8,
    "inria_samples": 0.8, "neon_trees": 0.6, "rsicd": 1.0, "eurosat": 0.5, "sim_pictures": 2.0,
    "sen2ships": 1.0, "sim_sentinel2_l2a": 2.0, "sim_sentinel1_grd": 1.0, "sim_landsat8": 0.5,
    "sim_naip_rgbn": 0.5, "sim_worldview2": 0.5,
}  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """The options; those of `ReferConfig` mirror its fields."""
    from terralogue.vlm.referring_training import ReferConfig

    made = Parser(prog="terralogue train refer", description="Train pointing at what words name.")
    add = made.add_argument
    add("--data", type=Path, default=os.environ.get("TERRALOGUE_DATA"), metavar="DIR",
        help="folder of the data sets; TERRALOGUE_DATA otherwise")  # fmt: skip
    add("--out", type=Path, required=True, metavar="DIR", help="state, log and weights; a run "
        "that was cut short goes on from here")  # fmt: skip
    add("--sources", nargs="+", default=list(WEIGHTS), metavar="NAME", help="what to train on")
    add("--cache", type=Path, metavar="DIR", help="keep simulated scenes here between runs")
    add("--init", type=Path, metavar="DIR", help="begin with the decoder in this folder, such as "
        "one of other towers")  # fmt: skip
    add("--towers", default="embedded", metavar="MODEL",
        help="aligned towers: embedded, or embedded:<folder>")  # fmt: skip
    add("--score", choices=("val", "test"), help="only score the decoder in --out on this part")
    for field in fields(ReferConfig):
        option = f"--{field.name.replace('_', '-')}"
        add(option, type=type(field.default), default=field.default)
    return made


def main(argv: Sequence[str]) -> int:
    """Train and choose, or only score; 0 when done.

    Raises:
        InputError: an option, or a data set that is missing.
    """
    from terralogue.vlm.clip import load_geoclip
    from terralogue.vlm.embedded_clip import EmbeddedCLIP
    from terralogue.vlm.referring_model import Calibration, towers_of, write_decoder
    from terralogue.vlm.referring_sources import read_sources
    from terralogue.vlm.referring_training import ReferConfig, ReferTrainer

    args = vars(parser().parse_args(argv))
    config = ReferConfig(**{field.name: args[field.name] for field in fields(ReferConfig)})
    for name in ("steps", "batch", "texts"):
        if getattr(config, name) < 1:
            raise InputError(f"--{name} {getattr(config, name)} is too little; give 1 or more")
    if config.size < 64 or config.size % 32:
        raise InputError(f"--size {config.size} cannot be used; give a multiple of 32 from 64")
    if args["data"] is None or not Path(args["data"]).is_dir():
        raise InputError(
            "the folder of the data sets is missing; give --data or set TERRALOGUE_DATA"
        )
    clip = load_geoclip(args["towers"])
    if not isinstance(clip, EmbeddedCLIP):
        raise InputError(f"--towers {args['towers']} has no feature pyramid; give embedded")
    data, out, names = Path(args["data"]), args["out"], args["sources"]
    if args["score"] is None:
        found = read_sources(names, data, "train", cache=args["cache"])
        weighted = {name: (rows, WEIGHTS[name]) for name, rows in found.items()}
        decoder = ReferTrainer(config, clip, weighted, out, args["init"]).run()
        write_decoder(out, decoder, Calibration(), towers_of(clip.tower))
    _measure(clip, out, names, data, args["score"], args["cache"])
    return 0


def _measure(
    clip: EmbeddedCLIP, out: Path, names: Sequence[str], data: Path, only: Part | None,
    cache: Path | None,
) -> None:  # fmt: skip
    """Score the decoder in a folder: `only` a part, or choose its thresholds by validation first.

    Scores go to `scores_<part>.json` and to standard output.
    """
    from terralogue.vlm.referring import Referrer
    from terralogue.vlm.referring_model import Calibration, read_decoder, write_decoder
    from terralogue.vlm.referring_scores import (
        PEAKS,
        THRESHOLDS,
        answer,
        calibrate,
        make_cases,
        summarise,
    )
    from terralogue.vlm.referring_sources import read_sources

    wanted = only or "val"
    trained = read_decoder(out)
    rng = np.random.default_rng(0)
    pictures: list[Marked] = []
    cases: list[Case] = []
    for name, rows in read_sources(names, data, wanted, cache=cache).items():
        for row in rows:
            cases += make_cases(len(pictures), row, name, rng)
            pictures.append(row)
    tried = [trained.calibration]
    if only is None:
        tried = [Calibration(level, peak) for level in THRESHOLDS for peak in PEAKS]
    answers = answer(Referrer(clip, trained), pictures, cases, tried)
    if only is None:
        chosen, found = calibrate(answers)
        write_decoder(out, trained.decoder, chosen, trained.tower)
    else:
        found = answers[trained.calibration]
    scores = summarise(found, {i: picture.size for i, picture in enumerate(pictures)})
    text = json.dumps(scores, indent=1)
    (out / f"scores_{wanted}.json").write_text(text + "\n", encoding="utf-8")
    print(text)
