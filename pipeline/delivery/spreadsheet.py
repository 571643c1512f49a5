"""An apostrophe before a cell that begins like a formula: no spreadsheet runs it (CWE-1236).

A cell that begins so after apostrophes of its own gets one more. So taking one away gives back the
text.
"""

import re

import pyarrow as pa
import pyarrow.compute as pc

RISKY = r"^'*[=+\-@\t\r\x00]"


def safe(text: str) -> str:
    """The text, with an apostrophe in front where it would be taken for a formula."""
    return f"'{text}" if re.match(RISKY, text) else text


def safe_table(table: pa.Table) -> pa.Table:
    """All text cells of a table made safe; numbers and dates stay what they are."""
    for i, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            risky = pc.match_substring_regex(table[i], RISKY)
            if pc.any(risky).as_py():
                quoted = pc.binary_join_element_wise("'", table[i], "")
                table = table.set_column(i, field, pc.if_else(risky, quoted, table[i]))
    return table


def plain(text: str) -> str:
    """The text that `safe` made safe."""
    return text[1:] if text[:1] == "'" and re.match(RISKY, text) else text
