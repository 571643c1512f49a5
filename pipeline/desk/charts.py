"""The desk's pictures as SVG.

Drawn from a few numbers, coloured by the page's style sheet, each with its title and content in
words.
"""

import datetime as dt
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup

from features.records import Floats
from models.lifecycle.state_machine import STAGES

GONE = ("lapsed", "stale")  # activities of those who are no longer expected to buy by themselves
PERIODS = 26  # bars of the flow that can still be told apart
STAGE_WORDS = dict(
    zip(STAGES, ("Prospects", "First-time", "Early repeat", "Core", "Core defectors"), strict=True)
)

_SVG = Markup(
    '<svg viewBox="0 0 {width} {height}" role="img" aria-labelledby="{name}-t {name}-d">'
    '<title id="{name}-t">{title}</title><desc id="{name}-d">{words}</desc>{body}</svg>'
)
_LINE = Markup('<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')
_TEXT = Markup('<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{text}</text>')
_RECT = Markup(
    '<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}">{inner}</rect>'
)
_TITLE = Markup("<title>{}</title>")
_SHAPE = Markup('<{tag} class="{kind}" points="{points}"/>')


class Scorer(NamedTuple):
    """One line of the comparison.

    A scorer's AUC with its 95 % interval; `chosen` made today's list.
    """

    name: str
    auc: float
    low: float
    high: float
    chosen: bool


def _join(parts: list[Markup]) -> Markup:
    return Markup("").join(parts)


def _points(x: Floats, y: Floats) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))


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
    limit = bottom
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], limit)
        limit = placed[i] - gap
    return placed


def _years(dates: list[dt.date]) -> list[tuple[dt.date, str]]:
    days = [dt.date(year, 1, 1) for year in range(dates[0].year, dates[-1].year + 1)]
    years = [(day, str(day.year)) for day in days if dates[0] <= day <= dates[-1]]
    return years if len(years) > 1 else [(day, day.isoformat()) for day in (dates[0], dates[-1])]


def stage_chart(counts: pd.DataFrame) -> Markup:
    """Customers per stage over the snapshots, stacked in the order of life, the lapsed and stale of
    each stage faded.

    `counts`: as_of (ISO), stage, activity, customers; at least two snapshots.
    """
    table = counts.assign(gone=counts["activity"].isin(GONE)).pivot_table(
        index="as_of", columns=["stage", "gone"], values="customers", aggfunc="sum", fill_value=0
    )
    dates = [dt.date.fromisoformat(day) for day in table.index]
    days = np.array([day.toordinal() for day in dates], np.float64)
    total = float(max(table.sum(axis=1).max(), 1))
    by_stage = counts.pivot_table(
        index="as_of", columns="stage", values="customers", aggfunc="sum"
    ).reindex(columns=STAGES, fill_value=0)
    named = {stage: f"{STAGE_WORDS[stage]} {by_stage[stage].iloc[-1]:,}" for stage in STAGES}
    # Both margins hold words whose length is the shop's.
    left, right = 10 + 8 * len(f"{total:,.0f}"), 28 + 8 * max(map(len, named.values()))
    width, height, top, bottom = 800, 220, 8, 24

    def across(day: Floats | float) -> Floats:
        return np.asarray(left + (day - days[0]) / (days[-1] - days[0]) * (width - left - right))

    def down(customers: Floats | float) -> Floats:
        return np.asarray(height - bottom - customers / total * (height - top - bottom))

    grid = [
        _LINE.format(kind="grid", x1=left, x2=width - right, y1=down(n), y2=down(n))
        for n in ticks(0, total)
    ]
    grid += [
        _TEXT.format(kind="end", x=left - 6, y=down(n) + 4, text=f"{n:,.0f}")
        for n in ticks(0, total)
    ]
    grid += [
        _TEXT.format(kind="mid", x=across(day.toordinal()), y=height - 6, text=text)
        for day, text in _years(dates)
    ]

    x, base, bands, middles = across(days), np.zeros(len(days)), [], {}
    for stage in reversed(STAGES):
        start = base
        for gone in (True, False):
            if (stage, gone) in table.columns:
                upper = base + table[stage, gone].to_numpy(np.float64)
                outline = _points(np.append(x, x[::-1]), np.append(down(upper), down(base)[::-1]))
                bands.append(
                    _SHAPE.format(
                        tag="polygon", kind=f"s-{stage}{' gone' if gone else ''}", points=outline
                    )
                )
                base = upper
        middles[stage] = float(down((start[-1] + base[-1]) / 2))

    heights = apart([middles[stage] + 4 for stage in STAGES], 17, height - bottom)
    labels = []
    for stage, y in zip(STAGES, heights, strict=True):
        labels.append(
            _RECT.format(kind=f"s-{stage}", x=width - right + 8, y=y - 9, w=9, h=9, inner="")
        )
        labels.append(_TEXT.format(kind="label", x=width - right + 22, y=y, text=named[stage]))

    half = (width - left - right) / (len(days) - 1) / 2
    hovers = []
    for day, place in zip(by_stage.index, x, strict=True):
        said = f"{day}: " + ", ".join(
            f"{STAGE_WORDS[s].lower()} {by_stage.loc[day, s]:,}" for s in STAGES
        )
        hovers.append(
            _RECT.format(
                kind="hover",
                x=place - half,
                y=top,
                w=2 * half,
                h=height - top - bottom,
                inner=_TITLE.format(said),
            )
        )

    first, last = by_stage.iloc[0], by_stage.iloc[-1]
    moved = "; ".join(f"{STAGE_WORDS[s].lower()} from {first[s]:,} to {last[s]:,}" for s in STAGES)
    words = f"Stacked areas from {dates[0]} to {dates[-1]}: {moved}. Faded parts are lapsed or stale customers."
    body = _join(grid + bands + labels + hovers)
    return _SVG.format(
        width=width,
        height=height,
        name="stages",
        title="Customers in each stage over time",
        words=words,
        body=body,
    )


