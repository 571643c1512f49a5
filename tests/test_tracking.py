"""The life cycle over time: counts, moves, profiles and flows of hand-made states."""

import itertools

import pandas as pd
import pytest

from features.records import NEVER
from models.lifecycle import ACTIVITIES, POSSIBLE, STAGES
from models.tracking import Tracking, moves

DATES = ["2025-01-01", "2025-02-01", "2025-03-01", "2025-04-01", "2025-05-01", "2025-06-01", "2025-07-01"]


def states(*lives: list[tuple[str, str] | None], revenue: float = 100.0, bought: int | None = 5) -> pd.DataFrame:
    """One row per customer and date at which he is known: `lives` holds each one's (stage, activity), None while unknown.

    A customer has bought once on day `bought` unless he is a prospect. Dates are days 0, 30, 60 and so on.
    """
    rows = [
        (number, DATES[k], *state, int(state[0] != "prospect"), NEVER if state[0] == "prospect" else bought, 30.0, 0.5, revenue)
        for number, life in enumerate(lives)
        for k, state in enumerate(life)
        if state
    ]
    names = ["customer", "as_of", "stage", "activity", "purchases", "first_on", "cycle_days", "cycle_log_sd", "net_spend_365d"]
    frame = pd.DataFrame(rows, columns=names)
    frame["stage"] = pd.Categorical(frame["stage"], list(STAGES))
    frame["activity"] = pd.Categorical(frame["activity"], list(ACTIVITIES))
    return frame


def tracked(found: pd.DataFrame, parts: int = 1) -> Tracking:
    """What is told of these states, the customers being taken in in so many parts."""
    dates = found["as_of"].unique()
    tracking = Tracking({date: k * 30 for k, date in enumerate(DATES) if date in dates})
    for part in range(parts):
        tracking.add(found[found["customer"] % parts == part].reset_index(drop=True))
    return tracking


NEW, LATE, GONE = ("first_time", "active"), ("first_time", "late"), ("first_time", "lapsed")
OPEN, CORE, LOST, BACK = ("prospect", "open"), ("core", "active"), ("core_defector", "lapsed"), ("core_defector", "active")


def test_counts_hold_every_possible_state_of_every_date_and_sum_to_the_known_customers() -> None:
    counts = tracked(states([OPEN, NEW, LATE], [None, CORE, CORE], [None, None, OPEN])).stage_counts()
    assert list(counts.columns) == ["as_of", "stage", "activity", "customers"]
    assert list(zip(counts["stage"], counts["activity"], strict=True)) == list(POSSIBLE) * 3
    assert counts.groupby("as_of")["customers"].sum().tolist() == [1, 2, 3]
    last = counts[counts["as_of"] == DATES[2]].set_index(["stage", "activity"])["customers"]
    assert last[last > 0].to_dict() == {LATE: 1, CORE: 1, OPEN: 1}


def test_a_core_customer_cannot_have_lapsed_and_every_other_pair_of_buyers_is_possible() -> None:
    buyers = set(itertools.product(STAGES[1:], ACTIVITIES[:3])) - {("core", "lapsed")}
    assert set(POSSIBLE) == buyers | {("prospect", "open"), ("prospect", "stale")}


def test_shares_of_moves_sum_to_one_for_each_stage_and_period() -> None:
    found = tracked(states([NEW, LATE, CORE], [NEW, CORE, LOST], [NEW, NEW, GONE], [None, OPEN, NEW])).transitions()
    assert found.groupby(["from_as_of", "from_stage"], observed=True)["share"].sum().tolist() == pytest.approx([1, 1, 1, 1], abs=3e-6)
    first = found[found["from_as_of"] == DATES[0]]
    assert list(zip(first["from_stage"], first["to_stage"], first["customers"], strict=True)) == [
        ("first_time", "first_time", 2),
        ("first_time", "core", 1),
    ]
    assert (found["to_as_of"] > found["from_as_of"]).all()


def test_a_customer_moves_only_from_a_date_at_which_he_was_known() -> None:
    moved = moves(states([None, NEW, CORE], [OPEN, OPEN, OPEN]).assign(revenue=0))
    assert list(zip(moved["customer"], moved["from_stage"], moved["stage"], strict=True)) == [
        (0, "first_time", "core"),
        (1, "prospect", "prospect"),
        (1, "prospect", "prospect"),
    ]


