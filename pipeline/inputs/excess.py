"""Returns above what was bought: more pieces or money than the order they name has.

Returns are taken in the order of their time. One that does not fit takes nothing from those after
it, so a typing error costs no other return its place. A return that names no order may be of goods
from before the data begins. So such returns are counted, and refused only where they are many.
"""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipeline.inputs.buyers import total_buyers
from pipeline.inputs.checks import PLAUSIBLE
from pipeline.inputs.database import Db, fetch_all, fetch_value
from pipeline.inputs.origins import raw_column
from pipeline.inputs.plausible import PLACE
from pipeline.inputs.refusals import refusal
from pipeline.inputs.staging import Types
from pipeline.runtime.sections import Plausible

Keys = tuple[Any, ...]
ROUNDING = 0.000001  # of sums of quantities


@dataclass(frozen=True)
class Allowance:
    """What may come back: so many `times` the total of a column that was bought under some keys."""

    code: str
    column: str
    times: float
    keys: tuple[str, ...]

    @property
    def known(self) -> str:
        """SQL for the returns that it concerns."""
        named = [f"{key} is not null" for key in self.keys]
        return " and ".join(named if "order_id" in self.keys else ["order_id is null", *named])

    def exceeded(self, db: Db) -> dict[Keys, float]:
        """Return how much may come back, by the keys of which more comes back.

        Without an order, what was never bought may not come back at all.
        """
        key, join = ", ".join(self.keys), "" if "order_id" in self.keys else "left"
        bought = f"""select {key}, sum({self.column}) as bought from accepted_orders
            semi join accepted_returns using ({key}) group by all"""
        if self.keys == ("customer_id",):
            bought = "select customer_id, pieces as bought from buyers"
        allowed = f"{self.times} * coalesce(bought, 0) + {ROUNDING}"
        rows = fetch_all(
            db,
            f"""select {key}, {allowed} from (
                select {key}, sum({self.column}) as back
                from accepted_returns where {self.known} group by all)
            {join} join ({bought}) using ({key}) where back > {allowed}""",
        )
        return {tuple(keys): float(most) for *keys, most in rows}


def judge_returns(db: Db, delivered: dict[str, Types], limits: Plausible) -> None:
    """Quarantine returns above what their order has; count those above what was ever bought.

    Creates `above_bought`, the lines of the latter. Raises InputError where they are too many.
    """
    measured = {"quantity", "net_amount"} & delivered["orders"].keys()
    product = ("sku",) if "sku" in delivered["orders"].keys() & delivered["returns"].keys() else ()
    own = Allowance("", "quantity", 1.0, ("customer_id", *product))
    total_buyers(db)
    if "order_id" in delivered["returns"]:
        of_order = [
            Allowance(code, column, times, keys)
            for code, column, times in (
                ("E_RETURN_QUANTITY", "quantity", 1.0),
                ("E_RETURN_AMOUNT", "net_amount", limits.refund_times),
            )
            for keys in dict.fromkeys([("order_id", *product), ("order_id",)])
            if column in measured
        ]
        _register_above(db, of_order)
        for code in dict.fromkeys(allowance.code for allowance in of_order):
            rule = PLAUSIBLE[code]
            above = f"select line from above where code = '{code}'"
            db.execute(f"""update staged_returns t set fate = '{code} {rule.column}'
                where {rule.breaks.format(above=above)}""")
    _register_above(db, [own] if "quantity" in measured else [])
    db.execute("create or replace temp table above_bought as select line from above")
    total = fetch_value(db, f"select count(*) from accepted_returns where {own.known}")
    sql = f"""select count(*), {PLACE} from staged_returns
        where rowid in (from above_bought)"""
    count, place = fetch_all(db, sql)[0]
    if count > limits.unbought * total:
        raw = raw_column(db, "returns", "quantity")
        details = {"share": count / total, "limit": limits.unbought}
        raise refusal("E_RETURNS_UNBOUGHT", f"{place} {raw}", **details)


def _register_above(db: Db, allowances: list[Allowance]) -> None:
    """Create the view `above`: the line of each return above an allowance, and the code of it."""
    left = {allowance: allowance.exceeded(db) for allowance in allowances}
    above: list[tuple[int, str]] = []
    for row in _in_time(db, left):
        own = [
            (allowance, keys)
            for allowance in allowances
            if (keys := tuple(row[key] for key in allowance.keys)) in left[allowance]
        ]
        broken = [a.code for a, keys in own if row[a.column] > left[a][keys]]
        if broken:
            above.append((row["line"], broken[0]))
            continue
        for allowance, keys in own:
            left[allowance][keys] -= row[allowance.column]
    schema = pa.schema([("line", pa.int64()), ("code", pa.string())])
    db.register("above", pa.table([[r[i] for r in above] for i in (0, 1)], schema=schema))


def _in_time(db: Db, left: dict[Allowance, dict[Keys, float]]) -> list[dict[str, Any]]:
    """Return the returns of orders, or customers, of which too much comes back."""
    names = {keys[0] for exceeded in left.values() for keys in exceeded}
    if not names:
        return []
    first = next(iter(left))
    db.register("exceeded", pa.table({first.keys[0]: pa.array(sorted(names))}))
    wanted = " or ".join(f"({allowance.known})" for allowance in left)
    rows = db.sql(f"""select rowid as line, customer_id, order_id, sku, quantity, net_amount
        from staged_returns where fate is null and ({wanted})
            and {first.keys[0]} in (from exceeded)
        order by returned_at, source_file, source_line""")
    return list(rows.to_arrow_table().to_pylist())
