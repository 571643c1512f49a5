"""Names and figures as people read them."""

import math
import re
from typing import Any

MISSING = "–"


def readable(name: str) -> str:
    """A name in words: `core_care` is Core care."""
    return name.replace("_", " ").capitalize()


def activity_name(activity: str) -> str:
    """The word for an activity: `late` is overdue."""
    return "overdue" if activity == "late" else activity


def unbroken(text: str) -> str:
    """Text in which no line ends between a number and its per cent sign."""
    return re.sub(r"(?<=\d) %", "\u00a0%", text)


def number(value: float | None, decimals: int = 0) -> str:
    """A figure with a comma between thousands; a dash for none."""
    return MISSING if value is None else f"{value:,.{decimals}f}"


def amount(value: float, value_unit: str, decimals: int = 0, sign: str = "") -> str:
    """A value in the shop's currency, or in pieces where the shop delivers no amounts."""
    figure = f"{value:{sign},.{decimals}f}"
    return f"{figure} pieces" if value_unit == "pieces" else f"{value_unit} {figure}"


def measure(value: float | None, unit: str, value_unit: str) -> str:
    """A feature's value with its unit."""
    if value is None or math.isnan(value):
        return "unknown"
    if unit == "share":
        return f"{value:.0%}"
    if unit == "currency":
        return amount(value, value_unit, 2)
    figure = f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"
    return f"{figure} {unit}" if unit in {"days", "sd", "per day"} else figure


def labelled(name: str, value: Any) -> tuple[str, str]:
    """One of the facts behind `why`: its name in words and its value."""
    if name.endswith("_days"):
        return readable(name.removesuffix("_days")), f"{value:,} days"
    return readable(name), str(value)
