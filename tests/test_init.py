"""`corekeep init`: from a shop's own files to its SQL, its settings and the rows accepted."""

from pathlib import Path

import pytest
import yaml
from frozen import params, project
from own_files import CATALOGUE, DAYS, ORDERS, OwnFile, lines, named
from raw_shop import Ingested

from pipeline.inputs.database import open_database
from pipeline.inputs.init.columns import form_of
from pipeline.inputs.init.command import init
from pipeline.inputs.init.questions import Answers
from pipeline.inputs.init.times import MACRO
from pipeline.runtime.sections import Ingest
from pipeline.runtime.store import Folder, write
from pipeline.stages.ingest import ingest


def taken(folder: Path, shop: str) -> Ingested:
    """The rows that `ingest` takes with what `init` wrote."""
    over = yaml.safe_load((folder / "shops" / f"{shop}.yaml").read_text()) or {}
    default, own = params().ingest.model_dump(), over.get("ingest", {})
    settings = {**default, **own, "plausible": default["plausible"] | own.get("plausible", {})}
    limits = {"default": 0.0, **settings["quarantine_limit"]}
    sql = (folder / "sources" / f"{shop}.sql").read_text()
    result = ingest(
        Folder(folder / "data" / "shops" / shop),
        sql,
        Ingest.model_validate({**settings, "quarantine_limit": limits}),
        params().engine,
        shop,
    )
    write(folder / "events", result["events"])
    return Ingested(Folder(folder / "events"), Folder(folder), result["ingest"])


DAYS_IN_WORDS = {
    "%d-%b-%Y": "Jan Feb Mar Apr May Jun",
    "{d} {m} {y}": "gen feb mar apr mag giu",
    "{d} de {m} de {y}": "enero febrero marzo abril mayo junio",
    "{d}. {m} {y}": "janv. févr. mars avr. mai juin",
    "%d/%m/%y %H:%M": "",
}


def test_days_are_read_in_any_language_and_with_years_of_two_digits(tmp_path: Path) -> None:
    db = open_database("UTC", params().engine, tmp_path)
    db.execute(MACRO)
    for form, months in DAYS_IN_WORDS.items():
        rows = named(months, form) if "{" in form else lines(form)
        db.execute("create or replace table written as select unnest($1::varchar[]) as x",
                   [[row[2] for row in rows]])  # fmt: skip
        time = form_of(db, "written", "x").time
        assert time, form
        sql = f"select distinct ({time.sql('x')})::date - date '1970-01-01' from written order by 1"
        assert [day for (day,) in db.sql(sql).fetchall()] == sorted({*DAYS}), form


@pytest.mark.parametrize("name", CATALOGUE)
def test_files_of_every_kind_give_the_orders_that_are_in_them(tmp_path: Path, name: str) -> None:
    own: OwnFile = CATALOGUE[name]
    project(tmp_path)
    (tmp_path / "export").mkdir()
    paths = []
    for file, content in own.files.items():
        paths.append(tmp_path / "export" / file)
        paths[-1].parent.mkdir(exist_ok=True)
        paths[-1].write_bytes(content)
    folders = {path.parent for path in paths} - {tmp_path / "export"}
    shop = init(sorted(folders) or paths, Answers(yes=True, **own.answers), tmp_path)
    result = taken(tmp_path, shop)
    bought = [(row["day"], row["amount"]) for row in result.rows("orders")]
    assert len({row["customer_id"] for row in result.rows("customers")}) == 3
    assert len({row["order_id"] for row in result.rows("orders")}) == len(ORDERS)
    assert sum(amount for _, amount in bought) == own.spend
    assert sorted({day for day, _ in bought}) == own.days
