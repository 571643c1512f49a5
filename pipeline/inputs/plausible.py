"""What no shop has: orders far from all others, a customer who is nobody, totals on every line.

Whole columns and the shape of the orders are judged, each rule by one aggregate over the staged
orders. The limits are ingest.plausible; what exceeds one stops the run, or goes to quarantine.
"""

import datetime as dt
from collections import Counter
from collections.abc import Sequence

from pipeline.inputs.buyers import total_buyers
from pipeline.inputs.checks import NOTES, PLAUSIBLE
from pipeline.inputs.database import Db, fetch_all, fetch_value, literal
from pipeline.inputs.origins import raw_column
from pipeline.inputs.refusals import refusal
from pipeline.runtime.progress import warn
from pipeline.runtime.sections import WEEKDAYS, Ingest, Plausible

Counts = list[tuple[dt.date, int]]  # orders by day, sorted
BITS = {note.code: 1 << position for position, note in enumerate(NOTES)}
SAMPLE = 100_000  # lines: enough to know how the orders of a shop are written
AROUND = 30  # days on either side of a gap that say how many orders are usual
EXPECTED = 20  # with so many orders to be expected, none at all is no chance
ENOUGH = 20  # customers: with fewer, one may have a large share
PLACE = "min_by(source_file || ':' || source_line, (source_file, source_line))"
# an id in the form that ids alike share
ALIKE = (
    """regexp_replace(lower(regexp_replace(customer_id::varchar, '\\s', '', 'g')), '[.]0$', '')"""
)
ZEROS = f"coalesce(nullif(ltrim({ALIKE}, '0'), ''), '0')"


def judge_orders(db: Db, params: Ingest, closed: Sequence[str]) -> None:
    """Quarantine the orders that no shop has; raise InputError where all of them look wrong."""
    limits = params.plausible
    if not fetch_all(db, "from accepted_orders limit 1"):
        return
    _judge_columns(db, params)
    _judge_totals(db, limits)
    _judge_repeated(db, limits)
    _judge_days(db, params, closed)


def note_counts(db: Db, table: str) -> Counter[str]:
    """Return how many accepted rows of a table have each note, by its code."""
    counts: Counter[str] = Counter()
    sql = f"select notes, count(*) from accepted_{table} where notes > 0 group by 1"
    for bits, count in fetch_all(db, sql):
        counts.update({n.code: count for at, n in enumerate(NOTES) if bits >> at & 1})
    return counts


def _quarantine(db: Db, code: str, **names: object) -> None:
    rule = PLAUSIBLE[code]
    db.execute(f"""update staged_orders as t set fate = '{code} {rule.column}'
        where t.fate is null and ({rule.breaks.format(**names)})""")


def _first_order(db: Db, condition: str) -> str | None:
    """Return the place of the first accepted line that meets a condition, if any does.

    It takes as long as all other figures together, so it is computed for a refusal alone.
    """
    place: str | None = fetch_value(db, f"select {PLACE} from accepted_orders where {condition}")
    return place


def _judge_columns(db: Db, params: Ingest) -> None:
    """Refuse amounts whose point groups thousands, and dates written as instants."""
    lines = fetch_value(db, "select count(*) from accepted_orders")
    counts = note_counts(db, "orders")
    grouped = counts["thousands_point"]
    if grouped >= 2 and not counts["decimals"] and params.plausible.thousands:
        raw = raw_column(db, "orders", "net_amount")
        where = _first_order(db, f"notes & {BITS['thousands_point']} <> 0")
        raise refusal("E_THOUSANDS", f"{where} {raw}", count=grouped, raw=raw)
    days = counts["midnight_utc"]
    if lines >= 2 and days + counts["midnight_utc_text"] == lines:
        raw = raw_column(db, "orders", "ordered_at")
        if when := _first_order(db, "ordered_at <> date_trunc('day', ordered_at)"):
            sql = f"timezone('UTC', {raw})::date" if days else f"left({raw}, 10)"
            zone = params.timezone
            raise refusal("E_TIME_DATES", f"{when} {raw}", count=lines, zone=zone, sql=sql)
    none = counts["no_price"]
    if none > params.plausible.no_price * lines:
        warn(
            f"orders: {none} of {lines} lines at no price are no purchase; what a voucher paid "
            "is part of the amount: deliver amounts before vouchers"
        )


