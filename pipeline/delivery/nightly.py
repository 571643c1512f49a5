"""`corekeep score`: from raw files to the list of one day, with a model that was trained before.

The stages `ingest`, `extract`, `assign` and `score` run in this order in a work folder of their
own. The calendar has one snapshot, so a day costs one day. The bundle of the model says what the
features mean and what to do; nothing is trained, and DVC, git and MLflow are not needed.
"""

import contextlib
import datetime as dt
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from pipeline.delivery import postgresql
from pipeline.delivery.collect import gather
from pipeline.engine.evidence import trends_of
from pipeline.registry import bundle
from pipeline.registry.about import about_of
from pipeline.registry.bundle import Scoring
from pipeline.registry.champion import model_at
from pipeline.registry.model_files import require_past
from pipeline.runtime import publishing, store
from pipeline.runtime.cost import measured
from pipeline.runtime.errors import BusyError, ConfigError, StorageError
from pipeline.runtime.lock import locked
from pipeline.runtime.params import Params, load, require_shop
from pipeline.runtime.playbook import NAME as PLAYBOOK
from pipeline.runtime.playbook import text_of
from pipeline.runtime.progress import say
from pipeline.runtime.publishing import Published
from pipeline.runtime.runner import disk_errors, execute, stages
from pipeline.runtime.store import Folder

WORK, LOCK = ".work-", ".{}.lock"  # in the folder of the lists


@dataclass(frozen=True)
class Job:
    """What is scored with what, and where the list goes.

    `events`: the folder of the raw files; None: data/events, which `ingest` has already checked.
    """

    root: Path
    shop: str
    model: Folder
    scoring: Scoring
    params: Params
    out: Path
    events: Path | None = None
    as_of: str | None = None


def job(
    root: Path,
    model: Folder,
    params: Params,
    out: Path,
    events: Path | None = None,
    as_of: str | None = None,
) -> Job:
    """Return a job after all checks that need no work. Raises ModelError or ConfigError."""
    days = params.calibrate.horizon_days
    scoring = bundle.scoring_in(model, params.shop, None if days == "auto" else days)
    if as_of is not None:
        try:
            as_of = dt.date.fromisoformat(as_of).isoformat()
        except ValueError:
            rule, fix = "not a date", "write it as in 2026-01-31"
            raise ConfigError("E_DATE", "--as-of", rule, fix) from None
        if scoring.verdict != "no_signal":
            require_past(about_of(model), as_of)
    if events is not None and not events.is_dir():
        rule, fix = "there is no such folder", "name the folder of the raw files with --events"
        raise ConfigError("E_SHOP", str(events), rule, fix)
    params = bundle.with_sections(scoring, params)
    return Job(root, params.shop, model, scoring, params, out, events, as_of)


def _prepare(out: Path) -> None:
    """Make the folder of the lists. Raises StorageError before any work if it cannot be written."""
    try:
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = mkdtemp(prefix=WORK, dir=out)
        Path(probe).rmdir()
    except OSError as error:
        rule = f"no list can be written here: {error.strerror}"
        raise StorageError("E_DISK", str(out), rule, "free space or permissions") from None


def score(job: Job, dry_run: bool = False) -> tuple[Path | None, Published, dict[str, Any]]:
    """Make the list and publish it; return its folder, the list, and the run's record.

    The record: `tables`, what `ingest` has counted, and `cost` of each step.

    With `dry_run` nothing is published. Raises BusyError while another job makes the list of the
    same day for the same folder.
    """
    _prepare(job.out)
    day = job.as_of or "newest"
    with (
        disk_errors("corekeep score"),
        locked(job.out / LOCK.format(day), f"{job.out}, {day}"),
        _work_folder(job.out) as work,
    ):
        lists, record = _run(job, work)
        if dry_run:
            return None, lists, record
        with measured(record["cost"], "publish"):
            folder = publishing.publish(job.out, lists, job.params.lists)
        if job.params.engine.kind == "spark" and job.params.engine.spark.lists:
            _to_lake(folder, lists, job.params)
    return folder, lists, record


