"""The drafted SQL tried on the rows: the limits they need, and the horizon they allow."""

import contextlib
import io
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.defection.origins import HORIZONS_NEEDED, longest_horizon
from pipeline.inputs.checked import checked
from pipeline.inputs.checks import CODES
from pipeline.inputs.database import Db, fetch_all
from pipeline.inputs.init.draft import Draft
from pipeline.inputs.init.questions import Settings
from pipeline.runtime.errors import Refused
from pipeline.runtime.params import Params
from pipeline.runtime.sections import RawFile
from pipeline.runtime.store import Folder

# Codes whose rows may be left out without a question, up to this share: no person is behind them,
# or what they name lies before the data. Everything else is for `corekeep check`.
MAY_LEAVE_OUT = {
    "E_NO_CUSTOMER": 0.5,
    "E_UNKNOWN_CUSTOMER": 0.05,
    "E_UNKNOWN_ORDER": 0.05,
    "E_QUANTITY": 0.02,
    "E_RETURN_QUANTITY": 0.02,
    "E_RETURN_AMOUNT": 0.02,
    "E_NEGATIVE": 0.01,
    "E_NO_TIME": 0.01,
    "E_NO_AMOUNT": 0.01,
}


@dataclass
class Tried:
    """The limits and a horizon, each with its reason, and lines for people."""

    limits: dict[str, tuple[float, str]] = field(default_factory=dict)
    horizon: tuple[int, str] | None = None
    lines: list[str] = field(default_factory=list)
    plausible: dict[str, tuple[float, str]] = field(default_factory=dict)
    assumes_days: bool = False


def try_out(
    draft: Draft,
    shop: str,
    folder: Path,
    forms: dict[str, RawFile],
    settings: Settings,
    params: Params,
) -> Tried:
    """Return what the rows need when no limit stops them."""
    tried = Tried(plausible=draft.plausible, assumes_days=draft.assumes_days)
    limits = {**params.ingest.quarantine_limit, **dict.fromkeys(MAY_LEAVE_OUT, 1.0)}
    ingest = params.ingest.model_copy(
        update={
            "files": forms,
            "timezone": settings.timezone,
            "currency": settings.currency,
            "quarantine_limit": limits,
            **({"rebilled_days": 0} if draft.assumes_days else {}),
            "plausible": params.ingest.plausible.model_copy(
                update={name: value for name, (value, _) in draft.plausible.items()}
            ),
        }
    )
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            rows = checked(Folder(folder), draft.sql, ingest, params.engine, shop)
    except Refused as error:
        tried.lines += ["the rows are not accepted as they are:", *str(error).splitlines()]
        return tried
    default = params.ingest.quarantine_limit["default"]
    for table in rows.delivered:
        _limits(rows.db, table, default, params.ingest.quarantine_limit, tried)
    if params.calibrate.horizon_days == "auto":
        tried.horizon = _horizon(rows.db)
    return tried


def _limits(db: Db, table: str, default: float, known: dict[str, float], tried: Tried) -> None:
    """Note the limit for each code that takes more rows than the default, with its count."""
    sql = f"""select split_part(fate, ' ', 1), count(*), sum(count(*)) over () from staged_{table}
        group by 1 order by 1"""
    accepted = 0
    for code, count, total in fetch_all(db, sql):
        accepted += count if code is None else 0
        if code not in MAY_LEAVE_OUT or count <= known.get(code, default) * total:
            continue
        share = count / total
        reason = f"{count} of {total} rows of {table} ({share:.1%})"
        if share > MAY_LEAVE_OUT[code]:
            tried.lines.append(f"{code}: {reason} would be left out, which is too many to assume")
            continue
        limit = math.ceil(share * 110) / 100 if share > 0.02 else math.ceil(share * 1100) / 1000
        if code not in tried.limits or tried.limits[code][0] < limit:
            tried.limits[code] = (limit, reason)
        tried.lines.append(f"{code}: {reason} are left out: {CODES[code].message}")
    total = fetch_all(db, f"select count(*) from staged_{table}")[0][0]
    tried.lines.append(f"{table}: {accepted} of {total} rows accepted")


def _horizon(db: Db) -> tuple[int, str] | None:
    """Return a horizon for a history that is too short for the automatic one."""
    sql = """with visit as (
            select distinct customer_id, ordered_at::date as day from accepted_orders),
        gap as (
            select customer_id, day - lag(day) over (partition by customer_id order by day) as days
            from visit),
        own as (
            select median(days) as days from gap where days is not null
            group by customer_id having count(*) >= 2)
        select (select median(days) from own), (select max(day) - min(day) + 1 from visit)"""
    ipt, days = fetch_all(db, sql)[0]
    if ipt is None or HORIZONS_NEEDED * math.ceil(2 * ipt) <= days:
        return None
    reason = f"{days} days of orders: twice the IPT ({ipt:.0f} days) leaves too little history"
    return longest_horizon(int(days)), reason


def settings_text(shop: str, settings: Settings, forms: dict[str, RawFile], tried: Tried) -> str:
    """Return the shop's YAML file: what differs from params.yaml, each with its reason."""
    lines = [f"# {shop}: what differs from params.yaml, and why. Made by `corekeep init`.", ""]
    lines.append("ingest:")
    for name in ("timezone", "currency"):
        lines.append(_line(f"  {name}: {getattr(settings, name)}", settings.reasons.get(name, "")))
    if forms:
        lines.append("  files:")
    for name, form in forms.items():
        entries = form.model_dump(exclude_defaults=True)
        text = ", ".join(f"{key}: {_scalar(value)}" for key, value in entries.items())
        lines.append(f"    {_scalar(name)}: {{{text}}}")
    if tried.assumes_days:
        reason = "the days of refunds are assumed, so they show no correction"
        lines.append(_line("  rebilled_days: 0", reason))
    for section, values in (("quarantine_limit", tried.limits), ("plausible", tried.plausible)):
        lines += [f"  {section}:"] if values else []
        for name, (value, reason) in values.items():
            lines.append(_line(f"    {name}: {_scalar(value)}", reason))
    if tried.horizon:
        days, reason = tried.horizon
        lines += ["", "calibrate:", _line(f"  horizon_days: {days}", reason)]
    return "\n".join(lines) + "\n"


def _line(text: str, reason: str) -> str:
    return f"{text:<32} # {reason}" if reason else text


def _scalar(value: Any) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
