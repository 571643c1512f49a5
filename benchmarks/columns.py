"""The columns and snapshots that every system computes, in the terms of docs/features.md."""

import datetime as dt

WINDOWS = (14, 30, 60, 90, 180, 365)  # days, of counts and sums
TRENDS = (30, 90)  # days, compared with as many days before
SLA_DAYS = (7.0, 3.0, 1.0)  # to resolve a minor, major, critical complaint
TWELVE = [*(dt.date(2025, month, 1) for month in range(2, 13)), dt.date(2026, 1, 1)]

COUNTS = [f"purchases_in_{w}d" for w in WINDOWS]
SUMS = [f"spend_in_{w}d" for w in WINDOWS]
COLUMNS = [
    *"recency_days gap_mean gap_median gap_q90 gap_max gap_sd gap_cv".split(),
    *"gap_last_over_mean recency_over_gap_max gap_share_longer".split(),
    *("purchases", *COUNTS, "purchase_rate"),
    *(f"purchase_trend_{t}d" for t in TRENDS),
    "lines_per_purchase",
    *("spend", *SUMS, "net_spend_365d", "basket_mean", "basket_last_over_mean"),
    *(f"spend_trend_{t}d" for t in TRENDS),
    *"spend_share_90d weekday_top_share month_top_share gap_regular_share".split(),
    *"products_365d categories_365d".split(),
    *"product_concentration_365d category_concentration_365d".split(),
    *"new_item_share_365d days_since_new_item".split(),
    *"returns returns_365d defect_returns_365d returns_per_purchase".split(),
    *"returned_share_365d days_since_return".split(),
    *"complaints complaints_90d complaints_365d complaints_minor_365d".split(),
    *"complaints_major_365d complaints_open complaints_past_sla oldest_open_days".split(),
    *"open_over_sla longest_repair_ratio complaints_per_purchase".split(),
    *"days_since_complaint tenure_days known_days".split(),
]

# 0, not null, where there is nothing to count or sum. `returned_amount` is no column, but some are
# computed from it.
ABSENT_0 = [
    *COUNTS,
    *SUMS,
    *"products_365d categories_365d".split(),
    *"returns returns_365d defect_returns_365d returned_amount".split(),
    *"complaints complaints_90d complaints_365d complaints_minor_365d".split(),
    *"complaints_major_365d complaints_open complaints_past_sla oldest_open_days".split(),
    *"open_over_sla longest_repair_ratio".split(),
]
