"""`corekeep check SHOP`: what is wrong with a shop's data, then what the data supports.

It runs the stages `ingest` and `calibrate` into a temporary folder, so it reports what they would.
"""

import contextlib
import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.catalogue import FEATURES
from features.columns import recorded
from models.defection.origins import HORIZONS_NEEDED, longest_horizon
from models.hypotheses.catalogue import HYPOTHESES
from models.reasons.catalogue import CATALOGUE
from pipeline.engine.base_rate import require_plausible
from pipeline.engine.calendar import day_number
from pipeline.engine.lifecycle import lifecycle_work
from pipeline.engine.run import over
from pipeline.runtime import store
from pipeline.runtime.errors import ConfigError, Refused
from pipeline.runtime.params import Params, load, require_shop, require_source
from pipeline.runtime.runner import function
from pipeline.runtime.store import Folder

COLUMNS = ("customer_id", "snapshot", "purchases", "last_purchase_on", "scored")


def readiness(shop: str, root: Path) -> dict[str, Any]:
    """Return what is wrong and what the data supports; `exit_code` is that of the worst finding.

    Raises ConfigError for a shop, a parameter or a file that is not there, and InputError for files
    that cannot be read.
    """
    require_shop(shop, f"check {shop}", root)
    require_source(shop, root)
    params = load(root, shop)
    raw = root / "data" / "shops" / shop
    if not raw.is_dir():
        fix = f"put them there, or `corekeep init FILES --shop {shop}`"
        raise ConfigError("E_SHOP", f"data/shops/{shop}", "the shop's raw files are missing", fix)
    sql = (root / "sources" / f"{shop}.sql").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="corekeep-check-") as folder:
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                own = root / "data" / "returned" / shop
                returned = Folder(own) if own.is_dir() else None
                read = Folder(raw), sql, params.ingest, params.engine, shop, returned
                result = function("ingest")(*read)
                store.write(Path(folder) / "events", result["events"])
                supports = _supports(Folder(Path(folder) / "events"), params)
        except Refused as error:
            return _refused(shop, error)
    return {
        "shop": shop,
        "exit_code": 0,
        "findings": [],
        "tables": result["ingest"]["tables"],
        "supports": supports,
    }


def _refused(shop: str, error: Refused) -> dict[str, Any]:
    findings = [
        {"code": e.code, "place": e.place, "rule": e.rule, "fix": e.fix, "exit_code": e.exit_code}
        for e in (error, *error.others)
    ]
    return {"shop": shop, "exit_code": error.exit_code, "findings": findings}


def _supports(events: Folder, params: Params) -> dict[str, Any]:
    """Return what accepted events allow: the calendar, the counts, what is out of reach."""
    meta = events.read("meta.json")
    days = day_number(meta["data_end"]) - day_number(meta["first_event"])
    supports: dict[str, Any] = {
        "customers": meta["customers"],
        "order_lines": meta["lines"],
        "first_event": meta["first_event"],
        "data_end": meta["data_end"],
        "history_days": days,
        "out_of_reach": _out_of_reach(recorded(meta["tables"])),
    }
    try:
        frozen = function("calibrate")(
            events, params.calibrate, params.reasons, params.closed, params.engine
        )
    except ConfigError as error:
        return {**supports, "model": False, "why_not": f"{error.rule}: {error.fix}"}
    calibration = frozen["calibration"]
    counts = _counts(events, params, calibration, frozen["trends"])
    needed, least = params.evaluate.min_rows, params.evaluate.min_outcomes
    origins = len(calibration["origins"])
    why_not = ""
    if not origins:
        horizon = calibration["horizon_days"]
        why_not = (
            f"{days} days of orders are too short for a horizon of {horizon} days: a test needs "
            f"{HORIZONS_NEEDED} horizons; wait, or set calibrate.horizon_days to "
            f"{longest_horizon(days)}"
        )
    elif counts["tested"] < needed:
        why_not = (
            f"{counts['tested']} customers to test on, all origins together, and {needed} are "
            "needed (evaluate.min_rows): with fewer, chance decides which scorer is best"
        )
    elif (rarer := min(counts["churned"], counts["tested"] - counts["churned"])) < least:
        why_not = (
            f"{rarer} of the {counts['tested']} tested customers have the rarer outcome, and "
            f"{least} are needed (evaluate.min_outcomes): with fewer, the AUC is a guess"
        )
    else:
        require_plausible(counts["churned"] / counts["tested"], params.evaluate)
    return {
        **supports,
        "expected_ipt_days": calibration["expected_ipt"],
        "ipts": calibration["gaps"],
        "ipts_needed": params.calibrate.min_gaps,
        "horizon_days": calibration["horizon_days"],
        "origins": list(calibration["origins"]),
        **counts,
        "tested_needed": needed,
        "model": not why_not,
        "why_not": why_not,
    }


