"""What reasons to leave are judged by besides a customer's own past."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from features.kernel import kernel
from features.records import Floats, Past, Records, Shop, Singles, record
from models.reasons.settings import ReasonRules

WEEK = 7
SPEND, VISITS = range(2)
LAUNCH = record("i4 category starts ends")  # a market event; category -1 is every category
TALLY = record("i8 amount total", "i4 day group line before now", "f8 log_before log_now")


class Context(NamedTuple):
    """The shop, its rules and its market.

    `trends[c, k, w]` of all customers before day `first_day` + 7 w: the SPEND or the VISITS
    (purchases) with category c; the last c is the whole shop. `long_runs[c]`: how long a run of one
    item is rare in category c; the last of them is for items without a category. The rest is room
    to compute in: see `with_room` of evidence.py.
    """

    shop: Shop
    rules: ReasonRules
    resolutions: bool  # the shop records when complaints are resolved
    settlements: bool  # and when returns are settled
    market: bool  # and market events
    launches: Records
    first_day: int
    trends: npt.NDArray[np.float64]
    long_runs: Floats
    tallies: Records = np.empty(0, TALLY)  # a customer's categories
    work: Records = np.empty(0)
    cells: Singles = np.empty(0, np.float32)


@kernel
def fade(past: Past, day: int, age: int, expected_ipt: float, rules: ReasonRules) -> float:
    """Return what is left of an event's weight after so many days: half with each purchase since.

    * Each purchase after the event halves its evidence: the customer stayed in spite of it.
    * So do {fade_ipts} expected IPTs.
    """
    n, since = len(past.purchases), 0
    while since < n and past.purchases[n - 1 - since].day > day:
        since += 1
        if since > 10 * rules.fade_purchases:
            return 0.0
    return float(2.0 ** -(since / rules.fade_purchases + age / (rules.fade_ipts * expected_ipt)))
