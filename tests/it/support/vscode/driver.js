// Opens, reloads and closes the windows of an editor as pages of one browser. Each line on stdin is a command in JSON.
// A line on stdout reports that it is done. The browser exits at the end of stdin.
const readline = require('node:readline');
const { chromium } = require('playwright-core');

// The limit for each step, in milliseconds.
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
  // The tab disappears without a disconnect, as on a busy machine. The server then waits for its reconnection grace
  // time.
  close: async (_, pages, { name }) => {
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
