"""The morning page: what it shows, whom it hides, and that nothing a customer is called can act in it."""

import base64
import datetime as dt
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features.catalogue import DECLARED
from features.settings import Windows
from models.queues import QUEUES
from models.settings import Costs
from pipeline.desk_charts import apart, stage_chart, ticks
from pipeline.errors import InputError
from pipeline.params import Report
from pipeline.report import measure, report, stages_now
from pipeline.score import typed
from pipeline.store import Folder, Published, publish, to_json

WINDOWS = Windows((30, 180), (30,))
COSTS = Costs(margin=0.3, kept_share=0.5, gamma=0.25, incentive=0.1, contact=0.01)
DAY = dt.date(2026, 1, 1)
SCORED = {"risk": 0.5, "risk_band": "medium", "value_at_risk": 10.25, "expected_profit": 2.5, "model_id": "abc"}
UNSCORED: dict[str, Any] = dict.fromkeys(SCORED)
RESULT = {"auc": 0.7, "auc_ci": [0.65, 0.75]}
WORSE = {"auc": 0.6, "auc_ci": [0.55, 0.65]}
INGEST: dict[str, Any] = {"rows_in": 9, "accepted": 9, "quarantined": {}, "exact_duplicates": 0, "out_of_window": 0, "erased": 0}


