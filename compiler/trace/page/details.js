"use strict";
// The right side: where the chosen op came from and what it became, the pass's remarks, and its numbers.

const MOST = 8; // ops listed for one step

function drawSummary() {
  const pass = view.pass;
  const rows = (entries) => `<table class="small">${entries.map(([k, v]) => `<tr><td>${k}</td><td>${v}</td></tr>`).join("")}</table>`;
  const signed = (n) => `<span class="${n > 0 ? "plus" : "minus"}">${n > 0 ? "+" : "−"}${Math.abs(n)}</span>`;
  const head = [["time", pass.running ? "" : seconds(pass.seconds)], ["ops", `${pass.ops[0]} → ${pass.ops[1]}`]];
  if (pass.options) head.push(["options", `<code>${escapeHtml(pass.options)}</code>`]);
  let html = `<h2>Pass</h2>${rows(head)}`;
  const statistics = Object.entries(pass.statistics || {});
  if (statistics.length) html += `<h3>Statistics</h3>${rows(statistics.map(([k, v]) => [escapeHtml(k), v]))}`;
  const delta = Object.entries(pass.delta || {}).sort((x, y) => Math.abs(y[1]) - Math.abs(x[1]));
  if (delta.length) html += `<h3>Ops by name</h3>${rows(delta.slice(0, 24).map(([k, v]) => [`<code>${escapeHtml(k)}</code>`, signed(v)]))}${delta.length > 24 ? `<div class="dim">and ${delta.length - 24} more names</div>` : ""}`;
  if (pass.files.length) html += `<h3>Files</h3>${pass.files.map((f) => `<a class="op-line mono" href="${encodeURI(f)}">${escapeHtml(f)}</a>`).join("")}`;
  $("summary").innerHTML = html;
  const remarks = pass.remarks || [];
  $("remarks").innerHTML = remarks.length ? `<h2>Remarks</h2>${remarks.map((r) => `<div class="note" data-goto="${r.op === null ? "" : r.op}"><span class="kind ${r.kind}">${r.kind}</span>${escapeHtml(r.message)}${r.suggestion ? `<span class="try">try: ${escapeHtml(r.suggestion)}</span>` : ""}</div>`).join("")}` : "";
}

function drawHeads() {
  const pass = view.pass;
  const kernel = isKernel(pass.stream) ? `<code>@${escapeHtml(streamName(pass.stream))}</code>` : "";
  const how = pass.failed ? `<span class="problem">failed: ${escapeHtml(pass.failed)}</span>` : pass.running ? '<span class="problem">was at work when the trace ended</span>' : pass.skipped ? '<span class="dim">was kept from running</span>' : pass.changed ? "" : '<span class="dim">changed nothing</span>';
  $("crumbs").innerHTML = `<h1>${escapeHtml(pass.name)}</h1><span class="dim">${escapeHtml(pass.phase)}</span>${kernel}${how}`;
  const previous = trace.passAfter.get(pass.before);
  $("head-left").textContent = `before${previous ? `, after ${previous.name}` : ""}`;
  $("head-right").textContent = `after ${pass.name}`;
}

function opLink(state, index, longest = 220) {
  const text = opText(state, index);
  return `<code class="link" data-goto="${state.base + index}" title="${escapeHtml(text)}">${colourLine(text.length > longest ? `${text.slice(0, longest)}…` : text, [])}</code>`;
}

function opsHtml(step) {
  const more = step.ops.length - MOST;
  return step.ops.slice(0, MOST).map((i) => opLink(step.state, i)).join("") + (more > 0 ? `<span class="dim">and ${more} more</span>` : "");
}

// `by` names the pass between a step and the one nearer to the chosen op, `label` says where a step stands.
function stepHtml(step, by, label) {
  if (step.kept) {
    const names = [...new Set(step.kept.map(by).filter(Boolean))];
    if (!names.length) return "";
    return `<div class="step kept" title="${escapeHtml(names.join(", "))}">unchanged by ${names.length === 1 ? escapeHtml(names[0]) : `${names.length} passes`}</div>`;
  }
  const pass = trace.passAfter.get(step.state.id) || trace.passBefore.get(step.state.id);
  return `<div class="step" style="--dot:${PHASE_COLOURS[pass ? pass.phase : ""]}"><span class="by">${escapeHtml(label(step))}</span>${opsHtml(step)}</div>`;
}

