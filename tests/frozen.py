"""The parameters of the tests: tests/params.yaml.

They are frozen, so that a new value in params.yaml changes the product and breaks no test. The
file params.yaml itself is read by test_real_params.py only.
"""

import functools
import shutil
from pathlib import Path

from pipeline.runtime.params import Params
from pipeline.runtime.yaml_file import read_yaml

ROOT = Path(__file__).resolve().parents[1]
PATH = ROOT / "tests" / "params.yaml"
TEXT = PATH.read_text(encoding="utf-8")


@functools.cache
def params() -> Params:
    """The frozen parameters, for the demo shop."""
    return Params.model_validate(read_yaml(PATH, ROOT))


def project(folder: Path, *names: str) -> Path:
    """Give a folder the frozen parameters as its params.yaml, and these files of the project."""
    (folder / "params.yaml").write_text(TEXT, encoding="utf-8")
    for name in names:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    return folder
