"""The calendar: no training snapshot has labels from days on which its origin is evaluated."""

import itertools
import math
from typing import Any

import pytest
from frozen import params
from hypothesis import given, settings
from hypothesis import strategies as st

from models.defection.origins import calendar

DEFAULTS = params().calibrate


def calendar_of(first: int, end: int, horizon: int, **changes: Any) -> dict[str, Any]:
    names = {"origins", "training_snapshots", "step_days", "min_history_days"}
    return calendar(first, end, horizon, **{**DEFAULTS.model_dump(include=names), **changes})


CALENDARS = st.tuples(
    st.integers(0, 20_000),
    st.integers(1, 2_500),
    st.integers(1, 200),
    st.one_of(st.just("auto"), st.integers(1, 120)),
    st.one_of(st.just("auto"), st.integers(1, 400)),
    st.integers(1, 5),
    st.integers(1, 20),
)
hold = settings(max_examples=200, deadline=None, derandomize=True)


@hold
@given(CALENDARS)
def test_every_calendar_keeps_training_labels_before_the_origin(
    drawn: tuple[int, int, int, int | str, int | str, int, int],
) -> None:
    first, length, horizon, step_days, history, origins, snapshots = drawn
    end = first + length
    days = calendar_of(
        first,
        end,
        horizon,
        step_days=step_days,
        min_history_days=history,
        origins=origins,
        training_snapshots=snapshots,
    )
    step = math.ceil(horizon / 2) if step_days == "auto" else step_days
    earliest = first + (2 * horizon if history == "auto" else int(history))
    assert days["step"] == step
    assert set(days["training"]) <= {end - horizon - k * int(step) for k in range(origins)}
    for origin, training in [*days["training"].items(), (end, days["final"])]:
        assert all(snapshot + horizon <= origin for snapshot in training)
        assert all(snapshot >= earliest for snapshot in training)
        assert len(training) <= snapshots
        assert training == sorted(set(training))
    assert all(training for training in days["training"].values())
    for name, plan in days["forecasts"].items():
        at_origins = plan.get("origins", {})
        cuts = [(plan["origin"], plan["training"]), (end, plan["final"]), *at_origins.items()]
        for origin, training in cuts:
            assert all(earliest <= day <= origin - plan["days"] for day in training)
            assert all(b - a >= horizon for a, b in itertools.pairwise(training))
            assert len(training) <= (4 if name == "value" else 8)
    assert days["forecasts"]["value"]["origins"].keys() == days["training"].keys()
    for day, before in days["season"].items():
        assert earliest <= before
        assert before + horizon <= day


def test_days_a_year_before_exist_for_evaluated_days_and_training_a_horizon_apart() -> None:
    days = calendar_of(0, 730, 60, origins=2, training_snapshots=3)
    assert days["season"] == {day: day - 364 for day in (*range(520, 671, 30), 730)}
    assert calendar_of(0, 364 + 119, 60, origins=1)["season"] == {}


@hold
@given(CALENDARS)
def test_the_regular_snapshots_run_back_from_the_end_to_the_first_event(
    drawn: tuple[int, int, int, int | str, int | str, int, int],
) -> None:
    first, length, horizon, step_days, *_ = drawn
    days = calendar_of(first, first + length, horizon, step_days=step_days)
    regular = days["tracking"]
    assert regular[-1] == first + length
    assert first < regular[0] <= first + days["step"]
    assert {b - a for a, b in zip(regular, regular[1:], strict=False)} <= {days["step"]}


def test_two_years_with_a_horizon_of_sixty_days() -> None:
    days = calendar_of(0, 730, 60, origins=2, training_snapshots=3)
    assert days["training"] == {640: [520, 550, 580], 670: [550, 580, 610]}
    assert days["final"] == [610, 640, 670]


@pytest.mark.parametrize(("length", "origins"), [(239, []), (240, [180])])
def test_an_origin_without_training_snapshots_is_left_out(length: int, origins: list[int]) -> None:
    # The shortest history: 120 days before the first training snapshot, its horizon of 60, and the
    # origin's horizon of 60.
    assert list(calendar_of(0, length, 60, origins=3)["training"]) == origins
