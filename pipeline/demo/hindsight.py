"""The rows on which hypotheses are tested, with the ground truth beside them where there is one."""

from typing import Any

import pandas as pd

from features.settings import Sla
from models.hypotheses.observations import Observations
from pipeline.demo import oracle
from pipeline.engine.visits import LOST, SILENCE, observed, read_rows, with_service
from pipeline.runtime.demo_section import Simulate
from pipeline.runtime.store import Folder


def _with_ground_truth(rows: dict[str, pd.DataFrame], truth: Folder) -> dict[str, pd.DataFrame]:
    """Add the ground truth about its order, or its prospect, to each row."""
    visits, key = rows["visits"], ["customer_id", "day"]
    orders = oracle.true_orders(truth, visits["customer_id"])
    visits = visits.merge(orders, on=key, validate="1:1")
    stays = rows["stays"].merge(
        visits[["resolved", "competitor_until", *orders]], on=key, validate="m:1"
    )
    people = oracle.true_prospects(truth)
    prospects = rows["prospects"].merge(people, on="customer_id", validate="1:1")
    return rows | {"visits": visits, "stays": stays, "prospects": prospects}


def _with_chances(rows: Observations, horizon: int, p: Simulate) -> Observations:
    """Add the true chance of each outcome to each row."""
    days = SILENCE * horizon
    gone = oracle.no_purchase(rows.visits, days, p)
    waited = rows.stays["snapshot"] - rows.stays["day"] - 1
    back = oracle.no_purchase_after(rows.silences, rows.silences["waited"], 2 * horizon, p)
    again = oracle.no_purchase_after(rows.stays, waited, horizon, p)
    since = rows.away["snapshot"] - rows.away["day"] - 1
    lost = oracle.no_purchase_after(rows.away, since, 2 * horizon, p)
    spend, categories = oracle.spend(rows.visits, p), oracle.categories(rows.visits, p)
    visits = rows.visits.assign(true_gone=gone, true_again=1 - gone)
    return Observations(
        visits=visits.assign(true_spend=spend, true_categories=categories),
        lost=rows.lost.assign(true_gone=oracle.no_purchase(rows.lost, LOST * horizon, p)),
        silences=rows.silences.assign(true_back=1 - back),
        away=rows.away.assign(true_back=1 - lost),
        stays=rows.stays.assign(true_again=1 - again),
        prospects=rows.prospects.assign(true_converted=oracle.conversion(rows.prospects, p)),
        calls=rows.calls.assign(true_gone=oracle.no_purchase(rows.calls, days, p)),
    )


def observations(
    truth: Folder,
    events: Folder,
    lifecycle: Folder,
    labels: Folder,
    calibration: dict[str, Any],
    sla: Sla,
    simulate: Simulate,
) -> Observations:
    """Return the rows of a shop's past, with columns `true_*` where there is a ground truth."""
    rows = read_rows(events, lifecycle, labels, calibration, sla)
    rows["visits"] = with_service(rows["visits"], sla)
    if not oracle.has_ground_truth(truth):
        return observed(rows, calibration)
    rows = _with_ground_truth(rows, truth)
    return _with_chances(observed(rows, calibration), calibration["horizon_days"], simulate)