@pytest.mark.parametrize(("customers", "shown"), [(9, False), (10, True)])
def test_a_profile_of_fewer_than_ten_customers_is_empty(customers: int, shown: bool) -> None:
    profile = tracked(states(*[[CORE]] * customers)).stage_profile().set_index("stage")
    assert profile["customers"].to_dict() == {**dict.fromkeys(STAGES, 0), "core": customers}
    told = profile.drop(columns=["as_of", "customers"])
    assert told.loc["core"].notna().all() == shown
    assert told.drop(index="core").isna().all(axis=None)


def test_a_profile_tells_revenue_per_cycle_of_the_time_since_the_first_purchase() -> None:
    profile = tracked(states(*[[None, None, None, CORE]] * 10, revenue=100, bought=30)).stage_profile().set_index("stage")
    # Known for 60 days at the fourth date: two cycles of 30.
    assert profile.loc["core", ["revenue_365d", "revenue_per_cycle_median", "cycle_days_median"]].tolist() == [1000, 50, 30]


def test_net_flow_counts_who_is_new_who_came_back_and_who_lapsed() -> None:
    found = states([None, NEW, NEW], [OPEN, OPEN, NEW], [CORE, LOST, BACK], [NEW, GONE, GONE], [OPEN, ("prospect", "stale"), OPEN])
    found.loc[(found["customer"] == 0), "first_on"] = 10
    found.loc[(found["customer"] == 1) & (found["stage"] != "prospect"), "first_on"] = 40
    found.loc[found["customer"].isin([2, 3]), "first_on"] = -50
    found.loc[(found["customer"] == 2) & (found["as_of"] == DATES[2]), "purchases"] = 2
    flow = tracked(found).net_flow(leak_periods=3).set_index("as_of")
    assert flow[["new", "won_back", "lapsed", "net_customers"]].to_numpy().tolist() == [[1, 0, 2, -1], [1, 1, 0, 2]]
    assert flow["net_revenue"].tolist() == [-100, 200]


def test_nobody_is_won_back_by_a_cancellation() -> None:
    found = states([GONE, OPEN], [LOST, ("core_defector", "late")])
    flow = tracked(found).net_flow(leak_periods=3)
    assert flow["won_back"].tolist() == [0]


@pytest.mark.parametrize("periods", [1, 2, 3])
def test_the_leak_alarm_fires_after_exactly_so_many_bad_periods(periods: int) -> None:
    # One lapses in each of the first four periods, then nobody.
    lives = [[NEW] * k + [GONE] * (7 - k) for k in range(1, 5)]
    found = states(*lives, bought=-99)
    flow = tracked(found).net_flow(leak_periods=periods)
    assert flow["net_customers"].tolist() == [-1] * 4 + [0] * 2
    assert flow["leak"].tolist() == [k + 1 >= periods and k < 4 for k in range(6)]


def test_a_period_in_which_as_many_came_as_went_ends_the_leak() -> None:
    lives = [[NEW] * k + [GONE] * (7 - k) for k in range(1, 7)]
    found = states(*lives, [None, None, None, NEW, NEW, NEW, NEW], bought=-99)
    found.loc[found["customer"] == 6, "first_on"] = 65
    flow = tracked(found).net_flow(leak_periods=2)
    assert flow["leak"].tolist() == [False, True, False, False, True, True]


@pytest.mark.parametrize("parts", [2, 3, 40])
def test_customers_may_be_taken_in_in_any_number_of_parts(parts: int) -> None:
    lives = [([None] * (k % 3) + [OPEN] * (k % 2) + [NEW, CORE, LOST, BACK, CORE, LATE, GONE])[:7] for k in range(30)]
    found = states(*lives, revenue=0.1).assign(cycle_days=lambda f: 20 + f["customer"] / 7)  # tenths have no exact sum as floats
    one, many = tracked(found), tracked(found, parts)
    pd.testing.assert_frame_equal(many.stage_counts(), one.stage_counts(), check_exact=True)
    pd.testing.assert_frame_equal(many.transitions(), one.transitions(), check_exact=True)
    pd.testing.assert_frame_equal(many.stage_profile(), one.stage_profile(), check_exact=True)
    pd.testing.assert_frame_equal(many.net_flow(2), one.net_flow(2), check_exact=True)
    assert one.stage_profile()["cycle_days_median"].notna().any()
