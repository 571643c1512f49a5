"""A run against the shop's last one: too few lines or other amounts stop it, or warn."""

from pathlib import Path
from typing import Any

import duckdb
import pytest
from raw_shop import SETTINGS

from pipeline.inputs.last_run import check_volume
from pipeline.runtime.errors import QualityError
from pipeline.runtime.sections import Ingest


def run(root: Path, lines: int, amount: float, end: str = "2026-01-01", **settings: Any) -> None:
    """Compare a shop of so many lines, each of this amount, with the run before."""
    params = Ingest.model_validate({**SETTINGS, **settings})
    with duckdb.connect() as db:
        db.execute(f"""create table accepted_orders as
            select {amount}::decimal(18, 2) as net_amount from range({lines})""")
        check_volume(db, params, end, "tiny", root)


@pytest.mark.parametrize(
    ("lines", "amount", "code"),
    [(40, 10, "E_VOLUME"), (0, 10, "E_VOLUME"), (100, 1000, "E_PRICES"), (100, 0.1, "E_PRICES")],
)
def test_a_fall_of_volume_or_another_unit_of_prices_stops_every_run_until_it_is_accepted(
    lines: int, amount: float, code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, 100, 10)
    for _ in range(2):
        with pytest.raises(QualityError) as stopped:
            run(tmp_path, lines, amount)
        assert (stopped.value.code, stopped.value.exit_code) == (code, 4)
    run(tmp_path, lines, amount, against_last={**SETTINGS["against_last"], "then": "warn"})
    assert "warning: orders of tiny: " in capsys.readouterr().err
    run(tmp_path, lines, amount)


def test_a_usual_change_and_a_day_of_the_past_are_no_fall(tmp_path: Path) -> None:
    run(tmp_path, 100, 10)
    run(tmp_path, 60, 12)
    run(tmp_path, 5, 12, end="2025-01-01", data_end="2025-01-01")
    run(tmp_path, 60, 12)  # the past day has not become the last run


def test_a_delivery_cut_at_its_end_is_a_fall_even_though_its_data_end_earlier(
    tmp_path: Path,
) -> None:
    run(tmp_path, 100, 10)
    with pytest.raises(QualityError, match="30 lines, 100 in the last run"):
        run(tmp_path, 30, 10, end="2025-01-01")
