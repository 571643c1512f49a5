"""The simulated shop shows what its parameters plant; its ground truth gives the causes."""

from itertools import pairwise

import pytest
from demo_shop import NEXT, PARAMS, RunQuery, simulated_shop

from pipeline.runtime.demo_section import Simulate

HAZARDS = [name for name in Simulate.model_fields if name.startswith("hazard_")]
GONE = "avg((fired <> 'none')::int)"
PLANTED = {  # each statement as figures in the order that it asserts
    "prospects whose expectations are met convert": """
        select avg(converted::int) filter (where not expectations_met),
               avg(converted::int) filter (where expectations_met)
        from true_customer""",
    "a missed cut-off costs conversions": """
        select avg(converted::int) filter (where cutoff_missed),
               avg(converted::int) filter (where not cutoff_missed) from true_customer""",
    "touches convert": """
        select avg(converted::int) filter (where n < 3), avg(converted::int) filter (where n > 5)
        from true_customer join (select customer_id, count(*) n from touches
        group by 1) using (customer_id)
        where expectations_met and not cutoff_missed""",
    "core customers stay most, first-timers least": f"""
        select {GONE} filter (where stage = 'core'), {GONE} filter (where stage = 'early_repeat'),
               {GONE} filter (where stage = 'first_time') from true_order""",
    "customers with more categories in the first order stay": f"""
        select {GONE} filter (where n > 2), {GONE} filter (where n = 2), {GONE} filter (where n = 1)
        from true_order join (select order_id, count(distinct category) n from orders
        group by 1) using (order_id) where number = 1""",
    "one failed aspect loses first-timers": f"""
        select {GONE} filter (where mishap = 'none'), {GONE} filter (where mishap <> 'none')
        from true_order where stage = 'first_time'""",
    "a minor failure loses early repeat buyers, resolved late more of them": f"""
        select {GONE} filter (where mishap = 'none'),
               {GONE} filter (where mishap = 'minor' and in_time),
               {GONE} filter (where mishap = 'minor' and not in_time),
               {GONE} filter (where mishap in ('major', 'critical'))
        from true_order where stage = 'early_repeat'""",
    "early orders grow in spend": """
        select avg(spend / spend_level) filter (where number = 1),
               avg(spend / spend_level) filter (where number = 3),
               avg(spend / spend_level) filter (where number = 5)
        from (select order_id, sum(net_amount)::double spend from orders group by 1)
        join true_order using (order_id) join true_customer using (customer_id)
        where stage <> 'core'""",
    "early orders grow in categories": """
        select avg(n) filter (where number = 1), avg(n) filter (where number = 3),
               avg(n) filter (where number = 5)
        from (select order_id, count(distinct category) n from orders group by 1)
        join true_order using (order_id) where stage <> 'core'""",
    "core customers are worth most": """
        select avg(spend) filter (where best = 1), avg(spend) filter (where best = 2),
               avg(spend) filter (where best = 3)
        from (select customer_id, sum(net_amount) spend from orders group by 1) join (
            select customer_id,
                   max(list_position(['first_time', 'early_repeat', 'core'], stage)) best
            from true_order group by 1)
        using (customer_id)""",
    "a competitor makes core customers leave": f"""
        select {GONE} filter (where not contested), {GONE} filter (where contested)
        from true_order where stage = 'core'""",
    "before customers leave for a competitor they spend less in the category": """
        select avg(net_amount / quantity) filter (where contested),
               avg(net_amount / quantity) filter (where not contested)
        from orders join true_order using (order_id)
        join true_customer on true_customer.customer_id = orders.customer_id
        where category = favourite_category and exposed and stage = 'core'""",
    "the same item again and again bores": f"""
        select {GONE} filter (where run < 6), {GONE} filter (where run > 9) from true_order
        where stage = 'core'""",
    "before bored customers leave they buy more slowly": f"""
        select avg(gap / ipt_days) filter (where run < 4),
               avg(gap / ipt_days) filter (where run > 11)
        from (select *, date_diff('day', ordered_at, {NEXT}) gap from true_order)
        join true_customer using (customer_id)
        where fired = 'none' and stage = 'core'""",
    "as long as the reason holds hardly anybody comes back": f"""
        select avg(back::int) filter (where holds), avg(back::int) filter (where not holds) from (
            select coalesce({NEXT} < ordered_at + interval 120 day, false) back, fired, ordered_at,
                   fired in ('service_failure', 'boredom')
                   or (fired in ('mishap', 'unrepaired') and not in_time) holds from true_order)
        where fired <> 'none' and fired <> 'competitor' and ordered_at < timestamp '2025-09-01'""",
    "customers buy more before Christmas": """
        select count(*) filter (where month(ordered_at) in (5, 6, 7)),
               count(*) filter (where month(ordered_at) in (11, 12, 1))
        from orders""",
}


