"""What to do about each customer, by whom and by when: the plays of playbook.yaml applied."""

from typing import Any

import numpy as np
import pyarrow as pa

from features.records import Floats, Ints
from models.decision.playbook import By, Playbook
from pipeline.delivery.facts import Facts, of_these, say


def _ahead(day: Floats, today: Ints, latest: Ints) -> Ints:
    """The day, where it is known and lies from today to the latest day; else the latest."""
    inside = (day >= today) & (day < latest)
    return np.where(inside, day, latest).astype(np.int32)


def to_do(
    playbook: Playbook, f: Facts, today: Ints, dates: dict[str, Floats], language: str
) -> dict[str, Any]:
    """Return `action`, `owner` (texts) and `act_by` (a day) of each customer.

    `f` has `queue`, `situation` and the facts behind the placeholders. `dates`: DATES as days, NaN
    for none, and `ipt_days`.
    """
    size = len(today)
    queue, situation = f["queue"], f["situation"]
    codes = queue.codes.astype(np.int64) * len(situation.values) + situation.codes
    owners = np.empty(size, object)
    texts, order = [pa.array([], pa.string())], [np.empty(0, np.int64)]  # for no rows at all
    act_by = np.empty(size, np.int32)
    for code in np.unique(codes):
        which = np.flatnonzero(codes == code)
        place, reason = divmod(int(code), len(situation.values))
        play = playbook.play_of(queue.values[place], situation.values[reason])
        texts.append(say(of_these(f, which), play.action(language)))
        order.append(which)
        owners[which] = getattr(playbook.owners[play.owner], language)
        act_by[which] = _act_by(play.by, today[which], {n: d[which] for n, d in dates.items()})
    action = pa.concat_arrays(texts).take(pa.array(np.argsort(np.concatenate(order))))
    return {"action": action, "owner": pa.array(owners, pa.string()), "act_by": act_by}


def _act_by(by: By, today: Ints, dates: dict[str, Floats]) -> Ints:
    day = (today + by.days).astype(np.int32)
    if by.sla_share:
        opened = dates["complaint_opened_on"]
        length = np.ceil(by.sla_share * (dates["complaint_due_on"] - opened))
        day = _ahead(opened + length, today, day)
    if by.ipt_share:
        length = np.ceil(by.ipt_share * dates["ipt_days"])
        day = _ahead(dates["delivered_on"] + length, today, day)
    return _ahead(dates["limit_on"], today, day) if by.limit else day
