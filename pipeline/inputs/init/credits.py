"""What came back: lines below zero, statuses that say so, and amounts that were refunded."""

from pipeline.inputs.database import fetch_all, literal
from pipeline.inputs.init.columns import Column
from pipeline.inputs.init.draft import ORIGIN, Draft, Field, view
from pipeline.inputs.init.roles import CONCEPTS, WORDS, words_of

VOID = frozenset(WORDS["void"].replace("timed-out", "timed out").split())
PARTLY = frozenset(WORDS["partly"].split())
SERVICES = frozenset(WORDS["services"].split())
REDUCTIONS = frozenset(WORDS["reductions"].split())
LATER = """The file has no day of it: 30 days after the order nearly all returns are known, so no
snapshot sees one before it happened."""


def services(draft: Draft, source: str, names: list[str]) -> tuple[list[str], list[str]]:
    """Return the codes that name no product, and those of them that take something off.

    Such a code is written unlike nearly all others, and its description says what it is.
    """
    if "label" not in names or "sku" not in names:
        return [], []
    shape = "regexp_replace(regexp_replace(sku, '[0-9]+', '0', 'g'), '[A-Za-z]+', 'A', 'g')"
    usual = f"""select {shape} as shape from {source} where sku is not null group by 1
        having count(*) > 0.01 * (select count(*) from {source})"""
    sql = f"""select sku, list(distinct label) from {source} where sku is not null
        and {shape} not in ({usual}) and label is not null group by 1 order by 1"""
    codes, reductions = [], []
    for sku, labels in fetch_all(draft.db, sql):
        words = {word for label in labels for word in words_of(label)}
        if words & (SERVICES | REDUCTIONS):
            codes.append(sku)
        if words & REDUCTIONS:
            reductions.append(sku)
    if codes:
        draft.remarks.append(f"no products: {', '.join(codes)}")
    return codes, reductions


def sku_sql(codes: list[str]) -> str:
    """SQL for the product, null for codes that name none."""
    return f"if(sku in ({', '.join(map(literal, codes))}), null, sku)" if codes else "sku"


def credit_sql(draft: Draft, source: str, negative: dict[str, int]) -> str:
    """SQL that is true of a line that came back, empty where there is none."""
    if negative.get("quantity"):
        return "quantity < 0"
    whole = f"""select count(*) from (select order_id from {source} group by 1
        having sum(net_amount) < 0)"""
    if negative.get("net_amount") and draft.count(whole):
        draft.remarks.append("orders whose sum is below zero are returns")
        return "sum(net_amount) over (partition by order_id) < 0"
    return ""


def draft_credits(
    draft: Draft, source: str, names: list[str], credit: str, odd: tuple[list[str], list[str]]
) -> None:
    """Add the view `returns`: the lines below zero, counted above zero; `odd`: see services.

    It is `credits` where a table lists returns as well.
    """
    codes, reductions = odd
    draft.remarks.append(f"returns: lines where {credit}")
    fields: list[Field] = [("return_id", "order_id"), ("customer_id", "customer_id")]
    if "sku" in names:
        fields.append(("sku", sku_sql(codes)))
    fields.append(("quantity", "-quantity" if "quantity" in names else "1"))
    # some write the amount of a negative quantity below zero, some above
    amount = "abs(net_amount)" if credit.startswith("quantity") else "-net_amount"
    fields.append(("net_amount", amount if "net_amount" in names else "-quantity"))
    fields.append(("returned_at", "ordered_at"))
    listed = ", ".join(map(literal, reductions))
    where = f"{credit} and (sku is null or sku not in ({listed}))" if reductions else credit
    comment = "A line below zero is what came back, counted above zero. It names no order."
    name = "credits" if draft.lists_returns else "returns"
    draft.add(view(name, [*fields, *ORIGIN], source, comment, where))


