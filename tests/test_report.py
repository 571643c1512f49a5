"""The morning page: what it shows, whom it hides, and that no name of a customer can act in it."""

import base64
import datetime as dt
import hashlib
import re
from pathlib import Path

import pyarrow as pa
import pytest
from morning_page import (
    COSTS,
    DAY,
    UNSCORED,
    WINDOWS,
    Seen,
    counted,
    customer,
    flowed,
    ids,
    measured,
    page_of,
    published,
    searchable,
    unpacked,
)

from models.decision.queues import QUEUES
from pipeline.delivery.schema import SCORED, arrow_schema
from pipeline.desk.tabs import packed
from pipeline.runtime.errors import InputError
from pipeline.runtime.sections import Report
from pipeline.runtime.store import to_json
from pipeline.stages.report import report

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</td></tr></table></details><h1>gone",
    "{{ 7 * 7 }}{% raw %}",
    "<!-- &lt;b&gt;",
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_changes_no_element_of_the_page_and_is_shown_as_text(
    tmp_path: Path, name: str
) -> None:
    plain = Seen(page_of(tmp_path / "plain", [customer("C1", 1, why="W", action="A")]))
    hostile = Seen(page_of(tmp_path / "hostile", [customer(name, 1, why=name, action=name)]))
    shown = f"'{name}" if name.startswith(("=", "@")) else name
    assert hostile.tags == plain.tags
    assert hostile.texts.count(shown) == 6, "id, why and action, on the call list and in the queue"


def test_the_policy_allows_only_the_one_script_that_it_names_by_hash(tmp_path: Path) -> None:
    page = page_of(tmp_path, [customer("C1", 1)])
    (script,) = Seen(page).scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in page
    assert len(script) > 500


def test_the_page_points_only_into_itself_and_to_the_lists_beside_it(tmp_path: Path) -> None:
    page = page_of(tmp_path, [customer("C1", 1)])
    assert {place for place in Seen(page).points_to if not place.startswith("#")} == {
        f"../lists/{name}.csv" for name in ("call", *QUEUES)
    }
    assert not re.search(r"https?:|@import|url\(|<link|<iframe", page)


def test_the_same_inputs_make_the_same_page(tmp_path: Path) -> None:
    rows = [customer("C1", 1), customer("C2", 2, "convert", "none", **UNSCORED)]
    assert page_of(tmp_path / "a", rows) == page_of(tmp_path / "b", rows)


def test_a_customer_without_a_risk_is_shown_with_the_chance_of_a_purchase(tmp_path: Path) -> None:
    lapsed = customer("C2", 2, "win_back", "none", **{**UNSCORED, "chance": 0.314})
    page = page_of(tmp_path, [customer("C1", 1), lapsed])
    panel = page.split('id="win_back"')[1].split('id="second_purchase"')[0]
    assert '<th class="n">Chance</th>' in panel
    assert "ordered by what a contact may win" in panel
    assert re.search(r'<td class="risk buys">31\D+<small>buys</small>', panel)
    assert ("31", "buys") in [row[5:7] for row in zip(*unpacked(page)["win_back"], strict=True)]


def test_customers_who_must_not_be_called_are_counted_and_neither_listed_nor_searchable(
    tmp_path: Path,
) -> None:
    rows = [
        customer("C-control", 1, contact="hold_out"),
        customer("C-never", 2, contact="do_not_contact"),
        customer("C3", 3),
    ]
    page = page_of(tmp_path, rows)
    assert "<dt>Not listed</dt><dd>2</dd>" in page
    assert "Not listed: 1 in the control group, 1 who must not be contacted." in page
    assert ids(page, "core_care") == searchable(page, "core_care") == ["C3"]
    assert "C-control" not in page and "C-never" not in page


def test_the_search_has_all_rows_of_a_list_even_when_the_page_shows_only_the_first(
    tmp_path: Path,
) -> None:
    why = "No purchase for 86 days, usually every 26. No recorded cause."
    rows = [customer(f"C{i}", i, why=why) for i in range(1, 6)]
    page = page_of(tmp_path, [*rows, customer("=C6", 6, "convert", "none", **UNSCORED)], limit=2)
    assert ids(page, "core_care") == ["C1", "C2"]
    assert searchable(page, "core_care") == ["C1", "C2", "C3", "C4", "C5"]
    assert searchable(page, "convert") == ["'=C6"], "safe to copy into a spreadsheet"
    assert unpacked(page)["core_care"][10][0] == why