def judge_customers(db: Db, limits: Plausible) -> None:
    """Quarantine ids that stand for nobody; refuse ids that are alike."""
    if not fetch_all(db, "from accepted_orders limit 1"):
        return
    total_buyers(db)
    words = ", ".join(literal(word.lower()) for word in limits.nobody) or "null"
    usual, total, count, most = fetch_all(
        db,
        """select quantile_cont(lines, 0.95), sum(lines), count(*),
            if(count(*) filter (lines = top) = 1, max(top), null)
        from (select lines, max(lines) over () as top from buyers)""",
    )[0]
    least = max(limits.customer_share * total, limits.customer_times * usual)
    large = f"(lines > {least} and {count} >= {ENOUGH})"
    marks = ", ".join(literal(word) for word in limits.nobody_if_first) or "null"
    first = f"(customer_id::varchar in ({marks}) and lines = {most or 'null'})"
    suspects = f"""select customer_id, {large} as is_large from buyers
        where lines >= 2 and (lower(customer_id::varchar) in ({words}) or {first} or {large})"""
    # a person may be called None; nobody has several orders
    db.execute(f"""create or replace temp table nobody as
        select customer_id from accepted_orders join ({suspects}) using (customer_id)
        group by all having is_large or count(distinct order_id) > 1""")
    if fetch_value(db, "select count(*) from nobody"):
        _quarantine(db, "E_NOBODY")
    if not fetch_all(db, "from buyers where typeof(customer_id) = 'VARCHAR' limit 1"):
        return  # numbers have no zeros in front
    alike = f"select {ZEROS} as form, list(customer_id) as ids from buyers group by 1"
    ids = f"select unnest(ids) as id, form from ({alike}) where len(ids) > 1"
    alike_count = fetch_value(db, f"select count(*) from ({ids})")
    if alike_count > limits.ids_alike * count:
        first, second = fetch_all(
            db,
            f"""with alike as ({ids}), placed as (
                    select form, id, {PLACE} as place, min((source_file, source_line)) as spot
                    from accepted_orders join alike on customer_id = id group by all)
                select min_by(place, spot), max_by(place, spot) from placed group by form
                order by min(spot) limit 1""",
        )[0]
        raw = raw_column(db, "orders", "customer_id")
        limit = limits.ids_alike
        details = {"count": alike_count, "second": second, "limit": limit, "raw": raw}
        raise refusal("E_IDS_ALIKE", f"{first} {raw}", **details)


def _judge_totals(db: Db, limits: Plausible) -> None:
    """Refuse order totals that every line of the order repeats; a sample of orders shows it."""
    parts = 1 + fetch_value(db, "select count(*) from accepted_orders") // SAMPLE
    sample = f"net_amount > 0 and hash(order_id) % {parts} = 0"
    orders = f"""select order_id, min(net_amount) as amount,
            min(net_amount) = max(net_amount) as one
        from accepted_orders where {sample} group by order_id having count(*) > 1"""
    several, repeated, amounts = fetch_all(
        db,
        f"""select count(*), count(*) filter (one), count(distinct amount) filter (one)
        from ({orders})""",
    )[0]
    # a shop of one price has few amounts
    if several >= 3 and repeated > limits.repeated_totals * several and amounts > repeated / 2:
        raw = raw_column(db, "orders", "net_amount")
        place = _first_order(
            db, f"{sample} and order_id in (select order_id from ({orders}) where one)"
        )
        raise refusal("E_TOTAL_REPEATED", f"{place} {raw}", share=repeated / several)


def _judge_repeated(db: Db, limits: Plausible) -> None:
    """Refuse many lines that repeat one of their own order next to it: a till writes pieces so.

    A file that has whole orders twice repeats its lines elsewhere.
    """
    if not fetch_all(db, "from duckdb_tables() where table_name = 'suspects_orders'"):
        return
    lines = fetch_value(db, "select count(*) from staged_orders")
    suspects = """select o.fate, o.order_id, o.source_file, o.source_line, h, raw
        from staged_orders o join suspects_orders on o.rowid = line where not has_key"""
    repeated, place = fetch_all(
        db,
        f"""select count(*), {PLACE} from (
            from ({suspects})
            qualify source_line - lag(source_line) over (
                    partition by h, raw, source_file order by source_line)
                <= count(*) over (partition by order_id, source_file))
        where fate = 'exact_duplicate'""",
    )[0]
    if repeated > max(1, limits.repeated_lines * lines):
        raw = raw_column(db, "orders", "order_id")
        details = {"count": repeated, "total": lines, "limit": limits.repeated_lines, "raw": raw}
        raise refusal("E_LINES_REPEATED", f"{place} {raw}", **details)


