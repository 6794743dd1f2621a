"""`penstock VERB ...`: finds the verb, and turns every failure into one line and an exit code."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from types import FrameType

import penstock
from penstock.core.errors import Interrupted, PenstockError, RecipeError, ResourceError, suggest
from penstock.core.machine import place, share_cores
from penstock.core.memory import ran_out

VERBS = {
    "train": "train a model: penstock train classify --data digits",
    "resume": "go on with an interrupted run, bit for bit",
    "evaluate": "measure a trained model on its test split, or on other data",
    "predict": "apply a trained model to raw rows, picture files or folders",
    "sample": "let a model make something new: pictures, or a text token by token",
    "reconstruct": "code examples, and write what is made of the codes",
    "encode": "write the codes of examples, and a map of them",
    "interpolate": "walk from one example or seed to another",
    "runs": "list the runs, or compare some of them",
    "play": "look on while a policy acts: in the terminal, a window or a film",
    "report": "write a run's report page again",
    "data": "list the named data sets, describe or download one",
    "recipes": "list the tasks that can be trained",
}
"""Every verb is the module of that name in this room, with a function `run(words)`."""
BY_ALL = {"train", "resume"}
"""What all processes that `torchrun` has started do together; the rest is done by the first."""


def main() -> None:
    """The entry point of the command."""
    try:
        code = run(sys.argv[1:])
    finally:  # from here on a signal has nothing to save; `torchrun` sends one as soon as one of several has left
        signal.signal(signal.SIGTERM, signal.SIG_IGN if os.environ.get("LOCAL_RANK") else signal.SIG_DFL)
    sys.exit(code)


def program() -> None:
    """The command: `main`, and then away at once. To take the interpreter apart takes longer than a short training."""
    code: object = 1
    try:
        main()
    except SystemExit as left:
        code = left.code
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0)


def run(words: Sequence[str]) -> int:
    """Do what the words ask for; returns the exit code."""
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    signal.signal(signal.SIGTERM, _terminated)
    share_cores()
    try:
        code = _dispatch(words)
        sys.stdout.flush()  # a full disk behind it is told now, or nobody is told
        return code
    except PenstockError as error:
        if debug and not error.told:
            traceback.print_exc()
        if not error.told:
            print(f"penstock: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print("penstock: interrupted: nothing was being trained; start again", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as in `penstock runs | head -1`
        _give_up_output()
        return 0
    except Exception as error:  # noqa: BLE001 - the last resort: a fault of ours is one line too
        if debug:
            traceback.print_exc()
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            _give_up_output()
            print("penstock: output: there is no space left to write to; make room", file=sys.stderr)
            return ResourceError.code
        if ran_out(error):
            print(
                "penstock: memory: there is not enough for this; give less data at once, or make room", file=sys.stderr
            )
            return ResourceError.code
        said = " ".join(str(error).split())[:300]
        line = f"penstock: internal error: {type(error).__name__}: {said}; run again with --debug and report it"
        print(line, file=sys.stderr)
        return 1


def _dispatch(words: Sequence[str]) -> int:
    if place().rank and (not BY_ALL.intersection(words[:1]) or {"-h", "--help"}.intersection(words)):
        return 0
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    if words[0] in ("-V", "--version"):
        print(f"penstock {penstock.__version__}")
        return 0
    verb, *rest = words
    if verb not in VERBS:
        raise RecipeError("penstock", f"there is no verb {verb!r}", suggest(verb, VERBS))
    code: int = import_module(f"penstock.cli.{verb}").run(rest)
    return code


def _give_up_output() -> None:
    """What is still to be printed goes nowhere, so that leaving does not try again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _overview() -> str:
    verbs = "\n".join(f"  {verb:<12}{summary}" for verb, summary in VERBS.items())
    return f"""usage: penstock VERB ...

{penstock.__doc__.splitlines()[0]}

verbs:
{verbs}

examples:
  penstock train classify                                   a picture classifier, on data that need no download
  penstock train regress --data houses.csv --target price   your own table
  penstock train classify --data photos/                    your own pictures, a folder for each class
  penstock predict runs/classify/photos-cnn new.jpg

Each verb has --help. --debug shows a traceback with an error. --version tells the version."""


def _terminated(number: int, frame: FrameType | None) -> None:
    raise Interrupted(number, "penstock", "terminated before training began", "start again")