def _to_lake(folder: Path, lists: Published, params: Params) -> None:
    from pipeline.engine.spark import write_list

    tables = {
        name.removesuffix(".parquet"): table
        for name, table in lists.files.items()
        if name.endswith(".parquet") and "/" not in name
    }
    manifest = (folder / publishing.MANIFEST).read_text(encoding="utf-8")
    write_list(tables, manifest, params.engine.spark)


@contextlib.contextmanager
def _work_folder(out: Path) -> Iterator[Path]:
    """Yield a folder for this job alone, beside the lists: it names customers, and may be large."""
    for left in out.glob(f"{WORK}*/lock"):
        with contextlib.suppress(BusyError, OSError), locked(left, "a job"):
            shutil.rmtree(left.parent)  # of a job that was killed: its lock is free
    work = Path(mkdtemp(prefix=WORK, dir=out)).resolve()
    try:
        with locked(work / "lock", "a job"):
            yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run(job: Job, work: Path) -> tuple[Published, dict[str, Any]]:
    """Run the stages of one snapshot; return the list, and the run's record."""
    known = stages(job.root, job.shop)
    params = job.params
    _like_the_project(job, work, {Path(p).name for s in known.values() for p in s.outputs.values()})
    events = job.root / "data" / "events"
    returned = gather(
        job.root / "data" / "returned" / job.shop, job.out, job.shop, work / "returned"
    )
    record: dict[str, Any] = {"tables": {}, "cost": {}}
    if job.events is not None:
        if job.as_of:
            own = params.ingest.model_copy(update={"data_end": job.as_of})
            params = params.model_copy(update={"ingest": own})
        raw = {"shops": job.events.resolve(), "sources": job.root / "sources" / f"{job.shop}.sql"}
        with measured(record["cost"], "ingest"):
            _stage(known["ingest"], params, work, {**raw, "returned": returned})
        events = work / "data" / "events"
        record["tables"] = store.read(work / "reports" / "ingest.json")["tables"]
    meta = store.read(events / "meta.json")
    calibration = bundle.at_snapshot(job.scoring, meta)
    store.write(work / "data" / "calibration.json", calibration)
    selected = job.scoring.model_dump(include={"verdict", "grade", "forecasts", "tasks"})
    store.write(work / "reports" / "metrics.json", {**selected.pop("forecasts"), **selected})
    inputs = {"events": events, "returned": returned, "model": job.model.path.resolve()}
    with measured(record["cost"], "trends"):
        store.write(work / "data" / "trends.parquet", trends_of(Folder(events), params.engine))
    for name in ("extract", "assign", "score"):
        with measured(record["cost"], name):
            made = _stage(known[name], params, work, inputs)
    published: Published = made["lists"]
    if job.as_of and published.manifest["snapshot"] != job.as_of:
        rule = f"the data end on {published.manifest['snapshot']}"
        raise ConfigError("E_DATE", "--as-of", rule, "use that day, or deliver later data")
    return published, record


def _like_the_project(job: Job, work: Path, written: set[str]) -> None:
    """Let names in the work folder lead to the project, but for what stages write.

    The playbook is the one of the bundle, the earlier lists are those of the job's own folder.
    """
    (work / "data").mkdir()
    for folder in (job.root, job.root / "data"):
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name not in {*written, "data", "reports", PLAYBOOK} and path.name[0] != ".":
                (work / path.relative_to(job.root)).symlink_to(path.resolve())
    (work / "data" / "lists").symlink_to(job.out)
    (work / ".cache").symlink_to(_cache(job))
    if job.model.has(PLAYBOOK):
        store.write(work / PLAYBOOK, text_of(job.model.path, job.root))
    else:
        (work / PLAYBOOK).symlink_to((job.root / PLAYBOOK).resolve())


