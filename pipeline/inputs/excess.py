"""Returns above what was bought: more pieces or money than the order they name has.

A return that names no order may be of goods from before the data begins. So such returns are
counted, and refused only where they are many.
"""

from pipeline.inputs.checks import PLAUSIBLE
from pipeline.inputs.database import Db, fetch_all, fetch_value
from pipeline.inputs.origins import raw_column
from pipeline.inputs.plausible import PLACE
from pipeline.inputs.refusals import refusal
from pipeline.inputs.staging import Types
from pipeline.runtime.sections import Plausible

Keys = tuple[str, ...]


def judge_returns(db: Db, delivered: dict[str, Types], limits: Plausible) -> None:
    """Quarantine returns above what their order has; count those above what was ever bought.

    Creates `above_bought`, the lines of the latter. Raises InputError where they are too many.
    """
    measured = {"quantity", "net_amount"} & delivered["orders"].keys()
    by_product = "sku" in delivered["orders"].keys() & delivered["returns"].keys()
    keys: list[Keys] = [("order_id",), ("order_id", "sku")] if by_product else [("order_id",)]
    for code, times in (("E_RETURN_QUANTITY", 1.0), ("E_RETURN_AMOUNT", limits.refund_times)):
        rule = PLAUSIBLE[code]
        if rule.column in measured and "order_id" in delivered["returns"]:
            for key in keys:
                above = _above(key, rule.column, times)
                db.execute(f"""update staged_returns t set fate = '{code} {rule.column}'
                    where {rule.breaks.format(above=above)}""")
    own: Keys = ("customer_id", "sku") if by_product else ("customer_id",)
    unbought = _above(own, "quantity", 1.0, "left") if "quantity" in measured else "select null"
    db.execute(f"create or replace temp table above_bought as select * from ({unbought}) t(line)")
    total = fetch_value(db, f"select count(*) from accepted_returns where {_without_order(own)}")
    sql = f"""select count(*), {PLACE} from staged_returns
        where rowid in (from above_bought)"""
    count, place = fetch_all(db, sql)[0]
    if count > limits.unbought * total:
        raw = raw_column(db, "returns", "quantity")
        details = {"share": count / total, "limit": limits.unbought}
        raise refusal("E_RETURNS_UNBOUGHT", f"{place} {raw}", **details)


def _without_order(keys: Keys) -> str:
    return " and ".join(["order_id is null", *(f"{key} is not null" for key in keys)])


def _above(keys: Keys, column: str, times: float, join: str = "") -> str:
    """SQL for the rows of accepted returns whose running total exceeds what was bought.

    `keys`: what is bought and returned together. `join`: left, if what was never bought counts.
    """
    key = ", ".join(keys)
    known = " and ".join(f"{name} is not null" for name in keys)
    which = known if "order_id" in keys else _without_order(keys)
    return f"""select line from (
            select rowid as line, {key}, sum({column}) over (
                partition by {key} order by returned_at, source_file, source_line
                rows unbounded preceding) as returned
            from staged_returns where fate is null and {which})
        {join} join (
            select {key}, sum({column}) as bought from accepted_orders
            semi join accepted_returns using ({key}) group by all)
        using ({key}) where returned > {times} * coalesce(bought, 0) + 0.000001"""
