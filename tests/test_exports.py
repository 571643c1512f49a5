"""Habits of real exports: each gives the right value, or a refusal with place and remedy."""

import datetime as dt
import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from raw_shop import Ingested, csv, ingested

from pipeline.runtime.errors import Refused

HEAD = "customer,invoice,day,total"
DAYS = ("2024-01-05T10:00:00", "2024-02-06T11:00:00", "2024-03-07T12:00:00")
VIEW = """create view orders as select customer as customer_id, invoice as order_id,
    {time} as ordered_at, total as net_amount, source_file, source_line from raw.orders;"""


def three(times: tuple[str, ...] = DAYS, amounts: tuple[str, ...] = ("20.00",) * 3) -> str:
    """Three orders of two customers."""
    rows = (f"C{1 + i % 2},{i},{times[i]},{amounts[i]}" for i in range(3))
    return csv(*rows, head=HEAD)


def shop(folder: Path, files: dict[str, Any], time: str = "day", **settings: Any) -> Ingested:
    return ingested(folder, files, VIEW.format(time=time), **settings)


def refused(folder: Path, files: dict[str, Any], time: str = "day", **settings: Any) -> str:
    with pytest.raises(Refused) as error:
        shop(folder, files, time, **settings)
    return str(error.value)


def test_files_that_the_sql_does_not_name_are_not_judged(tmp_path: Path) -> None:
    files = {"orders.csv": three(), "._orders.csv": b"\0\5", "notes.csv": b"M\xfcller;x"}
    assert len(shop(tmp_path, files).rows("orders")) == 3


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("orders.json", "orders.json holds no table that can be read — export it as CSV"),
        ("sales.csv", "name one of: sales"),
    ],
)
def test_a_file_in_another_form_is_named(tmp_path: Path, file: str, words: str) -> None:
    message = refused(tmp_path, {file: three()})
    assert message.startswith("E_NO_FILE sources/literal.sql:2") and words in message


def test_a_column_name_with_a_line_break_is_read(tmp_path: Path) -> None:
    file = 'customer,"order\nid",day,total\nC1,O1,2024-01-05,20\n'
    sql = VIEW.format(time="day").replace("invoice", '"order\nid"')
    assert ingested(tmp_path, {"orders.csv": file}, sql).rows("orders")[0]["order_id"] == "O1"


def test_a_time_that_does_not_fit_its_format_is_named_with_its_place(tmp_path: Path) -> None:
    days = three(("01/05/2024", "02/06/2024", "14/13/2024"))
    message = refused(tmp_path, {"orders.csv": days}, "strptime(day, '%m/%d/%Y')")
    assert "E_SOURCE orders.csv:4 day" in message and "14/13/2024" not in message
    result = shop(tmp_path, {"orders.csv": days}, "try_strptime(day, '%m/%d/%Y')")
    assert result.quarantined("orders") == [("orders.csv", 4, "ordered_at", "E_NO_TIME")]


def test_a_line_that_is_too_long_to_be_read_is_named(tmp_path: Path) -> None:
    long = three(amounts=("1", "x" * (5 << 20), "3"))
    assert "E_LINE_LENGTH orders.csv:3" in refused(tmp_path, {"orders.csv": long})


def test_the_name_of_a_file_is_no_pattern(tmp_path: Path) -> None:
    files = {"orders[1].csv": three(), "orders1.csv": csv("C9,9,2024-01-05,1", head=HEAD)}
    sql = VIEW.format(time="day").replace("raw.orders", 'raw."orders[1]"')
    assert len(ingested(tmp_path, files, sql).rows("orders")) == 3


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("\nset threads = 1;", "leave out this statement: set"),
        ("\ncreate view other as select random() as x;", "other rows each time it is read: random"),
        ("\ninsert into orders values (1);", "leave out this statement: insert"),
    ],
)
def test_sql_that_does_more_than_create_views_is_refused_with_its_line(
    tmp_path: Path, sql: str, words: str
) -> None:
    with pytest.raises(Refused, match="E_SOURCE sources/literal.sql:3") as error:
        ingested(tmp_path, {"orders.csv": three()}, VIEW.format(time="day") + sql)
    assert words in str(error.value)


OFFSETS = ("Z", "z", "UTC", "GMT", "+00", "-0500", "+05:30")


def test_every_form_of_a_time_that_the_rules_allow_is_read(tmp_path: Path) -> None:
    clocks, between = ("10:00", "10:00:00", "10:00:00.5"), ("T", " ")
    days = dict.fromkeys(["", *OFFSETS, *(f" {offset}" for offset in OFFSETS)], 5)
    days |= {"+2300": 4, " -2300": 6}
    forms = {
        f"2024-01-05{one}{clock}{offset}": (dt.date(2024, 1, day) - dt.date(1970, 1, 1)).days
        for one, clock, (offset, day) in product(between, clocks, days.items())
    }
    rows = [f"C{i},{time},{time},20.00" for i, time in enumerate(forms)]
    result = shop(tmp_path, {"orders.csv": csv(*rows, head=HEAD)}, timezone="UTC")
    assert {row["order_id"]: row["day"] for row in result.rows("orders")} == forms


