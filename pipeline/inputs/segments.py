"""What a shop groups its customers by (brand, region, store): for filters and figures only.

Kept beside the events of the customers, in a file that no feature, stage or reason reads.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.inputs.database import Db, identifier
from pipeline.runtime.store import Folder

FILE = "segments.parquet"
PREFIX = "segment_"  # of the published columns: the shop's own names clash with none of ours


def rows(db: Db, names: Sequence[str]) -> pa.Table:
    """One row per customer with segments, which have these names in the shop's view.

    Of several ids of one customer the first row with a value counts.
    """
    columns = ", ".join(
        f"arg_min({identifier(name)}, (source_file, source_line)) as {identifier(PREFIX + name)}"
        for name in names
    )
    sql = f"select customer_id::varchar as customer_id, {columns} from accepted_segments"
    return db.sql(f"{sql} group by customer_id order by 1").to_arrow_table()


def segments_of(events: Folder, customers: pa.Array | pa.ChunkedArray) -> dict[str, pa.Array]:
    """Return the columns `segment_<name>`, one value per customer; null where none is known."""
    if not events.names(FILE):
        return {}
    rows = events.read(FILE)
    place = pc.index_in(customers, rows["customer_id"].combine_chunks())
    names = [name for name in rows.column_names if name.startswith(PREFIX)]
    return {name: rows[name].combine_chunks().take(place) for name in names}
