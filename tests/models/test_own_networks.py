"""Networks of the user's: as they are, checked, and fast."""

import functools
import re
import shutil
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from runs import assert_same

import jaxmem
from jaxmem import InputError, run
from jaxmem._shared.arguments import keywords
from jaxmem.models import Spec, check_model, make_model, own
from jaxmem.models.contract import Model
from jaxmem.models.exchange import exchanged, left_slow
from jaxmem.models.linen import from_linen
from jaxmem.models.nnx import from_nnx
from jaxmem.running.checking import check_network
from jaxmem.running.configuring import describe
from jaxmem.training.ensemble import Plan, make_ensemble, run_blocks
from jaxmem.training.fitting import Learner
from jaxmem.training.hyperparameters import Recipe
from jaxmem.training.job import make_job
from jaxmem.training.keys import root_key
from jaxmem.training.subsets import SubsetRule, draw_subset, inclusion_mask
from jaxmem.training.trial import advance_trial, init_trial

FILE = Path(__file__).with_name("own_networks.py")
LINEN, NNX, EQUINOX = (
    ("Plain", "Usual", "Deterministic"),
    ("Modern",),
    ("Single", "Stateful"),
)
ROOT, TRIAL = root_key(0), np.int32(3)
SPEC = Spec(10, (), jnp.dtype("float32"), (8, 8, 1))
ROWS = 50
quick = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


@pytest.fixture(autouse=True)
def as_users_have_it():
    """Their networks broadcast as they like."""
    with jax.numpy_rank_promotion("allow"):
        yield


@pytest.fixture(scope="module")
def rows():
    """50 training and 20 test images of digits, as float32."""
    digits = jaxmem.load_dataset("digits")
    images = digits.train.images[: ROWS + 20].astype(np.float32) / 240
    labels = digits.train.labels[: ROWS + 20]
    return jaxmem.make_dataset(
        "rows", images[:ROWS], labels[:ROWS], images[ROWS:], labels[ROWS:], 10
    )


def written(name: str) -> type:
    return own.find(f"{FILE}:{name}").target


def network(name: str) -> Model:
    if name in (*EQUINOX, "Mixing"):
        pytest.importorskip("equinox")
    model = make_model(f"{FILE}:{name}", SPEC)
    return model._replace(apply=exchanged(model.apply))


def job_of(name, batching, **recipe):
    values = {"batch_size": 12, "epochs": 2, "learning_rate": 0.1, "standardize": False}
    subsets = SubsetRule(ROWS, 35)
    quantities = ("train_correct", "test_correct")
    recipe = Recipe(**{**values, **recipe})
    return make_job(network(name), recipe, batching, subsets, 10, quantities)


@pytest.mark.parametrize(
    "name, batching",
    [(name, "packed") for name in (*LINEN[1:], *NNX, *EQUINOX)]
    + [(name, "masked") for name in ("Usual", "Modern", "Single")],
)
def test_every_kind_in_every_way(rows, name, batching):
    """No trace of poison, alone = ensemble, and stopped after an epoch the same bits."""
    job = job_of(name, batching)
    ensemble = make_ensemble(job, rows, ROOT)
    data = jax.tree.map(np.asarray, ensemble.data)
    advance = quick(lambda data, *args: advance_trial(job, data, ROOT, TRIAL, *args))
    fresh = quick(lambda: init_trial(job, data, ROOT, TRIAL))()
    alone = advance(data, fresh, 0, 2)

    mask = np.asarray(inclusion_mask(draw_subset(ROOT, TRIAL, ROWS, 35), ROWS))
    images, labels = data.train_images.copy(), data.train_labels.copy()
    images[~mask], labels[~mask] = np.nan, 10**6
    poisoned = data._replace(train_images=images, train_labels=labels)
    same(alone, advance(poisoned, fresh, 0, 2))
    same(alone, advance(data, advance(data, fresh, 0, 1), 1, 2))

    if batching == "packed":
        programs = ensemble.programs(width=2)
        placed = ensemble.place(np.arange(8, dtype=np.int32))
        states = programs.advance(placed, programs.init(placed), 0, 2 * job.steps)
        near(jax.tree.map(lambda a: a[TRIAL], states), alone)


def same(ours, theirs):
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def near(ours, theirs, share=1e-3):
    """To a share of all of it: biases before a normalisation are rounding alone."""
    ours, theirs = (
        np.concatenate([np.ravel(a).astype(np.float64) for a in jax.tree.leaves(tree)])
        for tree in (ours, theirs)
    )
    assert np.linalg.norm(ours - theirs) <= share * np.linalg.norm(theirs)