class Seen(HTMLParser):
    """The elements of a page in their order, its texts, the places it points to, the content of its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.texts: list[str] = []
        self.points_to: list[str] = []
        self.scripts: list[str] = []
        self.inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.points_to += [value or "" for name, value in attrs if name in {"src", "href", "action", "data", "srcset", "poster"}]
        self.inside = tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.scripts.append(data)
        self.texts.append(data.strip())


def customer(name: str, rank: int, queue: str = "core_care", contact: str = "call", **other: Any) -> dict[str, Any]:
    row = {
        "as_of": DAY, "customer_id": name, "queue": queue, "stage": "core", "activity": "late", "stage_since": DAY, **SCORED,
        "rank": rank, "rank_in_stage": rank, "value_365d": 100.0, "contact": contact, "why": "Core since then.", "action": "Call.",
        "last_purchase_on": DAY, "late_on": DAY, "lapses_on": DAY, **dict.fromkeys(("reason", "evidence", "reason_2", "evidence_2")),
    }  # fmt: skip
    return {**row, **other}


def told(name: str, drivers: list[tuple[str, float | None, float]]) -> list[dict[str, Any]]:
    head = {"customer_id": name, "driver": None, "value": None, "contribution": None, "position": 0}
    rows = [{**head, "driver": d, "value": v, "contribution": c, "position": i} for i, (d, v, c) in enumerate(drivers, 1)]
    return [{**head, "facts": to_json({"stage": "core", "purchases": 36, "silent_days": 63})}, *rows]


def published(path: Path, rows: list[dict[str, Any]], drivers: list[tuple[str, float | None, float]], verdict: str = "model") -> Folder:
    explained = [row for r in rows for row in told(r["customer_id"], drivers)]
    columns = {"customer_id": str, "driver": object, "value": float, "contribution": float, "facts": object}
    files = {
        "scored.parquet": typed(pd.DataFrame(rows)),
        "explanations.parquet": pd.DataFrame(explained).astype(columns),
        **{f"{queue}.csv": pd.DataFrame({"customer_id": []}) for queue in QUEUES},
    }
    manifest = {
        "shop": "demo", "snapshot": "2026-01-01", "currency": "EUR", "horizon_days": 48, "verdict": verdict, "grade": "", "model_id": "abc",
        "params_hash": "f" * 64, "customers": len(rows), "profiling_objections": 0,
    }  # fmt: skip
    publish(path, Published(files, manifest))
    return Folder(path)


def measured(verdict: str = "model") -> dict[str, Any]:
    results = {"population": 1234, "model": RESULT, "peers": {"recency": WORSE, "logistic_rfm": WORSE, "bg_nbd": None}}
    return {"shop": "demo", "verdict": verdict, "grade": "", **results, "benchmark": results}


def counted(*days: tuple[str, int, int]) -> pd.DataFrame:
    return pd.DataFrame(
        [row for day, late, lapsed in days for row in ((day, "core", "late", late), (day, "first_time", "lapsed", lapsed))],
        columns=["as_of", "stage", "activity", "customers"],
    )


def flowed(leak: bool) -> pd.DataFrame:
    row = {"as_of": "2026-01-01", "new": 3, "won_back": 1, "lapsed": 9, "net_customers": -5, "net_revenue": -50.0, "leak": leak}
    return pd.DataFrame([row])


def page_of(
    path: Path,
    rows: list[dict[str, Any]],
    *,
    drivers: list[tuple[str, float | None, float]] | None = None,
    metrics: dict[str, Any] | None = None,
    leak: bool = False,
    ingest: dict[str, Any] = INGEST,
    limit: int = 100,
) -> str:
    metrics = metrics or measured()
    lists = published(path, rows, drivers or [], metrics["verdict"])
    counts = counted(("2025-12-01", 5, 3), ("2026-01-01", 7, 4))
    return report(lists, metrics, counts, flowed(leak), {"tables": {"orders": ingest}}, "demo", COSTS, WINDOWS, Report(rows=limit))[
        "retention_desk"
    ]


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
def test_whatever_a_customer_is_called_the_page_has_the_same_elements_and_shows_the_name_as_text(tmp_path: Path, name: str) -> None:
    plain = Seen(page_of(tmp_path / "plain", [customer("C1", 1, why="W", action="A")]))
    hostile = Seen(page_of(tmp_path / "hostile", [customer(name, 1, why=name, action=name)]))
    shown = f"'{name}" if name.startswith(("=", "@")) else name
    assert hostile.tags == plain.tags
    assert hostile.texts.count(shown) == 6, "id, why and action, on the call list and in the queue"


def test_only_the_script_whose_hash_the_policy_names_may_run_and_there_is_one(tmp_path: Path) -> None:
    page = page_of(tmp_path, [customer("C1", 1)])
    (script,) = Seen(page).scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in page
    assert len(script) > 500


def test_the_page_points_only_into_itself_and_to_the_lists_beside_it(tmp_path: Path) -> None:
    page = page_of(tmp_path, [customer("C1", 1)])
    assert {place for place in Seen(page).points_to if not place.startswith("#")} == {f"../lists/{queue}.csv" for queue in QUEUES}
    assert not re.search(r"https?:|@import|url\(|<link|<iframe", page)


def test_the_same_inputs_make_the_same_page(tmp_path: Path) -> None:
    rows = [customer("C1", 1), customer("C2", 2, "convert", "none", **UNSCORED)]
    assert page_of(tmp_path / "a", rows) == page_of(tmp_path / "b", rows)


def test_hold_outs_are_counted_and_nowhere_named(tmp_path: Path) -> None:
    page = page_of(tmp_path, [customer("C-left-alone", 1, contact="hold_out"), customer("C2", 2)])
    assert "C-left-alone" not in page
    assert "<dt>Held out</dt><dd>1</dd>" in page


def test_the_value_at_risk_is_the_sum_over_all_scored_and_that_of_the_calls_apart(tmp_path: Path) -> None:
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


def ids(page: str, name: str) -> list[str]:
    panel = page.split(f'class="panel" id="{name}"')[1].split("</section>", maxsplit=1)[0]
    return re.findall(r'<td class="id"><b>(.*?)</b>', panel)


def test_calls_of_all_queues_come_by_rank_and_each_queue_has_its_own(tmp_path: Path) -> None:
    page = page_of(tmp_path, [customer("C3", 3), customer("C1", 1, "early_care"), customer("C2", 2, contact="none"), customer("C4", 4)])
    assert [ids(page, name) for name in ("call", "core_care", "early_care", "win_back")] == [
        ["C1", "C3", "C4"],
        ["C2", "C3", "C4"],
        ["C1"],
        [],
    ]


def test_a_list_longer_than_the_page_says_how_long_it_is_and_which_file_has_the_rest(tmp_path: Path) -> None:
    page = page_of(tmp_path, [customer(f"C{i}", i) for i in range(1, 6)], limit=2)
    assert ids(page, "core_care") == ["C1", "C2"]
    assert page.count('The first 2 of 5 customers; the rest is in <a href="../lists/core_care.csv">core_care.csv</a>.') == 2


def test_a_customer_who_wants_no_contact_is_marked_so(tmp_path: Path) -> None:
    rows = [customer("C1", 1, "win_back", "do_not_contact", **UNSCORED), customer("C2", 2, "win_back", "none", **UNSCORED)]
    assert page_of(tmp_path, rows).count("do not contact") == 1


def test_a_call_opens_to_its_drivers_in_words_and_its_facts(tmp_path: Path) -> None:
    drivers = [("recency_days", 63.0, 0.8), ("spend_in_180d", 1646.14, -0.4), ("gap_sd", None, 0.2), ("unheard_of", 1.5, 0.1)]
    texts = Seen(page_of(tmp_path, [customer("C1", 1)], drivers=drivers)).texts
    said = [text for text in texts[texts.index("What moves the risk most") :] if text]
    assert said[1:13] == [
        *("since the last purchase", "63 days", "raises the risk"),
        *("paid in the last 180 days", "EUR 1,646.14", "lowers the risk"),
        *("standard deviation of the gaps; needs two", "unknown", "raises the risk"),
        *("Unheard of", "1.50", "raises the risk"),
    ]
    assert said[13:17] == ["Purchases", "36", "Silent", "63 days"]


def test_of_why_the_first_sentence_is_shown_and_the_rest_unfolds(tmp_path: Path) -> None:
    long = customer("C1", 1, contact="none", why="Core since then, gap 0.5 <= 1. Last purchase 3 d ago. Satisfaction 0.9.")
    short = customer("C2", 2, "convert", "none", why="Prospect since then.")
    page = page_of(tmp_path, [long, short])
    assert "<summary>Core since then, gap 0.5 &lt;= 1.</summary>" in page
    assert '<p class="rest">Last purchase 3 d ago. Satisfaction 0.9.</p>' in page
    assert "<td>Prospect since then.</td>" in page


@pytest.mark.parametrize("unit", sorted({column.unit for column in DECLARED}))
def test_every_driver_of_the_catalogue_has_a_value_that_can_be_read(unit: str) -> None:
    assert re.search(r"\d", measure(0.25, unit, "EUR"))
    assert measure(float("nan"), unit, "EUR") == "unknown"


def test_the_verdict_is_in_plain_words_and_peers_without_a_result_are_named_as_such(tmp_path: Path) -> None:
    page = page_of(tmp_path, [customer("C1", 1)])
    assert "The model beats the simple rules" in page
    assert "the model names the leaver in 70 of 100 pairs, recency alone in 60." in page
    assert "0.700 [0.650, 0.750]" in page
    assert "Not measured: BG/NBD." in page


def test_a_simple_rule_that_gives_the_risks_is_named(tmp_path: Path) -> None:
    page = page_of(tmp_path, [customer("C1", 1)], metrics=measured("logistic_rfm"))
    assert "No better than a simple rule: logistic RFM gives the risks" in page
    assert "logistic RFM names the leaver in 60 of 100 pairs, the model in 70." in page


def test_without_a_signal_the_page_says_so_proposes_no_call_and_still_has_the_lists(tmp_path: Path) -> None:
    nothing = dict.fromkeys(("model", "peers", "delta", "by_stage", "by_origin", "returned_later", "benchmark"))
    metrics = {"shop": "demo", "population": 3, "verdict": "no_signal", "grade": "no signal: 3 rows are fewer than 200", **nothing}
    page = page_of(tmp_path, [customer("C1", 1, contact="none", **UNSCORED)], metrics=metrics)
    assert "No signal: nobody is given a risk today" in page
    assert "3 rows are fewer than 200. Stages and lists below come from the rules of the life cycle alone." in page
    assert "<dt>Calls today</dt><dd>0</dd>" in page
    assert ids(page, "core_care") == ["C1"]
    assert "None" not in page and "nan" not in Seen(page).texts


def test_costs_and_the_effect_of_a_call_are_said_to_be_assumed(tmp_path: Path) -> None:
    assert "that a call keeps 25&nbsp;% of those who would have left, a margin of 30&nbsp;%" in page_of(tmp_path, [customer("C1", 1)])


@pytest.mark.parametrize("leak", [True, False])
def test_the_alarm_stands_on_the_page_only_while_customers_leak(tmp_path: Path, leak: bool) -> None:
    assert ('role="alert"' in page_of(tmp_path, [customer("C1", 1)], leak=leak)) is leak


def test_rows_that_were_refused_are_counted_by_code(tmp_path: Path) -> None:
    table = {**INGEST, "rows_in": 15, "quarantined": {"E_TIME": 4, "E_AMOUNT": 1}, "erased": 1}
    texts = Seen(page_of(tmp_path, [customer("C1", 1)], ingest=table)).texts
    assert [text for text in texts[texts.index("orders") :] if text][:6] == ["orders", "9", "5", "E_TIME 4", "E_AMOUNT 1", "Erased 1"]


@pytest.mark.parametrize("change", ["altered", "removed", "unnamed"])
def test_a_list_that_the_manifest_does_not_vouch_for_is_refused(tmp_path: Path, change: str) -> None:
    lists = published(tmp_path, [customer("C1", 1)], [])
    if change == "altered":
        (tmp_path / "scored.parquet").write_bytes((tmp_path / "explanations.parquet").read_bytes())
    elif change == "removed":
        (tmp_path / "scored.parquet").unlink()
    else:
        manifest = lists.read("manifest.json")
        del manifest["files"]["scored.parquet"]
        (tmp_path / "manifest.json").write_text(to_json(manifest))
    with pytest.raises(InputError, match=r"E_LIST data/lists/scored\.parquet"):
        report(lists, measured(), counted(("2026-01-01", 1, 1)), flowed(False), {"tables": {}}, "demo", COSTS, WINDOWS, Report(rows=1))


@pytest.mark.parametrize(("shop", "verdict"), [("other", "model"), ("demo", "recency")])
def test_lists_of_another_shop_or_verdict_than_the_metrics_are_refused(tmp_path: Path, shop: str, verdict: str) -> None:
    lists = published(tmp_path, [customer("C1", 1)], [])
    with pytest.raises(InputError, match="different runs"):
        report(lists, measured(verdict), counted(("2026-01-01", 1, 1)), flowed(False), {"tables": {}}, shop, COSTS, WINDOWS, Report(rows=1))


def test_a_shop_with_one_snapshot_has_counts_and_no_chart(tmp_path: Path) -> None:
    lists = published(tmp_path, [customer("C1", 1)], [])
    page = report(
        lists, measured(), counted(("2026-01-01", 8, 4)), flowed(False)[:0], {"tables": {}}, "demo", COSTS, WINDOWS, Report(rows=9)
    )
    assert "8 late" in page["retention_desk"]
    assert "Customers in each stage" not in page["retention_desk"] and "Came and went" not in page["retention_desk"]


def test_stages_are_told_with_their_change_and_without_empty_activities() -> None:
    found = {stage["name"]: stage for stage in stages_now(counted(("2025-12-01", 5, 3), ("2026-01-01", 7, 0)))}
    assert (found["core"]["customers"], found["core"]["change"], found["core"]["parts"]) == (7, 2, [("late", 7, False)])
    assert (found["first_time"]["customers"], found["first_time"]["change"], found["first_time"]["parts"]) == (0, -3, [])
    assert found["prospect"]["customers"] == 0


def test_the_chart_of_the_stages_ends_at_todays_counts_and_says_them_in_words() -> None:
    chart = stage_chart(counted(("2025-12-01", 5, 3), ("2026-01-01", 1700, 4)))
    assert ">Core 1,700</text>" in chart
    assert "core from 5 to 1,700" in re.findall("<desc.*?</desc>", chart)[0]


@pytest.mark.parametrize(
    ("low", "high", "found"), [(0, 5947, [0, 2000, 4000]), (-88, 105, [-50, 0, 50, 100]), (0, 1, [0, 0.5, 1]), (0.5, 0.72, [0.5, 0.6, 0.7])]
)
def test_ticks_are_round_and_within(low: float, high: float, found: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(found)


@pytest.mark.parametrize(
    ("wanted", "placed"), [([10, 50, 90], [10, 50, 90]), ([10, 12, 13], [10, 30, 50]), ([80, 95, 99], [60, 80, 100]), ([150], [100])]
)
def test_labels_stand_apart_and_above_the_axis(wanted: list[float], placed: list[float]) -> None:
    assert apart(wanted, 20, 100) == placed