def test_the_lists_can_be_searched_and_filtered_by_the_segments_of_the_shop(tmp_path: Path) -> None:
    regions = ["north", "<b>south", None]
    rows = [
        customer(f"C{i}", i, segment_region=r, segment_store="7") for i, r in enumerate(regions)
    ]
    page = page_of(tmp_path, rows)
    assert (
        '<option value="">all</option><option>&lt;b&gt;south</option><option>north</option>' in page
    )
    assert unpacked(page)["core_care"][-2:] == [["north", "<b>south", ""], ["7", "7", "7"]]
    assert "<small>north</small><small>7</small>" in page
    assert "data-segments" not in page_of(tmp_path / "none", [customer("C1", 1)])


def test_a_hundred_thousand_customers_fit_into_a_page_of_three_megabytes() -> None:
    dates = [DAY + dt.timedelta(days=i % 700) for i in range(2000)]
    rows = [
        customer(f"C{(i * 7919) % 10**6:06d}", i, contact="none", late_on=day, lapses_on=day,
                 risk=(i * 37 % 1000) / 1000,
                 why=f"No purchase for {i % 90} days, usually every {i * 31 % 40}. Complaint "
                 f"K{i * 31 % 2000} of {day} open {i * 17 % 90} days past the SLA.")
        for i, day in enumerate(dates)
    ]  # fmt: skip
    scored = pa.Table.from_pylist(rows, arrow_schema(SCORED))
    assert len(packed(scored)) / len(rows) < 30


def test_the_page_sums_the_value_at_risk_of_all_scored_customers_and_of_the_calls(
    tmp_path: Path,
) -> None:
    page = page_of(
        tmp_path,
        [
            customer("C1", 1, value_at_risk=1000.0),
            customer("C2", 2, contact="hold_out", value_at_risk=200.0),
            customer("C3", 3, contact="none", value_at_risk=34.0),
            customer("C4", 4, "convert", "none", **UNSCORED),
        ],
    )
    assert "<small>EUR</small> 1,234</dd>" in page
    assert "<small>EUR</small> 1,000</dd>" in page
    assert "81&nbsp;% of the value at risk" in page


def test_calls_of_all_queues_come_by_rank_and_each_queue_has_its_own(tmp_path: Path) -> None:
    page = page_of(
        tmp_path,
        [
            customer("C3", 3),
            customer("C1", 1, "early_care"),
            customer("C2", 2, contact="none"),
            customer("C4", 4),
        ],
    )
    assert [ids(page, name) for name in ("call", "core_care", "early_care", "win_back")] == [
        ["C1", "C3", "C4"],
        ["C2", "C3", "C4"],
        ["C1"],
        [],
    ]


def test_a_list_longer_than_the_page_shows_its_length_and_its_file(tmp_path: Path) -> None:
    page = page_of(tmp_path, [customer(f"C{i}", i) for i in range(1, 6)], limit=2)
    assert ids(page, "core_care") == ["C1", "C2"]
    for name in ("call", "core_care"):
        link = f'<a href="../lists/{name}.csv">{name}.csv</a>'
        assert f"The first 2 of 5 customers; all of them are in {link}." in page


@pytest.mark.parametrize("change", ["altered", "removed", "unnamed"])
def test_a_list_that_is_not_the_one_of_the_manifest_is_refused(tmp_path: Path, change: str) -> None:
    lists = published(tmp_path, [customer("C1", 1)], [])
    path = tmp_path / "latest"
    if change == "altered":
        (path / "scored.parquet").write_bytes((path / "explanations.parquet").read_bytes())
    elif change == "removed":
        (path / "scored.parquet").unlink()
    else:
        manifest = lists.read("manifest.json")
        del manifest["files"]["scored.parquet"]
        (path / "manifest.json").write_text(to_json(manifest))
    with pytest.raises(InputError, match=r"E_LIST data/lists/scored\.parquet"):
        report(
            lists,
            measured(),
            counted(("2026-01-01", 1, 1)),
            flowed(False),
            {"tables": {}},
            "demo",
            COSTS,
            WINDOWS,
            Report(rows=1),
        )


@pytest.mark.parametrize(("shop", "verdict"), [("other", "model"), ("demo", "recency")])
def test_lists_of_another_shop_or_verdict_than_the_metrics_are_refused(
    tmp_path: Path, shop: str, verdict: str
) -> None:
    lists = published(tmp_path, [customer("C1", 1)], [])
    with pytest.raises(InputError, match="different runs"):
        report(
            lists,
            measured(verdict),
            counted(("2026-01-01", 1, 1)),
            flowed(False),
            {"tables": {}},
            shop,
            COSTS,
            WINDOWS,
            Report(rows=1),
        )
