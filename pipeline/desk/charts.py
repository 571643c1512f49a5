"""The charts of the page as SVG, coloured by style.css, each with title and content in words."""

import datetime as dt
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup

from features.records import Floats
from models.lifecycle.states import STAGES

GONE = ("lapsed", "stale")  # activities of customers who will hardly buy again by themselves
PERIODS = 26  # bars of the flow chart that remain distinguishable
NAMES = ("Prospects", "First-time", "Early repeat", "Core", "Core defectors")
STAGE_NAMES = dict(zip(STAGES, NAMES, strict=True))


class ScorerAuc(NamedTuple):
    """A scorer's AUC with its 95 % interval; `chosen` made today's list."""

    name: str
    auc: float
    low: float
    high: float
    chosen: bool


def _svg(size: tuple[int, int], name: str, title: str, words: str, parts: list[Markup]) -> Markup:
    return Markup(
        '<svg viewBox="0 0 {0} {1}" role="img" aria-labelledby="{2}-t {2}-d"><title id="{2}-t">{3}'
        '</title><desc id="{2}-d">{4}</desc>{5}</svg>'
    ).format(*size, name, title, words, Markup("").join(parts))


LINE = Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format
TEXT = Markup('<text class="{}" x="{:.1f}" y="{:.1f}">{}</text>').format
DOT = Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="4.5"/>').format
RECT = Markup(
    '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}">{}</rect>'
).format


def _rect(kind: str, x: float, y: Any, width: float, height: Any, title: str = "") -> Markup:
    inner = Markup("<title>{}</title>").format(title) if title else ""
    return RECT(kind, x, y, width, height, inner)


def _shape(tag: str, kind: str, x: Floats, y: Floats) -> Markup:
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    return Markup('<{0} class="{1}" points="{2}"/>').format(tag, kind, points)


def ticks(low: float, high: float, most: int = 4) -> list[float]:
    """Round numbers from low to high, about `most` of them."""
    raw = max(high - low, 1e-9) / most
    size = 10 ** np.floor(np.log10(raw))
    step = float(next(size * k for k in (1, 2, 5, 10) if size * k >= raw))
    return [k * step for k in range(int(np.ceil(low / step)), int(np.floor(high / step)) + 1)]


def apart(wanted: list[float], gap: float, bottom: float) -> list[float]:
    """Heights of labels from top to bottom, moved as little as needed to stand `gap` apart and
    above `bottom`.
    """
    placed = list(wanted)
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + gap)
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], bottom)
        bottom = placed[i] - gap
    return placed


def _years(dates: list[dt.date]) -> list[tuple[dt.date, str]]:
    days = [dt.date(year, 1, 1) for year in range(dates[0].year, dates[-1].year + 1)]
    years = [(day, str(day.year)) for day in days if dates[0] <= day <= dates[-1]]
    return years if len(years) > 1 else [(day, day.isoformat()) for day in (dates[0], dates[-1])]


def stage_chart(counts: pd.DataFrame) -> Markup:
    """Customers per stage over the snapshots, stacked in the order of life; lapsed and stale faded.

    `counts`: as_of (ISO), stage, activity, customers; at least two snapshots.
    """
    sums = counts.assign(gone=counts["activity"].isin(GONE)).pivot_table(
        index="as_of", columns=["stage", "gone"], values="customers", aggfunc="sum", fill_value=0
    )
    by_stage = sums.T.groupby(level="stage").sum().T.reindex(columns=STAGES, fill_value=0)
    dates = [dt.date.fromisoformat(day) for day in sums.index]
    days = np.array([day.toordinal() for day in dates], np.float64)
    total = float(max(sums.sum(axis=1).max(), 1))
    labels = {s: f"{STAGE_NAMES[s]} {by_stage[s].iloc[-1]:,}" for s in STAGES}
    # Both margins hold words whose length is the shop's.
    left, right = 10 + 8 * len(f"{total:,.0f}"), 28 + 8 * max(map(len, labels.values()))
    width, height, top, bottom = 800, 220, 8, 24
    wide, tall = width - left - right, height - top - bottom

    def across(day: Floats | float) -> Floats:
        return np.asarray(left + (day - days[0]) / (days[-1] - days[0]) * wide)

    def down(customers: Floats | float) -> Floats:
        return np.asarray(height - bottom - customers / total * tall)

    parts = [LINE("grid", left, down(n), width - right, down(n)) for n in ticks(0, total)]
    parts += [TEXT("end", left - 6, down(n) + 4, f"{n:,.0f}") for n in ticks(0, total)]
    parts += [TEXT("mid", across(d.toordinal()), height - 6, text) for d, text in _years(dates)]

    x, base, middles = across(days), np.zeros(len(days)), {}
    for stage in reversed(STAGES):
        start = base
        for gone, kind in ((True, f"s-{stage} gone"), (False, f"s-{stage}")):
            if (stage, gone) in sums.columns:
                upper = base + sums[stage, gone].to_numpy(np.float64)
                outline = np.append(down(upper), down(base)[::-1])
                parts.append(_shape("polygon", kind, np.append(x, x[::-1]), outline))
                base = upper
        middles[stage] = float(down((start[-1] + base[-1]) / 2))

    heights = apart([middles[stage] + 4 for stage in STAGES], 17, height - bottom)
    for stage, y in zip(STAGES, heights, strict=True):
        parts.append(_rect(f"s-{stage}", width - right + 8, y - 9, 9, 9))
        parts.append(TEXT("label", width - right + 22, y, labels[stage]))
    step = wide / (len(days) - 1)
    for (day, row), place in zip(by_stage.iterrows(), x, strict=True):
        words = ", ".join(f"{STAGE_NAMES[s].lower()} {row[s]:,}" for s in STAGES)
        parts.append(_rect("hover", place - step / 2, top, step, tall, f"{day}: {words}"))

    first, last = by_stage.iloc[0], by_stage.iloc[-1]
    change = "; ".join(f"{STAGE_NAMES[s].lower()} from {first[s]:,} to {last[s]:,}" for s in STAGES)
    words = f"Stacked areas from {dates[0]} to {dates[-1]}: {change}. "
    words += "Faded parts are lapsed or stale customers."
    return _svg((width, height), "stages", "Customers in each stage over time", words, parts)


