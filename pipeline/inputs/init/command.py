"""`corekeep init`: look at a shop's files, and write its SQL and its YAML file."""

import os
import re
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import duckdb

from pipeline.inputs.database import Db, fetch_all, identifier, open_database
from pipeline.inputs.files import Raw, is_raw, raw_tables, refuse_mistaken, register
from pipeline.inputs.init.columns import columns_of, name_sql
from pipeline.inputs.init.draft import Draft
from pipeline.inputs.init.forms import guess, guesses, is_whitespace_table
from pipeline.inputs.init.questions import Answers, day_order, point_settled, settle
from pipeline.inputs.init.roles import TIMES, words_of
from pipeline.inputs.init.tables import RawTable, concepts, kind_of
from pipeline.inputs.init.trial import settings_text, try_out
from pipeline.inputs.init.views import draft_tables
from pipeline.inputs.plain import TEXTS
from pipeline.inputs.refusals import refusal
from pipeline.inputs.unreadable import unreadable
from pipeline.runtime import store
from pipeline.runtime.errors import ConfigError
from pipeline.runtime.params import SHOP_NAME, load
from pipeline.runtime.progress import say
from pipeline.runtime.sections import RawFile
from pipeline.runtime.store import Folder


def init(files: list[Path], answers: Answers, root: Path) -> str:
    """Write sources/<shop>.sql, shops/<shop>.yaml and data/shops/<shop>/; return the shop's name.

    Raises InputError for files that cannot be read, ConfigError for answers that are missing.
    """
    shop = _shop_name(files, answers)
    _check_free(shop, answers.force, root)
    base = root / "data" / "shops"
    base.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".init-", dir=base) as work:
        folder = Path(work)
        forms = _collect(files, folder)
        written = _compose(shop, folder, forms, answers, root)
        _publish(folder, base / shop)
    for path, text in written.items():
        store.write(root / path, text)
        say(f"wrote {path}")
    (root / "data" / "truth" / shop).mkdir(parents=True, exist_ok=True)
    return shop


def _shop_name(files: list[Path], answers: Answers) -> str:
    """Return the shop's name: as given, or made of the first file's name."""
    if answers.shop is not None:
        if not re.fullmatch(SHOP_NAME, answers.shop):
            rule = "the name of a shop has only a-z, 0-9 and _, and begins with a letter"
            raise ConfigError("E_SHOP", f"--shop {answers.shop}", rule, "choose another one")
        return answers.shop
    name = "_".join(words_of(files[0].name.partition(".")[0])) or "shop"
    name = name if name[0].isalpha() else f"shop_{name}"
    return f"my_{name}" if name in ("demo", "base") else name


def _check_free(shop: str, force: bool, root: Path) -> None:
    path = Path("sources") / f"{shop}.sql"
    if (root / path).exists() and not force:
        fix = "choose a name with --shop, or replace it with --force"
        raise ConfigError("E_SHOP", str(path), "this shop has its SQL already", fix)


def _collect(files: list[Path], folder: Path) -> dict[str, RawFile]:
    """Copy the raw files into a folder, and return how each is written, by its name."""
    forms: dict[str, RawFile] = {}
    for file in _flat(files):
        if not file.exists():
            raise refusal("E_NO_FILE init", str(file))
        if not file.is_dir() and not is_raw(file):
            raise refusal("E_FILE_KIND init", file.name)
        if not file.is_dir() and not file.stat().st_size:
            raise refusal("E_EMPTY", file.name)
        if file.suffix.lower() in TEXTS:
            refuse_mistaken(file, file.name, RawFile(encoding="utf-16"))  # guess reads UTF-16
        guessed = guesses(file)
        target = folder / file.name
        if target.exists():
            raise refusal("E_TWICE", file.name, other=str(file))
        if file.is_dir():
            target.mkdir()
            for part in filter(is_raw, file.iterdir()):
                shutil.copyfile(part, target / part.name)
        else:
            shutil.copyfile(file, target)
        forms |= guessed
    return forms


def _flat(files: list[Path]) -> list[Path]:
    """Return files, and folders whose files have one form; other folders file by file."""
    flat: list[Path] = []
    for file in files:
        inside = sorted(filter(is_raw, file.iterdir())) if file.is_dir() else []
        if file.is_dir() and not inside:
            raise refusal("E_NO_FILE folder", str(file))
        heads = {_head(part) for part in inside}
        flat += inside if len(heads) > 1 else [file]
    return flat


