// Receives builds from Buildbot, keeps the newest state of each, and lists them.
import { createHmac, timingSafeEqual } from "node:crypto";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";

const FILE = "builds.jsonl";
const BODY_LIMIT = 32 * 1024 * 1024; // bytes
const TOLERANCE = 300; // seconds
const text = process.env.WEBHOOK_KEY ?? "";
const key = text.startsWith("whsec_") ? Buffer.from(text.slice(6), "base64") : Buffer.from(text);
if (key.length === 0) throw new Error("WEBHOOK_KEY must be the key that the master signs with");
const seen = new Set();
const builds = new Map();

function isGenuine(headers, body) {
  const { "webhook-id": id = "", "webhook-timestamp": time = "" } = headers;
  if (!/^[^.]+$/.test(id) || !/^\d+$/.test(time)) return false;
  if (Math.abs(Date.now() / 1000 - Number(time)) > TOLERANCE) return false;
  const digest = createHmac("sha256", key).update(`${id}.${time}.`).update(body).digest("base64");
  const expected = Buffer.from(`v1,${digest}`);
  const given = (headers["webhook-signature"] ?? "").split(" ").map((each) => Buffer.from(each));
  return given.some((each) => each.length === expected.length && timingSafeEqual(each, expected));
}

function readBuild(body) {
  const { buildid, started_at, complete_at, results, builder, number, url } = JSON.parse(body);
  return { buildid, started_at, complete_at, results, builder: builder.name, number, url };
}

// A start has no complete_at, so it never replaces a finish. Of two finishes the later one counts.
function remember({ id, build }) {
  seen.add(id);
  if (!build) return;
  const name = `${build.buildid} ${build.started_at}`;
  if ((build.complete_at ?? 0) >= (builds.get(name)?.complete_at ?? 0)) builds.set(name, build);
}

function take(headers, body) {
  if (!isGenuine(headers, body)) return [401, "not signed with our key just now"];
  const delivery = { id: headers["webhook-id"] };
  if (seen.has(delivery.id)) return [200, "duplicate"];
  try {
    if (headers["buildbot-event"]?.startsWith("builds.")) delivery.build = readBuild(body);
  } catch (error) {
    return [422, `not a build: ${error.message}`];
  }
  appendFileSync(FILE, `\n${JSON.stringify(delivery)}`, { flush: true });
  remember(delivery);
  return [200, "kept"];
}

async function answer(request) {
  if (request.method === "GET") return [200, [...builds.values()]];
  const parts = [];
  let size = 0;
  for await (const part of request) if ((size += part.length) <= BODY_LIMIT) parts.push(part);
  return size > BODY_LIMIT ? [413, "too long"] : take(request.headers, Buffer.concat(parts));
}

for (const line of existsSync(FILE) ? readFileSync(FILE, "utf8").split("\n") : []) {
  // A line that a crash has cut short was never answered, so it is sent again.
  try { remember(JSON.parse(line)); } catch {}
}
const server = createServer(async (request, response) => {
  const [code, content] = await answer(request).catch((error) => [500, error.message]);
  response.writeHead(code, { "Content-Type": "application/json" }).end(JSON.stringify(content));
}).listen(Number(process.env.PORT), "127.0.0.1", () => {
  console.log(`Listening on http://127.0.0.1:${server.address().port}`);
});
