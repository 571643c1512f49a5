"""The life cycle over time: counts, moves, profiles and flows of hand-made states."""

import itertools

import pandas as pd
import pytest

from features.records import NEVER
from models.decision.worklist import value_at_risk
from models.lifecycle.over_time import LifecycleOverTime, moves, retention_warning
from models.lifecycle.states import ACTIVITIES, POSSIBLE, STAGES

DATES = [
    "2025-01-01",
    "2025-02-01",
    "2025-03-01",
    "2025-04-01",
    "2025-05-01",
    "2025-06-01",
    "2025-07-01",
]


def states(
    *lives: list[tuple[str, str] | None], revenue: float = 100.0, bought: int | None = 5
) -> pd.DataFrame:
    """One row per customer and date: `lives` holds (stage, activity), None while unknown.

    Every customer but a prospect has bought once, on day `bought`. Dates are days 0, 30, 60 ...
    """
    rows = [
        (
            number,
            DATES[k],
            *state,
            int(state[0] != "prospect"),
            NEVER if state[0] == "prospect" else bought,
            30.0,
            0.5,
            revenue,
            2,
            5,
            11,
        )
        for number, life in enumerate(lives)
        for k, state in enumerate(life)
        if state
    ]
    names = [
        "customer",
        "as_of",
        "stage",
        "activity",
        "purchases",
        "first_on",
        "ipt_days",
        "ipt_log_sd",
        "net_spend_365d",
    ]
    names += ["purchases_365d", "weekday", "month"]
    frame = pd.DataFrame(rows, columns=names)
    frame["stage"] = pd.Categorical(frame["stage"], list(STAGES))
    frame["activity"] = pd.Categorical(frame["activity"], list(ACTIVITIES))
    return frame


def counted(rows: pd.DataFrame, parts: int = 1) -> LifecycleOverTime:
    """The life cycle of these states over time, its customers added in so many parts."""
    dates = rows["as_of"].unique()
    over_time = LifecycleOverTime({date: k * 30 for k, date in enumerate(DATES) if date in dates})
    for part in range(parts):
        over_time.add(rows[rows["customer"] % parts == part].reset_index(drop=True))
    return over_time


NEW, LATE, GONE = ("first_time", "active"), ("first_time", "late"), ("first_time", "lapsed")
OPEN, CORE, LOST, BACK = (
    ("prospect", "open"),
    ("core", "active"),
    ("core_defector", "lapsed"),
    ("core_defector", "active"),
)


def test_counts_hold_every_possible_state_of_every_date_and_sum_to_the_known_customers() -> None:
    counts = counted(
        states([OPEN, NEW, LATE], [None, CORE, CORE], [None, None, OPEN])
    ).stage_counts()
    assert list(counts.columns) == ["as_of", "stage", "activity", "customers"]
    assert list(zip(counts["stage"], counts["activity"], strict=True)) == list(POSSIBLE) * 3
    assert counts.groupby("as_of")["customers"].sum().tolist() == [1, 2, 3]
    last = counts[counts["as_of"] == DATES[2]].set_index(["stage", "activity"])["customers"]
    assert last[last > 0].to_dict() == {LATE: 1, CORE: 1, OPEN: 1}


def test_a_core_customer_cannot_have_lapsed_and_every_other_pair_of_buyers_is_possible() -> None:
    buyers = set(itertools.product(STAGES[1:], ACTIVITIES[:3])) - {("core", "lapsed")}
    assert set(POSSIBLE) == buyers | {("prospect", "open"), ("prospect", "stale")}


def test_shares_of_moves_sum_to_one_for_each_stage_and_period() -> None:
    rows = counted(
        states([NEW, LATE, CORE], [NEW, CORE, LOST], [NEW, NEW, GONE], [None, OPEN, NEW])
    ).transitions()
    assert rows.groupby(["from_as_of", "from_stage"], observed=True)[
        "share"
    ].sum().tolist() == pytest.approx([1, 1, 1, 1], abs=3e-6)
    first = rows[rows["from_as_of"] == DATES[0]]
    assert list(zip(first["from_stage"], first["to_stage"], first["customers"], strict=True)) == [
        ("first_time", "first_time", 2),
        ("first_time", "core", 1),
    ]
    assert (rows["to_as_of"] > rows["from_as_of"]).all()


def test_a_customer_moves_only_from_a_date_at_which_they_were_known() -> None:
    moved = moves(states([None, NEW, CORE], [OPEN, OPEN, OPEN]).assign(revenue=0))
    assert list(zip(moved["customer"], moved["from_stage"], moved["stage"], strict=True)) == [
        (0, "first_time", "core"),
        (1, "prospect", "prospect"),
        (1, "prospect", "prospect"),
    ]


