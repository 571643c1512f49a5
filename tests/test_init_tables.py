"""`corekeep init` with several tables, columns that say yes or no, and questions."""

import io
from pathlib import Path
from typing import Any

import pytest
from frozen import params, project
from own_files import text, workbook
from raw_shop import Ingested
from test_init import taken

from pipeline.inputs.database import open_database
from pipeline.inputs.init.columns import columns_of, form_of
from pipeline.inputs.init.command import init
from pipeline.inputs.init.draft import Draft
from pipeline.inputs.init.others import _flagged
from pipeline.inputs.init.questions import Answers
from pipeline.inputs.init.tables import RawTable
from pipeline.runtime.errors import ConfigError, Refused

ORDERS = "customer_id|order_id|ordered_at|sku|quantity|net_amount"
ROWS = [
    [f"C{c}", f"{c}{m}", f"2024-{m:02d}-1{c} 10:00", "T1", "2", "20.00"]
    for c in range(1, 5)
    for m in range(1, 7)
]
NEVER = 1 << 30  # ten-thousandths or days behind all data


def given(folder: Path, segments: tuple[str, ...] | None = None, **files: str) -> Ingested:
    """The rows that `init --yes` gives for files, each a CSV text."""
    project(folder)
    (folder / "export").mkdir()
    for name, content in files.items():
        (folder / "export" / f"{name}.csv").write_text(content, encoding="utf-8")
    paths = [folder / "export" / f"{name}.csv" for name in files]
    answers = Answers("own", "UTC", "EUR", segments=segments, yes=True)
    shop = init(paths, answers, folder)
    return taken(folder, shop)


def with_column(name: str, values: dict[int, str], other: str = "") -> str:
    """The orders with one more column; `values`: by row."""
    rows = [[*row, values.get(i, other)] for i, row in enumerate(ROWS)]
    return text(f"{ORDERS}|{name}", rows)


def listed(result: Ingested, table: str, column: str) -> list[Any]:
    return [row[column] for row in result.rows(table)]


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    """Orders with tables of returns, complaints and opt-outs."""
    returns = text(
        "Return no|Order ID|SKU|Qty|Refund amount|Returned at|Reason",
        [["R1", "11", "T1", "1", "10.00", "2024-01-20 10:00", "too small"]],
    )
    complaints = text(
        "Reklamations-Nr.|Kundennummer|Gemeldet am|Erledigt am|Schwere",
        [
            ["K1", "C1", "12.02.2024 09:00", "14.02.2024 09:00", "hoch"],
            ["K2", "C2", "13.02.2024 09:00", "", "gering"],
        ],
        ";",
    )
    folder = tmp_path_factory.mktemp("several")
    files = {"orders": text(ORDERS, ROWS), "returns": returns, "reklamationen": complaints}
    return given(folder, **files, unsubscribed=text("customer_id|email", [["C3", "c@x.org"]]))


def test_a_table_of_returns_names_the_order_and_the_amount(several: Ingested) -> None:
    assert listed(several, "returns", "amount") == [100_000]


def test_a_german_table_of_complaints_has_severity_and_resolution(several: Ingested) -> None:
    rows = several.rows("complaints")
    assert len({row["severity"] for row in rows}) == 2
    assert [row["resolved"] < NEVER for row in rows] == [True, False]


def test_a_list_of_opt_outs_needs_no_column_of_flags(several: Ingested) -> None:
    assert several.account["tables"]["suppressions"]["accepted"] == 1


FLAGS = [
    ("Do not contact", "yes", "no"),
    ("opt_out", "1", "0"),
    ("Consenso marketing", "no", "sì"),
    ("accepts_marketing", "", "true"),
]


def test_columns_of_yes_and_no_are_recognised_by_their_names(tmp_path: Path) -> None:
    db = open_database("UTC", params().engine, tmp_path)
    db.execute("create schema profiled")
    for head, yes, no in FLAGS:
        db.execute(
            f"""create or replace table profiled.c as
            select customer_id, flag as "{head}" from (
                values ('C1', $no), ('C2', $yes), ('C3', $no)) t(customer_id, flag)""",
            {"yes": yes, "no": no},
        )
        table = RawTable("c", "c", "profiled.c", "c.csv", columns_of(db, "c", None, 0))
        chosen = _flagged(Draft(db), table, table.roles("customers", {}))
        who = db.sql(f"select customer_id from profiled.c where {chosen}").fetchall()
        assert who == [("C2",)], head


