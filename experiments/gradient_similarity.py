"""Do gradients tell what leaving examples out would tell? (ours; TRAK, Park et al. 2023)

    python experiments/gradient_similarity.py        # digits

Scores [N, E] from the gradients of a few kept models: their dot products (TracIn of the
last checkpoint), their cosines, and TRAK; from the trials that those models are of:
influences and datamodels. All are judged by the linear datamodeling score on other trials,
each subset of which is trained several times, so that the score of the truth is known too,
for the first 120 test examples. Expect 10 models' TRAK to be worth hundreds of trainings.
Digits takes 2 minutes on two cores.
"""

import jax
import jax.numpy as jnp
import numpy as np
from experiment import command, parser, setting
from jax.flatten_util import ravel_pytree

import jaxmem
from jaxmem.running.architecture import make_architecture
from jaxmem.running.prediction import kept_model
from jaxmem.training.inputs import to_float

MODELS = 10  # whose gradients are taken
WIDTH = 512  # of projected gradients
SUBSETS, HALF = 50, 0.5  # that judge
EXAMPLES = 120  # of the test set: a datamodel each takes half a second


def gradients(run: jaxmem.Run, data: jaxmem.Dataset, trial: int, rng: np.random.Generator):
    """Of ONE model: projected gradients of margins, [N, k], [E, k]; 1 - p, [N] and [E]."""
    config, shape = run.config, data.train.images.shape[1:]
    model = make_architecture(config.model, {}, config.num_classes, config.recipe, shape)
    params, state = kept_model(run.workdir, trial, data)
    flat, unravel = ravel_pytree(params)
    projection = rng.normal(size=(flat.size, WIDTH)) / np.sqrt(WIDTH)
    projection = jnp.asarray(projection, jnp.float32)

    def margin(flat, image, label):
        images = to_float(image[None], None)
        logits = model.apply(unravel(flat), state, images, None)[0][0]
        is_label = jnp.arange(logits.size) == label
        return logits[label] - jax.nn.logsumexp(logits, where=~is_label)

    @jax.jit
    def features(image, label):
        value, gradient = jax.vmap(jax.value_and_grad(margin), (None, 0, 0))(
            flat, image, label
        )
        return gradient @ projection, jax.nn.sigmoid(value)

    (train, chance), (test, of_test) = (
        features(part.images, part.labels) for part in (data.train, data.test)
    )
    return train, test, 1 - chance, 1 - of_test


def scores_of_gradients(run: jaxmem.Run, data: jaxmem.Dataset, seed: int) -> dict:
    """float64 [N, E] by method, of the first MODELS trials.

    The cross-entropy's gradient is -(1 - p) times the margin's. dot: Pruthi et al. 2020
    (arXiv 2002.08484), TracInCP of one checkpoint a model. cosine: Charpiat et al. 2019
    (arXiv 2102.05262). trak: Park et al. 2023 (arXiv 2303.14186), the estimator of section
    3: mean over models of (1 - p) times that of phi_j (Phi' Phi)^-1 phi_i.
    """
    rng, found = np.random.default_rng(seed), []
    for trial in run.trials[:MODELS]:
        train, test, miss, test_miss = map(np.asarray, gradients(run, data, trial, rng))
        dot = train @ test.T
        norms = np.linalg.norm(train, axis=1)[:, None] * np.linalg.norm(test, axis=1)
        solved = np.linalg.solve(train.T @ train, train.T).T @ test.T
        found.append((dot * miss[:, None] * test_miss, dot / norms, solved, miss))
    dot, cosine, solved, miss = (np.mean(part, axis=0) for part in zip(*found, strict=True))
    return {"dot": dot, "cosine": cosine, "trak": solved * miss[:, None]}


def main(argv: list[str] | None) -> None:
    args = parser(__doc__, models="mlp", trials=600, repetitions=8).parse_args(argv)
    this = setting("gradient_similarity", args)
    few = type(this.data.test)(*(part[:EXAMPLES] for part in this.data.test))
    this = this._replace(data=this.data._replace(test=few))
    numbers = {}
    n = this.data.train.labels.size
    ranks = np.random.default_rng(this.seed).random((SUBSETS, n)).argsort(axis=1)
    masks = np.repeat(ranks < round(HALF * n), this.repetitions, axis=0)
    for model in this.models:
        alike = {"subset_fraction": HALF, "margins": True, "standardize": False}
        fitted = this.train(model, f"{model}-fitted", keep_models=True, **alike)
        alike |= {"masks": masks, "seed": this.seed + 1}
        judged = this.train(model, f"{model}-judged", **alike)
        datamodels = jaxmem.datamodels.fit_datamodels(fitted, slice(None))
        scores = {
            **scores_of_gradients(fitted, this.data, this.seed),
            "influence": fitted.influence(np.arange(n)),
            "soft influence": jaxmem.soft.soft_influence(fitted, np.arange(n)).value,
            "datamodels": datamodels.weights.T,
        }
        numbers[model] = {}
        for name, of in scores.items():
            found = jaxmem.judge.lds(judged, np.nan_to_num(of))
            numbers[model][name] = [round(float(v), 4) for v in found.value]
        numbers[model]["ceiling"] = (
            None if found.ceiling is None else round(found.ceiling, 4)
        )
    this.save({"subsets": SUBSETS, "gradients_of": MODELS, "lds": numbers}, {})


if __name__ == "__main__":
    command(main)
