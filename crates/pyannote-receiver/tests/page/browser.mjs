// The browser, what it must not do on any page, and deliveries.

import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const { PAGE_BASE, PAGE_WEBHOOK, PAGE_SECRET, PAGE_CHROMIUM, PAGE_SCREENSHOTS } = process.env;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export const base = PAGE_BASE;

/** Problems on any page: errors in the console, and requests to another origin. */
export const problems = [];

const browser = await chromium.launch({
  executablePath: PAGE_CHROMIUM,
  args: [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync',
  ],
});

export async function open(path, options = {}) {
  const context = await browser.newContext({
    baseURL: base, viewport: { width: 1200, height: 860 }, colorScheme: 'light', timezoneId: 'UTC', locale: 'en-GB', ...options,
  });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) problems.push(`${page.url()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => problems.push(`${page.url()}: ${error.message}`));
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (!['data:', 'blob:'].includes(url.protocol) && url.origin !== base) problems.push(`requested ${url}`);
  });
  if (path) await page.goto(path);
  return page;
}

export const close = () => browser.close();

export function check(holds, what) {
  if (!holds) throw new Error(what);
}

export function equal(actual, expected, what) {
  const [left, right] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (left !== right) throw new Error(`${what}: ${left}, expected ${right}`);
}

/** Finds what keeps people from using the page. */
export async function accessible(page, name) {
  // The policy of the page forbids foreign scripts, so axe runs in the tool's own world.
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send('Page.getFrameTree');
  const { executionContextId } = await session.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id });
  await session.send('Runtime.evaluate', { expression: axe, contextId: executionContextId });
  const expression = `axe.run(document, { resultTypes: ['violations'] }).then((found) => JSON.stringify(
    found.violations.filter((it) => ['serious', 'critical'].includes(it.impact))
      .map((it) => [it.id, ...it.nodes.slice(0, 3).map((node) => node.html.slice(0, 200) + ' ' + node.failureSummary)])))`;
  const found = await session.send('Runtime.evaluate', {
    expression, contextId: executionContextId, awaitPromise: true, returnByValue: true,
  });
  equal(found.result.value, '[]', `axe on ${name}`);
}

export async function fits(page, name) {
  const [wide, screen] = await page.evaluate(() => [document.scrollingElement.scrollWidth, innerWidth]);
  check(wide <= screen, `${name} is ${wide} px wide on a screen of ${screen} px`);
}

export async function screenshot(page, name) {
  if (PAGE_SCREENSHOTS) await page.screenshot({ path: `${PAGE_SCREENSHOTS}/${name}.png` });
}

/** Returns the headers of a delivery that is signed now. */
export function signed(body, secret = PAGE_SECRET) {
  const timestamp = Math.floor(Date.now() / 1000).toString();
  const signature = createHmac('sha256', secret).update(`v0:${timestamp}:${body}`).digest('hex');
  return { 'content-type': 'application/json', 'x-request-timestamp': timestamp, 'x-signature': signature };
}

export async function deliver(event) {
  const body = JSON.stringify(event);
  const response = await fetch(PAGE_WEBHOOK, { method: 'POST', headers: signed(body), body });
  equal(response.status, 200, 'the delivery');
}
