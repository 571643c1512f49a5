"""Pictures of a result, as SVG.

Are the probabilities true, and how many leavers does a share of the customers hold, and against
chance?
"""

from typing import Any

import numpy as np
import pandas as pd

WIDTH, HEIGHT = 380, 300


def reliability(population: pd.DataFrame, scorers: list[str]) -> pd.DataFrame:
    """One row per scorer and tenth of its scores.

    Scorer, predicted and observed rate of defection, customers.
    """
    rows = []
    for scorer in scorers:
        order = np.argsort(population[scorer].to_numpy(), kind="stable")
        for tenth in np.array_split(order, 10):
            part = population.iloc[tenth]
            rows.append((scorer, part[scorer].mean(), part["defected"].mean(), len(part)))
    return pd.DataFrame(rows, columns=["scorer", "predicted", "observed", "customers"]).round(5)


def gains(population: pd.DataFrame, scorers: list[str]) -> pd.DataFrame:
    """One row per scorer and twentieth of the customers, riskiest first.

    Scorer, share of customers, share of defectors among them.
    """
    rows = []
    for scorer in scorers:
        defected = population["defected"].to_numpy(float)[
            np.argsort(-population[scorer].to_numpy(), kind="stable")
        ]
        found = np.cumsum(defected) / max(defected.sum(), 1)
        for share in np.linspace(0, 1, 21):
            rows.append((scorer, share, found[int(share * len(found)) - 1] if share > 0 else 0.0))
    return pd.DataFrame(rows, columns=["scorer", "customers", "defectors"]).round(5)


def lifts(gained: pd.DataFrame) -> pd.DataFrame:
    """Gains as lift.

    The rate of defection in the riskiest share of the customers over that of all.
    """
    some = gained[gained["customers"] > 0]
    return some.assign(lift=(some["defectors"] / some["customers"]).round(5))[
        ["scorer", "customers", "lift"]
    ]


def _lines(
    data: pd.DataFrame,
    x: str,
    y: str,
    title: str,
    names: tuple[str, str],
    chance: tuple[float, float] = (0, 1),
) -> str:
    """One line per scorer, and a dashed one from and to the heights of `chance`."""
    import altair as alt
    import vl_convert

    limits = alt.Scale(domain=[0, 1])
    heights = limits if y != "lift" else alt.Undefined
    line = (
        alt.Chart(data)
        .mark_line(point=True)
        .encode(
            x=alt.X(x, title=names[0], scale=limits),
            y=alt.Y(y, title=names[1], scale=heights),
            color=alt.Color("scorer", title=None),
        )
    )
    diagonal = (
        alt.Chart(pd.DataFrame({x: [0, 1], y: chance}))
        .mark_line(color="#999", strokeDash=[4, 4])
        .encode(x=x, y=y)
    )
    chart = (diagonal + line).properties(title=title, width=WIDTH, height=HEIGHT)
    svg: str = vl_convert.vegalite_to_svg(chart.to_json())
    return svg


def plots(population: pd.DataFrame, scorers: list[str]) -> dict[str, Any]:
    """reliability.svg, gains.svg and lift.svg with the tables they are drawn from."""
    true, held = reliability(population, scorers), gains(population, scorers)
    lifted, axes = lifts(held), ("share of customers", "lift")
    return {
        "reliability.csv": true,
        "reliability.svg": _lines(
            true,
            "predicted",
            "observed",
            "Are the probabilities true?",
            ("predicted rate", "observed rate"),
        ),
        "gains.csv": held,
        "gains.svg": _lines(
            held,
            "customers",
            "defectors",
            "How many leavers are in the riskiest share?",
            ("share of customers", "share of defectors"),
        ),
        "lift.csv": lifted,
        "lift.svg": _lines(
            lifted, "customers", "lift", "How far above chance is the riskiest share?", axes, (1, 1)
        ),
    }