def test_a_column_of_yes_and_no_keeps_customers_from_being_contacted(tmp_path: Path) -> None:
    customers = text(
        "customer_id|created_at|Werbesperre",
        [[f"C{number}", "2023-12-01", "ja" if number == 2 else "nein"] for number in range(1, 5)],
    )
    result = given(tmp_path, orders=text(ORDERS, ROWS), customers=customers)
    assert result.account["tables"]["suppressions"]["accepted"] == 1


def test_a_column_of_opt_outs_with_other_words_is_refused(tmp_path: Path) -> None:
    customers = text("customer_id|created_at|opt_out", [["C1", "2023-12-01", "perhaps"]])
    with pytest.raises(ConfigError, match=r"customers.csv opt_out .*'perhaps'"):
        given(tmp_path, orders=text(ORDERS, ROWS), customers=customers)


def test_a_list_of_opt_outs_may_name_its_customers_in_any_column(tmp_path: Path) -> None:
    content = text("added by|who", [["shop desk", "C2"], ["web", "C4"]])
    result = given(tmp_path, orders=text(ORDERS, ROWS), optout=content)
    assert listed(result, "customers", "do_not_contact") == [False, True, False, True]


def test_a_word_for_nobody_is_no_customer_and_counted(tmp_path: Path) -> None:
    rows = [["Guest", *row[1:]] if row[0] == "C4" else row for row in ROWS]
    result = given(tmp_path, orders=text(ORDERS, rows))
    assert result.codes("orders") == {"E_NO_CUSTOMER": 6}
    assert listed(result, "customers", "customer_id") == ["C1", "C2", "C3"]


def test_guests_who_share_an_id_are_recognised_by_their_address(tmp_path: Path) -> None:
    rows = [
        ["0" if i < 12 else row[0], *row[1:], f"p{row[0][1]}@x.example"]
        for i, row in enumerate(ROWS)
    ]
    result = given(tmp_path, orders=text(f"{ORDERS}|billing_email", rows))
    assert listed(result, "customers", "customer_id") == [f"p{c}@x.example" for c in range(1, 5)]


def test_a_status_of_the_order_holds_for_its_lines_in_another_table(tmp_path: Path) -> None:
    head = [
        [f"{row[1]}", row[0], row[2], "void" if i < 2 else "paid"] for i, row in enumerate(ROWS)
    ]
    files = {
        "orders": text("order_id|customer_id|ordered_at|status", head),
        "order_lines": text("order_id|sku|quantity|price", [[row[1], *row[3:]] for row in ROWS]),
    }
    result = given(tmp_path, **files)
    assert sum(day < NEVER for day in listed(result, "orders", "cancelled")) == 2


def test_the_number_of_a_line_is_no_product(tmp_path: Path) -> None:
    rows = [[*row[:3], line, *row[4:]] for row in ROWS for line in ("1", "2")]
    head = ORDERS.replace("sku", "line")
    given(tmp_path, orders=text(head, rows))
    sql = (tmp_path / "sources" / "own.sql").read_text()
    assert "line as line_id" in sql and "sku" not in sql


@pytest.mark.parametrize("is_repeated", [True, False])
def test_a_reference_is_the_product_unless_it_numbers_the_rows(
    tmp_path: Path, is_repeated: bool
) -> None:
    rows = [
        [*row[:3], f"A{i % (3 if is_repeated else 99)}", *row[4:]] for i, row in enumerate(ROWS)
    ]
    given(tmp_path, orders=text(ORDERS.replace("sku", "Référence"), rows))
    assert ("as sku" in (tmp_path / "sources" / "own.sql").read_text()) == is_repeated


