"""The map of the documents is complete, and what the guides show works."""

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
import yaml
from frozen import ROOT, project

from pipeline.__main__ import app
from pipeline.delivery.schema import SCORED
from pipeline.inputs.contract import TABLES
from pipeline.runtime import store
from pipeline.runtime.params import load
from pipeline.runtime.repro import choose
from pipeline.runtime.runner import run_stage

DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if path.parent.name != "decisions")
WAREHOUSES = (DOCS / "how-to" / "warehouses.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_map_leads_to_every_page() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (DOCS / "README.md").read_text(encoding="utf-8"))
    linked = {(DOCS / link).resolve() for link in links}
    missing = [str(page.relative_to(DOCS)) for page in PAGES if page not in linked]
    assert missing == ["README.md"], "name the page in docs/README.md"


def test_every_heading_that_a_page_links_to_exists() -> None:
    dead = []
    for page in [ROOT / "README.md", *PAGES]:
        text = page.read_text(encoding="utf-8")
        for file, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", text):
            headings = re.findall(
                r"^#+ (.*)$",
                (page.parent / file if file else page).read_text("utf-8"),
                re.MULTILINE,
            )
            slugs = {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}
            if anchor not in slugs:
                dead.append(f"{page.relative_to(ROOT)}: {file}#{anchor}")
    assert not dead, f"links without a heading: {', '.join(dead)}"


def test_every_command_of_corekeep_in_the_documents_exists_with_its_options() -> None:
    commands: Any = typer.main.get_command(app)
    unknown = []
    for page in [ROOT / "README.md", *PAGES]:
        text = page.read_text(encoding="utf-8")
        shown = re.findall(r"(?m)^(?:\.venv/bin/)?corekeep ([^`#&|>\n]*)", text)
        for line in shown + re.findall(r"`(?:\.venv/bin/)?corekeep ([^`]*)`", text):
            name, *rest = line.split()
            command = commands.commands.get(name)
            if rest and rest[0] in getattr(command, "commands", {}):
                command = command.commands[rest[0]]
            options = {word.split("=")[0] for word in rest if word.startswith("--")}
            known = getattr(command, "params", ())
            options -= {option for of in known for option in of.opts + of.secondary_opts}
            if command is None or options:
                unknown.append(f"{page.relative_to(ROOT)}: {line.strip()}")
    assert not unknown, "no such command or option:\n" + "\n".join(unknown)


def test_orders_that_a_warehouse_unloads_as_the_guide_says_are_ingested(tmp_path: Path) -> None:
    project(tmp_path, "dvc.yaml")
    *unloads, mapping = blocks(WAREHOUSES, "sql")
    assert len(unloads) == 3
    (settings,) = blocks(WAREHOUSES, "yaml")
    for unload in unloads:  # each names the columns that the shop's SQL reads
        names = re.findall(r"(?:as (\w+),?$|^ +(category),$)", unload, re.MULTILINE)
        assert {"".join(name) for name in names} >= set(
            "customer_id order_id ordered_at sku category quantity net_amount".split()
        )
    store.write(tmp_path / "sources" / "my_shop.sql", mapping)
    store.write(tmp_path / "shops" / "my_shop.yaml", settings)
    orders = tmp_path / "data" / "shops" / "my_shop" / "orders"
    orders.mkdir(parents=True)
    for part, customer in enumerate(["anna", "ben"]):
        rows = {
            "CUSTOMER_ID": [customer, customer],
            "ORDER_ID": [f"{part}1", f"{part}2"],
            "ORDERED_AT": ["2025-01-31T23:30:00Z", "2025-02-27T10:00:00Z"],
            "SKU": ["tea", "cup"],
            "CATEGORY": ["tea", None],
            "QUANTITY": [1.0, 2.0],
            "NET_AMOUNT": [9.9, 4.5],
        }
        pq.write_table(pa.table(rows), orders / f"data_{part}.snappy.parquet")
    (orders / "_SUCCESS").touch()  # Spark's own note
    choose("my_shop", tmp_path)
    run_stage("ingest", tmp_path)
    report = store.read(tmp_path / "reports" / "ingest.json")["tables"]["orders"]
    assert (report["rows_in"], report["accepted"]) == (4, 4)


@pytest.mark.parametrize("page", [page for page in PAGES if "yaml" in page.read_text("utf-8")])
def test_settings_that_a_page_shows_are_valid(page: Path, tmp_path: Path) -> None:
    project(tmp_path)
    for number, settings in enumerate(blocks(page.read_text(encoding="utf-8"), "yaml")):
        if "stages" not in yaml.safe_load(settings):
            store.write(tmp_path / "shops" / f"my_shop_{number}.yaml", settings)
            choose(f"my_shop_{number}", tmp_path)
            load(tmp_path)


def test_the_columns_that_the_questions_point_to_exist() -> None:
    text = (DOCS / "faq.md").read_text(encoding="utf-8")
    published = {column.name for column in SCORED}
    for (
        name
    ) in "late_on lapses_on stage risk expected_profit value_if_retained risk_band reason".split():
        assert f"`{name}`" in text
        assert name in published
    (merge,) = blocks(text, "sql")
    assert set(re.findall(r"(?:as|o\.)\s?(\w+)", merge)) & set(TABLES["orders"].required)
