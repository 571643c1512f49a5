"""The peers a model is measured beside, taught on the same snapshots: simple rules, a probability
model, the field's usual machines.

A taught peer is a plain mapping (its form, its columns, its numbers), so that it can be kept as
JSON, read by eye and asked by nothing but this file. `form` is how it is read: logistic, bg_nbd,
boosting or forest.
"""

from itertools import product
from math import factorial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.records import Floats
from models.defection import bg_nbd, forest
from models.defection.booster import fit, nameless, text
from models.settings import Boosting

Taught = dict[str, Any]

RFM = ["recency_days", "purchases", "spend"]
PAST = ["purchases", "recency_days", "tenure_days"]
WINDOWS = ("purchases_in_", "spend_in_", "products_", "categories_")
LOGISTIC = {"recency": ["recency_days"], "logistic_rfm": RFM}
BASELINES = (*LOGISTIC, "bg_nbd", "expert_windows", "random_forest_rfm")
SIMPLE = (*LOGISTIC, "bg_nbd")
"""Peers that a person can follow: what a model has to beat to be worth its trouble."""

# trees of expert_windows: nothing is searched for a peer, and more or fewer change little
ROUNDS = 200
CUSTOMERS = 20_000  # four numbers need no more customers than that


def nine_digits(values: Floats) -> list[float]:
    """Numbers as they are kept: the last bits differ between kinds of CPU."""
    return [float(f"{value:.9g}") for value in values]


def teach(
    name: str, rows: pd.DataFrame, horizon: int, buyers: pd.DataFrame, params: Boosting
) -> Taught:
    """Fit one peer to predict defection within `horizon` days.

    `rows`: one per customer and snapshot, with the peer's columns and `defected`, what became of
    them. `buyers`: one row per customer who had bought at all by the newest of the snapshots, with
    `PAST`. BG/NBD learns from these alone: it describes all buyers, those who came once above all,
    and needs no outcome; pooled snapshots would count a customer many times. `params`: the model's
    own shape, which expert_windows has, too, but for its cuts: it has few columns to be misled by,
    and with cuts at random it would be the weaker.
    """
    defected = rows["defected"].to_numpy(bool)
    if name in LOGISTIC:
        return logistic(LOGISTIC[name], rows, defected)
    if name == "bg_nbd":
        some = buyers.sample(min(len(buyers), CUSTOMERS), random_state=0)
        fitted = bg_nbd.fit(*_past(some[PAST].to_numpy(np.float64)))
        numbers = dict(zip(fitted._fields, nine_digits(np.array(fitted)), strict=True))
        return {
            "form": "bg_nbd",
            "columns": PAST,
            "horizon_days": horizon,
            "parameters": numbers,
            "middle": _middle(rows, PAST),
        }
    if name == "expert_windows":
        columns = [column for column in rows.columns.astype(str) if column.startswith(WINDOWS)]
        best_cuts = params.model_copy(update={"extra_trees": False})
        return {
            "form": "boosting",
            "columns": columns,
            "text": nameless(text(fit(rows, columns, defected, best_cuts, ROUNDS, {}))),
        }
    trees = forest.grow(rows[RFM].to_numpy(np.float64), defected)
    return {"form": "forest", "columns": RFM, "middle": _middle(rows, RFM), "trees": trees}


def logistic(columns: list[str], rows: pd.DataFrame, defected: npt.NDArray[np.bool_]) -> Taught:
    """Logistic regression on the logarithms of some columns."""
    from sklearn.linear_model import LogisticRegression

    logs = _logs(rows, columns)
    centre, scale = logs.mean(axis=0), np.maximum(logs.std(axis=0), 1e-9)
    fitted = LogisticRegression(C=1.0, max_iter=1000, tol=1e-8).fit(
        (logs - centre) / scale, defected
    )
    return {
        "form": "logistic",
        "columns": columns,
        "transform": "log1p",
        "centre": nine_digits(centre),
        "scale": nine_digits(scale),
        "coefficients": nine_digits(fitted.coef_[0]),
        "intercept": nine_digits(fitted.intercept_)[0],
    }


def _logs(rows: pd.DataFrame, columns: list[str]) -> Floats:
    return np.asarray(np.log1p(np.maximum(rows[columns].to_numpy(np.float64), 0)))


def _middle(rows: pd.DataFrame, columns: list[str]) -> list[float]:
    return nine_digits(np.median(rows[columns].to_numpy(np.float64), axis=0))


def _past(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Repeats, last and age of BG/NBD from columns `PAST`.

    Purchases and days are counted from the first purchase.
    """
    purchases, recency, tenure = values.T
    return purchases - 1, np.maximum(tenure - recency, 0), tenure


def _asked(taught: Taught, values: Floats) -> Floats:
    if taught["form"] == "bg_nbd":
        return bg_nbd.no_purchase(
            bg_nbd.Parameters(**taught["parameters"]), *_past(values), taught["horizon_days"]
        )
    return forest.ask(taught["trees"], values)


def _booster_says(taught: Taught, rows: pd.DataFrame, **how: bool) -> Floats:
    import lightgbm as lgb

    booster = lgb.Booster(model_str=taught["text"])
    return np.asarray(
        booster.predict(rows[taught["columns"]].to_numpy(np.float64), num_threads=1, **how)
    )


def predict(taught: Taught, rows: pd.DataFrame) -> Floats:
    """Probability of defection, one per row."""
    if taught["form"] == "logistic":
        return np.asarray(
            1 / (1 + np.exp(-(contributions(taught, rows).sum(axis=1) + taught["intercept"])))
        )
    if taught["form"] == "boosting":
        return _booster_says(taught, rows)
    return _asked(taught, rows[taught["columns"]].to_numpy(np.float64))


def contributions(taught: Taught, rows: pd.DataFrame) -> Floats:
    """What each column adds to the log-odds, rows x columns: always Shapley values, their sum the
    distance from a stated middle.

    Logistic: coefficient times distance from the mean, which they are. Boosting: TreeSHAP (Lundberg
    2018). BG/NBD and forest: exact, against the medians of the rows it was taught, over all ways to
    put a customer's columns in their place.
    """
    if taught["form"] == "logistic":
        logs = _logs(rows, taught["columns"])
        return np.asarray(
            (logs - np.array(taught["centre"]))
            / np.array(taught["scale"])
            * np.array(taught["coefficients"])
        )
    if taught["form"] == "boosting":
        return _booster_says(taught, rows, pred_contrib=True)[:, :-1]
    values, middle = rows[taught["columns"]].to_numpy(np.float64), np.array(taught["middle"])
    size = values.shape[1]
    log_odds = {}
    for own in product((False, True), repeat=size):
        risk = np.clip(_asked(taught, np.where(own, values, middle)), 1e-6, 1 - 1e-6)
        log_odds[own] = np.log(risk / (1 - risk))
    found = np.zeros_like(values)
    for own, with_it in log_odds.items():
        for column in np.flatnonzero(own):
            without = (*own[:column], False, *own[column + 1 :])
            weight = factorial(sum(without)) * factorial(size - sum(own)) / factorial(size)
            found[:, column] += weight * (with_it - log_odds[without])
    return found
