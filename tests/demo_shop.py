"""The demo shop under other parameters, to be asked in SQL."""

from collections.abc import Callable
from typing import Any

import duckdb
from frozen import params

from pipeline.stages.simulate import simulate

PARAMS = params().simulate
NEXT = "lead(ordered_at) over (partition by customer_id order by ordered_at)"

World = Callable[[str], list[tuple[Any, ...]]]


def world(**changes: Any) -> World:
    """Simulate with some parameters changed.

    The tables can then be asked in SQL, the truth as true_customer and true_order.
    """
    connection = duckdb.connect()
    made = simulate(PARAMS.model_copy(update=changes))
    for prefix, files in (("", made["shops"]), ("true_", made["truth"])):
        for name, table in files:
            connection.register(prefix + name.removesuffix(".parquet"), table)

    def ask(query: str) -> list[tuple[Any, ...]]:
        return connection.execute(query).fetchall()

    return ask
