"""What README says can be done, done."""

import re
from pathlib import Path

import pyarrow.parquet as pq
from frozen import project

from pipeline.runtime import store
from pipeline.runtime.repro import choose
from pipeline.runtime.runner import ROOT, run_stage

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_shop_of_readme_is_ingested_from_two_files_and_a_csv(tmp_path: Path) -> None:
    project(tmp_path, "dvc.yaml")
    sql = re.findall(r"```sql\n(.*?)```", README, re.DOTALL)[0]
    store.write(tmp_path / "sources" / "my_shop.sql", sql)
    store.write(tmp_path / "shops" / "my_shop.yaml", "# nothing differs\n")
    csv = "client,invoice,date,article,total\nanna,1,2025-01-31,tea,9.90\nanna,2,2025-02-27,tea,9.90\nben,3,2025-02-28,cup,4.50\n"
    store.write(tmp_path / "data" / "shops" / "my_shop" / "invoices.csv", csv)
    choose("my_shop", tmp_path)
    run_stage("ingest", tmp_path)
    assert pq.read_table(tmp_path / "data" / "events" / "customers" / "part-000.parquet")[
        "customer_id"
    ].to_pylist() == ["anna", "ben"]
    assert store.read(tmp_path / "data" / "events" / "meta.json")["data_end"] == "2025-03-01"
