"""The demo world: reproducible, consistent, cut at its end, and holding what was planted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from pipeline import store
from pipeline.params import Simulate, load
from pipeline.simulate import simulate

ROOT = Path(__file__).resolve().parents[1]
PARAMS = load(ROOT).simulate
HAZARDS = [name for name in Simulate.model_fields if name.startswith("hazard_")]
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

NEXT = "lead(ordered_at) over (partition by customer_id order by ordered_at)"

World = Callable[[str], list[tuple[Any, ...]]]


def world(**changes: Any) -> World:
    """Simulate with some parameters changed; the tables can then be asked in SQL, the truth as true_customer and true_order."""
    connection = duckdb.connect()
    made = simulate(PARAMS.model_copy(update=changes))
    for prefix, files in (("", made["shops"]), ("true_", made["truth"])):
        for name, table in files.items():
            connection.register(prefix + name.removesuffix(".parquet"), table)

    def ask(query: str) -> list[tuple[Any, ...]]:
        return connection.execute(query).fetchall()

    return ask


@pytest.fixture(scope="module")
def small() -> World:
    return world(customers=600)


@pytest.fixture(scope="module")
def demo() -> World:
    return world()


def written(folder: Path, seed: int) -> dict[str, bytes]:
    made = simulate(PARAMS.model_copy(update={"customers": 300, "seed": seed}))
    for name, files in made.items():
        store.write(folder / name, files)
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_shop(tmp_path: Path) -> None:
    first, again, other = written(tmp_path / "a", 7), written(tmp_path / "b", 7), written(tmp_path / "c", 8)
    assert first == again
    assert len(first) == 9
    assert all(first[name] != other[name] for name in first)


@pytest.mark.parametrize(("table", "column"), EVENTS)
def test_nothing_that_happens_lies_at_or_after_the_end(small: World, table: str, column: str) -> None:
    happened = f'"{column}"'
    [(known, late)] = small(f"select count({happened}), count(*) filter (where {happened} >= timestamp '{PARAMS.end_date}') from {table}")
    assert known > 0
    assert late == 0


def test_every_time_and_identifier_has_the_type_of_the_contract(small: World) -> None:
    for table in ("customers", "orders", "returns", "complaints", "touches", "market_events", "treatments"):
        for name, kind, *_ in small(f"describe {table}"):
            if name.endswith(("_at", "_id")) or name in ("at", "as_of", "done_on"):
                assert kind == ("VARCHAR" if name.endswith("_id") else "TIMESTAMP"), (table, name)


def test_what_is_on_its_way_on_the_last_day_is_not_known_to_have_arrived(demo: World) -> None:
    [(orders, delivered)] = demo(
        f"select count(*), count(delivered_at) from orders where ordered_at >= timestamp '{PARAMS.end_date}' - interval 1 day"
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
def test_every_reference_leads_somewhere(small: World, orphans: str) -> None:
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
def test_every_key_is_unique(small: World, table: str, key: str) -> None:
    [(rows, distinct)] = small(f"select (select count(*) from {table}), count(*) from (select distinct {key} from {table})")
    assert rows == distinct > 0


@pytest.mark.parametrize(
    ("table", "broken"),
    [
        ("orders join customers using (customer_id)", "ordered_at::date <= created_at::date"),
        ("orders", "delivered_at <= ordered_at or cancelled_at <= ordered_at or promised_at <= ordered_at"),
        ("orders", "delivered_at is not null and cancelled_at is not null"),
        ("complaints", "resolved_at < opened_at"),
        ("complaints join orders using (order_id)", "opened_at <= ordered_at"),
        ("returns", "settled_at <= returned_at"),
        ("returns join orders using (line_id)", "returned_at <= delivered_at or delivered_at is null or cancelled_at is not null"),
        ("returns join orders using (line_id)", "returns.net_amount > orders.net_amount or returns.quantity > orders.quantity"),
        ("touches join customers using (customer_id)", '"at" < created_at'),
        ("touches", 'met_at <= "at" or due_at <= "at"'),
        ("touches", "(limit_kind is null) <> (due_at is null) or (limit_kind is null) <> (limit_value is null)"),
        ("touches", "expectation is null and (limit_kind is not null or met_at is not null)"),
        ("market_events", "ends_at <= starts_at"),
        ("treatments", "(contact = 'call') <> (done_on is not null) or (contact = 'call') <> (decision is not null) or done_on < as_of"),
        ("treatments join customers using (customer_id)", "do_not_contact or profiling_objection"),
        ("true_customer", "(reason = 'none') <> (left_at is null)"),
        ("(select order_id, count(*) n, count(cancelled_at) cut from orders group by order_id)", "cut = n"),
        ("true_order join complaints using (order_id)", "resolved_at is not null and mishap <> severity"),
    ],
)
def test_no_row_contradicts_itself_or_what_it_refers_to(small: World, table: str, broken: str) -> None:
    assert small(f"select count(*) > 0, count(*) filter (where {broken}) from {table}") == [(True, 0)]


def test_amounts_are_whole_cents_above_zero() -> None:
    shop = simulate(PARAMS.model_copy(update={"customers": 100}))["shops"]
    for name in ("orders.parquet", "returns.parquet"):
        assert shop[name].schema.field("net_amount").type == pa.decimal128(18, 2)
        assert min(shop[name]["net_amount"].to_pylist()) > 0


def test_rows_stand_in_order_of_time(small: World) -> None:
    for table, time in [
        ("orders", "ordered_at"),
        ("returns", "returned_at"),
        ("complaints", "opened_at"),
        ("touches", '"at"'),
        ("treatments", "as_of"),
    ]:
        assert small(f"select count(*) from (select {time} t, lag({time}) over () before from {table}) where t < before") == [(0,)]


def test_all_roles_are_played(small: World) -> None:
    [roles] = small(
        """select count(*) filter (where not converted), count(*) filter (where purchases = 1), count(*) filter (where purchases in (2, 3)),
                  count(*) filter (where purchases >= 10), count(*) filter (where left_at is not null) from true_customer"""
    )
    assert min(roles) > 10


def test_the_truth_counts_the_purchases_the_shop_sees(small: World) -> None:
    wrong = """select count(*) from true_customer left join (select customer_id, count(distinct order_id) n from orders group by 1)
               using (customer_id) where coalesce(purchases, 0) <> coalesce(n, 0) or converted <> (n is not null)"""
    assert small(wrong) == [(0,)]


def test_the_demo_is_of_a_sensible_size(demo: World) -> None:
    [(converted, seasoned)] = demo("select avg(converted::int), count(*) filter (where purchases >= 4) from true_customer")
    assert 0.4 < converted < 0.6
    assert seasoned > 800
    [(lines,)] = demo("select count(*) from orders")
    assert 50_000 < lines < 80_000


def test_first_timers_leave_more_often_than_early_and_early_more_often_than_core(demo: World) -> None:
    left: dict[str, float] = dict(demo("select stage, avg((fired <> 'none')::int) from true_order group by stage"))
    assert left["first_time"] > 2 * left["early_repeat"] > 4 * left["core"]


def test_without_hazards_nobody_leaves_for_a_reason() -> None:
    idle = world(customers=300, **dict.fromkeys(HAZARDS, 0.0))
    assert idle("select distinct reason from true_customer") == [("none",)]
    assert idle("select distinct fired from true_order") == [("none",)]


@pytest.mark.parametrize(
    ("hazards", "cause"),
    [
        (["hazard_first", "hazard_early", "hazard_core"], "base"),
        (["hazard_first_failed", "hazard_early_minor", "hazard_early_major"], "mishap"),
        (["hazard_service"], "service_failure"),
        (["hazard_unrepaired"], "unrepaired"),
        (["hazard_competitor"], "competitor"),
        (["hazard_boredom"], "boredom"),
    ],
)
def test_a_cause_that_is_switched_off_is_the_only_one_that_never_fires(hazards: list[str], cause: str) -> None:
    causes = {"base", "mishap", "service_failure", "unrepaired", "competitor", "boredom"}
    fired = world(customers=3000, **dict.fromkeys(hazards, 0.0))("select distinct fired from true_order")
    assert {name for (name,) in fired} == {"none", *causes} - {cause}


def test_a_core_customer_is_lost_to_a_small_error_only_when_it_was_not_mended_in_time(demo: World) -> None:
    rows = demo(
        """select in_time, complained, max(hazard_mishap + hazard_service_failure), min(hazard_unrepaired), max(hazard_unrepaired)
           from true_order where stage = 'core' and mishap = 'minor' and not called group by all order by all"""
    )
    assert rows == [(False, False, 0, 0, 0), (False, True, 0, PARAMS.hazard_unrepaired, PARAMS.hazard_unrepaired), (True, True, 0, 0, 0)]


def test_what_the_truth_calls_mended_in_time_is_what_the_shop_can_see(demo: World) -> None:
    patience = dict(zip(("minor", "major", "critical"), PARAMS.patience_days, strict=True))
    rows = demo(
        """select severity, date_diff('day', opened_at, resolved_at), in_time from complaints join true_order using (order_id)
           where resolved_at is not null"""
    )
    assert {severity for severity, _, _ in rows} == set(patience)
    assert all((days <= patience[severity]) == in_time for severity, days, in_time in rows)


def test_spend_in_the_favourite_category_shrinks_while_a_rival_draws(demo: World) -> None:
    [(drawn, usual)] = demo(
        """select avg(net_amount / quantity) filter (where contested), avg(net_amount / quantity) filter (where not contested)
           from orders join true_order using (order_id) join true_customer on true_customer.customer_id = orders.customer_id
           where category = favourite_category and exposed and stage = 'core'"""
    )
    assert drawn / usual == pytest.approx(PARAMS.competitor_shrink, abs=0.1)  # within 0.06 over twenty seeds


def test_purchases_slow_down_as_boredom_grows(demo: World) -> None:
    [(fresh, bored)] = demo(
        f"""select avg(gap / cycle_days) filter (where run <= 3), avg(gap / cycle_days) filter (where run > {PARAMS.boredom_run} + 2)
            from (select *, date_diff('day', ordered_at, {NEXT}) gap from true_order) join true_customer using (customer_id)
            where fired = 'none' and stage = 'core'"""
    )
    assert 1.4 < bored / fresh < 2.4  # 1.6 to 2.2 over twenty seeds


def test_while_early_orders_grow_in_spend_and_in_categories(demo: World) -> None:
    by_number = demo(
        """select number, avg(spend / spend_level), avg(categories)
           from (select order_id, sum(net_amount) spend, count(distinct category) categories from orders group by 1)
           join true_order using (order_id) join true_customer using (customer_id)
           where stage <> 'core' and number in (1, 3, 5) group by 1 order by 1"""
    )
    for column in (1, 2):
        assert by_number[0][column] < by_number[1][column] < by_number[2][column]


def test_who_left_for_a_reason_that_holds_comes_back_more_rarely() -> None:
    [(base, held)] = world(customers=3000, winback_per_day=0.005)(
        f"""select avg(again::int) filter (where fired = 'base'), avg(again::int) filter (where fired = 'boredom')
            from (select *, {NEXT} is not null again from true_order) where ordered_at < timestamp '2025-01-01' and stage = 'core'"""
    )
    assert held < base


def test_a_call_takes_away_part_of_every_reason_and_whom_to_call_is_drawn_by_lot(demo: World) -> None:
    [called], [held_out] = (
        demo(f"""select count(*), avg((fired <> 'none')::int), max(hazard_service_failure), max(hazard_unrepaired), max(hazard_competitor)
                 from true_order where listed and called = {called}""")
        for called in (True, False)
    )
    assert called[0] / (called[0] + held_out[0]) == pytest.approx(PARAMS.treatment_share, abs=0.05)
    assert called[1] < held_out[1]
    assert called[2:] == pytest.approx([PARAMS.treatment_factor * hazard for hazard in held_out[2:]])


def test_a_list_names_a_customer_after_the_purchase_it_is_about_and_before_the_next(demo: World) -> None:
    [(entries, about)] = demo(
        f"""select (select count(*) from treatments), count(*)
            from treatments join (select *, {NEXT} next_at from true_order) bought on treatments.customer_id = bought.customer_id and listed
             and called = (contact = 'call') and ordered_at < as_of and (next_at is null or next_at > coalesce(done_on, as_of))"""
    )
    assert entries == about > 100


def test_a_shop_that_nobody_buys_from_has_empty_tables_of_the_same_shape(small: World) -> None:
    empty = world(customers=50, convert_base=-100.0)
    assert empty("select count(*) from orders") == [(0,)]
    assert empty("describe orders") == small("describe orders")
