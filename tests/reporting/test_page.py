"""The report in a real browser: what is seen, clicked, typed, and taken home."""

import csv
import re

import numpy as np
import pytest

import jaxmem
from jaxmem import report as command
from jaxmem.estimates.overview import overview
from jaxmem.reporting.decisions import Decision
from jaxmem.reporting.report import make_report

SCRIPT = "<script>document.title = 'stolen'</script>"


@pytest.fixture(scope="module")
def run(digits, tmp_path_factory):
    """60 short trials of digits, so that there are pairs and suspects."""
    folder = tmp_path_factory.mktemp("digits")
    return jaxmem.run_trials(digits, 60, folder, width=1, epochs=4, margins=True)


@pytest.fixture(scope="module")
def page_file(run, digits):
    other = run.select(run.trials[:40])
    return make_report(run, digits, other=other).save(run.workdir / "report.html")


def found(page, like: str = "") -> str:
    """What a list says of its length, once that starts like this."""
    output = page.locator("output.found", has_text=re.compile(f"^{like}"))
    return output.inner_text()


def test_it_opens_and_says_what_was_found(run, page_file, visit):
    page = visit(page_file)
    text = page.locator(".summary").inner_text()
    memorized = int((run.memorization >= 0.25).sum())
    assert "60 models (mlp)" in text and f"{memorized:,} training examples" in text
    assert found(page) == "1,437 of 1,437 training examples"
    # Of a list of any length only what is seen exists; the highest mem comes first.
    cards = page.locator(".card")
    assert 13 < cards.count() < 300
    mem = float(cards.first.inner_text().split()[-1])
    assert mem == pytest.approx(np.nanmax(run.memorization), abs=0.006)
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.wait_for_selector(f"[aria-posinset='{run.tr_labels.size}']")
    # Every number says what it is.
    page.evaluate("scrollTo(0, 0)")
    page.get_by_label("memorized: what is this?").click()
    assert page.get_by_text("whose interval reaches it.", exact=False).last.is_visible()


def test_filters_and_order(run, page_file, visit):
    page = visit(page_file)
    page.get_by_label("class", exact=True).select_option("3")
    count = int((run.tr_labels == 3).sum())
    assert found(page, f"{count} ")
    page.get_by_role("button", name="clear").click()
    search = page.get_by_label("search by name")
    search.fill("#7")
    assert found(page, "1 of")
    assert page.locator(".card").get_attribute("aria-label").startswith("row 7,")
    search.fill(run.tr_ids[11])
    page.wait_for_selector(".card[aria-label^='row 11,']")
    search.fill("")
    assert found(page, "1,437 of")
    # A brush over the tail filters what is below.
    area = page.locator(".panel.wide .overlay").bounding_box()
    page.mouse.move(area["x"] + area["width"] * 0.5, area["y"] + 20)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] - 1, area["y"] + 50)
    page.mouse.up()
    shown = int(found(page, r"\d{1,3} of").split()[0])
    least = float(
        page.get_by_text("more filters").evaluate(
            "e => e.parentElement.querySelector('[aria-label=\"mem from\"]').value"
        )
    )
    high = run.memorization >= least - 0.005
    assert abs(least - 0.5) < 0.1 and abs(shown - high.sum()) <= 1
    # Lowest first, as a table with intervals.
    page.get_by_role("button", name="clear").click()
    page.get_by_label("sorted by").select_option("accuracy")
    page.get_by_role("button", name="highest first").click()
    page.get_by_role("button", name="table").click()
    page.wait_for_selector(".line:not(.head)")
    assert "0%" in page.locator(".line:not(.head)").first.inner_text()


def test_from_train_to_test_and_back(run, page_file, visit):
    links = overview(run).train.helped
    row = int(np.argmax((links.index >= 0).any(axis=1)))
    test = int(links.index[row, 0])
    page = visit(page_file, f"train/{row}")
    text = page.locator(".example").inner_text()
    assert run.tr_ids[row] in text and f"\n{row}\n" in text
    page.locator(f".influences.helped a[href='#/test/{test}']").click()
    page.wait_for_selector(f"html[data-ready='test/{test}']")
    text = page.locator(".example").inner_text()
    assert run.tt_ids[test] in text and "Training examples that it needs" in text
    needs = overview(run).test.helped.index[test]
    shown = page.locator(".influences.helped a").evaluate_all(
        "links => links.map((a) => Number(a.hash.split('/')[2]))"
    )
    assert shown == needs[needs >= 0].tolist()
    page.keyboard.press("Escape")
    page.wait_for_selector(f"html[data-ready='train/{row}']")


