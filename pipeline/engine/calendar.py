"""Day numbers and dates, the shop's open days, and the constants of the shop for the kernels."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.records import NEVER, Ints, Shop
from features.settings import IptRules, Sla, Windows
from pipeline.runtime.sections import WEEKDAYS

EPOCH = dt.date(1970, 1, 1)
NO_WINDOWS = Windows((), ())
LAST_DAY = "2200-01-01"  # no deadline is later


def day_number(date: str) -> int:
    """Return the days from 1970-01-01 to an ISO date."""
    return (dt.date.fromisoformat(date) - EPOCH).days


def iso_date(day: int) -> str:
    """Return the ISO date that many days after 1970-01-01."""
    return (EPOCH + dt.timedelta(days=int(day))).isoformat()


def opened_by(closed: Sequence[str]) -> Ints:
    """Return the number of open days before each day from 1970-01-01 on; empty if never closed.

    `closed`: weekdays and dates on which the shop is closed.
    """
    if not closed:
        return np.empty(0, np.int32)
    days = np.arange(day_number(LAST_DAY))
    shut = [WEEKDAYS.index(day) for day in closed if day in WEEKDAYS]
    dates_shut = [day_number(day) for day in closed if day not in WEEKDAYS]
    # 1970-01-01 was a Thursday
    open_on = ~(np.isin((days + 3) % 7, shut) | np.isin(days, dates_shut))
    return np.concatenate([[0], np.cumsum(open_on)]).astype(np.int32)


def shop_of(
    calibration: dict[str, Any],
    ipt: IptRules,
    sla: Sla,
    closed: Sequence[str],
    windows: Windows = NO_WINDOWS,
) -> Shop:
    """Return the constants of a shop for the kernels; features alone need the windows."""
    counts, trends = (np.array(days, np.int32) for days in windows)
    expected_ipt, log_sd = float(calibration["expected_ipt"]), float(calibration["log_sd"])
    return Shop(ipt, sla, expected_ipt, log_sd, opened_by(closed), counts, trends)


def dates(days: npt.NDArray[np.int32]) -> pa.Array:
    """Return day numbers as dates, NEVER as null."""
    days = np.ascontiguousarray(days)
    return pa.array(days, pa.int32(), mask=days == NEVER).cast(pa.date32())
