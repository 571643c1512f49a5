"""The columns in pandas: purchases once, then groupbys over the visible rows of each snapshot."""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.columns import ABSENT_0, COLUMNS, COUNTS, SLA_DAYS, SUMS, TRENDS, WINDOWS

EPOCH = dt.date(1970, 1, 1)


def _days(times: pd.Series) -> pd.Series:
    return (times - pd.Timestamp(EPOCH)).dt.days.astype("Int32" if times.hasnans else np.int32)


def _read_lines(data: Path) -> pd.DataFrame:
    """Return one row per paid line."""
    columns = ["customer_id", "ordered_at", "product", "category", "amount", "quantity"]
    lines = pd.concat(
        [
            pd.read_parquet(path, columns=columns)
            for path in sorted((data / "orders").glob("*.parquet"))
        ],
        ignore_index=True,
    )
    lines = lines[(lines["amount"] > 0) & (lines["quantity"] > 0)]
    return lines.assign(day=_days(lines["ordered_at"])).drop(columns=["ordered_at", "quantity"])


def _purchases(lines: pd.DataFrame) -> pd.DataFrame:
    """Return one row per customer and day with a purchase, sorted."""
    purchases = lines.groupby(["customer_id", "day"])["amount"].agg(["sum", "size"]).reset_index()
    purchases.columns = pd.Index(["customer_id", "day", "amount", "lines"])
    gap = purchases["day"].diff().where(purchases["customer_id"].diff() == 0)
    date = pd.to_datetime(purchases["day"], unit="D")
    return purchases.assign(gap=gap, weekday=date.dt.day_of_week, month=date.dt.month)


def _cadence(visible: pd.DataFrame, snapshot: int) -> pd.DataFrame:
    """Return one row per customer: the columns of visible purchases and their IPTs."""
    grouped = visible.groupby("customer_id")
    day, gap, amount = grouped["day"], grouped["gap"], grouped["amount"]
    quantiles = gap.quantile(np.array([0.5, 0.9])).unstack()
    rows = pd.DataFrame(
        {
            "purchases": grouped.size(),
            "lines": grouped["lines"].sum(),
            "spend": amount.sum(),
            "recency_days": snapshot - day.max(),
            "tenure_days": snapshot - day.min(),
            "gap_mean": gap.mean(),
            "gap_median": quantiles[0.5],
            "gap_q90": quantiles[0.9],
            "gap_max": gap.max(),
            "gap_sd": gap.std(),
            "gap_last": gap.last(),
            "basket_last": amount.last(),
        }
    )
    for name in ("weekday", "month"):
        rows[f"top_{name}"] = (
            visible.groupby(["customer_id", name]).size().groupby("customer_id").max()
        )
    gaps = visible.loc[visible["gap"].notna(), ["customer_id", "gap"]]
    usual, absence = (
        gaps["customer_id"].map(rows["gap_median"]),
        gaps["customer_id"].map(rows["recency_days"]),
    )
    shares = pd.DataFrame(
        {
            "customer_id": gaps["customer_id"],
            "gap_share_longer": gaps["gap"] >= absence,
            "gap_regular_share": gaps["gap"].between(0.75 * usual, 1.25 * usual),
        }
    )
    return rows.join(shares.groupby("customer_id").mean())


def _windows(visible: pd.DataFrame, snapshot: int) -> pd.DataFrame:
    year = visible[visible["day"] >= snapshot - 365]
    columns = {"customer_id": year["customer_id"]}
    for days, count, total in zip(WINDOWS, COUNTS, SUMS, strict=True):
        columns[count] = year["day"] >= snapshot - days
        columns[total] = year["amount"].where(columns[count], 0.0)
    return pd.DataFrame(columns).groupby("customer_id").sum()


def _variety(lines: pd.DataFrame, item: str, distinct: str) -> pd.DataFrame:
    """Return the number of distinct items and their concentration in the lines."""
    per_item = lines.groupby(["customer_id", item]).size()
    squares = per_item.pow(2).groupby("customer_id").sum()
    grouped = per_item.groupby("customer_id")
    total = grouped.sum()
    return pd.DataFrame(
        {
            distinct: grouped.size(),
            f"{item}_concentration_365d": squares / total**2,
            f"{item}_lines": total,
        }
    )


def _new_items(first_days: pd.DataFrame, snapshot: int) -> pd.DataFrame:
    visible = first_days[first_days["day"] < snapshot]
    grouped = visible.assign(new=visible["day"] >= snapshot - 365).groupby("customer_id")
    return pd.DataFrame(
        {"days_since_new_item": snapshot - grouped["day"].max(), "new_lines": grouped["new"].sum()}
    )


def _returns(returns: pd.DataFrame, snapshot: int) -> pd.DataFrame:
    visible = returns[returns["day"] < snapshot]
    year = visible["day"] >= snapshot - 365
    visible = visible.assign(
        year=year, defects=year & visible["defect"], value=visible["amount"].where(year, 0.0)
    )
    grouped = visible.groupby("customer_id")
    rows = grouped[["year", "defects", "value"]].sum()
    rows.columns = pd.Index(["returns_365d", "defect_returns_365d", "returned_amount"])
    return rows.assign(returns=grouped.size(), days_since_return=snapshot - grouped["day"].max())


