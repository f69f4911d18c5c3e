"use strict";
// A line diff that does not mind renumbering: lines are equal when they differ in nothing but numbers of values and aliases.
// Unique common lines are anchors (patience diff); what lies between two anchors is compared exactly where it is small enough.

const normal = (line) => line.replace(/%\d+(_\d+)?/g, "%").replace(/([#!][a-z]+)\d+\b/g, "$1").replace(/\^bb\d+/g, "^bb");
const EXACT = 1 << 21; // cells of the table for one stretch between anchors

// `kin(j)` gives the left lines from which the op that begins at right line j derives: lines that nothing else matches stand beside those.
function diffLines(left, right, kin) {
  const numbers = new Map();
  const intern = (line) => {
    const key = normal(line);
    let number = numbers.get(key);
    if (number === undefined) numbers.set(key, (number = numbers.size));
    return number;
  };
  const a = Int32Array.from(left, intern), b = Int32Array.from(right, intern);
  const pairs = []; // [i, j] of equal lines, in order
  const work = [[0, a.length, 0, b.length]];
  while (work.length) {
    let [a0, a1, b0, b1] = work.pop();
    if (a1 === -1) { pairs.push([a0, b0]); continue; } // put off, so that pairs come in order
    while (a0 < a1 && b0 < b1 && a[a0] === b[b0]) pairs.push([a0++, b0++]);
    const tail = [];
    while (a0 < a1 && b0 < b1 && a[a1 - 1] === b[b1 - 1]) tail.push([--a1, -1, --b1, -1]);
    for (const item of tail) work.push([item[0], -1, item[2], -1]);
    if (a0 === a1 || b0 === b1) continue;
    const anchors = uniqueAnchors(a, a0, a1, b, b0, b1);
    if (anchors.length) {
      let endA = a1, endB = b1;
      const later = [];
      for (let k = anchors.length - 1; k >= 0; k--) {
        const [i, j] = anchors[k];
        later.push([i + 1, endA, j + 1, endB], [i, -1, j, -1]);
        endA = i; endB = j;
      }
      work.push(...later, [a0, endA, b0, endB]);
    } else if ((a1 - a0) * (b1 - b0) <= EXACT) {
      for (const pair of longestCommon(a, a0, a1, b, b0, b1)) pairs.push(pair);
    }
  }
  return alignRows(left, right, pairs, kin);
}

function uniqueAnchors(a, a0, a1, b, b0, b1) {
  const seen = new Map(); // number → [count in a, place in a, count in b, place in b]
  for (let i = a0; i < a1; i++) {
    const entry = seen.get(a[i]);
    if (entry) entry[0]++; else seen.set(a[i], [1, i, 0, -1]);
  }
  for (let j = b0; j < b1; j++) {
    const entry = seen.get(b[j]);
    if (entry) { entry[2]++; entry[3] = j; }
  }
  const common = [];
  for (const [, entry] of seen) if (entry[0] === 1 && entry[2] === 1) common.push([entry[1], entry[3]]);
  common.sort((x, y) => x[0] - y[0]);
  return increasing(common);
}

// The longest run of pairs, which are in order of their first parts, whose second parts ascend too.
function increasing(pairs) {
  const tops = [], back = new Int32Array(pairs.length);
  pairs.forEach(([, j], k) => {
    let low = 0, high = tops.length;
    while (low < high) { const m = (low + high) >> 1; if (pairs[tops[m]][1] < j) low = m + 1; else high = m; }
    back[k] = low ? tops[low - 1] : -1;
    tops[low] = k;
  });
  const found = [];
  for (let k = tops.length ? tops[tops.length - 1] : -1; k >= 0; k = back[k]) found.push(pairs[k]);
  return found.reverse();
}

function longestCommon(a, a0, a1, b, b0, b1) {
  const n = a1 - a0, m = b1 - b0, width = m + 1;
  const table = new Uint16Array((n + 1) * width);
  for (let i = n - 1; i >= 0; i--)
    for (let j = m - 1; j >= 0; j--)
      table[i * width + j] = a[a0 + i] === b[b0 + j] ? table[(i + 1) * width + j + 1] + 1 : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
  const pairs = [];
  for (let i = 0, j = 0; i < n && j < m; ) {
    if (a[a0 + i] === b[b0 + j]) pairs.push([a0 + i++, b0 + j++]);
    else if (table[(i + 1) * width + j] >= table[i * width + j + 1]) i++;
    else j++;
  }
  return pairs;
}

// Rows of the two panes: {l, r, kind}, -1 for no line. A line stands beside what it replaces: its kin where there is one, else in order.
function alignRows(left, right, pairs, kin) {
  const rows = [];
  let i = 0, j = 0;
  const stretch = (endA, endB) => {
    while (i < endA && j < endB) rows.push({ l: i++, r: j++, kind: "mod" });
    apart(endA, endB);
  };
  const apart = (endA, endB) => {
    while (i < endA) rows.push({ l: i++, r: -1, kind: "del" });
    while (j < endB) rows.push({ l: -1, r: j++, kind: "add" });
  };
  const gap = (endA, endB) => {
    const related = i < endA && j < endB ? kinPairs(i, endA, j, endB, kin) : [];
    for (const [x, y] of related) { apart(x, y); rows.push({ l: i++, r: j++, kind: "mod" }); }
    if (related.length) apart(endA, endB); else stretch(endA, endB);
  };
  for (const [x, y] of pairs) { gap(x, y); rows.push({ l: i++, r: j++, kind: "same" }); }
  gap(left.length, right.length);
  return rows;
}

function kinPairs(a0, a1, b0, b1, kin) {
  const candidates = [], used = new Set();
  for (let j = b0; j < b1; j++)
    for (const i of kin(j)) if (i >= a0 && i < a1 && !used.has(i)) { used.add(i); candidates.push([i, j]); break; }
  return increasing(candidates.sort((x, y) => x[0] - y[0]));
}

// What differs inside a changed line: the stretch [start, end) of each side between the words they share at both ends.
function changedStretch(x, y) {
  let start = 0;
  const least = Math.min(x.length, y.length);
  while (start < least && x[start] === y[start]) start++;
  while (start > 0 && /\w/.test(x[start - 1])) start--;
  let end = 0;
  while (end < least - start && x[x.length - 1 - end] === y[y.length - 1 - end]) end++;
  while (end > 0 && /\w/.test(x[x.length - end])) end--;
  return [start, x.length - end, y.length - end];
}

const CONTEXT = 3;

// Long unchanged stretches become one row that opens on a click. `open` holds the first rows of those that were opened.
function foldRows(rows, open) {
  const shown = [];
  if (rows.every((row) => row.kind === "same")) return rows;
  for (let at = 0; at < rows.length; ) {
    let end = at;
    while (end < rows.length && rows[end].kind === "same") end++;
    if (end > at) {
      const head = at === 0 ? 0 : CONTEXT, tail = end === rows.length ? 0 : CONTEXT;
      if (end - at > head + tail + 3 && !open.has(at) && !open.has("all")) {
        for (let k = at; k < at + head; k++) shown.push(rows[k]);
        shown.push({ l: -1, r: -1, kind: "fold", from: at, count: end - at - head - tail, first: rows[at + head], last: rows[end - tail - 1] });
        for (let k = end - tail; k < end; k++) shown.push(rows[k]);
      } else for (let k = at; k < end; k++) shown.push(rows[k]);
    } else { shown.push(rows[at]); end = at + 1; }
    at = end;
  }
  return shown;
}
