"""The input contract: the tables and columns to which a shop's SQL maps its raw files.

contract.yaml is the one place for what each table and column holds.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, Self

from pipeline.runtime.resources import read_yaml_table

Kind = Literal["id", "text", "time", "money", "quantity", "number", "flag", "choice", "currency"]
ORIGIN = ("source_file", "source_line")  # where a row comes from: any table may have these
FORBIDDEN = ("label", "churned", "truth")  # the model predicts these, so they are never an input
# no feature may know these, so they are never read; `corekeep audit` compares groups by them
PROTECTED = frozenset(
    """sex gender birth_date birthdate birthday date_of_birth dob age nationality citizenship
    religion ethnicity race health disability pregnancy sexual_orientation marital_status
    political_opinion trade_union postcode postal_code zip zip_code zipcode""".split()
)
# a reason for a return that has one of these blames us
DEFECT_WORDS = ("defect", "damage", "fault", "broken")
# a complaint of a kind with one of these is about something that did not take place
UNSERVED_WORDS = ("not.?delivered", "undelivered", "never", "not.?received", "missing", "no.?show")


@dataclass(frozen=True)
class InputColumn:
    """One column: kind, meaning, whether a table or a row needs it; contract.yaml explains each."""

    name: str
    kind: Kind
    meaning: str
    required: bool = False
    filled: bool = False
    not_before: str | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class InputTable:
    """One input table: what a row is, its columns, the time of its event, the key of a row.

    `own_columns`: up to so many further columns, named by the shop, each a text.
    """

    name: str
    row: str
    columns: tuple[InputColumn, ...]
    event: str | None = None
    key: tuple[str, ...] = ()
    own_columns: int = 0

    def own(self, delivered: Iterable[str]) -> list[str]:
        """Return the delivered columns that the shop named itself, if the table allows them."""
        return [c for c in delivered if self.own_columns and c not in (*self.names, *ORIGIN)]

    def with_own(self, delivered: Iterable[str]) -> Self:
        """Return the table with the delivered columns that the shop named itself."""
        own = tuple(InputColumn(name, "text", "a segment") for name in self.own(delivered))
        return replace(self, columns=(*self.columns, *own))

    def column(self, name: str) -> InputColumn:
        return next(column for column in self.columns if column.name == name)

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def required(self) -> list[str]:
        return [column.name for column in self.columns if column.required]


def _tables() -> dict[str, InputTable]:
    """Read the contract: every table by its name."""
    tables = {}
    for name, entry in read_yaml_table(__file__, "contract.yaml").items():
        columns = tuple(
            InputColumn(**{"name": column, **fields, "choices": tuple(fields.get("choices", ()))})
            for column, fields in entry["columns"].items()
        )
        key = tuple(entry.get("key", ()))
        own = entry.get("own_columns", 0)
        tables[name] = InputTable(name, entry["row"], columns, entry.get("event"), key, own)
    return tables


TABLES = _tables()
SEVERITIES = TABLES["complaints"].column("severity").choices