def statuses(draft: Draft, source: str, names: list[str]) -> tuple[list[str], list[str]]:
    """Return the statuses of orders that were cancelled, and of orders that came back whole.

    A return that was cancelled or refunded in part says neither. One whose orders all have a reason
    of cancellation was never received.
    """
    void: list[str] = []
    returned: list[str] = []
    if "status" not in names:
        return void, returned
    reason = "nullif(cancelled_because, '')" if "cancelled_because" in names else "null"
    sql = f"""select status, count({reason}) = count(*) from {source} where status is not null
        group by 1 order by 1"""
    for status, is_cancelled in fetch_all(draft.db, sql):
        words = set(words_of(str(status)))
        if any("return" in CONCEPTS.get(word, ()) for word in words):
            if not words & (VOID | PARTLY):
                (void if is_cancelled else returned).append(str(status))
        elif words & VOID:
            void.append(str(status))
    return void, returned


def draft_refunds(draft: Draft, roles: dict[str, Column], names: list[str], where: str) -> None:
    """Add the view `returns`: of `order_lines`, those with a refund, or where a status says so."""
    later = "ordered_at"
    time = roles["ordered_at"].time
    if time and not time.formats:
        zone = " with time zone" if time.is_zoned else ""
        later = f"try_cast(ordered_at as timestamp{zone})"
    has_day = "returned_at" in names
    amount = "net_amount" if "net_amount" in names else "quantity" if "quantity" in names else "1"
    if "refunded" in names:
        _draft_refunded(draft, amount, "returned_at" if has_day else f"{later} + interval 30 day")
        return
    fields: list[Field] = [
        ("return_id", "'R' || order_id"),
        *[(name, name) for name in ("customer_id", "order_id", "sku") if name in names],
        ("quantity", "quantity" if "quantity" in names else "1"),
        ("net_amount", amount),
        ("returned_at", "returned_at" if has_day else f"{later} + interval 30 day"),
    ]
    comment = "" if has_day else LATER
    draft.add(view("returns", [*fields, *ORIGIN], "order_lines", comment, where))


def _draft_refunded(draft: Draft, amount: str, when: str) -> None:
    """Add the view `returns`: one row per order with a refund, at most what was paid for goods."""
    paid = f"sum(try_cast({amount} as decimal(18, 4)))"
    once = "count(distinct nullif(refunded, 0)) = 1"  # on the first line, or repeated on each
    refund = f"if({once}, max(abs(refunded)), sum(abs(refunded)))"
    fields: list[Field] = [
        ("return_id", "'R' || order_id"),
        ("customer_id", "any_value(customer_id)"),
        ("order_id", "order_id"),
        ("quantity", "1"),
        ("net_amount", f"least({refund}, {paid})"),
        ("returned_at", f"min({when})"),
        ("source_file", "any_value(source_file)"),
        ("source_line", "min(source_line)"),
    ]
    source = "order_lines\ngroup by order_id\nhaving max(abs(refunded)) > 0"
    comment = "A refund may include postage: at most the goods came back."
    comment += f"\n{LATER}" if "interval" in when else ""
    draft.add(view("returns", fields, source, comment))


def add_unlisted_credits(draft: Draft) -> None:
    """Add the view `returns`: those listed, and the lines below zero that the list lacks."""
    both = [{row[0] for row in fetch_all(draft.db, f"describe {n}")} for n in ("listed", "credits")]
    sku = ", sku" if all("sku" in names for names in both) else ""
    amount = "abs(try_cast(net_amount as decimal(18, 4)))"
    key = f"customer_id::varchar, {amount}{sku.replace('sku', 'sku::varchar')}"
    draft.add(f"""-- What is listed, and each line below zero that the list lacks.
create view returns as
from listed
union all by name
select c.* exclude (nth)
from (select *, row_number() over (partition by {key} order by returned_at) as nth from credits) c
left join (select {key}, count(*) as times from listed group by all) l(who, paid{sku}, times)
    on who = customer_id::varchar and paid = {amount}{" and l.sku = c.sku::varchar" if sku else ""}
where nth > coalesce(times, 0);
""")