def test_keys(run, page_file, visit):
    page = visit(page_file)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.press("Escape")
    first = page.locator(".card").first
    first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    across = page.evaluate(
        "Number(document.activeElement.getAttribute('aria-posinset')) - 2"
    )
    assert across > 5  # one to the right, and a line down
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    highest = int(np.nanargmax(run.memorization))
    page.wait_for_selector(f"html[data-ready='train/{highest}']")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(f"html[data-ready^='train/']:not([data-ready$='/{highest}'])")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector(f"html[data-ready='train/{highest}']")
    page.keyboard.press("?")
    assert page.get_by_role("dialog").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")


def test_decisions_go_out_and_come_back(run, digits, page_file, visit, tmp_path, capsys):
    page = visit(page_file, "suspects")
    shown = overview(run)
    first, second = shown.suspects[:2].tolist()
    rows = page.locator(".suspect")
    assert rows.first.get_attribute("aria-label") == f"suspect 1, row {first}"
    rows.first.focus()
    page.keyboard.press("1")  # wrong, and on to the next
    page.keyboard.press("3")  # rare
    assert "2 decided: 1 likely wrong, 0 hard, 1 rare" in found(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="export decisions").click()
    path = tmp_path / "decisions.csv"
    download.value.save_as(path)
    with open(path) as file:
        lines = {int(line["row"]): line for line in csv.DictReader(file)}
    said = str(shown.train.votes.label[first, 0])
    assert lines[first]["decision"] == "wrong" and lines[first]["new_label"] == said
    assert lines[second]["decision"] == "rare" and lines[second]["new_label"] == ""

    flags = [str(run.workdir), f"--decisions={path}", f"--output={tmp_path / 'r.html'}"]
    for name in ("cleaned.npz", "relabelled.npz", "masks.npz"):
        assert command.main([*flags, f"--write={tmp_path / name}"]) == 0
    cleaned = jaxmem.load_dataset(tmp_path / "cleaned.npz")
    kept = np.arange(run.tr_labels.size) != first
    np.testing.assert_array_equal(cleaned.train.ids, run.tr_ids[kept])
    relabelled = jaxmem.load_dataset(tmp_path / "relabelled.npz").train.labels
    assert np.flatnonzero(relabelled != run.tr_labels).tolist() == [first]
    with np.load(tmp_path / "masks.npz") as stored:
        np.testing.assert_array_equal(stored["kept"], kept)
        np.testing.assert_array_equal(stored["relabelled"], relabelled)

    # The new report knows them; so does another that takes the file.
    again = visit(tmp_path / "r.html", "suspects")
    assert "2 decided" in found(again)
    fresh = visit(page_file, "suspects")
    assert "0 decided" in found(fresh)
    fresh.get_by_label("take decisions back").set_input_files(path)
    fresh.get_by_text("2 decisions taken back.").wait_for()
    assert "2 decided: 1 likely wrong, 0 hard, 1 rare" in found(fresh)


