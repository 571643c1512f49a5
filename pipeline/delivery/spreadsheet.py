"""An apostrophe before a cell that begins like a formula: no spreadsheet runs it (CWE-1236)."""

import pyarrow as pa
import pyarrow.compute as pc

RISKY = ("=", "+", "-", "@", "\t", "\r", "\x00")


def safe(text: str) -> str:
    """The text, with an apostrophe in front where it would be taken for a formula."""
    return f"'{text}" if text.startswith(RISKY) else text


def safe_table(table: pa.Table) -> pa.Table:
    """All text cells of a table made safe; numbers and dates stay what they are."""
    for i, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            first = pc.binary_slice(table[i].cast(pa.binary()), 0, 1)
            risky = pc.is_in(first, pa.array(RISKY, pa.binary()))
            if pc.any(risky).as_py():
                quoted = pc.binary_join_element_wise("'", table[i], "")
                table = table.set_column(i, field, pc.if_else(risky, quoted, table[i]))
    return table
