// Tests the page in a real browser, with a daemon and an embedded sandbox.
"use strict";
const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const net = require("node:net");
const os = require("node:os");
const path = require("node:path");
const puppeteer = require("puppeteer-core");

const AXE = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const HOSTILE = "\\\"><img src=x onerror=document.title='broken'>\\u202E";
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function eventually(what, holds, ms = 20000) {
  const until = Date.now() + ms;
  for (;;) {
    const held = await holds().catch(() => false);
    if (held) { return held; }
    assert.ok(Date.now() < until, `timeout: ${what}`);
    await sleep(50);
  }
}

function port() {
  return new Promise((done) => {
    const server = net.createServer().listen(0, "127.0.0.1", () => {
      const { port: free } = server.address();
      server.close(() => done(free));
    });
  });
}

// Starts a daemon with this roster.
async function daemon(folder, roster) {
  fs.mkdirSync(folder, { recursive: true });
  const file = path.join(folder, "users.yaml");
  fs.writeFileSync(file, roster);
  const address = `127.0.0.1:${await port()}`;
  const child = spawn(process.env.ROSTERD, ["--sandbox", "-u", file, "--listen", address], {
    cwd: folder,
    env: { XDG_STATE_HOME: folder },
    stdio: "ignore",
  });
  const base = `http://${address}`;
  await eventually("a run has ended", async () => {
    const answer = await fetch(`${base}/api/v1/workspaces`);
    return (await answer.json()).workspaces[0].last_run;
  }, 60000);
  return { base, child, file };
}

function roster(more) {
  const seeded = ["alexandra@acme.io, role: ADMIN", "jonny@acme.io, role: BUSINESS",
    "matt@acme.io, role: DEVELOPER", "john@acme.io, role: ADMIN"];
  return `version: 1\nusers:\n${seeded.concat(more).map((it) => `  - { email: ${it} }\n`).join("")}`;
}

