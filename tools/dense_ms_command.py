"""`terralogue train slots`: land cover and water on any multispectral or radar bands.

    terralogue train slots cover --out out/cover --minutes 60 --workers 2
    terralogue train slots water --data DATA --init out/cover --out out/water --minutes 20

Land cover learns from the scene simulator, with --pictures from the chips of EuroSAT beside it, and
with --adapt from real scenes without labels. Water goes on from it with the chips of
`water_s2l8` beside simulated scenes; every setting is cross-validated by place, and the last
network learns from all chips.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from terralogue.datasets.errors import InputError
from terralogue.vlm.align_command import Parser

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from terralogue.tools.dense_ms_model import SlotNet
    from terralogue.tools.dense_ms_training import Recipe, Tiles
    from terralogue.tools.dense_ms_water import Chips

_VALIDATION_SCENES = 96
_VALIDATION_MOSAICS = 192


def _parser() -> argparse.ArgumentParser:
    made = Parser(prog="terralogue train slots", description="Train land cover or water.")
    add = made.add_argument
    add("what", choices=("cover", "water"), help="which network")
    add("--data", type=Path, default=os.environ.get("TERRALOGUE_DATA") or None, metavar="DIR",
        help="folder of the data sets; TERRALOGUE_DATA otherwise; only to make the pack of the "
        "water chips")  # fmt: skip
    add("--packs", type=Path, default=Path("packs"), metavar="DIR",
        help="the water chips are kept here")  # fmt: skip
    add("--out", type=Path, required=True, metavar="DIR", help="checkpoint and scores")
    add("--init", type=Path, metavar="DIR", help="checkpoint to begin with")
    add("--tiles", type=int, default=1000, metavar="N", help="simulated scenes")
    add("--workers", type=int, default=1, metavar="N", help="processes that simulate them")
    add("--minutes", type=float, default=60.0, help="of training; for water, of each of six runs")
    add("--steps", type=int, default=1_000_000, help="at most")
    add("--batch", type=int, default=24, help="images in a step")
    add("--side", type=int, default=128, help="of the crops that are learned from, in pixels")
    add("--rate", type=float, default=2e-3, help="highest learning rate")
    add("--strength", type=float, default=1.0, help="of the augmentation")
    add("--real", type=float, default=0.6, help="share of the water chips among the images drawn")
    add("--adapt", action="store_true", help="land cover: learn from real scenes without labels "
        "too")  # fmt: skip
    add("--pictures", action="store_true", help="land cover: learn from the colours of the chips "
        "of EuroSAT too, whose validation part counts as much as the simulated scenes")  # fmt: skip
    add("--bf16", action="store_true", help="compute in half precision: twice as fast on "
        "processors with AVX512-BF16; always so on CUDA")  # fmt: skip
    add("--no-final", action="store_true", help="cross-validate water, and stop there")
    add("--seed", type=int, default=0, help="of the order and the augmentation")
    add("--device", default="cpu", help="of torch")
    return made


def main(argv: Sequence[str]) -> int:
    """Train; 0 when done.

    Raises:
        InputError: an option, or data that are missing.
    """
    args = _parser().parse_args(argv)
    if args.minutes <= 0 or args.tiles < 8 or args.batch < 2 or not 0 < args.real <= 1:
        raise InputError(
            "--minutes must be above 0, --tiles 8 or more, --batch 2 or more, --real above 0 and "
            "at most 1"
        )
    if not 16 <= args.side <= 128 or args.side % 8:
        raise InputError(f"--side {args.side} cannot be used; give a multiple of 8, 16 to 128")
    if args.pictures and args.side != 64:
        raise InputError(f"--pictures needs crops of the size of its chips, not {args.side}; give "
                         "--side 64")  # fmt: skip
    import torch

    torch.manual_seed(args.seed)
    return _cover(args) if args.what == "cover" else _water(args)


def _recipe(args: argparse.Namespace) -> Recipe:
    from terralogue.tools.dense_ms_training import Recipe

    return Recipe(
        minutes=args.minutes,
        steps=args.steps,
        batch=args.batch,
        side=args.side,
        rate=args.rate,
        strength=args.strength,
        # A long run is looked at seven times.
        every=max(20.0, 8 * args.minutes),
        pictures=args.batch,
        unlabelled=args.batch // 2,
        bf16=args.bf16,
        # Colours of real land come first; a network that knows them labels from the start.
        alone=0.5 if args.pictures else 0.3 if args.init is None else 0.0,
    )


def _begin(args: argparse.Namespace, classes: Sequence[str]) -> SlotNet:
    """A network for these classes, with the weights of --init where they fit."""
    from terralogue.tools.dense_ms_checkpoint import read_slots
    from terralogue.tools.dense_ms_model import SlotConfig, SlotNet

    net = SlotNet(SlotConfig(tuple(classes)))
    if args.init is not None:
        known = read_slots(args.init).net.state_dict()
        own = net.state_dict()
        fits = {name: value for name, value in known.items() if own[name].shape == value.shape}
        net.load_state_dict({**own, **fits})
    return net.to(args.device)


def _cover(args: argparse.Namespace) -> int:
    from terralogue.datasets.dense_covers import CLOUDS, COVERS
    from terralogue.tools.dense_ms_calibration import calibrated
    from terralogue.tools.dense_ms_checkpoint import SlotFacts, write_slots
    from terralogue.tools.dense_ms_supply import VALIDATION, Supply, class_weights
    from terralogue.tools.dense_ms_training import predict, train, validate

    held = Supply(range(VALIDATION, VALIDATION + _VALIDATION_SCENES), args.workers, args.device)
    supply = Supply(range(args.tiles), args.workers, args.device, first=min(args.tiles, 200))
    validation = held.all()
    net = _begin(args, COVERS)
    held_out = [validation]
    pictures = None
    if args.pictures:
        pictures, real = _pictures(args)
        held_out.append(real)

    def score(each: SlotNet) -> float:
        means = [float(np.nanmean(validate(each, tiles).ious)) for tiles in held_out]
        _say(f"mean IoU of the validation parts {', '.join(f'{mean:.4f}' for mean in means)}")
        return float(np.mean(means))

    def keep(each: SlotNet, found: float) -> None:
        write_slots(args.out, each, SlotFacts())

    unlabelled = _unlabelled(args) if args.adapt else None
    weights = class_weights(supply.tiles())
    best = train(
        net,
        supply.tiles,
        _recipe(args),
        pictures=pictures,
        unlabelled=unlabelled,
        score=score,
        keep=keep,
        class_weights=weights,
        say=_say,
    )
    supply.close()
    facts = calibrated(
        predict(best, validation).numpy(), validation.codes.cpu().numpy(), COVERS, CLOUDS
    )
    write_slots(args.out, best, facts)
    for tiles in held_out:
        ious = validate(best, tiles).ious
        _say({name: round(float(iou), 3) for name, iou in zip(COVERS, ious, strict=True)})
    return 0


def _pictures(args: argparse.Namespace) -> tuple[Callable[[int], Tiles], Tiles]:
    """What draws chips to learn from, and mosaics of others to validate with."""
    import torch

    from terralogue.tools.dense_ms_pictures import PACK, drawing, mosaics, pack_pictures
    from terralogue.tools.dense_ms_pictures import read_pictures as read

    pack = args.packs / PACK
    if not pack.is_file() and args.data is not None:
        pack_pictures(args.data, pack)
    draw, held_out = drawing(read(pack, "train")), read(pack, "val")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tiles = mosaics(held_out, _VALIDATION_MOSAICS)
    return lambda count: draw(count).to(args.device), tiles


def _unlabelled(args: argparse.Namespace) -> Callable[[int], Tiles]:
    from terralogue.tools.dense_ms_pictures import thinner_air
    from terralogue.tools.dense_ms_training import drawn
    from terralogue.tools.dense_ms_unlabelled import PACK, pack_cities, read_unlabelled

    pack = args.packs / PACK
    if not pack.is_file() and args.data is not None:
        pack_cities(args.data, pack)
    tiles = read_unlabelled(pack, _chips(args))

    def draw(count: int) -> Tiles:
        some = drawn(tiles, count, args.side)
        return some._replace(planes=thinner_air(some.planes)).to(args.device)

    return draw


def _chips(args: argparse.Namespace) -> Chips:
    from terralogue.tools.dense_ms_water import PACK, pack_chips, read_chips

    pack = args.packs / PACK
    if not pack.is_file() and args.data is not None:
        pack_chips(args.data / "water_s2l8", pack)
    return read_chips(pack)


def _water(args: argparse.Namespace) -> int:
    from terralogue.tools.dense_ms_calibration import calibrated, softmax
    from terralogue.tools.dense_ms_checkpoint import write_slots
    from terralogue.tools.dense_ms_rule import with_rule
    from terralogue.tools.dense_ms_supply import Supply, as_water
    from terralogue.tools.dense_ms_training import predict, train
    from terralogue.tools.dense_ms_water import (
        best_threshold,
        held_out,
        nested_masks,
        water_score,
    )

    chips = _chips(args)
    simulated = as_water(Supply(range(args.tiles), args.workers, args.device).all())
    recipe = replace(_recipe(args), every=1e9)
    logits = np.zeros((len(chips.water), 2, *chips.water.shape[1:]), np.float32)

    def fit(rest: NDArray[np.intp]) -> SlotNet:
        mixed = _mixed(_tiles(chips, rest, args.device), simulated, args.real)
        return train(_begin(args, ("other", "water")), mixed, recipe, say=_say)

    def fold(rest: NDArray[np.intp], left_out: NDArray[np.intp]) -> NDArray[np.float32]:
        found = predict(fit(rest), _tiles(chips, left_out, args.device))
        logits[left_out] = found.numpy()
        return np.asarray(found.softmax(1)[:, 1].numpy(), np.float32)

    held_out(chips, fold)
    facts = calibrated(logits, chips.water.astype(np.uint8), ("other", "water"))
    likely = with_rule(
        softmax((logits / facts.temperature).astype(np.float32), 1)[:, 1], chips.planes
    )
    args.out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(args.out / "held_out.npz", likely=likely.astype(np.float16))
    score = water_score(nested_masks(chips, likely), chips.water)
    _say(f"cross-validated: {score.text}")
    (args.out / "scores.json").write_text(json.dumps(score._asdict()), encoding="utf-8")
    if not args.no_final:
        facts = replace(facts, thresholds={"water": best_threshold(likely, chips.water)})
        write_slots(args.out, fit(np.arange(len(chips.water))), facts)
    return 0


def _tiles(chips: Chips, which: NDArray[np.intp], device: str) -> Tiles:
    from terralogue.tools.dense_ms_training import as_tiles

    present = np.tile(chips.present, (len(which), 1))
    return as_tiles(chips.planes[which], present, chips.water[which].astype(np.uint8)).to(device)


def _mixed(real: Tiles, simulated: Tiles, share: float) -> Callable[[], Tiles]:
    """Gives real tiles, repeated until they are the wanted share, and simulated ones."""
    if share >= 1:
        return lambda: real
    times = max(1, round(share / (1 - share) * len(simulated.codes) / len(real.codes)))
    repeated = real.at(np.tile(np.arange(len(real.codes)), times))
    both = repeated.plus(simulated)
    return lambda: both


def _say(what: object) -> None:
    print(what, flush=True)
