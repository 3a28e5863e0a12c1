"""Which training examples does a network memorize, and which test examples need them?

    data = jaxmem.load_dataset("digits")
    run = jaxmem.run_trials(data, trials=4000, workdir="runs/digits")
    run.memorization, run.pairs()

Names load what they need when asked for: reading a workdir imports no network library.
"""

import importlib
import os

if os.name == "nt":
    raise ImportError("jaxmem runs on Linux and macOS; on Windows, use it in WSL")

from jaxmem.errors import InputError
from jaxmem.version import __version__

# Public name → the module that has it.
_NAMES = {
    "MODELS": "models",
    "OPTIMIZERS": "training.optimizers",
    "Model": "models",
    "Spec": "models",
    "from_linen": "models",
    "Dataset": "data",
    "content_ids": "data",
    "load_dataset": "data",
    "make_dataset": "data",
    "RECIPES": "training.recipes",
    "Recipe": "training.hyperparameters",
    "candidate_masks": "training.subsets",
    "removal_masks": "training.subsets",
    "Pairs": "estimates.pairs",
    "Run": "estimates.results",
    "Suspects": "estimates.suspects",
    "open_run": "estimates.opening",
    "merge_runs": "estimates.merging",
    "disjoint_trials": "estimates.disjoint",
    "run_trials": "running.trials",
    "find_suspects": "running.suspects",
    "confirm": "running.confirming",
    "remove_top": "running.removing",
    "extract_features": "running.prediction",
    "predict_trials": "running.prediction",
    "adopt_trials": "running.adopting",
    "Report": "reporting.report",
}
# Modules that are reached as attributes: jaxmem.soft, jaxmem.figures, jaxmem.models, …
_MODULES = {
    **{
        name: f"estimates.{name}"
        for name in (
            "agreement",
            "datamodels",
            "detection",
            "dynamics",
            "judge",
            "membership",
            "privacy",
            "soft",
            "valuation",
            "variance",
        )
    },
    **{name: f"reporting.{name}" for name in ("exports", "figures", "summary")},
    **{name: name for name in ("data", "models")},
}

__all__ = ["InputError", "__version__", *_NAMES]


def __getattr__(name: str):
    if name in _NAMES:
        value = getattr(importlib.import_module(f"jaxmem.{_NAMES[name]}"), name)
    elif name in _MODULES:
        value = importlib.import_module(f"jaxmem.{_MODULES[name]}")
    else:
        raise AttributeError(f"module 'jaxmem' has no attribute {name!r}")
    globals()[name] = value  # found without us from now on
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES, *_MODULES})
