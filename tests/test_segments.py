"""Segments: columns of lists and figures by value, and never a feature."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from frozen import ROOT
from raw_shop import GOOD, Ingested, csv, ingested

from models.defection.by_segment import by_segment
from pipeline.inputs.segments import segments_of
from pipeline.runtime.errors import Refused

HEAD = "customer_id,region,store"
BEFORE = ("calibrate", "extract", "assign", "label", "train")
ORDERS = csv(GOOD, "C2,O2,2026-01-05,A,tea,1,9.99", "C3,O3,2026-01-06,A,tea,1,9.99")


def with_segments(folder: Path, *rows: str, head: str = HEAD, **files: str) -> Ingested:
    folder.mkdir(exist_ok=True)
    given = {f"{name}.csv": content for name, content in files.items()}
    given |= {"orders.csv": ORDERS, "segments.csv": csv(*rows, head=head)}
    return ingested(folder, given, quarantine_limit={"default": 0})


def segments(result: Ingested) -> dict[str, list[str | None]]:
    ids = ["C1", "C2", "C3"]
    own = segments_of(result.events, pa.array(ids))
    return {name: values.to_pylist() for name, values in own.items()}


def test_a_customer_has_the_segments_of_their_row_and_others_none(tmp_path: Path) -> None:
    result = with_segments(tmp_path, "C1,north,7", "C3,south,", "X9,north,8")
    assert segments(result) == {
        "segment_region": ["north", None, "south"],
        "segment_store": ["7", None, None],
    }
    assert result.account["tables"]["segments"]["out_of_window"] == 1  # X9 is no customer


def test_a_merged_customer_keeps_the_first_value_that_is_known(tmp_path: Path) -> None:
    aliases = csv("C2,C1,2026-01-01", head="customer_id,canonical_id,recorded_at")
    result = with_segments(tmp_path, "C1,,7", "C2,south,8", aliases=aliases)
    assert segments(result)["segment_region"][0] == "south"
    assert segments(result)["segment_store"][0] == "7"


@pytest.mark.parametrize(
    ("head", "rows", "message"),
    [
        ("customer_id,a,b,c,d,e,f", ["C1,1,2,3,4,5,6"], "E_SEGMENTS .* more than 5"),
        ('customer_id,"Account manager"', ["C1,Ann"], "E_SEGMENTS .*as account_manager"),
        ("customer_id,postcode", ["C1,1010"], "E_PROTECTED .*segments.postcode"),
        (HEAD, ["C1,north,7", "C1,south,7"], "E_DUPLICATE_ID segments.csv:2 and segments.csv:3"),
        (HEAD, ["X1,north,7"], "E_SEGMENTS .* no row names a known customer"),
    ],
)
def test_segments_that_cannot_be_used_are_refused(
    tmp_path: Path, head: str, rows: list[str], message: str
) -> None:
    with pytest.raises(Refused, match=message):
        with_segments(tmp_path, *rows, head=head)


def test_segments_change_no_event_so_no_feature_can_know_them(tmp_path: Path) -> None:
    one = with_segments(tmp_path / "one", "C1,north,7", "C2,south,8")
    other = with_segments(tmp_path / "other", "C1,south,9", "C2,north,7")
    files = {"segments.parquet"}
    names = {str(path.relative_to(one.events.path)) for path in one.events.path.rglob("*.parquet")}
    assert files < names
    for name in names - files:
        assert one.events.read(name).equals(other.events.read(name)), name
    assert segments(one) != segments(other)


def test_no_code_before_the_evaluation_reads_segments() -> None:
    stages = [ROOT / "pipeline" / "stages" / f"{name}.py" for name in BEFORE]
    code = [*stages, *(ROOT / "features").rglob("*.py"), *(ROOT / "pipeline" / "engine").glob("*")]
    assert not [path.name for path in code if path.is_file() and "segment" in path.read_text()]


def population(size: int = 400) -> pd.DataFrame:
    """Customers of two regions: in the north the risk is right, in the south it is chance."""
    draw = np.random.default_rng(3)
    north, risk = np.arange(size) % 2 == 0, draw.random(size)
    defected = np.where(north, draw.random(size) < risk, draw.random(size) < 0.5)
    rows = pd.DataFrame({"customer_id": range(size), "defected": defected, "model": risk})
    rows["segment"] = np.where(north, "north", "south")
    rows.loc[:2, "segment"] = "tiny"
    rows.loc[3:24, "segment"] = None
    return rows


def test_figures_by_segment_show_where_the_scorer_works_and_hide_small_groups() -> None:
    rows = population()
    entries = {e["value"]: e for e in by_segment(rows, "model", 20, 50, 7)}
    assert set(entries) == {"north", "south", None}  # three customers would be persons
    assert entries["north"]["auc_ci"][0] > 0.7 > entries["south"]["auc_ci"][1]
    north = rows[rows["segment"] == "north"]
    assert entries["north"]["population"] == entries["north"]["customers"] == len(north)
    assert entries["north"]["base_rate"] == round(float(north["defected"].mean()), 5)
    assert entries[None]["auc"] is None  # too few of the rarer outcome
    assert all(e["auc"] is None for e in by_segment(rows, None, 20, 50, 7))
