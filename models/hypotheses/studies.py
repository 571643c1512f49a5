"""The comparisons that test each hypothesis.

What the shop cannot see - a service failure without a complaint, the true stage - is in the
estimate and in its ground truth alike. In a real shop only the control group is drawn at random:
every other difference is an association.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from models.hypotheses.contrasts import FALLS, RISES, Claim, Effect, adjusted, compare, slope
from models.hypotheses.observations import Observations

FIRST, EARLY, CORE = STAGES = ("first_time", "early_repeat", "core")
SAME_MARGIN = 0.02  # of K3: a difference in the chance to leave that nobody would act on
# of F6: the least index of a satisfied customer; one late delivery of a first order keeps the index
# below it for a half-life and more
SATISFIED = 0.8
CORE_LEAVES = 0.05  # of K7: at most, per purchase
EARLY_UNTIL = 6  # of E3: orders; a customer who is early for longer has another obstacle to core
STRONG, WEAK = 0.5, 0.3  # of D7: evidence of a reason from the first on, of none below the second
STEP_FROM, STEP_TO = 0.5, 2.0  # of D4: just before and just after the SLA, in SLA times

Effects = Iterable[Effect | None]
Cell = tuple[float, pd.Series]


def within_customers(rows: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """The columns as differences from each customer's own mean: constant traits drop out."""
    means = {name: rows.groupby("customer_id")[name].transform("mean") for name in columns}
    return rows.assign(**{name: rows[name] - mean for name, mean in means.items()})


def churned(what: str, claim: Claim, rows: pd.DataFrame, *cells: Cell) -> Effect | None:
    """Sum the shares of visits without a purchase afterwards, over cells with a sign each.

    Also with what was known before the visit held constant.
    """
    result = compare(f"churned: {what}", claim, rows, "gone", list(cells))
    if result is None:
        return None
    design = np.column_stack([cell.to_numpy(np.float64) for _, cell in cells])
    inside = np.flatnonzero(design.any(axis=1))
    weights = np.array([weight for weight, _ in cells])
    return result._replace(adjusted=adjusted(rows.iloc[inside], "gone", design[inside], weights))


def not_lapsed(rows: Observations) -> pd.DataFrame:
    """Return the stays of customers who have not lapsed."""
    return rows.stays[~rows.stays["lapsed"]]


def conversion(rows: Observations, on: str, what: str, claim: Claim) -> Effects:
    """Slope of conversion on one of three causes, the other two held constant."""
    others = [name for name in ("all_met", "missed", "log_touches") if name != on]
    yield slope(f"converted: by {what}", claim, rows.prospects, "converted", on, others)


def retention(rows: Observations, pairs: Iterable[tuple[str, str]]) -> Effects:
    """Differences between stages in the share that buys within the horizon."""
    kept = not_lapsed(rows)
    for better, worse in pairs:
        cells = [(1.0, kept["stage"] == better), (-1.0, kept["stage"] == worse)]
        yield compare(f"bought within the horizon: {better} - {worse}", RISES, kept, "again", cells)


def first_categories(rows: Observations) -> Effects:
    """Slope on the categories of the first order; its failures are random in the demo."""
    what, first = "bought again: by category in the first order", rows.visits["stage"] == FIRST
    yield slope(what, RISES, rows.visits[first], "again", "categories", [])


def second_against_later(rows: Observations, chosen: pd.Series) -> Effects:
    """Share of chosen visits that the next purchase follows, by stage."""
    stage = rows.visits["stage"]
    cells = [(1.0, chosen & (stage == EARLY)), (-1.0, chosen & (stage == FIRST))]
    yield compare("bought again: early_repeat - first_time", RISES, rows.visits, "again", cells)


def satisfied(rows: Observations) -> Effects:
    """Within each stage, by the satisfaction index as of the snapshot: its weights are a judgement,
    so not by its slope.
    """
    kept = not_lapsed(rows).dropna(subset="satisfaction")
    content = kept["satisfaction"] >= SATISFIED
    for stage in STAGES:
        inside = kept["stage"] == stage
        cells = [(1.0, inside & content), (-1.0, inside & ~content)]
        what = f"bought within the horizon: satisfied - not, {stage}"
        yield compare(what, RISES, kept, "again", cells)


def growth(rows: Observations) -> Effects:
    """Slope of early orders on their number, spend in shares of the mean order.

    The very first order is left out: by F3 its size decides who goes on.
    """
    visits = rows.visits
    early = visits[(visits["stage"] == EARLY) & (visits["number"] <= EARLY_UNTIL)]
    for name in ("spend", "categories"):
        values = [column for column in (name, f"true_{name}") if column in early]
        shares = early.assign(**{column: early[column] / early[column].mean() for column in values})
        used = within_customers(shares if name == "spend" else early, ["number", *values])
        what = f"{name} of an order: by purchase, within customers"
        yield slope(what, RISES, used, name, "number", [])


def one_failure(rows: Observations) -> Effects:
    """Any service failure against none; their number does not matter."""
    v = rows.visits
    first = v["stage"] == FIRST
    cells = [(1.0, first & v["failed"]), (-1.0, first & ~v["failed"])]
    yield churned("any service failure - none, first_time", RISES, v, *cells)