def test_a_column_of_amounts_with_many_other_words_is_still_the_amount(tmp_path: Path) -> None:
    rows = [[*row[:5], "free" if i % 5 == 0 else row[5]] for i, row in enumerate(ROWS)]
    with pytest.raises(Refused, match=r"E_NUMBER_UNREADABLE orders.csv:2 net_amount"):
        given(tmp_path, orders=text(ORDERS, rows))


def test_refunded_orders_came_back_a_month_later_and_cancelled_ones_were_no_purchase(
    tmp_path: Path,
) -> None:
    statuses = {0: "refunded", 1: "cancelled", 2: "partially refunded", 3: "return cancelled"}
    result = given(tmp_path, orders=with_column("status", statuses, "complete"))
    assert listed(result, "returns", "amount") == [200_000]
    assert [cancelled < NEVER for cancelled in listed(result, "orders", "cancelled")].count(
        True
    ) == 1


def test_a_returned_order_with_a_reason_of_cancellation_was_cancelled(tmp_path: Path) -> None:
    rows = [[*row, "Delivered", ""] for row in ROWS]
    rows[0][-2:] = ["Returned", "by the customer"]
    result = given(tmp_path, orders=text(f"{ORDERS}|status|cancellation_reason", rows))
    assert "returns" not in result.account["tables"]
    assert [day < NEVER for day in listed(result, "orders", "cancelled")].count(True) == 1


def test_a_refunded_amount_counts_up_to_the_goods(tmp_path: Path) -> None:
    result = given(tmp_path, orders=with_column("Refunded amount", {0: "25.00", 4: "5.00"}, "0"))
    assert sorted(listed(result, "returns", "amount")) == [50_000, 200_000]


def test_a_name_that_follows_the_customer_is_no_product(tmp_path: Path) -> None:
    rows = [
        [f"C{c}", f"{c}{m}", f"2024-{m:02d}-{c + 1:02d}", f"Ann {c}", f"Tea {(c + m) % 5}", "1.50"]
        for c in range(25)
        for m in range(1, 7)
    ]
    result = given(
        tmp_path, orders=text("customer_id|order_id|ordered_at|Name|Description|amount", rows)
    )
    assert len({row["sku"] for row in result.rows("orders")}) == 5


def test_a_discount_in_percent_lowers_the_price(tmp_path: Path) -> None:
    rows = [[*row[:4], "2", "10.00", "10 %"] for row in ROWS]
    result = given(
        tmp_path, orders=text("customer_id|order_id|ordered_at|sku|quantity|price|Rabatt", rows)
    )
    assert {row["amount"] for row in result.rows("orders")} == {180_000}


def test_a_bad_row_is_named_by_its_sheet_and_a_sheet_that_is_of_no_use_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = [*ROWS[:3], [*ROWS[3][:5], "oops"], *ROWS[4:]]
    sheets = workbook(
        Sales=(ORDERS, [["Export"]], bad), Totals=("month|sum", [], [["2024-01", "80.00"]] * 2)
    )
    (tmp_path / "own.xlsx").write_bytes(sheets)
    project(tmp_path)
    init([tmp_path / "own.xlsx"], Answers(yes=True, timezone="UTC", currency="EUR"), tmp_path)
    assert "own.xlsx#Totals: 2 rows, not used" in capsys.readouterr().out
    with pytest.raises(Refused, match=r"E_NUMBER_UNREADABLE own.xlsx#Sales:6 net_amount"):
        taken(tmp_path, "own")


class Typed(io.StringIO):
    """What a person types."""

    def isatty(self) -> bool:
        return True


def answered(folder: Path, monkeypatch: pytest.MonkeyPatch, content: str, *lines: str) -> Ingested:
    """The rows that `init` gives when a person answers its questions with these lines."""
    project(folder)
    path = folder / "own.csv"
    path.write_text(content, encoding="utf-8")
    monkeypatch.setattr("sys.stdin", Typed("".join(f"{line}\n" for line in lines)))
    return taken(folder, init([path], Answers(), folder))


def days(*rows: str) -> str:
    return text("customer|order|date|total", [
        [f"C{i % 2}", str(i), day, f"{i + 1}.50"] for i, day in enumerate(rows)
    ])  # fmt: skip


