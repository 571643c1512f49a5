"""Find which customers are about to leave, and whom it is worth calling."""

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal

try:
    import typer
except ModuleNotFoundError:
    print(
        "E_VENV python — corekeep's libraries are not installed for it — "
        "activate .venv, or use `make repro`",
        file=sys.stderr,
    )
    sys.exit(2)

from pipeline.runtime.errors import Refused
from pipeline.runtime.progress import say

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help=__doc__, pretty_exceptions_enable=False
)

models = typer.Typer(
    no_args_is_help=True, help="Show and change the registered versions of the model."
)
app.add_typer(models, name="model")
Chosen = Annotated[
    str | None, typer.Option(help="Choose this shop first; default: the one of params.yaml.")
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show what the stages, DVC and MLflow print.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Sink = Annotated[
    str | None, typer.Option(help="postgresql://...: also put the list into a table there.")
]
Reason = Annotated[
    str, typer.Option(help="Why, in a few words; kept with the version. Name nobody.")
]


def root() -> Path:
    """Return the project's folder."""
    from pipeline.runtime.runner import ROOT

    return ROOT


@app.command()
def repro(shop: Chosen = None, verbose: Verbose = False) -> None:
    """Bring everything up to date, from the raw files to the list, the page and the tracked run."""
    from pipeline.delivery.collect import collect
    from pipeline.delivery.page import publish_champion
    from pipeline.delivery.summary import summary
    from pipeline.runtime.repro import repro as run
    from pipeline.runtime.runner import whole_pipeline

    with whole_pipeline(root()):
        collect(root())
        code = run(shop, root(), publish_champion, verbose)
    if code == 0:
        print(summary(root()))
    raise typer.Exit(code)


@app.command()
def train(shop: Chosen = None, verbose: Verbose = False) -> None:
    """Train, evaluate and register a model on the newest data. List and page stay as they are."""
    from pipeline.runtime.repro import repro as run
    from pipeline.runtime.runner import whole_pipeline

    with whole_pipeline(root()):
        code = run(shop, root(), None, verbose)
    raise typer.Exit(code)


@app.command()
def score(
    shop: Annotated[
        str | None, typer.Option(help="The shop; default: the one of params.yaml.")
    ] = None,
    events: Annotated[
        Path | None, typer.Option(help="The folder of the raw files; default: data/shops/SHOP.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(help="The day of the list, as in 2026-01-31; default: the newest.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="A folder, or models:/NAME@champion; default: data/champion/SHOP."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder of the lists; default: data/lists.")
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Do everything but publish.")] = False,
    as_json: AsJson = False,
    engine: Annotated[
        Literal["local", "spark"] | None,
        typer.Option(help="Where the kernels run; default: params.yaml."),
    ] = None,
    sink: Sink = None,
) -> None:
    """Make the list of a day from a shop's raw files, with a model that was trained before."""
    from pipeline.delivery.nightly import in_words, run
    from pipeline.runtime.store import to_json

    result = run(root(), shop, events, as_of, model, out, dry_run, engine, sink)
    print(to_json(result) if as_json else in_words(result), end="")


@app.command()
def stage(name: str) -> None:
    """Run one stage of dvc.yaml for the shop chosen in params.yaml."""
    from pipeline.runtime.errors import ConfigError
    from pipeline.runtime.runner import run_stage

    if name in ("score", "report"):
        rule = "it publishes, so it is run with the champion"
        raise ConfigError("E_STAGE", f"stage {name}", rule, "run `corekeep score`")

    if "DVC_STAGE" in os.environ and sys.platform == "linux":
        # a stage whose DVC was killed must not go on writing: PR_SET_PDEATHSIG
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    run_stage(name)


@app.command()
def fetch(name: str) -> None:
    """Fetch a real shop's raw files into data/shops/NAME."""
    from pipeline.inputs.fetch import fetch as run

    say(f"raw files in {run(name, root()).relative_to(root())}")


Role = Annotated[str | None, typer.Option(help="The column that holds it.", metavar="COLUMN")]


@app.command()
def init(
    files: Annotated[list[Path], typer.Argument(help="CSV, Excel or Parquet files, or folders.")],
    shop: Annotated[str | None, typer.Option(help="Its name; default: the first file's.")] = None,
    timezone: Annotated[str | None, typer.Option(help="As in Europe/London.")] = None,
    currency: Annotated[str | None, typer.Option(help="As in EUR.")] = None,
    day_first: Annotated[
        bool | None, typer.Option("--day-first/--month-first", help="01/02 is 1 February or not.")
    ] = None,
    thousands_point: Annotated[
        bool | None, typer.Option("--thousands-point/--decimal-point", help="What 1.234 means.")
    ] = None,
    customer: Role = None,
    order: Role = None,
    time: Role = None,
    amount: Role = None,
    price: Role = None,
    quantity: Role = None,
    product: Role = None,
    category: Role = None,
    segments: Annotated[
        str | None, typer.Option(help="Columns that group customers: Region,Store. '' for none.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing: take what is proposed.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the shop's own files.")] = False,
) -> None:
    """Look at your own files and write the shop's SQL and settings for them."""
    from pipeline.inputs.init.command import init as run
    from pipeline.inputs.init.questions import Answers

    roles = {"customer": customer, "order": order, "ordered_at": time, "net_amount": amount}
    roles |= {"price": price, "quantity": quantity, "sku": product, "category": category}
    columns = {role: name for role, name in roles.items() if name is not None}
    groups = (
        None if segments is None else tuple(n.strip() for n in segments.split(",") if n.strip())
    )
    answers = Answers(
        shop, timezone, currency, day_first, thousands_point, columns, groups, yes=yes, force=force
    )
    name = run(files, answers, root())
    print(f"next: corekeep check {name}, then make repro SHOP={name}")


@app.command()
def check(shop: str, as_json: AsJson = False) -> None:
    """Report all that is wrong with a shop's data at once, then what the data supports."""
    from pipeline.delivery.readiness import as_text, readiness
    from pipeline.runtime.store import to_json

    result = readiness(shop, root())
    print(to_json(result).rstrip() if as_json else as_text(result))
    if result["exit_code"]:
        raise typer.Exit(result["exit_code"])
    if not as_json:
        print(f"\nnext: make repro SHOP={shop}")


@app.command()
def docs() -> None:
    """Make the documents that come from the code, and those that come from the demo's last run."""
    from pipeline.docs.documents import demo_documents, documents
    from pipeline.runtime import store

    for path, content in {**documents(root()), **demo_documents(root())}.items():
        # texts as they are, JSON texts too
        store.write(root() / path, content.encode() if isinstance(content, str) else content)
        say(path)


@app.command()
def why(
    customer: str,
    as_of: Annotated[
        str | None, typer.Option(help="The day, as in 2026-01-31; by default the end of the data.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="The whole time line, not only a screenful.")
    ] = False,
) -> None:
    """Explain the stage of one customer, and show their time line."""
    from rich.console import Console

    from pipeline.delivery.customer import why as run

    run(customer, as_of, everything, root(), Console())


@app.command()
def outcomes() -> None:
    """Measure past lists: scores against what happened, and whether contacts help."""
    from pipeline.delivery.outcomes import outcomes as run

    run(root())


@app.command()
def audit(file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)]) -> None:
    """Compare how often groups of customers are called; FILE: customer_id and attributes."""
    from pipeline.delivery.audit import audit as run

    run(file, root())


@app.command()
def erase(
    customer: Annotated[list[str] | None, typer.Argument(help="Ids, as in the raw files.")] = None,
    source: Annotated[
        typer.FileText | None,
        typer.Option(
            "--from", encoding="utf-8-sig", help="A file with one id a line; - for standard input."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Change nothing; list the files.")] = False,
) -> None:
    """Erase customers from raw files, lists, results and caches; they stay out for ever."""
    from pipeline.delivery.erase import erase as run
    from pipeline.delivery.erase import report
    from pipeline.runtime.runner import whole_pipeline

    listed = source.read().splitlines() if source else []
    with whole_pipeline(root()):
        erased = run(root(), {*(customer or ()), *listed}, dry_run)
    report(erased, dry_run)


@app.command()
def prune(
    yes: Annotated[bool, typer.Option("--yes", help="Remove it; without, only list it.")] = False,
) -> None:
    """List, or remove, what no run needs: unused cache, old lists and exports, leftovers."""
    from pipeline.delivery.prune import prune as run
    from pipeline.delivery.prune import report
    from pipeline.runtime.runner import whole_pipeline

    with whole_pipeline(root()):
        report(run(root(), dry_run=not yes), dry_run=not yes)


@app.command()
def export(
    target: Annotated[
        str | None, typer.Argument(help="braze, hubspot, klaviyo or salesforce.")
    ] = None,
    changed_only: Annotated[
        bool, typer.Option("--changed-only", help="Leave out rows as they were exported last.")
    ] = False,
    sink: Sink = None,
) -> None:
    """Write the list in force as import files of a CRM, or into PostgreSQL."""
    from pipeline.delivery.export import export as run
    from pipeline.delivery.postgresql import sink as put
    from pipeline.runtime.errors import ConfigError
    from pipeline.runtime.publishing import in_force

    if target is None and sink is None:
        raise ConfigError("E_EXPORT", "corekeep export", "no target", "name one, or use --sink")
    if target is not None:
        run(target, root(), changed_only)
    if sink is not None:
        put(in_force(root() / "data" / "lists"), sink)


@models.command("list")
def list_versions() -> None:
    """List every version of every shop's model: alias, AUC and reason."""
    from pipeline.registry.commands import listing

    say(listing(root()))


@models.command()
def promote(version: str, reason: Reason) -> None:
    """Make a version of the chosen shop's model champion."""
    from pipeline.registry.commands import promote as run

    say(run(version, reason, root()))


@models.command()
def rollback(reason: Reason) -> None:
    """Give the alias `champion` back to the version that had it before."""
    from pipeline.registry.commands import rollback as run

    say(run(reason, root()))


def _stop(number: int, _: FrameType | None) -> None:
    """End with the exit code of the signal, after the temporary files are gone."""
    sys.exit(128 + number)


def _close_to_others() -> None:
    """Let nobody else into the folders that name customers: git and plain DVC open them to all."""
    root = Path(__file__).resolve().parents[1]
    for folder in (root / "data", root / ".dvc" / "cache"):
        with contextlib.suppress(OSError):  # not there yet, or not ours
            if folder.stat().st_mode & 0o077:
                folder.chmod(0o700)


def main() -> None:
    """Entry point: expected errors end with one line and their exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    # The matrices are small: threads of BLAS wait busily for work that never comes.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.umask(0o077)  # what is written here, and by DVC, names customers
    _close_to_others()
    try:
        app()
    except Refused as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
