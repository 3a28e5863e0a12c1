"""Which training examples does a network memorize, and which test examples need them?"""

from jaxmem.data import Dataset, load_dataset, make_dataset
from jaxmem.errors import InputError
from jaxmem.foreign import adopt_trials
from jaxmem.merging import merge_runs
from jaxmem.models import MODELS, Model, Spec, from_linen
from jaxmem.predicting import extract_features, predict_trials
from jaxmem.recipes import RECIPES, Recipe
from jaxmem.results import Pairs, Run, open_run
from jaxmem.running import run_trials
from jaxmem.version import __version__

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
    "extract_features",
    "from_linen",
    "load_dataset",
    "make_dataset",
    "merge_runs",
    "open_run",
    "predict_trials",
    "run_trials",
]
