"""A complaint, or a return, that was not resolved within its SLA."""

import math

from features.columns import Feature, Values
from features.history import is_open, sla_days
from features.ipt import shrunk_ipt
from features.kernel import kernel
from features.records import NEVER, Past
from models.reasons.context import Context, fade

ORDER = 0
NEEDS = (("complaints.resolved_at",), ("returns.settled_at",))
FEATURES = (
    Feature("evidence_unrepaired", "0..1", "evidence of an unrepaired problem", 0, monotone=1),
    Feature(
        "unrepaired_over_sla",
        "ratio",
        "longest time to resolution over the SLA, of cases opened since the last purchase",
        0,
        monotone=1,
    ),
)
FACTS = {
    "opened_on": "day",
    "resolved_on": "day",
    "days": "number",
    "sla_days": "number",
    "severity": ("minor", "major", "critical"),
    "kind": ("complaint", "return"),
    "id": "id",
}
BLIND = "Problems that nobody wrote down, and whether a resolution satisfied the customer."


@kernel
def past_sla(over: float) -> float:
    """Return the evidence of a case whose time is so many SLAs, more than one."""
    return 1 - 0.5 * math.exp(1 - over)


@kernel
def unrepaired(past: Past, at: Context, row: Values) -> None:
    """The worst case that is or was open for longer than its SLA.

    * Up to the SLA the evidence is 0. From then on it is 0.5 and grows towards 1:
      0.5 + 0.5 (1 - exp(1 - days / SLA)).
    * Each purchase after the breach halves it, and once the case is resolved so do {fade_ipts}
      expected IPTs.
    * A return is to be settled within {return_days} days.
    """
    rules, n, today = at.rules, len(past.purchases), past.snapshot - 1
    complaints, returns = len(past.complaints), len(past.returns)
    if complaints + returns == 0:
        return
    expected_ipt, last = shrunk_ipt(past.purchases, n, at.shop)[0], past.purchases[n - 1].day
    first = 0 if at.resolutions else complaints
    for i in range(first, complaints + returns * at.settlements):
        kind, place, severity, sla = 0, i, 0, float(rules.return_days)
        if i < complaints:
            case = past.complaints[i]
            opened, resolved, severity = case.opened, case.resolved, case.severity
            sla, waiting = sla_days(severity, at.shop.sla), is_open(case, today)
        else:
            kind, place = 1, i - complaints
            opened, resolved = past.returns[place].day, past.returns[place].settled
            waiting = resolved > today
        days = past.snapshot - opened if waiting else resolved - opened
        over = days / sla
        if opened >= last:
            row.unrepaired_over_sla = max(row.unrepaired_over_sla, over)
        if over <= 1:
            continue
        age = 0 if waiting else today - resolved
        left = fade(past, opened + int(sla), age, expected_ipt, rules)
        evidence = left * past_sla(over)
        if evidence > row.evidence_unrepaired:
            row.evidence_unrepaired = evidence
            row.unrepaired_opened_on, row.unrepaired_days = opened, days
            row.unrepaired_resolved_on = NEVER if waiting else resolved
            row.unrepaired_sla_days, row.unrepaired_severity = int(sla), severity
            row.unrepaired_kind, row.unrepaired_id = kind, place
            row.unrepaired_table = kind
