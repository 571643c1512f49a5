"""The published schema: every column of the list, of the explanations and of the lists for people.

The files, their test and docs/outputs.md are made from it. The source of a column is one of these:

* `lifecycle.<column>`: that column of data/lifecycle at the snapshot;
* a function of the rows (an arrow table, one row per customer: the life cycle and whatever stands
  in SCORED without a function), which returns one value per row;
* the dotted name of the function that computes the column before, by the column's own name;
* BY_HAND: the column stays empty.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from models.reasons.catalogue import REASONS
from pipeline.runtime.errors import ConfigError

TEXT, FLOAT, DATE, COUNT = pa.string(), pa.float64(), pa.date32(), pa.int64()
BY_HAND = "empty: the person who works on the customer fills it in"


class Output(NamedTuple):
    """One published column. `source` says where its values come from: see the head of this file."""

    name: str
    type: pa.DataType
    unit: str
    meaning: str
    source: str | Callable[[pa.Table], Any]


_WHY = "pipeline.delivery.why"
_WORKLIST = "models.decision.worklist"
_FORECASTS = "pipeline.registry.forecasts.forecasts"
_SCORER = "pipeline.registry.model_files.scorer"
_EXPLAINED = "pipeline.delivery.explanations.explanations"
_DRIVERS = "pipeline.delivery.explanations.drivers"

# scored.parquet: one row per known customer, by rank
SCORED = (
    Output("as_of", DATE, "date", "the snapshot; nothing from this day on is known",
           "lifecycle.snapshot"),
    Output("customer_id", TEXT, "id", "the customer, as the shop names them",
           "lifecycle.customer_id"),
    Output("queue", TEXT, "name", "core_care, early_care, save_now, win_back, second_purchase or "
           "convert", "models.decision.queues.queue_of"),
    Output("stage", TEXT, "name", "prospect, first_time, early_repeat, core or core_defector",
           "lifecycle.stage"),
    Output("activity", TEXT, "name", "active, late (overdue) or lapsed; prospects: open or stale",
           "lifecycle.activity"),
    Output("stage_since", DATE, "date", "the day on which the customer entered the stage",
           "lifecycle.since"),
    Output("risk", FLOAT, "0..1", "probability of no purchase within the horizon; null if unscored",
           _SCORER),
    Output("chance", FLOAT, "0..1", "probability of a purchase within the horizon, in the queues "
           "win_back, second_purchase and convert; without a signal the rate of all (`tasks` of "
           "metrics.json)", "pipeline.registry.tasks.chances"),
    Output("risk_band", TEXT, "name", "low, medium or high, cut at `evaluate.bands`",
           f"{_WORKLIST}.stakes"),
    Output("rank", COUNT, "position", "order of work from 1: by expected_profit where it is "
           "positive, then by what a contact may win, then value_365d",
           f"{_WORKLIST}.ranked"),
    Output("rank_in_stage", COUNT, "position", "the same order within the stage",
           f"{_WORKLIST}.ranked"),
    Output("value_365d", FLOAT, "currency", "net spend a year, over the last 365 days, or two "
           "expected IPTs where longer; of a prospect the median of first-time buyers",
           f"{_WORKLIST}.values"),
    Output("value_next_365d", FLOAT, "currency", "predicted net spend of the next 365 days, by "
           "`value.selected` of metrics.json; null for prospects", _FORECASTS),
    Output("value_if_retained", FLOAT, "currency", "spend of a year if the customer buys within "
           "the horizon, by `value_source` of metrics.json or, without a risk, by `returning`; "
           "without a forecast value_365d",
           _FORECASTS),
    Output("value_at_risk", FLOAT, "currency", "risk x value_if_retained x horizon / 365",
           f"{_WORKLIST}.stakes"),
    Output("expected_profit", FLOAT, "currency", "profit expected of a contact under the assumed "
           "`costs`; null without a risk or a chance", f"{_WORKLIST}.stakes"),
    Output("contact", TEXT, "name", "call, hold_out (control group), do_not_contact or none",
           f"{_WORKLIST}.contacts"),
    Output("reason", TEXT, "name", "the strongest reason to leave; other_unknown without evidence",
           f"{_WHY}.strongest"),
    Output("evidence", FLOAT, "0..1", "the evidence of `reason`, null for other_unknown",
           f"{_WHY}.strongest"),
    Output("reason_2", TEXT, "name", "the second reason to leave", f"{_WHY}.strongest"),
    Output("evidence_2", FLOAT, "0..1", "the evidence of `reason_2`", f"{_WHY}.strongest"),
    Output("why", TEXT, "text", "what changed against the customer's own normal, and the strongest "
           "indication of a reason to leave, or the driver that raises the risk", f"{_WHY}.why"),
    Output("why_stage", TEXT, "text", "the values that put the customer into the stage",
           "pipeline.delivery.why_stage.why_stage"),
    Output("action", TEXT, "text", "what to do and what to avoid, from playbook.yaml",
           "pipeline.delivery.to_do.to_do"),
    Output("act_by", DATE, "date", "the last day for it: `by` of playbook.yaml",
           "pipeline.delivery.to_do.to_do"),
    Output("last_purchase_on", DATE, "date", "the last purchase", "lifecycle.last_purchase_on"),
    Output("next_order_on", DATE, "date", "the middle day of the next purchase, if one comes "
           "within two horizons, by `timing.selected` of metrics.json", _FORECASTS),
    Output("next_order_from", DATE, "date", "four in five of those who buy within two horizons "
           "do so from this day on,", _FORECASTS),
    Output("next_order_to", DATE, "date", "and not after this one; both null if never measured",
           _FORECASTS),
    Output("late_on", DATE, "date", "the day from which the customer is overdue",
           "lifecycle.late_on"),
    Output("lapses_on", DATE, "date", "the day from which the customer has lapsed",
           "lifecycle.lapses_on"),
    Output("model_id", TEXT, "id", "the scorer behind `risk`: first 12 digits of its sha256",
           _SCORER),
)  # fmt: skip


def with_segments(names: Iterable[str]) -> tuple[Output, ...]:
    """The columns of scored.parquet of a shop with these segments (segment_region and so on)."""
    meaning = "what the shop groups its customers by: the table `segments`; null if unknown"
    source = "pipeline.inputs.segments.segments_of"
    own = (Output(name, TEXT, "name", meaning, source) for name in names)
    return (*SCORED, *own)


# <queue>.csv: the columns above, then these; one row per customer of the queue who may be contacted
FOR_PEOPLE = (
    Output("owner", TEXT, "role", "whose task it is, from playbook.yaml",
           "pipeline.delivery.to_do.to_do"),
    Output("on_list_since", TEXT, "date", "the day on which the customer was first on this list",
           "pipeline.delivery.lists.people_list"),
    Output("decision", TEXT, "text", "what was decided", BY_HAND),
    Output("done_on", TEXT, "date", "when it was done", BY_HAND),
    Output("note", TEXT, "text", "anything worth keeping", BY_HAND),
)  # fmt: skip

# call.csv: today's calls of all queues by rank; the columns that a caller needs stand first
CALL_LIST = (
    *("rank", "customer_id", "why", "action", "owner", "act_by", "value_365d"),
    *("last_purchase_on", "risk", "chance"),
    *("stage", "lapses_on", "on_list_since", "queue", "contact", "as_of"),
    *("decision", "done_on", "note"),
)

_FALLS = "pipeline.engine.categories.category_falls"
_CATEGORIES = "pipeline.delivery.categories.category_list"

# categories.parquet: one row per customer and category that fell or stopped, by rank
CATEGORIES = (
    Output("as_of", DATE, "date", "the snapshot; nothing from this day on is known", _CATEGORIES),
    Output("customer_id", TEXT, "id", "the customer, who still buys: not lapsed", _FALLS),
    Output("category", TEXT, "name", "the category, as the shop names it", _FALLS),
    Output("change", TEXT, "name", "stopped (nothing in the latest window) or fell", _CATEGORIES),
    Output("rank", COUNT, "position", "order of work from 1: by evidence x lost_365d", _CATEGORIES),
    Output("rate_before", FLOAT, "currency", "spend on the category in 30 days, in the window "
           "before", _FALLS),
    Output("rate_now", FLOAT, "currency", "the same in the latest window, in which the customer "
           "usually buys the category `categories.usual_purchases` times", _FALLS),
    Output("rate_expected", FLOAT, "currency", "rate_before with the trend, and with the "
           "customer's pace in everything else where that is slower", _FALLS),
    Output("trend", FLOAT, "share", "change of that rate over all other customers of the category; "
           "-0.1: a tenth less", _FALLS),
    Output("fall", FLOAT, "share", "what is missing of rate_expected", _FALLS),
    Output("evidence", FLOAT, "0..1", "how unlikely it is that the fall is chance", _FALLS),
    Output("purchases_before", COUNT, "count", "purchases with it in the window before", _FALLS),
    Output("purchases_now", COUNT, "count", "purchases with it in the latest window", _FALLS),
    Output("usual_days", FLOAT, "days", "mean days between purchases of the category", _FALLS),
    Output("last_bought_on", DATE, "date", "the last purchase of the category", _FALLS),
    Output("since", DATE, "date", "last_bought_on if stopped, or the latest window begins", _FALLS),
    Output("value_365d", FLOAT, "currency", "spend on the category in the last 365 days", _FALLS),
    Output("lost_365d", FLOAT, "currency", "what is missing of rate_expected in a year",
           _CATEGORIES),
    Output("steady", TEXT, "name", "of the customer's categories without such a change, the one "
           "with the largest rate_before", _FALLS),
    Output("contact", TEXT, "name", "as in scored.parquet", "models.decision.worklist.contacts"),
)  # fmt: skip

# explanations.parquet: per customer a row at position 0 with the facts, then a row per driver
EXPLANATIONS = (
    Output("customer_id", TEXT, "id", "the customer", "lifecycle.customer_id"),
    Output("driver", TEXT, "name", "a feature of docs/features.md; null at position 0", _DRIVERS),
    Output("value", FLOAT, "the feature's", "the customer's value of that feature", _DRIVERS),
    Output("contribution", FLOAT, "log-odds", "what the feature adds to the risk", _DRIVERS),
    Output("median", FLOAT, "the feature's", "its median among the scored customers of the same "
           "stage at the snapshot", _DRIVERS),
    Output("driver_text", TEXT, "text", "the driver in words, with value and median", _DRIVERS),
    *(Output(f"contribution_{reason}", FLOAT, "log-odds", "at position 0: what the features that "
             f"speak for {reason} add to the risk", _EXPLAINED) for reason in REASONS),
    Output("agreement", TEXT, "text", "at position 0, with evidence from `reasons.defecting` on: "
           "whether the model raises the risk for the strongest one", _EXPLAINED),
    Output("position", COUNT, "position", "1 for the strongest driver; 0 for the facts", _DRIVERS),
    Output("facts", TEXT, "JSON", "at position 0: the values in `why` and `why_stage`",
           "pipeline.delivery.why_stage.facts"),
)  # fmt: skip


def arrow_schema(columns: Sequence[Output]) -> pa.Schema:
    """The arrow schema of these columns."""
    return pa.schema([(column.name, column.type) for column in columns])


def fill(columns: Sequence[Output], rows: pa.Table | Mapping[str, Any]) -> pa.Table:
    """The published columns, in their order and with their types, whatever is null.

    `rows` has a value per row for every source. Raises ConfigError for a column nobody fills.
    """
    if isinstance(rows, pa.Table):
        rows = dict(zip(rows.column_names, rows.columns, strict=True))
    size = len(next(iter(rows.values())))
    filled = {column.name: _values(column, rows, size) for column in columns}
    return pa.table(filled, arrow_schema(columns))


def _values(column: Output, rows: Mapping[str, Any], size: int) -> pa.Array | pa.ChunkedArray:
    if column.source == BY_HAND:
        return pa.nulls(size, column.type)
    if callable(column.source):
        values = column.source(pa.table(rows))
    else:
        folder, _, name = column.source.partition(".")
        values = rows.get(name if folder == "lifecycle" else column.name)
    if values is None:
        place = f"pipeline/delivery/schema.py column {column.name}"
        problem = f"no function fills it: {column.source} gives no such column"
        fix = "name a column of data/lifecycle, or a function that returns one value per row"
        raise ConfigError("E_OUTPUT", place, problem, fix)
    if not isinstance(values, pa.Array | pa.ChunkedArray):
        values = pa.array(values, from_pandas=True)
    return values.cast(column.type)
