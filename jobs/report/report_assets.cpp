#include "jobs/report/report_assets.h"

namespace mmbatch {

const char* const kReportStyle = R"css(
:root {
  color-scheme: light dark;
  --page: #fbfbfa; --panel: #ffffff; --line: #e3e3e0; --text: #22252a; --faint: #6a7078;
  --accent: #3f6ea8; --soft: #dfe8f3; --good: #2f7a4d; --bad: #b0413e; --mark: #b5762a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #17191c; --panel: #1f2226; --line: #33373d; --text: #e4e6e9; --faint: #9aa1aa;
    --accent: #7ba7dc; --soft: #2a3645; --good: #74c093; --bad: #e58a86; --mark: #dca65c;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 28px 24px 60px; }
h1 { font-size: 24px; font-weight: 650; margin: 0 0 2px; overflow-wrap: anywhere; }
h2 { font-size: 15px; font-weight: 650; margin: 0 0 10px; }
.sub { color: var(--faint); margin: 0 0 22px; overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin-bottom: 14px; }
.card, .panel { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: 12px 16px; }
.card b { display: block; font-size: 22px; font-weight: 600; font-variant-numeric: tabular-nums; }
.card span { color: var(--faint); font-size: 13px; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 14px; margin-bottom: 14px; }
.panel { padding: 16px 18px; min-width: 0; }
.note { color: var(--faint); font-size: 13px; margin: 8px 0 0; }
svg { display: block; width: 100%; height: auto; font-size: 12px; }
svg text { fill: var(--faint); } svg text.label { fill: var(--text); font-size: 13px; }
svg .end { text-anchor: end; } svg .middle { text-anchor: middle; }
svg .bar { fill: var(--accent); } svg .track { fill: var(--soft); } svg .area { fill: var(--soft); }
svg .curve { fill: none; stroke: var(--accent); stroke-width: 1.6; stroke-linejoin: round; }
svg .grid { stroke: var(--line); } svg .mark { stroke: var(--mark); stroke-dasharray: 4 3; }
.controls { display: flex; flex-wrap: wrap; gap: 10px; align-items: center; margin-bottom: 12px; }
input, select, button { font: inherit; color: inherit; background: var(--page); border: 1px solid var(--line); border-radius: 6px; padding: 5px 10px; }
input[type=search] { flex: 1 1 240px; min-width: 0; }
button { cursor: pointer; } button:disabled { opacity: .45; cursor: default; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
.count { color: var(--faint); margin-left: auto; font-variant-numeric: tabular-nums; }
.scroll { overflow: auto; max-height: 80vh; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; width: 100%; min-width: 860px; font-size: 14px; }
th, td { text-align: left; vertical-align: top; padding: 7px 12px; border-bottom: 1px solid var(--line); }
th { position: sticky; top: 0; background: var(--panel); z-index: 1; white-space: nowrap; }
th button { border: 0; background: none; padding: 0; font-weight: 650; }
td { overflow-wrap: anywhere; white-space: pre-wrap; min-width: 70px; max-width: 380px; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.images { white-space: normal; min-width: 96px; }
td img { max-width: 96px; max-height: 72px; border-radius: 4px; margin: 0 4px 4px 0; vertical-align: top; background: var(--soft); }
.good { color: var(--good); } .bad { color: var(--bad); } .faint { color: var(--faint); }
.wide { grid-column: 1 / -1; }
table.plain { min-width: 0; } table.plain td { white-space: nowrap; } table.plain td:last-child { white-space: normal; max-width: none; }
@media print { .controls, .pages { display: none; } .scroll { max-height: none; } }
)css";

const char* const kReportScript = R"js(
'use strict';
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const rows = read('data');
const thumbnails = read('thumbnails');
const ID = 0, JOB = 1, QUESTION = 2, ANSWER = 3, REFERENCES = 4, CORRECT = 5, MS = 6, ERROR = 7, PICTURES = 8, IMAGES = 9;
const PAGE = 100;
const element = (id) => document.getElementById(id);
const search = element('search'), job = element('job'), outcome = element('outcome');
const body = element('rows'), count = element('count'), where = element('where');
const texts = rows.map((row) => [row[ID], row[QUESTION], row[ANSWER], row[REFERENCES], row[ERROR], row[IMAGES]].join('\n').toLowerCase());
let shown = [], page = 0, sortBy = -1, direction = 1;

for (const name of [...new Set(rows.map((row) => row[JOB]))]) {
  const option = document.createElement('option');
  option.textContent = name;
  option.value = name;
  job.append(option);
}

const keeps = {
  all: () => true,
  answered: (row) => !row[ERROR],
  correct: (row) => row[CORRECT] === 1,
  wrong: (row) => row[CORRECT] === 0,
  failed: (row) => Boolean(row[ERROR]),
};

function compare(a, b) {
  const x = rows[a][sortBy], y = rows[b][sortBy];
  if (x === y) return a - b;
  if (x === null) return 1;
  if (y === null) return -1;
  return (x < y ? -1 : 1) * direction;
}

function choose() {
  const words = search.value.toLowerCase();
  const keep = keeps[outcome.value];
  shown = [];
  rows.forEach((row, i) => {
    if ((job.value === '' || row[JOB] === job.value) && keep(row) && texts[i].includes(words)) shown.push(i);
  });
  if (sortBy >= 0) shown.sort(compare);
  page = 0;
  draw();
}

function cell(line, text, style) {
  const made = document.createElement('td');
  made.textContent = text;
  if (style) made.className = style;
  line.append(made);
  return made;
}

function draw() {
  const begin = page * PAGE, end = Math.min(begin + PAGE, shown.length);
  const lines = document.createDocumentFragment();
  for (const i of shown.slice(begin, end)) {
    const row = rows[i];
    const line = document.createElement('tr');
    const pictures = cell(line, '', 'images');
    const available = row[PICTURES].filter((picture) => thumbnails[picture]);
    for (const picture of available) {
      const image = document.createElement('img');
      image.src = 'data:image/jpeg;base64,' + thumbnails[picture];
      image.alt = row[IMAGES];
      image.title = row[IMAGES];
      pictures.append(image);
    }
    if (available.length === 0) {
      pictures.textContent = row[IMAGES];
      pictures.classList.add('faint');
    }
    cell(line, row[ID]);
    cell(line, row[JOB]);
    cell(line, row[QUESTION]);
    if (row[ERROR]) cell(line, row[ERROR], 'bad');
    else cell(line, row[ANSWER]);
    cell(line, row[REFERENCES]);
    cell(line, row[CORRECT] === null ? '' : row[CORRECT] ? '✓' : '✗', row[CORRECT] ? 'good' : 'bad');
    cell(line, row[MS] === null ? '' : row[MS].toFixed(1), 'number');
    lines.append(line);
  }
  body.replaceChildren(lines);
  count.textContent = shown.length + ' of ' + rows.length + ' items';
  const pages = Math.max(1, Math.ceil(shown.length / PAGE));
  where.textContent = 'page ' + (page + 1) + ' of ' + pages;
  element('before').disabled = page === 0;
  element('after').disabled = page + 1 >= pages;
}

function turn(step) {
  page += step;
  draw();
  body.closest('.scroll').scrollTop = 0;
}

for (const heading of document.querySelectorAll('th[data-column]')) {
  heading.firstElementChild.addEventListener('click', () => {
    const column = Number(heading.dataset.column);
    direction = sortBy === column ? -direction : 1;
    sortBy = column;
    for (const other of document.querySelectorAll('th[aria-sort]')) other.removeAttribute('aria-sort');
    heading.setAttribute('aria-sort', direction > 0 ? 'ascending' : 'descending');
    choose();
  });
}
search.addEventListener('input', choose);
job.addEventListener('change', choose);
outcome.addEventListener('change', choose);
element('before').addEventListener('click', () => turn(-1));
element('after').addEventListener('click', () => turn(1));
// The filter stands behind the '#' of the address, so that a link can carry it.
try {
  search.value = decodeURIComponent(location.hash.slice(1));
} catch {
  search.value = '';
}
search.addEventListener('change', () => history.replaceState(null, '', '#' + encodeURIComponent(search.value)));
choose();
)js";

}  // namespace mmbatch