@pytest.mark.parametrize(("customers", "shown"), [(9, False), (10, True)])
def test_a_profile_of_fewer_than_ten_customers_is_empty(customers: int, shown: bool) -> None:
    profile = counted(states(*[[CORE]] * customers)).stage_profile().set_index("stage")
    assert profile["customers"].to_dict() == {**dict.fromkeys(STAGES, 0), "core": customers}
    table = profile.drop(columns=["as_of", "customers"])
    assert table.loc["core"].notna().all() == shown
    assert table.drop(index="core").isna().all(axis=None)


def test_a_profile_shows_revenue_per_ipt_since_the_first_purchase() -> None:
    profile = (
        counted(states(*[[None, None, None, CORE]] * 10, revenue=100, bought=30))
        .stage_profile()
        .set_index("stage")
    )
    # Known for 60 days at the fourth date: two IPTs of 30.
    assert profile.loc[
        "core", ["revenue_365d", "revenue_per_ipt_median", "ipt_days_median"]
    ].tolist() == [1000, 50, 30]
    assert profile.loc["core", ["order_value_median", "orders_per_ipt_median"]].tolist() == [50, 1]


def test_a_profile_shows_the_most_frequent_weekday_and_month_and_their_shares() -> None:
    rows = states(*[[CORE]] * 12)
    rows.loc[rows["customer"] < 3, "weekday"] = 0
    rows.loc[rows["customer"] < 2, ["weekday", "month", "purchases_365d"]] = [-1, -1, 0]
    table = counted(rows).stage_profile().set_index("stage").loc["core"]
    assert table[["weekday", "weekday_share", "month", "month_share"]].tolist() == [
        "saturday",
        0.9,
        "december",
        1,
    ]
    assert table["order_value_median"] == 50, "of those who bought"


def test_a_profile_of_customers_who_bought_nothing_for_a_year_has_no_weekday() -> None:
    table = (
        counted(states(*[[LOST]] * 10).assign(purchases_365d=0, weekday=-1, month=-1))
        .stage_profile()
        .set_index("stage")
    )
    assert (
        table.loc["core_defector", ["weekday", "weekday_share", "order_value_median"]].isna().all()
    )
    assert table.loc["core_defector", "orders_per_ipt_median"] == 0


def kept_by(stage: tuple[str, str], customers: int, kept: int) -> pd.DataFrame:
    """So many customers in a stage on the first and the second date, of whom `kept` buy."""
    rows = states(*[[stage, stage]] * customers)
    rows.loc[(rows["customer"] < kept) & (rows["as_of"] == DATES[1]), "purchases"] += 1
    return rows


def crowd(*parts: pd.DataFrame) -> pd.DataFrame:
    """All these customers, numbered anew, in order."""
    return pd.concat(
        [part.assign(customer=part["customer"] + 1000 * k) for k, part in enumerate(parts)],
        ignore_index=True,
    )


EARLY = ("early_repeat", "late")


def test_retention_is_the_share_of_those_not_lapsed_who_bought_by_the_next_snapshot() -> None:
    rows = crowd(
        kept_by(NEW, 10, 3),
        kept_by(GONE, 10, 10),
        kept_by(EARLY, 9, 5),
        kept_by(CORE, 20, 18),
        kept_by(OPEN, 10, 0),
    )
    table = counted(rows).retention()
    assert table.drop(columns=["retention"]).to_numpy().tolist() == [
        [DATES[0], DATES[1], "first_time", 10],
        [DATES[0], DATES[1], "early_repeat", 9],
        [DATES[0], DATES[1], "core", 20],
    ]
    assert table["retention"].fillna(-1).tolist() == [0.3, -1, 0.9]


@pytest.mark.parametrize(
    ("first", "early", "core", "warned"),
    [(2, 5, 9, False), (5, 5, 9, True), (2, 9, 9, True), (5, 2, 9, True), (2, 9, 5, True)],
)
def test_retention_that_does_not_rise_from_stage_to_stage_gives_a_warning(
    first: int, early: int, core: int, warned: bool
) -> None:
    table = counted(
        crowd(kept_by(NEW, 10, first), kept_by(EARLY, 10, early), kept_by(CORE, 10, core))
    ).retention()
    warning = retention_warning(table)
    assert (warning is not None) == warned
    assert not warned or f"core 0.{core}00" in str(warning)


