"""The texts and charts of the morning page."""

import re
from pathlib import Path

import pytest
from frozen import ROOT
from morning_page import (
    COSTS,
    INGEST,
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
)

from features.catalogue import FEATURES
from pipeline.desk.charts import apart, stage_chart, ticks
from pipeline.desk.formats import measure, unbroken
from pipeline.desk.page import stages_now
from pipeline.runtime.sections import Report
from pipeline.stages.report import report


def test_a_call_unfolds_its_drivers_and_facts_in_words(tmp_path: Path) -> None:
    drivers = [
        ("recency_days", 63.0, 0.8),
        ("spend_in_180d", 1646.14, -0.4),
        ("gap_sd", None, 0.2),
        ("unheard_of", 1.5, 0.1),
    ]
    texts = Seen(page_of(tmp_path, [customer("C1", 1)], drivers=drivers)).texts
    said = [text for text in texts[texts.index("What moves the risk most") :] if text]
    assert said[1:13] == [
        *("since the last purchase", "63 days", "raises the risk"),
        *("spend in the last 180 days", "EUR 1,646.14", "lowers the risk"),
        *("standard deviation of the IPT; needs two", "unknown", "raises the risk"),
        *("Unheard of", "1.50", "raises the risk"),
    ]
    assert said[13:17] == ["Purchases", "36", "Days since last purchase", "63"]


def test_the_page_shows_why_and_unfolds_the_proof_of_the_stage(tmp_path: Path) -> None:
    proof = "Core since then, log-sd 0.5 <= 1."
    page = page_of(tmp_path, [customer("C1", 1, why="No purchase for long.", why_stage=proof)])
    assert "<summary>No purchase for long.</summary>" in page
    assert '<p class="rest">Core since then, log-sd 0.5 &lt;= 1.</p>' in page


@pytest.mark.parametrize("unit", sorted({column.unit for column in FEATURES}))
def test_a_value_of_every_unit_of_the_catalogue_is_readable(unit: str) -> None:
    assert re.search(r"\d", measure(0.25, unit, "EUR"))
    assert measure(float("nan"), unit, "EUR") == "unknown"


def test_the_headline_names_the_best_simple_baseline_and_the_scorers_that_were_not_measured(
    tmp_path: Path,
) -> None:
    page = page_of(tmp_path, [customer("C1", 1)])
    assert "The model beats the simple baselines" in page
    assert (
        "the model gives the churned one the higher risk in 70 of 100 such pairs, logistic RFM, "
        "the best simple baseline, in 61."
    ) in page
    assert "0.700 [0.650, 0.750]" in page
    assert "Not measured: BG/NBD." in page


def test_a_simple_baseline_that_gives_the_risks_is_named(tmp_path: Path) -> None:
    page = page_of(tmp_path, [customer("C1", 1)], metrics=measured("logistic_rfm"))
    assert "The model does not beat a simple baseline: logistic RFM gives the risks" in page
    assert "higher risk in 61 of 100 such pairs, the model in 70." in page


def test_without_a_signal_the_page_has_no_calls_and_still_has_the_lists(tmp_path: Path) -> None:
    nothing = dict.fromkeys(
        ("model", "baselines", "delta", "by_stage", "by_origin", "returned_later", "benchmark")
    )
    metrics = {
        "shop": "demo",
        "population": 3,
        "verdict": "no_signal",
        "grade": "no signal: 3 rows are fewer than 200",
        **nothing,
    }
    page = page_of(tmp_path, [customer("C1", 1, contact="none", **UNSCORED)], metrics=metrics)
    assert "No signal: nobody gets a risk today" in page
    text = "3 rows are fewer than 200. The stages and lists below come from the rules of the life"
    assert f"{text} cycle alone." in page
    assert "<dt>Calls today</dt><dd>0</dd>" in page
    assert ids(page, "core_care") == ["C1"]
    assert "None" not in page and "nan" not in Seen(page).texts


def test_the_page_says_that_costs_and_save_rate_are_assumed(tmp_path: Path) -> None:
    page = page_of(tmp_path, [customer("C1", 1)])
    assert "a call keeps 25&nbsp;% of the customers who would have churned (save rate)" in page
    assert "the margin is 30&nbsp;%" in page


