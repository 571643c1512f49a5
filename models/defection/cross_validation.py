"""Cross-validation by customer: a check of the model beside the test origins."""

from typing import Any

import numpy as np
import pandas as pd

from models.defection.baselines import LogisticRFM
from models.defection.booster import ModelSpec
from models.defection.forms import SelectedForm, fit_form

FOLDS = 2  # each fold costs another training, and nothing is decided by the result


def grouped_cv(rows: pd.DataFrame, selected: SelectedForm, spec: ModelSpec) -> dict[str, Any]:
    """Return the AUC of the selected form in folds that have no customer in common.

    Folds, customers and rows beside it. It is optimistic in time, because training and test rows
    are of the same snapshots. The AUC is None where a fold's training rows have one outcome only.
    """
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold

    sizes = {"folds": FOLDS, "customers": rows["customer_id"].nunique(), "rows": len(rows)}
    risk = np.zeros(len(rows))
    for training, test in GroupKFold(FOLDS).split(rows, groups=rows["customer_id"]):
        part = rows.iloc[training]
        if part["defected"].nunique() < 2:
            return {**sizes, "auc": None}
        model = fit_form(selected.form, part, LogisticRFM.fit(part), selected.rounds, spec)
        risk[test] = model.predict(rows.iloc[test])
    return {**sizes, "auc": round(float(roc_auc_score(rows["defected"].astype(bool), risk)), 5)}
