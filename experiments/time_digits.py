"""How long the main command takes on digits, as a whole process.

    python experiments/time_digits.py

Runs `python -m jaxmem.run` (4,000 trials) twice in workdirs of its own: with an empty cache
of compiled programs, as on a first start, and with a filled one. Aim: 180 s on two cores.
Writes experiments/results/time_digits.json. Takes about five minutes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from experiment import save


def run(trials: int, cache: str) -> dict:
    """Run the command once; the seconds it took, and its summary."""
    with tempfile.TemporaryDirectory() as workdir:
        command = [sys.executable, "-m", "jaxmem.run"]
        command += [f"--trials={trials}", f"--workdir={workdir}/run"]
        start = time.perf_counter()
        subprocess.run(command, check=True, env={**os.environ, "JAXMEM_CACHE": cache})
        seconds = time.perf_counter() - start
        summary = json.loads((Path(workdir) / "run" / "summary.json").read_text())
    return {"process_seconds": round(seconds, 1), "summary": summary}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=4000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        numbers = {start: run(args.trials, cache) for start in ("cold", "warm")}
    print(save("time_digits", numbers))


if __name__ == "__main__":
    main()
