"""What a shop groups its customers by (region, brand, store): proposed by names and by values.

A column is a segment if customers keep their value: compared with the most frequent value of all
orders, a customer's own most frequent one leaves at most a tenth of the errors (Goodman and
Kruskal's lambda, 1954). So a product's brand is none, and the country of a shop at home is one.
"""

import re
from typing import NamedTuple

from pipeline.inputs.contract import PROTECTED, TABLES
from pipeline.inputs.database import fetch_all
from pipeline.inputs.init.columns import Column
from pipeline.inputs.init.draft import Draft, Field, customer_sql, time_sql, view
from pipeline.inputs.init.questions import Answers, confirm_segments
from pipeline.inputs.init.roles import CONCEPTS, FILLER, OF_PRODUCT, WORDS, words_of
from pipeline.inputs.init.tables import Kind, RawTable
from pipeline.runtime.errors import ConfigError

MOST = TABLES["segments"].own_columns
VALUES = 100  # a shop with more stores than that has few customers in each
CUSTOMERS = 10  # of a value: with fewer, evaluate shows no figures of it
SECOND = 20  # customers with two orders: with fewer, a value is kept by chance
ERRORS = 0.1
NAMES = frozenset(WORDS["segments"]["names"].split())
OF_CUSTOMERS = frozenset(WORDS["segments"]["of_customers"].split())
BESIDE = frozenset(WORDS["segments"]["beside"].split()) | FILLER
NEVER = PROTECTED | frozenset(WORDS["segments"]["never"].split())
SAID = ("customer", "id", "name", "delivered", "shipping")  # beside what says it is a group
COMPOUND = 5  # letters: shorter words end others by chance


class _Source(NamedTuple):
    """The table that segments come from, and the roles of its columns."""

    table: RawTable
    roles: dict[str, Column]
    is_customers: bool


def is_named(name: str) -> bool:
    """Whether a column's name says that it groups customers."""
    words = words_of(name)
    if _is_never(words):
        return False
    beside = {word for word in words if word in BESIDE or _means(word, *SAID)}
    if any(_ends(word, NAMES) for word in words):
        return all(word in beside or _ends(word, NAMES) for word in words)
    # a group, a class or a type may be of anything: it has to be the customers'
    groups = {word: word[: -len(k)] for word in words for k in OF_CUSTOMERS if word.endswith(k)}
    is_theirs = any(_means(word, "customer") for word in (*words, *groups.values()))
    return is_theirs and bool(groups) and {*words} <= {*beside, *groups}


def _means(word: str, *concepts: str) -> bool:
    return bool(CONCEPTS.get(word, set()) & {*concepts})


def _ends(word: str, known: frozenset[str]) -> bool:
    """Whether a word is known, or a compound that ends in one, as vertriebsregion."""
    return word in known or any(len(k) >= COMPOUND and word.endswith(k) for k in known)


def _is_never(words: list[str]) -> bool:
    return "_".join(words) in NEVER or any(_ends(word, NEVER) for word in words)


def draft_segments(
    draft: Draft, tables: list[RawTable], kinds: dict[str, Kind], orders: RawTable, answers: Answers
) -> None:
    """Add the view `segments` from the table with the most of them, the customers' own first.

    Without an answer only columns that names and values agree on are taken.
    """
    if answers.segments == ():
        return
    if personal := [name for name in answers.segments or () if _is_never(words_of(name))]:
        fix = "leave it out; `corekeep audit` compares such groups"
        raise ConfigError("E_INIT", "--segments", f"{personal[0]} is about a person", fix)
    own = [table for table in tables if kinds[table.name] == "customers"]
    sources = [
        _Source(table, table.roles(kinds[table.name], answers.columns), table is not orders)
        for table in (*own, orders)
    ]
    sources = [source for source in sources if _names_customers(draft, source)]
    if answers.segments is not None:
        chosen = [(source, _given(source, answers.segments)) for source in sources]
    else:
        chosen = [(source, _proposed(draft, source)) for source in sources]
    source, columns = max(
        chosen,
        key=lambda entry: (sum(is_named(c.name) for c in entry[1]), len(entry[1])),
        default=(None, []),
    )
    if answers.segments and (source is None or len(columns) < len(answers.segments)):
        missing = [n for n in answers.segments if n not in {c.name for c in columns}]
        rule = f"no table of customers or orders has {' and '.join(missing)} beside the others"
        raise ConfigError("E_INIT", "--segments", rule, "name columns of one table")
    if answers.segments is None:
        named = [column for column in columns if is_named(column.name)]
        others = [column for column in columns if column not in named]
        columns = [*named, *confirm_segments(answers, others)][:MOST]
    if source is None or not columns:
        return
    names = ", ".join(column.name for column in columns)
    draft.remarks.append(f"segments: {names} (for filters and figures; --segments '' for none)")
    _add(draft, source, columns)


