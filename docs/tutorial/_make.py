"""Make of a page of this folder what its Python blocks show: the pictures, and a notebook.

::

    python docs/tutorial/_make.py docs/tutorial/retention.md

A block followed by an image shows what its last line is: the picture is drawn into that file. In the notebook, blocks
are cells without prompts and outputs, which come from running them.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from doctest import DocTestParser
from pathlib import Path

BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n!\[[^\]]*\]\(([\w.-]+)\)\n)?", re.MULTILINE | re.DOTALL)


def parts(page: str) -> Iterator[tuple[str, str, str | None]]:
    """Yield the kind and the text of each part of a page, and the file of the picture that follows a block."""
    end = 0
    for block in BLOCK.finditer(page):
        yield "markdown", page[end : block.start()].strip(), None
        yield "code", plain(block[1]), block[2]
        end = block.end()
    yield "markdown", page[end:].strip(), None


def plain(code: str) -> str:
    """Return a block without prompts and expected outputs."""
    if ">>> " not in code:
        return code.strip()
    return "".join(example.source for example in DocTestParser().get_examples(code)).strip()


def notebook(page: str) -> str:
    """Return a page as a notebook, without outputs."""
    cells = [
        {
            "cell_type": kind, "id": f"part-{number}", "metadata": {}, "source": text.splitlines(keepends=True),
            **({"execution_count": None, "outputs": []} if kind == "code" else {}),
        }
        for number, (kind, text, _) in enumerate(parts(page))
        if text
    ]  # fmt: skip
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    content = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def draw(page: str, folder: Path) -> None:
    """Run the blocks, in an empty folder, and save the pictures."""
    names: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as empty, contextlib.chdir(empty), open(os.devnull, "w") as quiet:
        for kind, text, file in parts(page):
            if kind == "code":
                tree = ast.parse(text)
                last = tree.body.pop() if file else None
                with contextlib.redirect_stdout(quiet):
                    exec(compile(tree, "page", "exec"), names)
                    if isinstance(last, ast.Expr):
                        shown = eval(compile(ast.Expression(last.value), "page", "eval"), names)
                        shown.save(str(folder / str(file)))  # type: ignore[attr-defined]


def main() -> None:
    """Make the pictures and the notebook of the pages that are named."""
    for path in map(Path, sys.argv[1:]):
        text = path.read_text(encoding="utf-8")
        path.with_suffix(".ipynb").write_text(notebook(text), encoding="utf-8")
        draw(text, path.parent.resolve())


if __name__ == "__main__":
    main()