def test_dropout_draws_of_seed_trial_and_step_alone(rows, monkeypatch):
    """The same bits from the host in chunks; others in another epoch and trial."""
    monkeypatch.setattr("jaxmem.training.chunks.CHUNK_BYTES", 6000)
    job = job_of("Deterministic", "masked")
    blocks = []
    for placement in ("device", "host"):
        ensemble = make_ensemble(job, rows, ROOT, placement=placement)
        plan = Plan(ensemble.mesh.size, 1, 1)
        (block,) = run_blocks(ensemble, plan, list(range(ensemble.mesh.size)))
        blocks.append(jax.tree.map(np.asarray, block.states))
    same(*blocks)

    params, state = quick(job.learner.model.init)(ROOT, rows.train.images[0])
    images, weights = rows.train.images[:4], np.ones(4, np.float32)

    def logits(key):
        return job.learner.model.apply(params, state, images, weights, key)[0]

    first, again, other = (logits(jax.random.key(seed)) for seed in (0, 0, 1))
    same(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", ["Usual", "Single"])
def test_from_a_file_kept_resumed_and_predicted(name, rows, tmp_path, monkeypatch):
    if name in EQUINOX:
        pytest.importorskip("equinox")
    monkeypatch.chdir(tmp_path)
    shutil.copy(FILE, "my_net.py")
    train = functools.partial(
        jaxmem.run_trials,
        rows,
        model=f"my_net.py:{name}",
        keep_models=True,
        width=1,
        epochs=2,
        mem=False,
    )
    train(2, "parts")
    monkeypatch.setattr("jaxmem.running.trials.check_network", None)  # not once more
    topped_up = train(6, "parts")
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    if name == "Usual":
        assert_same(topped_up, train(6, "whole"))
    assert topped_up.config.model == f"my_net.py:{name}"
    predicted = jaxmem.predict_trials("parts", rows)
    np.testing.assert_array_equal(predicted.test_correct, topped_up.test_correct)

    Path("my_net.py").write_text(FILE.read_text() + "# changed\n")
    with pytest.raises(InputError, match=r"the network's file \(.* there, .* here\)"):
        train(8, "parts")
    with pytest.raises(InputError, match=r"no longer the file that .*; give it back"):
        jaxmem.predict_trials("parts", rows)


def test_options_decide_and_are_kept(rows):
    name, options = f"{FILE}:Plain", {"width": 2}
    model = make_model(name, SPEC, options)
    count = 9 * 2 + 2 + 32 * 10 + 10
    assert check_model(name, model, rows.train.images, 10) == count
    assert describe(name, options).options == ("width=2",)
    assert describe(name, options) != describe(name, {})
    assert describe("mlp", {}) is None


@pytest.mark.parametrize(
    "text, options",
    [
        ("depth=4,width=64", {"depth": 4, "width": 64}),
        ("act=relu,sizes=(3, 4),rate=1e-3", {"act": "relu", "sizes": (3, 4), "rate": 1e-3}),
        ("", {}),
    ],
)
def test_options_are_keywords(text, options):
    assert keywords("model options", text) == options


@pytest.mark.parametrize("text", ["depth", "depth=", "3=4", "a=f(x)", "**a", "a=1)("])
def test_options_that_are_none(text):
    with pytest.raises(InputError, match="no keywords; write depth=4,width=64"):
        keywords("model options", text)


@pytest.mark.parametrize(
    "name, said",
    [
        ("no_file.py:make", "there is no file .*no_file.py"),
        ("own_networks.py:nothing", "has no nothing"),
        ("own_networks.py:", "names no network; give my_net.py:make or package.module"),
        ("no.package:make", "there is no module no.package"),
        ("bad.py:make", r"bad.py fails on import: ZeroDivisionError: .* \(line 2\)"),
        ("syntax.py:make", r"syntax.py fails on import: SyntaxError: .* \(line 1\)"),
        (
            "own_networks.py:Asks",
            r"Asks is called with 'mask'.*it knows \(x\), \(x, train\)",
        ),
        ("own_networks.py:Wide", "needs width; .* give the rest by --model-options=width="),
        ("own_networks.py:fails", r"fails: ZeroDivisionError: .* \(line \d+\)"),
        ("own_networks.py:own_rngs", "makes its own rngs, the same for every trial"),
        (
            "own_networks.py:three",
            "makes a int; expected a module of Linen, NNX or Equinox",
        ),
        ("own_networks.py:number", "is a int, not a factory"),
        ("own_networks.py:Mixing", "norm: Equinox's BatchNorm mixes examples .*GroupNorm"),
        ("own_networks.py:Pools", "too small for model"),
        ("own_networks.py:Wide width=7", r"gives \[7\] logits .* have 10 classes"),
        (
            "own_networks.py:Plain depth=3",
            "knows no option depth; it takes width",
        ),
        ("own_networks.py:Sows", r"state of model .* changes its shape in training"),
        ("own_networks.py:Half", "has parameters of bfloat16; keep them float32"),
        ("mlp width=3", "model mlp knows no option width; it takes none"),
    ],
)
def test_bad_networks(name, said, rows, tmp_path, monkeypatch):
    if "Mixing" in name:
        pytest.importorskip("equinox")
    monkeypatch.chdir(tmp_path)
    shutil.copy(FILE, "own_networks.py")
    Path("bad.py").write_text("x = 1\nx / 0\n")
    Path("syntax.py").write_text("x = (\n")
    model, _, options = name.partition(" ")
    options = keywords("model options", options)
    with pytest.raises(InputError, match=said) as caught:
        jaxmem.run_trials(rows, 1, model=model, model_options=options, epochs=1, width=1)
    assert "\n" not in str(caught.value)


def test_the_command_says_it_in_one_line(capsys, tmp_path):
    given = ["--model=nowhere.py:make", f"--workdir={tmp_path}", "--trials=1"]
    assert run.main([*given, "--model-options=depth=4"]) == 2
    assert "there is no file" in capsys.readouterr().err


def check(model, rows):
    check_network("mine", Learner(model, Recipe(label_smoothing=0.1), 5), rows)


@pytest.mark.parametrize("when", ["training", "evaluation"])
def test_layers_that_mix_examples_are_named(when, rows):
    model = make_model(f"{FILE}:Centres", SPEC, {"when": when})
    lines = FILE.read_text().splitlines()
    line = 1 + lines.index("            x = x - x.mean(0, keepdims=True)")
    before = "in evaluation, " if when == "evaluation" else ""
    place = rf"Centres \(own_networks.py, line {line}\)"
    said = f"^{before}model mine mixes examples in {place}: weigh examples"
    with pytest.raises(InputError, match=said):
        check(model, rows)


def test_batch_normalisation_that_is_not_exchanged(rows):
    linen = from_linen(written("Usual")(10), random=True, replace_batch_norm=False)
    with pytest.raises(InputError, match=r"mixes examples in Usual/BatchNorm_0 \(own_netw"):
        check(linen, rows)
    modern = from_nnx(
        lambda rngs: written("Modern")(10, rngs=rngs), replace_batch_norm=False
    )
    with pytest.raises(InputError, match=r"mixes examples in own_networks.py, line \d+"):
        check(modern, rows)


def test_a_network_that_is_not_pure(rows):
    class Impure(nn.Module):
        @nn.compact
        def __call__(self, x):
            return (
                nn.Dense(10)(x.reshape((x.shape[0], -1))) * np.random.default_rng().random()
            )

    with pytest.raises(InputError, match="is not pure"):
        check(from_linen(Impure()), rows)


def test_logits_that_are_not_finite(rows):
    def init(key, image):
        return {"w": jax.random.normal(key, (image.size, 10))}, {}

    def apply(params, state, images, weights):
        return jnp.log(images.reshape((len(images), -1)) @ params["w"]), state

    with pytest.raises(InputError, match="logits that are not finite"):
        check(Model(init, apply), rows)


@pytest.mark.parametrize("kind", ["linen", "nnx"])
def test_flax_batch_normalisation_of_what_counts(kind, rows, capsys):
    """Their own where nothing is excluded; else as if the rest were not there."""

    def made(replace):
        if kind == "linen":
            return from_linen(written("Usual")(10), random=True, replace_batch_norm=replace)
        return from_nnx(
            lambda rngs: written("Modern")(10, rngs=rngs), replace_batch_norm=replace
        )

    weighted, theirs = made(True), made(False)
    images, key = rows.train.images[:8], jax.random.key(1)
    params, state = quick(weighted.init)(key, images[0])

    def logits(model, count, rows=8):
        weights = (np.arange(rows) < count).astype(np.float32)
        out, after = quick(model.apply)(params, state, images[:rows], weights, key)
        return out[:count], after

    near(logits(weighted, 8), logits(theirs, 8), 1e-6)
    near(logits(weighted, 5), logits(theirs, 5, rows=5), 1e-6)
    assert capsys.readouterr().err.count("statistics of what a trial sees alone") == 1


class Layers(nn.Module):
    """Convolutions and pools that go our ways."""

    @nn.compact
    def __call__(self, x):
        x = nn.remat(nn.Conv)(4, (3, 3), strides=2, padding="VALID")(x)
        x = nn.avg_pool(nn.gelu(x), (2, 2), (1, 1), "SAME")
        x = nn.Conv(4, (3, 3), feature_group_count=4)(x)
        x = nn.max_pool(nn.Conv(4, (3, 2))(x), (3, 3), (2, 2), "SAME")
        return nn.Dense(10)(x.reshape((x.shape[0], -1)))


class Others(nn.Module):
    """Convolutions and pools that stay JAX's, but for those in a loop."""

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(4, (3, 3), feature_group_count=1, kernel_dilation=2)(x)
        x = nn.Conv(4, (3, 3), feature_group_count=2)(x)
        x = nn.ConvTranspose(4, (3, 3), strides=(2, 2))(x)

        def body(layer, x, _):
            return nn.relu(layer(x)), None

        x, _ = nn.scan(
            body, variable_axes={"params": 0}, split_rngs={"params": True}, length=2
        )(nn.Conv(4, (3, 3)), x, None)
        x = nn.Conv(4, (3,))(x.reshape((x.shape[0], -1, 4)))
        return nn.Dense(10)(x.reshape((x.shape[0], -1)))


@pytest.mark.parametrize("name", ["Layers", "Single"])
def test_exchanged_convolutions_and_pools_give_the_same(name, rows):
    if name == "Layers":
        untouched = from_linen(Layers())
    else:
        pytest.importorskip("equinox")
        untouched = make_model(f"{FILE}:{name}", SPEC)
    images, weights = rows.train.images[:6], np.ones(6, np.float32)
    keys = (jax.random.key(1),) if untouched.random else ()

    def gradients(call):
        def loss(params, state):
            return jnp.sum(jnp.square(call(params, state, images, weights, *keys)[0]))

        return jax.value_and_grad(loss)

    init = quick(jax.vmap(lambda key: untouched.init(key, images[0])))
    states = init(jax.random.split(ROOT, 3))
    ours = exchanged(untouched.apply)
    theirs = quick(
        lambda *states: jax.lax.map(lambda s: gradients(untouched.apply)(*s), states)
    )
    near(quick(jax.vmap(gradients(ours)))(*states), theirs(*states), 1e-6)
    one = jax.tree.map(lambda a: a[0], states)
    assert "custom_vmap" in str(jax.make_jaxpr(ours)(*one, images, None))
    here = (
        jax.jit(ours).trace(*one, images, None).lower(lowering_platforms=("cpu",)).as_text()
    )
    assert "reduce_window" not in here  # a TPU's branch has it


def test_what_stays_slow_is_named(rows):
    model, images = from_linen(Others()), rows.train.images[:6]
    params, state = quick(model.init)(ROOT, images[0])
    args = params, state, images, np.ones(6, np.float32)
    slow = left_slow(model.apply, *args)
    names = "Conv_0", "Conv_1", "ConvTranspose_0", "Conv_3"
    assert [place.split()[2] for place in slow] == [f"Others/{name}" for name in names]
    near(quick(exchanged(model.apply))(*args), quick(model.apply)(*args), 1e-6)


def test_what_stays_slow_is_computed_in_turn(rows):
    model, images = from_linen(Others()), rows.train.images[:6]
    states = quick(jax.vmap(lambda key: model.init(key, images[0])))(
        jax.random.split(ROOT, 3)
    )

    def gradients(call):
        def loss(params, state):
            return jnp.sum(jnp.square(call(params, state, images, None)[0]))

        return jax.value_and_grad(loss)

    ours = jax.vmap(gradients(exchanged(model.apply)))
    theirs = quick(
        lambda *states: jax.lax.map(lambda s: gradients(model.apply)(*s), states)
    )
    near(quick(ours)(*states), theirs(*states), 1e-5)

    def groups(program):
        text = jax.jit(program).trace(*states).lower(lowering_platforms=("cpu",)).as_text()
        return {int(count) for count in re.findall(r"_group_count = (\d+)", text)}

    assert groups(ours) == {1, 2}  # its own
    assert max(groups(jax.vmap(gradients(model.apply)))) == 6  # of vmap
