"""Print the lowest versions that setup.cfg allows, as constraints for pip.

    python tests/lowest.py tests > lowest.txt
    pip install -c lowest.txt -e '.[tests]'

Arguments are extras, whose requirements are listed too.
"""

import configparser
import re
import sys
from pathlib import Path

SETUP = Path(__file__).parents[1] / "setup.cfg"


def lowest(extras: list[str]) -> list[str]:
    """`name==version` of every requirement; raises ValueError for one without a bound."""
    config = configparser.ConfigParser()
    config.read(SETUP, encoding="utf-8")
    lines = config["options"]["install_requires"].splitlines()
    for extra in extras:
        lines += config["options.extras_require"][extra].splitlines()
    pins = []
    for line in filter(None, lines):
        match = re.fullmatch(r"([\w-]+)>=([\d.]+)", line)
        if match is None:
            raise ValueError(f"{line!r} in setup.cfg is not of the form name>=version")
        pins.append("==".join(match.groups()))
    return pins


if __name__ == "__main__":
    print("\n".join(lowest(sys.argv[1:])))
