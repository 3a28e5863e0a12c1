"""The floors of docs/architecture.md: imports go down the house, never in circles."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "jaxmem"
PAGE = PACKAGE.parent / "docs" / "architecture.md"
FLOORS = [
    line.split()[0].removesuffix("/").removesuffix(".py")
    for line in re.search(r"```floors\n(.*?)```", PAGE.read_text(), re.S)[1].splitlines()
]
COMMANDS = ("run", "suspects", "estimate", "audit", "report", "predict", "adopt")
HEIGHT = {
    **{name: height for height, name in enumerate(FLOORS)},
    "version": FLOORS.index("errors"),
    **dict.fromkeys(("options", "recipe_options"), len(FLOORS)),
    **dict.fromkeys(COMMANDS, len(FLOORS) + 1),
    **dict.fromkeys(("__init__", "__main__"), len(FLOORS) + 2),
}
FILES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix(): path
    for path in PACKAGE.rglob("*.py")
}


def imports(path):
    """The modules of ours that a file imports, in any function too; not for types alone."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            if name.startswith("jaxmem."):
                yield name.removeprefix("jaxmem.").replace(".", "/")


def module(name):
    """The file that an imported name is of: "a/b/f" is of a/b.py, or of a/b/__init__.py."""
    for known in (name, f"{name}/__init__", name.rpartition("/")[0]):
        if known in FILES:
            return known
    return f"{name.rpartition('/')[0]}/__init__"


GRAPH = {name: {module(found) for found in imports(path)} for name, path in FILES.items()}


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_imports_only_floors_above_it(name):
    floor = HEIGHT[name.partition("/")[0]]
    for found in GRAPH[name]:
        other = HEIGHT[found.partition("/")[0]]
        same_folder = found.partition("/")[0] == name.partition("/")[0]
        assert other < floor or same_folder, f"{name} imports {found}"


def test_no_circles():
    done, path = set(), []

    def visit(name):
        if name in path:
            pytest.fail(" → ".join([*path[path.index(name) :], name]))
        if name in done:
            return
        path.append(name)
        for found in GRAPH.get(name, ()):
            # `from a import b` looks into a/__init__ only for what is no file.
            visit(found)
        done.add(path.pop())

    for name in GRAPH:
        visit(name)


def test_training_knows_no_disk_and_no_clock():
    barred = ("_shared/files", "_shared/arrays", "_shared/progress", "_shared/cache")
    for name, found in GRAPH.items():
        if name.startswith("training/"):
            assert not found & set(barred), name
            text = FILES[name].read_text()
            assert "import time" not in text and "open(" not in text, name


def test_estimates_are_free_of_training():
    for name, found in GRAPH.items():
        if name.startswith("estimates/"):
            assert not any(other.startswith(("training", "models")) for other in found), (
                name
            )


def test_reading_a_workdir_imports_no_network_library():
    code = "import jaxmem, sys; jaxmem.open_run; jaxmem.soft; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    loaded = set(ran.stdout.decode().split())
    assert "jaxmem.estimates.results" in loaded
    assert not loaded & {"flax", "optax", "orbax", "tensorflow"}
    assert not {name for name in loaded if name.startswith("jaxmem.models")}


@pytest.mark.parametrize("name", sorted(FILES))
def test_files_have_one_subject(name):
    """About 250 lines; Run, whose every method is a few lines, may have 300."""
    most = 300 if name == "estimates/results" else 260
    assert len(FILES[name].read_text().splitlines()) <= most
