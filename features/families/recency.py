"""Recency: the days since the last purchase, against the customer's own IPTs."""

import math

from features.columns import Feature, Values
from features.history import open_days
from features.ipt import quantile, shrunk_ipt
from features.kernel import kernel
from features.records import Past, Shop

ORDER = 1
FEATURES = (
    Feature("recency_days", "days", "since the last purchase"),
    Feature("gap_mean", "days", "mean IPT (time between two purchases)"),
    Feature("gap_sd", "days", "standard deviation of the IPT; needs two"),
    Feature("gap_cv", "ratio", "standard deviation over mean of the IPT; needs two"),
    Feature("gap_median", "days", "median IPT"),
    Feature("gap_q90", "days", "90 % quantile of the IPT"),
    Feature("gap_max", "days", "longest IPT"),
    Feature("gap_last_over_mean", "ratio", "last IPT over mean IPT"),
    Feature(
        "gap_share_longer", "share", "of own IPTs at least as long as the recency", monotone=-1
    ),
    Feature("ipt_days", "days", "expected IPT, shrunk towards the shop's"),
    Feature("ipt_log_sd", "ln days", "log-sd of the IPT, shrunk towards the shop's"),
    Feature("expected_next_days", "days", "to the expected next purchase; below 0 if overdue"),
    Feature("recency_over_ipt", "ratio", "recency over expected IPT", monotone=1),
    Feature("recency_over_gap_max", "ratio", "recency over longest IPT", monotone=1),
    Feature("recency_surprise", "sd", "log of recency over expected IPT, in log-sds", monotone=1),
)


@kernel
def recency(past: Past, shop: Shop, values: Values) -> None:
    """Compare the days since the last purchase with the customer's own IPTs."""
    n = len(past.purchases)
    if n == 0:
        return
    last = past.purchases[n - 1].day
    silence = open_days(last, past.snapshot, shop.opened)
    ipt, log_sd = shrunk_ipt(past.purchases, n, shop)
    values.recency_days = past.snapshot - last
    values.ipt_days = ipt
    values.ipt_log_sd = log_sd
    values.expected_next_days = ipt - silence
    values.recency_over_ipt = silence / ipt
    if log_sd > 0:  # zero only in a shop whose customers all buy like clocks
        values.recency_surprise = math.log(silence / ipt) / log_sd
    gaps = n - 1
    if gaps == 0:
        return
    total = 0
    for i in range(gaps):
        total += past.sorted_gaps[i]
    mean = total / gaps
    longest = past.sorted_gaps[gaps - 1]
    values.gap_mean = mean
    values.gap_median = quantile(past.sorted_gaps, 0.5)
    values.gap_q90 = quantile(past.sorted_gaps, 0.9)
    values.gap_max = longest
    values.gap_last_over_mean = open_days(past.purchases[n - 2].day, last, shop.opened) / mean
    values.recency_over_gap_max = silence / longest
    squares, longer = 0.0, 0
    for i in range(gaps):
        squares += (past.sorted_gaps[i] - mean) ** 2
        longer += past.sorted_gaps[i] >= silence
    values.gap_share_longer = longer / gaps
    if gaps > 1:
        sd = math.sqrt(squares / (gaps - 1))
        values.gap_sd = sd
        values.gap_cv = sd / mean
