"use strict";
// What is looked at: a pass, an op of it, a symbol. The address says it too (#pass=12&op=345&show=kernel), so that a link leads there.

const view = { pass: null, op: null, show: "" };

async function openPass(pass, op = null) {
  const other = pass !== view.pass;
  view.pass = pass;
  view.op = op;
  showCurrentPass();
  drawHeads();
  drawSummary();
  if (other && !(await layoutRows())) return;
  relate();
  if (other) { $("scroll").scrollTop = 0; drawSymbols(); }
  const at = op === null ? (other ? panes.shown.findIndex((row) => ["mod", "add", "del"].includes(row.kind)) : -1) : rowOf(op);
  if (at >= 0) showRow(at);
  draw();
  remember();
  await drawOrigin();
  document.body.dataset.ready = `${pass.id}:${op === null ? "" : op}`;
}

function remember() {
  const parts = [`pass=${view.pass.id}`];
  if (view.op !== null) parts.push(`op=${view.op}`);
  if (view.show) parts.push(`show=${encodeURIComponent(view.show)}`);
  history.replaceState(null, "", `#${parts.join("&")}`);
}

// Go to an op wherever it stands: to the pass that made it, unless the current step shows it.
async function openOp(gid) {
  const state = stateOf(gid);
  const here = view.pass && (view.pass.after === state || view.pass.before === state);
  const pass = here ? view.pass : trace.passAfter.get(state) || trace.passBefore.get(state);
  if (pass) await openPass(pass, gid);
}

async function follow(direction) {
  if (view.op === null) return;
  const state = await loadState(stateOf(view.op));
  if (direction < 0) {
    const edges = edgesOf(state, view.op - state.base);
    if (edges.length) await openOp(edges[0]);
    return;
  }
  for (const id of trace.children.get(state.id) || []) {
    const child = await loadState(id);
    for (let i = 0; i < child.edges.length; i++) if (edgesOf(child, i).includes(view.op)) { await openOp(i + child.base); return; }
  }
}

function chooseNear(offset) {
  const side = view.op !== null && stateOf(view.op) === panes.left.id && panes.left.id !== panes.right.id ? "l" : "r";
  const state = side === "l" ? panes.left : panes.right;
  let at = view.op === null ? Math.floor($("scroll").scrollTop / ROW) + 3 : rowOf(view.op);
  for (at += offset; at >= 0 && at < panes.shown.length; at += offset) {
    const line = panes.shown[at][side];
    if (line >= 0 && state.lineOp[line] >= 0 && state.lineOp[line] + state.base !== view.op) { openPass(view.pass, state.lineOp[line] + state.base); return; }
  }
}

function otherSide() {
  const mark = panes.marks.keys().next();
  if (!mark.done) openPass(view.pass, mark.value);
}

function drawSymbols() {
  const names = new Set(trace.streams.filter((s) => s && s.parent !== null).map((s) => s.name));
  for (const state of [panes.left, panes.right]) for (const [name] of state.symbols) names.add(name);
  $("symbols").innerHTML = [...names].sort().map((n) => `<option value="${escapeHtml(n)}">`).join("");
}

async function setShow(text) {
  view.show = text.replace(/^@/, "");
  list.wanted = view.show;
  drawList();
  if (await layoutRows()) { relate(); $("scroll").scrollTop = 0; draw(); remember(); }
}

function bind() {
  $("list").addEventListener("click", (event) => {
    const pass = event.target.closest(".pass"), group = event.target.closest(".group.kernel");
    if (pass) openPass(trace.passes[Number(pass.dataset.pass)]);
    else if (group) { const id = Number(group.dataset.stream); if (!list.open.delete(id)) list.open.add(id); drawList(); }
  });
  $("scroll").addEventListener("scroll", draw, { passive: true });
  $("window").addEventListener("click", (event) => {
    const row = event.target.closest(".row");
    if (!row) return;
    const shown = panes.shown[Number(row.dataset.row)];
    if (shown && shown.kind === "fold") { panes.open.add(shown.from); fold(); }
    else if (shown && shown.kind === "remark") { if (shown.remark.op !== null) openPass(view.pass, shown.remark.op); }
    else if (row.dataset.op && Number(row.dataset.op) >= 0) openPass(view.pass, Number(row.dataset.op));
  });
  for (const [one, two] of [["before", "after"], ["after", "before"]])
    $(one).addEventListener("scroll", () => { if ($(two).scrollLeft !== $(one).scrollLeft) $(two).scrollLeft = $(one).scrollLeft; }, { passive: true });
  $("right").addEventListener("click", (event) => {
    const target = event.target.closest("[data-goto]");
    if (target && target.dataset.goto !== "") openOp(Number(target.dataset.goto));
  });
  $("changed-only").addEventListener("change", () => { list.changedOnly = $("changed-only").checked; drawList(); });
  $("find").addEventListener("input", () => { panes.hit = -1; if ($("find").value) panes.open.add("all"); fold(); if ($("everywhere").checked) findEverywhere($("find").value); });
  $("find").addEventListener("keydown", (event) => { if (event.key === "Enter") nextHit(event.shiftKey ? -1 : 1); });
  $("everywhere").addEventListener("change", () => findEverywhere($("everywhere").checked ? $("find").value : ""));
  $("show").addEventListener("change", () => setShow($("show").value));
  $("help-button").addEventListener("click", () => $("help").showModal());
  window.addEventListener("resize", draw);
  window.addEventListener("hashchange", openAddress);
  document.addEventListener("keydown", onKey);
}

const KEYS = {
  j: () => step(1, false), k: () => step(-1, false), J: () => step(1, true), K: () => step(-1, true),
  n: () => nextChange(1), p: () => nextChange(-1), u: () => follow(-1), d: () => follow(1),
  ArrowDown: () => chooseNear(1), ArrowUp: () => chooseNear(-1), Tab: otherSide,
  e: () => { if (!panes.open.delete("all")) panes.open.add("all"); fold(); },
  c: () => $("changed-only").click(), "/": () => $("find").focus(), s: () => $("show").focus(), "?": () => $("help").showModal(),
  Escape: () => openPass(view.pass),
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  if (event.target instanceof HTMLInputElement && event.target.type === "text") { if (event.key === "Escape") event.target.blur(); return; }
  const action = KEYS[event.key];
  if (!action || !view.pass) return;
  event.preventDefault();
  action();
}

function openAddress() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  const pass = trace.byId.get(Number(wanted.get("pass")));
  if (wanted.has("show")) { view.show = list.wanted = wanted.get("show"); $("show").value = view.show; }
  if (wanted.has("op") && !wanted.has("pass")) return openOp(Number(wanted.get("op")));
  return openPass(wanted.has("pass") && pass ? pass : trace.passes[0], wanted.has("op") ? Number(wanted.get("op")) : null);
}

document.addEventListener("DOMContentLoaded", () => {
  readRecords();
  $("title").textContent = trace.title;
  $("title").title = `${trace.title} (${trace.time || ""})`;
  const last = trace.passes[trace.passes.length - 1];
  if (!trace.ended) {
    $("status").className = "early";
    $("status").textContent = last && last.running ? `ended early, in ${last.name}` : "ended early, or still running: reload to see more";
  }
  bind();
  drawPhases();
  if (!last) { drawPassless(); return; }
  openAddress();
});

function drawPassless() {
  $("list").innerHTML = '<div id="empty">No pass has run.</div>';
  document.body.dataset.ready = "none";
}