def _names_customers(draft: Draft, source: _Source) -> bool:
    """Whether a table names half of the customers as the orders do, and which row is newer."""
    needed = {"customer"} if source.is_customers else {"customer", "ordered_at"}
    if not source.roles.keys() >= needed:
        return False
    own = f"select ({customer_sql(source.roles['customer'])})::varchar from {source.table.sql}"
    known, same = fetch_all(
        draft.db,
        f"""select count(distinct id), count(distinct id) filter (id in ({own}))
        from (select customer_id::varchar as id from orders)""",
    )[0]
    return bool(known and same >= known / 2)


def _given(source: _Source, names: tuple[str, ...]) -> list[Column]:
    wanted = {name.lower() for name in names}
    return [column for column in source.table.columns if column.name.lower() in wanted]


def _proposed(draft: Draft, source: _Source) -> list[Column]:
    """Return the columns whose values group customers, and whose names do not say otherwise."""
    taken = {
        c.name for role, c in source.roles.items() if role not in OF_PRODUCT or not is_named(c.name)
    }
    names: set[str] = set()
    columns = []
    for column in source.table.columns:
        name = _own_name(column)
        if column.name in taken or name in names or not re.fullmatch("[a-z][a-z0-9_]*", name):
            continue
        if _may_be(column) and _keeps(draft, source, column):
            names.add(name)
            columns.append(column)
    return columns


def _own_name(column: Column) -> str:
    return "_".join(words_of(column.name))


def _may_be(column: Column) -> bool:
    """Whether a column has few values, of words where its name says nothing."""
    if _is_never(words_of(column.name)) or not 2 <= column.distinct <= VALUES:
        return False
    is_text = column.time is None and column.number is None and not column.is_clock
    return column.share >= 0.5 and (is_text or is_named(column.name))


def _keeps(draft: Draft, source: _Source, column: Column) -> bool:
    """Whether two values have enough customers, and customers keep theirs."""
    customer, value = customer_sql(source.roles["customer"]), column.sql
    visit = "0" if source.is_customers else source.roles["ordered_at"].sql
    visits = f"""select distinct {customer} as customer, {visit} as visit, {value} as value
        from {source.table.sql} where {value} is not null and {customer} is not null"""
    counted = f"""with visits as ({visits}),
        own as (select customer, value, count(*) as n from visits group by all)"""
    large = draft.count(f"""{counted} select count(*) from (
        select value from own group by 1 having count(*) >= {CUSTOMERS})""")
    if large < 2 or source.is_customers:
        return large >= 2
    several, all_visits, top, kept = fetch_all(
        draft.db,
        f"""{counted}, again as (
                from own qualify sum(n) over (partition by customer) > 1)
            select count(distinct customer), sum(n),
                (select max(n) from (select sum(n) as n from again group by value)),
                (select sum(n) from (select max(n) as n from again group by customer))
            from again""",
    )[0]
    return bool(several >= SECOND and all_visits - kept <= ERRORS * (all_visits - top))


def _add(draft: Draft, source: _Source, columns: list[Column]) -> None:
    """Add the view; of several values of a customer the newest counts."""
    customer = customer_sql(source.roles["customer"])
    place = "source_file, source_line"
    newest = f"({place})"
    if not source.is_customers:
        newest = f"({time_sql(source.roles['ordered_at'])}, {place})"
    fields: list[Field] = [("customer_id", customer)]
    for column in columns:
        kept = column.sql if source.is_customers else f"arg_max({column.sql}, {newest})"
        fields.append((_own_name(column), kept))
    comment = (
        "Groups of customers, for filters and figures, never for features. Any may be left out."
    )
    if source.is_customers:
        origin: list[Field] = [("source_file", "source_file"), ("source_line", "source_line")]
        draft.add(view("segments", [*fields, *origin], source.table.sql, comment))
        return
    rows = f"{source.table.sql}\nwhere {customer} is not null\ngroup by {customer}"
    draft.add(view("segments", fields, rows, f"{comment}\nThe newest value counts."))
