"""Every model of the registry keeps the contract, alone and in an ensemble."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmem
from jaxmem import MODELS, InputError
from jaxmem.models import Spec, check_model, make_model
from jaxmem.training.ensemble import make_ensemble
from jaxmem.training.hyperparameters import Recipe
from jaxmem.training.job import make_job
from jaxmem.training.keys import root_key
from jaxmem.training.subsets import SubsetRule, draw_subset, inclusion_mask
from jaxmem.training.trial import advance_trial, evaluate_trial, init_trial

SUBSET = 200
ROOT, TRIAL = root_key(0), np.int32(3)
SPEC = Spec(10, hidden=(64,))
FITTED = "final_loss", "train_accuracy"
# (peak learning rate, steps) that fit 200 rows; the linear model never does.
FIT = {
    "linear": (0.3, 300),
    "mlp": (0.3, 500),
    "cnn": (0.3, 500),
    "airbench": (0.5, 60),
    "resnet9": (0.1, 50),
    "resnet18": (0.01, 60),
    "resnet50": (0.003, 120),
    "inception": (0.1, 50),
    "densenet100": (0.1, 80),
    "vit": (0.1, 200),
}
SMALL = ("linear", "mlp", "cnn", "vit")
# Those that compile for minutes: here they are masked, and the rest is for -m slow.
LARGE = ("inception", "resnet50", "densenet100")


@pytest.fixture(scope="module")
def rows(shared):
    """286 rows of the first ten classes of CIFAR-100, as means of 4 x 4 pixels: 8 x 8."""
    data = jaxmem.load_dataset("cifar100", shared / "tfds")
    some = np.nonzero(data.train.labels < 10)[0][:286]
    images = data.train.images[some].reshape(-1, 8, 4, 8, 4, 3).mean((2, 4), np.float32)
    labels = data.train.labels[some]
    images = images / np.float32(127.5) - 1
    return jaxmem.make_dataset("rows", images, labels, images[:20], labels[:20], 10)


def prepare(rows, name, batching):
    """The job, its data, and its init and advance, jitted for one model."""
    rate, steps = FIT[name]
    recipe = Recipe(
        epochs=steps // 4,
        batch_size=50,
        learning_rate=rate,
        warmup=2.5,
        schedule="linear",
        standardize=False,
    )
    model = make_model(name, SPEC)
    job = make_job(model, recipe, batching, SubsetRule(286, SUBSET), 10, FITTED)
    # Epochs of one step, of a schedule of `steps`: longer ones would blow rounding up.
    job = job._replace(learner=job.learner._replace(steps=4), first_steps=1)
    ensemble = make_ensemble(job, rows, ROOT)
    data = jax.tree.map(np.asarray, ensemble.data)
    start = jax.jit(lambda data: init_trial(job, data, ROOT, TRIAL))
    advance = jax.jit(lambda data, *args: advance_trial(job, data, ROOT, TRIAL, *args))
    return job, ensemble, data, start, advance


CASES = [
    (name, batching)
    for name in MODELS
    for batching in ("packed", "masked")
    if batching == "masked" or name not in LARGE
]


@pytest.mark.parametrize(("name", "batching"), CASES)
def test_every_model_in_every_way(rows, name, batching):
    """Alone = sharded and vmapped; no trace of poison; learns 200 rows; compiles once."""
    job, ensemble, data, start, advance = prepare(rows, name, batching)
    alone = advance(data, start(data), 0, 1)

    mask = np.asarray(inclusion_mask(draw_subset(ROOT, TRIAL, 286, SUBSET), 286))
    images, labels = data.train_images.copy(), data.train_labels.copy()
    images[~mask], labels[~mask] = np.nan, 10**6
    poisoned = data._replace(train_images=images, train_labels=labels)
    again = advance(poisoned, start(data), 0, 1)
    jax.tree.map(np.testing.assert_array_equal, alone, again)

    # How batches are made is the same for every model.
    if name in SMALL or batching == "packed":
        together(ensemble, alone, again=name in SMALL)
    if name in SMALL or (batching == "packed" and name != "resnet18"):
        learns(job, data, name, advance, alone)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", *LARGE])
def test_the_largest_models_together_and_learning(rows, name):
    job, ensemble, data, start, advance = prepare(rows, name, "packed")
    alone = advance(data, start(data), 0, 1)
    together(ensemble, alone, again=False)
    learns(job, data, name, advance, alone)


def together(ensemble, alone, again):
    """Sharded and vmapped, the trial's state is as alone; and nothing compiles twice."""
    assert ensemble.mesh.size == 4
    programs = ensemble.programs(width=2)
    placed = ensemble.place(np.arange(8, dtype=np.int32))
    states = programs.advance(placed, programs.init(placed), 0, 1)
    near(jax.tree.map(lambda a: a[TRIAL], states), alone)
    # Another block, and other epochs, are the same programs.
    other, traced = ensemble.place(np.arange(8, 16, dtype=np.int32)), []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, *_, **__: traced.append(name)
    )
    programs.advance(other, programs.init(other) if again else states, 1, 1)
    jax.monitoring.clear_event_listeners()
    assert not traced


def learns(job, data, name, advance, alone):
    """From its state after one step, the model fits its 200 rows."""
    trained = advance(data, alone, 1, FIT[name][1])
    outcomes = jax.jit(lambda state: evaluate_trial(job, data, ROOT, TRIAL, state))(trained)
    if name == "linear":
        assert outcomes["final_loss"] < 0.8
    else:
        # ResNet50's running statistics still trail its parameters after so few steps.
        bounds = (0.5, 0.9) if name == "resnet50" else (0.2, 0.95)
        assert outcomes["final_loss"] < bounds[0] and outcomes["train_accuracy"] > bounds[1]


