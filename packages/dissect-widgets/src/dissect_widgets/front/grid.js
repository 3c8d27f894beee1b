// A table, or a tree in a table, with a head that stays, columns to sort by, and rows to choose. The kernel says which
// rows there are and in which order; cells may hold text, numbers, intervals, bars, dots, or a box to tick.

const SVG = "http://www.w3.org/2000/svg";
const ROOM = 120; // width of an interval, in pixels

function make(tag, name, parent, text) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  parent?.append(element);
  return element;
}

function line(svg, name, x1, x2, y1, y2) {
  const one = document.createElementNS(SVG, "line");
  for (const [key, value] of Object.entries({ class: name, x1, x2, y1, y2 })) one.setAttribute(key, value);
  svg.append(one);
}

const lookOf = (column) => `${RIGHT.has(column.kind) ? "dd-n" : ""} ${column.aside ? "dd-aside" : ""}`.trim();

const CELLS = {
  text(td, cell, column, tell) {
    if (cell && typeof cell === "object") {
      const text = make("span", cell.look ? `dd-${cell.look}` : "", td, cell.text);
      if (cell.title) text.title = cell.title;
      if (cell.note) make("span", "dd-note", td, ` ${cell.note}`);
    } else td.append(cell ?? "–");
  },
  number(td, cell) {
    CELLS.text(td, cell);
  },
  // A value with its interval, on the scale that all rows share; hollow where the interval includes 0.
  interval(td, cell, { low, high, title }) {
    if (!cell) return void (td.textContent = "–");
    const x = (value) => 6 + ((value - low) / (high - low || 1)) * (ROOM - 12);
    const svg = document.createElementNS(SVG, "svg");
    const told = { class: "dd-interval", width: ROOM, height: 16, role: "img", "aria-label": cell.text };
    for (const [key, value] of Object.entries(told)) svg.setAttribute(key, value);
    line(svg, "dd-zero", x(0), x(0), 0, 16);
    if (cell.low !== null && cell.high !== null) line(svg, "dd-range", x(cell.low), x(cell.high), 8, 8);
    const dot = document.createElementNS(SVG, "circle");
    const look = cell.sure ? `dd-sure${cell.value > 0 ? " dd-up" : ""}` : "dd-open";
    for (const [key, value] of Object.entries({ class: look, cx: x(cell.value), cy: 8, r: 4 })) dot.setAttribute(key, value);
    svg.append(dot);
    td.append(svg);
    td.title = cell.text;
  },
  bar(td, cell) {
    if (!cell) return void (td.textContent = "–");
    const bar = make("span", "dd-share", td);
    make("i", "", bar).style.width = `${Math.min(1, Math.max(0, cell.share)) * 100}%`;
    make("span", "dd-hidden", td, cell.text);
    td.title = cell.text;
  },
  dots(td, cell, column, tell) {
    td.classList.add("dd-dots");
    let group = null; // stays together where the cell is narrow
    for (const { id, label, on, apart } of cell ?? []) {
      if (!group || apart) group = make("span", "dd-group", td);
      const dot = make("button", "dd-dot", group);
      dot.type = "button";
      dot.title = label;
      dot.setAttribute("aria-label", label);
      dot.setAttribute("aria-pressed", String(on));
      dot.dataset.dot = id;
    }
  },
  check(td, cell) {
    if (!cell) return;
    const box = make("input", "dd-check", td);
    box.type = "checkbox";
    box.checked = cell.on === true;
    box.indeterminate = cell.on === null;
    box.setAttribute("aria-label", cell.label);
  },
};
const RIGHT = new Set(["number"]);

