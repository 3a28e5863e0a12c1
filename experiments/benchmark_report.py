"""How long a report takes to make, to open, and to answer; needs chromium.

    python experiments/benchmark_report.py --data-dir=../shared/tfds    # MNIST, 5 minutes
    python experiments/benchmark_report.py --imagenet                   # ImageNet's size

MNIST: 60 short trials of all 70,000 pictures. ImageNet's size: 1,281,167 x 50,000 examples
of 1,000 classes, no pictures, random bits of 500 trials with planted pairs, of which one is
looked up. In chromium, without a graphics card: when the first view is complete, the
median of three; how long an action takes from the input to the next picture (Event Timing
API), the longest of three; how far apart frames are in scrolling.
"""

import argparse
import resource
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from benchmark_estimator import PLANTED, random_bits
from experiment import RESULTS, command, write

import jaxmem
from jaxmem.reporting.report import make_report

FLAGS = """--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync
--disable-background-networking --disable-component-update""".split()
FIRST_VIEW = "performance.getEntriesByName('jaxmem-first-view')[0].startTime"
WATCH = """window.longest = 0; new PerformanceObserver((list) => {
for (const e of list.getEntries()) window.longest = Math.max(window.longest, e.duration);
}).observe({type: 'event', durationThreshold: 16});"""
FRAMES = """() => new Promise((done) => { const at = []; let last = performance.now();
const step = (now) => { at.push(now - last); last = now; scrollBy(0, 240);
at.length < 120 ? requestAnimationFrame(step) : done(at.slice(5)); };
requestAnimationFrame(step); })"""


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir")
    parser.add_argument("--imagenet", action="store_true")
    parser.add_argument("--scale", type=float, default=1.0, help="of ImageNet's size")
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        make = imagenet(args.scale) if args.imagenet else mnist(args.data_dir)
        run, data, planted = make(Path(folder) / "run")
        start = time.perf_counter()
        report = make_report(run, data)
        path = report.save(Path(folder) / "report.html")
        made = time.perf_counter() - start
        size = sum(f.stat().st_size for f in Path(folder).glob("report*/**/*")) / 1e6
        size += path.stat().st_size / 1e6 if path.name == "report.html" else 0
        numbers = {
            "training_examples": int(run.tr_labels.size),
            "test_examples": int(run.tt_labels.size),
            "trials": int(run.trials.size),
            "seconds_to_make": round(made, 1),
            "peak_gib": round(peak_gib(), 2),
            "megabytes": round(size, 1),
            "is_a_folder": path.name == "index.html",
            **browse(path, planted),
        }
    name = "imagenet" if args.imagenet else "mnist"
    write(args.results / f"benchmark_report_{name}.json", numbers)
    for key, value in numbers.items():
        print(f"{key:<28}{value}")


def mnist(data_dir: str | None):
    def make(workdir: Path):
        data = jaxmem.load_dataset("mnist", data_dir=data_dir)
        fast = {"hidden": (64,), "epochs": 2, "batch_size": 500}
        return jaxmem.run_trials(data, 60, workdir, **fast), data, None

    return make


def imagenet(scale: float):
    def make(workdir: Path):
        n, e, trials = int(1_281_167 * scale), max(1000, int(50_000 * scale)), 500
        rng = np.random.default_rng(0)
        included = random_bits(rng, np.full(n, 0.7), trials).mask()
        rates = rng.beta(3, 1, n)
        right = random_bits(rng, rates, trials).mask()
        test = random_bits(rng, rng.beta(3, 1, e), trials).mask()
        rows, columns = (rng.choice(size, PLANTED, replace=False) for size in (n, e))
        saw = included[:, rows]
        right[:, rows] = rng.random(saw.shape) < np.where(saw, 0.95, 0.2)
        test[:, columns] = rng.random(saw.shape) < np.where(saw, 0.9, 0.2)
        labels = rng.integers(0, 1000, n), rng.integers(0, 1000, e)
        run = jaxmem.adopt_trials(workdir, included, right, test, *labels)
        return run, None, (int(rows[0]), int(columns[0]))

    return make


def peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def browse(path: Path, planted: tuple[int, int] | None) -> dict:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        views = []
        for _ in range(3):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"file://{path}")
            page.wait_for_selector("html[data-ready]", timeout=120_000)
            views.append(page.evaluate(FIRST_VIEW))
            page.wait_for_timeout(500)
            if len(views) < 3:
                page.close()
        page.evaluate(WATCH)
        tail = page.locator(".panel.wide .overlay").bounding_box()
        search = page.get_by_label("search by name")

        def brush():
            page.mouse.move(tail["x"] + tail["width"] * 0.4, tail["y"] + 30)
            page.mouse.down()
            page.mouse.move(tail["x"] + tail["width"] * 0.8, tail["y"] + 60, steps=8)
            page.mouse.up()

        actions = {
            "brush the tail": brush,
            "clear": lambda: page.get_by_role("button", name="clear").click(),
            "sort by accuracy": lambda: page.get_by_label("sorted by").press("h"),
            "sort by mem": lambda: page.get_by_label("sorted by").press("m"),
            "a class": lambda: page.locator(".class-bar").first.click(),
            "all classes": lambda: page.locator(".class-bar").first.click(),
            "table": lambda: page.get_by_role("button", name="table").click(),
            "gallery": lambda: page.get_by_role("button", name="gallery").click(),
            "search a row": lambda: search.press_sequentially("#123"),
            "open an example": lambda: page.locator("main [data-index]").first.click(),
            "back": lambda: page.keyboard.press("Escape"),
        }
        took: dict[str, list[float]] = {name: [] for name in actions}
        for _ in range(3):
            for name, act in actions.items():
                page.evaluate("window.longest = 0")
                act()
                page.wait_for_timeout(
                    1200
                )  # a select takes what is typed within 1 s as a word
                took[name].append(page.evaluate("window.longest"))
            search.fill("")
            page.wait_for_timeout(500)
        frames = page.evaluate(FRAMES)
        if planted is not None:
            row, column = planted
            page.goto(f"file://{path}#/train/{row}")
            page.locator(f".influences.helped a[href='#/test/{column}']").wait_for()
        browser.close()
    return {
        "first_view_ms": round(float(np.median(views))),
        "actions_ms": {name: max(values) for name, values in took.items()},
        "scroll_frame_ms_median": round(float(np.median(frames)), 1),
        "scroll_frame_ms_95": round(float(np.quantile(frames, 0.95)), 1),
    }


if __name__ == "__main__":
    command(main)
