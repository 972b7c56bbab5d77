"""The command line. Every subcommand imports what it needs when it is called.

terralogue ask scene.tif -q "How much of this is under water?"
terralogue --help
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

from terralogue.datasets.errors import EOError, InputError

INTERRUPTED = 130
VLM_HELP = (
    "image-reading model: embedded (default), embedded:<folder>, gemma:<folder>, "
    "hf:<repo or folder>[+lora:<folder>], or openai:<base url>#<model>"
)
CRASHED = 1


class Parser(argparse.ArgumentParser):
    """Says in one sentence what is wrong with the arguments."""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print after its usage and exit with."""
        raise InputError(f"{message[:1].upper()}{message[1:]}; see {self.prog} --help.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 answered, 2 bad input or usage, 3 a question has to be answered first, 4 refused,
        130 interrupted, 1 a mistake in this program.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    arguments = [each for each in arguments if each != "--debug"]
    try:
        if arguments[:1] == ["serve-tools"]:
            return _serve_tools(arguments[1:])
        if arguments[:1] == ["eval"]:
            return _eval(arguments[1:])
        if arguments[:1] == ["train"]:
            return _train(arguments[1:])
        return _run(_parser().parse_args(arguments))
    except EOError as error:
        if debug:
            traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except SystemExit as ended:
        # argparse ends so after --help; a caller of this function wants the code.
        return ended.code if isinstance(ended.code, int) else 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone; nothing is left to say to anybody.
        sys.stderr.close()
        return CRASHED
    except Exception as error:
        if debug:
            traceback.print_exc()
        print(
            f"error: something went wrong that should not have ({type(error).__name__}: {error}); "
            "with --debug the same command shows where.",
            file=sys.stderr,
        )
        return CRASHED


def _run(args: argparse.Namespace) -> int:
    command: Callable[[argparse.Namespace], int] = args.run
    return command(args)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="terralogue",
        description="Talk with Earth-observation scenes: measured answers, with a map, a method "
        "and files.",
        epilog="With --debug, any command shows a traceback where it fails.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_ask(commands.add_parser("ask", help="ask a question about scenes"))
    _add_chat(commands.add_parser("chat", help="open the chat in the browser"))
    # Its arguments are the tool server's own; it stands here for the list of commands.
    commands.add_parser("serve-tools", help="serve the measuring tools over MCP", add_help=False)
    _add_teach(commands.add_parser("teach", help="teach a class from a few examples"))
    _add_index(commands.add_parser("index", help="make an archive of scenes to search"))
    _add_search(commands.add_parser("search", help="search an archive by words or by a scene"))
    # Its options differ by task.
    commands.add_parser("eval", help="score a model on a benchmark", add_help=False)
    commands.add_parser("train", help="train what is embedded", add_help=False)
    doctor = commands.add_parser("doctor", help="what is installed, which models, which device")
    doctor.add_argument("--json", action="store_true", help="print one JSON object")
    doctor.add_argument("--recommend", nargs=2, metavar=("SENSOR", "TASK"), help="which model for "
        "a sensor and a task, such as: sentinel2_l2a water")  # fmt: skip
    doctor.set_defaults(run=_doctor)
    _add_models(commands.add_parser("models", help="models that can be had, and getting one"))
    return parser


def _add_ask(ask: argparse.ArgumentParser) -> None:
    ask.description = (
        "Ask a question about scenes; exit code 0 answered, 2 bad input, 3 a question "
    )
    ask.description += "back (answer it with --thread ID -q ANSWER), 4 refused."
    add = ask.add_argument
    add("scenes", nargs="*", metavar="SCENE", help="file or folder, one scene each; the one-band "
        "files of one acquisition are one scene")  # fmt: skip
    add("-q", "--question", metavar="TEXT", help="the question, or the answer to one; without it "
        "a thread goes on with what was cut short")  # fmt: skip
    add("--json", action="store_true", help="print one JSON object")
    add("--out", metavar="DIR", help="put the files and answer.json here")
    add("--thread", metavar="ID", help="go on with this conversation")
    add("--point", metavar="X,Y", help="column and row of a pixel of the first scene")
    add("--region", metavar="FILE|W,S,E,N", help="GeoJSON file or bounding box, kept for the "
        "questions after; 'all' ends it")  # fmt: skip
    add("--sensor", metavar="KEY", action="append", help="sensor of the scenes: once for all, or "
        "once for each")  # fmt: skip
    add("--date", metavar="YYYY-MM-DD", action="append", help="when a scene was taken: once for "
        "each")  # fmt: skip
    add("--vlm", metavar="SPEC", default="embedded", help=VLM_HELP)
    add("--planner", metavar="SPEC", default="embedded", help="embedded (default), "
        "hf:<repo or folder>, or openai:<base url>#<model>")  # fmt: skip
    add("--dry-run", action="store_true", help="stop after the plan")
    add("--quick", action="store_true", help="masks from coarse pixels, as a first look")
    add("--batch", metavar="FILE.jsonl", help="plan many questions; needs --dry-run")
    ask.set_defaults(run=_ask)


def _add_chat(chat: argparse.ArgumentParser) -> None:
    add = chat.add_argument
    add("--host", default="127.0.0.1", help="address to listen on")
    add("--port", type=int, help="the first free one from 7860 on")
    add("--auth", metavar="USER:PASSWORD", help="ask for these before letting anyone in")
    add("--vlm", metavar="SPEC", default="embedded", help=VLM_HELP)
    chat.set_defaults(run=_chat)


def _add_teach(teach: argparse.ArgumentParser) -> None:
    teach.description = "Teach a class from a few examples, and show how well it is told apart."
    add = teach.add_argument
    add("name", nargs="?", metavar="NAME", help="what to call the class; 'list' lists the taught")
    add("--yes", nargs="+", default=[], metavar="PATH", help="examples with it: files, folders, or "
        "SCENE@COLUMN,ROW")  # fmt: skip
    add("--no", nargs="+", default=[], metavar="PATH", help="examples without it")
    add("--out", metavar="FILE", help="store it in this file instead of the home folder")
    add("--size", type=int, default=160, metavar="PIXELS", help="side of the window around a pixel "
        "(default 160)")  # fmt: skip
    add("--sensor", metavar="KEY", help="sensor of the examples, where it cannot be told")
    add("--model", metavar="SPEC", default="embedded", help="embedding model (default embedded)")
    add("--device", default="cpu", help="cpu (default) or cuda")
    add("--list", action="store_true", help="list the taught classes")
    add("--json", action="store_true", help="print JSON objects")
    teach.set_defaults(run=_teach)


def _add_index(index: argparse.ArgumentParser) -> None:
    actions = index.add_subparsers(required=True, metavar="ACTION")
    adding = actions.add_parser("add", help="index what is new or changed in files and folders")
    add = adding.add_argument
    add("paths", nargs="+", metavar="PATH", help="files and folders of scenes")
    add("--archive", metavar="DIR|URL", help="folder, or s3://, gs://, az://; else "
        "TERRALOGUE_ARCHIVE or the home folder's")  # fmt: skip
    add("--tile", type=int, default=256, metavar="PIXELS", help="side of the tiles that long "
        "scenes are cut into (default 256)")  # fmt: skip
    add("--model", metavar="SPEC", help="embedding model of a new archive (default embedded)")
    add("--sensor", metavar="KEY", help="sensor of the scenes whose sensor cannot be told")
    add("--prune", action="store_true", help="take out scenes whose files are gone")
    add("--json", action="store_true", help="print one JSON object")
    adding.set_defaults(run=_index)


def _add_search(search: argparse.ArgumentParser) -> None:
    search.description = "Search an archive by words, by a scene, or by a class that was taught."
    add = search.add_argument
    add("text", nargs="*", metavar="TEXT", help="what to find")
    add("--like", metavar="SCENE", help="find what looks like this scene")
    add("--region", metavar="FILE|W,S,E,N", help="part of that scene to go by")
    add("--taught", metavar="NAME", help="find more of a class from terralogue teach")
    add("--changes", action="store_true", help="find before/after pairs by a described change")
    add("--archive", metavar="DIR|URL", help="as in terralogue index add")
    add("-k", type=int, default=10, metavar="N", help="how many to find (default 10)")
    add("--bbox", metavar="W,S,E,N", help="only there, in degrees")
    add("--period", metavar="FIRST/LAST", help="only taken then, such as 2020 or 2020-05/2020-09")
    add("--sensor", metavar="KEY", help="only of this sensor, such as sentinel2")
    add("--json", action="store_true", help="print one JSON object")
    add("--out", metavar="DIR", help="put the sheet of thumbnails and the footprints here")
    search.set_defaults(run=_search)


def _add_models(models: argparse.ArgumentParser) -> None:
    actions = models.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="what can be had, its size and licence")
    listing.add_argument("--json", action="store_true", help="print one JSON object per line")
    listing.set_defaults(run=_models_list)
    get = actions.add_parser("get", help="fetch a model; the only command that downloads")
    get.add_argument("spec", metavar="SPEC", help="name from `models list`")
    get.set_defaults(run=_models_get)


