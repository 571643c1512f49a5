"""Text that a spreadsheet must not run: a cell that begins like a formula gets an apostrophe in front (CWE-1236)."""

import pandas as pd

RISKY = ("=", "+", "-", "@", "\t", "\r", "\x00")


def safe(text: str) -> str:
    """The text, with an apostrophe in front where it would be taken for a formula."""
    return f"'{text}" if text.startswith(RISKY) else text


def safe_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """All text cells of a table made safe; numbers stay numbers."""
    columns = [c for c in frame.columns if frame[c].dtype.kind not in "fiub"]
    return frame.assign(**{c: frame[c].map(lambda cell: safe(cell) if isinstance(cell, str) else cell) for c in columns})