@pytest.mark.parametrize(("answer", "day"), [("yes", 19_790), ("no", 19_938)])
def test_the_order_of_day_and_month_is_a_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, day: int
) -> None:
    content = days("08/03/2024", "09/04/2024", "10/05/2024")
    result = answered(tmp_path, monkeypatch, content, answer, "yes", "EUR")
    assert day in listed(result, "orders", "day")


@pytest.mark.parametrize(("answer", "spend"), [("yes", 37_340_000), ("no", 37_340)])
def test_the_meaning_of_a_point_before_three_digits_is_a_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, spend: int
) -> None:
    content = text("customer|order|date|total", [
        ["C1", "1", "2024-01-05", "1.234"], ["C2", "2", "2024-02-05", "2.500"]
    ])  # fmt: skip
    result = answered(tmp_path, monkeypatch, content, answer, "yes", "EUR")
    assert sum(listed(result, "orders", "amount")) == spend


def test_a_proposal_that_is_not_right_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Refused, match="the proposal is not right"):
        answered(tmp_path, monkeypatch, days("2024-01-05", "2024-02-25"), "no")
    assert not (tmp_path / "sources").exists()


def test_without_a_terminal_each_open_question_names_its_option(tmp_path: Path) -> None:
    project(tmp_path)
    path = tmp_path / "own.csv"
    for content, options in (
        (days("08/03/2024", "09/04/2024"), "--day-first or --month-first"),
        (days("2024-01-05", "2024-02-05").replace(".50", ".500"), "--thousands-point"),
        (days("2024-01-05 10:00", "2024-02-05 11:00"), "--timezone and --currency"),
    ):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(ConfigError, match=options):
            init([path], Answers(), tmp_path)


def test_a_later_file_in_another_currency_is_refused(tmp_path: Path) -> None:
    given(tmp_path, orders=with_column("Currency", {}, "EUR"))
    path = tmp_path / "data" / "shops" / "own" / "orders.csv"
    path.write_text(path.read_text().replace("EUR", "USD", 1))
    with pytest.raises(Refused, match=r"E_CURRENCY orders.csv:2 Currency"):
        taken(tmp_path, "own")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (["\u221212,50", "7,25"], [-12.5, 7.25]),  # a minus of typesetters
        (["\u20ac 1.250,00", "9,90"], [1250.0, 9.9]),
        (["12.50 EUR", "10.00 USD"], None),  # two currencies
        (["12.50 DR", "10.00 CR"], None),  # paid, and paid back
    ],
)
def test_signs_of_a_number_are_kept_or_it_is_none(
    tmp_path: Path, written: list[str], read: list[float] | None
) -> None:
    db = open_database("UTC", params().engine, tmp_path)
    db.execute("create table written as select unnest($1::varchar[]) as x", [written])
    number = form_of(db, "written", "x").number
    assert (number is None) == (read is None)
    if number:
        sql = f"select ({number.sql('x')})::double from written"
        assert [value for (value,) in db.sql(sql).fetchall()] == read


def test_guests_with_an_address_alone_are_customers_by_it(tmp_path: Path) -> None:
    rows = [[f"C{c}" if m < 4 else "", f"c{c}@x.org", *row[1:]] for row in ROWS
            for c, m in [(int(row[0][1]), int(row[1][1]))]]  # fmt: skip
    result = given(tmp_path, orders=text(f"customer_id|Email|{ORDERS.partition('|')[2]}", rows))
    assert listed(result, "customers", "customer_id") == [f"c{c}@x.org" for c in range(1, 5)]


def test_a_list_of_customers_is_no_list_of_orders(tmp_path: Path) -> None:
    rows = [[f"C{c}", "2023-01-05", "2024-05-05", "9", "99.50"] for c in range(30)]
    with pytest.raises(ConfigError, match="each row has another customer_id"):
        given(tmp_path, totals=text("customer_id|first_order|last_order|orders|revenue", rows))


