"""Order exports as people have them: one set of orders in many forms, and what is in them."""

import datetime as dt
import gzip
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

# customer, order, day and time, lines of product, quantity and price
ORDERS: list[tuple[str, str, dt.datetime, list[tuple[str, int, str]]]] = [
    (
        f"K{customer}",
        f"B{customer}{number:02d}",
        dt.datetime.fromisoformat(f"2024-0{1 + number}-{1 + 9 * customer:02d} {9 + number:02d}:30"),
        [("T-1", 1 + number % 2, "4.50"), ("Z-9", 1, "1250.00")][: 1 + number % 2],
    )
    for customer in range(1, 4)
    for number in range(6)
]
SPEND = 18 * 45_000 + 9 * (45_000 + 12_500_000)  # in ten-thousandths
DAYS = sorted((when.date() - dt.date(1970, 1, 1)).days for _, _, when, _ in ORDERS)


@dataclass(frozen=True)
class OwnFile:
    """Files, the answers that they need, and what is in them."""

    files: dict[str, bytes]
    answers: dict[str, Any] = field(default_factory=dict)
    spend: int = SPEND
    days: list[int] = field(default_factory=lambda: DAYS)


Cells = list[str]
Write = Callable[[str], str]


def point(amount: str) -> str:
    return amount


def german(amount: str) -> str:
    """1.250,00"""
    return f"{float(amount):,.2f}".translate(str.maketrans(",.", ".,"))


def lines(day: str, number: Write = point, total: bool = False) -> list[Cells]:
    """One row per order line: customer, order, time, product, quantity, price or total."""
    return [
        [
            customer,
            order,
            when.strftime(day),
            product,
            str(quantity),
            number(f"{float(price) * quantity:.2f}" if total else price),
        ]
        for customer, order, when, content in ORDERS
        for product, quantity, price in content
    ]


def named(months: str, form: str) -> list[Cells]:
    """The lines with the names of months from January on."""
    result = lines("%d|%m|%Y")
    for row in result:
        day, month, year = row[2].split("|")
        row[2] = form.format(d=int(day), m=months.split()[int(month) - 1], y=year)
    return result


def listed(form: str, between: str) -> list[Cells]:
    """One row per order: customer, order, time, its products in one cell, total."""
    return [
        [*row[:3], between.join(form.format(n=n, p=p) for p, n, _ in content), row[3]]
        for row, (*_, content) in zip(totals(ISO), ORDERS, strict=True)
    ]


def totals(day: str, number: Write = point) -> list[Cells]:
    """One row per order: customer, order, time, total."""
    return [
        [
            customer,
            order,
            when.strftime(day),
            number(f"{sum(float(price) * quantity for _, quantity, price in content):.2f}"),
        ]
        for customer, order, when, content in ORDERS
    ]


def text(head: str, rows: list[Cells], separator: str = ",", before: str = "") -> str:
    quoted = [separator.join(f'"{c}"' if separator in c else c for c in row) for row in rows]
    return "\n".join([before + separator.join(head.split("|")), *quoted, ""])


def sheet(head: str, rows: list[list[Any]], before: int = 0) -> bytes:
    return workbook(Sheet1=(head, [["Export"]] * before, rows))


def workbook(**sheets: tuple[str, list[list[Any]], list[list[Any]]]) -> bytes:
    """A workbook; each sheet: its header, the rows before it and those after it."""
    from openpyxl import Workbook

    workbook = Workbook()
    workbook.remove(workbook.active)
    for name, (head, before, rows) in sheets.items():
        own = workbook.create_sheet(name)
        for row in [*before, head.split("|"), *rows]:
            own.append(row)
    file = io.BytesIO()
    workbook.save(file)
    return file.getvalue()