const madeBy = (step) => { const pass = trace.passAfter.get(step.state.id); return pass ? pass.name : ""; };
const takenBy = (step) => { const pass = trace.passBefore.get(step.state.id); return pass ? pass.name : ""; };

function standing(step) {
  let state = trace.states[step.state.id];
  for (;;) {
    const pass = trace.passAfter.get(state.id);
    if (pass) return `after ${pass.name}`;
    const before = state.from.length === 1 ? trace.states[state.from[0]] : null;
    if (!before || before.stream !== state.stream) break;
    state = before; // the same module, with another phase written on it
  }
  return isKernel(state.stream) ? "alone, before its code is generated" : "in the input";
}

function sourceHtml(place) {
  const sources = sourcesOf(place);
  const path = place.replace(/\s*\([^()]*\.py:\d+\)/g, "");
  const modules = [...new Set(path.split(", ").filter((p) => p && !/\.py:\d+$/.test(p)))];
  const lines = sources.map((s) => `${s.text ? `<code class="op-line" title="${escapeHtml(s.text)}">${escapeHtml(s.text)}</code>` : ""}<div class="where">${escapeHtml(s.where)}</div>`).join("");
  return `<div class="card source" id="source"><div>${modules.map((m) => `<b>${escapeHtml(m)}</b>`).join("<br>") || '<span class="dim">no place in the model is known</span>'}</div>${lines}</div>`;
}

async function drawOrigin() {
  const gid = view.op, ticket = (drawOrigin.ticket = {});
  if (gid === null) { $("origin").innerHTML = '<h2>Provenance</h2><div class="dim">Choose a line to see what it came from and what it became.</div>'; return; }
  const state = await loadState(stateOf(gid)), index = gid - state.base;
  const above = await ancestry(gid);
  if (drawOrigin.ticket !== ticket) return;
  const chosen = above[0];
  let html = `<h2>Chosen op</h2><div class="card" id="chosen">${opLink(state, index, 4000)}</div>${sourceHtml(state.places[state.place[index]])}`;
  const back = condense(above.slice(1), chosen);
  const first = above[above.length - 1];
  html += `<h3>Came from</h3><div id="came-from">`;
  html += back.map((step) => stepHtml(step, takenBy, standing)).join("");
  const maker = trace.passAfter.get(first.state.id);
  html += maker ? `<div class="dim">new in ${escapeHtml(maker.name)}</div>` : above.length === 1 ? '<div class="dim">in the input</div>' : "";
  html += `</div><h3>Became</h3><div id="became"><span class="dim">looking…</span></div>`;
  $("origin").innerHTML = html;
  let below = state.frames.has(index) ? [] : await descent(gid, false);
  const narrow = below.some((step) => step.state.stream !== state.stream) || (below.length && isKernel(state.stream));
  if (!narrow) below = await descent(gid, true);
  if (drawOrigin.ticket !== ticket) return;
  $("became").innerHTML = becameHtml(below, chosen) || '<span class="dim">nothing: this is the last there is of it</span>';
}

// Steps in the chosen op's own stream, then one fold for each kernel that has some of it.
function becameHtml(below, chosen) {
  const streams = new Map();
  for (const step of below) streams.set(step.state.stream, [...(streams.get(step.state.stream) || []), step]);
  let html = "";
  for (const [stream, steps] of streams) {
    const own = stream === chosen.state.stream;
    const inner = condense(steps, own ? chosen : null).map((step) => stepHtml(step, madeBy, standing)).join("");
    const last = steps[steps.length - 1], pass = trace.passAfter.get(last.state.id);
    const outcome = pass && pass.name === "PTX text" ? `${last.ops.length} PTX ${last.ops.length === 1 ? "line" : "lines"}` : `${last.ops.length} ops`;
    html += own ? inner : `<details${streams.size <= 2 ? " open" : ""}><summary><code>@${escapeHtml(streamName(stream))}</code> <span class="dim">${outcome}</span></summary>${inner}</details>`;
  }
  return html;
}

// The other pane's ops that the chosen one derives from, or that derive from it.
function relate() {
  panes.marks = new Map();
  const { left, right } = panes;
  if (view.op === null || !left || !right || left.id === right.id) return;
  const state = stateOf(view.op);
  if (state === right.id) for (const edge of edgesOf(right, view.op - right.base)) panes.marks.set(edge, true);
  if (state === left.id) for (let i = 0; i < right.edges.length; i++) if (edgesOf(right, i).includes(view.op)) panes.marks.set(i + right.base, true);
}
