"""The control group: who is withheld from contact at random, and how many are needed."""

import hashlib
import math
from collections.abc import Iterable

import numpy as np

from features.records import Flags

Z = 1.959964  # two-sided 5 %
Z_POWER = 0.841621  # 80 % power: the customary level
GRID = np.arange(1, 51) / 100  # shares that are tried; half is the most efficient


def held_out(ids: Iterable[str], queues: Iterable[str], share: float, key: str, day: int) -> Flags:
    """Return who is in the control group: a keyed hash of customer, queue and period.

    `day` names the period. The next period draws anew, so nobody is withheld for ever.
    """

    def place(customer: str, queue: str) -> int:
        text = f"{queue}|{day}|{customer}".encode()
        digest = hashlib.blake2b(text, digest_size=8, key=key.encode()[:64]).digest()
        return int.from_bytes(digest, "big")

    hashes = [place(*pair) for pair in zip(ids, queues, strict=True)]
    return np.array(hashes, np.uint64) < np.uint64(min(share, 1 - 1e-12) * 2.0**64)


def customers_needed(risk: float, save_rate: float, share: float) -> int:
    """Return how many customers, called and withheld, show this save rate in four of five trials.

    Two proportions, two-sided 5 %, normal approximation (Fleiss, Levin and Paik 2003, chapter 4).
    `risk`: the share that churns without contact. 0 where there is nothing to show.
    """
    treated = min(max(risk * (1 - save_rate), 0.0), 1.0)
    effect = risk - treated
    if effect == 0:
        return 0
    variance = risk * (1 - risk) / share + treated * (1 - treated) / (1 - share)
    return math.ceil((Z + Z_POWER) ** 2 * variance / effect**2)


def control_share(
    customers: float, risk: float, save_rate: float, least: float, most: float
) -> float:
    """Return the smallest share for the control group that needs at most so many customers.

    Between `least` and `most`; `most` where even half of them would not show the save rate.
    """
    for share in GRID[(least <= GRID) & (most >= GRID)]:
        if 0 < customers_needed(risk, save_rate, share) <= customers:
            return float(share)
    return most
