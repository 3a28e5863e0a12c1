"""Which training examples does a network memorize, and which test examples need them?"""

import importlib
import os

if os.name == "nt":
    raise ImportError("jaxmem runs on Linux and macOS; on Windows, use it in WSL")

from jaxmem.data import Dataset, content_ids, load_dataset, make_dataset
from jaxmem.errors import InputError
from jaxmem.foreign import adopt_trials
from jaxmem.merging import merge_runs
from jaxmem.models import MODELS, Model, Spec, from_linen
from jaxmem.predicting import extract_features, predict_trials
from jaxmem.recipes import RECIPES, Recipe
from jaxmem.results import Pairs, Run, open_run
from jaxmem.running import run_trials
from jaxmem.version import __version__

# Modules that the README names and that nothing above needs: loaded when asked for.
_MODULES = (
    "analysis",
    "curves",
    "datamodels",
    "exports",
    "figures",
    "soft",
    "summary",
    "valuation",
)

__all__ = [
    "MODELS",
    "RECIPES",
    "Dataset",
    "InputError",
    "Model",
    "Pairs",
    "Recipe",
    "Run",
    "Spec",
    "__version__",
    "adopt_trials",
    "content_ids",
    "extract_features",
    "from_linen",
    "load_dataset",
    "make_dataset",
    "merge_runs",
    "open_run",
    "predict_trials",
    "run_trials",
]


def __getattr__(name: str):
    if name in _MODULES:
        return importlib.import_module(f"jaxmem.{name}")
    raise AttributeError(f"module 'jaxmem' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
