"""Run the models that a workdir kept.

run = jaxmem.predict_trials("runs/digits", other)  # trained with keep_models=True
run.pairs()                                        # influence on the test examples of other
"""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxmem._shared.arguments import whole
from jaxmem._shared.devices import use_all_cores
from jaxmem._shared.files import read_npz
from jaxmem._shared.progress import progress, say
from jaxmem.data import Dataset, make_dataset
from jaxmem.errors import InputError
from jaxmem.estimates.opening import open_run
from jaxmem.estimates.results import Run
from jaxmem.models import Model
from jaxmem.models.contract import PyTree
from jaxmem.models.freezing import frozen
from jaxmem.running.architecture import describe, make_architecture, options_of
from jaxmem.running.evaluating import predict_models
from jaxmem.running.planning import Placing, choose_placement
from jaxmem.storage.checkpoints import KeptModels, kept_part
from jaxmem.storage.config import Inputs
from jaxmem.training.ensemble import Placement
from jaxmem.training.fitting import TrainState
from jaxmem.training.inputs import describe_inputs, no_moments, scaling_of, to_float

FROZEN = "frozen.npz"  # of a workdir: what its trials share
FEATURE_ROWS = 500  # images whose features are computed at a time


class _Kept(NamedTuple):
    run: Run
    trials: np.ndarray  # int64 [K], finished ones whose models were kept, sorted
    models: KeptModels
    model: Model
    like: PyTree  # the tree of one kept model, as shapes


def predict_trials(workdir: str | Path, data: Dataset, placement: Placing = "auto") -> Run:
    """The workdir's run, as if data.test had been its test set.

    placement: where the images lie meanwhile, as in `run_trials`.

    Its trials are those finished ones whose models were kept. Raises InputError if there
    are none, or if the inputs are of another kind or shape, or of more classes, than the
    models know; says so where they have another range.
    """
    with jax.enable_x64(False):
        place = choose_placement(placement, data.test.images.nbytes)
        return _predict_trials(workdir, data, place)


def _predict_trials(workdir: str | Path, data: Dataset, placement: Placement) -> Run:
    run, wanted, models, model, like = _open(workdir, data)
    classes = run.config.num_classes
    if data.test.labels.max() >= classes:
        raise InputError(
            f"{data.name} has label {data.test.labels.max()}; the models of {workdir} know "
            f"{classes} classes, 0 … {classes - 1}"
        )
    if data.class_names and run.class_names and data.class_names != run.class_names:
        raise InputError(
            f"{data.name} has the classes {', '.join(data.class_names[:4])}, …, "
            f"the models of {workdir} {', '.join(run.class_names[:4])}, …; give it "
            "these by make_dataset(…, class_names=run.class_names)"
        )
    trained = run.config.inputs
    assert trained is not None  # only adopted trials have none
    images = _like_inputs(data.test.images, trained, data.name)
    program = predict_models(model, images, data.test.labels, placement)
    correct = np.zeros((wanted.size, data.test.labels.size), bool)
    with progress("predicting", wanted.size, "models") as bar:
        for numbers, block in models.blocks(like):
            place = np.searchsorted(wanted, numbers).clip(max=wanted.size - 1)
            known = wanted[place] == numbers  # not one that diverged
            correct[place[known]] = program(block)[known]
            bar.update(len(numbers))
    return run.with_test(wanted, data.test, correct)


def _like_inputs(images: np.ndarray, trained: Inputs, name: str) -> np.ndarray:
    """Images of the kind that the models were trained on; says where their range differs.

    Raises InputError, with the line that mends it, for another kind.
    """
    kind, low, high = trained
    mine = Inputs(*describe_inputs(images))
    ours = f"{name} has inputs of kind {mine.kind} in {mine.low:g} … {mine.high:g}"
    theirs = f"the models were trained on {kind} in {low:g} … {high:g}"
    integral = np.dtype(kind).kind != "f"
    scale = f"{high:g} / {mine.high:g}"
    if integral != (images.dtype.kind != "f"):
        line = f"x_test.astype('float32') * ({scale})"
        if integral:
            line = f"numpy.rint(x_test * ({scale})).astype({kind!r})"
        raise InputError(
            f"{ours}, but {theirs}; if that is another scale alone, give {line}"
        )
    # Compared, and so copied, only where it is of another kind.
    same = images.dtype == kind or np.array_equal(images.astype(kind), images)
    if integral and not same:
        line = f"numpy.rint(x_test * ({scale})).astype({kind!r})"
        raise InputError(
            f"{ours}, but {theirs}; if that is another scale alone, give {line}"
        )
    span = high - low
    beyond = max(low - mine.low, mine.high - high) > span / 4
    if beyond or mine.high - mine.low < span / 2:
        say(f"warning: {ours}, but {theirs}; predictions on another scale mean nothing")
    return images.astype(kind, copy=False)


