"""The volume of a shop's orders against its last run: a delivery cut short, or in another unit.

The figures lie in .cache and say nothing of a person.
"""

from pathlib import Path
from typing import Any

from pipeline.inputs.database import Db, fetch_all
from pipeline.runtime import store
from pipeline.runtime.errors import QualityError
from pipeline.runtime.progress import warn
from pipeline.runtime.sections import Ingest

FIX = "deliver all orders as before; or set ingest.against_last.then to warn for one run"


def check_volume(db: Db, params: Ingest, end: str, shop: str, root: Path) -> None:
    """Compare lines and amounts with the last run, then keep those of this run.

    Raises QualityError beyond the limits, or warns where the parameters say so. A past day that was
    chosen is not compared: it has fewer orders.
    """
    lines, amount = fetch_all(
        db, "select count(*), median(net_amount)::double from accepted_orders where net_amount > 0"
    )[0]
    now = {"lines": lines, "median_amount": amount, "data_end": end}
    kept = root / ".cache" / "last_run" / f"{shop}.json"
    if kept.exists():
        before = store.read(kept)
        if params.data_end and end < before["data_end"]:
            return
        for code, rule in _broken(now, before, params):
            if params.against_last.then == "stop":
                raise QualityError(code, f"orders of {shop}", rule, FIX)
            warn(f"orders of {shop}: {rule}")
    store.write(kept, now)


def _broken(now: dict[str, Any], before: dict[str, Any], params: Ingest) -> list[tuple[str, str]]:
    """Return code and rule for each limit that is exceeded."""
    limits, broken = params.against_last, []
    fall = 1 - now["lines"] / before["lines"] if before["lines"] else 0
    if fall > limits.lines_fall:
        counts = f"{now['lines']} lines, {before['lines']} in the last run"
        broken.append(("E_VOLUME", f"{counts}: the limit is a fall of {limits.lines_fall:.0%}"))
    if now["median_amount"] and before["median_amount"]:
        ratio = now["median_amount"] / before["median_amount"]
        if max(ratio, 1 / ratio) > limits.price_times:
            rule = f"the median amount is {ratio:.3g} times that of the last run"
            broken.append(("E_PRICES", f"{rule}: the limit is {limits.price_times:g} times"))
    return broken
