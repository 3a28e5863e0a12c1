"""The notebook runs from start to end, and is kept without output."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "experiments" / "memorization.ipynb"


@pytest.fixture(scope="module")
def notebook():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    return notebook


def test_it_is_kept_without_output(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None


def test_it_runs_and_shows_what_it_says(notebook, tmp_path):
    (cell,) = (c for c in notebook.cells if "TRIALS = 1000" in c.source)
    cell.source = cell.source.replace("TRIALS = 1000", "TRIALS = 300")
    client = NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    text = "".join(o.text for o in outputs if o.output_type == "stream")
    assert "300 networks" in text
    memorized = int(text.split(" of 1437 examples are memorized")[0].split()[-1])
    assert 15 < memorized < 40
    own = float(text.split("networks of my own, right on test examples: ")[1].split("%")[0])
    assert own > 85
    pictures = [o for o in outputs if "image/png" in o.get("data", {})]
    assert len(pictures) == 3
