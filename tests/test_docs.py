"""The docs are true: their code runs, their commands parse, their links lead somewhere."""

import ast
import importlib
import re
import shlex
from pathlib import Path

import jax
import pytest

import jaxmem
from jaxmem.__main__ import COMMANDS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "jaxmem"
PAGES = [*ROOT.glob("*.md"), ROOT / "experiments" / "README.md", *ROOT.glob("docs/**/*.md")]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def fences(page: Path, language: str) -> list[str]:
    return [code for name, code in FENCE.findall(page.read_text()) if name == language]


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if fences(page, "python")],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_python_runs_as_written(page, tmp_path, monkeypatch):
    """All of a page's blocks in order, but with at most 24 trials of 2 epochs each."""

    def few_trials(data, trials=None, workdir=None, **arguments):
        trials = None if trials is None else min(trials, 24)
        return run_trials(data, trials, workdir, **{"epochs": 2, "width": 1, **arguments})

    run_trials = jaxmem.run_trials
    monkeypatch.setattr(jaxmem, "run_trials", few_trials)
    for name in ("tiny", "softmax"):  # goes again after the test
        monkeypatch.setitem(jaxmem.MODELS, name, None)
    monkeypatch.chdir(tmp_path)
    namespace = {}
    with jax.numpy_rank_promotion("allow"):  # as it is for readers
        for number, code in enumerate(fences(page, "python"), 1):
            exec(compile(code, f"{page.name}, block {number}", "exec"), namespace)


def commands(page: Path) -> list[list[str]]:
    """Words of every command of ours on a page: in sh blocks, and between backticks."""
    text = page.read_text()
    lines = "\n".join(fences(page, "sh")).splitlines()
    ours = r"(?:python -m jaxmem\.|jaxmem [a-z]+ -|python experiments/)"
    lines += re.findall(rf"`({ours}[^`…<]*)`", text.replace("\n", " "))
    parts = (part for line in lines for part in line.split(" #")[0].split("&&"))
    return [words for words in map(shlex.split, parts) if words]


@pages
def test_commands_parse(page):
    for words in commands(page):
        match words:
            case [program, "-m", module, *arguments] if module.startswith("jaxmem."):
                _parse(module.removeprefix("jaxmem."), arguments)
            case ["jaxmem", name, *arguments] if name in COMMANDS:
                _parse(name, arguments)
            case [program, file, *_] if program == "python" and file.endswith(".py"):
                assert (ROOT / file).is_file(), words


def _parse(name: str, arguments: list[str]) -> None:
    if not arguments and name != "run":
        return  # its name in prose
    parser = importlib.import_module(f"jaxmem.{name}").make_parser()
    if name != "run" and all(word.startswith("-") for word in arguments):
        arguments = ["WORKDIR", *arguments]  # which prose leaves out
    try:
        parser.parse_args(arguments)
    except SystemExit as end:
        assert end.code == 0, f"{name} {arguments}"  # 0: --help


@pages
def test_links_lead_to_files_of_the_repository(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    for link in re.findall(r"\]\((?![a-z]+:)([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.is_file(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.M)
            assert anchor in {_anchor(h) for h in headings}, link


def _anchor(heading: str) -> str:
    """As GitHub makes it, and MkDocs too where the heading is plain."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_everything_public_says_what_it_is():
    missing = []
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        if path.stat().st_size and ast.get_docstring(tree) is None:
            missing.append(str(path))
        public = [n for n in tree.body if _is_public(n)]
        classes = (n for n in public if isinstance(n, ast.ClassDef))
        public += [n for kind in classes for n in kind.body if _is_public(n)]
        missing += [f"{path}: {n.name}" for n in public if ast.get_docstring(n) is None]
    assert not missing, "\n".join(missing)


def _is_public(node: ast.stmt) -> bool:
    kinds = ast.FunctionDef | ast.ClassDef
    return isinstance(node, kinds) and not node.name.startswith("_")


def test_every_public_name_stands_in_the_reference():
    text = "".join(page.read_text() for page in ROOT.glob("docs/reference/*.md"))
    shown = set(re.findall(r"^::: jaxmem\.(?:errors\.)?(\w+)$", text, re.M))
    assert shown == {*jaxmem.__all__, *jaxmem._MODULES} - {"__version__", "data", "models"}


def test_the_floors_are_the_folders():
    (floors,) = fences(ROOT / "docs" / "architecture.md", "floors")
    listed = {line.split("/")[0] for line in floors.splitlines() if "/ " in line}
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert listed == folders
