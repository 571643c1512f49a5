"""What only people know: time zone, currency, whether the proposal is right."""

import os
import re
import sys
import zoneinfo
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.inputs.init.columns import Column
from pipeline.inputs.init.draft import Draft
from pipeline.inputs.init.tables import Kind, RawTable
from pipeline.runtime.errors import ConfigError
from pipeline.runtime.progress import say

CURRENCIES = {"€": "EUR", "$": "USD", "£": "GBP", "₹": "INR", "¥": "JPY", "zł": "PLN", "CHF": "CHF"}
CODE = re.compile(r"(?<![A-Za-z])(EUR|USD|GBP|CHF|SEK|NOK|DKK|PLN|CZK|CAD|AUD|INR|JPY)(?![A-Za-z])")
NAMES = {"ordered_at": "time", "net_amount": "amount", "sku": "product", "label": "product name"}
YES = tuple("yjso")  # yes, ja, si, oui
SHOWN = 3  # samples of a column


@dataclass(frozen=True)
class Answers:
    """What people say on the command line. `columns`: the column of a role, by its name."""

    shop: str | None = None
    timezone: str | None = None
    currency: str | None = None
    day_first: bool | None = None
    thousands_point: bool | None = None
    columns: dict[str, str] = field(default_factory=dict)
    segments: tuple[str, ...] | None = None  # none are proposed where it is empty
    yes: bool = False
    force: bool = False

    @property
    def can_ask(self) -> bool:
        return not self.yes and sys.stdin.isatty()


@dataclass(frozen=True)
class Settings:
    """Time zone and currency, and where each comes from."""

    timezone: str
    currency: str
    reasons: dict[str, str]


def show(table: RawTable, kind: Kind, roles: dict[str, Column]) -> None:
    """Print what each column of a table is taken for, with samples."""
    say(f"{table.file}: {table.rows} rows, {'not used' if kind == 'unused' else kind}")
    for role, column in roles.items():
        samples = ", ".join(sample[:30] for sample in column.samples[:SHOWN])
        share = "" if column.share > 0.999 else f", {column.share:.0%} filled"
        say(f"  {NAMES.get(role, role):<14} {column.name:<24} {samples}{share}")
    chosen = {column.name for column in roles.values()}
    unused = [column.name for column in table.columns if column.name not in chosen]
    if unused and kind != "unused":
        say(f"  not used for {kind}: {', '.join(unused)}")


def confirm(answers: Answers) -> None:
    """Ask whether the columns are right. Raises ConfigError for no."""
    if answers.can_ask and not _ask("Is this right?", "yes").lower().startswith(YES):
        fix = "name the columns: --customer COLUMN --order COLUMN --time COLUMN --amount COLUMN ..."
        raise ConfigError("E_INIT", "columns", "the proposal is not right", fix)


def confirm_segments(answers: Answers, columns: list[Column]) -> list[Column]:
    """Return the columns of no telling name that people want as segments; by default none."""
    if not columns:
        return []
    names = ", ".join(f"{c.name} ({', '.join(c.samples[:SHOWN])})" for c in columns)
    if answers.can_ask:
        question = f"Customers keep their {names}: are these groups to filter lists by?"
        return columns if _ask(question, "no").lower().startswith(YES) else []
    say(f"  maybe segments: {names}; say --segments '{','.join(c.name for c in columns)}'")
    return []


def day_order(answers: Answers, file: str, column: Column) -> bool:
    """Return whether the day comes before the month. Raises ConfigError where nobody answers."""
    sample = column.samples[0]
    if answers.can_ask:
        question = f"{file}, {column.name}: does the day come first in {sample}?"
        return _ask(question, "yes").lower().startswith(YES)
    rule = f"days and months may be either way round in all rows, as in {sample}"
    fix = "say --day-first or --month-first"
    raise ConfigError("E_INIT", f"{file} {column.name}", rule, fix)


def point_settled(answers: Answers, file: str, column: Column) -> Column:
    """Return the column with what its point means: thousands, or decimals.

    Raises ConfigError where nobody answers.
    """
    if column.number is None or not column.number.unsure:
        return column
    sample = next(value for value in column.samples if "." in value)
    groups = answers.thousands_point
    if groups is None and answers.can_ask:
        question = f"{file}, {column.name}: does the point in {sample} separate thousands?"
        groups = _ask(question, "yes").lower().startswith(YES)
    if groups is None:
        rule = f"the point in {sample} may separate thousands or decimals, as in all rows"
        fix = "say --thousands-point or --decimal-point"
        raise ConfigError("E_INIT", f"{file} {column.name}", rule, fix)
    form = {"decimal": ",", "thousands": "."} if groups else {"is_decimal": True, "is_whole": False}
    return replace(column, number=replace(column.number, unsure=False, **form))


def settle(answers: Answers, draft: Draft, roles: dict[str, Column]) -> Settings:
    """Return time zone and currency: as given, as the values show, or as answered."""
    reasons: dict[str, str] = {}
    zone, currency = answers.timezone, answers.currency
    time = roles["ordered_at"].time
    if zone is None and time and time.dates_only and "clock" not in roles:
        zone, reasons["timezone"] = "UTC", "the times are days, so the zone moves nothing"
    if currency is None:
        currency = _currency_of(roles)
        reasons["currency"] = "as the file says" if currency else ""
    if currency is None and not roles.keys() & {"net_amount", "price"}:
        currency, reasons["currency"] = "EUR", "not used: the file has no amounts"
    if answers.can_ask:
        zone = zone or _ask("Time zone of the business, as in Europe/London?", _own_zone())
        currency = currency or _ask("Currency, as in EUR?", "EUR")
    elif not answers.yes:
        options = [("--timezone", zone), ("--currency", currency)]
        if missing := [option for option, value in options if value is None]:
            rule = f"not known from the file: {' and '.join(missing)}"
            raise ConfigError("E_INIT", "options", rule, "say them, or --yes for UTC and EUR")
    for name, value, default in (("timezone", zone, "UTC"), ("currency", currency, "EUR")):
        if value is None:
            reasons[name] = "assumed: correct it"
            say(f"  {name} {default}: assumed; say --{name} to set it")
    return Settings(_known_zone(zone or "UTC"), (currency or "EUR").upper(), reasons)


def _ask(question: str, default: str) -> str:
    return input(f"{question} [{default}] ").strip() or default


def _own_zone() -> str:
    """Return the time zone of this machine, UTC where it is not known."""
    name = os.environ.get("TZ") or str(Path("/etc/localtime").resolve()).partition("zoneinfo/")[2]
    return name or "UTC"


def _known_zone(name: str) -> str:
    try:
        zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        fix = "say one as in Europe/London"
        raise ConfigError("E_INIT", f"--timezone {name}", "not a time zone", fix) from None
    return name


def _currency_of(roles: dict[str, Column]) -> str | None:
    """Return the currency that a column, its name or its values say, if it is one only."""
    column = roles.get("currency")
    if column and column.distinct == 1 and re.fullmatch("[A-Za-z]{3}", column.samples[0]):
        return column.samples[0].upper()
    amount = roles.get("net_amount") or roles.get("price")
    texts = [amount.name, *amount.samples] if amount else []
    said = {match[1] for text in texts for match in CODE.finditer(text)}
    said |= {code for sign, code in CURRENCIES.items() for text in texts if sign in text}
    return said.pop() if len(said) == 1 else None