@pytest.fixture(scope="module")
def demo() -> RunQuery:
    return simulated_shop()


@pytest.mark.parametrize("statement", PLANTED)
def test_a_planted_effect_shows_in_the_simulated_shop(demo: RunQuery, statement: str) -> None:
    [figures] = demo(PLANTED[statement])
    # this held for each of twenty seeds
    assert all(less < more for less, more in pairwise(figures)), figures


def test_without_hazards_nobody_leaves_for_a_reason() -> None:
    idle = simulated_shop(customers=300, **dict.fromkeys(HAZARDS, 0.0))
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
def test_a_cause_that_is_switched_off_is_the_only_one_that_never_fires(
    hazards: list[str], cause: str
) -> None:
    causes = {"base", "mishap", "service_failure", "unrepaired", "competitor", "boredom"}
    fired = simulated_shop(customers=3000, **dict.fromkeys(hazards, 0.0))(
        "select distinct fired from true_order"
    )
    assert {name for (name,) in fired} == {"none", *causes} - {cause}


def test_a_core_customer_is_lost_to_a_minor_failure_only_if_it_was_not_resolved_within_sla(
    demo: RunQuery,
) -> None:
    rows = demo(
        """select in_time, complained, max(hazard_mishap + hazard_service_failure),
                  min(hazard_unrepaired), max(hazard_unrepaired)
           from true_order where stage = 'core' and mishap = 'minor' and not called group by all
           order by all"""
    )
    assert rows == [
        (False, False, 0, 0, 0),
        (False, True, 0, PARAMS.hazard_unrepaired, PARAMS.hazard_unrepaired),
        (True, True, 0, 0, 0),
    ]


def test_the_shop_can_see_which_failures_the_ground_truth_calls_resolved_in_time(
    demo: RunQuery,
) -> None:
    patience = dict(zip(("minor", "major", "critical"), PARAMS.patience_days, strict=True))
    rows = demo(
        """select severity, date_diff('day', opened_at, resolved_at), in_time
           from complaints join true_order using (order_id)
           where resolved_at is not null"""
    )
    assert {severity for severity, _, _ in rows} == set(patience)
    assert all((days <= patience[severity]) == in_time for severity, days, in_time in rows)


def test_the_ground_truth_has_the_chance_of_leaving_with_a_call_and_without(demo: RunQuery) -> None:
    causes = ("base", "mishap", "service_failure", "unrepaired", "competitor", "boredom")
    stays = " * ".join(f"(1 - hazard_{cause})" for cause in causes)
    [(orders, wrong, helped, saved)] = demo(
        f"""select count(*),
            count(*) filter (where abs(1 - {stays} - if(called, hazard_called,
            hazard_uncalled)) > 1e-5),
                   bool_and(hazard_called <= hazard_uncalled),
                   bool_and(hazard_called < hazard_uncalled) filter (where listed)
                   from true_order"""
    )
    assert orders > 0
    assert (wrong, helped, saved) == (0, True, True)


def test_a_call_reduces_every_reason_and_the_control_group_is_random(demo: RunQuery) -> None:
    [called], [held_out] = (
        demo(f"""select count(*), avg((fired <> 'none')::int), max(hazard_service_failure),
            max(hazard_unrepaired), max(hazard_competitor)
                 from true_order where listed and called = {called}""")
        for called in (True, False)
    )
    assert called[0] / (called[0] + held_out[0]) == pytest.approx(PARAMS.treatment_share, abs=0.05)
    assert called[1] < held_out[1]  # this held for each of twenty seeds
    assert called[2:] == pytest.approx(
        [PARAMS.treatment_factor * hazard for hazard in held_out[2:]]
    )
