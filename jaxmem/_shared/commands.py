"""What the commands share: help, and how they end."""

import argparse
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from jaxmem._shared.cache import keep_compiled
from jaxmem._shared.devices import use_all_cores
from jaxmem._shared.files import refusals
from jaxmem.errors import InputError

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


def run_command(
    command: Callable[..., None], args: argparse.Namespace, after_interrupt: str = ""
) -> int:
    """Call command(**args); returns the exit code: 0, 2 for bad input, 130 interrupted."""
    use_all_cores()
    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
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
def writing(folder: Path, way_out: str = "") -> Iterator[None]:
    """Files into a folder, made if need be; raises InputError where that cannot be done."""
    with refusals(folder, way_out):
        folder.mkdir(parents=True, exist_ok=True)
        yield


def exit_with(main: Callable[[], int]) -> None:
    """Run main as this process's command."""
    # The libraries' advice is for us; what matters to users raises.
    logging.getLogger("absl").setLevel(logging.ERROR)
    code = main()
    if code == INTERRUPTED:
        leave(code)
    sys.exit(code)


def leave(code: int) -> NoReturn:
    """End this process at once: JAX would wait for the program that runs, for minutes."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # a closed pipe
            stream.flush()
    os._exit(code)