def _cache(job: Job) -> Path:
    """Return the folder that keeps the figures of the last run: beside the lists where the
    project's folder is read-only.
    """
    for folder in (job.root, job.out):
        with contextlib.suppress(OSError):
            (folder / ".cache").mkdir(mode=0o700, exist_ok=True)
            if os.access(folder / ".cache", os.W_OK):
                return (folder / ".cache").resolve()
    rule, fix = "no figures of this run can be kept", "free space or permissions"
    raise StorageError("E_DISK", str(job.out), rule, fix)


def _stage(stage: Any, params: Params, work: Path, inputs: dict[str, Path]) -> dict[str, Any]:
    """Run one stage in the work folder, some of its inputs being elsewhere."""
    say(stage.name)
    elsewhere = {name: str(inputs[name]) for name in stage.inputs.keys() & inputs.keys()}
    return execute(replace(stage, inputs={**stage.inputs, **elsewhere}), params, work)


def summary(job: Job, folder: Path | None, lists: Published, record: dict[str, Any]) -> Any:
    """Return the result of a job for a scheduler: no row of it is about one customer."""
    scored = lists.files["scored.parquet"]
    contacts = scored["contact"].value_counts().to_pylist()
    queues = scored["queue"].value_counts().to_pylist()
    kept = ("shop", "snapshot", "horizon_days", "verdict", "grade", "model_id", "customers")
    tables = record["tables"].values()
    quarantined = sum(n for table in tables for n in table["quarantined"].values())
    return {
        **{key: lists.manifest[key] for key in kept},
        "published": folder is not None,
        "folder": str(folder or job.out),
        "contacts": dict(sorted((row["values"], row["counts"]) for row in contacts)),
        "queues": dict(sorted((row["values"], row["counts"]) for row in queues)),
        "rows_in": sum(table["rows_in"] for table in tables),
        "quarantined": quarantined,
        "filled_in": len(publishing.filled_in(job.out)),
        "cost": record["cost"],
    }


def in_words(result: dict[str, Any]) -> str:
    """Return the summary as lines for a person."""
    contacts = ", ".join(f"{n:,} {name}" for name, n in result["contacts"].items())
    steps = ", ".join(f"{step} {each['cpu_s']:.1f}" for step, each in result["cost"].items())
    state = "list   " if result["published"] else "not published, would lie in"
    return (
        f"{state} {result['folder']}\n"
        f"shop    {result['shop']}, as of {result['snapshot']}: {result['customers']:,} customers\n"
        f"model   {result['model_id'] or 'none: rules alone'}: {result['grade']}\n"
        f"contact {contacts}\n"
        f"CPU s   {steps}\n"
    )


def run(
    root: Path,
    shop: str | None,
    events: Path | None,
    as_of: str | None,
    model: str | None,
    out: Path | None,
    dry_run: bool,
    engine: str | None,
    sink: str | None = None,
) -> dict[str, Any]:
    """Score a shop's raw files; return the summary. Defaults: data/shops/<shop>, the newest day,
    the champion, data/lists. Reports and page of this folder follow its list.
    """
    if sink:
        postgresql.require_address(sink)
    if shop:
        require_shop(shop, f"--shop {shop}", root)
    params = load(root, shop)
    if engine:
        own = params.engine.model_copy(update={"kind": engine})
        params = params.model_copy(update={"engine": own})
    raw = events or root / "data" / "shops" / params.shop
    here = (root / "data" / "lists").absolute()
    target = out.absolute() if out else here
    # standard output is for the result
    with contextlib.redirect_stdout(sys.stderr), model_at(root, params, model) as folder:
        work = job(root, folder, params, target, raw, as_of)
        made = score(work, dry_run)
        if sink and made[0]:
            postgresql.sink(made[0], sink)
        if target == here and not dry_run:
            from pipeline.delivery.page import follow

            follow(root, params, folder)
        return dict(summary(work, *made))
