"""How much of today's calls hangs on capacity, margin and save rate."""

import numpy as np
import pandas as pd
import pytest
from frozen import params

from models.decision.what_if import what_if
from models.decision.worklist import contacts, ranked, stakes

HORIZON, CAPACITY = 30, 40
COSTS, BANDS, WHEN = params().costs, params().evaluate.bands, params().score.call_when


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """The what-ifs of 500 overdue customers."""
    random = np.random.default_rng(1)
    value = random.lognormal(4, 1, 500)
    columns = {"risk": random.random(500), "value_365d": value, "value_if_retained": value}
    rows = pd.DataFrame(columns)
    rows = rows.assign(
        stage="core",
        queue="core_care",
        chance=np.nan,
        activity="late",
        category_stopped=False,
        evidence_band="none",
        since=0,
        do_not_contact=False,
    )
    rows = ranked(stakes(rows, HORIZON, COSTS, BANDS)).assign(control=False, resting=False)
    flags = (rows[name].to_numpy() for name in ("control", "resting"))
    rows = rows.assign(contact=contacts(rows, WHEN, CAPACITY, *flags))
    assert (rows["contact"] == "call").sum() == CAPACITY
    return what_if(rows, HORIZON, COSTS, BANDS, WHEN, CAPACITY)


def test_there_is_a_row_for_every_combination_and_todays_agrees_with_the_list(
    table: pd.DataFrame,
) -> None:
    assert len(table) == len(table[["capacity", "margin", "save_rate"]].drop_duplicates()) == 27
    [today] = table.query(
        "capacity == @CAPACITY and margin == @COSTS.margin and save_rate == @COSTS.save_rate"
    ).to_dict("records")
    assert (today["calls"], today["overlap"]) == (CAPACITY, 1.0)
    assert today["profit"] == pytest.approx(today["profit_of_todays"])


def test_choosing_by_the_right_assumption_is_never_worse_than_todays_calls(
    table: pd.DataFrame,
) -> None:
    enough = table[table["capacity"] >= CAPACITY]
    assert (enough["profit"] >= enough["profit_of_todays"] - 0.01).all()
    assert (enough["profit"] > enough["profit_of_todays"] + 1).any()


def test_more_capacity_and_a_higher_save_rate_never_call_fewer(table: pd.DataFrame) -> None:
    for name in ("capacity", "save_rate"):
        others = [key for key in ("capacity", "margin", "save_rate") if key != name]
        by_rest = table.sort_values(name).groupby(others)["calls"]
        assert by_rest.apply(lambda calls: calls.is_monotonic_increasing).all()
