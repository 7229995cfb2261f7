
'use strict';
// A cell's number is in `data-v` where its text is not exact. Cells without one come last.
const number = (cell) => {
  const text = cell.dataset.v ?? cell.textContent.replaceAll(',', '');
  return text.trim() === '' ? NaN : Number(text);
};
const compare = (one, other, isName) => {
  if (isName) return one.textContent.localeCompare(other.textContent, undefined, { numeric: true });
  const [a, b] = [number(one), number(other)];
  return Number.isNaN(a) || Number.isNaN(b) ? 0 : a - b;
};
for (const table of document.querySelectorAll('table.sortable')) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener('click', () => {
      const isName = head.classList.contains('n');
      const first = isName ? 'ascending' : 'descending';
      const second = isName ? 'descending' : 'ascending';
      const order = head.getAttribute('aria-sort') === first ? second : first;
      const sign = order === 'ascending' ? 1 : -1;
      const body = table.tBodies[0];
      const rows = [...body.rows];
      const isEmpty = (row) => !isName && Number.isNaN(number(row.cells[column]));
      rows.sort((one, other) =>
        isEmpty(one) - isEmpty(other) || sign * compare(one.cells[column], other.cells[column], isName));
      body.append(...rows);
      heads.forEach((other) => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', order);
    });
  });
}