def test_a_line_below_zero_lowers_the_other_lines_of_its_order(tmp_path: Path) -> None:
    rows = ("C1,1,2024-01-05,30.00", "C1,1,2024-01-05,20.00", "C1,1,2024-01-05,-5.00")
    result = shop(tmp_path, {"orders.csv": csv(*rows, "C2,2,2024-02-06,30.00", head=HEAD)})
    amounts = {row["line_id"]: row["amount"] for row in result.rows("orders")[:3]}
    assert sorted(amounts.values()) == [0, 180_000, 270_000]
    assert result.rows("returns") == [] and result.codes("orders") == {}


def test_an_order_below_zero_is_a_return_that_belongs_elsewhere(tmp_path: Path) -> None:
    rows = ("C1,1,2024-01-05,5.00", "C1,1,2024-01-05,-5.00", "C2,2,2024-02-06,30.00")
    result = shop(tmp_path, {"orders.csv": csv(*rows, head=HEAD)})
    assert result.quarantined("orders") == [("orders.csv", 3, "net_amount", "E_NEGATIVE")]


def test_one_order_number_of_two_customers_is_quarantined_within_its_limit(tmp_path: Path) -> None:
    rows = ["C1,1,2024-01-05,20", "C2,2,2024-02-06,30", "C3,1,2024-03-07,25"]
    file = {"orders.csv": csv(*rows, head=HEAD)}
    result = shop(tmp_path, file)
    assert result.codes("orders") == {"E_ORDER_CUSTOMERS": 2}
    message = refused(tmp_path, file, quarantine_limit={"default": 0.001})
    assert "orders.csv:2 and orders.csv:4 invoice" in message and "2 of 3 rows" in message


FLAGS = [
    ("ja", "nein"),
    ("oui", "non"),
    ("s\u00ec", "no"),
    ("wahr", "falsch"),
    ("x", ""),
    ("1", "0"),
]


@pytest.mark.parametrize(("yes", "no"), [*FLAGS, ("TRUE", "FALSE"), ("Y", "N"), ("1.0", "0.0")])
def test_flags_are_read_in_any_common_language(tmp_path: Path, yes: str, no: str) -> None:
    people = csv(f"C1,2023-01-01,{yes}", f"C2,2023-01-01,{no}", head="id,since,optout")
    sql = VIEW.format(time="day") + (
        "create view customers as select id as customer_id, since as created_at, "
        "optout as do_not_contact from raw.people;"
    )
    result = ingested(tmp_path, {"orders.csv": three(), "people.csv": people}, sql)
    flags = {row["customer_id"]: row["do_not_contact"] for row in result.rows("customers")}
    assert flags == {"C1": True, "C2": False}


def test_a_word_that_is_no_flag_is_named_before_what_follows_from_it(tmp_path: Path) -> None:
    people = csv("C1,2023-01-01,vielleicht", "C2,2023-01-01,nein", head="id,since,optout")
    sql = VIEW.format(time="day") + (
        "create view customers as select id as customer_id, since as created_at, "
        "optout as do_not_contact from raw.people;"
    )
    with pytest.raises(Refused, match="E_FLAG people.csv:2 optout"):
        ingested(
            tmp_path,
            {"orders.csv": three(), "people.csv": people},
            sql,
            quarantine_limit={"default": 0.001},
        )


NUMBERS = ("1,234.50", "$1,234.50", "1'234.50", "1.234,50", "1 234,50 EUR", "\u20ac 1.234,50")


@pytest.mark.parametrize("amount", NUMBERS)
def test_the_remedy_for_amounts_in_another_form_reads_them(tmp_path: Path, amount: str) -> None:
    file = {"orders.csv": three(amounts=(f'"{amount}"',) * 3)}
    message = refused(tmp_path, file, max_amount=10_000, quarantine_limit={"default": 0.001})
    assert "1,234" not in message and "1.234" not in message
    sql = VIEW.format(time="day").replace("total as net_amount", remedy(message))
    rows = ingested(tmp_path, file, sql, max_amount=10_000).rows("orders")
    assert [row["amount"] for row in rows] == [12_345_000] * 3


TIMES = [
    "2024/01/25 10:00",
    "20240125",
    "25-Jan-2024",
    "2024-01-25 9:15:00",
    "2024-01-25 03:04:05 PM",
    "25.01.2024",
    "1/25/2024 9:15",
    "Jan 25, 2024",
    "1706176800",
    "1706176800000",
]


@pytest.mark.parametrize("time", TIMES)
def test_the_remedy_for_times_in_another_form_reads_them(tmp_path: Path, time: str) -> None:
    file = {"orders.csv": three((f'"{time}"',) * 3)}
    message = refused(tmp_path, file, quarantine_limit={"default": 0.001})
    sql = VIEW.format(time="day").replace("day as ordered_at", remedy(message))
    result = ingested(tmp_path, file, sql)
    assert result.events.read("meta.json")["first_event"] == "2024-01-25"


