"""Whether as many customers leave as can: a base rate that no shop has is an error in the data."""

from pipeline.runtime.errors import QualityError
from pipeline.runtime.sections import Evaluate


def require_plausible(base_rate: float, params: Evaluate) -> None:
    """Raise QualityError for a base rate of the benchmark outside `evaluate.base_rate_range`."""
    lowest, highest = params.base_rate_range
    if lowest <= base_rate <= highest:
        return
    rule = f"{base_rate:.1%} of the repeat buyers churn within a horizon, in a shop {lowest:.0%} "
    rule += f"to {highest:.0%} do"
    fix = "compare customer ids over time and calibrate.horizon_days, "
    fix += "or set evaluate.base_rate_range with the reason"
    raise QualityError("E_BASE_RATE", "data/labels", rule, fix)
