"""What readers of the list need: whom it may show, and files that are the ones it names."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.runtime.errors import InputError
from pipeline.runtime.store import Folder, sha256

REPORTS = "reports"  # in the folder of a list: tables about it, which `reports/` leads to
UNLISTED = ("hold_out", "do_not_contact")  # contacts that no list for people shows


def may_be_listed(scored: pa.Table) -> pa.ChunkedArray:
    """Whether people may see each row: not the control group, nor who must not be contacted."""
    return pc.invert(pc.is_in(scored["contact"], pa.array(UNLISTED)))


def listed(scored: pa.Table) -> pa.Table:
    """The rows that people may see."""
    return scored.filter(may_be_listed(scored))


def published_table(lists: Folder, name: str, manifest: Mapping[str, Any]) -> pa.Table:
    """A table of the list. Raises InputError unless it is the file that the manifest names."""
    file = manifest["files"].get(name)
    if file is None or not lists.has(name) or sha256(lists.path / name) != file["sha256"]:
        problem, fix = "not the file that manifest.json names", "run the stage `score` again"
        raise InputError("E_LIST", f"data/lists/{name}", problem, fix)
    return lists.read(name)
