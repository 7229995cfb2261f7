// Opens, reloads and closes an editor's windows, which are pages of one browser. A line of JSON on stdin is an order, and
// each is answered by a line when it is done; the end of stdin ends the browser.
const readline = require('node:readline');
const { chromium } = require('playwright-core');

// Milliseconds, for each step.
const LIMIT = 170_000;

const answer = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

const ready = (page) => page.waitForSelector('.monaco-workbench .part.statusbar', { timeout: LIMIT });

const orders = {
  open: async (browser, pages, { name, url }) => {
    const page = await browser.newPage();
    pages.set(name, page);
    await page.goto(url, { timeout: LIMIT });
    await ready(page);
  },
  reload: async (_, pages, { name }) => {
    await pages.get(name).reload({ timeout: LIMIT });
    await ready(pages.get(name));
  },
  close: async (_, pages, { name }) => {
    // The workbench says goodbye when its page goes, but not when its tab does; without that the server waits for it.
    await pages.get(name).goto('about:blank', { timeout: LIMIT });
    await pages.get(name).close();
    pages.delete(name);
  },
};

(async () => {
  const [executablePath] = process.argv.slice(2);
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'], timeout: LIMIT });
  const pages = new Map();
  answer({});
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const order = JSON.parse(line);
    try {
      await orders[order.do](browser, pages, order);
      answer({});
    } catch (error) {
      answer({ error: String(error) });
    }
  }
  await browser.close();
})();
