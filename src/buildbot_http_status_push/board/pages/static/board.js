// @ts-check
/**
 * Keeps a page of the board up to date, and its keys.
 *
 * The page comes from the server whole and is complete without this. It says where in the order
 * of all changes it stands; from there on this script follows them, over a WebSocket or, where
 * that does not get through, by asking every few seconds. What a page may contain for it is told
 * in templates/_parts.html. All HTML that it puts in comes from the page's own server, which has
 * escaped whatever is not its own; it is parsed in a <template> or a document of its own, where no
 * script runs.
 *
 * @typedef {{region: string, key: string, html: string | null}} Fragment
 * @typedef {{builder: number, name: string, tags: string[], master: string,
 *   project: string | null, builds: number[], fragments: Fragment[]}} Change
 * @typedef {{name: string, heard_at: number}} Master
 * @typedef {{red: number, good: number, running: number, builders: number,
 *   causes: number, known: number}} Summary
 * @typedef {{type: "updates", epoch: string, from: number, sequence: number, now: number,
 *   changes: Change[], fragments: Fragment[], masters: Master[], summary: Summary,
 *   storing: boolean}} Updates
 * @typedef {{type: "snapshot", epoch: string, sequence: number, now: number}} Snapshot
 * @typedef {{type: "heard", epoch: string, sequence: number, now: number,
 *   masters: Master[], storing: boolean}} Heard
 */

/** The board's address: this script is one folder below it. */
const ROOT = new URL("../", import.meta.url);

const SILENCE = 25_000; // the board gives a sign of life every ten seconds
const FIRST_RETRY = 1_000;
const LAST_RETRY = 30_000;
const TRIES_BEFORE_ASKING = 3;
const ASK_EVERY = 5_000;
const WEBSOCKET_AGAIN_AFTER = 60_000;
const OWN_PAGE_WITHIN = 500; // a page that shows what has changed, or of a board that was empty
const ANY_PAGE_WITHIN = 3_000; // a page that many look at, each of which costs the board a page

const SECOND = 1_000;
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/* ---- Words: by the same rules as the server's ---- */

/**
 * @param {number} seconds how long something takes
 * @returns {string} its two largest units
 */
export function span(seconds) {
  const whole = Math.max(Math.trunc(seconds), 0);
  if (whole < MINUTE) return `${whole} s`;
  if (whole < 10 * MINUTE) return two(whole, MINUTE, "min", 1, "s");
  if (whole < HOUR) return `${Math.trunc(whole / MINUTE)} min`;
  if (whole < DAY) return two(whole, HOUR, "h", MINUTE, "min");
  return two(whole, DAY, "d", HOUR, "h");
}

/**
 * @param {number} whole
 * @param {number} large
 * @param {string} largeUnit
 * @param {number} small
 * @param {string} smallUnit
 * @returns {string}
 */
function two(whole, large, largeUnit, small, smallUnit) {
  const rest = Math.trunc((whole % large) / small);
  return `${Math.trunc(whole / large)} ${largeUnit}` + (rest ? ` ${rest} ${smallUnit}` : "");
}

/**
 * @param {number} seconds how long ago something was
 * @returns {string} its largest unit
 */
export function ago(seconds) {
  const whole = Math.max(Math.trunc(seconds), 0);
  if (whole < 5) return "just now";
  if (whole >= DAY) return `${Math.trunc(whole / DAY)} d ago`;
  if (whole >= HOUR) return `${Math.trunc(whole / HOUR)} h ago`;
  if (whole >= MINUTE) return `${Math.trunc(whole / MINUTE)} min ago`;
  return `${whole} s ago`;
}

/**
 * @param {number} left seconds until a build should end
 * @param {boolean} isOver whether it takes strangely long
 * @returns {string}
 */
export function due(left, isOver) {
  if (isOver) return `overdue by ${span(-left)}`;
  if (left <= 0) return "due now";
  const minutes = Math.trunc(left / MINUTE);
  return minutes ? `about ${span(minutes * MINUTE)} left` : "under 1 min left";
}

/**
 * @param {number} seconds since the epoch
 * @returns {string} such as 2026-01-31 10:02:03 UTC
 */