def _ask(args: argparse.Namespace) -> int:
    from terralogue.agent.cli_ask import run

    return run(args)


def _chat(args: argparse.Namespace) -> int:
    from terralogue import app

    options = ["--host", args.host, "--vlm", args.vlm]
    options += ["--port", str(args.port)] if args.port is not None else []
    return app.main([*options, *(["--auth", args.auth] if args.auth else [])])


def _serve_tools(arguments: list[str]) -> int:
    from terralogue.tools import server

    return server.main(arguments)


def _eval(arguments: list[str]) -> int:
    from terralogue.eval import cli

    return cli.main(arguments)


def _teach(args: argparse.Namespace) -> int:
    from terralogue.agent.cli_teach import run

    return run(args)


def _index(args: argparse.Namespace) -> int:
    from terralogue.tools.archive_cli import index

    return index(args)


def _search(args: argparse.Namespace) -> int:
    from terralogue.tools.archive_cli import search

    return search(args)


def _train(arguments: list[str]) -> int:
    from terralogue.vlm.train import main as train

    return train(arguments)


def _doctor(args: argparse.Namespace) -> int:
    if args.recommend:
        from terralogue.tools.foundation_choice import print_recommendation

        return print_recommendation(*args.recommend, as_json=args.json)
    from terralogue.agent.doctor import run

    return run(as_json=args.json)


def _models_list(args: argparse.Namespace) -> int:
    from terralogue.agent.models import print_list
    from terralogue.tools import foundation_listing

    return print_list(as_json=args.json) or foundation_listing.print_list(as_json=args.json)


def _models_get(args: argparse.Namespace) -> int:
    from terralogue.agent.models import get
    from terralogue.tools import foundation_listing

    dense = args.spec.startswith(foundation_listing.PROVIDERS)
    return foundation_listing.get(args.spec) if dense else get(args.spec)


if __name__ == "__main__":
    sys.exit(main())