def test_pairs_and_another_run(run, page_file, visit):
    page = visit(page_file, "pairs")
    pairs = overview(run).pairs
    assert found(page) == f"{pairs.infl.size:,} of {pairs.infl.size:,} pairs"
    first = page.locator(".pair").first
    infl = float(re.search(r"infl (\S+)", first.inner_text())[1])
    assert infl == pytest.approx(pairs.infl[0], abs=0.006)
    page.get_by_label("which pairs").select_option("same")
    same = run.tr_labels[pairs.tr_idx] == run.tt_labels[pairs.tt_idx]
    assert found(page).startswith(f"{same.sum():,} of")
    page.get_by_role("link", name="Compare").click()
    page.wait_for_selector("html[data-ready='compare']")
    other = run.select(run.trials[:40]).memorization
    only = (run.memorization >= 0.25) & (other < 0.25)
    assert found(page).startswith(f"{only.sum()} examples")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_by_day_and_by_night(page_file, visit, scheme):
    page = visit(page_file, viewport={"width": 360, "height": 740}, color_scheme=scheme)
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    bright = sum(map(int, re.findall(r"\d+", paper))) > 380
    assert bright == (scheme == "light")
    for route in ("", "pairs", "suspects", "train/5", "compare"):
        page.goto(page.url.split("#")[0] + f"#/{route}")
        page.wait_for_selector(f"html[data-ready='{route or 'examples'}']")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, route


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_paper_has_room(page_file, visit, scheme):
    """The rules of axe-core: names of controls, contrast, headings, roles."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = visit(page_file, color_scheme=scheme)
    for route in ("", "pairs", "suspects", "train/5", "test/5", "compare"):
        page.goto(page.url.split("#")[0] + f"#/{route}")
        page.wait_for_selector(f"html[data-ready='{route or 'examples'}']")
        found = axe.Axe().run(page).response["violations"]
        said = [(v["id"], v["nodes"][0]["html"][:200]) for v in found]
        assert not said, route
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_a_table_without_pictures_and_names_that_are_no_html(visit, tmp_path):
    """What looks like markup is text, wherever it stands."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 6)).astype(np.float32)
    labels = np.where(x[:, 0] > 0, SCRIPT, "<img src=x onerror=alert(1)>")
    names = [f"{SCRIPT}{k}" for k in range(40)]
    split = x[:40], labels[:40], x[40:], labels[40:]
    data = jaxmem.make_dataset("<b>t</b></script>", *split, train_names=names)
    data = data._replace(feature_names=(SCRIPT, "b", "c", "d", "e", "f"))
    run = jaxmem.run_trials(data, 30, tmp_path / "w", width=1, epochs=2, hidden=(4,))
    page = visit(run.report(data).save(tmp_path / "t.html"))
    page.wait_for_selector(".line:not(.head)")  # a table, as there are no pictures
    page.locator(".line:not(.head)").first.get_by_text(SCRIPT).first.wait_for()
    page.locator(".line:not(.head)").first.click()
    page.wait_for_selector("html[data-ready^='train/']")
    assert page.locator(".values th").first.inner_text() == SCRIPT
    assert page.locator("h1").inner_text().endswith(tuple(names))
    assert page.locator("main b, main img, #app script").count() == 0
    assert "stolen" not in page.title()
    # In a notebook it has a frame of its own.
    frame = tmp_path / "notebook.html"
    frame.write_text(f"<html data-ready>{run.report(data)._repr_html_()}")
    inner = visit(frame).frame_locator("iframe")
    inner.locator(".line:not(.head)").first.click()
    inner.get_by_role("heading", name="Values").wait_for()


def test_a_folder_is_loaded_piece_by_piece(run, digits, visit, tmp_path, monkeypatch):
    report = make_report(run, digits)
    monkeypatch.setattr("jaxmem.reporting.report.LARGEST", 1000)
    path = report.save(tmp_path / "large.html")
    assert path == tmp_path / "large" / "index.html" and path.stat().st_size < 300_000
    assert report.save(tmp_path / "large") == path  # again
    page = visit(path, "train/3")
    assert run.tr_ids[3] in page.locator(".example").inner_text()
    page.wait_for_selector(".large .picture.there")


def test_mnist_5000(shared, visit, tmp_path):
    splits = {"train_split": "train[:5000]", "test_split": "test[:1000]"}
    data = jaxmem.load_dataset("mnist", data_dir=shared / "tfds", **splits)
    fast = {"width": 1, "hidden": (32,), "epochs": 1, "batch_size": 500}
    run = jaxmem.run_trials(data, 12, tmp_path, **fast)
    page = visit(run.report(data).save(tmp_path / "report.html"))
    assert found(page) == "5,000 of 5,000 training examples"
    page.wait_for_selector(".card .picture.there")
    assert page.evaluate("performance.getEntriesByName('jaxmem-first-view').length") == 1


def test_decisions_of_an_earlier_report_are_in_a_new_one(run, digits, visit, tmp_path):
    decisions = (Decision(4, "hard", ""), Decision(9, "wrong", "2"))
    report = make_report(run, digits, decisions=decisions)
    page = visit(report.save(tmp_path / "d.html"), "train/9")
    pressed = page.locator(".decide button[aria-pressed=true]")
    assert pressed.inner_text() == "likely wrong"
    assert page.get_by_label("new label of row 9").input_value() == "2"
