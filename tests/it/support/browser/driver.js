// Looks at a page in a browser, with and without script, light and dark, wide, narrow and on paper, and prints what it
// saw as JSON.
//
//   node driver.js CHROMIUM FILE            what it sees
//   node driver.js CHROMIUM FILE PICTURES   takes pictures: [{path, width, height, scheme}]
const { pathToFileURL } = require('node:url');
const axe = require('axe-core');
const { chromium } = require('playwright-core');

const WIDTHS = [320, 768, 1280, 3840];
// The width of a page between its margins, in CSS pixels.
const PAPER = { A4: 703, Letter: 725 };
const SCHEMES = ['light', 'dark'];

const tables = () => [...document.querySelectorAll('table')].map((table) => {
  const cell = (cell) => ({ text: cell.textContent.trim(), value: cell.dataset.v ?? null });
  const rows = (part) => [...(part?.rows ?? [])].map((row) => [...row.cells].map(cell));
  return {
    caption: table.caption.textContent,
    headings: [...table.tHead.rows[0].cells].map((head) => head.textContent),
    rows: rows(table.tBodies[0]),
    foot: rows(table.tFoot),
  };
});

// What is wider than the window, or than its frame where nothing scrolls.
const tooWide = (isPaper) => {
  const found = [];
  const most = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > most) found.push(`the page: ${document.documentElement.scrollWidth}`);
  for (const frame of isPaper ? document.querySelectorAll('.scroll, svg') : []) {
    if (frame.getBoundingClientRect().right > most + 1 || frame.scrollWidth > frame.clientWidth + 8) {
      found.push(`${frame.className.baseVal ?? frame.className}: ${frame.scrollWidth} in ${frame.clientWidth}`);
    }
  }
  return found;
};

async function look(browser, url) {
  const seen = { requests: [], said: [], dialogs: 0, axe: [], wide: [], sizes: {} };
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  page.on('request', (request) => seen.requests.push(request.url()));
  page.on('console', (message) => seen.said.push(message.text()));
  page.on('pageerror', (error) => seen.said.push(String(error)));
  page.on('dialog', (dialog) => { seen.dialogs += 1; dialog.dismiss(); });
  await page.goto(url);
  seen.title = await page.title();
  seen.text = await page.evaluate(() => document.body.innerText);
  seen.elements = await page.evaluate(() =>
    ['script', 'img', 'iframe', 'link', 'object'].map((name) => document.querySelectorAll(name).length));
  seen.tables = await page.evaluate(tables);
  seen.charts = await page.evaluate(() => [...document.querySelectorAll('svg[role=img]')].map((chart) => {
    const words = (name) => chart.querySelector(`:scope > ${name}`)?.textContent ?? '';
    return [words('title'), words('desc')];
  }));
  seen.unopened = await page.evaluate(() => document.querySelectorAll('details:not([open])').length);
  await page.evaluate(() => document.querySelectorAll('details').forEach((details) => { details.open = true; }));
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 900 });
    seen.wide.push(...(await page.evaluate(tooWide, false)).map((what) => `${width}: ${what}`));
  }
  for (const [format, width] of Object.entries(PAPER)) {
    await page.emulateMedia({ media: 'print' });
    await page.setViewportSize({ width, height: 1000 });
    seen.wide.push(...(await page.evaluate(tooWide, true)).map((what) => `${format}: ${what}`));
    seen.sizes[format] = (await page.pdf({ format, preferCSSPageSize: false })).length;
  }
  seen.sorted = await sort(page);
  await context.close();
  for (const colorScheme of SCHEMES) {
    for (const width of [320, 1280]) {
      const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
      const page = await context.newPage();
      await page.goto(url);
      await page.evaluate(() => document.querySelectorAll('details').forEach((details) => { details.open = true; }));
      await page.evaluate(axe.source);
      const { violations, passes } = await page.evaluate(() => window.axe.run());
      seen.rules = passes.length;
      for (const { id, nodes } of violations) {
        seen.axe.push(`${colorScheme} ${width}: ${id}: ${nodes.slice(0, 3).map((node) => `${node.html} ${node.failureSummary}`)}`);
      }
      await context.close();
    }
  }
  seen.plain = await plain(browser, url);
  return seen;
}

// Sorts the last table by its last column, with keys alone: the largest first, then the smallest.
async function sort(page) {
  await page.emulateMedia({ media: 'screen' });
  await page.setViewportSize({ width: 1280, height: 900 });
  const last = page.locator('table').last();
  const button = last.locator('thead button').last();
  const column = () => last.evaluate((table) => {
    const heads = [...table.tHead.rows[0].cells];
    return {
      order: heads.map((head) => head.getAttribute('aria-sort')),
      values: [...table.tBodies[0].rows].map((row) => row.cells[heads.length - 1]).map((cell) =>
        cell.dataset.v ?? cell.textContent.trim()),
      first: [...table.tBodies[0].rows].map((row) => row.cells[0].textContent.trim()),
    };
  });
  const heads = last.locator('thead button');
  // From the button before, or the frame of the table, by Tab.
  await (await heads.count() > 1 ? heads.nth(await heads.count() - 2) : page.locator('.scroll').last()).focus();
  await page.keyboard.press('Tab');
  const focused = await button.evaluate((button) => document.activeElement === button);
  const outline = await button.evaluate((button) => getComputedStyle(button).outlineStyle);
  await page.keyboard.press('Enter');
  const once = await column();
  await page.keyboard.press('Space');
  const twice = await column();
  await heads.first().focus();
  await page.keyboard.press('Enter');
  return { focused, outline, once, twice, names: await column() };
}

// The page for those who let no script run.
async function plain(browser, url) {
  const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  await page.goto(url);
  const seen = {
    buttons: await page.locator('button').count(),
    rows: await page.locator('tbody tr').count(),
    charts: await page.locator('svg[role=img]').count(),
  };
  const details = page.locator('details');
  if (await details.count() > 0) {
    await details.first().locator('summary').press('Enter');
    seen.opens = await details.first().locator('table').isVisible();
  }
  await context.close();
  return seen;
}

async function pictures(browser, url, orders) {
  for (const { path, width, height, scheme, full } of orders) {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme });
    const page = await context.newPage();
    await page.goto(url);
    if (path.endsWith('.pdf')) {
      await page.pdf({ path, format: scheme === 'letter' ? 'Letter' : 'A4' });
    } else {
      await page.screenshot({ path, fullPage: full ?? false });
    }
    await context.close();
  }
  return orders.length;
}

(async () => {
  const [executablePath, file, orders] = process.argv.slice(2);
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
  const url = pathToFileURL(file).href;
  const done = orders ? await pictures(browser, url, JSON.parse(orders)) : await look(browser, url);
  process.stdout.write(JSON.stringify(done));
  await browser.close();
})();
