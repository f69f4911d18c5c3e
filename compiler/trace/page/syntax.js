"use strict";
// Colours for one line of IR or PTX; only the lines on the screen are ever coloured.

const TOKEN = new RegExp([
  /(?<comment>\/\/.*)/, /(?<string>"(?:[^"\\]|\\.)*")/, /(?<value>%[\w$.\-]+)/, /(?<symbol>@[\w$.\-]+|\^\w+|\$L\w+)/, /(?<alias>#[A-Za-z_][\w.]*)/,
  /(?<op>(?<![\w.#!%])[a-z_]\w*(?:\.[A-Za-z_][\w:]*)+)/, /(?<type>![A-Za-z_][\w.]*|(?:\b|(?<=[\d?]x))(?:tensor|index|bf16|f\d+\w*|[su]?i\d+)\b|\.[a-z]+\d*\b)/, /(?<number>(?<![\w.])-?\d+(?:\.\d+)?(?:e[+\-]?\d+)?)/,
].map((r) => r.source).join("|"), "g");

// `marks` are [start, end, class], in order and apart from each other.
function colourLine(text, marks) {
  const pieces = [];
  let at = 0;
  for (const match of text.matchAll(TOKEN)) {
    if (match.index > at) pieces.push([at, match.index, ""]);
    const kind = Object.keys(match.groups).find((name) => match.groups[name] !== undefined);
    pieces.push([match.index, (at = match.index + match[0].length), `t-${kind}`]);
  }
  if (at < text.length) pieces.push([at, text.length, ""]);
  const span = (from, to, style) => { const part = escapeHtml(text.slice(from, to)); return style ? `<span class="${style}">${part}</span>` : part; };
  let html = "";
  let next = 0;
  for (let [from, to, style] of pieces) {
    while (from < to) {
      while (next < marks.length && marks[next][1] <= from) next++;
      const mark = marks[next];
      if (!mark || mark[0] >= to) { html += span(from, to, style); break; }
      if (mark[0] > from) { html += span(from, mark[0], style); from = mark[0]; }
      const end = Math.min(to, mark[1]);
      html += `<mark class="${mark[2]}">${span(from, end, style)}</mark>`;
      from = end;
    }
  }
  return html;
}
