'use strict';
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const rows = read('data');
const thumbnails = read('thumbnails');
const ID = 0, JOB = 1, QUESTION = 2, ANSWER = 3, REFERENCES = 4, CORRECT = 5, MS = 6, ERROR = 7, PICTURES = 8, IMAGES = 9, REGIONS = 10;
const PAGE = 100;
const element = (id) => document.getElementById(id);
const search = element('search'), job = element('job'), outcome = element('outcome');
const body = element('rows'), count = element('count'), where = element('where');
const texts = rows.map((row) => [row[ID], row[QUESTION], row[ANSWER], row[REFERENCES], row[ERROR], row[IMAGES]].join('\n').toLowerCase());
let shown = [], page = 0, direction = 1;
let sortBy = null;  // a column's number, or a field's name

// Answers that are objects have their fields as columns beside the picture, where all that is shown has them.
const MOST_FIELDS = 40;
const fields = rows.map((row) => {
  if (!row[ANSWER].startsWith('{')) return null;
  try {
    return JSON.parse(row[ANSWER]);
  } catch {
    return null;
  }
});
const fieldOf = (i, name) => fields[i] && Object.hasOwn(fields[i], name) ? fields[i][name] : null;
const fieldText = (value) => value === null ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value);
const fieldHead = body.closest('table').querySelector('thead tr');
let fieldNames = [];

function chooseFields() {
  const names = new Set();
  let all = shown.length > 0;
  for (const i of shown) {
    if (fields[i]) Object.keys(fields[i]).forEach((name) => names.size < MOST_FIELDS && names.add(name));
    else if (!rows[i][ERROR]) all = false;
  }
  fieldNames = all ? [...names] : [];
  for (const old of fieldHead.querySelectorAll('th.field')) old.remove();
  const before = fieldHead.children[1];
  for (const name of fieldNames) {
    const heading = document.createElement('th'), button = document.createElement('button');
    heading.className = 'field';
    button.type = 'button';
    button.textContent = name;
    button.addEventListener('click', () => sortAgain(name));
    heading.append(button);
    fieldHead.insertBefore(heading, before);
  }
  if (typeof sortBy === 'string' && !fieldNames.includes(sortBy)) sortBy = null;
  for (const heading of fieldHead.children) heading.removeAttribute('aria-sort');
  const sorted = typeof sortBy === 'string' ? fieldHead.children[1 + fieldNames.indexOf(sortBy)]
    : fieldHead.querySelector('[data-column="' + sortBy + '"]');
  if (sorted) sorted.setAttribute('aria-sort', direction > 0 ? 'ascending' : 'descending');
}

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

function sortValue(i) {
  if (typeof sortBy === 'number') return rows[i][sortBy];
  const value = fieldOf(i, sortBy);
  return value !== null && typeof value === 'object' ? JSON.stringify(value) : value;
}

// Rows without a value come last. Values of different kinds are ordered by their kind: booleans, numbers, texts.
function compare(a, b) {
  const x = sortValue(a), y = sortValue(b);
  if (x === y) return a - b;
  if (x === null) return 1;
  if (y === null) return -1;
  if (typeof x !== typeof y) return (typeof x < typeof y ? -1 : 1) * direction;
  return (x < y ? -1 : 1) * direction;
}

function sortAgain(by) {
  direction = sortBy === by ? -direction : 1;
  sortBy = by;
  choose();
}

function choose() {
  const words = search.value.toLowerCase();
  const keep = keeps[outcome.value];
  shown = [];
  rows.forEach((row, i) => {
    if ((job.value === '' || row[JOB] === job.value) && keep(row) && texts[i].includes(words)) shown.push(i);
  });
  chooseFields();
  if (sortBy !== null) shown.sort(compare);
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

// The namespace of drawings, as the browser itself says it.
function svgNames() {
  const holder = document.createElement('template');
  holder.innerHTML = '<svg></svg>';
  return holder.content.firstChild.namespaceURI;
}

// Boxes, points and polygons over a thumbnail; labels show when the mouse is over them.
function withRegions(image, regions) {
  const names = svgNames();
  const frame = document.createElement('span');
  frame.className = 'regions';
  const drawing = document.createElementNS(names, 'svg');
  drawing.setAttribute('viewBox', '0 0 1 1');
  drawing.setAttribute('preserveAspectRatio', 'none');
  for (const [kind, label, at] of regions) {
    const corners = kind === 'box' ? [at[0], at[1], at[2], at[1], at[2], at[3], at[0], at[3]] : at;
    const shape = document.createElementNS(names, kind === 'point' ? 'ellipse' : 'polygon');
    if (kind === 'point') {
      shape.setAttribute('cx', at[0]);
      shape.setAttribute('cy', at[1]);
      shape.setAttribute('rx', 0.03);
      shape.setAttribute('ry', 0.03);
    } else {
      shape.setAttribute('points', corners.join(' '));
    }
    const title = document.createElementNS(names, 'title');
    title.textContent = label;
    shape.append(title);
    drawing.append(shape);
  }
  frame.append(image, drawing);
  return frame;
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
      pictures.append(row[REGIONS].length > 0 ? withRegions(image, row[REGIONS]) : image);
    }
    if (available.length === 0) {
      pictures.textContent = row[IMAGES];
      pictures.classList.add('faint');
    }
    for (const name of fieldNames) {
      const value = fieldOf(i, name);
      cell(line, fieldText(value), typeof value === 'number' ? 'number' : '');
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

// Spreadsheets take texts that begin so for formulas, and run them.
function csvCell(value) {
  let text = value === null ? '' : String(value);
  if (typeof value === 'string' && /^[=+\-@\t\r]/.test(text)) text = "'" + text;
  return /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
}

function download() {
  const head = ['id', 'job', 'question', 'answer', 'references', 'correct', 'ms', 'error', 'images', ...fieldNames];
  const columns = [ID, JOB, QUESTION, ANSWER, REFERENCES, CORRECT, MS, ERROR, IMAGES];
  // A number is not a formula, whatever its sign.
  const inCell = (value) => typeof value === 'number' ? value : fieldText(value);
  const ofFields = (i) => fieldNames.map((name) => inCell(fieldOf(i, name)));
  const lines = [head, ...shown.map((i) => [...columns.map((column) => rows[i][column]), ...ofFields(i)])];
  const text = lines.map((line) => line.map(csvCell).join(',') + '\r\n').join('');
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob(['\ufeff' + text], { type: 'text/csv' }));
  link.download = 'answers.csv';
  link.click();
  URL.revokeObjectURL(link.href);
}

for (const heading of document.querySelectorAll('th[data-column]')) {
  heading.firstElementChild.addEventListener('click', () => sortAgain(Number(heading.dataset.column)));
}
search.addEventListener('input', choose);
job.addEventListener('change', choose);
outcome.addEventListener('change', choose);
element('before').addEventListener('click', () => turn(-1));
element('download').addEventListener('click', download);
element('after').addEventListener('click', () => turn(1));
// The filter is the part of the address after '#', so that a link can carry it.
try {
  search.value = decodeURIComponent(location.hash.slice(1));
} catch {
  search.value = '';
}
search.addEventListener('change', () => history.replaceState(null, '', '#' + encodeURIComponent(search.value)));
choose();