def zipped(content: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("export/orders.csv", content)
    return file.getvalue()


def parquet(**columns: list[Any]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


ISO, ENGLISH = "%Y-%m-%d %H:%M:%S", "customer_id|order_id|ordered_at|sku|quantity|unit_price"
GERMAN = "Kunden-Nr.|Beleg-Nr.|Bestelldatum|Artikel|Menge|Einzelpreis"
DOTTED, SLASHED = "%d.%m.%Y %H:%M", "%d/%m/%Y"
PLAIN = text(ENGLISH, lines(ISO))
DAY_FIRST = {"day_first": True}

CATALOGUE: dict[str, OwnFile] = {
    "English, commas": OwnFile({"orders.csv": PLAIN.encode()}),
    "German, semicolons, decimal commas, cp1252": OwnFile(
        {"Aufträge.csv": text(GERMAN + " €", lines(DOTTED, german), ";").encode("cp1252")}
    ),
    "Italian, day first, totals per order": OwnFile(
        {
            "ordini.csv": text(
                "Codice cliente|Numero ordine|Data ordine|Importo totale",
                totals(SLASHED, german),
                ";",
            ).encode()
        }
    ),
    "French, tabs, UTF-16": OwnFile(
        {
            "commandes.txt": text(
                "N° client|Numéro de commande|Date de commande|Référence|Qté|Montant TTC",
                lines("%d-%m-%Y %H:%M:%S", german, total=True),
                "\t",
            ).encode("utf-16")
        },
    ),
    "Spanish, bars, a mark of UTF-8": OwnFile(
        {
            "pedidos.csv": text(
                "ID cliente|Nº pedido|Fecha de compra|Producto|Cantidad|Importe",
                lines("%Y/%m/%d", total=True),
                "|",
            ).encode("utf-8-sig")
        }
    ),
    "American times": OwnFile(
        {"orders.csv": text(ENGLISH, lines("%m/%d/%Y %I:%M %p")).encode()}, {"day_first": False}
    ),
    "months by name, German, after the day of the week": OwnFile(
        {"bestellungen.csv": text(ENGLISH, named(
            "Januar Februar März April Mai Juni", "Mo., {d}. {m} {y} 10:30"), ";").encode()}
    ),
    "gzip": OwnFile({"orders.csv.gz": gzip.compress(PLAIN.encode())}),
    "zip": OwnFile({"orders.zip": zipped(PLAIN)}),
    "a folder of monthly files": OwnFile(
        {
            f"orders/{part}.csv": text(ENGLISH, lines(ISO)[part::2]).encode()
            for part in range(2)
        }
    ),
    "a file for each half": OwnFile(
        {
            f"orders_{part}.csv": text(ENGLISH, lines(ISO)[part::2]).encode() for part in range(2)
        }
    ),
    "a month with its columns in another order": OwnFile(
        {
            "orders/0.csv": text(ENGLISH, lines(ISO)[::2]).encode(),
            "orders/1.csv": text(
                "|".join(ENGLISH.split("|")[::-1]), [row[::-1] for row in lines(ISO)[1::2]]
            ).encode(),
        }
    ),
    "amounts in cents": OwnFile(
        {
            "orders.csv": text(
                "id|customer_id|created_at_ms|total_cents",
                [
                    [order, customer, f"{when}000", amount.replace(".", "")]
                    for customer, order, when, amount in totals("%s")
                ],
            ).encode()
        }
    ),
    "year, month and day in columns of their own": OwnFile(
        {
            "pos.csv": text(
                "cust|receipt|year|month|day|total",
                [[*row[:2], *row[2].split("-"), row[3]] for row in totals("%Y-%-m-%-d")],
            ).encode()
        }
    ),
    "days that begin with the year beside others": OwnFile(
        {"orders.csv": text(
            ENGLISH, lines(ISO)[::2] + lines("%d/%m/%Y %H:%M")[1::2]).encode()}
    ),
    "o'clock in German, and totals between the rows": OwnFile(
        {
            "bestellungen.csv": text(
                GERMAN,
                [*lines("%d.%m.%Y %H:%M Uhr", german), ["Summe", *[""] * 4, "99,00"], [""] * 6],
                ";",
            ).encode()
        }
    ),
    "a folder of files in two encodings": OwnFile(
        {
            f"orders/{encoding}.csv": text(
                ENGLISH, [[*row[:3], f"Ö{row[3]}", *row[4:]] for row in lines(ISO)[part::2]]
            ).encode(encoding)
            for part, encoding in enumerate(("utf-8", "cp1252"))
        }
    ),
    "a spreadsheet with a title": OwnFile(
        {
            "Umsätze 2024.xlsx": sheet(
                GERMAN,
                [
                    [c, o, dt.datetime.strptime(t, ISO), p, int(q), float(a)]  # noqa: DTZ007
                    for c, o, t, p, q, a in lines(ISO)
                ],
                before=2,
            )
        }
    ),
    "a workbook with a sheet for orders, lines, products and a note": OwnFile(
        {
            "orders 2024.xlsx": workbook(
                Info=("Made by hand", [], []),
                Kunden=("Kunden-Nr.|Kunde seit", [], [[f"K{c}", "2023-01-01"] for c in (1, 2, 3)]),
                Bestellungen=(
                    "Beleg-Nr.|Kunden-Nr.|Bestelldatum", [["Export"]],
                    [[order, customer, when] for customer, order, when, _ in ORDERS]),
                Positionen=(
                    "Beleg-Nr.|Artikel|Menge|Einzelpreis", [],
                    [[r[1], r[3], int(r[4]), float(r[5])] for r in lines(ISO)]),
            )
        }
    ),
    "a workbook with a sheet for each year": OwnFile(
        {
            "sales.xlsx": workbook(**{
                year: (ENGLISH, [], lines(ISO)[part::2]) for part, year in enumerate(("I", "II"))
            })
        }
    ),
    "products in one cell, the number first": OwnFile(
        {"orders.csv": text(
            "customer_id|order_id|ordered_at|items|total", listed("{n} x {p}", ", ")).encode()}
    ),
    "products in one cell, the number last": OwnFile(
        {"orders.csv": text(
            "customer_id|order_id|ordered_at|items|total", listed("{p} (x{n})", " | ")).encode()}
    ),
    "parquet": OwnFile(
        {
            "orders.parquet": parquet(
                CustomerID=[c for c, *_ in lines(ISO)],
                InvoiceNo=[row[1] for row in lines(ISO)],
                InvoiceDate=[dt.datetime.fromisoformat(row[2]) for row in lines(ISO)],
                StockCode=[row[3] for row in lines(ISO)],
                Quantity=[int(row[4]) for row in lines(ISO)],
                UnitPrice=[float(row[5]) for row in lines(ISO)],
            )
        }
    ),
    "order fields on the first line only": OwnFile(
        {
            "orders.csv": text(
                ENGLISH,
                [
                    row if row[3] == "T-1" else ["", row[1], "", *row[3:]]
                    for row in lines(ISO)
                ],
            ).encode()
        }
    ),
    "merged cells": OwnFile(
        {
            "orders.csv": text(
                ENGLISH,
                [row if row[3] == "T-1" else ["", "", "", *row[3:]] for row in lines(ISO)],
            ).encode()
        }
    ),
    "the order's total on each line": OwnFile(
        {
            "orders.csv": text(
                "customer_id|order_id|ordered_at|sku|total",
                [
                    [*line[:4], total]
                    for customer, order, when, total in totals(ISO)
                    for line in lines(ISO)
                    if line[1] == order
                ],
            ).encode()
        }
    ),
    "orders and their lines in two files": OwnFile(
        {
            "orders.csv": text("order_id|customer_id|ordered_at", [
                [row[1], row[0], row[2]] for row in totals(ISO)
            ]).encode(),
            "order_lines.csv": text(
                "order_id|sku|quantity|unit_price", [[r[1], *r[3:]] for r in lines(ISO)]
            ).encode(),
            "products.csv": b"sku,category\nT-1,tea\nZ-9,coffee\n",
        }
    ),
    "seconds since 1970": OwnFile(
        {
            "orders.csv": text(
                ENGLISH,
                [
                    [
                        *row[:2],
                        str(int(dt.datetime.fromisoformat(row[2] + "+00:00").timestamp())),
                        *row[3:],
                    ]
                    for row in lines(ISO)
                ],
            ).encode()
        }
    ),
    "Portuguese names": OwnFile(
        {
            "vendas.csv": text(
                "Nº Cliente|Fatura|Data|Artigo|Qtd.|Preço unit. (€)", lines("%d-%m-%Y", german), ";"
            ).encode("cp1252")
        }
    ),
    "Dutch names": OwnFile(
        {
            "verkoop.csv": text(
                "klantnummer|factuurnummer|factuurdatum|artikel|aantal|prijs per stuk",
                lines("%d-%m-%Y", german),
                ";",
            ).encode()
        }
    ),
    "Swedish names": OwnFile(
        {
            "orderrader.csv": text(
                "Kundnr|Ordernr|Orderdatum|Produkt|Antal|Pris", lines("%Y-%m-%d", german), ";"
            ).encode()
        }
    ),
    "the time of day in its own column": OwnFile(
        {
            "scontrini.csv": text(
                "cliente|n° scontrino|data|ora|articolo|pezzi|prezzo",
                [[*r[:2], *r[2].split(" "), *r[3:]] for r in lines("%d/%m/%Y %H:%M", german)],
                ";",
            ).encode()
        }
    ),
}  # fmt: skip
