"""Stage `simulate`: a simulated shop, with the ground truth about its customers kept apart."""

from pipeline.demo import prospects, tables
from pipeline.demo.blocks import Files, files, input_tables, random_stream
from pipeline.demo.ground_truth import truth_tables
from pipeline.runtime.demo_section import Simulate


def simulate(params: Simulate) -> dict[str, Files]:
    """Return the input tables of the demo shop and the ground truth that only `recover` may read.

    Every block is simulated twice, once for each folder. That costs less than holding the ground
    truth of all blocks until the shop is written.
    """
    rng, clock = random_stream(params, 0)
    market = prospects.market(rng, params)

    def shop() -> Files:
        yield "market_events.parquet", tables.market_events(clock, market.rivals)
        yield from files(input_tables, market, params)

    return {"shops": shop(), "truth": files(truth_tables, market, params)}