def extract_features(workdir: str | Path, data: Dataset, trial: int = 0) -> Dataset:
    """The data as a kept model sees it: what its last dense layer is given, D numbers.

    The result's images are float32 [R, 1, D, 1], its ids those of the features. Raises
    InputError if the trial's model was not kept, knows no features, or takes other images.
    """
    with jax.enable_x64(False):
        return _extract_features(workdir, data, whole("trial", trial))


def _extract_features(workdir: str | Path, data: Dataset, trial: int) -> Dataset:
    run, model, one = _one_model(workdir, data, trial)
    if model.features is None:
        raise InputError(
            f"model {run.config.model} names no features; give its Model the function"
        )

    @jax.jit
    def features(images):
        inputs = to_float(images, one["scaling"])
        return model.features(one["params"], one["model_state"], inputs)

    def of(images):
        images = _like_inputs(images, run.config.inputs, data.name)
        starts = range(0, len(images), FEATURE_ROWS)
        return np.concatenate([features(images[s : s + FEATURE_ROWS]) for s in starts])

    return make_dataset(
        f"{data.name}-{run.config.model}-features",
        of(data.train.images),
        data.train.labels,
        of(data.test.images),
        data.test.labels,
        data.num_classes,
        train_names=data.train.names,
        test_names=data.test.names,
    )


def kept_model(workdir: str | Path, trial: int, data: Dataset) -> tuple[PyTree, PyTree]:
    """Parameters and state of a trial's kept model, of inputs as data's; NumPy arrays.

    Raises InputError if it was not kept, or takes other images.
    """
    _, model, one = _one_model(workdir, data, trial)
    if model.shared is not None:
        one["params"] = {**one["params"], **model.shared.values}
    return one["params"], one["model_state"]


def _one_model(workdir: str | Path, data: Dataset, trial: int) -> tuple[Run, Model, dict]:
    run, wanted, models, model, like = _open(workdir, data)
    if trial not in wanted:
        raise InputError(f"{workdir} kept no model of trial {trial}")
    numbers, block = next(part for part in models.blocks(like) if trial in part[0])
    place = numbers.tolist().index(trial)
    return run, model, jax.tree.map(lambda a: a[place], block)


def _open(workdir: str | Path, data: Dataset) -> _Kept:
    use_all_cores()
    run = open_run(workdir)
    folder = run.workdir / "models"
    models = KeptModels(run.workdir) if folder.exists() else None
    wanted = np.intersect1d(run.trials, models.trials()) if models else np.zeros(0, int)
    if models is None or not wanted.size:
        raise InputError(f"{workdir} kept no models: train it with --keep-models")
    shape, recipe = run.config.image_shape, run.config.recipe
    assert shape is not None and recipe is not None  # only adopted trials have none
    if data.test.images.shape[1:] != shape:
        raise InputError(
            f"{data.name} has images of shape {data.test.images.shape[1:]}; the models of "
            f"{workdir} know {shape}"
        )
    model = _model_of(run)
    image = jax.ShapeDtypeStruct(shape, jnp.float32)
    params, state = jax.eval_shape(model.init, jax.random.key(0), image)
    scaling = None
    if recipe.standardize:
        scaling = jax.eval_shape(lambda: scaling_of(no_moments(shape)))
    like = kept_part(TrainState(params, state, None, scaling))
    return _Kept(run, wanted, models, model, like)


def _model_of(run: Run) -> Model:
    """The network of a run; raises InputError where its file has changed."""
    config = run.config
    assert config.image_shape is not None and config.recipe is not None  # `_open` saw
    options = options_of(config)
    model, shape = config.model, config.image_shape
    made = make_architecture(model, options, config.num_classes, config.recipe, shape)
    start = config.network.start if config.network else None
    if describe(model, options, start) != config.network:
        raise InputError(
            f"{model} is no longer the file that {run.workdir} was trained "
            "with; give it back"
        )
    if (path := run.workdir / FROZEN).exists():
        made = frozen(made, shape, read_npz(path))
    return made
