"""The simulated shop: reproducible, made in blocks, consistent, cut at its end."""

import time
from pathlib import Path

import pyarrow as pa
import pytest
from demo_shop import NEXT, PARAMS, RunQuery, simulated_shop

from pipeline.runtime import store
from pipeline.stages.simulate import simulate

EVENTS = [
    ("customers", "created_at"),
    ("orders", "ordered_at"),
    ("orders", "delivered_at"),
    ("orders", "cancelled_at"),
    ("returns", "returned_at"),
    ("returns", "settled_at"),
    ("complaints", "opened_at"),
    ("complaints", "resolved_at"),
    ("touches", "at"),
    ("touches", "met_at"),
    ("market_events", "starts_at"),
    ("market_events", "ends_at"),
    ("treatments", "as_of"),
    ("treatments", "done_on"),
]


@pytest.fixture(scope="module")
def small() -> RunQuery:
    return simulated_shop(customers=600)


@pytest.fixture(scope="module")
def demo() -> RunQuery:
    return simulated_shop()


def written(folder: Path, seed: int) -> dict[str, bytes]:
    made = simulate(PARAMS.model_copy(update={"customers": 300, "seed": seed}))
    for name, files in made.items():
        store.write(folder / name, files)
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*.parquet"))
    }


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_shop(tmp_path: Path) -> None:
    first, again, other = (
        written(tmp_path / "a", 7),
        written(tmp_path / "b", 7),
        written(tmp_path / "c", 8),
    )
    assert first == again
    assert len(first) == 9
    assert all(first[name] != other[name] for name in first)


def blocks(customers: int) -> dict[str, pa.Table]:
    """The files of a shop in blocks of 40 customers."""
    made = simulate(PARAMS.model_copy(update={"customers": customers, "customers_per_block": 40}))
    return {f"{folder}/{name}": table for folder, files in made.items() for name, table in files}


def test_a_block_is_the_same_whatever_follows_it() -> None:
    alone, followed, far = blocks(40), blocks(60), blocks(120)
    assert {name.split("/", 1)[1] for name in followed if "/orders" in name} == {
        "orders/00000.parquet",
        "orders/00001.parquet",
    }
    for name, table in alone.items():
        path = name if "market_events" in name else name.replace(".parquet", "/00000.parquet")
        assert table.equals(followed[path])
        assert table.equals(far[path])


def test_blocks_make_one_shop() -> None:
    made = blocks(100)
    for table, key in [
        ("customers", "customer_id"),
        ("orders", "line_id"),
        ("complaints", "complaint_id"),
        ("returns", "return_id"),
    ]:
        ids = pa.chunked_array(
            [
                chunk
                for name, file in made.items()
                if f"shops/{table}/" in name
                for chunk in file[key].chunks
            ]
        )
        assert len(ids) == len(ids.unique()) > 0
    counts = [len(made[f"shops/customers/{block:05d}.parquet"]) for block in range(3)]
    assert counts == [40, 40, 20]
    assert not made["shops/orders/00000.parquet"]["net_amount"].equals(
        made["shops/orders/00001.parquet"]["net_amount"]
    )


@pytest.mark.parametrize(("preset", "days"), [("weekly", 730), ("monthly", 1460), ("yearly", 5110)])
def test_a_preset_has_its_own_ipt_and_history(preset: str, days: int) -> None:
    ask = simulated_shop(customers=400, preset=preset)
    [(usual, between)] = ask(
        f"""select median(ipt_days), median(gap / ipt_days)
            from (select *, date_diff('day', ordered_at, {NEXT}) gap from true_order)
            join true_customer using (customer_id) where fired = 'none' and gap is not null"""
    )
    assert usual == pytest.approx(PARAMS.presets[preset].ipt_days, rel=0.2)
    assert 0.7 < between < 1.1
    assert ask(
        f"""select date_diff('day', min(created_at), timestamp '{PARAMS.end_date}') > 0.97 * {days}
            from customers"""
    ) == [(True,)]


@pytest.mark.parametrize(("table", "column"), EVENTS)
def test_no_event_is_at_or_after_the_end(small: RunQuery, table: str, column: str) -> None:
    happened = f'"{column}"'
    [(known, late)] = small(
        f"""select count({happened}),
                   count(*) filter (where {happened} >= timestamp '{PARAMS.end_date}')
            from {table}"""
    )
    assert known > 0
    assert late == 0


def test_every_time_and_identifier_has_the_type_of_the_contract(small: RunQuery) -> None:
    for table in (
        "customers",
        "orders",
        "returns",
        "complaints",
        "touches",
        "market_events",
        "treatments",
    ):
        for name, kind, *_ in small(f"describe {table}"):
            if name.endswith(("_at", "_id")) or name in ("at", "as_of", "done_on"):
                assert kind == ("VARCHAR" if name.endswith("_id") else "TIMESTAMP"), (table, name)
            if name == "net_amount":
                assert kind == "DECIMAL(18,2)"


def test_an_order_on_its_way_on_the_last_day_has_no_delivery(demo: RunQuery) -> None:
    [(orders, delivered)] = demo(
        f"""select count(*), count(delivered_at) from orders
            where ordered_at >= timestamp '{PARAMS.end_date}' - interval 1 day"""
    )
    assert orders > 0
    assert delivered == 0