def _head(path: Path) -> tuple[object, ...]:
    """Return what the files of one folder must have in common: columns in any order, and a form."""
    if path.suffix.lower() == ".parquet":
        import pyarrow.parquet as pq

        return tuple(pq.read_schema(path).names)
    with path.open("rb") as file:
        line = file.readline(1 << 20).strip()
    if path.suffix.lower() not in TEXTS:
        return (line,)
    form = guess(path)
    return (form.encoding, form.separator, *sorted(line.split(form.separator.encode())))


def _compose(
    shop: str, folder: Path, forms: dict[str, RawFile], answers: Answers, root: Path
) -> dict[str, str]:
    """Return the texts of the shop's SQL and YAML files, by path."""
    params = load(root, shop)
    db = open_database(answers.timezone or "UTC", params.engine, folder)
    widths = {
        path.name: is_whitespace_table(path, forms[path.name])
        for path in folder.iterdir()
        if path.is_file() and path.name in forms
    }
    kept = {
        name: form
        for name, form in forms.items()
        if not widths.get(name) and not _is_default(name, form)
    }
    try:
        register(db, Folder(folder), kept)
        tables, answers = _settled(db, raw_tables(Folder(folder), kept), widths, answers)
    except duckdb.Error as error:
        raise unreadable(error, "the file", db, Folder(folder)) from None
    draft = Draft(db, nobody=tuple(params.ingest.plausible.nobody))
    roles = draft_tables(draft, tables, answers)
    settings = settle(answers, draft, roles)
    tried = try_out(draft, shop, folder, kept, settings, params)
    for line in [*draft.remarks, *tried.lines]:
        say(f"  {line}")
    return {
        f"sources/{shop}.sql": draft.sql,
        f"shops/{shop}.yaml": settings_text(shop, settings, kept, tried),
    }


def _is_default(name: str, form: RawFile) -> bool:
    default = RawFile(separator="\t") if name.lower().endswith(".tsv") else RawFile()
    return form == default and not name.lower().endswith(".txt") and "#" not in name


def _settled(
    db: Db, raws: dict[str, Raw], widths: dict[str, int], answers: Answers
) -> tuple[list[RawTable], Answers]:
    """Return the tables once it is known what their dates and amounts mean, and that answer."""
    tables = _tables(db, raws, widths, answers.day_first)
    settled = []
    for table in tables:
        kind = kind_of(table, answers.columns, len(tables) == 1)
        points = {}
        for role, column in table.roles(kind, answers.columns).items():
            if role in TIMES and column.time and column.time.is_ambiguous:
                first = day_order(answers, table.file, column)
                return _settled(db, raws, widths, replace(answers, day_first=first))
            if role in ("net_amount", "price"):
                points[column.name] = point_settled(answers, table.file, column)
        columns = [points.get(column.name, column) for column in table.columns]
        settled.append(replace(table, columns=columns))
    return settled, answers


def _tables(
    db: Db, raws: dict[str, Raw], widths: dict[str, int], day_first: bool | None
) -> list[RawTable]:
    db.execute("drop schema if exists profiled cascade")
    db.execute("create schema profiled")
    groups: dict[tuple[str, ...], list[tuple[str, Raw]]] = {}
    for name, raw in raws.items():
        columns = tuple(
            column.lower() for column, *_ in fetch_all(db, f"describe raw.{identifier(name)}")
        )
        # returns may be written as orders are: then the name of the file tells them apart
        own = (*sorted(columns), *sorted(concepts(raw.title) & {"return", "complaint", "optout"}))
        groups.setdefault(own, []).append((name, raw))
    tables = []
    for parts in groups.values():
        (name, raw), width = parts[0], widths.get(parts[0][1].label, 0)
        union = "\n    union all by name from ".join(
            f"raw.{name_sql(db, part)}" for part, _ in parts
        )
        source = f"(from {union})" if len(parts) > 1 else union
        db.execute(f"create table profiled.{identifier(name)} as from {source}")
        columns_here = columns_of(db, name, day_first, width)
        if not columns_here or not columns_here[0].rows:
            if len(groups) == 1:
                raise refusal("E_NO_ROWS init", raw.label)
            say(f"{raw.label}: not used, since it has no rows")
            continue
        files = ", ".join(part.label for _, part in parts)
        tables.append(RawTable(name, raw.title, source, files, columns_here))
    return tables


def _publish(folder: Path, target: Path) -> None:
    """Move the raw files into the shop's folder; files of other names stay there."""
    target.mkdir(exist_ok=True)
    for path in sorted(folder.iterdir()):
        goal = target / path.name
        if goal.is_dir():
            shutil.rmtree(goal)
        os.replace(path, goal)