def near(ours, theirs):
    """Every leaf of the states to a thousandth of its size: products round differently."""

    def check(a, b):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        assert np.linalg.norm(a - b) <= 1e-3 * np.linalg.norm(b) + 1e-6

    jax.tree.map(check, ours, theirs)


PUBLISHED = [
    # He et al. 2016 as torchvision counts its models (torchvision.models documentation).
    ("resnet18", 1000, (224, 224, 3), 11_689_512),
    ("resnet50", 1000, (224, 224, 3), 25_557_032),
    # 3 x 3 stems for CIFAR: github.com/kuangliu/pytorch-cifar (10 classes); CIFAR-100's are
    # the same with the larger head.
    ("resnet18", 10, (32, 32, 3), 11_173_962),
    ("resnet50", 10, (32, 32, 3), 23_520_842),
    ("resnet18", 100, (32, 32, 3), 11_173_962 + 90 * 513),
    ("resnet50", 100, (32, 32, 3), 23_520_842 + 90 * 2049),
    # Zhang et al. 2017, Table 1.
    ("inception", 10, (28, 28, 3), 1_649_402),
    # Huang et al. 2017, Table 2: "0.8M"; github.com/andreasveit/densenet-pytorch: 769,162.
    ("densenet100", 10, (32, 32, 3), 769_162),
    # Jordan 2024 (arXiv 2404.00498), section 3.1: "1.97M"; by hand, without the whitening.
    ("airbench", 10, (32, 32, 3), 1_971_352),
    # Page's ResNet9 (myrtle.ai): 6,573,120.
    ("resnet9", 10, (32, 32, 3), 6_573_120),
    # By hand.
    ("linear", 10, (28, 28, 1), 784 * 10 + 10),
    ("cnn", 10, (28, 28, 1), 9 * 16 + 16 + 9 * 16 * 32 + 32 + 7 * 7 * 32 * 10 + 10),
]


@pytest.mark.parametrize("name, classes, shape, count", PUBLISHED)
def test_parameters_are_as_many_as_published(name, classes, shape, count):
    images = np.zeros((1, *shape), np.uint8)
    assert check_model(name, make_model(name, Spec(classes)), images) == count


def test_mlp_has_the_parameters_of_the_demo():
    model = make_model("mlp", Spec(10, (512, 256)))
    params, _ = model.init(jax.random.key(0), np.zeros((28, 28, 1), np.float32))
    sizes = sorted(leaf.shape for leaf in jax.tree.leaves(params))
    assert sizes == [(10,), (256,), (256, 10), (512,), (512, 256), (784, 512)]


@pytest.mark.parametrize("name", MODELS)
def test_bfloat16_is_of_products_and_activations_alone(name):
    model = make_model(name, SPEC._replace(dtype=jnp.dtype("bfloat16")))
    images = jax.ShapeDtypeStruct((6, 8, 8, 3), np.float32)
    params, state = jax.eval_shape(
        model.init, jax.random.key(0), images.update(shape=(8, 8, 3))
    )
    weights = jax.ShapeDtypeStruct((6,), np.float32)
    logits, state = jax.eval_shape(model.apply, params, state, images, weights)
    dtypes = {leaf.dtype for leaf in jax.tree.leaves((params, state, logits))}
    assert dtypes == {np.dtype("float32")}
    program = str(jax.make_jaxpr(model.apply)(params, state, images, weights))
    assert "bf16" in program


def test_unknown_model_names_the_known_ones():
    with pytest.raises(
        InputError, match="unknown model 'mpl'; known: airbench, cnn, densenet100"
    ):
        make_model("mpl", Spec(10))


@pytest.mark.parametrize(
    "model, shape", [("cnn", (1, 64, 1)), ("cnn", (2, 2, 1)), ("densenet100", (2, 2, 3))]
)
def test_inputs_that_a_model_cannot_take(model, shape):
    made = make_model(model, Spec(3))
    with pytest.raises(InputError, match=f"model {model}"):
        check_model(model, made, np.zeros((5, *shape), np.float32))
    assert check_model("mlp", make_model("mlp", Spec(3, (4,))), np.zeros((5, *shape))) > 0


def test_options_of_built_in_models():
    plain = make_model("vit", SPEC)
    assert not plain.random
    wide = make_model("vit", SPEC, {"width": 32, "depth": 1, "dropout": 0.5})
    assert wide.random
    images = jnp.ones((4, 8, 8, 1))
    params, state = wide.init(jax.random.key(0), images[0])
    assert params["place"].shape == (4, 32)
    weights = jnp.ones(4)
    first, again, other = (
        wide.apply(params, state, images, weights, jax.random.key(k))[0] for k in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    alone = wide.apply(params, state, images, None)[0]
    np.testing.assert_array_equal(alone, wide.apply(params, state, images, None)[0])
    with pytest.raises(InputError, match="knows no option deep; it takes width, depth"):
        make_model("vit", SPEC, {"deep": 1})
    with pytest.raises(InputError, match="model mlp knows no option depth; it takes none"):
        make_model("mlp", SPEC, {"depth": 1})


def test_stochastic_depth_skips_whole_examples():
    model = make_model("vit", SPEC, {"depth": 1, "width": 8, "drop_path": 0.5})
    images = jnp.broadcast_to(jnp.linspace(0, 1, 64).reshape(8, 8, 1), (64, 8, 8, 1))
    params, state = model.init(jax.random.key(0), images[0])
    logits, _ = model.apply(params, state, images, jnp.ones(64), jax.random.key(0))
    # Of each example, one of two parts is taken or not: four kinds of equal images.
    assert len(np.unique(np.asarray(logits).round(4), axis=0)) == 4
