"""Which memorized examples are hard, and which are labelled wrongly: pictures of both.

    python experiments/wrong_or_hard.py --data-dir=../shared/tfds   # minutes on two cores

Digits, and MNIST's first 5,000 rows, as they are but for 2 % of the labels, flipped to the
next class. Mem is of the general recipe; suspects are of `find_suspects`. Of the memorized
(mem ≥ 0.25), suspects by the chance that their label is wrong, the others by how near to
0 their held-out margin is. Writes results/wrong_or_hard/.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from benchmark_labels import flip, load
from experiment import RESULTS, command, write
from matplotlib.figure import Figure

import jaxmem
from jaxmem.reporting import figures

SHARE, MEMORIZED, SHOWN = 0.02, 0.25, 10


def main(argv: list[str] | None) -> None:
    """Run the experiment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits,mnist-5000", help="default: both")
    parser.add_argument("--trials", type=int, default=100, help="for mem (default: 100)")
    parser.add_argument("--data-dir", help="where TFDS keeps prepared datasets")
    args = parser.parse_args(argv)
    folder = RESULTS / "wrong_or_hard"
    for name in args.data.split(","):
        data, wrong = flip(load(name, args.data_dir), "next", SHARE)
        with tempfile.TemporaryDirectory() as workdir:
            run = jaxmem.run_trials(data, args.trials, f"{workdir}/mem", model="mlp")
            mem = run.memorization
            found = jaxmem.find_suspects(data, f"{workdir}/suspects")
        memorized = mem >= MEMORIZED
        doubted = memorized & found.suspected
        hard = memorized & ~found.suspected
        rows = {
            "doubted": first(doubted, -found.chance),
            "hard": first(hard, np.abs(found.margin)),
        }
        write(
            folder / f"{name}.json",
            {
                "examples": mem.size,
                "wrong": int(wrong.sum()),
                "memorized": int(memorized.sum()),
                "memorized_and_doubted": int(doubted.sum()),
                "of_these_wrong": int((doubted & wrong).sum()),
                "memorized_and_not_doubted": int(hard.sum()),
                "wrong_among_these": int((hard & wrong).sum()),
                "shown": {kind: shown.tolist() for kind, shown in rows.items()},
            },
        )
        figures.save(draw(data, rows, mem, found), Path(folder / f"{name}.png"))


def first(chosen: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The first SHOWN of the chosen rows."""
    rows = np.flatnonzero(chosen)
    return rows[np.argsort(order[rows], kind="stable")][:SHOWN]


def draw(data: jaxmem.Dataset, rows: dict, mem: np.ndarray, found) -> Figure:
    """Pictures in two rows, each with its label, what held-out models say, and numbers."""
    figure = Figure(figsize=(1.05 * SHOWN, 3.6))
    for line, (kind, shown) in zip(figure.subplots(2, SHOWN), rows.items(), strict=True):
        for axis in line:
            axis.axis("off")
        line[0].text(-0.3, 0.5, kind, rotation=90, va="center", transform=line[0].transAxes)
        for axis, row in zip(line, shown, strict=False):
            axis.imshow(np.squeeze(data.train.images[row]), cmap="gray_r")
            label, said = data.train.labels[row], found.said_label[row]
            axis.set_title(
                f"label {label}, said {said}\nmem {mem[row]:.2f}\n"
                f"margin {found.margin[row]:.0f}",
                fontsize=6,
            )
    return figure


if __name__ == "__main__":
    command(main)
