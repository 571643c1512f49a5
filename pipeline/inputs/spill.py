"""Rows that are read in any order and needed by partition."""

import weakref
from tempfile import TemporaryFile

import numpy as np
import pyarrow as pa


class Spill:
    """Rows by partition in an unnamed file: memory holds a batch, whatever the size of the data."""

    def __init__(self, batches: pa.RecordBatchReader, parts: int) -> None:
        """Take batches whose column `part` names the partition of each row, below `parts`."""
        self.rows = 0
        self._file = TemporaryFile()  # noqa: SIM115 closed with this object
        weakref.finalize(self, self._file.close)
        self._schema = batches.schema
        self._places: list[list[tuple[int, int]]] = [[] for _ in range(parts)]
        for batch in batches:
            self._add(batch)
            self.rows += len(batch)

    def _add(self, batch: pa.RecordBatch) -> None:
        part = batch["part"].to_numpy()
        # numpy sorts small numbers by counting them
        order = np.argsort(part.astype(np.min_scalar_type(len(self._places))), kind="stable")
        batch = batch.take(pa.array(order))
        ends = np.cumsum(np.bincount(part, minlength=len(self._places)))
        for places, begin, end in zip(self._places, [0, *ends], ends, strict=False):
            if begin < end:
                rows = batch.slice(begin, end - begin).serialize()
                places.append((self._file.tell(), rows.size))
                self._file.write(rows)

    def read(self, part: int) -> pa.Table:
        """Return the rows of a partition."""
        batches = []
        for place, size in self._places[part]:
            self._file.seek(place)
            rows = pa.py_buffer(self._file.read(size))
            batches.append(pa.ipc.read_record_batch(rows, self._schema))
        return pa.Table.from_batches(batches, self._schema)