export function utc(seconds) {
  return `${new Date(seconds * SECOND).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/* ---- Which builders the page's address asks for ---- */

/**
 * @param {URLSearchParams} query the page's
 * @param {Pick<Change, "name" | "tags" | "master" | "project">} builder
 * @returns {boolean} whether the page shows it
 */
export function fits(query, builder) {
  const wanted = (/** @type {string} */ name) => (query.getAll(name).at(-1) ?? "").trim();
  const tags = query.getAll("tag").map((tag) => tag.trim());
  return (
    (!wanted("builder") || nameFits(wanted("builder"), builder.name)) &&
    (!wanted("master") || wanted("master") === builder.master) &&
    (!wanted("project") || wanted("project") === builder.project) &&
    tags.every((tag) => !tag || builder.tags.includes(tag))
  );
}

/**
 * What stands between a glob's stars is searched for one after the other: an expression with the
 * stars in it would try all ways to divide the name among them.
 *
 * @param {string} wanted a glob, or a part of a name
 * @param {string} name
 * @returns {boolean}
 */
export function nameFits(wanted, name) {
  const glob = /[*?]/.test(wanted) ? wanted : `*${wanted}*`;
  const segments = glob.split("*").map((segment) =>
    Array.from(segment, (each) =>
      each === "?" ? "." : each.replace(/[\\^$.|+()[\]{}/]/u, "\\$&"),
    ).join(""),
  );
  let end = 0;
  return segments.every((segment, place) => {
    const isLast = place === segments.length - 1;
    const flags = place ? "gisu" : "yisu"; // the first one begins where the name does
    const expression = new RegExp(isLast ? `${segment}$` : segment, flags);
    expression.lastIndex = end;
    const isFound = expression.test(name);
    end = expression.lastIndex;
    return isFound;
  });
}

/* ---- What the page shows ---- */

/** The page, and what it says of itself. */
class Page {
  constructor() {
    this.query = new URLSearchParams(location.search);
    /** How far the board's clock is ahead of this one, in seconds. */
    this.ahead = 0;
    /** The last change that is on the page. @type {number} */
    this.shown = this.sequence;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.fetching = undefined;
  }

  get epoch() {
    return document.body.dataset.epoch ?? "";
  }

  get sequence() {
    return Number(document.body.dataset.sequence ?? 0);
  }

  get now() {
    return Date.now() / SECOND + this.ahead;
  }

  /** Whether fragments fit in: a board that was empty has no regions yet. */
  get takesParts() {
    return document.body.dataset.live === "parts" && document.querySelector("[data-region]") !== null;
  }

  /** Whether few look at this page, or it is a board's first. */
  get isCheap() {
    const { builder, build, live } = document.body.dataset;
    return builder || build || live !== "page";
  }

  /** @param {Updates} frame */
  take(frame) {
    if (this.takesParts) {
      if (frame.sequence > this.shown) this.put(frame);
    } else if (frame.changes.some((change) => this.isAbout(change))) {
      this.fetchWithin(this.isCheap ? OWN_PAGE_WITHIN : ANY_PAGE_WITHIN);
    }
    this.hear(frame.masters);
  }

  /**
   * @param {Change} change
   * @returns {boolean} whether the page must be fetched again after it
   */
  isAbout({ builder, builds }) {
    const { builder: ownBuilder, build: ownBuild } = document.body.dataset;
    if (ownBuild) return builds.includes(Number(ownBuild));
    return !ownBuilder || builder === Number(ownBuilder);
  }

  /** @param {Updates} frame */
  put(frame) {
    keepingPlace(() => {
      for (const change of frame.changes) {
        const isShown = fits(this.query, change);
        for (const fragment of change.fragments) putFragment(fragment, isShown);
      }
      if (this.query.size === 0) for (const fragment of frame.fragments) putFragment(fragment, true);
      this.count(frame.summary);
    });
    this.shown = frame.sequence;
    this.tellState(frame.summary);
    tick(this.now);
    // Cards of some builders are not those of all.
    const isOutdated = this.query.size > 0 && frame.fragments.some(({ region }) => region === "red");
    if (isOutdated || isCutShort(frame.summary)) this.fetchWithin(ANY_PAGE_WITHIN);
  }

  /** @param {Summary} summary */
  count(summary) {
    for (const element of /** @type {NodeListOf<HTMLElement>} */ (
      document.querySelectorAll("[data-count]")
    )) {
      const name = /** @type {keyof Summary} */ (element.dataset.count);
      setText(element, String(summary[name]));
      const noun = /** @type {?HTMLElement} */ (element.nextElementSibling);
      const { one, many } = noun?.dataset ?? {};
      if (noun && one && many) setText(noun, summary[name] === 1 ? one : many);
    }
    const { classList } = document.querySelector(".statement") ?? {};
    classList?.toggle("is-red", summary.red > 0);
    classList?.toggle("is-green", summary.red === 0);
  }

  /** @param {Summary} summary of the whole board; a page that is filtered counts for itself */
  tellState(summary) {
    if (this.query.size > 0) return;
    const { red, known } = summary;
    const kind = red ? "bad" : summary.good || known ? "good" : "unknown";
    const told = red ? `✗ ${red} red` : known ? `✓ ${known} known` : summary.good ? "✓ all green" : "nothing yet";
    document.title = `${told} · ${document.body.dataset.title ?? ""}`;
    setIcon(kind);
  }

  /** @param {Master[]} masters */
  hear(masters) {
    for (const { name, heard_at: heardAt } of masters) {
      for (const element of document.querySelectorAll(`[data-master="${CSS.escape(name)}"]`)) {
        const time = element.querySelector("time");
        /** @type {HTMLElement} */ (element).dataset.heard = String(heardAt);
        if (!time) continue;
        time.dateTime = new Date(heardAt * SECOND).toISOString();
        time.title = utc(heardAt);
      }
    }
    tick(this.now);
  }

  /**
   * Fetch the page again, not all browsers in the same moment.
   *
   * @param {number} most milliseconds
   */
  fetchWithin(most) {
    this.fetching ??= setTimeout(async () => {
      this.fetching = undefined;
      try {
        await this.fetchAgain();
      } catch {
        this.fetchWithin(LAST_RETRY);
      }
    }, most / 4 + Math.random() * most * 0.75);
  }

  async fetchAgain() {
    // The browser asks with the ETag of what it has.
    const answer = await fetch(location.href, { cache: "no-cache" });
    if (!answer.ok) throw new Error(`the page was answered with ${answer.status}`);
    const other = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = other.querySelector("main");
    if (!next) throw new Error("the answer is no page of the board");
    keepingPlace(() => document.querySelector("main")?.replaceWith(next));
    this.shown = Number(other.body.dataset.sequence);
    document.title = other.title;
    showConnection();
    setIcon(other.querySelector("#favicon")?.getAttribute("href") ?? "");
    tick(this.now);
  }
}

/**
 * @param {Fragment} fragment
 * @param {boolean} isShown whether the page shows this builder
 */
function putFragment({ region: name, key, html }, isShown) {
  const region = regionOf(name);
  if (!region) return;
  const selector = `:scope > [data-key="${CSS.escape(key)}"]`;
  const old = /** @type {HTMLElement | null} */ (region.querySelector(selector));
  const next = html !== null && isShown ? elementOf(html) : null;
  if (next && old && old.dataset.sort === next.dataset.sort) return old.replaceWith(next);
  old?.remove();
  // Where there is no room for more, those that are behind are on another page or on none.
  const most = Number(/** @type {HTMLElement} */ (region).dataset.most ?? Infinity);
  if (next && most > 0) region.insertBefore(next, successorOf(region, next));
  while (most > 0 && region.childElementCount > most) region.lastElementChild?.remove();
}

/**
 * @param {Summary} summary
 * @returns {boolean} whether there is room for something that the page does not have
 */
function isCutShort({ causes, running }) {
  return Object.entries({ red: causes, running }).some(([name, count]) => {
    const region = /** @type {HTMLElement | null} */ (regionOf(name));
    const most = Number(region?.dataset.most ?? Infinity);
    return region !== null && region.childElementCount < Math.min(count, most);
  });
}

/**
 * @param {string} html
 * @returns {HTMLElement}
 */
function elementOf(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return /** @type {HTMLElement} */ (template.content.firstElementChild);
}

/**
 * @param {Element} region
 * @param {HTMLElement} element
 * @returns {Element | null} the first that belongs behind it
 */
function successorOf(region, element) {
  const sort = element.dataset.sort ?? "";
  const others = /** @type {HTMLElement[]} */ ([...region.children]);
  return others.find((other) => (other.dataset.sort ?? "") > sort) ?? null;
}

/**
 * @param {string} name
 * @returns {Element | null}
 */
function regionOf(name) {
  return document.querySelector(`[data-region="${CSS.escape(name)}"]`);
}

/**
 * Change the page, and keep what is focused, open and in sight as far as it is still there.
 *
 * @param {() => void} change
 */
function keepingPlace(change) {
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  const path = focused && focused !== document.body ? pathOf(focused) : "";
  const open = [...document.querySelectorAll("main details[open]")].map(pathOf);
  const anchor = anchorInSight();
  change();
  for (const each of open) document.querySelector(each)?.setAttribute("open", "");
  if (path && !focused?.isConnected) {
    const again = /** @type {HTMLElement | null} */ (document.querySelector(path));
    again?.focus({ preventScroll: true });
  }
  if (!anchor) return;
  const { key, top } = anchor;
  const now = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  const moved = now ? now.getBoundingClientRect().top - top : 0;
  if (moved) window.scrollBy({ top: moved, behavior: "instant" });
}

/**
 * @returns {{key: string, top: number} | null} what is being read, unless the page's top is in sight
 */
function anchorInSight() {
  if (window.scrollY === 0) return null;
  for (const part of [0.1, 0.25, 0.4, 0.6]) {
    const there = document.elementFromPoint(innerWidth * 0.3, innerHeight * part);
    const element = /** @type {HTMLElement | null | undefined} */ (there?.closest("[data-key]"));
    const key = element?.dataset.key;
    if (element && key) return { key, top: element.getBoundingClientRect().top };
  }
  return null;
}

/**
 * @param {Element} element
 * @returns {string} a selector that finds it, or what has taken its place
 */
function pathOf(element) {
  const steps = [];
  for (let each = element; each !== document.body && each.parentElement; each = each.parentElement) {
    const key = /** @type {HTMLElement} */ (each).dataset.key;
    if (each.id) return [`#${CSS.escape(each.id)}`, ...steps].join(" > ");
    if (key) return [`[data-key="${CSS.escape(key)}"]`, ...steps].join(" > ");
    const place = [...each.parentElement.children].indexOf(each) + 1;
    steps.unshift(`${each.localName}:nth-child(${place})`);
  }
  return ["body", ...steps].join(" > ");
}