def _counts(
    events: Folder, params: Params, calibration: dict[str, Any], trends: pa.Table
) -> dict[str, int]:
    """Return how many customers are scored at the end, and tested at all origins together.

    `churned`: of the tested ones, without a purchase within the horizon.
    """
    end = day_number(calibration["data_end"])
    origins = [day_number(day) for day in calibration["origins"]]
    horizon = calibration["horizon_days"]
    days = sorted({*origins, *(day + horizon for day in origins), end})
    rules = params.assign, params.reasons, params.ipt, params.sla, params.closed
    work = lifecycle_work(events, calibration, trends, *rules)

    def rows(part: Any) -> pa.Table:
        return work(part, snapshots=np.array(days, np.int32)).select(COLUMNS)

    table = pa.concat_tables(rows for _, rows in over(events, params.engine, rows, "life cycle"))
    at = table["snapshot"].cast(pa.int32()).to_numpy()
    recency = at - table["last_purchase_on"].cast(pa.int32()).fill_null(-(1 << 20)).to_numpy()
    repeated = (table["purchases"].to_numpy() >= 2) & (
        recency <= calibration["benchmark_recency_days"]
    )
    tested = repeated & np.isin(at, origins)
    bought = pd.Series(table["purchases"].to_numpy(), [table["customer_id"].to_pandas(), at])
    keys = [table["customer_id"].to_pandas()[tested], at[tested] + horizon]
    later = bought.reindex(pd.MultiIndex.from_arrays(keys)).to_numpy()
    scored = pc.fill_null(table["scored"].cast(pa.bool_()), False).to_numpy()
    return {
        "buyers": int(np.sum((at == end) & (table["purchases"].to_numpy() > 0))),
        "scored": int(np.sum(scored & (at == end))),
        "tested": int(np.sum(tested)),
        "churned": int(np.sum(later == table["purchases"].to_numpy()[tested])),
    }


def _out_of_reach(delivered: set[str]) -> dict[str, dict[str, Any]]:
    """Return, by what would have to be delivered, the features, hypotheses and reasons lacking."""
    lacking: dict[str, dict[str, Any]] = {}

    def note(kind: str, name: str, needs: tuple[str, ...]) -> None:
        for need in needs:
            if need not in delivered:
                lacking.setdefault(need, {}).setdefault(kind, []).append(name)

    for feature in FEATURES:
        note("features", feature.name, feature.needs)
    for hypothesis in HYPOTHESES:
        note("hypotheses", hypothesis.id, tuple(hypothesis.needs.split()))
    for reason in CATALOGUE:
        if not reason.is_recorded(delivered):
            note("reasons", reason.name, reason.needs[0])
    return lacking


def as_text(result: dict[str, Any]) -> str:
    """Return the result for people: what is wrong, or what the data supports."""
    findings = result["findings"]
    if findings:
        lines = [f"{len(findings)} {'findings' if len(findings) > 1 else 'finding'}:", ""]
        for number, finding in enumerate(findings, start=1):
            lines += [
                f"{number}. {finding['code']} {finding['place']}",
                f"   {finding['rule']}",
                f"   what to do: {finding['fix']}",
            ]
        return "\n".join(lines)
    lines = []
    for table, account in result["tables"].items():
        left = {**account["quarantined"]}
        names = ("exact_duplicates", "out_of_window", "erased", "merged", "rebilled")
        left |= {name: account[name] for name in names if account.get(name)}
        more = ", ".join(f"{name} {count}" for name, count in left.items())
        lines.append(
            f"{table}: {account['accepted']} of {account['rows_in']} rows accepted"
            + (f" ({more})" if more else "")
        )
    return "\n".join([*lines, "", *_support_lines(result["supports"])])


def _support_lines(supports: dict[str, Any]) -> list[str]:
    lines = [
        f"{supports['customers']} customers, {supports['first_event']} to {supports['data_end']} "
        f"({supports['history_days']} days)"
    ]
    if "horizon_days" in supports:
        lines += [
            f"expected IPT {supports['expected_ipt_days']:.3g} days, from {supports['ipts']} IPTs "
            f"(at least {supports['ipts_needed']})",
            f"horizon {supports['horizon_days']} days, test origins: "
            + (", ".join(supports["origins"]) or "none"),
            f"buyers {supports['buyers']}, scored today {supports['scored']}, tested at the "
            f"origins {supports['tested']} (at least {supports['tested_needed']}: with fewer, "
            "chance decides which scorer is best)",
        ]
    lines.append(
        "enough for a model"
        if supports["model"]
        else f"no model yet, but stages and queues: {supports['why_not']}"
    )
    for need, lacking in supports["out_of_reach"].items():
        parts = [
            f"{len(names)} features" if kind == "features" else f"{kind} {', '.join(names)}"
            for kind, names in lacking.items()
        ]
        lines.append(f"without {need}: no {'; no '.join(parts)}")
    return lines
