"""The data of the benchmark: three years of orders, 24 lines per customer, returns and complaints.

The same number of customers gives the same data. There is one parquet file of orders per month,
sorted by time, so the lines of a customer are spread over all files.
"""

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

START = np.datetime64("2023-01-01", "us")
END = np.datetime64("2026-01-01", "us")
DAYS = 1096
PRODUCTS, CATEGORIES = 2000, 40
LINES_PER_CUSTOMER = 24.2  # approximately

Times = npt.NDArray[np.datetime64]
Ids = npt.NDArray[np.int64]


def _purchase_times(random: np.random.Generator, customers: int) -> tuple[Ids, Times]:
    """Return customer number and time of each line, sorted by time.

    After a random start, each customer has an expected IPT and gamma-distributed IPTs.
    """
    lines = random.negative_binomial(1.2, 1.2 / (1.2 + 23.5), customers) + 1
    start = random.random(customers) * 900
    expected_ipt = (0.25 + 0.85 * random.random(customers)) * (DAYS - start) / lines
    customer = np.repeat(np.arange(customers), lines)
    first = np.cumsum(lines) - lines
    elapsed = random.gamma(1.5, 1 / 1.5, len(customer)) * expected_ipt[customer]
    elapsed[first] = 0
    np.cumsum(elapsed, out=elapsed)
    elapsed += (start - elapsed[first])[customer]
    kept = elapsed < DAYS - 0.001
    customer, elapsed = customer[kept], elapsed[kept]
    time = START + (elapsed * 86_400).astype(np.int64) * np.timedelta64(1_000_000, "us")
    order = np.argsort(time, kind="stable")
    return customer[order], time[order]


def _products(random: np.random.Generator, customer: Ids, customers: int) -> npt.NDArray[np.int32]:
    """Draw 55 % of the lines from five products of the customer, the rest from a long tail."""
    favourites = random.integers(0, PRODUCTS, (customers, 5), dtype=np.int32)
    favourite = favourites[customer, random.integers(0, 5, len(customer))]
    other = (random.beta(0.8, 3, len(customer)) * PRODUCTS).astype(np.int32)
    return np.where(random.random(len(customer)) < 0.55, favourite, other)


def _days_after(random: np.random.Generator, time: Times, days: float) -> Times:
    """Return times up to so many days later, in whole seconds."""
    return time + (random.random(len(time)) * days * 86_400).astype(np.int64) * np.timedelta64(
        1_000_000, "us"
    )


def _orders(random: np.random.Generator, customers: int) -> dict[str, npt.NDArray[np.generic]]:
    customer, time = _purchase_times(random, customers)
    product = _products(random, customer, customers)
    return {
        "order_id": np.arange(len(customer)),
        "customer_id": customer * 7 + 100_003,
        "ordered_at": time,
        "product": product,
        "category": (product * 7919 % CATEGORIES).astype(np.int16),
        "amount": np.round(np.exp(random.normal(3, 0.9, len(customer))), 2),
        "quantity": (1 + random.poisson(0.4, len(customer))).astype(np.int16),
    }


def _returns(random: np.random.Generator, orders: dict[str, npt.NDArray[np.generic]]) -> pa.Table:
    """Draw returns: 4 % of the lines within two weeks, 40 % of them for a defect."""
    back = np.flatnonzero(random.random(len(orders["amount"])) < 0.04)
    time = _days_after(random, orders["ordered_at"][back], 14)  # type: ignore[arg-type]
    defect = random.random(len(back)) < 0.4
    seen = time < END
    return pa.table(
        {
            "customer_id": orders["customer_id"][back][seen],
            "returned_at": time[seen],
            "amount": orders["amount"][back][seen],
            "defect": defect[seen],
        }
    ).sort_by("returned_at")


def _complaints(
    random: np.random.Generator, orders: dict[str, npt.NDArray[np.generic]]
) -> pa.Table:
    """Draw complaints: on 2 % of the lines within ten days; 6 % of them are never resolved."""
    about = np.flatnonzero(random.random(len(orders["amount"])) < 0.02)
    opened = _days_after(random, orders["ordered_at"][about], 10)  # type: ignore[arg-type]
    resolved = opened + (random.gamma(1.2, 60, len(about)) * 3600).astype(
        np.int64
    ) * np.timedelta64(1_000_000, "us")
    never = (random.random(len(about)) < 0.06) | (resolved >= END)
    severity = random.choice(np.array([0, 1, 2], np.int8), len(about), p=[0.7, 0.2, 0.1])
    seen = opened < END
    return pa.table(
        {
            "customer_id": orders["customer_id"][about][seen],
            "opened_at": opened[seen],
            "resolved_at": pa.array(resolved[seen], mask=never[seen]),
            "severity": severity[seen],
        }
    ).sort_by("opened_at")


def _write(folder: Path, customers: int) -> None:
    random = np.random.default_rng(customers)
    orders = _orders(random, customers)
    (folder / "orders").mkdir(parents=True)
    months = np.arange(START, END, dtype="datetime64[M]")
    edges = np.searchsorted(orders["ordered_at"], [*months.astype("datetime64[us]"), END])
    for month, begin, end in zip(months, edges, edges[1:], strict=False):
        table = pa.table({name: column[begin:end] for name, column in orders.items()})
        pq.write_table(
            table,
            folder / "orders" / f"{month}.parquet",
            compression="zstd",
            row_group_size=250_000,
        )
    pq.write_table(_returns(random, orders), folder / "returns.parquet", compression="zstd")
    pq.write_table(_complaints(random, orders), folder / "complaints.parquet", compression="zstd")


def shop(cache: Path, customers: int) -> Path:
    """Return the folder with orders/, returns.parquet and complaints.parquet of so many customers.

    Writes it if it does not exist.
    """
    folder = cache / f"customers-{customers}"
    if not folder.exists():
        unfinished = cache / f"unfinished-{customers}"
        shutil.rmtree(unfinished, ignore_errors=True)
        _write(unfinished, customers)
        unfinished.rename(folder)
    return folder


def lines_of(folder: Path) -> int:
    """Return the number of order lines."""
    return sum(pq.read_metadata(path).num_rows for path in (folder / "orders").glob("*.parquet"))
