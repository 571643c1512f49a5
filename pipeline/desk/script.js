// The page is whole without this: tabs, filter and sorting are put on top of the tables that stand there.
"use strict";
const panels = [...document.querySelectorAll(".panel")];
const tabs = [...document.querySelectorAll(".tabs a")];
const filter = document.querySelector("#filter");
const found = document.querySelector("#found");

function open(index, focus) {
  tabs.forEach((tab, i) => {
    tab.setAttribute("aria-selected", i === index);
    tab.tabIndex = i === index ? 0 : -1;
    panels[i].hidden = i !== index;
  });
  if (focus) tabs[index].focus();
  narrow();
}

function narrow() {
  const wanted = filter.value.trim().toLowerCase();
  panels.forEach((panel) => {
    const rows = [...panel.querySelectorAll(".list > tbody > tr")];
    rows.forEach((row) => { row.hidden = wanted !== "" && !row.textContent.toLowerCase().includes(wanted); });
    if (!panel.hidden) found.textContent = wanted ? rows.filter((row) => !row.hidden).length + " of " + rows.length + " rows" : "";
  });
}

function value(row, column) {
  const text = row.cells[column].textContent.trim();
  const numeric = row.closest("table").tHead.rows[0].cells[column].classList.contains("n");
  return numeric ? parseFloat(text.replace(/,/g, "")) : text.toLowerCase();
}

function missing(x) {
  return Number.isNaN(x) || x === "–";
}

function sort(header) {
  const now = header.getAttribute("aria-sort");
  const up = header.classList.contains("n") ? now === "descending" : now !== "ascending"; // figures: the biggest first
  const body = header.closest("table").tBodies[0];
  [...header.parentNode.cells].forEach((cell) => cell.removeAttribute("aria-sort"));
  header.setAttribute("aria-sort", up ? "ascending" : "descending");
  const keyed = [...body.rows].map((row) => [value(row, header.cellIndex), row]);
  keyed.sort(([a], [b]) => {
    if (missing(a) || missing(b)) return missing(a) - missing(b);
    return (a < b ? -1 : a > b ? 1 : 0) * (up ? 1 : -1);
  });
  body.append(...keyed.map(([, row]) => row));
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
document.querySelectorAll(".list thead th").forEach((header) => {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...header.childNodes);
  button.addEventListener("click", () => sort(header));
  header.append(button);
});
filter.addEventListener("input", narrow);
document.documentElement.classList.add("live");
open(Math.max(0, panels.findIndex((panel) => "#" + panel.id === location.hash)), false);
