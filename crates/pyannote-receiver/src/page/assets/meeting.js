// Zooms and moves the timeline, which the receiver draws, and plays the recording.

const box = document.getElementById('timeline');
const said = document.getElementById('said');
const cursor = document.getElementById('cursor');
const audio = document.getElementById('audio');
const problem = document.getElementById('audio-problem');
const SHORTEST = 0.5;
let svg = box.querySelector('svg');
const duration = Number(svg.dataset.duration);
let from = Number(svg.dataset.from);
let to = Number(svg.dataset.to);
let isDrawing = false;
let isStale = false;

/** Fetches and shows the part from `from` to `to`. If the part changes during a fetch, fetches once more. */
async function draw() {
  if (isDrawing) {
    isStale = true;
    return;
  }
  isDrawing = true;
  do {
    isStale = false;
    const width = Math.max(200, Math.round(box.clientWidth));
    const query = `from=${from.toFixed(3)}&to=${to.toFixed(3)}&buckets=${width}`;
    try {
      const response = await fetch(`${box.dataset.address}?${query}`);
      if (!response.ok) break;
      const page = new DOMParser().parseFromString(await response.text(), 'text/html');
      box.replaceChildren(page.querySelector('svg'));
      said.replaceChildren(...page.querySelectorAll('.said'));
      svg = box.querySelector('svg');
      showPlayhead();
    } catch {
      break;
    }
  } while (isStale);
  isDrawing = false;
  const address = new URL(location);
  const isWhole = from <= 0 && to >= duration;
  for (const [name, value] of [['from', from], ['to', to]]) {
    if (isWhole) address.searchParams.delete(name);
    else address.searchParams.set(name, value.toFixed(2));
  }
  history.replaceState(null, '', address);
}

function show(start, length) {
  length = Math.min(Math.max(length, SHORTEST), Math.max(duration, SHORTEST));
  from = Math.min(Math.max(start, 0), Math.max(duration - length, 0));
  to = from + length;
  draw();
}

const zoom = (factor, at = (from + to) / 2) => show(at - (at - from) * factor, (to - from) * factor);
const move = (share) => show(from + (to - from) * share, to - from);

const moves = {
  in: () => zoom(0.5), out: () => zoom(2), left: () => move(-0.25), right: () => move(0.25), all: () => show(0, duration),
};
document.querySelector('.zoom').hidden = false;
document.querySelector('.zoom').addEventListener('click', (event) => moves[event.target.dataset.zoom]?.());

box.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target !== box) return;
  const keys = {
    '+': moves.in, '=': moves.in, '-': moves.out, 0: moves.all, ArrowLeft: moves.left, ArrowRight: moves.right,
    Home: () => show(0, to - from), End: () => show(duration, to - from),
    PageUp: () => move(-1), PageDown: () => move(1),
    Enter: () => play((from + to) / 2), ' ': toggle,
  };
  const action = keys[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

const second = (x) => {
  const place = svg.getBoundingClientRect();
  return from + ((x - place.left) / place.width) * (to - from);
};

box.addEventListener('wheel', (event) => {
  if (!event.target.closest('svg')) return;
  if (event.ctrlKey || event.metaKey) {
    event.preventDefault();
    zoom(Math.exp(event.deltaY * 0.004), second(event.clientX));
  } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
    event.preventDefault();
    move((event.deltaX || event.deltaY) / svg.clientWidth);
  }
}, { passive: false });

const pointers = new Map();
let dragged = false;
box.addEventListener('pointerdown', (event) => {
  if (!event.target.closest('svg') || event.button !== 0) return;
  pointers.set(event.pointerId, event);
  box.setPointerCapture(event.pointerId);
  dragged = false;
});
box.addEventListener('pointermove', (event) => {
  const last = pointers.get(event.pointerId);
  if (!last) {
    if (event.target.closest('svg')) point(event);
    return;
  }
  const other = [...pointers.values()].find((it) => it.pointerId !== event.pointerId);
  if (other) {
    const distance = (a) => Math.max(20, Math.abs(a.clientX - other.clientX));
    pointers.set(event.pointerId, event);
    dragged = true;
    zoom(distance(last) / distance(event), second((event.clientX + other.clientX) / 2));
  } else if (dragged || Math.abs(event.clientX - last.clientX) > 4) {
    pointers.set(event.pointerId, event);
    dragged = true;
    move((last.clientX - event.clientX) / svg.clientWidth);
  }
});
for (const name of ['pointerup', 'pointercancel']) {
  box.addEventListener(name, (event) => {
    const known = pointers.delete(event.pointerId);
    if (name === 'pointerup' && known && !dragged) {
      const under = document.elementFromPoint(event.clientX, event.clientY);
      play(Number(under?.dataset?.at ?? second(event.clientX)));
      point(event);
    }
  });
}
box.addEventListener('dblclick', (event) => {
  if (event.target.closest('svg')) zoom(0.25, second(event.clientX));
});
said.addEventListener('click', (event) => {
  const at = event.target.closest('[data-at]')?.dataset.at;
  if (at) play(Number(at));
});

