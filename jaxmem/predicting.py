"""Run the models that a workdir kept on another test set.

run = jaxmem.predict_trials("runs/digits", other)  # trained with keep_models=True
run.pairs()                                        # influence on the test examples of other
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxmem.data import Dataset
from jaxmem.ensemble import make_mesh, predict_models, use_all_cores
from jaxmem.errors import InputError
from jaxmem.kept import KeptModels
from jaxmem.models import Spec, make_model
from jaxmem.progress import progress
from jaxmem.results import Run, open_run


def predict_trials(workdir: str | Path, data: Dataset) -> Run:
    """The workdir's run, as if data.test had been its test set.

    Its trials are those finished ones whose models were kept. Raises InputError if there
    are none, or if the images have another shape or more classes than the models know.
    """
    use_all_cores()
    run = open_run(workdir)
    folder = run.workdir / "models"
    kept = KeptModels(run.workdir) if folder.exists() else None
    wanted = np.intersect1d(run.trials, kept.trials()) if kept else np.zeros(0, int)
    if not wanted.size:
        raise InputError(f"{workdir} kept no models: train it with --keep-models")
    shape = tuple(run.config["image_shape"])
    if data.test.images.shape[1:] != shape:
        raise InputError(
            f"{data.name} has images of shape {data.test.images.shape[1:]}; the models of "
            f"{workdir} know {shape}"
        )
    classes = run.config["num_classes"]
    if data.test.labels.max() >= classes:
        raise InputError(
            f"{data.name} has label {data.test.labels.max()}; the models of {workdir} know "
            f"{classes} classes, 0 … {classes - 1}"
        )
    precision = jnp.dtype(run.config["precision"])
    spec = Spec(classes, tuple(run.config["hidden"]), precision)
    model = make_model(run.config["model"], spec)
    image = jax.ShapeDtypeStruct(shape, jnp.float32)
    params, state = jax.eval_shape(model.init, jax.random.key(0), image)
    program = predict_models(model, make_mesh(), data.test.images, data.test.labels)
    correct = np.zeros((wanted.size, data.test.labels.size), bool)
    with progress("predicting", wanted.size, "models") as bar:
        for numbers, block in kept.blocks({"params": params, "model_state": state}):
            place = np.searchsorted(wanted, numbers).clip(max=wanted.size - 1)
            known = wanted[place] == numbers  # not one that diverged
            right = np.asarray(program(block["params"], block["model_state"]))
            correct[place[known]] = right[known]
            bar.update(len(numbers))
    return run.with_test(wanted, data.test, correct)