/**
 * @param {Element} element
 * @param {string} text
 */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/* ---- Times that go on ---- */

/** @type {Record<string, (at: number, now: number) => string>} */
const SHOWN = {
  ago: (at, now) => ago(now - at),
  elapsed: (at, now) => span(now - at),
  clock: (at) =>
    new Date(at * SECOND).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" }),
};

/** @param {number} now seconds since the epoch, by the board's clock */
function tick(now) {
  for (const time of document.querySelectorAll("time")) {
    const show = SHOWN[time.dataset.show ?? ""];
    if (show) setText(time, show(Date.parse(time.dateTime) / SECOND, now));
  }
  for (const element of /** @type {NodeListOf<HTMLElement>} */ (
    document.querySelectorAll("[data-due]")
  )) {
    const isOver = now >= Number(element.dataset.overdue);
    setText(element, due(Number(element.dataset.due) - now, isOver));
    element.closest("[data-key]")?.classList.toggle("is-overdue", isOver);
  }
  for (const progress of document.querySelectorAll("progress")) {
    if (progress.dataset.started) progress.value = now - Number(progress.dataset.started);
  }
  for (const element of /** @type {NodeListOf<HTMLElement>} */ (
    document.querySelectorAll("[data-heard]")
  )) {
    const silence = now - Number(element.dataset.heard);
    element.classList.toggle("is-silent", silence > Number(element.dataset.silent));
  }
}

