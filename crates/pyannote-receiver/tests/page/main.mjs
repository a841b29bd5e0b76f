// Uses the page of a running receiver as an operator does.

import { accessible, base, check, close, deliver, equal, fits, open, problems, screenshot, signed } from './browser.mjs';

const { PAGE_MEETING, PAGE_RECORDING, PAGE_DEAD, PAGE_DEAD_TOO, PAGE_HOSTILE } = process.env;
const rows = (page) => page.locator('tr[data-id]');
const jobs = (page) => page.locator('tr[data-id] .job a').allTextContents();

const steps = {
  async 'the list has pages in both directions'() {
    const page = await open('/page');
    equal(await rows(page).count(), 50, 'rows of the first page');
    const first = await jobs(page);
    await page.getByRole('link', { name: 'Older' }).click();
    await page.waitForURL(/before=/);
    const second = await jobs(page);
    check(!second.some((job) => first.includes(job)), 'the second page repeats the first');
    await page.getByRole('link', { name: 'Newer' }).click();
    await page.waitForURL(/after=/);
    equal(await jobs(page), first, 'back on the first page');
    await screenshot(await open('/page'), 'page-list');
  },

  async 'the filter is in the address'() {
    const page = await open('/page');
    await page.getByText('Filter', { exact: true }).click();
    await page.getByLabel('Kind').selectOption('voiceprint');
    await page.getByRole('button', { name: 'Show' }).click();
    await page.waitForURL(/kind=voiceprint/);
    const kinds = await page.locator('td[data-label="Kind"]').allTextContents();
    check(kinds.length > 0 && kinds.every((kind) => kind === 'voiceprint'), `kinds: ${kinds}`);
    const shared = await open(page.url());
    equal(await jobs(shared), await jobs(page), 'the shared address');
    const wrong = await fetch(`${base}/page?from=yesterday`);
    equal(wrong.status, 400, 'a wrong time');
  },

  async 'an event appears as it arrives'() {
    const page = await open('/page');
    await page.waitForResponse(/stream/);
    const requests = [];
    page.on('framenavigated', () => requests.push('navigated'));
    await deliver({ jobId: 'live-arrival', status: 'succeeded', output: { voiceprint: 'AAAA' } });
    await page.locator('tr[data-id]', { hasText: 'live-arrival' }).waitFor();
    await page.locator('tr[data-id]', { hasText: 'live-arrival' }).getByText('handled').waitFor();
    equal(requests, [], 'navigations');
  },

  async 'a meeting of eight hours is zoomed to a second'() {
    let largest = 0;
    const page = await open();
    page.on('response', async (response) => {
      if (/timeline/.test(response.url())) largest = Math.max(largest, (await response.body()).length);
    });
    await page.goto(`/page/events/${PAGE_MEETING}/meeting`);
    const part = async () => page.locator('svg.timeline').evaluate((svg) => [+svg.dataset.from, +svg.dataset.to]);
    await page.waitForResponse(/timeline/);
    const [from, to] = await part();
    equal([from, Math.round(to)], [0, 28_800], 'the whole meeting');
    equal(await page.locator('g.lane').count(), 4, 'lanes');
    equal(await page.locator('g.curve').count(), 3, 'curves');
    await page.locator('#timeline').focus();
    for (let press = 0; press < 16; press += 1) await page.keyboard.press('+');
    await page.waitForFunction(() => {
      const { from, to } = document.querySelector('svg.timeline').dataset;
      return to - from <= 1;
    });
    check(/from=.*to=/.test(page.url()), 'the part is not in the address');
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('0');
    await page.waitForFunction(() => Number(document.querySelector('svg.timeline').dataset.from) === 0);

    const box = await page.locator('svg.timeline').boundingBox();
    await page.mouse.move(box.x + box.width / 4, box.y + 60);
    await page.keyboard.down('Control');
    for (let turn = 0; turn < 6; turn += 1) await page.mouse.wheel(0, -240);
    await page.keyboard.up('Control');
    await page.waitForFunction(() => {
      const { from, to } = document.querySelector('svg.timeline').dataset;
      return to - from < 600;
    });
    await page.waitForTimeout(300);
    const before = await part();
    check(before[0] < 7_200 && before[1] > 7_200, `the wheel zooms at the pointer: ${before}`);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width / 2, box.y + 60, { steps: 5 });
    await page.mouse.up();
    await page.waitForFunction((start) => Number(document.querySelector('svg.timeline').dataset.from) < start, before[0]);

    await page.mouse.move(box.x + box.width / 3, box.y + 60);
    await page.waitForResponse(/words/);
    await page.locator('#cursor', { hasText: /: \w+/ }).waitFor();
    check(largest > 1_000 && largest < 400_000, `the largest picture has ${largest} bytes`);
    await page.goto(`/page/events/${PAGE_MEETING}/meeting?from=3540&to=3720`);
    await page.waitForResponse(/timeline/);
    await page.locator('#said li').first().waitFor();
    await screenshot(page, 'page-meeting');
    await accessible(page, 'the meeting');
  },

  async 'a meeting is zoomed and moved by touch'() {
    const page = await open(`/page/events/${PAGE_MEETING}/meeting`, { hasTouch: true, isMobile: true, viewport: { width: 360, height: 740 } });
    await page.waitForResponse(/timeline/);
    await page.locator('svg.timeline').scrollIntoViewIfNeeded();
    const box = await page.locator('svg.timeline').boundingBox();
    const session = await page.context().newCDPSession(page);
    const y = box.y + 60;
    const touch = (type, ...xs) => session.send('Input.dispatchTouchEvent', {
      type, touchPoints: xs.map((x, id) => ({ x: box.x + x, y, id })),
    });
    await touch('touchStart', 150, 190);
    for (let step = 1; step <= 5; step += 1) await touch('touchMove', 150 - step * 20, 190 + step * 20);
    await touch('touchEnd');
    await page.waitForFunction(() => {
      const { from, to, duration } = document.querySelector('svg.timeline').dataset;
      return to - from < duration / 2;
    });
    await page.waitForTimeout(300);
    const start = await page.locator('svg.timeline').evaluate((svg) => Number(svg.dataset.from));
    await touch('touchStart', 100);
    for (let step = 1; step <= 5; step += 1) await touch('touchMove', 100 + step * 20);
    await touch('touchEnd');
    await page.waitForFunction((from) => Number(document.querySelector('svg.timeline').dataset.from) < from, start);
  },

  async 'a click on a turn plays a local recording from there'() {
    const page = await open(`/page/events/${PAGE_MEETING}/meeting?from=0&to=60`);
    await page.waitForResponse(/timeline/);
    await page.locator('#audio-file').setInputFiles({ name: 'a.wav', mimeType: 'audio/wav', buffer: silence(60) });
    await page.waitForFunction(() => document.getElementById('audio').duration > 59);
    const turn = page.locator('g.lane rect[data-at]').nth(1);
    const at = Number(await turn.getAttribute('data-at'));
    await turn.click();
    await page.waitForFunction((at) => document.getElementById('audio').currentTime >= at, at);
    await page.locator('svg line.playhead').waitFor({ state: 'attached' });
  },

  async 'a recording is played through the receiver, from any place'() {
    const page = await open();
    const parts = [];
    page.on('response', (response) => {
      if (/audio$/.test(response.url())) parts.push([response.status(), response.headers()['content-range']]);
    });
    await page.goto(`/page/events/${PAGE_RECORDING}/meeting?from=0&to=60`);
    await page.waitForResponse(/timeline/);
    equal(parts, [], 'parts before someone listens');
    const turn = page.locator('g.lane rect[data-at]').first();
    const at = Number(await turn.getAttribute('data-at'));
    await turn.click();
    await page.waitForFunction((at) => {
      const audio = document.getElementById('audio');
      return !audio.paused && audio.currentTime > at && audio.currentTime < at + 30;
    }, at);
    equal(Math.round(await page.evaluate(() => document.getElementById('audio').duration)), 300, 'the length');
    await page.evaluate(() => { document.getElementById('audio').currentTime = 280; });
    await page.waitForFunction(() => document.getElementById('audio').currentTime > 280.1);
    await page.waitForFunction(() => Number(document.querySelector('svg.timeline').dataset.to) > 280);
    await page.locator('svg line.playhead').waitFor({ state: 'attached' });
    check(parts.length > 1 && parts.every(([status]) => status === 206), `parts: ${JSON.stringify(parts)}`);
    equal(await page.locator('#audio-problem').isHidden(), true, 'no problem');
    await accessible(page, 'a meeting with its recording');
    await screenshot(page, 'page-recording');
    await page.locator('#timeline').focus();
    await page.keyboard.press(' ');
    await page.waitForFunction(() => document.getElementById('audio').paused);
    await page.locator('#audio-file').setInputFiles({ name: 'a.wav', mimeType: 'audio/wav', buffer: silence(60) });
    await page.waitForFunction(() => Math.round(document.getElementById('audio').duration) === 60);
  },

  async 'events are found by their reference'() {
    const page = await open('/page');
    await page.getByText('Filter', { exact: true }).click();
    await page.getByLabel('Reference').fill('standup 42');
    await page.keyboard.press('Enter');
    await page.waitForURL(/reference=standup/);
    equal(await rows(page).count(), 1, 'rows');
    equal(await page.locator('tr[data-id]').getAttribute('data-id'), PAGE_RECORDING, 'the event');
    await accessible(page, 'the list with a filter');
  },

  async 'a dead letter is replayed to its end by the keyboard alone'() {
    const page = await open('/page?state=dead');
    await accessible(page, 'the dead letters');
    await page.goto(`/page/events/${PAGE_DEAD}`);
    await page.getByText('the disk is full').first().waitFor();
    await screenshot(page, 'page-dead-letter');
    await reach(page, 'summary', 'Replay…');
    await page.keyboard.press('Enter');
    await reach(page, 'button', 'Replay');
    await page.keyboard.press('Enter');
    await page.getByRole('status').getByText('The event is due again.').waitFor();
    await page.locator('.title .state.handled').waitFor();
    await screenshot(page, 'page-event');
  },

  async 'a dead letter is marked as handled with a reason'() {
    const page = await open(`/page/events/${PAGE_DEAD_TOO}`);
    await page.getByText('Mark as handled…').click();
    await page.getByLabel('Reason').fill('sent by hand');
    await page.getByRole('button', { name: 'Mark as handled' }).click();
    await page.getByText('marked as handled: sent by hand (local)').waitFor();
  },

  async 'all dead letters that match are replayed'() {
    const page = await open('/page?state=dead');
    const dead = await rows(page).count();
    check(dead > 1, `${dead} dead letters`);
    await page.getByText('Replay all…').click();
    await page.getByRole('button', { name: 'Replay all' }).click();
    await page.getByText(`${dead} dead events are due again.`).waitFor();
    await page.waitForFunction(() => document.querySelector('a[data-state="dead"] .count').textContent === '0');
  },

  async 'the doctor explains a refused request'() {
    const page = await open('/page/doctor');
    const body = '{"jobId":"job","status":"succeeded"}';
    const text = (headers, sent) => `POST /webhook HTTP/1.1\n${
      Object.entries(headers).map(([name, value]) => `${name}: ${value}`).join('\n')}\n\n${sent}`;
    const ask = async (request) => {
      await page.getByLabel('Request').fill(request);
      await page.getByRole('button', { name: 'Diagnose' }).click();
      await page.locator('#diagnosis').waitFor();
      return page.locator('#diagnosis .findings code').allTextContents();
    };
    equal(await ask(text(signed(body), body)), ['verified'], 'a signed request');
    await page.goto('/page/doctor');
    const changed = await ask(text(signed(body), JSON.stringify(JSON.parse(body), null, 2)));
    check(changed.includes('matches_otherwise'), `findings: ${changed}`);
    await page.goto('/page/doctor');
    const foreign = await ask(text(signed(body, 'whs_other'), body));
    check(foreign.length > 0 && !foreign.includes('verified'), `findings: ${foreign}`);
    await accessible(page, 'the doctor');
  },

  async 'the system page shows why deliveries were refused'() {
    const refused = await fetch(process.env.PAGE_WEBHOOK, { method: 'POST', headers: signed('{}', 'whs_other'), body: '{}' });
    equal(refused.status, 401, 'a foreign signature');
    const page = await open('/page/system');
    await page.getByRole('cell', { name: 'signature_mismatch' }).first().waitFor();
    await accessible(page, 'the system page');
    await page.getByText(/^\d+ of 64$/).waitFor();
    await page.getByText('limits.connections', { exact: true }).waitFor();
    await page.getByText('Prune…').click();
    await page.getByLabel('Days').fill('3000');
    await page.getByRole('button', { name: 'Prune' }).click();
    await page.getByText('0 handled events were removed.').waitFor();
  },

  async 'no text of a sender runs or changes a page'() {
    const shown = await open();
    for (const id of PAGE_HOSTILE.split(',')) {
      await shown.goto(`/page/events/${id}`);
      await harmless(shown, `event ${id}`);
      if (await shown.getByRole('link', { name: 'Open the timeline' }).count()) {
        await shown.goto(`/page/events/${id}/meeting`);
        await harmless(shown, `meeting ${id}`);
      }
    }
    const page = await open('/page?job=%3Cscript%3Ewindow.hostile%3D1%3C%2Fscript%3E&status=%22%3E%3Cimg%20src%3Dx%3E&notice=%3Cb%3E');
    await harmless(page, 'a hostile filter');
    await page.goto('/page');
    await harmless(page, 'the list');
  },

  async 'every page fits a phone, light and dark'() {
    const paths = ['/page', '/page?state=dead', `/page/events/${PAGE_DEAD}`, `/page/events/${PAGE_MEETING}/meeting`,
      `/page/events/${PAGE_RECORDING}/meeting`, '/page?reference=standup%2042', '/page/system', '/page/doctor'];
    const page = await open(undefined, { colorScheme: 'dark', viewport: { width: 360, height: 740 } });
    for (const path of paths) {
      await page.goto(path);
      await fits(page, path);
      await accessible(page, `${path}, narrow and dark`);
    }
    await page.goto('/page');
    await screenshot(page, 'page-narrow-dark');
    await page.emulateMedia({ colorScheme: 'light' });
    await accessible(page, 'the list, narrow and light');
  },

  async 'the page works without scripts'() {
    const page = await open('/page', { javaScriptEnabled: false });
    check(await rows(page).count() === 50, 'no rows without scripts');
    await page.goto(`/page/events/${PAGE_MEETING}/meeting?from=10&to=20`);
    check(await page.locator('g.lane rect').count() > 0, 'no timeline without scripts');
  },
};

