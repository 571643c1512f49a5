"""The rows of a shop's past on which hypotheses are tested."""

from typing import NamedTuple

import pandas as pd


class Observations(NamedTuple):
    """What the shop saw, with the outcome of each row; `true_*` columns are its ground truth.

    Days are numbers; NEVER stands for what did not happen. `gone`: no purchase in the days after.
    """

    visits: pd.DataFrame  # one row per purchase that three horizons of data follow
    lost: pd.DataFrame  # the same with six horizons
    silences: pd.DataFrame  # one row per two horizons that begin after four or more of silence
    away: pd.DataFrame  # one row per lost core customer and snapshot that two horizons follow
    stays: pd.DataFrame  # one row per buyer and snapshot; `again`: a purchase within the horizon
    prospects: pd.DataFrame  # one row per touched customer; `converted`: within two horizons
    calls: pd.DataFrame  # the visits before a customer was put on a list; `called`, or held out
