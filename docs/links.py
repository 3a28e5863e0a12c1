"""What the site's build adds to MkDocs: pages and links beyond docs/, and public names.

Links in Markdown lead to files of the repository, as GitHub follows them. Here they lead to
the page that shows the file, or to a copy of it. And `::: jaxmem.name` in the reference
stands for the module that has the name, as jaxmem/__init__.py says; `<!-- help run -->` for
what `jaxmem run --help` prints.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from mkdocs.plugins import event_priority
from mkdocs.structure.files import File

import jaxmem

ROOT = Path(__file__).parents[1]
# Pages that are not in docs/, by what they show.
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "experiments/README.md": "experiments.md",
    "experiments/memorization.ipynb": "tutorial.ipynb",
}
SOURCES = {page: source for source, page in PAGES.items()}
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")  # the target, without its #anchor


def _target(page: str, link: str) -> str:
    """Where a link of a page leads, as a path of the repository."""
    source = SOURCES.get(page, f"docs/{page}")
    return os.path.normpath(os.path.join(os.path.dirname(source), link))


def _on_site(path: str) -> str:
    return PAGES.get(path, path.removeprefix("docs/"))


def _help(name: str) -> str:
    command = [sys.executable, "-m", f"jaxmem.{name}", "--help"]
    env = {**os.environ, "COLUMNS": "88", "NO_COLOR": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    return f"```text\n{done.stdout}```"


@event_priority(100)  # before plugins look for notebooks
def on_files(files, config):
    """Add the pages of PAGES, and every file of the repository that a page links to."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    for page in files.documentation_pages():
        if page.src_uri.endswith(".md"):
            for link in LINK.findall(Path(page.abs_src_path).read_text(encoding="utf-8")):
                path = _target(page.src_uri, link)
                if (ROOT / path).is_file() and _on_site(path) not in files.src_uris:
                    files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Lead links to pages and copies, and public names to their modules."""

    def link(match: re.Match) -> str:
        there = _on_site(_target(page.file.src_uri, match[1]))
        if there not in files.src_uris:
            return match[1]  # MkDocs warns of it
        return os.path.relpath(there, os.path.dirname(page.file.src_uri) or ".")

    def public(match: re.Match) -> str:
        name = match[1]
        if name in jaxmem._NAMES:
            path = f"jaxmem.{jaxmem._NAMES[name]}.{name}"
        else:
            path = f"jaxmem.{jaxmem._MODULES.get(name, name)}"
        heading = f"    options:\n      heading: jaxmem.{name}\n      toc_label: {name}"
        return f"::: {path}\n{heading}"

    markdown = re.sub(r"<!-- help (\w+) -->", lambda match: _help(match[1]), markdown)
    return re.sub(r"^::: jaxmem\.(\w+)$", public, LINK.sub(link, markdown), flags=re.M)