// Opens a page, and fails on console output and on requests to other origins.
async function open(browser, url, { width = 1100, scheme = "light", script = true } = {}) {
  const page = await browser.newPage();
  await page.setJavaScriptEnabled(script);
  await page.setViewport({ width, height: 900 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  page.on("console", (it) => assert.fail(`the console of ${url}: ${it.text()}`));
  page.on("pageerror", (it) => assert.fail(`a script of ${url}: ${it.message}`));
  page.on("request", (it) => assert.ok(it.url().startsWith(new URL(url).origin), it.url()));
  const answer = await page.goto(url, { waitUntil: "load" });
  assert.equal(answer.status(), 200, url);
  return page;
}

const text = (page) => page.evaluate(() => document.body.innerText);

async function isAccessible(browser, url, how) {
  const page = await browser.newPage();
  await page.setBypassCSP(true);
  await page.setViewport({ width: how.width, height: 900 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: how.scheme }]);
  await page.goto(url, { waitUntil: "load" });
  await page.evaluate(() => { for (const it of document.querySelectorAll("details")) { it.open = true; } });
  await page.evaluate(AXE);
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  const found = await page.evaluate((only) => axe.run(document, { runOnly: only }), tags);
  assert.ok(found.passes.length > 15, "axe ran");
  const said = found.violations.map((it) => `${it.id}: ${it.nodes[0].html}`);
  assert.deepEqual(said, [], `${url} ${JSON.stringify(how)}`);
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(over <= 0, `${url} is ${over} pixels wider than the window of ${how.width}`);
  return page;
}

async function overview(browser, { base }) {
  const page = await open(browser, `${base}/`);
  assert.match(await text(page), /The workspace is in sync/);
  await Promise.all([page.waitForNavigation(), page.click("main a[href^='/workspaces/']")]);
  const shown = await text(page);
  for (const part of [/✓ in sync/, /next run/, /Plan/, /Access/, /Timeline/, /Runs/]) {
    assert.match(shown, part);
  }
  const drawn = await page.$$eval("svg.plot path", (all) => all.length);
  assert.ok(drawn > 3, "the chart is drawn");
  await page.close();
}

async function search(browser, { base }) {
  for (const script of [true, false]) {
    const page = await open(browser, `${base}/workspaces/default`, { script });
    await page.type("input[name=q]", "MATT");
    await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
    const rows = await page.$$eval("#people tbody tr", (all) => all.map((it) => it.textContent));
    assert.equal(rows.length, 1);
    assert.match(rows[0], /matt@acme.io/);
    await Promise.all([page.waitForNavigation(), page.click("#people tbody a")]);
    assert.match(await text(page), /users.yaml:5/);
    await page.close();
  }
}

// Live updates show changes without a reload, and keep input and open details.
async function live(browser, { base, file }) {
  const page = await open(browser, `${base}/workspaces/default`);
  await page.type("input[name=q]", "half a na");
  await page.$eval("#runs details", (it) => { it.open = true; });
  const opened = await page.$eval("#runs details", (it) => it.id);
  await page.evaluate(() => { window.stays = true; });
  fs.writeFileSync(`${file}.new`, roster(["alice@acme.io, role: DEVELOPER"]));
  const began = Date.now();
  fs.renameSync(`${file}.new`, file);
  await eventually("alice is seen", async () => (await text(page)).includes("alice@acme.io"));
  console.log(`seen ${Date.now() - began} ms after the edit`);
  assert.equal(await page.evaluate(() => window.stays), true, "the page was not reloaded");
  assert.equal(await page.$eval("input[name=q]", (it) => it.value), "half a na");
  assert.equal(await page.$eval(`#${opened}`, (it) => it.open), true, "open details stay open");
  await eventually("it is live", async () => (await page.$eval("#live", (it) => it.textContent)) === "live");
  fs.writeFileSync(file, "version: 1\nusers:\n  - { email: matt@acme.io, role: DEVELOPR }\n");
  await eventually("the errors are shown", async () => (await text(page)).includes("did you mean `DEVELOPER`"));
  assert.match(await text(page), /≠ stale/);
  fs.writeFileSync(file, roster(["alice@acme.io, role: DEVELOPER"]));
  await eventually("the errors are gone", async () => !(await text(page)).includes("did you mean"));
  await page.close();
}

// Title and icon follow the state, and the lines that approve can be copied.
async function decision(browser, { base, file }) {
  const page = await open(browser, `${base}/workspaces/default`);
  const icon = () => page.$eval("#icon", (it) => it.getAttribute("href"));
  assert.equal(await icon(), "/assets/icon/in_sync");
  const many = Array.from({ length: 60 }, (_, at) => `user${at}@acme.io, role: DEVELOPER`);
  fs.writeFileSync(file, roster(many));
  await eventually("the title shows the hold", async () => (await page.title()).startsWith("! default: held"));
  assert.equal(await icon(), "/assets/icon/held");
  await browser.defaultBrowserContext().overridePermissions(base, ["clipboard-read", "clipboard-write", "clipboard-sanitized-write"]);
  await page.bringToFront();
  await page.click("button[data-copy]");
  await eventually("it is copied", async () => (await page.$eval("button[data-copy]", (it) => it.textContent)) === "Copied");
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(copied, await page.$eval("#approvals", (it) => it.textContent));
  assert.match(copied, /^approvals:/);
  const plain = await open(browser, `${base}/workspaces/default`, { script: false });
  assert.equal(await plain.$eval("button[data-copy]", (it) => getComputedStyle(it).display), "none");
  await plain.close();
  fs.writeFileSync(file, roster(["alice@acme.io, role: DEVELOPER"]));
  await eventually("the title is calm", async () => (await page.title()).startsWith("✓ default: in sync"));
  await page.close();
}

// On a phone the plot shows its newest end, without a script.
async function phone(browser, { base }) {
  const page = await open(browser, `${base}/workspaces/default`, { width: 360, script: false });
  const hidden = await page.evaluate(() => {
    const box = document.querySelector(".newest");
    return box.querySelector("svg").getBoundingClientRect().right - box.getBoundingClientRect().right;
  });
  assert.ok(Math.abs(hidden) < 1, `the newest ${hidden} pixels are hidden`);
  await page.close();
}

async function escapes(browser, { base, file }) {
  fs.writeFileSync(file, roster([`zoe@acme.io, role: BUSINESS, name: "${HOSTILE}"`, "alice@acme.io, role: DEVELOPER"]));
  await eventually("zoe is there", async () => {
    const answer = await fetch(`${base}/api/v1/workspaces/default/people?q=zoe`);
    return (await answer.json()).total === 1;
  });
  const page = await open(browser, `${base}/workspaces/default/people?q=zoe`);
  assert.match(await text(page), /<img src=x onerror/, "it is shown as text");
  assert.equal(await page.$$eval("img", (all) => all.length), 0);
  assert.doesNotMatch(await page.title(), /broken/);
  assert.ok(!(await text(page)).includes("\u202e"));
  await page.close();
}

async function keyboard(browser, { base }) {
  const page = await open(browser, `${base}/workspaces/default`);
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
  const reached = new Set();
  for (let step = 0; step < 60; step += 1) {
    await page.keyboard.press("Tab");
    const where = await page.evaluate(() => {
      const { tagName, name, textContent } = document.activeElement;
      const ring = getComputedStyle(document.activeElement).outlineStyle;
      return { what: `${tagName} ${name || textContent.trim().slice(0, 20)}`, ring };
    });
    if (!where.what.startsWith("BODY")) { assert.notEqual(where.ring, "none", where.what); }
    reached.add(where.what);
  }
  assert.ok([...reached].some((it) => it === "INPUT q") && [...reached].some((it) => it.startsWith("SUMMARY")),
    [...reached].join(", "));
  await page.close();
}

async function large(browser, folder) {
  const people = Array.from({ length: 10000 }, (_, at) => `p${at}@acme.io, role: ${at % 7 ? "DEVELOPER" : "BUSINESS"}`);
  const host = await daemon(folder, roster(people));
  try {
    for (const place of ["/", "/workspaces/default", "/workspaces/default/people?q=p999", "/workspaces/default/runs"]) {
      await open(browser, `${host.base}${place}`).then((it) => it.close());
      const began = Date.now();
      const page = await open(browser, `${host.base}${place}`);
      const size = (await page.content()).length;
      console.log(`10,000 people: ${place} in ${Date.now() - began} ms, ${size} characters`);
      assert.ok(size < 400000, `${place} has ${size} characters`);
      await page.close();
    }
    const page = await open(browser, `${host.base}/workspaces/default/people?role=BUSINESS`);
    assert.match(await text(page), /1 person: 1 account/);
    await page.close();
  } finally {
    host.child.kill();
  }
}

(async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "page-"));
  const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu"],
  });
  const host = await daemon(path.join(folder, "few"), roster([]));
  try {
    await overview(browser, host);
    await search(browser, host);
    await live(browser, host);
    await decision(browser, host);
    await phone(browser, host);
    await escapes(browser, host);
    await keyboard(browser, host);
    const pages = { overview: "/", workspace: "/workspaces/default", people: "/workspaces/default/people",
      person: "/workspaces/default/people/jonny@acme.io", runs: "/workspaces/default/runs" };
    for (const [name, place] of Object.entries(pages)) {
      for (const how of [{ width: 1100, scheme: "light" }, { width: 1100, scheme: "dark" }, { width: 360, scheme: "light" }]) {
        const page = await isAccessible(browser, `${host.base}${place}`, how);
        await page.screenshot({ path: path.join(process.env.SHOTS, `${name}-${how.scheme}-${how.width}.png`), fullPage: true });
        await page.close();
      }
    }
    await large(browser, path.join(folder, "many"));
  } finally {
    host.child.kill();
    await browser.close();
    fs.rmSync(folder, { recursive: true, force: true });
  }
  console.log("the page works");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
