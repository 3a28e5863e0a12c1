"""Does it matter how many examples are left for the last batch of an epoch?

    python experiments/last_batch.py

A small network with batch normalisation on digits, batches of 67: 1,005 examples are 15 of
them, and 1,006 are one more example. Cut into 16 batches of 62 and 63 they train alike; as
15 and one of a single example they did not.
"""

import tempfile

import flax.linen as nn
from experiment import command, parser, save

import jaxmem
from jaxmem.models.layers import BatchNorm


class Small(nn.Module):
    """One hidden layer, normalised."""

    classes: int

    @nn.compact
    def __call__(self, images, weights):
        x = nn.Dense(64)(images.reshape((images.shape[0], 1, 1, -1)))
        x = nn.relu(BatchNorm()(x, weights))
        return nn.Dense(self.classes)(x[:, 0, 0])


def main(argv: list[str] | None) -> None:
    """Run the experiment."""
    args = parser(__doc__, trials=100).parse_args(argv)
    data = jaxmem.load_dataset("digits")
    n = data.train.labels.size
    jaxmem.MODELS["small"] = lambda spec: jaxmem.from_linen(Small(spec.num_classes))
    recipe = {"epochs": 20, "batch_size": 67, "learning_rate": 0.1, "schedule": "constant"}
    numbers = {"trials": args.trials, "recipe": recipe}
    for m in (1004, 1005, 1006, 1007):
        with tempfile.TemporaryDirectory() as folder:
            run = jaxmem.run_trials(
                data,
                args.trials,
                f"{folder}/run",
                model="small",
                subset_fraction=m / n,
                **recipe,
            )
            accuracy = run.test_accuracy
        numbers[f"m_{m}"] = {
            "test_accuracy": float(accuracy.mean()),
            "std": float(accuracy.std()),
            "worst": float(accuracy.min()),
        }
        print(m, numbers[f"m_{m}"], flush=True)
    save("last_batch", numbers)


if __name__ == "__main__":
    command(main)
