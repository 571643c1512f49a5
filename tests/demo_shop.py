"""The simulated shop under other parameters, for queries in SQL."""

from collections.abc import Callable
from typing import Any

import duckdb
from frozen import params

from pipeline.stages.simulate import simulate

PARAMS = params().simulate
NEXT = "lead(ordered_at) over (partition by customer_id order by ordered_at)"

RunQuery = Callable[[str], list[tuple[Any, ...]]]


def simulated_shop(**changes: Any) -> RunQuery:
    """Simulate with some parameters changed; return a function that runs a query.

    The tables have their own names; the ground truth is true_customer and true_order.
    """
    connection = duckdb.connect()
    made = simulate(PARAMS.model_copy(update=changes))
    for prefix, files in (("", made["shops"]), ("true_", made["truth"])):
        for name, table in files:
            connection.register(prefix + name.removesuffix(".parquet"), table)

    def run(query: str) -> list[tuple[Any, ...]]:
        return connection.execute(query).fetchall()

    return run
