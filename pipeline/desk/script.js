// The page can be read without this script. It adds tabs, sorting and a search in all rows of a list.
"use strict";
const panels = [...document.querySelectorAll(".panel")];
const tabs = [...document.querySelectorAll(".tabs a")];
const filter = document.querySelector("#filter");
const selects = [...document.querySelectorAll(".filter select")]; // one per segment
const matches = document.querySelector("#matches");
const packed = document.querySelector("#packed");
const most = Number(packed.dataset.most); // rows shown at once
const MISSING = "–";
const figure = (n) => n.toLocaleString("en-US");

// One list: its rows as { cells, text, element }, at first those of the page, later all of them.
class List {
  constructor(panel) {
    this.panel = panel;
    this.body = panel.querySelector(".list > tbody");
    this.rows = this.body ? [...this.body.rows].map((element) => {
      const cells = [...element.cells].map((cell) => cell.textContent.trim());
      const segments = JSON.parse(element.dataset.segments || "[]");
      return { cells, text: cells.join(" ").toLowerCase(), segments, element };
    }) : [];
    this.order = null; // [column, direction]
  }

  // Take all rows of the list; a row that the page has keeps its element, with drivers and facts.
  fill(rows) {
    const known = new Map(this.rows.map((row) => [row.cells[0], row]));
    this.rows = rows.map((row) => {
      const { text, element } = known.get(row.cells[0]) || { text: "", element: null };
      return { ...row, text: row.text + " " + text, element };
    });
  }

  show() {
    if (!this.body) return (matches.textContent = "");
    const wanted = filter.value.trim().toLowerCase();
    const chosen = selects.map((select) => select.value);
    const rows = this.rows.filter((row) => row.text.includes(wanted)
      && chosen.every((value, i) => !value || row.segments[i] === value));
    if (this.order) sort(rows, ...this.order);
    const shown = rows.slice(0, most);
    this.body.replaceChildren(...shown.map((row) => row.element || (row.element = build(row, this.panel.id))));
    const total = Number(this.panel.dataset.total);
    const searched = total > this.rows.length ? "the first " + figure(this.rows.length) : figure(total);
    const part = rows.length > shown.length ? ", the first " + figure(most) + " shown" : "";
    matches.textContent = wanted || chosen.some(Boolean) ? figure(rows.length) + " of " + searched + part : "";
  }

  sortBy(header) {
    const now = header.getAttribute("aria-sort");
    const numeric = header.classList.contains("n");
    const up = numeric ? now === "descending" : now !== "ascending"; // figures: the largest first
    [...header.parentNode.cells].forEach((cell) => cell.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", up ? "ascending" : "descending");
    this.order = [header.cellIndex, up ? 1 : -1, numeric];
    this.show();
  }
}

function sort(rows, column, direction, numeric) {
  const keys = new Map(rows.map((row) => {
    const text = row.cells[column];
    return [row, numeric ? parseFloat(text.replace(/,/g, "")) : text === MISSING ? NaN : text.toLowerCase()];
  }));
  rows.sort((one, other) => {
    const a = keys.get(one), b = keys.get(other);
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
    return (a < b ? -1 : a > b ? 1 : 0) * direction;
  });
}

// Data becomes text of an element, never markup.
function make(tag, text, kind) {
  const element = document.createElement(tag);
  element.textContent = String(text).replace(/(\d) %/g, "$1\u00a0%");
  if (kind) element.className = kind;
  return element;
}

function build({ values }, list) {
  const [rank, id, contact, stage, activity, risk, band, value, atRisk, profit, why, action, actBy, lapses, ...segments] = values;
  const named = make("td", "", "id");
  named.append(make("b", id), make("small", stage + ", " + activity, activity));
  if (contact === "call" && list !== "call") named.append(make("small", "call today", "yes"));
  segments.filter(Boolean).forEach((value) => named.append(make("small", value)));
  const risky = make("td", risk ? risk + " % " : MISSING, risk ? "risk " + band : "");
  if (risk) {
    const bar = make("i", "");
    bar.style.setProperty("--r", risk / 100);
    risky.append(make("small", band), bar);
  }
  const todo = make("td", action);
  if (actBy) todo.append(make("small", "by " + actBy));
  const row = document.createElement("tr");
  row.append(make("td", rank), named, risky, make("td", value), make("td", atRisk), make("td", profit),
    make("td", why), todo, make("td", lapses || MISSING));
  return row;
}

// The rows of a queue from its columns.
function rowsOf(columns) {
  return (columns[0] || []).map((_, i) => {
    const values = columns.map((column) => column[i]);
    const [rank, id, , stage, activity, risk, band, value, atRisk, profit, why, action, actBy, lapses, ...segments] = values;
    const risky = risk ? risk + " % " + band : MISSING;
    const cells = [rank, id + " " + stage + ", " + activity, risky, value, atRisk, profit, why, action + " " + actBy, lapses || MISSING];
    return { values, cells, segments, text: [...cells, ...segments].join(" ").toLowerCase() };
  });
}

async function unpack() {
  const bytes = Uint8Array.from(atob(packed.content.textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const queues = JSON.parse(await new Response(stream).text());
  const calls = [];
  for (const list of lists) {
    if (!(list.panel.id in queues)) continue;
    const rows = rowsOf(queues[list.panel.id]);
    calls.push(...rows.filter((row) => row.values[2] === "call"));
    list.fill(rows);
  }
  calls.sort((a, b) => a.values[0] - b.values[0]);
  lists.find((list) => list.panel.id === "call").fill(calls);
  current().show();
}

const lists = panels.map((panel) => new List(panel));
const current = () => lists.find((list) => !list.panel.hidden);

function open(index, focus) {
  tabs.forEach((tab, i) => {
    tab.setAttribute("aria-selected", i === index);
    tab.tabIndex = i === index ? 0 : -1;
    panels[i].hidden = i !== index;
  });
  if (focus) tabs[index].focus();
  lists[index].show();
}

document.querySelector(".tabs").setAttribute("role", "tablist");
tabs.forEach((tab, i) => {
  tab.setAttribute("role", "tab");
  tab.setAttribute("aria-controls", panels[i].id);
  panels[i].setAttribute("role", "tabpanel");
  panels[i].setAttribute("aria-labelledby", tab.id);
  tab.addEventListener("click", (event) => { event.preventDefault(); open(i, true); });
  tab.addEventListener("keydown", (event) => {
    const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined && event.key !== " ") return;
    event.preventDefault();
    open(to === undefined ? i : (to + tabs.length) % tabs.length, true);
  });
});
lists.forEach((list) => list.panel.querySelectorAll(".list thead th").forEach((header) => {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...header.childNodes);
  button.addEventListener("click", () => list.sortBy(header));
  header.append(button);
}));
[filter, ...selects].forEach((field) => field.addEventListener("input", () => current().show()));
document.documentElement.classList.add("live");
open(Math.max(0, panels.findIndex((panel) => "#" + panel.id === location.hash)), false);
if ("DecompressionStream" in window) unpack();
