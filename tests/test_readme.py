"""README: its figures are those of the demo's run, and what it shows works."""

import re
from pathlib import Path

import pyarrow.parquet as pq
import yaml
from frozen import project
from morning_page import DAY, customer, published

from benchmarks.food_delivery import BLOCK, RESULTS, Row, shown
from models.hypotheses.catalogue import HYPOTHESES
from pipeline.docs.documents import demo_documents
from pipeline.docs.readme import readme
from pipeline.runtime import store
from pipeline.runtime.repro import choose
from pipeline.runtime.runner import ROOT, run_stage

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_shop_of_readme_is_ingested_from_two_files_and_a_csv(tmp_path: Path) -> None:
    project(tmp_path, "dvc.yaml")
    sql = re.findall(r"```sql\n(.*?)```", README, re.DOTALL)[0]
    store.write(tmp_path / "sources" / "my_shop.sql", sql)
    store.write(tmp_path / "shops" / "my_shop.yaml", "# nothing differs\n")
    csv = (
        "client,invoice,date,article,total\nanna,1,2025-01-31,tea,9.90\n"
        "anna,2,2025-02-27,tea,9.90\nben,3,2025-02-28,cup,4.50\n"
    )
    store.write(tmp_path / "data" / "shops" / "my_shop" / "invoices.csv", csv)
    choose("my_shop", tmp_path)
    run_stage("ingest", tmp_path)
    assert pq.read_table(tmp_path / "data" / "events" / "customers" / "part-000.parquet")[
        "customer_id"
    ].to_pylist() == ["anna", "ben"]
    assert store.read(tmp_path / "data" / "events" / "meta.json")["data_end"] == "2025-03-01"


def test_the_figures_of_readme_are_those_of_the_demos_run_that_dvc_lock_names() -> None:
    figures = store.read(ROOT / "docs" / "demo.json")
    assert readme(README, figures) == README, "run `corekeep docs`"
    other = {**figures, "list": figures["list"][::-1], "auc": dict.fromkeys(figures["auc"], 0.5)}
    assert len(set(readme(README, other).splitlines()) - set(README.splitlines())) == 5
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text(encoding="utf-8"))["stages"]["train"]
    outs = {out["path"]: out["md5"] for out in lock["outs"]}
    stale = "run `make repro SHOP=demo`, then `corekeep docs`"
    assert outs["data/model"] == figures["model_md5"], stale


def test_the_table_of_real_orders_is_the_measured_one() -> None:
    rows = [Row(**row) for row in store.read(RESULTS)]
    [written] = BLOCK.findall(README)
    assert written.strip() == shown(rows)
    assert {row[-1] for row in rows} == {"recovered", "not recovered", "cannot be tested"}
    # every statement is there, losses included
    assert all(one.statement in written for one in HYPOTHESES)


def test_the_figures_of_readme_are_read_from_the_list_and_the_evaluation(tmp_path: Path) -> None:
    rows = [customer(f"C{i}", i, risk=i / 10, last_purchase_on=DAY) for i in range(1, 8)]
    published(tmp_path / "data" / "lists", rows, [])
    scorer = {"auc": 0.71, "auc_ci": [0.7, 0.72]}
    baselines = dict.fromkeys(("recency", "logistic_rfm", "bg_nbd", "expert_windows"), scorer)
    evaluation = {"shop": "demo", "model": scorer, "baselines": baselines}
    store.write(tmp_path / "reports" / "evaluation.json", evaluation)
    store.write(tmp_path / "reports" / "model_card.md", "# A card\n")
    store.write(tmp_path / "README.md", README)
    outs = {"stages": {"train": {"outs": [{"path": "data/model", "md5": "abc.dir"}]}}}
    store.write(tmp_path / "dvc.lock", yaml.safe_dump(outs))
    made = demo_documents(tmp_path)
    assert [row["customer"] for row in made["docs/demo.json"]["list"]] == [
        f"C{i}" for i in range(1, 6)
    ]
    assert "| 5 | C5 | 50 % | 100 | Core since then. |\n" in made["README.md"]
    assert "| .710 | .710 | .710 | .710 | **.710** [.700, .720] |" in made["README.md"]