/** Presses Tab until an element has the focus. */
async function reach(page, name, text) {
  for (let press = 0; press < 40; press += 1) {
    await page.keyboard.press('Tab');
    const found = await page.evaluate(() => [document.activeElement.localName, document.activeElement.textContent.trim()]);
    if (found[0] === name && found[1] === text) return;
  }
  throw new Error(`Tab does not reach ${text}`);
}

async function harmless(page, name) {
  await page.waitForTimeout(50);
  const found = await page.evaluate(() => ({
    ran: window.hostile !== undefined,
    elements: document.querySelectorAll('script:not([src]), img[src="x"], iframe, svg[onload], [onerror], b > i, body [style]').length,
  }));
  equal(found, { ran: false, elements: 0 }, `text of a sender on ${name}`);
}

/** Returns a silent recording: 8,000 samples of one byte a second. */
function silence(seconds) {
  const samples = Buffer.alloc(seconds * 8_000, 128);
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.writeUInt32LE(36 + samples.length, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(8_000, 24);
  head.writeUInt32LE(8_000, 28);
  head.writeUInt16LE(1, 32);
  head.writeUInt16LE(8, 34);
  head.write('data', 36);
  head.writeUInt32LE(samples.length, 40);
  return Buffer.concat([head, samples]);
}

let failed = 0;
for (const [name, step] of Object.entries(steps)) {
  if (process.env.PAGE_ONLY && !name.includes(process.env.PAGE_ONLY)) continue;
  const begun = Date.now();
  try {
    await step();
    console.log(`ok ${name} (${Date.now() - begun} ms)`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${name}: ${error.message}`);
  }
}
await close();
for (const problem of problems) console.log(`FAILED: ${problem}`);
process.exit(failed + problems.length ? 1 : 0);
