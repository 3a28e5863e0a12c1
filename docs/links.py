"""What the site's build adds to MkDocs: links beyond docs/, public names, and --help.

Links in Markdown lead to files of the repository, as GitHub follows them. On the site a
file has the same path, without a leading docs/: what pages link to, and the pages of the
navigation that are not in docs/, join the site from where they lie. In the reference,
`::: jaxmem.name` stands for the module that has the name, as jaxmem/__init__.py says, and
`<!-- help run -->` for what `jaxmem run --help` prints.
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
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "experiments/README.md")
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")  # the target, without its #anchor


def _target(file: File, link: str) -> str:
    """Where a link of a page leads, as a path of the repository."""
    folder = os.path.dirname(os.path.relpath(file.abs_src_path, ROOT))
    return os.path.normpath(os.path.join(folder, link))


@event_priority(100)  # before plugins look for notebooks
def on_files(files, config):
    """Add PAGES, and every file outside docs/ that a page links to."""

    def add(path: str) -> None:
        if path not in files.src_uris and (ROOT / path).is_file():
            file = File(path, str(ROOT), config.site_dir, config.use_directory_urls)
            files.append(file)

    for path in PAGES:
        add(path)
    for page in files.documentation_pages():
        for link in LINK.findall(page.content_string):
            path = _target(page, link)
            if not path.startswith("docs/"):
                add(path)
    return files


def on_page_markdown(markdown, page, config, files):
    """Lead links to their place on the site, public names to their modules; print help."""

    def link(match: re.Match) -> str:
        there = _target(page.file, match[1]).removeprefix("docs/")
        here = os.path.dirname(page.file.src_uri)
        return os.path.relpath(there, here or ".")

    markdown = LINK.sub(link, markdown)
    markdown = re.sub(r"^<!-- help (\w+) -->$", _help, markdown, flags=re.M)
    return re.sub(r"^::: jaxmem\.(\w+)$", _public, markdown, flags=re.M)


def _help(match: re.Match) -> str:
    command = [sys.executable, "-m", f"jaxmem.{match[1]}", "--help"]
    env = {**os.environ, "COLUMNS": "88", "NO_COLOR": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    return f"```text\n{done.stdout}```"


def _public(match: re.Match) -> str:
    name = match[1]
    if name in jaxmem._NAMES:
        path = f"jaxmem.{jaxmem._NAMES[name]}.{name}"
    else:
        path = f"jaxmem.{jaxmem._MODULES[name]}"
    return (
        f"::: {path}\n    options:\n      heading: jaxmem.{name}\n      toc_label: {name}"
    )
