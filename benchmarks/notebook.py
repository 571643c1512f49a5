"""Run docs/notebooks/explore.ipynb and keep its outputs: `python -m benchmarks.notebook`.

Needs a finished run of the demo in a git clone, the activated .venv, and some minutes. The last
cell puts everything back.
"""

import ast
import contextlib
import io
import json
import sys
from code import InteractiveInterpreter
from pathlib import Path
from typing import Any

from pipeline.runtime.runner import ROOT

PATH = ROOT / "docs" / "notebooks" / "explore.ipynb"


class _Cells(InteractiveInterpreter):
    """Runs one cell after the other, and raises what a cell raises."""

    def showtraceback(self) -> None:
        error = sys.exc_info()[1]
        if error is not None:
            raise error

    def output(self, source: str) -> str:
        """Return what a cell prints, with the value of each expression."""
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            for node in ast.parse(source).body:
                shown = ast.Interactive([node])  # as at a prompt: the value of an expression
                self.runcode(compile(shown, PATH.name, "single"))
        return printed.getvalue()


def executed(notebook: dict[str, Any], slow: bool = True) -> dict[str, Any]:
    """Return the notebook with the outputs of its cells; without `slow`, of the quick ones only."""
    cells, number, session = [], 0, _Cells()
    for cell in notebook["cells"]:
        quick = "slow" not in cell["metadata"].get("tags", [])
        if cell["cell_type"] == "code" and (slow or quick):
            number += 1
            text = session.output("".join(cell["source"])).splitlines(keepends=True)
            stream = {"name": "stdout", "output_type": "stream", "text": text}
            outputs = [stream] if text else []
            cells.append({**cell, "execution_count": number, "outputs": outputs})
        else:
            cells.append(cell)
    return {**notebook, "cells": cells}


def main(path: Path = PATH) -> None:
    """Run all cells, then write the file: after an error it stays as it was."""
    notebook = executed(json.loads(path.read_text(encoding="utf-8")))
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