let asked = 0;
let reading;
/** Shows who speaks at the pointer, and the words. */
function point(event) {
  const at = second(event.clientX);
  line('pointer', at);
  const speakers = [...svg.querySelectorAll('.lane')]
    .filter((lane) => [...lane.querySelectorAll('[data-at]')].some((it) => it.dataset.at <= at && it.dataset.end > at))
    .map((lane) => lane.querySelector('title').textContent);
  showSpeakers(at, speakers.join(', ') || 'nobody', '');
  clearTimeout(reading);
  const question = ++asked;
  reading = setTimeout(async () => {
    const reach = Math.min(4, (to - from) / 2);
    const query = `from=${Math.max(0, at - reach).toFixed(2)}&to=${(at + reach).toFixed(2)}`;
    const response = await fetch(`${box.dataset.words}?${query}`).catch(() => null);
    if (!response?.ok || question !== asked) return;
    const words = (await response.json()).map((word) => word.text).join(' ');
    showSpeakers(at, speakers.join(', ') || 'nobody', words.slice(0, 400));
  }, 120);
}

function showSpeakers(at, who, words) {
  const name = document.createElement('b');
  name.textContent = who;
  cursor.replaceChildren(`${clock(at)} `, name, words ? `: ${words}` : '');
}

const clock = (at) => {
  const pad = (number) => String(number).padStart(2, '0');
  const [hours, minutes, seconds] = [Math.floor(at / 3600), Math.floor(at / 60) % 60, (at % 60).toFixed(1).padStart(4, '0')];
  return hours ? `${hours}:${pad(minutes)}:${seconds}` : `${minutes}:${seconds}`;
};

/** Draws a line across all lanes. Removes the line if its time is outside the part. */
function line(name, at) {
  let drawn = svg.querySelector(`.${name}`);
  if (at < from || at > to) {
    drawn?.remove();
    return;
  }
  if (!drawn) {
    drawn = document.createElementNS('http://www.w3.org/2000/svg', 'line');
    drawn.setAttribute('class', name);
    drawn.setAttribute('pointer-events', 'none');
    svg.append(drawn);
  }
  const { width, height } = svg.viewBox.baseVal;
  const x = ((at - from) / (to - from)) * width;
  for (const [key, value] of [['x1', x], ['x2', x], ['y1', 16], ['y2', height]]) drawn.setAttribute(key, value);
}

document.getElementById('audio-file').addEventListener('change', (event) => {
  const [file] = event.target.files;
  if (!file) return;
  if (audio.src.startsWith('blob:')) URL.revokeObjectURL(audio.src);
  problem.hidden = true;
  audio.src = URL.createObjectURL(file);
  audio.hidden = false;
});

audio.addEventListener('error', () => { problem.hidden = false; });

function play(at) {
  if (!audio.src) {
    line('playhead', at);
    return;
  }
  audio.currentTime = at;
  audio.play().catch(() => {});
}

function toggle() {
  if (!audio.src) return;
  if (audio.paused) audio.play().catch(() => {});
  else audio.pause();
}

function showPlayhead() {
  if (audio.readyState > 0) line('playhead', audio.currentTime);
}

audio.addEventListener('timeupdate', () => {
  const at = audio.currentTime;
  if (!audio.paused && (at < from || at > to)) show(at - (to - from) * 0.1, to - from);
  showPlayhead();
  for (const item of said.querySelectorAll('li')) {
    const start = Number(item.querySelector('[data-at]').dataset.at);
    const next = item.nextElementSibling?.querySelector('[data-at]');
    item.classList.toggle('now', start <= at && (!next || Number(next.dataset.at) > at));
  }
});

let width = box.clientWidth;
new ResizeObserver(() => {
  if (Math.abs(box.clientWidth - width) < 2) return;
  width = box.clientWidth;
  draw();
}).observe(box);
draw();
