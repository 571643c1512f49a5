"""The rule of core entry, compiled from the rows of `CONDITIONS`."""

from typing import Any

import numba

from features.ipt import shrunk_ipt
from features.kernel import kernel
from features.records import Past, Shop
from models.lifecycle.core_rules import CONDITIONS, Candidate, Condition
from models.lifecycle.limits import Limits
from models.lifecycle.satisfaction import failures

# A kernel made of others is compiled into its caller and cached there.
_joined: Any = numba.njit(nogil=True, _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def _lacking_of(conditions: tuple[Condition, ...]) -> Any:
    """Return a kernel: a bit for each condition that fails."""
    if not conditions:
        return _joined(lambda at, limits, expected_ipt: 0)
    *others, last = conditions
    bit, is_least = len(others), last.at_least is not None
    before, value, bound = _lacking_of(tuple(others)), kernel(last.value), kernel(last.bound)

    @_joined  # type: ignore[untyped-decorator]
    def bits(at: Candidate, limits: Limits, expected_ipt: float) -> int:
        measured, limit = value(at), bound(limits, expected_ipt)
        fails = measured < limit if is_least else measured > limit
        return int(before(at, limits, expected_ipt)) | int(fails) << bit

    return bits


_bits = _lacking_of(CONDITIONS)


@kernel
def lacking(past: Past, n: int, probation: int, shop: Shop, limits: Limits) -> int:
    """A bit for each of CONDITIONS that the n-th purchase lacks as of the end of its day."""
    day = past.purchases[n - 1].day
    days = day - past.purchases[0].day
    expected_ipt, log_sd = shrunk_ipt(past.purchases, n, shop)
    complaints, defects, grave, late = failures(past, day, shop.sla)
    at = Candidate(past, n, days, expected_ipt, log_sd, complaints, defects, grave, late, probation)
    return int(_bits(at, limits, shop.expected_ipt))
