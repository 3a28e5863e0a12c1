"""The report's pictures in the docs, and the live copy of digits; needs chromium.

    python experiments/report_pictures.py --data-dir=../shared/tfds    # 20 minutes

MNIST's first 5,000 rows, 300 trials of a small MLP: docs/report.png, the first page, and
docs/report-example.png, the training example of the strongest pair. digits, 4,000 trials
of the MLP beside 1,000 of the linear model: docs/digits-report.html. Trials are kept in
runs/.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
from benchmark_report import FLAGS
from experiment import command

import jaxmem

DOCS = Path(__file__).parents[1] / "docs"
SIZE = {"width": 1280, "height": 860}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir")
    parser.add_argument("--workdir", type=Path, default=Path("runs/report"))
    args = parser.parse_args(argv)

    digits = jaxmem.load_dataset("digits")
    run = jaxmem.run_trials(digits, 4000, args.workdir / "digits")
    linear = jaxmem.run_trials(digits, 1000, args.workdir / "linear", model="linear")
    run.report(digits, other=linear).save(DOCS / "digits-report.html")

    data = jaxmem.load_dataset("mnist", data_dir=args.data_dir, train_split="train[:5000]")
    recipe = {"hidden": (128,), "epochs": 12, "batch_size": 64}
    run = jaxmem.run_trials(data, 300, args.workdir / "mnist-5000", **recipe)
    path = run.report(data).save(args.workdir / "mnist-5000.html").absolute()
    strongest = run.search(0.15).pairs
    row = strongest.tr_idx[np.argmax(strongest.mem >= 0.25)]
    take(path, "", DOCS / "report.png")
    take(path, f"train/{row}", DOCS / "report-example.png")


def take(path: Path, route: str, picture: Path) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto(f"file://{path}#/{route}")
        page.wait_for_selector("html[data-ready]")
        page.wait_for_selector(".picture.there")
        page.wait_for_timeout(500)
        page.screenshot(path=picture)
        browser.close()


if __name__ == "__main__":
    command(main)
