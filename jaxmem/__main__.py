"""The commands under one name: `jaxmem run …` is `python -m jaxmem.run …`."""

import ast
import functools
import importlib
import sys
from pathlib import Path

from jaxmem.version import __version__

COMMANDS = ("run", "suspects", "estimate", "audit", "report", "predict", "adopt")


def main(argv: list[str] | None = None) -> int:
    """Run the command that argv names; returns or exits with the code of that command."""
    match sys.argv[1:] if argv is None else argv:
        case [name, *rest] if name in COMMANDS:
            from jaxmem._shared.commands import exit_with  # JAX loads only from here on

            module = importlib.import_module(f"jaxmem.{name}")
            exit_with(functools.partial(module.main, rest))
        case ["-h" | "--help"]:
            print(_usage())
        case ["--version"]:
            print(f"jaxmem {__version__}")
        case argv:
            print(_usage(), file=sys.stderr)
            if argv:
                print(f"\njaxmem: unknown command {argv[0]!r}", file=sys.stderr)
            return 2
    return 0


def _usage() -> str:
    lines = [f"  {name:<10}{_first_line(name)}" for name in COMMANDS]
    usage = "usage: jaxmem [--help] [--version] COMMAND …"
    return "\n".join([usage, "", *lines, "", "jaxmem COMMAND --help lists its flags."])


def _first_line(name: str) -> str:
    """What a command says of itself, without importing it."""
    source = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main())
