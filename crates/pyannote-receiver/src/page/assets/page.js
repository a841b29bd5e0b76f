// Replaces the live part of an open page after each change of the inbox.

const part = document.getElementById('live');
const live = part?.dataset.live;
let isBusy = false;
let isStale = false;

/** Fetches this page again and replaces its live part. A hidden page waits until it is visible. */
async function refresh() {
  if (isBusy || document.hidden) {
    isStale = true;
    return;
  }
  isBusy = true;
  isStale = false;
  try {
    const response = await fetch(location.href, { headers: { accept: 'text/html' } });
    if (response.redirected) {
      location.reload();
      return;
    }
    if (response.ok) {
      const page = new DOMParser().parseFromString(await response.text(), 'text/html');
      const fresh = page.getElementById('live');
      if (fresh) replace(fresh);
    }
  } catch {
    // The receiver restarts. The stream reconnects and reports a change.
  } finally {
    isBusy = false;
    if (isStale && !document.hidden) setTimeout(refresh, 250);
  }
}

function replace(fresh) {
  const focused = part.contains(document.activeElement) ? key(document.activeElement) : null;
  const known = new Set([...part.querySelectorAll('tr[data-id]')].map((row) => row.dataset.id));
  const source = live === 'counts' ? fresh.querySelector('#overview') : fresh;
  const target = live === 'counts' ? part.querySelector('#overview') : part;
  target.replaceChildren(...source.childNodes);
  if (live === 'event') {
    const settled = !('unsettled' in fresh.dataset) && 'unsettled' in part.dataset;
    // The actions outside of the live part depend on the state.
    if (settled) location.reload();
  }
  if (live === 'all' && known.size) {
    for (const row of part.querySelectorAll('tr[data-id]')) {
      if (!known.has(row.dataset.id)) {
        row.classList.add('fresh');
        setTimeout(() => row.classList.remove('fresh'), 1500);
      }
    }
  }
  if (focused) [...part.querySelectorAll('a, [tabindex]')].find((it) => key(it) === focused)?.focus();
}

const key = (element) => element.getAttribute('href') ?? element.className;

if (live && live !== 'system') {
  const stream = new EventSource('/api/v1/stream');
  let first = true;
  stream.addEventListener('change', () => {
    // The first report rarely has anything new, because the page has just loaded.
    const delay = first ? 500 : 0;
    first = false;
    setTimeout(refresh, delay);
  });
  addEventListener('pagehide', () => stream.close());
}
if (live === 'system') setInterval(refresh, 5000);
// Attempts do not change the counts, and ages grow.
if (live) setInterval(refresh, live === 'event' ? 5000 : 30000);
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && isStale) refresh();
});
