"""A real browser, and pages in it that must neither complain nor ask the network."""

import contextlib
import shutil

import pytest

FLAGS = """--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync
--disable-background-networking --disable-component-update""".split()


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("needs chromium: apt-get install chromium")
    with playwright.sync_playwright() as p:
        launched = p.chromium.launch(executable_path=path, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def visit(browser):
    """visit(file, route="") → a page that shows it; whatever it says or asks for fails."""
    with contextlib.ExitStack() as stack:
        said = []

        def _visit(path, route="", **context):
            size = {"width": 1280, "height": 900}
            opened = browser.new_context(**{"viewport": size, **context})
            stack.callback(opened.close)
            page = opened.new_page()
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("dialog", lambda dialog: said.append(dialog.message))
            page.on("request", lambda request: said.extend(_foreign(request.url)))
            page.goto(f"file://{path}#/{route}")
            page.wait_for_selector("html[data-ready]")
            return page

        yield _visit
        assert not said


def _foreign(url: str) -> list[str]:
    return [] if url.startswith(("file:", "blob:", "about:")) else [url]
