"""Erased customers: known only as keyed hashes, so that one who is delivered again is dropped.

`erased.key` is the key. Once it is destroyed, the hashes name nobody, to nobody.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from pipeline.inputs.contract import TABLES
from pipeline.inputs.database import Db, fetch_all
from pipeline.runtime import store
from pipeline.runtime.errors import QualityError

HASHES, KEY = "erased.json", "erased.key"


def _hash(customer: str, key: bytes) -> str:
    return hmac.new(key, customer.encode(), hashlib.sha256).hexdigest()


def _key(folder: Path) -> bytes:
    """Return the key of the hashes. QualityError without it: nobody could be kept out."""
    path = folder / KEY
    if not path.is_file():
        rule, fix = "the key of the erased customers is missing", f"restore it, or remove {HASHES}"
        raise QualityError("E_ERASED", str(path), rule, fix)
    return path.read_bytes()


def remember(folder: Path, customers: Iterable[str]) -> None:
    """Add customers to the hashes in a folder, with a new key if there is none yet."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / KEY).exists() and not (folder / HASHES).exists():
        descriptor = os.open(folder / KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
    key = _key(folder)
    known = store.read(folder / HASHES) if (folder / HASHES).exists() else []
    store.write(folder / HASHES, sorted({*known, *(_hash(name, key) for name in customers)}))


def drop_erased(db: Db, folder: Path) -> None:
    """Give every staged row of an erased customer the fate `erased`."""
    if not (folder / HASHES).exists():
        return
    hashes, key = set(store.read(folder / HASHES)), _key(folder)
    tables = [table.name for table in TABLES.values() if "customer_id" in table.names]
    names = " union ".join(f"select customer_id from staged_{table}" for table in tables)
    names += " union select canonical_id from staged_aliases"
    delivered = fetch_all(db, f"select customer_id from ({names}) where customer_id is not null")
    again = [name for (name,) in delivered if _hash(name, key) in hashes]
    ids = pa.table({"customer_id": pa.array(again, pa.string())})
    db.from_arrow(ids).create("erased_again")
    for table in tables:
        db.execute(f"""update staged_{table} set fate = 'erased'
            where fate is null and customer_id in (select customer_id from erased_again)""")
