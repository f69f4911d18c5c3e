"use strict";
// Following ops through the trace. Edges lead from an op to those of earlier states that it derives from, so one sweep over the
// states, downwards or upwards, finds all of one side.

// [{state, ops}], the chosen op's own state first, then back to the beginning. `ops` are indices in that state.
async function ancestry(gid) {
  const start = stateOf(gid);
  const wanted = new Map([[start, new Set([gid - trace.states[start].base])]]);
  const steps = [];
  for (let id = start; id >= 0; id--) {
    const ops = wanted.get(id);
    if (!ops) continue;
    const state = await loadState(id);
    steps.push({ state, ops: [...ops].sort((x, y) => x - y) });
    for (const index of ops)
      for (const origin of edgesOf(state, index)) {
        const above = stateOf(origin);
        if (!wanted.has(above)) wanted.set(above, new Set());
        wanted.get(above).add(origin - trace.states[above].base);
      }
  }
  return steps;
}

// The same towards the end, the chosen op's own state left out. What stands around ops (functions, kernels) carries the places of all
// of them and is no help, unless there is nothing else: `wide` then follows it, and every launch into the kernel that it runs.
async function descent(gid, wide) {
  const start = stateOf(gid);
  const wanted = new Map([[start, new Set([gid])]]);
  const steps = [];
  for (let id = start; id < trace.states.length; id++) {
    const outline = trace.states[id];
    if (!outline) continue;
    const origins = outline.from.filter((origin) => wanted.has(origin)).map((origin) => wanted.get(origin));
    if (id !== start && !origins.length) continue;
    const state = await loadState(id);
    const found = new Set(id === start ? [gid - outline.base] : []);
    if (id !== start)
      for (let i = 0; i < state.edges.length; i++)
        if ((wide || !state.frames.has(i)) && edgesOf(state, i).some((edge) => origins.some((set) => set.has(edge)))) found.add(i);
    if (!found.size) continue;
    if (id !== start) steps.push({ state, ops: [...found].sort((x, y) => x - y) });
    const carried = new Set([...found].map((i) => i + outline.base));
    if (wide) for (const i of found) for (const kernel of runs(state, i)) for (let k = kernel; k < state.name.length && inside(state, k, kernel); k++) carried.add(k + outline.base);
    wanted.set(id, carried);
  }
  return steps;
}

// The kernels that a launch runs, as indices of their ops.
function runs(state, index) {
  if (!state.names[state.name[index]].endsWith(".launch") || state.first[index] < 0) return [];
  const called = new Set((state.lines[state.first[index]].match(/@[\w$.\-]+/g) || []).map((s) => s.slice(1)));
  return state.symbols.filter(([name]) => called.has(name)).map(([, op]) => op);
}

const inside = (state, index, outer) => index === outer || (state.first[index] > state.first[outer] && state.last[index] <= state.last[outer]);

const opText = (state, index) => (state.first[index] < 0 ? state.names[state.name[index]] : state.lines[state.first[index]].trim());

// Whether a step says nothing new: the same ops under the same names as in the step nearer to the chosen op.
function isKept(near, far) {
  if (near.ops.length !== far.ops.length) return false;
  return far.ops.every((index, k) => normal(opText(far.state, index)) === normal(opText(near.state, near.ops[k])));
}

// Steps with runs of kept ones as {kept: passes}.
function condense(steps, nearest) {
  const shown = [];
  let near = nearest;
  for (const step of steps) {
    const last = shown[shown.length - 1];
    if (near && isKept(near, step)) {
      if (last && last.kept) last.kept.push(step); else shown.push({ kept: [step] });
    } else shown.push(step);
    near = step;
  }
  return shown;
}

// "file.py:12" in an op's place, with the line's text where the trace found the file.
function sourcesOf(place) {
  const found = [];
  for (const match of place.matchAll(/([\w./\-]+\.py):(\d+)/g)) if (!found.some((f) => f.where === match[0])) found.push({ where: match[0], text: trace.sources[match[0]] || "" });
  return found;
}