function render({ model, el }) {
  el.classList.add("dd", "dd-grid");
  const scroll = make("div", "dd-scroll", el);
  scroll.setAttribute("data-lm-suppress-shortcuts", "true");
  const table = make("table", "", scroll);
  const head = make("tr", "", make("thead", "", table));
  const body = make("tbody", "", table);
  let rows = new Map();
  let at = "";

  const tell = (event, more = {}) => model.send({ event, ...more });

  function drawHead() {
    head.replaceChildren();
    const [key, down] = model.get("sort");
    for (const column of model.get("columns")) {
      const th = make("th", lookOf(column), head);
      th.scope = "col";
      if (column.sortable) {
        const button = make("button", "", th, column.title);
        button.type = "button";
        button.addEventListener("click", () => tell("sort", { column: column.key }));
        th.setAttribute("aria-sort", column.key === key ? (down ? "descending" : "ascending") : "none");
      } else if (column.title) th.textContent = column.title;
      else make("span", "dd-hidden", th, column.label);
      if (column.help) th.title = column.help;
    }
  }

  function drawRow(row, isTree) {
    const columns = model.get("columns");
    const tr = document.createElement("tr");
    tr.dataset.row = row.id;
    tr.tabIndex = -1;
    if (model.get("can_choose")) tr.classList.add("dd-can");
    if (isTree) {
      tr.setAttribute("aria-level", row.depth + 1);
      if (row.open !== null && row.open !== undefined) tr.setAttribute("aria-expanded", String(row.open));
    }
    columns.forEach((column, i) => {
      const names = column.key === model.get("names");
      const cell = make(names ? "th" : "td", lookOf(column), tr);
      if (names) cell.scope = "row";
      if (names && isTree) {
        cell.style.paddingLeft = `${8 + row.depth * 18}px`;
        const has = row.open !== null && row.open !== undefined;
        const toggle = make(has ? "button" : "span", "dd-toggle", cell, has ? (row.open ? "▾" : "▸") : "");
        if (has) {
          toggle.type = "button";
          toggle.tabIndex = -1;
          toggle.setAttribute("aria-label", `${row.open ? "Close" : "Open"} ${row.label}`);
        }
      }
      CELLS[column.kind](cell, row.cells[i], column, tell);
    });
    return tr;
  }

  function drawBody() {
    const isTree = model.get("is_tree");
    const order = model.get("order");
    const all = model.get("rows");
    table.setAttribute("role", isTree ? "treegrid" : "grid");
    table.setAttribute("aria-label", model.get("label"));
    const had = body.contains(document.activeElement) ? document.activeElement.closest("tr")?.dataset.row : null;
    const top = scroll.scrollTop;
    const before = rows;
    rows = new Map();
    const made = [];
    for (const i of order) {
      const row = all[i];
      const text = JSON.stringify(row);
      const old = before.get(row.id);
      const tr = old && old.text === text && !columnsChanged ? old.tr : drawRow(row, isTree);
      rows.set(row.id, { tr, text });
      made.push(tr);
    }
    columnsChanged = false;
    if (made.length) body.replaceChildren(...made);
    else {
      const td = make("td", "dd-empty", make("tr"), model.get("empty"));
      td.colSpan = model.get("columns").length;
      body.replaceChildren(td.parentElement);
    }
    drawChosen();
    scroll.scrollTop = top;
    if (had && rows.has(had)) rows.get(had).tr.focus({ preventScroll: true });
  }
  let columnsChanged = true;
  function drawAll() {
    columnsChanged = true;
    drawHead();
    drawBody();
  }
  function drawChosen() {
    const chosen = model.get("chosen");
    for (const [id, { tr }] of rows) {
      tr.classList.toggle("dd-chosen", id === chosen);
      tr.setAttribute("aria-selected", String(id === chosen));
      tr.tabIndex = -1;
    }
    if (!rows.has(at)) at = rows.has(chosen) ? chosen : (rows.keys().next().value ?? "");
    if (rows.has(at)) rows.get(at).tr.tabIndex = 0;
  }
  function scrollToChosen() {
    const tr = rows.get(model.get("chosen"))?.tr;
    if (!tr) return;
    // Within the table alone: the page stays where it is.
    const room = scroll.clientHeight - head.offsetHeight;
    const top = tr.offsetTop - head.offsetHeight;
    if (top < scroll.scrollTop || top + tr.offsetHeight > scroll.scrollTop + room) scroll.scrollTop = top - room / 3;
  }
  function drawHeight() {
    el.style.setProperty("--dd-grid-height", model.get("height"));
  }

  const rowOf = (event) => event.target.closest?.("tr")?.dataset.row;
  function choose(id) {
    if (!model.get("can_choose")) return;
    model.set("chosen", id);
    model.save_changes();
  }
  function go(id) {
    if (!rows.has(id)) return;
    if (rows.has(at)) rows.get(at).tr.tabIndex = -1;
    at = id;
    rows.get(id).tr.tabIndex = 0;
    rows.get(id).tr.focus();
  }
  body.addEventListener("click", (event) => {
    const id = rowOf(event);
    if (id === undefined) return;
    const dot = event.target.closest(".dd-dot");
    if (dot) return tell("dot", { id, dot: dot.dataset.dot });
    if (event.target.closest(".dd-toggle")?.tagName === "BUTTON") return tell("toggle", { id });
    if (event.target.closest(".dd-check")) return tell("check", { id });
    at = id;
    choose(id);
  });
  body.addEventListener("dblclick", (event) => {
    const id = rowOf(event);
    if (id !== undefined && !event.target.closest("button, input")) tell("open", { id });
  });
  body.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const inCell = event.target.tagName !== "TR";
    const ids = [...rows.keys()];
    const id = rowOf(event);
    const i = ids.indexOf(id);
    const open = rows.get(id)?.tr.getAttribute("aria-expanded");
    const { key } = event;
    if (key === "ArrowDown") go(ids[Math.min(i + 1, ids.length - 1)]);
    else if (key === "ArrowUp") go(ids[Math.max(i - 1, 0)]);
    else if (inCell) return;
    else if (key === "Home") go(ids[0]);
    else if (key === "End") go(ids.at(-1));
    else if (key === "ArrowRight" && open === "false") tell("toggle", { id });
    else if (key === "ArrowLeft" && open === "true") tell("toggle", { id });
    else if (key === "Enter") id === model.get("chosen") || !model.get("can_choose") ? tell("open", { id }) : choose(id);
    else if (key === " ") rows.get(id).tr.querySelector(".dd-check") ? tell("check", { id }) : choose(id);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  const pairs = [
    ["change:columns", drawAll],
    ["change:sort", drawHead],
    ["change:rows change:order change:label change:empty", drawBody],
    ["change:chosen", () => (drawChosen(), scrollToChosen())],
    ["change:height", drawHeight],
  ];
  for (const [names, handler] of pairs) for (const name of names.split(" ")) model.on(name, handler);
  drawHeight();
  drawAll();
  return () => {
    for (const [names, handler] of pairs) for (const name of names.split(" ")) model.off(name, handler);
  };
}

export default { render };