def flow_chart(flows: list[dict[str, Any]]) -> Markup:
    """New and won-back customers above the line, lapsed customers below, per period; a line for the
    net. `flows`: rows of net_flow.csv, at least one.
    """
    flows = flows[-PERIODS:]
    first, last = flows[0], flows[-1]
    gained, lost = [f["new"] + f["won_back"] for f in flows], [f["lapsed"] for f in flows]
    high, low = float(max(1, *gained)), float(min(-1, *(-n for n in lost)))
    net = f"{last['net_customers']:+,}"
    # Both margins hold a number whose length is the shop's.
    left, right = 10 + 8 * len(f"{max(*gained, *lost):,}"), 8 + 8 * len(net)
    width, height, top, bottom = 480, 170, 8, 22
    step, tall = (width - left - right) / len(flows), height - top - bottom

    def down(customers: float) -> float:
        return top + (high - customers) / (high - low) * tall

    parts = []
    for n in ticks(low, high):
        parts.append(LINE("grid" if n else "axis", left, down(n), width - right, down(n)))
        parts.append(TEXT("end", left - 6, down(n) + 4, f"{abs(n):,.0f}"))
    for i, (f, top_of_bar) in enumerate(zip(flows, gained, strict=True)):
        x = left + i * step
        if f["leak"]:
            parts.append(_rect("leak", x, top, step, tall))
        bars = (("new", f["new"], 0), ("back", top_of_bar, f["new"]), ("lapsed", 0, -f["lapsed"]))
        for kind, upper, lower in bars:
            y, size = down(upper), down(lower) - down(upper)
            parts.append(_rect(kind, x + step * 0.14, y, step * 0.72, size))
        words = f"To {f['as_of']}: {f['new']} new, {f['won_back']} won back, {f['lapsed']} lapsed, "
        words += f"net {f['net_customers']:+}" + ", leak" * bool(f["leak"])
        parts.append(_rect("hover", x, top, step, tall, words))
    middles = left + step * (np.arange(len(flows), dtype=np.float64) + 0.5)
    nets = np.array([down(f["net_customers"]) for f in flows])
    parts.append(_shape("polyline", "net", middles, nets))
    parts.append(TEXT("label", width - right + 3, nets[-1] + 4, net))
    parts.append(TEXT("start", left, height - 6, first["as_of"]))
    parts.append(TEXT("end", width - right, height - 6, last["as_of"]))
    words = f"Bars per period from {first['as_of']} to {last['as_of']}. In the last one "
    words += f"{last['new']} customers were new, {last['won_back']} were won back and "
    words += f"{last['lapsed']} lapsed: net {last['net_customers']:+}."
    return _svg((width, height), "flow", "New, won-back and lapsed customers", words, parts)


def auc_chart(scorers: list[ScorerAuc]) -> Markup:
    """A dot with its interval for each scorer, on a scale that begins at 0.5, which is chance."""
    width, row, left, right = 520, 26, 136, 164
    height = row * len(scorers) + 20
    low, high = min(0.5, *(s.low for s in scorers)), max(s.high for s in scorers) + 0.01

    def across(auc: float) -> float:
        return left + (auc - low) / (high - low) * (width - left - right)

    marks = [low, *(t for t in ticks(low, high, 3) if t - low > 0.04)]
    parts = [LINE("grid", across(t), 4, across(t), height - 18) for t in marks]
    parts += [TEXT("mid", across(t), height - 4, f"{t:.2f}") for t in marks]
    figures = [f"{s.auc:.3f} [{s.low:.3f}, {s.high:.3f}]" for s in scorers]
    for i, (s, text) in enumerate(zip(scorers, figures, strict=True)):
        y, kind = i * row + row / 2 + 2, "chosen" if s.chosen else "other"
        parts.append(TEXT(f"end {kind}", left - 12, y + 4, s.name))
        parts.append(LINE(f"whisker {kind}", across(s.low), y, across(s.high), y))
        parts.append(DOT(kind, across(s.auc), y))
        parts.append(TEXT(f"start {kind}", width - right + 12, y + 4, text))
    words = "; ".join(f"{s.name} {text}" for s, text in zip(scorers, figures, strict=True))
    words = f"AUC with 95 % interval: {words}"
    return _svg((width, height), "auc", "AUC of the model and the baselines", words, parts)
