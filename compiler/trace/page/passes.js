"use strict";
// The list on the left: passes in order, by stream and phase, with times and what they changed.

const PHASE_COLOURS = { nn: "#4f46e5", fusion: "#0d9488", quant: "#ca8a04", layout: "#c2410c", tile: "#be185d", ptx: "#475569", "": "#6b7280" };
const list = { open: new Set(), changedOnly: false, wanted: "", found: null };

const streamName = (id) => (trace.streams[id] ? trace.streams[id].name : "module");
const isKernel = (id) => trace.streams[id] && trace.streams[id].parent !== null;

function passVisible(pass) {
  if (list.changedOnly && !pass.changed && !pass.failed && !pass.running) return false;
  if (list.wanted && isKernel(pass.stream) && !streamName(pass.stream).includes(list.wanted)) return false;
  return !list.found || list.found.has(pass.after);
}

function drawPhases() {
  const total = new Map();
  for (const pass of trace.passes) total.set(pass.phase, (total.get(pass.phase) || 0) + pass.seconds);
  const whole = [...total.values()].reduce((x, y) => x + y, 0) || 1;
  $("phases").innerHTML = [...total].map(([phase, time]) => {
    const share = (100 * time) / whole;
    return `<div style="flex:${Math.max(share, 0.5)};background:${PHASE_COLOURS[phase] || PHASE_COLOURS[""]}" title="${phase || "other"}: ${seconds(time)}, ${share.toFixed(0)} %">${share > 12 ? escapeHtml(phase) : ""}</div>`;
  }).join("");
}

function drawList() {
  const visible = trace.passes.filter(passVisible);
  const slowest = Math.max(1e-9, ...trace.passes.map((p) => p.seconds));
  const times = new Map();
  for (const pass of visible) times.set(pass.stream, (times.get(pass.stream) || 0) + pass.seconds);
  const html = [];
  let stream = null, phase = null;
  for (const pass of visible) {
    const folded = isKernel(pass.stream) && !list.open.has(pass.stream) && !list.wanted && !list.found;
    if (pass.stream !== stream) {
      stream = pass.stream; phase = null;
      const kernel = isKernel(stream);
      html.push(`<div class="group${kernel ? " kernel" : ""}" data-stream="${stream}" title="${escapeHtml(streamName(stream))}"><span class="twist">${kernel ? (folded ? "▸" : "▾") : ""}</span><span class="name">${escapeHtml(streamName(stream))}</span><span class="time">${seconds(times.get(stream))}</span></div>`);
    }
    if (folded) continue;
    if (pass.phase !== phase) { phase = pass.phase; html.push(`<div class="phase-name"><i style="background:${PHASE_COLOURS[phase] || PHASE_COLOURS[""]}"></i>${escapeHtml(phase || "other")}</div>`); }
    html.push(passRow(pass, slowest));
  }
  $("list").innerHTML = html.join("") || '<div id="empty">No pass is like that.</div>';
  $("list-count").textContent = visible.length === trace.passes.length ? `${visible.length} passes` : `${visible.length} of ${trace.passes.length} passes`;
}

function passRow(pass, slowest) {
  const state = pass.failed ? "failed" : pass.running ? "running" : pass.skipped || !pass.changed ? "same" : "";
  const mark = pass.failed ? "✕" : pass.running ? "…" : pass.skipped ? "–" : pass.changed ? "●" : "";
  const difference = pass.ops[1] - pass.ops[0];
  const counts = pass.running || pass.skipped ? "" : `${pass.ops[1]}${difference ? ` <b class="${difference > 0 ? "plus" : "minus"}">${difference > 0 ? "+" : "−"}${Math.abs(difference)}</b>` : ""}`;
  const notes = pass.remarks && pass.remarks.length ? ` <b class="noted" title="remarks">⚑${pass.remarks.length}</b>` : "";
  const tip = `${pass.name}${pass.options ? ` {${pass.options}}` : ""}: ${pass.running ? "was at work when the trace ended" : pass.skipped ? "was kept from running" : `${seconds(pass.seconds)}, ${pass.ops[0]} → ${pass.ops[1]} ops`}`;
  const width = Math.max(2, (60 * pass.seconds) / slowest);
  return `<div class="pass ${state}${pass === view.pass ? " current" : ""}" role="option" aria-selected="${pass === view.pass}" data-pass="${pass.index}" title="${escapeHtml(tip)}"><span class="mark">${mark}</span><span class="name">${escapeHtml(pass.name)}</span><span class="count">${counts}${notes}</span><span class="time">${pass.running || pass.skipped ? "" : seconds(pass.seconds)}<i class="bar" style="width:${width}px"></i></span></div>`;
}

function showCurrentPass() {
  if (isKernel(view.pass.stream)) list.open.add(view.pass.stream);
  drawList();
  const row = $("list").querySelector(".pass.current");
  if (row) row.scrollIntoView({ block: "nearest" });
}

// The passes after which `text` occurs anywhere, read one state after another.
async function findEverywhere(text) {
  list.found = null;
  if (text) {
    const found = new Set(), ticket = (findEverywhere.ticket = {});
    for (const pass of trace.passes) {
      const state = await loadState(pass.after);
      if (findEverywhere.ticket !== ticket) return;
      if (state.text.includes(text)) found.add(pass.after);
    }
    list.found = found;
  }
  drawList();
}

function step(offset, changedOnly) {
  let index = view.pass.index;
  for (;;) {
    index += offset;
    const pass = trace.passes[index];
    if (!pass) return;
    if (passVisible(pass) && (!changedOnly || pass.changed || pass.failed)) { openPass(pass); return; }
  }
}
