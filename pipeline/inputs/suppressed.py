"""Who must not be contacted or profiled: a list that suppresses nobody stops the run."""

import datetime as dt
import unicodedata
import zoneinfo
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.inputs.database import Db, fetch_all, fetch_value
from pipeline.inputs.origins import raw_column
from pipeline.inputs.plausible import PLACE, ZEROS
from pipeline.inputs.returned import cells
from pipeline.runtime.errors import QualityError
from pipeline.runtime.sections import Privacy

CHECK = "compare the ids with those of customers: capitals, zeros in front, `.0`, spaces"


def require_matches(db: Db, place: str) -> None:
    """Raise QualityError unless the table of suppressions names known customers as they are known.

    A suppression that names a customer in another spelling only would suppress nobody.
    """
    near = f"""select count(*), {PLACE}
        from staged_suppressions where starts_with(fate, 'E_SUPPRESSED_UNKNOWN')
        and {ZEROS} in (select {ZEROS} from accepted_customers)"""
    count, first = fetch_all(db, near)[0]
    if count:
        rule = f"{count} suppressions name a customer in another spelling only, so they are lost"
        column = raw_column(db, "suppressions", "customer_id")
        raise QualityError("E_SUPPRESSIONS", f"{first} {column}", rule, CHECK)
    if fetch_value(db, "select count(*) from accepted_suppressions") == 0:
        rows = fetch_value(db, "select count(*) from staged_suppressions")
        rule = f"not one of {rows} suppressions names a customer, so nobody would be suppressed"
        fix = f"{CHECK}; without suppressions leave out the view"
        raise QualityError("E_SUPPRESSIONS", f"{place} suppressions", rule, fix)


def alike(customer: str) -> str:
    """Return an id in a form that ids alike share: rather one too many suppressed than one missed.

    Without capitals, outer blanks, zeros in front and `.0` at the end.
    """
    text = unicodedata.normalize("NFC", customer).strip().casefold()
    return text.removesuffix(".0").lstrip("0") or text


def suppressed_today(
    known: Iterable[str],
    as_of: str,
    timezone: str,
    privacy: Privacy,
    root: Path,
    aliases: Mapping[str, str],
) -> dict[str, bool]:
    """Return the known customers whom the configured file suppresses; True forbids profiling too.

    `aliases`: the canonical id of each alias; an objection under either holds.
    Read when the list is published, because somebody may have objected since the last data. Raises
    QualityError if the file is missing, older than allowed, or names none of the customers.
    """
    if privacy.suppressions is None:
        return {}
    path, place = root / privacy.suppressions, privacy.suppressions
    if not path.is_file():
        rule, fix = "the file of suppressions is missing", "export it again"
        raise QualityError("E_SUPPRESSIONS", place, rule, fix)
    midnight = dt.datetime.fromisoformat(as_of).replace(tzinfo=zoneinfo.ZoneInfo(timezone))
    age = midnight - dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC)
    if age > dt.timedelta(hours=privacy.suppressions_max_age_hours):
        rule = f"the file of suppressions is {age.total_seconds() / 3600:.0f} hours older than "
        rule += f"the list, allowed are {privacy.suppressions_max_age_hours}"
        raise QualityError("E_SUPPRESSIONS", place, rule, "export it again")
    scopes: dict[str, bool] = {}
    for _, row in cells(path, ("customer_id",)):
        name = alike(row["customer_id"])
        scopes[name] = scopes.get(name, False) or "profil" in row.get("scope", "").lower()
    for alias, customer in aliases.items():
        if (name := alike(alias)) in scopes:
            key = alike(customer)
            scopes[key] = scopes.get(key, False) or scopes[name]
    matched = {name: scopes[key] for name in known if (key := alike(name)) in scopes}
    if not matched:
        rule = f"not one of its {len(scopes)} ids is a customer, so nobody would be suppressed"
        raise QualityError("E_SUPPRESSIONS", place, rule, CHECK)
    return matched