def test_a_shop_without_amounts_shows_pieces_and_no_currency(tmp_path: Path) -> None:
    drivers = [("spend_in_180d", 15.0, 0.4)]
    page = page_of(tmp_path, [customer("C1", 1)], drivers=drivers, currency=None)
    texts = Seen(page).texts
    assert not re.search("EUR|None", page)
    assert "no amounts: values count pieces" in texts
    assert "expected profit 2 pieces, assumed" in texts
    assert "15.00 pieces" in texts


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, `#rgb` or `#rrggbb` (WCAG 2)."""

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
        parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_a_tab_is_readable_selected_and_under_the_mouse() -> None:
    css = (ROOT / "pipeline" / "desk" / "style.css").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^\.tabs a\S*:hover .*", css) == [
        ".tabs a:not([aria-selected=true]):hover { background: var(--faint); }"
    ]
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#\w+)", part)) for part in css.split("@media")[:2]
    )
    for palette in (light, dark):
        for text, ground in (("accent-ink", "accent"), ("ink", "faint"), ("soft", "faint")):
            assert contrast(palette[text], palette[ground]) >= 4.5, (text, ground)


@pytest.mark.parametrize("leak", [True, False])
def test_the_page_shows_the_leak_alarm_only_while_customers_leak(
    tmp_path: Path, leak: bool
) -> None:
    assert ('role="alert"' in page_of(tmp_path, [customer("C1", 1)], leak=leak)) is leak


def test_quarantined_rows_are_counted_by_code(tmp_path: Path) -> None:
    table = {**INGEST, "rows_in": 15, "quarantined": {"E_TIME": 4, "E_AMOUNT": 1}, "erased": 1}
    texts = Seen(page_of(tmp_path, [customer("C1", 1)], ingest=table)).texts
    assert [text for text in texts[texts.index("orders") :] if text][:6] == [
        "orders",
        "9",
        "5",
        "E_TIME 4",
        "E_AMOUNT 1",
        "Erased 1",
    ]


def test_a_shop_with_one_snapshot_has_counts_and_no_chart(tmp_path: Path) -> None:
    lists = published(tmp_path, [customer("C1", 1)], [])
    page = report(
        lists,
        measured(),
        counted(("2026-01-01", 8, 4)),
        flowed(False)[:0],
        {"tables": {}},
        "demo",
        COSTS,
        WINDOWS,
        Report(rows=9),
    )
    assert "8 overdue" in page["retention_desk"]
    assert (
        "Customers in each stage" not in page["retention_desk"]
        and "Net flow" not in page["retention_desk"]
    )


def test_stages_are_shown_with_their_change_and_without_empty_activities() -> None:
    found = {
        stage["name"]: stage
        for stage in stages_now(counted(("2025-12-01", 5, 3), ("2026-01-01", 7, 0)))
    }
    assert (found["core"]["customers"], found["core"]["change"], found["core"]["parts"]) == (
        7,
        2,
        [("overdue", 7, False)],
    )
    assert (
        found["first_time"]["customers"],
        found["first_time"]["change"],
        found["first_time"]["parts"],
    ) == (0, -3, [])
    assert found["prospect"]["customers"] == 0


def test_the_stage_chart_ends_at_the_newest_counts_and_describes_them_in_words() -> None:
    chart = stage_chart(counted(("2025-12-01", 5, 3), ("2026-01-01", 1700, 4)))
    assert ">Core 1,700</text>" in chart
    assert "core from 5 to 1,700" in re.findall("<desc.*?</desc>", chart)[0]


def test_the_numbers_of_a_large_shop_have_room_beside_the_chart() -> None:
    chart = stage_chart(counted(("2025-12-01", 5, 3), ("2026-01-01", 12_345_678, 4)))
    found = re.findall(r'<text class="(end|label)" x="([0-9.]+)" y="[0-9.]+">(.*?)<', chart)
    assert {"10,000,000", "Core 12,345,678"} <= {text for _, _, text in found}
    for kind, x, text in found:
        assert float(x) >= 7 * len(text) if kind == "end" else float(x) + 7 * len(text) <= 800


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (0, 5947, [0, 2000, 4000]),
        (-88, 105, [-50, 0, 50, 100]),
        (0, 1, [0, 0.5, 1]),
        (0.5, 0.72, [0.5, 0.6, 0.7]),
    ],
)
def test_ticks_are_round_and_within(low: float, high: float, found: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(found)


@pytest.mark.parametrize(
    ("wanted", "placed"),
    [
        ([10, 50, 90], [10, 50, 90]),
        ([10, 12, 13], [10, 30, 50]),
        ([80, 95, 99], [60, 80, 100]),
        ([150], [100]),
    ],
)
def test_labels_stand_apart_and_above_the_axis(wanted: list[float], placed: list[float]) -> None:
    assert apart(wanted, 20, 100) == placed


def test_no_line_of_the_page_ends_between_a_number_and_its_per_cent_sign() -> None:
    assert unbroken("risk 46 %, name {% raw %}") == "risk 46\u00a0%, name {% raw %}"