/* ---- Following the changes ---- */

/** Follows the changes, however that is possible, and shows when it is not. */
class Stream {
  /** @param {Page} page */
  constructor(page) {
    this.page = page;
    this.epoch = page.epoch;
    this.sequence = page.sequence;
    this.failures = 0;
    this.heardAt = 0;
    this.isAsking = false;
    /** Whether the board can write what it is sent. */
    this.isStoring = true;
    this.socketAgainAt = 0;
    /** @type {WebSocket | null} */
    this.socket = null;
    /** @type {AbortController | null} */
    this.question = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.next = undefined;
  }

  get position() {
    return new URLSearchParams({ epoch: this.epoch, since: String(this.sequence) });
  }

  connect() {
    const address = new URL(`live?${this.position}`, ROOT);
    address.protocol = address.protocol.replace("http", "ws");
    this.socket?.close();
    const socket = new WebSocket(address);
    this.socket = socket;
    this.heardAt = Date.now();
    socket.addEventListener("message", (event) => {
      if (socket !== this.socket) return;
      if (this.isAsking) this.stopAsking();
      this.take(JSON.parse(event.data));
    });
    socket.addEventListener("close", () => {
      if (socket !== this.socket) return;
      this.socket = null;
      if (!this.isAsking) this.fail();
    });
  }