BACK = [
    [*row[:1], f"R{i}", row[2].replace("10:00", "18:00"), row[3], "1", "10.00"]
    for i, row in enumerate(ROWS[::3])
]
NEGATIVE = [[*row[:4], "-1", "-10.00"] for row in BACK[4:]]
RETURNS = {
    "as orders are written": ({"orders": text(ORDERS, ROWS), "returns": text(ORDERS, BACK)}, 8),
    "below zero, some listed as well": (
        {"orders": text(ORDERS, ROWS + NEGATIVE), "returns": text(ORDERS, BACK[2:5])}, 7 - 1),
    "in a table for each half": (
        {"orders": text(ORDERS, ROWS), "returns_2": text(ORDERS, BACK[3:]),
         "returns_1": text(f"{ORDERS}|note", [[*row, "x"] for row in BACK[:3]])}, 8),
}  # fmt: skip


@pytest.mark.parametrize("name", RETURNS)
def test_returns_come_from_all_that_lists_them_and_count_once(tmp_path: Path, name: str) -> None:
    files, count = RETURNS[name]
    result = given(tmp_path, **files)
    assert len(result.rows("returns")) == count
    assert len(result.rows("orders")) == len(ROWS)


def test_orders_of_two_forms_are_refused_with_the_columns_that_differ(tmp_path: Path) -> None:
    more = text(f"{ORDERS}|coupon", [[*row, "X"] for row in ROWS[:9]])
    with pytest.raises(ConfigError, match=r"E_INIT new.csv — .* not the same columns: coupon"):
        given(tmp_path, orders=text(ORDERS, ROWS), new=more)


SHOPS = ("Graz", "Linz", "Wien")
WITH_GROUPS = text(
    "Kunden-Nr.|Beleg-Nr.|Bestelldatum|Artikel|Marke|Betrag|Vertriebsregion|Filiale|Geschlecht|Tarif",
    [
        # a product has its brand; customers keep the rest, with one visit elsewhere
        [f"K{c}", f"B{c}{n}", f"2024-0{n}-{1 + c % 27:02d}", f"T{(c + n) % 3}", "ABC"[(c + n) % 3],
         "9.90", ("Nord", "Ost")[c % 2], SHOPS[(c + (c == n)) % 3], "mw"[c % 2], "XY"[c // 2 % 2]]
        for c in range(60) for n in range(1, 5)
    ],
)  # fmt: skip
OWNERS = text(
    "Customer ID|Customer since|Country|Customer group|Hair",
    [[f"C{c}", "2023-01-01", "AT" if c % 2 else "IT", f"G{c % 2}", "red"] for c in range(60)],
)


@pytest.mark.parametrize(
    ("files", "answer", "segments"),
    [
        ({"orders": WITH_GROUPS}, None, {"segment_vertriebsregion": 2, "segment_filiale": 3}),
        ({"orders": WITH_GROUPS}, ("Tarif",), {"segment_tarif": 2}),
        (
            {
                "orders": text(
                    "Customer ID|Order ID|Order date|Amount",
                    [
                        [f"C{c}", f"{c}{n}", f"2024-0{n}-{1 + c % 27:02d}", "5.50"]
                        for c in range(60)
                        for n in (1, 2)
                    ],
                ),
                "customers": OWNERS,
            },
            None,
            {"segment_country": 2, "segment_customer_group": 2},
        ),
    ],
)
def test_segments_are_columns_that_names_and_values_say(
    tmp_path: Path, files: dict[str, str], answer: tuple[str, ...] | None, segments: dict[str, int]
) -> None:
    result = given(tmp_path, segments=answer, **files)
    rows = result.events.read("segments.parquet")
    assert {name: len(rows[name].unique()) for name in rows.column_names[1:]} == segments


@pytest.mark.parametrize(
    ("name", "rule"), [("Geschlecht", "about a person"), ("Colour", "no table")]
)
def test_segments_that_are_not_there_or_about_a_person_are_refused(
    tmp_path: Path, name: str, rule: str
) -> None:
    with pytest.raises(ConfigError, match=rule):
        given(tmp_path, segments=(name,), orders=WITH_GROUPS)
