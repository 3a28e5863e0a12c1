"""Did the models learn? Estimates from models that did not are none."""

import numpy as np

FITTED = 0.95  # mean accuracy on seen examples, below which memorization is cut short
LEARNT = 0.1  # of the way from the largest class's share to 1 that is no accident


def learning_warning(
    train_accuracy: np.ndarray, labels: np.ndarray, mem: bool = True
) -> str | None:
    """What is wrong with models of these accuracies on what they saw; None: nothing.

    train_accuracy: float [T], of finished trials; labels: int [N], of the training set;
    mem: whether mem is wanted, which needs models that fit what they see.
    """
    known = train_accuracy[np.isfinite(train_accuracy)]
    if not known.size:
        return None
    fitted, share = float(known.mean()), np.bincount(labels).max() / labels.size
    if fitted < share + LEARNT * (1 - share):
        return (
            f"the models did not learn: on the examples that they saw, they are right in "
            f"{fitted:.1%}, and always naming the largest class is in {share:.1%}; their "
            "estimates mean nothing. Look at the learning rate, the epochs, the scale of "
            "the inputs (--standardize) and whether labels belong to their rows"
        )
    if mem and fitted < FITTED:
        return (
            f"the models fit {fitted:.1%} of the examples that they saw; what is not "
            "fitted cannot be memorized. More --epochs or a larger --model fit more"
        )
    return None