@pytest.mark.parametrize(
    "orphans",
    [
        "orders anti join customers using (customer_id)",
        "complaints anti join orders using (order_id, customer_id)",
        "returns anti join orders using (order_id, line_id, customer_id)",
        "touches anti join customers using (customer_id)",
        "treatments anti join (from true_customer where converted) using (customer_id)",
        "true_order anti join orders using (order_id, customer_id, ordered_at)",
        "orders anti join true_order using (order_id, customer_id, ordered_at)",
        "customers anti join true_customer using (customer_id)",
        "true_customer anti join customers using (customer_id)",
        "market_events anti join orders using (category)",
    ],
)
def test_every_reference_has_its_row(small: RunQuery, orphans: str) -> None:
    assert small(f"select count(*) from {orphans}") == [(0,)]


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("customers", "customer_id"),
        ("orders", "line_id"),
        ("returns", "return_id"),
        ("returns", "line_id"),
        ("complaints", "complaint_id"),
        ("true_order", "order_id"),
        ("true_order", "customer_id, ordered_at::date"),
        ("true_order", "customer_id, number"),
    ],
)
def test_every_key_is_unique(small: RunQuery, table: str, key: str) -> None:
    [(rows, distinct)] = small(
        f"select (select count(*) from {table}), count(*) from (select distinct {key} from {table})"
    )
    assert rows == distinct > 0


@pytest.mark.parametrize(
    ("table", "broken"),
    [
        ("orders join customers using (customer_id)", "ordered_at::date <= created_at::date"),
        (
            "orders",
            "delivered_at <= ordered_at or cancelled_at <= ordered_at or promised_at <= ordered_at",
        ),
        ("orders", "delivered_at is not null and cancelled_at is not null"),
        ("orders", "net_amount <= 0"),
        ("returns", "net_amount <= 0"),
        ("complaints", "resolved_at < opened_at"),
        ("complaints join orders using (order_id)", "opened_at <= ordered_at"),
        ("returns", "settled_at <= returned_at"),
        (
            "returns join orders using (line_id)",
            "returned_at <= delivered_at or delivered_at is null or cancelled_at is not null",
        ),
        (
            "returns join orders using (line_id)",
            "returns.net_amount > orders.net_amount or returns.quantity > orders.quantity",
        ),
        ("touches join customers using (customer_id)", '"at" < created_at'),
        ("touches", 'met_at <= "at" or due_at <= "at"'),
        (
            "touches",
            """(limit_kind is null) <> (due_at is null)
               or (limit_kind is null) <> (limit_value is null)""",
        ),
        ("touches", "expectation is null and (limit_kind is not null or met_at is not null)"),
        ("market_events", "ends_at <= starts_at"),
        (
            "treatments",
            """(contact = 'call') <> (done_on is not null)
               or (contact = 'call') <> (decision is not null) or done_on < as_of""",
        ),
        ("treatments join customers using (customer_id)", "do_not_contact or profiling_objection"),
        ("true_customer", "(reason = 'none') <> (left_at is null)"),
        (
            "(select order_id, count(*) n, count(cancelled_at) cut from orders group by order_id)",
            "cut = n",
        ),
        (
            "true_order join complaints using (order_id)",
            "resolved_at is not null and mishap <> severity",
        ),
    ],
)
def test_no_row_contradicts_itself_or_what_it_refers_to(
    small: RunQuery, table: str, broken: str
) -> None:
    assert small(f"select count(*) > 0, count(*) filter (where {broken}) from {table}") == [
        (True, 0)
    ]


def test_rows_are_in_order_of_time(small: RunQuery) -> None:
    for table, at in [
        ("orders", "ordered_at"),
        ("returns", "returned_at"),
        ("complaints", "opened_at"),
        ("touches", '"at"'),
        ("treatments", "as_of"),
    ]:
        assert small(
            f"""select count(*) from (select {at} t, lag({at}) over () before from {table})
                where t < before"""
        ) == [(0,)]


def test_all_kinds_of_customers_occur(small: RunQuery) -> None:
    [roles] = small(
        """select count(*) filter (where not converted), count(*) filter (where purchases = 1),
                  count(*) filter (where purchases in (2, 3)),
                  count(*) filter (where purchases >= 10),
                  count(*) filter (where left_at is not null) from true_customer"""
    )
    assert min(roles) > 10


def test_the_ground_truth_counts_the_purchases_that_the_shop_sees(small: RunQuery) -> None:
    wrong = """select count(*) from true_customer left
        join (select customer_id, count(distinct order_id) n from orders group by 1)
               using (customer_id) where coalesce(purchases, 0) <> coalesce(n, 0)
               or converted <> (n is not null)"""
    assert small(wrong) == [(0,)]


def test_the_demo_is_of_a_sensible_size(demo: RunQuery) -> None:
    [(converted, seasoned)] = demo(
        "select avg(converted::int), count(*) filter (where purchases >= 4) from true_customer"
    )
    assert 0.4 < converted < 0.6
    assert seasoned > 1500
    [(orders,)] = demo("select count(distinct order_id) from orders")
    assert 50_000 < orders < 70_000


def test_the_demo_takes_less_than_three_seconds_to_make() -> None:
    start = time.process_time()
    assert sum(len(list(files)) for files in simulate(PARAMS).values()) == 9
    assert time.process_time() - start < 3


def test_a_list_has_a_customer_after_the_purchase_it_concerns_and_before_the_next(
    demo: RunQuery,
) -> None:
    [(entries, about)] = demo(
        f"""select (select count(*) from treatments), count(*)
            from treatments join (select *, {NEXT} next_at
            from true_order) bought on treatments.customer_id = bought.customer_id and listed
             and called = (contact = 'call') and ordered_at < as_of
             and (next_at is null or next_at > coalesce(done_on, as_of))"""
    )
    assert entries == about > 100


def test_a_shop_without_buyers_has_empty_tables_of_the_same_columns(small: RunQuery) -> None:
    empty = simulated_shop(customers=50, convert_base=-100.0)
    assert empty("select count(*) from orders") == [(0,)]
    assert empty("describe orders") == small("describe orders")
