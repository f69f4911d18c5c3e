"use strict";
// The two panes: rows of a diff, of which only those on the screen are in the document.

const ROW = 18;
const panes = { rows: [], shown: [], open: new Set(), hits: [], hit: -1, marks: new Map(), left: null, right: null };

async function layoutRows() {
  const pass = view.pass;
  const [left, right] = await Promise.all([loadState(pass.before), loadState(pass.after)]);
  if (view.pass !== pass) return false;
  panes.left = left; panes.right = right;
  const [l0, l1] = slice(left), [r0, r1] = slice(right);
  panes.rows = diffLines(left.lines.slice(l0, l1), right.lines.slice(r0, r1), (line) => kinOf(left, right, line + r0).map((l) => l - l0)).map((row) => ({ ...row, l: row.l < 0 ? -1 : row.l + l0, r: row.r < 0 ? -1 : row.r + r0 }));
  addRemarks(pass, right, left);
  panes.open = new Set($("find").value ? ["all"] : []); // what is folded would not be searched
  fold();
  return true;
}

// The left lines at which the ops begin from which the op derives that begins at a right line.
function kinOf(left, right, line) {
  const op = right.lineOp[line];
  if (op < 0 || right.first[op] !== line) return [];
  return edgesOf(right, op).map((edge) => left.first[edge - left.base]).filter((l) => l >= 0);
}

// The lines of the symbol that is to be shown, or all.
function slice(state) {
  const symbol = view.show && state.symbols.find(([name]) => name === view.show);
  return symbol ? [state.first[symbol[1]], state.last[symbol[1]] + 1] : [0, state.lines.length];
}

function addRemarks(pass, right, left) {
  const notes = new Map(); // "r12" or "l12" → remarks
  for (const remark of pass.remarks || []) {
    if (remark.op === null || remark.op === undefined) continue;
    const side = remark.op >= right.base ? right : left;
    const line = side.first[remark.op - side.base];
    if (line === undefined || line < 0) continue;
    const key = (side === right ? "r" : "l") + line;
    notes.set(key, [...(notes.get(key) || []), remark]);
  }
  if (!notes.size) return;
  panes.rows = panes.rows.flatMap((row) => [row, ...[...(notes.get(`r${row.r}`) || []), ...(notes.get(`l${row.l}`) || [])].map((remark) => ({ l: -1, r: -1, kind: "remark", remark }))]);
}

function fold() {
  panes.shown = foldRows(panes.rows, panes.open);
  $("spacer").style.height = `${panes.shown.length * ROW}px`;
  search();
}

let drawing = false;
function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(drawNow);
}

function drawNow() {
  drawing = false;
  const scroll = $("scroll");
  const first = Math.max(0, Math.floor(scroll.scrollTop / ROW)), count = Math.ceil(scroll.clientHeight / ROW) + 2;
  const left = [], right = [];
  for (let at = first; at < Math.min(panes.shown.length, first + count); at++) {
    const row = panes.shown[at];
    if (row.kind === "fold") {
      const text = `<div class="row fold" data-row="${at}"><span>⋯ ${row.count} unchanged lines</span></div>`;
      left.push(text); right.push(text);
    } else if (row.kind === "remark") {
      left.push(`<div class="row empty" data-row="${at}"></div>`);
      right.push(`<div class="row remark" data-row="${at}"><span class="no">⚑</span><span class="edge"></span><span class="code">${escapeHtml(`${row.remark.kind}: ${row.remark.message}`)}</span></div>`);
    } else {
      left.push(lineHtml(row, at, "l")); right.push(lineHtml(row, at, "r"));
    }
  }
  const offset = `translateY(${-(scroll.scrollTop - first * ROW)}px)`;
  for (const [pane, rows] of [["before", left], ["after", right]]) {
    const lines = $(pane).firstElementChild;
    lines.style.transform = offset;
    lines.innerHTML = rows.join("");
  }
}

