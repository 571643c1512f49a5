"""Plots of an evaluation as SVG, with their tables: calibration, gains and lift."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

WIDTH, HEIGHT = 380, 300


class Plot(NamedTuple):
    """One line per scorer; `chance`: where a dashed line begins and ends."""

    x: str
    y: str
    title: str
    x_title: str
    y_title: str
    chance: tuple[float, float] = (0, 1)


PLOTS = {
    "reliability": Plot("predicted", "observed", "Predicted and observed churn rate",
                        "predicted rate", "observed rate"),
    "gains": Plot("customers", "defectors", "Share of churned customers among the highest risks",
                  "share of customers, highest risk first", "share of churned customers"),
    "lift": Plot("customers", "lift", "Churn rate of the highest risks relative to all customers",
                 "share of customers, highest risk first", "lift", (1, 1)),
}  # fmt: skip


def reliability(population: pd.DataFrame, scorers: list[str]) -> pd.DataFrame:
    """One row per scorer and tenth of its scores: predicted and observed rate, customers."""
    rows = []
    for scorer in scorers:
        order = np.argsort(population[scorer].to_numpy(), kind="stable")
        for tenth in np.array_split(order, 10):
            part = population.iloc[tenth]
            rows.append((scorer, part[scorer].mean(), part["defected"].mean(), len(part)))
    return pd.DataFrame(rows, columns=["scorer", "predicted", "observed", "customers"]).round(5)


def gains(population: pd.DataFrame, scorers: list[str]) -> pd.DataFrame:
    """One row per scorer and twentieth of the customers, highest risk first.

    Scorer, share of customers, share of churned customers among them.
    """
    rows = []
    for scorer in scorers:
        order = np.argsort(-population[scorer].to_numpy(), kind="stable")
        churned = population["defected"].to_numpy(float)[order]
        shares = np.cumsum(churned) / max(churned.sum(), 1)
        for share in np.linspace(0, 1, 21):
            rows.append((scorer, share, shares[int(share * len(shares)) - 1] if share > 0 else 0.0))
    return pd.DataFrame(rows, columns=["scorer", "customers", "defectors"]).round(5)


def lifts(gained: pd.DataFrame) -> pd.DataFrame:
    """Gains as lift: the churn rate of the highest risks over that of all customers."""
    some = gained[gained["customers"] > 0]
    lift = (some["defectors"] / some["customers"]).round(5)
    return some.assign(lift=lift)[["scorer", "customers", "lift"]]


def _svg(data: pd.DataFrame, plot: Plot) -> str:
    import altair as alt
    import vl_convert

    unit = alt.Scale(domain=[0, 1])
    x = alt.X(plot.x, title=plot.x_title, scale=unit)
    y = alt.Y(plot.y, title=plot.y_title, scale=unit if plot.y != "lift" else alt.Undefined)
    color = alt.Color("scorer", title=None)
    lines = alt.Chart(data).mark_line(point=True).encode(x=x, y=y, color=color)
    ends = pd.DataFrame({plot.x: [0, 1], plot.y: plot.chance})
    dashed = alt.Chart(ends).mark_line(color="#999", strokeDash=[4, 4])
    chart = (dashed.encode(x=plot.x, y=plot.y) + lines).properties(
        title=plot.title, width=WIDTH, height=HEIGHT
    )
    svg: str = vl_convert.vegalite_to_svg(chart.to_json())
    return svg


def plots(population: pd.DataFrame, scorers: list[str]) -> dict[str, Any]:
    """Return reliability, gains and lift, each as .csv and .svg."""
    gained = gains(population, scorers)
    curves = reliability(population, scorers)
    tables = {"reliability": curves, "gains": gained, "lift": lifts(gained)}
    csv = {f"{name}.csv": table for name, table in tables.items()}
    return csv | {f"{name}.svg": _svg(tables[name], plot) for name, plot in PLOTS.items()}