  /** @param {Updates | Snapshot | Heard} frame */
  take(frame) {
    if (!this.follows(frame)) return this.fail();
    this.epoch = frame.epoch;
    this.sequence = frame.sequence;
    this.page.ahead = frame.now - Date.now() / SECOND;
    if (frame.type !== "snapshot") this.isStoring = frame.storing;
    if (frame.type === "updates") this.page.take(frame);
    else if (frame.type === "heard") this.page.hear(frame.masters);
    else this.page.fetchWithin(ANY_PAGE_WITHIN);
    this.succeed();
  }

  /**
   * @param {Updates | Snapshot | Heard} frame
   * @returns {boolean} whether nothing is missing before it; repeats do no harm
   */
  follows(frame) {
    if (frame.type === "snapshot") return true;
    if (frame.epoch !== this.epoch) return false;
    if (frame.type === "heard") return frame.sequence === this.sequence;
    return frame.from <= this.sequence && this.sequence <= frame.sequence;
  }

  succeed() {
    this.heardAt = Date.now();
    this.failures = 0;
    tellConnection(this.isStoring, "The board can't store what it is sent.");
  }

  /** Try again later: all browsers lose a board in the same moment, and must not come back so. */
  fail() {
    this.socket?.close();
    this.socket = null;
    this.question?.abort();
    this.failures += 1;
    tellConnection(false, "Connection lost.");
    const most = Math.min(FIRST_RETRY * 2 ** (this.failures - 1), LAST_RETRY);
    this.nextWithin(Math.random() * most);
  }

  /** @param {number} milliseconds */
  nextWithin(milliseconds) {
    clearTimeout(this.next);
    this.next = setTimeout(() => this.goOn(), milliseconds);
  }

  goOn() {
    if (this.failures >= TRIES_BEFORE_ASKING) this.isAsking = true;
    if (!this.isAsking) return this.connect();
    if (Date.now() >= this.socketAgainAt) {
      this.socketAgainAt = Date.now() + WEBSOCKET_AGAIN_AFTER;
      this.connect();
    }
    return this.ask();
  }

  /** Ask for what is new, where WebSockets don't get through. */
  async ask() {
    this.question?.abort();
    const question = new AbortController();
    this.question = question;
    try {
      const options = { cache: /** @type {const} */ ("no-store"), signal: question.signal };
      const answer = await fetch(new URL(`live/updates?${this.position}`, ROOT), options);
      if (!answer.ok) throw new Error(`the board answered with ${answer.status}`);
      const frame = answer.status === 204 ? null : await answer.json();
      this.nextWithin(ASK_EVERY * (0.8 + 0.4 * Math.random()));
      if (frame) this.take(frame);
      else this.succeed();
    } catch {
      if (question.signal.aborted) return;
      this.socketAgainAt = 0; // nothing gets through: it is not the WebSocket's fault
      this.fail();
    }
  }

  stopAsking() {
    this.isAsking = false;
    this.question?.abort();
    clearTimeout(this.next);
  }

