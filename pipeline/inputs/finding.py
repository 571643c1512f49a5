"""One rule that rows of a table break: how many do, where, and the error that says so."""

from dataclasses import dataclass

from pipeline.inputs.checks import CODES, Clash, RowRule, Rule
from pipeline.inputs.contract import TABLES
from pipeline.inputs.database import Db, fetch_all, fetch_value
from pipeline.inputs.duplicates import second_place
from pipeline.inputs.origins import raw_column
from pipeline.runtime.errors import InputError, QualityError, Refused
from pipeline.runtime.sections import Ingest

# SQL for the first three places of rows, as file:line
PLACES = """list_transform(min((source_file, source_line), 3),
    lambda place: place[1] || ':' || place[2])"""


@dataclass(frozen=True)
class Finding:
    """One rule that rows of one column break. `places`: the first ones, as file:line."""

    table: str
    column: str
    rule: Rule
    count: int
    total: int
    places: list[str]
    raw: str  # the raw column
    shape: str = ""  # how most of the values are written: 9 for a digit, A for a letter
    convert: str = ""  # the SQL that converts them

    @property
    def stops(self) -> bool:
        """Whether even one such row stops the run."""
        return isinstance(self.rule, RowRule) and self.rule.stops

    def limit(self, params: Ingest) -> float:
        """Return the share of rows that may break the rule."""
        return params.quarantine_limit.get(self.rule.code, params.quarantine_limit["default"])

    def is_above(self, params: Ingest) -> bool:
        """Return whether more rows break the rule than may."""
        return self.count > self.limit(params) * self.total

    def error(self, params: Ingest, place: str = "") -> Refused:
        """Return the finding as an error. `place` names the shop's SQL."""
        column = TABLES[self.table].column(self.column)
        message = self.rule.message.format(choices=", ".join(column.choices))
        rule = f"{self.table}: {message}: {self.count} of {self.total} rows"
        if len(self.places) > 1 and not isinstance(self.rule, Clash):
            rule += f", first {', '.join(self.places)}"
        where, fix = f"{self.places[0]} {self.raw}", self.rule.fix
        if self.shape:
            rule += f"; most are written as {self.shape}"
            fix = f"in {place} select {self.convert}" if self.convert else f"convert it in {place}"
        if self.stops:
            return InputError(self.rule.code, where, rule, fix)
        if not self.shape:
            fix += f"; or set ingest.quarantine_limit.{self.rule.code} with the reason"
        if isinstance(self.rule, Clash):
            where = f"{' and '.join(self.places)} {self.raw}"
            return InputError(self.rule.code, where, rule, fix)
        rule += f", the limit is {self.limit(params):.2%}"
        return QualityError(self.rule.code, where, rule, fix)


def staged_findings(db: Db, table: str, params: Ingest) -> list[Finding]:
    """Return the rules that stop the run, or that too many staged rows of a table break, by code.

    The places of a clash are those of two rows with one key.
    """
    total = fetch_value(db, f"select count(*) from staged_{table}")
    sql = f"""select split_part(fate, ' ', 1), count(*), {PLACES},
            min_by(split_part(fate, ' ', 2), (source_file, source_line))
        from staged_{table} where starts_with(fate, 'E_') group by 1 order by 1"""
    findings = []
    for code, count, places, column in fetch_all(db, sql):
        raw = raw_column(db, table, column)
        finding = Finding(table, column, CODES[code], count, total, places, raw)
        if not finding.stops and not finding.is_above(params):
            continue
        if isinstance(finding.rule, Clash):
            places[1:] = [second_place(db, TABLES[table], code)]
        findings.append(finding)
    return findings
