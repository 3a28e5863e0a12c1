"""The flags of the commands: a group of them a function."""

import argparse
from collections.abc import Callable

from jaxmem._shared.arguments import difference, positive
from jaxmem.estimates.search import MEMORY
from jaxmem.estimates.stopping import AMONG
from jaxmem.running.planning import PLACINGS
from jaxmem.running.trials import CLUSTERS
from jaxmem.training.batches import BATCHINGS
from jaxmem.training.keys import FIXED
from jaxmem.training.queries import QUERIES
from jaxmem.training.subsets import SAMPLINGS


def add_memory(add: Callable) -> None:
    """What a search may take."""
    add(
        "--memory",
        type=_memory,
        default=MEMORY,
        metavar="GIB",
        help="GiB for the search for discoveries and of --top, not counting Python and JAX "
        f"(default: {MEMORY:g})",
    )


def _checked(check: Callable[[str], float]) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            return check(text)
        except ValueError as error:  # also InputError
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse


_difference = _checked(lambda text: difference("threshold", float(text)))
_memory = _checked(lambda text: positive("memory", float(text)))


def add_thresholds(add: Callable) -> None:
    """What counts as memorized, and as a pair."""
    add(
        "--mem-threshold",
        type=_difference,
        default=0.25,
        help="least memorization of a memorized example (default: 0.25)",
    )
    add(
        "--infl-threshold",
        type=_difference,
        default=0.15,
        help="least influence of a high-influence pair (default: 0.15)",
    )


def add_influence_matrix(add: Callable) -> None:
    """Whether to write all influences within classes."""
    add(
        "--influence-matrix",
        action="store_true",
        help="also write the influence within each class, influence_matrix.npz",
    )


def add_placement(add: Callable) -> None:
    """Where the images lie."""
    add(
        "--placement",
        choices=PLACINGS,
        default="auto",
        help="where images lie: all on every device, or on the host, which sends what is "
        "wanted next; auto: on the host if they are more than a third of a device's memory "
        "(default: auto; changes no result)",
    )


def add_subsets(parser: argparse.ArgumentParser) -> None:
    """Which trials, on which subsets, and what they store."""
    add = parser.add_argument_group("trials").add_argument
    add("--trials", type=int, help="models to train (default: 4000, or all of --masks)")
    add(
        "--subset-fraction",
        type=float,
        default=0.7,
        help="share of the training set that each model sees (default: 0.7)",
    )
    add(
        "--sampling",
        choices=SAMPLINGS,
        default="uniform",
        help="uniform: each trial draws its subset alone, as in the paper; balanced: every "
        "example is excluded in equally many trials; bernoulli: a coin an example, as "
        "Banzhaf values want (default: uniform)",
    )
    add(
        "--masks",
        metavar="FILE.npy",
        help="which examples each trial sees, bool [trials, N], in place of drawn subsets; "
        "more rows top up",
    )
    add(
        "--groups",
        metavar="GROUPS",
        help="what is in or out together, so that mem and infl are a group's: a column of "
        "the data; duplicates; near-duplicates; or an .npy file, numbers or text [N]",
    )
    add(
        "--fix",
        default="",
        metavar=",".join(FIXED),
        help="what all trials share, to tell noise apart: init, the initial parameters; "
        "order, all that training draws; or both",
    )
    add("--seed", type=int, default=0, help="of all randomness (default: 0)")
    add(
        "--workdir",
        help="where trials, estimates and figures go: a folder, gs://BUCKET/FOLDER or "
        "s3://BUCKET/FOLDER (default: runs/<dataset>-<model>-<config hash>)",
    )
    add(
        "--batching",
        choices=BATCHINGS,
        default="packed",
        help="packed: each model walks its own subset; masked: groups of models share each "
        "batch and ignore what they exclude (default: packed)",
    )
    add(
        "--width",
        type=_width,
        metavar="WIDTH",
        help="models trained side by side on one device; auto times a few (default: auto)",
    )
    add_placement(add)
    add(
        "--share",
        metavar="I/N",
        help="train only the I-th of N shares of the trials, beside processes that train "
        "the others into the same workdir; auto: by SLURM's array; auto/N: by Kubernetes' "
        "index. Without, whatever is missing",
    )
    add(
        "--cluster",
        choices=CLUSTERS,
        help="train on the Ray cluster at RAY_ADDRESS, or on a Ray that is started here",
    )
    add(
        "--workers",
        type=int,
        help="workers of a cluster, also on nodes that join later (default: one for each "
        "GPU, TPU host or else CPU node that is there)",
    )
    add(
        "--until-se",
        type=float,
        metavar="SE",
        help="stop before --trials, once the standard error of mem is down to this",
    )
    add(
        "--se-quantile",
        type=float,
        default=0.5,
        help="share of the examples whose standard error must be at or below --until-se "
        "(default: 0.5)",
    )
    add(
        "--se-of",
        choices=AMONG,
        default="memorized",
        help="of which examples: those with mem >= 0.25, or all (default: memorized)",
    )
    add(
        "--margins",
        action="store_true",
        help="also store margins, logit of the label minus log-sum-exp of the others: "
        "float16, 16 times the size of the outcomes",
    )
    add(
        "--highest-margins",
        action="store_true",
        help="also store the margins of test examples against the highest other logit, "
        "which Ilyas et al.'s datamodels are of: float16",
    )
    add(
        "--queries",
        type=lambda text: text.split(","),
        default=(),
        metavar=",".join(QUERIES),
        help="also store the margins of copies of each training example, for attacks that "
        "ask several times: its mirror image, its shifts by a pixel, or all 17 of both; "
        "float16",
    )
    add(
        "--probabilities",
        action="store_true",
        help="also store the class probabilities of the examples that a trial does not "
        "see: float16, 2 bytes times classes times 30%% of the training set, a trial",
    )
    add(
        "--dynamics",
        action="store_true",
        help="also store how each trial learnt each example that it saw (loss, margin, "
        "when it was right): 10 bytes an example and trial",
    )
    add(
        "--keep-models",
        action="store_true",
        help="keep every model, so that `python -m jaxmem.predict WORKDIR` can run them on "
        "other test sets",
    )


def add_start(parser: argparse.ArgumentParser) -> None:
    """Fine-tuning."""
    add = parser.add_argument_group("fine-tuning").add_argument
    add(
        "--init-from",
        metavar="WORKDIR/models:TRIAL",
        help="start every trial from this kept model, where paths and shapes agree",
    )
    add(
        "--train",
        dest="trainable",
        choices=("head",),
        help="train the last dense layer alone; the rest is frozen, one for all trials",
    )


def _width(text: str) -> int | None:
    return None if text == "auto" else int(text)
