"""Pictures of a result, as SVG: are the probabilities true, and how many leavers does a share of the customers hold?"""

from typing import Any

import numpy as np
import pandas as pd

WIDTH, HEIGHT = 380, 300


def reliability(population: pd.DataFrame, scorers: list[str]) -> pd.DataFrame:
    """One row per scorer and tenth of its scores: scorer, predicted and observed rate of defection, customers."""
    rows = []
    for scorer in scorers:
        order = np.argsort(population[scorer].to_numpy(), kind="stable")
        for tenth in np.array_split(order, 10):
            part = population.iloc[tenth]
            rows.append((scorer, part[scorer].mean(), part["defected"].mean(), len(part)))
    return pd.DataFrame(rows, columns=["scorer", "predicted", "observed", "customers"]).round(5)


def gains(population: pd.DataFrame, scorers: list[str]) -> pd.DataFrame:
    """One row per scorer and twentieth of the customers, riskiest first: scorer, share of customers, share of defectors among them."""
    rows = []
    for scorer in scorers:
        defected = population["defected"].to_numpy(float)[np.argsort(-population[scorer].to_numpy(), kind="stable")]
        found = np.cumsum(defected) / max(defected.sum(), 1)
        for share in np.linspace(0, 1, 21):
            rows.append((scorer, share, found[int(share * len(found)) - 1] if share > 0 else 0.0))
    return pd.DataFrame(rows, columns=["scorer", "customers", "defectors"]).round(5)


def _lines(data: pd.DataFrame, x: str, y: str, title: str, names: tuple[str, str]) -> str:
    import altair as alt
    import vl_convert

    limits = alt.Scale(domain=[0, 1])
    line = (
        alt.Chart(data)
        .mark_line(point=True)
        .encode(x=alt.X(x, title=names[0], scale=limits), y=alt.Y(y, title=names[1], scale=limits), color=alt.Color("scorer", title=None))
    )
    diagonal = alt.Chart(pd.DataFrame({x: [0, 1], y: [0, 1]})).mark_line(color="#999", strokeDash=[4, 4]).encode(x=x, y=y)
    chart = (diagonal + line).properties(title=title, width=WIDTH, height=HEIGHT)
    svg: str = vl_convert.vegalite_to_svg(chart.to_json())
    return svg


def plots(population: pd.DataFrame, scorers: list[str]) -> dict[str, Any]:
    """reliability.svg and gains.svg with the tables they are drawn from."""
    true, held = reliability(population, scorers), gains(population, scorers)
    return {
        "reliability.csv": true,
        "reliability.svg": _lines(true, "predicted", "observed", "Are the probabilities true?", ("predicted rate", "observed rate")),
        "gains.csv": held,
        "gains.svg": _lines(
            held, "customers", "defectors", "How many leavers are in the riskiest share?", ("share of customers", "share of defectors")
        ),
    }
