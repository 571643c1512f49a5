"""`corekeep init`: from a shop's own files to its SQL, its settings and the rows accepted."""

from pathlib import Path

import pytest
import yaml
from frozen import params, project
from own_files import CATALOGUE, ORDERS, OwnFile
from raw_shop import Ingested

from pipeline.inputs.init.command import init
from pipeline.inputs.init.questions import Answers
from pipeline.runtime.params import Ingest
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