def remedy(message: str) -> str:
    """Return the SQL that a message shows."""
    shown = re.search(r"in sources/literal.sql select (.*? as \w+)", message)
    assert shown, message
    return shown[1]


def test_a_few_bad_rows_are_no_other_form(tmp_path: Path) -> None:
    file = {"orders.csv": three(amounts=("20.00", "30.00", "oops"))}
    message = refused(tmp_path, file, quarantine_limit={"default": 0.001})
    assert "orders.csv:4 total" in message and "correct the rows" in message


ORIGINS = {
    "plain": "select customer as customer_id, invoice as order_id, day as ordered_at, "
    "total as net_amount from raw.orders",
    "named": "with sold as (select customer as c, invoice as i, day, total from raw.orders) "
    "select c as customer_id, i as order_id, day as ordered_at, total as net_amount from sold",
    "joined": "select customer as customer_id, invoice as order_id, day as ordered_at, "
    "total as net_amount from raw.orders o left join (select 1 as one) x on x.one = 2",
    "inside": "select customer as customer_id, invoice as order_id, day as ordered_at, "
    "total as net_amount from (select * exclude (source_file, source_line), source_file, "
    "source_line from raw.orders) q",
    "all": "select customer as customer_id, invoice as order_id, day as ordered_at, total "
    "as net_amount from raw.orders where invoice < '1' union all select customer, invoice, day, "
    "total from raw.orders where invoice >= '1'",
}


@pytest.mark.parametrize("query", ORIGINS.values(), ids=ORIGINS.keys())
def test_a_view_that_selects_no_place_still_names_file_and_line(tmp_path: Path, query: str) -> None:
    file = {"orders.csv": three(amounts=("20.00", "30.00", "oops"))}
    result = ingested(tmp_path, file, f"create view orders as {query}")
    assert result.quarantined("orders") == [("orders.csv", 4, "net_amount", "E_NUMBER_UNREADABLE")]


def test_grouped_rows_have_no_line_of_their_own(tmp_path: Path) -> None:
    sql = (
        "create view orders as select customer as customer_id, invoice as order_id, "
        "max(day) as ordered_at, max(total) as net_amount from raw.orders group by all"
    )
    amounts = ("20.00", "30.00", "oops")
    result = ingested(tmp_path, {"orders.csv": three(amounts=amounts)}, sql)
    assert result.quarantined("orders")[0][0] == "orders"


def test_what_was_changed_in_accepted_rows_is_counted(tmp_path: Path) -> None:
    head = "customer_id,order_id,ordered_at,net_amount,delivered_at"
    rows = (
        " C1,O1,2025-10-26T01:30:00,1_0.00,",
        "C2,O2,2026-01-05T10:00:00,0,2026-01-05T09:30:00",
        "C2,O3,2026-01-06T10:00:00,1.23456,",
    )
    result = ingested(tmp_path, {"orders.csv": csv(*rows, head=head)})
    assert result.account["noted"]["orders"] == {
        "blanks_removed": 1,
        "digits_grouped": 1,
        "amount_rounded": 1,
        "time_set_equal": 1,
        "hour_twice": 1,
        "no_price": 1,
        "decimals": 2,
    }


def test_spellings_of_one_id_are_one_customer_and_are_counted(tmp_path: Path) -> None:
    rows = (
        "Ann@Example.com,1,2024-01-05,20",
        "ann@example.com,2,2024-02-06,30",
        "Jose\u0301,3,2024-03-07,25",
        "Jos\u00e9,4,2024-03-08,25",
        "c1,5,2024-03-08,25",
        "C1,6,2024-03-08,25",
    )
    result = shop(tmp_path, {"orders.csv": csv(*rows, head=HEAD)})
    known = {row["customer_id"] for row in result.rows("customers")}
    assert known == {"ann@example.com", "Jos\u00e9", "c1", "C1"}
    assert result.account["noted"]["orders"]["spelling_unified"] == 2
    assert len(result.rows("orders")) == 6


OPT_OUT = "create view suppressions as select who as customer_id, 'contact' as scope from raw.out;"


def test_an_address_is_suppressed_whatever_its_capitals(tmp_path: Path) -> None:
    orders = csv("ann@example.com,1,2024-01-05,20", head=HEAD)
    files = {"orders.csv": orders, "out.csv": "who\nANN@example.com\n"}
    result = ingested(tmp_path, files, VIEW.format(time="day") + OPT_OUT)
    assert result.rows("customers")[0]["do_not_contact"]


@pytest.mark.parametrize("spelling", ["123", "00123.0", "0 0123"])
def test_an_opt_out_in_another_spelling_stops_the_run_with_its_line(
    tmp_path: Path, spelling: str
) -> None:
    orders = csv("00123,1,2024-01-05,20", "C2,2,2024-01-06,20", head=HEAD)
    files = {"orders.csv": orders, "out.csv": f"who\nC2\n{spelling}\n"}
    with pytest.raises(Refused, match="E_SUPPRESSIONS out.csv:3 who") as error:
        ingested(tmp_path, files, VIEW.format(time="day") + OPT_OUT)
    assert "123" not in str(error.value)