def _judge_days(db: Db, params: Ingest, closed: Sequence[str]) -> None:
    """Quarantine orders far from all others; refuse a hole in the days with orders."""
    limits = params.plausible
    end = params.data_end or "9999-12-31"
    by_day = f"""select ordered_at::date as day, count(*) from accepted_orders
        where ordered_at < timestamp '{end}' group by 1 order by 1"""
    days: Counts = [(day, count) for day, count in fetch_all(db, by_day) if day]
    kept = without_lone_days(days, limits, keep_end=params.data_end is not None)
    if not kept:  # all lie behind ingest.data_end
        return
    if len(kept) < len(days):
        _quarantine(
            db,
            "E_LONE_TIME",
            first=kept[0][0],
            last=kept[-1][0] if params.data_end is None else end,
        )
    gap = widest_gap(kept, closed)
    if gap and gap[0] > limits.empty_days:
        length, first, last, expected = gap
        place = _first_order(db, f"ordered_at::date = date '{last}'")
        raw = raw_column(db, "orders", "ordered_at")
        details = {"days": length, "first": first, "last": last, "expected": round(expected)}
        raise refusal("E_NO_ORDER_DAYS", f"{place} {raw}", **details)
    for name in never_open(kept, closed):
        warn(f"orders: none on any {name}: list it under closed, unless it is by chance")


def without_lone_days(days: Counts, limits: Plausible, keep_end: bool = False) -> Counts:
    """Return the days without the first and last ones whose few orders stand far from all others.

    Far: over the days they stretch, less than a share of the orders was made that as many days
    next to them let expect. A shop grows slowly at first, so only a gap sets its first days apart.
    """
    kept = list(days)
    total = sum(count for _, count in days)
    for end in (0, -1):
        while not (end == -1 and keep_end):
            lone = _lone(kept[::-1] if end == -1 else kept, limits, total)
            if not lone:
                break
            kept = kept[:-lone] if end == -1 else kept[lone:]
    return kept


def _lone(days: Counts, limits: Plausible, total: int) -> int:
    """Return how many of the days at the beginning stand alone; the days may be in reverse."""
    count, reverse = 0, len(days) > 1 and days[0][0] > days[1][0]
    for position in range(1, len(days) - 2):
        count += days[position - 1][1]
        if count > max(1, limits.lone_share * total):
            return 0
        stretch = abs((days[position][0] - days[0][0]).days)
        # a history shorter than the stretch shows its rate in its own days
        span = abs((days[-1][0] - days[position][0]).days) + 1
        per_day = _rate_after(days[position:], max(min(stretch, span), limits.lone_days))
        alone = abs((days[position][0] - days[position - 1][0]).days)
        if (
            stretch if reverse else alone
        ) >= limits.lone_days and count < limits.lone_rate * per_day * stretch:
            return position
    return 0


def _rate_after(days: Counts, length: int) -> float:
    """Return the orders a day in so many days from the first on: a shop may begin slowly."""
    counts = [count for day, count in days if abs((day - days[0][0]).days) < length]
    return sum(counts) / length


def widest_gap(days: Counts, closed: Sequence[str]) -> tuple[int, dt.date, dt.date, float] | None:
    """Return the widest gap: open days without an order, the days around it, orders expected."""
    if len(days) < 3:
        return None
    gaps = []
    for place, ((before, _), (after, _)) in enumerate(zip(days, days[1:], strict=False), 1):
        between = (before + dt.timedelta(days=n) for n in range(1, (after - before).days))
        length = sum(not is_closed(day, closed) for day in between)
        if length:  # the quieter side counts: a shop may begin and end slowly
            beside = (days[:place][::-1], days[place:])
            per_day = min(_rate_after(side, max(length, AROUND)) for side in beside)
            gaps.append((length, before, after, per_day * length))
    if not gaps:
        return None
    widest = max(gaps)
    return widest if widest[3] >= EXPECTED else None


def is_closed(day: dt.date, closed: Sequence[str]) -> bool:
    """Whether the shop is closed on a day, by its weekday or its date."""
    return WEEKDAYS[day.weekday()] in closed or day.isoformat() in closed


def never_open(days: Counts, closed: Sequence[str]) -> list[str]:
    """Return the weekdays without any order, where many were to be expected."""
    total = sum(count for _, count in days)
    seen = {WEEKDAYS[day.weekday()] for day, _ in days}
    return [name for name in WEEKDAYS if name not in (*seen, *closed) and total > 7 * EXPECTED]