function lineHtml(row, at, side) {
  const number = row[side], state = side === "l" ? panes.left : panes.right;
  if (number < 0) return `<div class="row empty" data-row="${at}"></div>`;
  const text = state.lines[number];
  const classes = ["row"];
  if (row.kind === "mod" || row.kind === (side === "l" ? "del" : "add")) classes.push(row.kind === "mod" ? (row.r >= 0 && row.l >= 0 ? "mod" : "") : row.kind);
  const op = state.lineOp[number];
  const gid = op < 0 ? -1 : op + state.base;
  if (view.op !== null && gid === view.op) classes.push("chosen");
  else if (panes.marks.has(gid)) classes.push("from");
  if (panes.hit >= 0 && panes.hits[panes.hit] === at) classes.push("current-hit");
  const marks = [];
  if (row.kind === "mod" && row.l >= 0 && row.r >= 0) {
    const other = (side === "l" ? panes.right : panes.left).lines[side === "l" ? row.r : row.l];
    const [start, endHere] = changedStretch(text, other);
    if (endHere - start < 0.6 * text.trim().length) marks.push([start, endHere, side === "l" ? "del" : "add"]);
  }
  const needle = $("find").value;
  if (needle) {
    const found = [];
    for (let i = text.indexOf(needle); i >= 0; i = text.indexOf(needle, i + needle.length)) found.push([i, i + needle.length, "hit"]);
    if (found.length) marks.splice(0, marks.length, ...found);
  }
  const sign = row.kind === "same" ? " " : row.kind === "mod" ? "~" : row.kind === "del" ? "−" : "+";
  return `<div class="${classes.join(" ")}" data-row="${at}" data-op="${gid}"><span class="no">${number + 1}</span><span class="edge">${sign}</span><span class="code">${colourLine(text, marks)}</span></div>`;
}

function showRow(at) {
  const scroll = $("scroll"), top = at * ROW;
  if (top < scroll.scrollTop + 2 * ROW || top > scroll.scrollTop + scroll.clientHeight - 4 * ROW) scroll.scrollTop = Math.max(0, top - scroll.clientHeight / 3);
  draw();
}

// The shown row in which an op begins; a folded stretch that hides it is opened.
function rowOf(gid) {
  const state = gid >= panes.right.base && stateOf(gid) === panes.right.id ? panes.right : stateOf(gid) === panes.left.id ? panes.left : null;
  if (!state) return -1;
  const line = state.first[gid - state.base], side = state === panes.right ? "r" : "l";
  let at = panes.shown.findIndex((row) => row[side] === line);
  if (at < 0) {
    const folded = panes.shown.find((row) => row.kind === "fold" && row.first[side] <= line && line <= row.last[side]);
    if (!folded) return -1;
    panes.open.add(folded.from);
    fold();
    at = panes.shown.findIndex((row) => row[side] === line);
  }
  return at;
}

function search() {
  const needle = $("find").value;
  panes.hits = [];
  if (needle)
    for (let at = 0; at < panes.shown.length; at++) {
      const row = panes.shown[at];
      if ((row.l >= 0 && panes.left.lines[row.l].includes(needle)) || (row.r >= 0 && panes.right.lines[row.r].includes(needle))) panes.hits.push(at);
    }
  if (panes.hit >= panes.hits.length) panes.hit = panes.hits.length - 1;
  $("hits").textContent = needle ? (panes.hit >= 0 && panes.hits.length ? `${panes.hit + 1}/${panes.hits.length}` : `${panes.hits.length}`) : "";
  draw();
}

function nextHit(offset) {
  if (!panes.hits.length) return;
  panes.hit = (panes.hit + offset + panes.hits.length) % panes.hits.length;
  search();
  showRow(panes.hits[panes.hit]);
}

function nextChange(offset) {
  const current = Math.floor(($("scroll").scrollTop + $("scroll").clientHeight / 3) / ROW);
  const changed = (row) => row && ["mod", "add", "del"].includes(row.kind);
  const starts = [];
  panes.shown.forEach((row, at) => { if (changed(row) && !changed(panes.shown[at - 1])) starts.push(at); });
  const at = offset > 0 ? starts.find((s) => s > current) : starts.reverse().find((s) => s < current - 1);
  if (at !== undefined) { $("scroll").scrollTop = Math.max(0, at * ROW - $("scroll").clientHeight / 3); draw(); }
}
