"""Recency and cadence: how long the silence is, against the customer's own rhythm."""

import math

from features.columns import Feature, Values
from features.history import open_days
from features.ipt import quantile, shrunk_ipt
from features.kernel import kernel
from features.records import Past, Shop

ORDER = 1
FEATURES = (
    Feature("recency_days", "days", "since the last purchase"),
    Feature("gap_mean", "days", "mean gap between purchases"),
    Feature("gap_sd", "days", "standard deviation of the gaps; needs two"),
    Feature("gap_cv", "ratio", "standard deviation over mean of the gaps; needs two"),
    Feature("gap_median", "days", "median gap"),
    Feature("gap_q90", "days", "90 % quantile of the gaps"),
    Feature("gap_max", "days", "longest gap"),
    Feature("gap_last_over_mean", "ratio", "last gap over the mean gap"),
    Feature(
        "gap_share_longer",
        "share",
        "of own gaps that were at least as long as the silence now",
        monotone=-1,
    ),
    Feature("ipt_days", "days", "usual gap, shrunk towards the shop's"),
    Feature("ipt_log_sd", "ln days", "log-sd of the IPT, shrunk towards the shop's"),
    Feature(
        "expected_next_days",
        "days",
        "until the next purchase if it comes after the usual gap; below zero when it is overdue",
    ),
    Feature(
        "recency_over_ipt", "ratio", "time since the last purchase over the usual gap", monotone=1
    ),
    Feature(
        "recency_over_gap_max",
        "ratio",
        "time since the last purchase over the longest gap",
        monotone=1,
    ),
    Feature(
        "recency_surprise",
        "sd",
        "log of recency over the usual gap, in the customer's own standard deviations",
        monotone=1,
    ),
)


@kernel
def recency(past: Past, shop: Shop, values: Values) -> None:
    """How long the silence is, against the customer's own rhythm."""
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
