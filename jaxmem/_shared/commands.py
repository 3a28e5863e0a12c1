"""What the commands share: help, thresholds, and how they end."""

import argparse
import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from jaxmem._shared.arguments import difference, positive
from jaxmem._shared.cache import keep_compiled
from jaxmem._shared.devices import use_all_cores
from jaxmem._shared.files import reason
from jaxmem.errors import InputError
from jaxmem.estimates.search import MEMORY

BAD_INPUT, INTERRUPTED = 2, 130  # exit codes, as shells have them


def make_parser(name: str, doc: str) -> argparse.ArgumentParser:
    """The parser of `python -m jaxmem.<name>`, whose help is the module's docstring."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what it cannot show it shall not die of
            stream.reconfigure(errors="replace")
    return argparse.ArgumentParser(
        prog=f"python -m jaxmem.{name}",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_memory(add: Callable) -> None:
    """What a search may take."""
    add(
        "--memory",
        type=_memory,
        default=MEMORY,
        metavar="GIB",
        help="GiB for the search for discoveries and of --top, not counting Python and JAX "
        f"(default: {MEMORY:g})",
    )


def _checked(check: Callable[[str], float]) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            return check(text)
        except ValueError as error:  # also InputError
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse


_difference = _checked(lambda text: difference("threshold", float(text)))
_memory = _checked(lambda text: positive("memory", float(text)))


def add_thresholds(add: Callable) -> None:
    """What counts as memorized, and as a pair."""
    add(
        "--mem-threshold",
        type=_difference,
        default=0.25,
        help="least memorization of a memorized example (default: 0.25)",
    )
    add(
        "--infl-threshold",
        type=_difference,
        default=0.15,
        help="least influence of a high-influence pair (default: 0.15)",
    )


def run_command(
    command: Callable[..., None], args: argparse.Namespace, after_interrupt: str = ""
) -> int:
    """Call command(**args); returns the exit code: 0, 2 for bad input, 130 interrupted."""
    use_all_cores()
    try:
        keep_compiled()
        command(**vars(args))
    except InputError as error:
        print(f"jaxmem: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print(f"jaxmem: interrupted{after_interrupt}", file=sys.stderr)
        return INTERRUPTED
    return 0


@contextlib.contextmanager
def writing(folder: Path, more: str = "") -> Iterator[None]:
    """Files into a folder; raises InputError where they cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except InputError:
        raise
    except (OSError, ValueError) as error:  # TensorStore's are ValueErrors
        raise InputError(f"cannot write to {folder}: {reason(error)}{more}") from error


def exit_with(main: Callable[[], int]) -> None:
    """Run main as this process's command."""
    # The libraries' advice is for us; what matters to users raises.
    logging.getLogger("absl").setLevel(logging.ERROR)
    sys.exit(main())