def _complaints(complaints: pd.DataFrame, snapshot: int) -> pd.DataFrame:
    visible = complaints[complaints["day"] < snapshot]
    age = snapshot - visible["day"]
    is_open = ~(visible["resolved"] < snapshot).fillna(False).astype(bool)
    took = age.where(is_open, visible["resolved"].fillna(0).astype(np.int32) - visible["day"])
    ratio = took / np.array(SLA_DAYS)[visible["severity"]]
    year = age <= 365
    columns = pd.DataFrame(
        {
            "customer_id": visible["customer_id"],
            "complaints_90d": age <= 90,
            "complaints_365d": year,
            "complaints_minor_365d": year & (visible["severity"] == 0),
            "complaints_major_365d": year & (visible["severity"] > 0),
            "complaints_open": is_open,
            "complaints_past_sla": year & (ratio > 1),
            "oldest_open_days": age.where(is_open, 0),
            "open_over_sla": ratio.where(is_open, 0.0),
            "longest_repair_ratio": ratio.where(year, 0.0),
            "days_since_complaint": age,
        }
    )
    grouped = columns.groupby("customer_id")
    counts = grouped[[c for c in columns if columns[c].dtype == bool]].sum()
    longest = grouped[["oldest_open_days", "open_over_sla", "longest_repair_ratio"]].max()
    return counts.join(longest).assign(
        complaints=grouped.size(), days_since_complaint=grouped["days_since_complaint"].min()
    )


def _ratios(r: pd.DataFrame) -> dict[str, pd.Series]:
    """Return the columns that are computed from other columns."""
    basket = r["spend"] / r["purchases"]
    ratios = {
        "basket_mean": basket,
        "gap_cv": r["gap_sd"] / r["gap_mean"],
        "gap_last_over_mean": r["gap_last"] / r["gap_mean"],
        "recency_over_gap_max": r["recency_days"] / r["gap_max"],
        "purchase_rate": r["purchases"] / r["tenure_days"],
        "lines_per_purchase": r["lines"] / r["purchases"],
        "net_spend_365d": r["spend_in_365d"] - r["returned_amount"],
        "basket_last_over_mean": r["basket_last"] / basket,
        "spend_share_90d": r["spend_in_90d"] / r["spend"],
        "weekday_top_share": r["top_weekday"] / r["purchases"],
        "month_top_share": r["top_month"] / r["purchases"],
        "new_item_share_365d": r["new_lines"] / r["product_lines"],
        "returns_per_purchase": r["returns"] / r["purchases"],
        "returned_share_365d": r["returned_amount"]
        / r["spend_in_365d"].where(r["spend_in_365d"] > 0),
        "complaints_per_purchase": r["complaints"] / r["purchases"],
        "known_days": r["tenure_days"],
    }
    for t in TRENDS:
        count, double = r[f"purchases_in_{t}d"], r[f"purchases_in_{2 * t}d"]
        spend, twice = r[f"spend_in_{t}d"], r[f"spend_in_{2 * t}d"]
        ratios[f"purchase_trend_{t}d"] = (count + 1) / (double - count + 1)
        ratios[f"spend_trend_{t}d"] = (spend + basket) / (twice - spend + basket)
    return ratios


def run(data: Path, out: Path, snapshots: list[dt.date]) -> None:
    """Write one file of rows per snapshot."""
    lines = _read_lines(data)
    purchases = _purchases(lines)
    first_days = lines.groupby(["customer_id", "product"])["day"].min().reset_index()
    returns = pd.read_parquet(data / "returns.parquet")
    returns = returns.assign(day=_days(returns["returned_at"]))
    complaints = pd.read_parquet(data / "complaints.parquet")
    complaints = complaints.assign(
        day=_days(complaints["opened_at"]), resolved=_days(complaints["resolved_at"])
    )
    for date in snapshots:
        snapshot = (date - EPOCH).days
        visible = purchases[purchases["day"] < snapshot]
        year = lines[(lines["day"] < snapshot) & (lines["day"] >= snapshot - 365)]
        rows = _cadence(visible, snapshot).join(
            [
                _windows(visible, snapshot),
                _variety(year, "product", "products_365d"),
                _variety(year, "category", "categories_365d"),
                _new_items(first_days, snapshot),
                _returns(returns, snapshot),
                _complaints(complaints, snapshot),
            ]
        )
        rows[ABSENT_0] = rows[ABSENT_0].fillna(0)
        rows = rows.assign(**_ratios(rows))[COLUMNS].astype(np.float32).reset_index()
        rows.insert(1, "snapshot", date)
        rows.to_parquet(
            out / f"{date}.parquet", compression="zstd", compression_level=1, index=False
        )
