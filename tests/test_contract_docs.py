"""The input contract as JSON Schema and for dbt accepts and refuses what the contract does."""

import json

import jsonschema
import pytest
import yaml

from pipeline.docs.contract import KINDS, contract_dbt, contract_json_schema, contract_markdown
from pipeline.inputs.contract import TABLES

ORDER = {"customer_id": "anna", "order_id": "1", "ordered_at": "2025-01-31", "net_amount": 9.9}
COMPLAINT = {
    "complaint_id": "K1", "customer_id": "anna", "opened_at": "2025-02-01", "severity": "minor",
}  # fmt: skip
SCHEMA = json.loads(contract_json_schema())


def test_the_json_schema_is_one_and_accepts_three_columns() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate({"orders": [ORDER], "complaints": [COMPLAINT]}, SCHEMA)


@pytest.mark.parametrize(
    "tables",
    [
        {},
        {"orders": [{**ORDER, "customer_id": None}]},
        {"orders": [{key: value for key, value in ORDER.items() if key != "ordered_at"}]},
        {"orders": [{**ORDER, "net_amount": "9,90"}]},
        {"orders": [ORDER], "complaints": [{**COMPLAINT, "severity": "grave"}]},
    ],
)
def test_the_json_schema_refuses_what_the_contract_refuses(tables: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tables, SCHEMA)


def test_every_column_stands_in_all_three_forms() -> None:
    models = {model["name"]: model for model in yaml.safe_load(contract_dbt())["models"]}
    page = contract_markdown()
    for name, of in TABLES.items():
        assert [column["name"] for column in models[name]["columns"]] == of.names
        assert list(SCHEMA["$defs"][name]["properties"]) == of.names
        for column in of.columns:
            assert column.kind in KINDS
            assert f"| `{column.name}` |" in page.split(f"\n## {name}\n")[1].split("\n## ")[0]


def test_dbt_tests_the_keys_and_the_choices() -> None:
    models = {model["name"]: model for model in yaml.safe_load(contract_dbt())["models"]}
    columns = {column["name"]: column for column in models["complaints"]["columns"]}
    assert columns["complaint_id"]["data_tests"] == ["not_null", "unique"]
    choices = {"accepted_values": {"values": ["minor", "major", "critical"]}}
    assert choices in columns["severity"]["data_tests"]
    assert "data_tests" not in columns["kind"]