def flow_chart(flows: list[dict[str, Any]]) -> Markup:
    """Came (new, won back) above the line, lapsed below, per period.

    A line for the net. `flows`: rows of net_flow.csv, one at least.
    """
    shown = flows[-PERIODS:]
    net = f"{shown[-1]['net_customers']:+,}"
    widest = f"{max(max(f['new'] + f['won_back'], f['lapsed']) for f in shown):,}"
    # Both margins hold a number whose length is the shop's.
    width, height, left, right, top, bottom = (
        480,
        170,
        10 + 8 * len(widest),
        8 + 8 * len(net),
        8,
        22,
    )
    high, low = (
        float(max(1, *(f["new"] + f["won_back"] for f in shown))),
        float(min(-1, *(-f["lapsed"] for f in shown))),
    )
    step, tall = (width - left - right) / len(shown), height - top - bottom

    def down(customers: float) -> float:
        return top + (high - customers) / (high - low) * tall

    parts = []
    for n in ticks(low, high):
        parts.append(
            _LINE.format(
                kind="grid" if n else "axis", x1=left, x2=width - right, y1=down(n), y2=down(n)
            )
        )
        parts.append(_TEXT.format(kind="end", x=left - 6, y=down(n) + 4, text=f"{abs(n):,.0f}"))
    for i, f in enumerate(shown):
        x, came = left + i * step, f["new"] + f["won_back"]
        said = f"To {f['as_of']}: {f['new']} new, {f['won_back']} won back, {f['lapsed']} lapsed, net {f['net_customers']:+}"
        if f["leak"]:
            parts.append(_RECT.format(kind="leak", x=x, y=top, w=step, h=tall, inner=""))
            said += ", leak"
        for kind, upper, lower in (
            ("new", f["new"], 0),
            ("back", came, f["new"]),
            ("lapsed", 0, -f["lapsed"]),
        ):
            parts.append(
                _RECT.format(
                    kind=kind,
                    x=x + step * 0.14,
                    y=down(upper),
                    w=step * 0.72,
                    h=down(lower) - down(upper),
                    inner="",
                )
            )
        parts.append(
            _RECT.format(kind="hover", x=x, y=top, w=step, h=tall, inner=_TITLE.format(said))
        )
    middles, nets = (
        np.array([left + step * (i + 0.5) for i in range(len(shown))]),
        np.array([down(f["net_customers"]) for f in shown]),
    )
    parts.append(_SHAPE.format(tag="polyline", kind="net", points=_points(middles, nets)))
    first, last = shown[0], shown[-1]
    parts.append(_TEXT.format(kind="label", x=width - right + 3, y=nets[-1] + 4, text=net))
    parts.append(_TEXT.format(kind="start", x=left, y=height - 6, text=first["as_of"]))
    parts.append(_TEXT.format(kind="end", x=width - right, y=height - 6, text=last["as_of"]))
    words = (
        f"Bars per period from {first['as_of']} to {last['as_of']}. In the last one {last['new']} customers were new, "
        f"{last['won_back']} were won back and {last['lapsed']} lapsed: net {last['net_customers']:+}."
    )
    return _SVG.format(
        width=width,
        height=height,
        name="flow",
        title="Customers who came and who lapsed",
        words=words,
        body=_join(parts),
    )


def auc_chart(scorers: list[Scorer]) -> Markup:
    """A dot with its interval for each scorer, on a scale that begins at the toss of a coin."""
    width, row, left, right = 520, 26, 136, 164
    height = row * len(scorers) + 20
    low, high = min(0.5, *(s.low for s in scorers)), max(s.high for s in scorers) + 0.01

    def across(auc: float) -> float:
        return left + (auc - low) / (high - low) * (width - left - right)

    marks = [low, *(t for t in ticks(low, high, 3) if t - low > 0.04)]
    parts = [
        _LINE.format(kind="grid", x1=across(t), x2=across(t), y1=4, y2=height - 18) for t in marks
    ]
    parts += [_TEXT.format(kind="mid", x=across(t), y=height - 4, text=f"{t:.2f}") for t in marks]
    for i, s in enumerate(scorers):
        y, kind = i * row + row / 2 + 2, "chosen" if s.chosen else "other"
        parts.append(_TEXT.format(kind=f"end {kind}", x=left - 12, y=y + 4, text=s.name))
        parts.append(
            _LINE.format(kind=f"whisker {kind}", x1=across(s.low), x2=across(s.high), y1=y, y2=y)
        )
        parts.append(
            Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="4.5"/>').format(
                kind, across(s.auc), y
            )
        )
        parts.append(
            _TEXT.format(
                kind=f"start {kind}",
                x=width - right + 12,
                y=y + 4,
                text=f"{s.auc:.3f} [{s.low:.3f}, {s.high:.3f}]",
            )
        )
    words = "; ".join(
        f"{s.name} {s.auc:.3f}, 95 % interval {s.low:.3f} to {s.high:.3f}" for s in scorers
    )
    return _SVG.format(
        width=width,
        height=height,
        name="auc",
        title="AUC beside the simple rules",
        words=words,
        body=_join(parts),
    )
