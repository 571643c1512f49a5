"""The cost of the stage `ingest` on the same lines: every row checked, numbered and sorted.

The other systems trust their input; the product does not. So it is shown apart and is in no ratio.
"""

import datetime as dt
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.runtime import store
from pipeline.runtime.params import load
from pipeline.runtime.store import Folder
from pipeline.stages.ingest import ingest

LINE = """select customer_id, concat_ws('-', source_file, source_line) as order_id, ordered_at,
    product as sku, category, quantity, amount as net_amount, source_file, source_line"""
REST = """
    create view returns as
    select source_line as return_id, customer_id, 1 as quantity, amount as net_amount, returned_at,
           if(defect, 'defect', 'other') as reason, source_file, source_line from raw.returns;
    create view complaints as
    select source_line as complaint_id, customer_id, opened_at, resolved_at,
           (['minor', 'major', 'critical'])[severity + 1] as severity, source_file, source_line
    from raw.complaints;"""


def run(data: Path, out: Path, snapshots: list[dt.date]) -> None:
    """Write events and quarantine as the stage does, whatever the snapshots."""
    params = load(Path(__file__).parents[1])
    months = sorted((data / "orders").glob("*.parquet"))
    lines = " union all ".join(f'{LINE} from raw."{month.stem}"' for month in months)
    with TemporaryDirectory(dir=out) as shop:
        for path in [*months, data / "returns.parquet", data / "complaints.parquet"]:
            os.link(path, Path(shop) / path.name)
        files = ingest(
            Folder(Path(shop)),
            f"create view orders as {lines};{REST}",
            params.ingest,
            params.engine,
            "benchmark",
        )
        for name in ("events", "quarantine"):
            store.write(out / name, files[name])
