"""The calendar of the model: test origins, the snapshots to train on, and last year's season."""

import math
from typing import Any, Literal

YEAR = 364  # days: 52 weeks, so that a weekday falls on the same

# two of history, one to train and one to test, and one between the first and the last origin
HORIZONS_NEEDED = 5
# to train on, further ones change little; a day has a season, the spend of a year hardly any
DAY_SNAPSHOTS, SPEND_SNAPSHOTS = 8, 4


def longest_horizon(days: int) -> int:
    """Return the longest horizon that a history of so many days has room for, one to spare."""
    longest = days // (HORIZONS_NEEDED + 1)
    return max(longest // 10 * 10 or longest, 1)


def calendar(
    first: int,
    end: int,
    horizon: int,
    *,
    origins: int,
    training_snapshots: int,
    step_days: int | Literal["auto"],
    min_history_days: int | Literal["auto"],
) -> dict[str, Any]:
    """Return test origins and, for each, the training snapshots T with T + horizon <= origin.

    Days are numbers. `final`: the training snapshots of the final model, whose origin is the end of
    the data. `season`: with the day a year before each, as far as the history reaches, the days at
    which a model scores or is evaluated, and training snapshots a horizon apart. `forecasts`: the
    plan (see `forecast_plan`) for the day of the next purchase, and for the spend of a year or of
    what the history allows; the latter also names the snapshots to train on at each test origin.
    `tracking`: regular snapshots back to the first event.
    """
    step = math.ceil(horizon / 2) if step_days == "auto" else step_days
    earliest = first + (2 * horizon if min_history_days == "auto" else min_history_days)

    def training_for(origin: int) -> list[int]:
        days = [origin - horizon - j * step for j in range(training_snapshots)]
        return sorted(day for day in days if day >= earliest)

    tested = sorted(end - horizon - k * step for k in range(origins))
    training = {origin: days for origin in tested if (days := training_for(origin))}
    final = training_for(end)
    apart = math.ceil(horizon / step)
    seasonal = {*training, end}.union(*(days[::-apart] for days in [*training.values(), final]))
    season = {
        day: day - YEAR for day in sorted(seasonal) if day - YEAR >= earliest and horizon <= YEAR
    }
    snapshots = {*season.values(), *final, *training}.union(*training.values())
    known = min(training, default=end) - earliest  # days whose spend is known at all test origins
    value_days = max(horizon, min(365, (end - earliest) // 2, known))

    def plan(days: int, most: int) -> dict[str, Any]:
        return forecast_plan(sorted(snapshots), earliest, end, days, horizon, most)

    value = plan(value_days, SPEND_SNAPSHOTS)
    at = sorted(snapshots.union(value["training"], value["final"]))
    value["origins"] = {
        o: known_before(at, o - value_days, horizon, SPEND_SNAPSHOTS) for o in training
    }
    return {
        "step": step,
        "training": training,
        "final": final,
        "forecasts": {"timing": plan(2 * horizon, DAY_SNAPSHOTS), "value": value},
        "tracking": list(range(end, first, -step))[::-1],
        "season": season,
    }


def forecast_plan(
    snapshots: list[int], earliest: int, end: int, days: int, apart: int, most: int
) -> dict[str, Any]:
    """Return the newest `origin` whose outcome, of so many days, is known at the end of the data.

    `training` and `final`: the snapshots to train on at the origin and at the end, which are known
    by then, `most` or fewer. They lie `apart` days from each other or more: closer ones have nearly
    the same outcomes. Most are snapshots that the features are computed at anyway.
    """

    def known_by(origin: int) -> list[int]:
        newest = [origin - days] if origin - days >= earliest else []
        return known_before(sorted({*snapshots, *newest}), origin - days, apart, most)

    origin = end - days
    return {"days": days, "origin": origin, "training": known_by(origin), "final": known_by(end)}


def known_before(snapshots: list[int], latest: int, apart: int, most: int) -> list[int]:
    """Return the newest of ascending snapshots up to `latest`, `apart` days or more apart.

    `most` or fewer.
    """
    kept: list[int] = []
    for day in reversed(snapshots):
        if day <= latest and (not kept or day <= kept[-1] - apart):
            kept.append(day)
    return kept[:most][::-1]