  /** Notice a connection that is dead without having been closed. */
  watch() {
    if (this.isLate && (this.socket || this.isAsking)) this.fail();
  }

  get isLate() {
    return Date.now() - this.heardAt > SILENCE;
  }

  /** Try at once: the tab was asleep, or the network is back. */
  wake() {
    if (this.socket && !this.isLate) return;
    this.failures = 0;
    this.goOn();
  }
}

/* ---- The state of the connection ---- */

let connectionWords = "";
let stateIcon = "";

/**
 * @param {boolean} isLive whether what is on the screen is how things stand now
 * @param {string} why it is not
 */
function tellConnection(isLive, why) {
  const { classList } = document.body;
  const isTold = isLive || connectionWords.startsWith(why);
  if (isTold && classList.contains(isLive ? "is-live" : "is-old")) return;
  classList.toggle("is-live", isLive);
  classList.toggle("is-old", !isLive);
  const time = new Date().toLocaleTimeString();
  connectionWords = isLive ? "" : `${why} What you see is how things stood at ${time}.`;
  showConnection();
}

/** Put it on the page, which may have been swapped meanwhile. */
function showConnection() {
  const element = document.querySelector("#connection");
  if (element) setText(element, connectionWords);
  const icon = /** @type {HTMLLinkElement | null} */ (document.querySelector("#favicon"));
  if (!icon) return;
  stateIcon ||= icon.getAttribute("href") ?? "";
  const address = (connectionWords && icon.dataset.lost) || stateIcon;
  if (icon.getAttribute("href") !== address) icon.setAttribute("href", address);
}

/** @param {string} kind bad, good or unknown, or an icon's address */
function setIcon(kind) {
  const icon = /** @type {HTMLLinkElement | null} */ (document.querySelector("#favicon"));
  stateIcon = icon?.dataset[kind] ?? kind;
  showConnection();
}

/* ---- Keys ---- */

/** @param {KeyboardEvent} event */
function press(event) {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (target.matches("input, select, textarea, [contenteditable]")) {
    if (event.key === "Escape") target.blur();
    return;
  }
  const action = KEYS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

/** @type {Record<string, () => void>} */
const KEYS = {
  "/": () => {
    const filter = /** @type {HTMLInputElement | null} */ (document.querySelector("#filter"));
    filter?.focus();
    filter?.select();
  },
  "?": () => /** @type {HTMLDialogElement | null} */ (document.querySelector("#help"))?.showModal(),
  j: () => focusLink(1),
  k: () => focusLink(-1),
};

/** @param {1 | -1} step to the next builder or build, or back */
function focusLink(step) {
  const items = [...document.querySelectorAll("main [data-key], main tbody tr:not([data-key])")];
  const openable = items.filter((item) => item.querySelector("a"));
  const here = openable.findIndex((item) => item.contains(document.activeElement));
  const next = here < 0 ? openable.at(Math.min(step, 0)) : openable[here + step];
  const link = /** @type {HTMLElement | null | undefined} */ (next?.querySelector("th a, h3 a, a"));
  link?.focus();
  link?.scrollIntoView({ block: "nearest" });
}

/* ---- Begin ---- */

/** Have the icon of a lost connection at hand: then it can't be fetched any more. */
async function keepLostIcon() {
  const icon = /** @type {HTMLLinkElement | null} */ (document.querySelector("#favicon"));
  if (!icon?.dataset.lost) return;
  const answer = await fetch(icon.dataset.lost);
  icon.dataset.lost = `data:image/svg+xml,${encodeURIComponent(await answer.text())}`;
}

function begin() {
  const page = new Page();
  const stream = new Stream(page);
  setInterval(() => {
    stream.watch();
    if (!document.hidden) tick(page.now);
  }, SECOND);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    tick(page.now);
    stream.wake();
  });
  addEventListener("online", () => stream.wake());
  addEventListener("pageshow", (event) => {
    if (event.persisted) stream.wake();
    // The browser fills in what was typed last; the page is about what its address says.
    for (const form of document.querySelectorAll("form")) form.reset();
  });
  addEventListener("keydown", press);
  tick(page.now);
  stream.connect();
  keepLostIcon().catch(() => {});
}

begin();
