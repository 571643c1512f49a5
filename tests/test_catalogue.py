"""A file in the folder of feature families is a family, and nothing else needs to change."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numba
import pytest
from frozen import ROOT, project
from situations import columns

from features.catalogue import FAMILIES, family_of

GUIDE = (ROOT / "docs" / "how-to" / "adding-a-feature.md").read_text(encoding="utf-8")
# Days 2 and 3 were a Saturday and a Sunday.
PROGRAM = """
from situations import features_at, past_of
(row,) = features_at(past_of(orders=[1, 2, 3, 4]), 30).values()
print(len(row), row.dtype.names[-1], row["weekend_share"], row["purchases"])
"""


def run_in(folder: Path, program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{folder / 'tests'}{os.pathsep}{folder}"
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_new_file_in_the_folder_adds_its_columns_last_with_nothing_else_changed(
    tmp_path: Path,
) -> None:
    copy = project(tmp_path, "features", "models", "pipeline", "tests", "shops")
    (source,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    (copy / "features" / "families" / "weekend.py").write_text(source, encoding="utf-8")
    # Kernels that were compiled without the family lie in the same cache.
    cache = str(Path(numba.config.CACHE_DIR).parent)
    for environment in ({"NUMBA_CACHE_DIR": cache}, {"NUMBA_DISABLE_JIT": "1"}):
        ended = run_in(copy, PROGRAM, **environment)
        assert ended.stderr == ""
        assert ended.stdout.split() == [str(len(columns()) + 1), "weekend_share", "0.5", "4.0"]


def test_a_file_that_lacks_a_part_of_a_family_is_refused_by_name() -> None:
    module = ModuleType("features.families.weekend", "Weekend.")
    module.__file__ = "features/families/weekend.py"
    with pytest.raises(TypeError, match=r"families/weekend\.py has no FEATURES, weekend: complete"):
        family_of(module)


def test_the_families_have_the_order_that_models_rely_on() -> None:
    names = "recency frequency monetary pattern variety returns complaints service relationship"
    assert [family.name for family in FAMILIES] == [*names.split(), "season"]


def test_no_two_columns_have_the_same_name() -> None:
    names = [column.name for column in columns()]
    assert {name for name in names if names.count(name) > 1} == set()