def test_retention_is_compared_over_all_periods_and_only_between_stages_that_are_there() -> None:
    table = counted(crowd(kept_by(NEW, 10, 5), kept_by(CORE, 10, 4))).retention()
    assert retention_warning(table)
    earlier = table.assign(from_as_of="2024-01-01", customers=[100, 100], retention=[0.1, 0.9])
    assert retention_warning(pd.concat([table, earlier])) is None


def test_value_at_risk_by_stage_sums_to_that_of_the_list_to_the_cent() -> None:
    listed = pd.DataFrame(
        {
            "stage": (["core", "early_repeat"] * 500)[:999] + ["prospect"],
            "risk": [0.1] * 999 + [None],
        }
    )
    listed = listed.assign(
        value_365d=[k * 1.01 for k in range(1000)],
        value_at_risk=[round(k * 0.07, 2) for k in range(999)] + [None],
    )
    table = value_at_risk(listed).set_index("stage")
    assert table.index.tolist() == ["early_repeat", "core", "all"]
    assert table.loc["all"].tolist() == [
        999,
        round(sum(range(999)) * 1.01, 2),
        round(sum(range(999)) * 0.07, 2),
    ]
    assert [round(table[c].iloc[:2].sum(), 2) for c in table] == table.loc["all"].tolist()


def test_net_flow_counts_new_won_back_and_lapsed_customers() -> None:
    rows = states(
        [None, NEW, NEW],
        [OPEN, OPEN, NEW],
        [CORE, LOST, BACK],
        [NEW, GONE, GONE],
        [OPEN, ("prospect", "stale"), OPEN],
    )
    rows.loc[(rows["customer"] == 0), "first_on"] = 10
    rows.loc[(rows["customer"] == 1) & (rows["stage"] != "prospect"), "first_on"] = 40
    rows.loc[rows["customer"].isin([2, 3]), "first_on"] = -50
    rows.loc[(rows["customer"] == 2) & (rows["as_of"] == DATES[2]), "purchases"] = 2
    flow = counted(rows).net_flow(leak_periods=3).set_index("as_of")
    assert flow[["new", "won_back", "lapsed", "net_customers"]].to_numpy().tolist() == [
        [1, 0, 2, -1],
        [1, 1, 0, 2],
    ]
    assert flow["net_revenue"].tolist() == [-100, 200]


def test_a_cancellation_wins_nobody_back() -> None:
    rows = states([GONE, OPEN], [LOST, ("core_defector", "late")])
    flow = counted(rows).net_flow(leak_periods=3)
    assert flow["won_back"].tolist() == [0]


@pytest.mark.parametrize("periods", [1, 2, 3])
def test_leak_is_true_after_exactly_so_many_periods_with_losses(periods: int) -> None:
    # One lapses in each of the first four periods, then nobody.
    lives = [[NEW] * k + [GONE] * (7 - k) for k in range(1, 5)]
    rows = states(*lives, bought=-99)
    flow = counted(rows).net_flow(leak_periods=periods)
    assert flow["net_customers"].tolist() == [-1] * 4 + [0] * 2
    assert flow["leak"].tolist() == [k + 1 >= periods and k < 4 for k in range(6)]


def test_a_period_in_which_as_many_came_as_went_ends_the_leak() -> None:
    lives = [[NEW] * k + [GONE] * (7 - k) for k in range(1, 7)]
    rows = states(*lives, [None, None, None, NEW, NEW, NEW, NEW], bought=-99)
    rows.loc[rows["customer"] == 6, "first_on"] = 65
    flow = counted(rows).net_flow(leak_periods=2)
    assert flow["leak"].tolist() == [False, True, False, False, True, True]


@pytest.mark.parametrize("parts", [2, 3, 40])
def test_the_result_does_not_depend_on_the_number_of_parts(parts: int) -> None:
    lives = [
        ([None] * (k % 3) + [OPEN] * (k % 2) + [NEW, CORE, LOST, BACK, CORE, LATE, GONE])[:7]
        for k in range(30)
    ]
    # tenths have no exact sum as floats
    rows = states(*lives, revenue=0.1).assign(ipt_days=lambda f: 20 + f["customer"] / 7)
    one, many = counted(rows), counted(rows, parts)
    pd.testing.assert_frame_equal(many.stage_counts(), one.stage_counts(), check_exact=True)
    pd.testing.assert_frame_equal(many.transitions(), one.transitions(), check_exact=True)
    pd.testing.assert_frame_equal(many.stage_profile(), one.stage_profile(), check_exact=True)
    pd.testing.assert_frame_equal(many.retention(), one.retention(), check_exact=True)
    pd.testing.assert_frame_equal(many.net_flow(2), one.net_flow(2), check_exact=True)
    assert one.stage_profile()["ipt_days_median"].notna().any()
