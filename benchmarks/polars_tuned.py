"""The columns in Polars, tuned: what does not depend on the snapshot is computed once.

Customers are numbered by their first day, so the customers known at a snapshot are the first ones
and most joins are by position. Sort keys are packed into one integer. Distinct counts, shares and
most frequent items come from the ends of runs in keys sorted by customer and item.
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from benchmarks.columns import ABSENT_0, COLUMNS, COUNTS, SLA_DAYS, SUMS, TRENDS, WINDOWS

EPOCH = dt.date(1970, 1, 1)
day = pl.col("day")
customer = pl.col("customer")
length = pl.col("length")
DAYS, ITEMS = 2**16, 2**20  # places in a packed key


@dataclass(frozen=True)
class Prepared:
    """The tables that are the same for every snapshot.

    `customers`: one row per customer, by number; the others are sorted by customer.
    """

    customers: pl.DataFrame
    purchases: pl.DataFrame
    gaps: pl.DataFrame
    first_lines: pl.DataFrame
    products: pl.DataFrame
    categories: pl.DataFrame
    weekdays: pl.DataFrame
    months: pl.DataFrame
    returns: pl.DataFrame
    complaints: pl.DataFrame


def _day(column: str) -> pl.Expr:
    return pl.col(column).dt.epoch("d").cast(pl.Int64)


def _runs(customer_item_day: pl.Series) -> pl.DataFrame:
    """Return rows sorted by customer, item and day; `run` names the pair of customer and item."""
    key = pl.col("key")
    return pl.DataFrame({"key": customer_item_day.sort()}).select(
        day=(key % DAYS).cast(pl.Int32),
        run=key // DAYS,
        customer=(key // (DAYS * ITEMS)).cast(pl.UInt32),
    )


def _packed(item: pl.Expr) -> pl.Expr:
    return (customer.cast(pl.Int64) * ITEMS + item.cast(pl.Int64)) * DAYS + day


def _purchases(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one row per customer and day with a purchase, sorted."""
    sorted_lines = lines.select(
        amount=pl.col("amount"), purchase=customer.cast(pl.Int64) * DAYS + day
    ).sort("purchase")
    purchase = pl.col("purchase")
    return (
        sorted_lines.group_by("purchase")
        .agg(pl.col("amount").sum(), lines=pl.len())
        .sort("purchase")
        .select(
            "amount",
            "lines",
            customer=(purchase // DAYS).cast(pl.UInt32).set_sorted(),
            day=(purchase % DAYS).cast(pl.Int32),
        )
        .with_columns(
            gap=pl.when(customer == customer.shift(1)).then(day - day.shift(1)).cast(pl.Int32)
        )
    )


def prepare(data: Path) -> Prepared:
    """Read and sort the tables."""
    lines = (
        pl.scan_parquet(data / "orders" / "*.parquet")
        .filter((pl.col("amount") > 0) & (pl.col("quantity") > 0))
        .select("customer_id", "product", "category", "amount", day=_day("ordered_at"))
        .collect()
    )
    customers = (
        lines.group_by("customer_id")
        .agg(known=day.min())
        .sort("known", "customer_id")
        .with_row_index("customer")
    )
    numbers = customers.select("customer_id", "customer")
    lines = lines.join(numbers, on="customer_id")
    purchases = _purchases(lines)
    gaps = purchases.filter(pl.col("gap").is_not_null()).select("customer", "gap", "day")
    products = _runs(lines.select(_packed(pl.col("product"))).to_series())
    first = products.filter(pl.col("run") != pl.col("run").shift(1, fill_value=-1)).select(
        "customer", "day"
    )
    weekdays = purchases.select(_packed(day % 7)).to_series()
    months = purchases.select(_packed(pl.from_epoch(day, "d").dt.month())).to_series()
    complaints = pl.read_parquet(data / "complaints.parquet").join(numbers, on="customer_id")
    returns = pl.read_parquet(data / "returns.parquet").join(numbers, on="customer_id")
    return Prepared(
        customers,
        purchases,
        gaps.sort("customer", "gap").with_columns(customer.set_sorted()),
        first.with_columns(customer.set_sorted()),
        products,
        _runs(lines.select(_packed(pl.col("category"))).to_series()),
        _runs(weekdays),
        _runs(months),
        returns.select("customer", "amount", "defect", day=_day("returned_at")),
        complaints.select(
            "customer", "severity", day=_day("opened_at"), resolved=_day("resolved_at")
        ),
    )


def _run_lengths(runs: pl.DataFrame, snapshot: int, days: int) -> pl.LazyFrame:
    """Return the number of rows in the last `days` days per pair of customer and item.

    It is the distance between the ends of two runs.
    """
    visible = (
        runs.lazy().filter(day.is_between(snapshot - days, snapshot - 1)).with_row_index("place", 1)
    )
    ends = visible.filter(pl.col("run") != pl.col("run").shift(-1, fill_value=-1))
    place = pl.col("place").cast(pl.Int64)
    return ends.select(customer.set_sorted(), length=place - place.shift(1, fill_value=0))


def _variety(runs: pl.DataFrame, distinct: str, name: str, snapshot: int) -> pl.LazyFrame:
    concentration = (length * length).sum() / length.sum().cast(pl.Float64) ** 2
    lengths = _run_lengths(runs, snapshot, 365).group_by("customer")
    return lengths.agg(
        pl.len().alias(distinct),
        concentration.alias(f"{name}_concentration_365d"),
        length.sum().alias(f"{name}_lines"),
    )


def _top(runs: pl.DataFrame, name: str, snapshot: int) -> pl.LazyFrame:
    return _run_lengths(runs, snapshot, snapshot).group_by("customer").agg(length.max().alias(name))


def _new_items(first_lines: pl.DataFrame, snapshot: int) -> pl.LazyFrame:
    visible = first_lines.lazy().filter(day < snapshot)
    return visible.group_by("customer").agg(
        days_since_new_item=snapshot - day.max(), new_lines=(day >= snapshot - 365).sum()
    )


def _windows(purchases: pl.DataFrame, snapshot: int) -> pl.LazyFrame:
    """Return purchases and spend of the trailing windows."""
    year = purchases.lazy().filter(day.is_between(snapshot - 365, snapshot - 1))
    within = [day >= snapshot - w for w in WINDOWS]
    counts = [inside.sum().alias(name) for inside, name in zip(within, COUNTS, strict=True)]
    sums = [
        pl.col("amount").filter(inside).sum().alias(name)
        for inside, name in zip(within, SUMS, strict=True)
    ]
    return year.group_by("customer").agg(*counts, *sums)


def _totals(purchases: pl.DataFrame, snapshot: int) -> pl.LazyFrame:
    gap = pl.col("gap")
    visible = purchases.lazy().filter(day < snapshot).group_by("customer", maintain_order=True)
    return visible.agg(
        pl.len().alias("purchases"),
        pl.col("amount").sum().alias("spend"),
        pl.col("lines").sum(),
        (snapshot - day.last()).alias("recency_days"),
        (snapshot - day.first()).alias("tenure_days"),
        gap.std().alias("gap_sd"),
        gap.last().alias("gap_last"),
        pl.col("amount").last().alias("basket_last"),
    )


def _quantile(gap: pl.Series, count: pl.Series, q: float) -> pl.Series:
    """Return the linear quantile per customer of gaps sorted by customer and gap; null without."""
    frame = pl.DataFrame({"count": count, "end": count.cum_sum()}).with_columns(
        place=(pl.col("count") - 1) * q
    )
    low, start = pl.col("place").floor().cast(pl.Int64), pl.col("end") - pl.col("count")
    high = pl.min_horizontal(low + 1, pl.col("count") - 1)
    places = frame.select(
        pl.when(pl.col("count") > 0).then(place)
        for place in (
            (start + low).alias("low"),
            (start + high).alias("high"),
            pl.col("place") - low,
        )
    )
    below, above = gap.gather(places["low"]), gap.gather(places["high"])
    return below + (above - below) * places["place"]


def _cadence(gaps: pl.DataFrame, totals: pl.DataFrame, snapshot: int) -> pl.DataFrame:
    """Return the totals with quantiles of the IPT, and the shares of long and of regular IPTs."""
    visible = gaps.filter(day < snapshot)
    gap, count = visible["gap"], totals["purchases"].cast(pl.Int64) - 1
    quantiles = {
        name: _quantile(gap, count, q)
        for name, q in (("gap_median", 0.5), ("gap_q90", 0.9), ("gap_max", 1.0))
    }
    absence, usual = (
        totals["recency_days"].gather(visible["customer"]),
        quantiles["gap_median"].gather(visible["customer"]),
    )
    compared = pl.LazyFrame(
        {"customer": visible["customer"], "gap": gap, "absence": absence, "usual": usual}
    )
    shares = compared.group_by(customer.set_sorted()).agg(
        gap_share_longer=(pl.col("gap") >= pl.col("absence")).mean(),
        gap_regular_share=pl.col("gap")
        .is_between(0.75 * pl.col("usual"), 1.25 * pl.col("usual"))
        .mean(),
    )
    return totals.with_columns(**quantiles).join(shares.collect(), on="customer", how="left")


def _returns(returns: pl.DataFrame, snapshot: int) -> pl.LazyFrame:
    year = day >= snapshot - 365
    return (
        returns.lazy()
        .filter(day < snapshot)
        .group_by("customer")
        .agg(
            pl.len().alias("returns"),
            returns_365d=year.sum(),
            defect_returns_365d=(year & pl.col("defect")).sum(),
            returned_amount=pl.col("amount").filter(year).sum(),
            days_since_return=snapshot - day.max(),
        )
    )


def _complaints(complaints: pl.DataFrame, snapshot: int) -> pl.LazyFrame:
    still_open = pl.col("resolved").is_null() | (pl.col("resolved") >= snapshot)
    age = snapshot - day
    took = pl.when(still_open).then(age).otherwise(pl.col("resolved") - day)
    minor, major, critical = SLA_DAYS
    promised = (
        pl.when(pl.col("severity") == 0)
        .then(minor)
        .when(pl.col("severity") == 1)
        .then(major)
        .otherwise(critical)
    )
    visible = (
        complaints.lazy()
        .filter(day < snapshot)
        .with_columns(open=still_open, age=age, year=age <= 365, ratio=took / promised)
    )
    year, severity, ratio, opened = (
        pl.col("year"),
        pl.col("severity"),
        pl.col("ratio"),
        pl.col("open"),
    )
    return visible.group_by("customer").agg(
        pl.len().alias("complaints"),
        complaints_90d=(pl.col("age") <= 90).sum(),
        complaints_365d=year.sum(),
        complaints_minor_365d=(year & (severity == 0)).sum(),
        complaints_major_365d=(year & (severity > 0)).sum(),
        complaints_open=opened.sum(),
        complaints_past_sla=(year & (ratio > 1)).sum(),
        oldest_open_days=pl.col("age").filter(opened).max(),
        open_over_sla=ratio.filter(opened).max(),
        longest_repair_ratio=ratio.filter(year).max(),
        days_since_complaint=pl.col("age").min(),
    )


def _ratios() -> list[pl.Expr]:
    """Return the columns that are computed from other columns."""
    c = pl.col
    gap_mean = (c("tenure_days") - c("recency_days")) / (c("purchases") - 1)
    trends = []
    for t in TRENDS:
        count, double = c(f"purchases_in_{t}d"), c(f"purchases_in_{2 * t}d")
        spend, twice = c(f"spend_in_{t}d"), c(f"spend_in_{2 * t}d")
        trends.append(((count + 1) / (double - count + 1)).alias(f"purchase_trend_{t}d"))
        trends.append(
            ((spend + c("basket_mean")) / (twice - spend + c("basket_mean"))).alias(
                f"spend_trend_{t}d"
            )
        )
    return [
        *trends,
        pl.when(c("purchases") > 1).then(gap_mean).alias("gap_mean"),
        (c("gap_sd") / gap_mean).alias("gap_cv"),
        (c("gap_last") / gap_mean).alias("gap_last_over_mean"),
        (c("recency_days") / c("gap_max")).alias("recency_over_gap_max"),
        (c("purchases") / c("tenure_days")).alias("purchase_rate"),
        (c("lines") / c("purchases")).alias("lines_per_purchase"),
        (c("spend_in_365d") - c("returned_amount")).alias("net_spend_365d"),
        (c("basket_last") / c("basket_mean")).alias("basket_last_over_mean"),
        (c("spend_in_90d") / c("spend")).alias("spend_share_90d"),
        (c("top_weekday") / c("purchases")).alias("weekday_top_share"),
        (c("top_month") / c("purchases")).alias("month_top_share"),
        (c("new_lines") / c("product_lines")).alias("new_item_share_365d"),
        (c("returns") / c("purchases")).alias("returns_per_purchase"),
        pl.when(c("spend_in_365d") > 0)
        .then(c("returned_amount") / c("spend_in_365d"))
        .alias("returned_share_365d"),
        (c("complaints") / c("purchases")).alias("complaints_per_purchase"),
        c("tenure_days").alias("known_days"),
    ]


def describe(prepared: Prepared, snapshot: int) -> pl.LazyFrame:
    """Return one row per customer known at the snapshot, a day number."""
    totals = _cadence(prepared.gaps, _totals(prepared.purchases, snapshot).collect(), snapshot)
    parts = [
        _windows(prepared.purchases, snapshot),
        _top(prepared.weekdays, "top_weekday", snapshot),
        _top(prepared.months, "top_month", snapshot),
        _variety(prepared.products, "products_365d", "product", snapshot),
        _variety(prepared.categories, "categories_365d", "category", snapshot),
        _new_items(prepared.first_lines, snapshot),
        _returns(prepared.returns, snapshot),
        _complaints(prepared.complaints, snapshot),
    ]
    rows = totals.lazy().with_columns(prepared.customers["customer_id"].head(len(totals)))
    for part in parts:
        rows = rows.join(part, on="customer", how="left")
    rows = rows.with_columns(
        pl.col(ABSENT_0).fill_null(0), basket_mean=pl.col("spend") / pl.col("purchases")
    ).with_columns(_ratios())
    at = pl.lit(EPOCH + dt.timedelta(snapshot)).alias("snapshot")
    return rows.select("customer_id", at, pl.col(COLUMNS).cast(pl.Float32))


def run(data: Path, out: Path, snapshots: list[dt.date]) -> None:
    """Write one file of rows per snapshot."""
    prepared = prepare(data)
    for snapshot in snapshots:
        rows = describe(prepared, (snapshot - EPOCH).days).collect()
        rows.write_parquet(out / f"{snapshot}.parquet", compression="zstd", compression_level=1)
