"""Where the rows lie changes nothing: parameters and outcomes are the same bits."""

import flax.linen as nn
import jax
import numpy as np
import pytest

import jaxmem
from jaxmem.models import Spec, make_model
from jaxmem.models.layers import BatchNorm
from jaxmem.models.linen import from_linen
from jaxmem.storage.schema import BY_STORE, SCHEMA
from jaxmem.training import chunks
from jaxmem.training.ensemble import Plan, make_ensemble, run_blocks
from jaxmem.training.hyperparameters import Recipe
from jaxmem.training.job import make_job
from jaxmem.training.keys import root_key
from jaxmem.training.pieces import cut
from jaxmem.training.programs import Lift
from jaxmem.training.subsets import SubsetRule

QUANTITIES = tuple(name for name in SCHEMA if name not in BY_STORE)


class Normalised(nn.Module):
    """An MLP whose layers mix examples, and whose statistics are state."""

    @nn.compact
    def __call__(self, x, weights):
        x = nn.Dense(16)(x.reshape((x.shape[0], 1, 1, -1)))
        return nn.Dense(10)(nn.relu(BatchNorm()(x, weights)))[:, 0, 0]


NETWORKS = {
    "mlp": lambda: make_model("mlp", Spec(10, (16,))),
    "cnn": lambda: make_model("cnn", Spec(10)),
    "batch norm": lambda: from_linen(Normalised()),
}