def small_failure(rows: Observations) -> Effects:
    """A small failure in early_repeat, and against the effect of a resolved one in core."""
    v = rows.visits
    early, core = v["stage"] == EARLY, v["stage"] == CORE
    cells = [(1.0, early & v["small"]), (-1.0, early & ~v["failed"])]
    resolved = [(-1.0, core & v["small"] & ~v["sla_breached"]), (1.0, core & ~v["failed"])]
    yield churned("small failure - none, early_repeat", RISES, v, *cells)
    what = "the same, minus the effect of one resolved within the SLA in core"
    yield churned(what, RISES, v, *cells, *resolved)


def calm(visits: pd.DataFrame) -> pd.Series:
    """Mark visits of customers who were core before, with no competitor and no long run."""
    quiet: pd.Series = visits["was_core"] & visits["competitor_until"].isna() & ~visits["long_run"]
    return quiet


def tolerated(rows: Observations) -> Effects:
    """Equivalence of resolved within the SLA and no failure; then the effect of a breach."""
    v, same = rows.visits, Claim(-SAME_MARGIN, SAME_MARGIN)
    core, breached = calm(v), v["sla_breached"]
    none, small = (-1.0, core & ~v["failed"]), core & v["small"]
    what = "small failure resolved within the SLA - no failure, core"
    yield churned(what, same, v, (1, small & ~breached), none)
    what = "small failure, SLA breached - no failure, core"
    yield churned(what, RISES, v, (1, small & breached), none)


def most_valuable(rows: Observations) -> Effects:
    """By the stage of the rules; the ground truth is the same difference between true stages."""
    kept = not_lapsed(rows)

    def difference(stage: pd.Series, other: str) -> Effect | None:
        cells = [(1.0, stage == CORE), (-1.0, stage == other)]
        what = f"net spend of a year: core - {other}"
        return compare(what, RISES, kept, "net_spend_365d", cells)

    for other in (EARLY, FIRST):
        effect = difference(kept["stage"], other)
        true = difference(kept["true_stage"], other) if effect and "true_stage" in kept else None
        yield effect._replace(truth=true.estimate) if effect and true else effect


def loyal(rows: Observations) -> Effects:
    """A bound on the share that leaves, not a difference."""
    v = rows.visits
    bound = Claim(high=CORE_LEAVES)
    yield churned("no failure and no other reason, core", bound, v, (1, calm(v) & ~v["failed"]))


def in_core(visits: pd.DataFrame, what: str, reason: pd.Series, without: pd.Series) -> Effects:
    """Core customers with a reason against those without."""
    core = visits["stage"] == CORE
    yield churned(f"{what}, core", RISES, visits, (1, core & reason), (-1, core & without))


def competitor(rows: Observations) -> Effects:
    """A competitor's launch in the favourite category against none."""
    none = rows.visits["competitor_until"].isna()
    return in_core(rows.visits, "competitor in the favourite category - none", ~none, none)


def serious_failure(rows: Observations) -> Effects:
    """A serious failure against no failure."""
    v = rows.visits
    return in_core(v, "serious failure - no failure", v["serious"], ~v["failed"])


def bored(rows: Observations) -> Effects:
    """Over six horizons: a bored customer also buys more slowly, so after three some are late."""
    long_run, what = (
        rows.lost["long_run"],
        "long run of the same item - shorter, after six horizons",
    )
    return in_core(rows.lost, what, long_run, ~long_run)


def sla_breach(rows: Observations) -> Effects:
    """Minor complaints in core, by the time to resolve them divided by the SLA."""
    v = rows.visits
    ratio = v["repair"].where((v["stage"] == CORE) & (v["severity"] == 0))
    before, after = (ratio > STEP_FROM) & (ratio <= 1), (ratio > 1) & (ratio <= STEP_TO)
    half = [(0.5, after), (-1.5, before), (1.0, ratio <= STEP_FROM)]
    yield churned("SLA breached - within the SLA", RISES, v, (1, ratio > 1), (-1, ratio <= 1))
    yield churned("just after the SLA - just within", RISES, v, (1, after), (-1, before))
    yield churned("half of that, minus the effect of the wait before the SLA", RISES, v, *half)


def kept_away(rows: Observations) -> Effects:
    """Core customers who have not bought for long, by records; lapsed ones, by evidence."""
    s = rows.silences
    core = s["stage"] == CORE
    cells = [(1.0, core & s["holds"]), (-1.0, core & ~s["reason"])]
    what = "came back in two horizons: a reason holds - no reason, core"
    yield compare(what, FALLS, s, "back", cells)
    evidence = rows.away["evidence"]
    cells = [(1.0, evidence >= STRONG), (-1.0, evidence < WEAK)]
    what = "came back in two horizons: evidence from 0.5 on - below 0.3, lost core"
    yield compare(what, FALLS, rows.away, "back", cells)


def called(rows: Observations) -> Effects:
    """The control group is drawn at random, so this is the effect of a call."""
    on_call = rows.calls["called"]
    yield churned("called - control group", FALLS, rows.calls, (1, on_call), (-1, ~on_call))
