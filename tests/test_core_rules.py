"""The table of core conditions: complete rows, and one row is all that a new condition takes."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from frozen import ROOT, TEXT

from models.lifecycle.core_rules import CONDITIONS, Condition
from models.lifecycle.limits import Limits
from pipeline.runtime.yaml_file import reasons

NEW_ROW = """    Condition(
        "recent_visits",
        {"core_min_visits_365d": Annotated[int, Field(ge=0)]},
        value=lambda at: at.purchases,
        at_least=lambda limits, _: limits.core_min_visits_365d,
        lacking="{value:visit|visits} (needs {bound})",
        handbook="at least {core_min_visits_365d} visits",
    ),
)
"""
NEW_PARAMETER = "assign:\n  core_min_visits_365d: 6   # twice a quarter\n"
PRINT_CORE = """
import json, sys
from pathlib import Path
sys.path.insert(0, "tests")
import numpy as np, pyarrow as pa
from situations import past_of, shop, life_cycle
from pipeline.delivery.why_stage import facts, why_stage
from pipeline.docs.documents import documents
from pipeline.engine.lifecycle import lifecycle_table
from pipeline.runtime.params import Params
from pipeline.runtime.yaml_file import read_yaml
root = Path.cwd()
limits = Params.model_validate(read_yaml(root / "params.yaml", root)).assign
ids, at, states = life_cycle(
    past_of(orders=[0, 1, 61, 62, 122, 123]), np.array([124], np.int32), shop(), limits
)
rows = lifecycle_table(states, pa.array(["C0"]), at, True)
known = facts(rows, limits, 30.0)
handbook = documents(root)["docs/lifecycle.md"]
print(json.dumps({"lacks": rows["lacks"][0].as_py(), "why": why_stage(known)[0].as_py(),
                  "handbook": handbook}))
"""


def mistakes(rows: tuple[Condition, ...], given: dict[str, str]) -> list[str]:
    """What is missing in the rows, `given` being the reasons of section `assign`."""
    missing = []
    for row in rows:
        names = {name for _, name, _, _ in Formatter().parse(row.handbook) if name}
        checks = {
            "has no wording for `why`": not row.lacking.strip(),
            "has no wording for the handbook": not row.handbook.strip(),
            "needs one of at_least and at_most": (row.at_least is None) == (row.at_most is None),
            "names other parameters in the handbook": not names <= set(row.thresholds),
        }
        missing += [f"condition `{row.name}` {what}" for what, wrong in checks.items() if wrong]
        missing += [
            f"condition `{row.name}`: `assign.{key}` has no reason in params.yaml"
            for key in row.thresholds
            if not given.get(key)
        ]
    return missing


def test_every_condition_has_words_one_bound_and_a_reason_for_each_threshold() -> None:
    assert mistakes(CONDITIONS, reasons(ROOT / "params.yaml", ("assign",))["assign"]) == []
    assert len({row.name for row in CONDITIONS}) == len(CONDITIONS)
    assert {key for row in CONDITIONS for key in row.thresholds} <= set(Limits._fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lacking": " "}, "condition `pace` has no wording for `why`"),
        ({"handbook": ""}, "condition `pace` has no wording for the handbook"),
        ({"at_most": None}, "condition `pace` needs one of at_least and at_most"),
        (
            {"thresholds": {"core_max_pace": float, "core_max_ipt_ratio": float}},
            "condition `pace`: `assign.core_max_pace` has no reason in params.yaml",
        ),
    ],
)
def test_an_incomplete_condition_is_named(change: dict[str, Any], message: str) -> None:
    (pace,) = (row for row in CONDITIONS if row.name == "pace")
    assert mistakes((pace._replace(**change),), {"core_max_ipt_ratio": "because"}) == [message]


def in_a_copy(folder: Path, edit: Callable[[str, str], tuple[str, str]]) -> dict[str, str]:
    """Bits, text and handbook with other texts of core_rules.py and params.yaml."""
    for name in ("features", "models", "pipeline", "tests"):
        ignored = shutil.ignore_patterns("__pycache__", ".cache")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    files = [folder / "models/lifecycle/core_rules.py", folder / "params.yaml"]
    # The frozen parameters, with the reasons that the handbook needs.
    files[1].write_text(re.sub(r"(?m)^(  \S.*)$", r"\1  # because", TEXT), encoding="utf-8")
    for path, text in zip(files, edit(*(p.read_text("utf-8") for p in files)), strict=True):
        path.write_text(text, encoding="utf-8")
    shutil.copy(files[1], folder / "tests" / "params.yaml")
    run = subprocess.run(
        [sys.executable, "-c", PRINT_CORE],
        cwd=folder,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    printed: dict[str, str] = json.loads(run.stdout)
    return printed


def test_one_row_and_one_parameter_add_a_condition_to_rule_text_and_handbook(
    tmp_path: Path,
) -> None:
    def add(rules: str, parameters: str) -> tuple[str, str]:
        assert rules.endswith(")\n")
        more = parameters.replace("assign:\n", NEW_PARAMETER.replace("6 ", "7 "))
        return rules.removesuffix(")\n") + NEW_ROW, more

    printed = in_a_copy(tmp_path, add)
    assert printed["lacks"] == "regularity,recent_visits"
    assert "log-sd 1.77 (at most 1.28), 6 visits (needs 7)" in printed["why"]
    assert "* at least 7 visits\n" in printed["handbook"]
    assert "| `assign.core_min_visits_365d` | 7 | twice a quarter |" in printed["handbook"]


def test_without_its_row_and_parameter_a_condition_is_gone(tmp_path: Path) -> None:
    def remove(rules: str, parameters: str) -> tuple[str, str]:
        first = rules.index('    Condition(\n        "regularity"')
        rest = rules[rules.index("    Condition(", first + 9) :]
        lines = [line for line in parameters.splitlines() if "core_max_log_sd" not in line]
        return rules[:first] + rest, "\n".join(lines) + "\n"

    printed = in_a_copy(tmp_path, remove)
    assert printed["lacks"] is None
    assert printed["why"].startswith("Core since 1970-05-04 with 6 purchases (needs 4), ")
    assert "log-sd 1" not in printed["why"]
    assert "core_max_log_sd" not in printed["handbook"]