@pytest.fixture(scope="module")
def rows():
    """301 training and 77 test images of digits."""
    digits = jaxmem.load_dataset("digits")
    train, test = (
        split.images[:k] for split, k in ((digits.train, 301), (digits.test, 77))
    )
    labels = digits.train.labels[:301], digits.test.labels[:77]
    return jaxmem.make_dataset("rows", train, labels[0], test, labels[1])


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Several chunks an epoch, the last of them not full; several in each pass."""
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 6000)
    monkeypatch.setattr("jaxmem.training.fitting.EVAL_ROWS", (16, 16))
    monkeypatch.setattr("jaxmem.training.inputs.PIECE_VALUES", 16 * 64)


def make(data, placement, network="mlp", batching="packed", sampling="uniform", **recipe):
    recipe = Recipe(**{"epochs": 2, "batch_size": 32, "standardize": True, **recipe})
    n = data.train.labels.size
    rule = SubsetRule(n, round(0.7 * n), sampling, 0.7)
    args = recipe, batching, rule, 10, QUANTITIES
    job = make_job(NETWORKS[network](), *args, queries=("mirror",))
    return make_ensemble(job, data, root_key(0), placement=placement)


def trained(ensemble, width, in_flight=None, first=14):
    trials = list(range(first, first + ensemble.mesh.size * width))
    (block,) = run_blocks(ensemble, Plan(ensemble.mesh.size, width, 1), trials, in_flight)
    return block


def assert_equal(block, other):
    """Bit for bit."""
    for ours, theirs in zip(
        *map(jax.tree.leaves, (block.states, other.states)), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert block.outcomes.keys() == other.outcomes.keys()
    for name, values in block.outcomes.items():
        np.testing.assert_array_equal(values, other.outcomes[name], err_msg=name)


@pytest.mark.parametrize("placement", ["device", "host"])
def test_programs_take_options_of_the_compiler(rows, placement, monkeypatch):
    """As on a GPU, which has some: JAX refuses them for a program within another."""
    options = property(lambda self: {"xla_cpu_enable_fast_math": False})
    with monkeypatch.context() as patch:
        patch.setattr(Lift, "_compiler_options", options)
        block = trained(make(rows, placement), 1)
    assert_equal(block, trained(make(rows, placement), 1))


@pytest.mark.parametrize(
    ("network", "batching", "width", "how"),
    [
        ("mlp", "packed", 1, {"crop": 1, "mirror": True}),
        ("mlp", "masked", 4, {"crop": 1, "mirror": True}),  # trials of two groups
        ("mlp", "packed", 4, {"sampling": "bernoulli"}),
        ("cnn", "packed", 4, {"standardize": False}),
        ("cnn", "masked", 1, {"mirror": True}),
        ("batch norm", "packed", 1, {"crop": 1, "sampling": "balanced"}),
        ("batch norm", "masked", 4, {}),
    ],
)
def test_host_and_device_give_the_same_bits(rows, network, batching, width, how):
    make_one = (rows, "device", network, batching), (rows, "host", network, batching)
    device, host = (make(*one, **how) for one in make_one)
    assert device.mesh.size == 4
    assert_equal(trained(host, width), trained(device, width))


class Stopped(Exception):
    pass


class Stopper:
    """An InFlight that stops a training, and then gives back where it was."""

    def __init__(self):
        self.kept, self.calls = None, []

    def load(self, trials, like):
        if self.kept:
            shapes = jax.tree.map(lambda a: (a.shape, a.dtype), (like, self.kept[1]))
            assert jax.tree.leaves(shapes[0]) == jax.tree.leaves(shapes[1])
        return self.kept

    def steps_done(self, trials, steps, states):
        self.calls.append(steps)
        if len(self.calls) == 3 and not self.kept:
            self.kept = steps, jax.tree.map(np.array, states)
            raise Stopped


@pytest.mark.parametrize("batching", ["packed", "masked"])
def test_stopped_within_an_epoch_it_goes_on_there(rows, batching, monkeypatch):
    host = make(rows, "host", "mlp", batching, crop=1)
    in_flight = Stopper()
    with pytest.raises(Stopped):
        trained(host, 2, in_flight)
    steps, done = host.job.steps, in_flight.kept[0]
    assert 0 < done < steps  # in the first epoch
    device = trained(make(rows, "device", "mlp", batching, crop=1), 2)
    # Also where chunks have another size by then.
    for size in (6000, 10_000, 10**6):
        monkeypatch.setattr(chunks, "CHUNK_BYTES", size)
        in_flight.calls.clear()
        assert_equal(trained(host, 2, in_flight), device)
        assert in_flight.calls[0] > done and in_flight.calls[-1] == 2 * steps
    # Devices cannot go on within an epoch: they begin anew.
    in_flight.calls.clear()
    on_device = trained(make(rows, "device", "mlp", batching, crop=1), 2, in_flight)
    assert in_flight.calls == [steps, 2 * steps]
    assert_equal(on_device, device)


@pytest.mark.parametrize("batching", ["packed", "masked"])
def test_an_excluded_example_leaves_no_trace(rows, batching):
    """One trial a device, of what it excludes garbage: the same parameters."""
    host = make(rows, "host", "batch norm", batching, crop=1)
    masks = np.unpackbits(trained(host, 1).outcomes["included"], axis=1, count=301)
    never = ~masks.any(axis=0)
    assert never.sum() >= 1
    images = rows.train.images.astype(np.float32)
    clean, poisoned = images.copy(), images.copy()
    poisoned[never] = np.nan
    blocks = [
        trained(
            make(
                rows._replace(train=rows.train._replace(images=images)),
                "host",
                "batch norm",
                batching,
                crop=1,
            ),
            1,
        )
        for images in (clean, poisoned)
    ]
    jax.tree.map(np.testing.assert_array_equal, *(block.states for block in blocks))


def test_pieces_cover_all_rows_once():
    for rows, size in [(1, 5), (5, 5), (11, 5), (10, 5)]:
        pieces = cut(rows, size)
        seen = [
            row
            for start, fresh in zip(pieces.start, pieces.fresh, strict=True)
            for row in range(fresh, start + pieces.size)
        ]
        assert seen == list(range(rows))


def test_an_error_of_the_reader_ends_the_training():
    def read(k):
        if k == 2:
            raise OSError("gone")
        return k

    found = []
    with pytest.raises(OSError, match="gone"):
        found.extend(chunks.read_ahead(read, 5))
    assert list(chunks.read_ahead(lambda k: k * k, 4)) == [0, 1, 4, 9]
