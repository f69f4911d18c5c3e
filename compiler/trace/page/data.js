"use strict";
// What the trace wrote: small records, read at once, and the states of modules, unpacked when they are looked at.

const trace = { title: "", ended: false, streams: [], states: [], passes: [], sources: {}, byId: new Map() };

function readRecords() {
  for (const element of document.querySelectorAll("script.record")) {
    let item;
    try { item = JSON.parse(element.textContent); } catch { continue; } // cut off by a crash
    switch (item.k) {
      case "start": trace.title = item.title; trace.time = item.time; break;
      case "end": trace.ended = true; break;
      case "stream": trace.streams[item.id] = item; break;
      case "state": trace.states[item.id] = item; break;
      case "source": Object.assign(trace.sources, item.lines); break;
      case "begin": case "pass": case "skipped": {
        const known = trace.byId.get(item.id);
        const pass = known || { remarks: [], delta: {}, statistics: {}, ops: [0, 0], seconds: 0, options: "", files: [] };
        const files = item.file ? [...pass.files, item.file] : pass.files;
        Object.assign(pass, item, { files, running: item.k === "begin", skipped: item.k === "skipped" });
        if (!known) { trace.byId.set(item.id, pass); trace.passes.push(pass); }
      }
    }
  }
  trace.passes.sort((a, b) => a.id - b.id);
  trace.passes.forEach((pass, index) => {
    pass.index = index;
    if (pass.after === undefined) pass.after = pass.before;
  });
  trace.passAfter = new Map();
  trace.passBefore = new Map();
  for (const pass of trace.passes) {
    if (pass.after !== pass.before && !trace.passAfter.has(pass.after)) trace.passAfter.set(pass.after, pass);
    if (!trace.passBefore.has(pass.before)) trace.passBefore.set(pass.before, pass);
  }
  trace.children = new Map();
  for (const state of trace.states) {
    if (!state) continue;
    for (const origin of state.from) {
      if (!trace.children.has(origin)) trace.children.set(origin, []);
      trace.children.get(origin).push(state.id);
    }
  }
}

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

const loading = new Map();

// The state with that number: lines, ops (name, place, first and last line, edges), and the op of every line.
function loadState(id) {
  if (!loading.has(id)) loading.set(id, readState(id));
  return loading.get(id);
}

async function readState(id) {
  const outline = trace.states[id];
  const data = await unpack(document.getElementById(`s${id}`).textContent);
  const lines = data.text.split("\n");
  if (lines.length && lines[lines.length - 1] === "") lines.pop();
  const lineOp = new Int32Array(lines.length).fill(-1);
  for (let i = 0; i < data.name.length; i++) // walk order: what is inside comes later
    for (let line = Math.max(0, data.first[i]); line <= data.last[i] && line < lines.length; line++) lineOp[line] = i;
  return { id, base: outline.base, stream: outline.stream, lines, lineOp, ...data, frames: new Set(data.frames) };
}

const edgesOf = (state, index) => { const e = state.edges[index]; return Array.isArray(e) ? e : [e]; };

// The number of the state in which op `gid` stands.
function stateOf(gid) {
  let low = 0, high = trace.states.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (trace.states[middle].base <= gid) low = middle; else high = middle - 1;
  }
  return low;
}

const escapeHtml = (text) => text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
const $ = (id) => document.getElementById(id);

function seconds(value) {
  if (value >= 1) return `${value.toFixed(2)} s`;
  return value >= 0.001 ? `${(value * 1000).toFixed(1)} ms` : `${Math.round(value * 1e6)} µs`;
}
