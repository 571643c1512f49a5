"""What is checked of params.yaml itself. All other tests read the frozen tests/params.yaml."""

from pathlib import Path
from typing import Any

import frozen
import yaml
from frozen import ROOT, params

from pipeline.runtime import store
from pipeline.runtime.params import load
from pipeline.runtime.yaml_file import read_yaml, reasons

TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")
SHOPS = sorted(path.stem for path in (ROOT / "shops").glob("*.yaml"))


def keys(value: Any, place: str = "") -> set[str]:
    """The dotted keys of nested sections, the inner ones too."""
    if not isinstance(value, dict):
        return set()
    dotted = {f"{place}{key}": inner for key, inner in value.items()}
    return set(dotted).union(*(keys(inner, f"{key}.") for key, inner in dotted.items()))


def test_params_yaml_is_valid_with_the_file_of_every_shop(tmp_path: Path) -> None:
    (line,) = [line for line in TEXT.splitlines() if line.startswith("shop:")]
    for shop in SHOPS:
        root = tmp_path / shop
        store.write(root / "params.yaml", TEXT.replace(line, f"shop: {shop}", 1))
        own = (ROOT / "shops" / f"{shop}.yaml").read_text(encoding="utf-8")
        store.write(root / "shops" / f"{shop}.yaml", own)
        assert load(root).shop == shop


def test_the_frozen_file_has_the_keys_of_params_yaml() -> None:
    real, copy = (keys(read_yaml(path, ROOT)) for path in (ROOT / "params.yaml", frozen.PATH))
    fixes = [f"add `{key}` to tests/params.yaml" for key in sorted(real - copy)]
    fixes += [
        f"add `{key}` to params.yaml, or remove it from tests/" for key in sorted(copy - real)
    ]
    assert not fixes, "; ".join(fixes)


def test_every_threshold_of_the_handbook_has_its_reason_beside_it() -> None:
    written = reasons(ROOT / "params.yaml", ("assign", "ipt"))
    missing = [
        f"{section}.{key}"
        for section, names in (("assign", params().assign._fields), ("ipt", params().ipt._fields))
        for key in names
        if len(written[section].get(key, "")) <= 3
    ]
    assert not missing, f"write the reason as a comment in params.yaml beside {missing}"


def test_a_key_of_one_file_only_is_shown_with_its_section() -> None:
    assert keys(yaml.safe_load("a: {b: {c: 1}}\nd: 2")) == {"a", "a.b", "a.b.c", "d"}
