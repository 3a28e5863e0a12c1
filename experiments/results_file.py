"""Where an experiment's numbers go, with what is needed to read them later."""

import datetime
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import jax

RESULTS = Path(__file__).parent / "results"


def device() -> str:
    """The device that JAX runs on, in words."""
    devices = jax.local_devices()
    kind = devices[0].device_kind
    if kind == "cpu":
        cpus = Path("/proc/cpuinfo")
        names = cpus.read_text().splitlines() if cpus.exists() else []
        kind = next(
            (n.split(": ")[1] for n in names if "model name" in n), platform.machine()
        )
        return f"{os.cpu_count()} cores of {kind}"
    return f"{len(devices)} x {kind}"


def save(name: str, numbers: dict) -> Path:
    """Write results/<name>.json: the numbers, the commit, the device, command and date."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True
    ).stdout.strip()
    about = {
        "command": " ".join(["python", *sys.argv]),
        "date": datetime.date.today().isoformat(),
        "commit": commit,
        "device": device(),
        "jax": jax.__version__,
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({**about, **numbers}, indent=2) + "\n")
    return path
