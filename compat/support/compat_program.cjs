// What the programs of JavaScript clients share: options, checks, events, and what the harness may say meanwhile.
"use strict";

const readline = require("node:readline");

const [role, bootstrap] = process.argv.slice(2);
const options = {
  topic: role,
  group: `group-${role}`,
  partitions: 1,
  rate: 100,
  records: 100,
  value_bytes: 1000,
  session_timeout_ms: 6000,
  ...JSON.parse(process.env.COMPAT_OPTIONS || "{}"),
};
const START = Date.now() - 3600000; // not so long ago that retention would remove the records
const TWELVE_MEGABYTES = 12 * 1024 * 1024;

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function emit(event, fields) {
  const plain = (_, value) => (typeof value === "bigint" ? Number(value) : value);
  process.stdout.write(JSON.stringify({ event, ...fields }, plain) + "\n");
}

function check(condition, message) {
  if (!condition) throw new Error(message);
}

function checkEqual(actual, expected, what) {
  const [left, right] = [actual, expected].map((value) => JSON.stringify(value));
  check(left === right, `${what}: ${left}, expected ${right}`);
}

async function eventually(what, action, seconds = 20) {
  for (const deadline = Date.now() + seconds * 1000; ; await sleep(100)) {
    if (await action()) return;
    check(Date.now() < deadline, `${what}: not within ${seconds} s`);
  }
}

// What the harness may say while the program runs.
const said = { partitions: options.partitions, stopped: false, onPause: () => {} };

// Follows what the harness says; resolves when that is stop, or the harness is gone.
function stopped() {
  return new Promise((resolve) => {
    const lines = readline.createInterface({ input: process.stdin });
    const stop = () => {
      said.stopped = true;
      resolve();
    };
    lines.on("line", (line) => {
      const [word, value] = line.trim().split(" ");
      if (word === "stop") stop();
      if (word === "partitions") said.partitions = Number(value);
      if (word === "pause" || word === "resume") said.onPause(word === "pause");
    });
    lines.on("close", stop);
  });
}

// Runs the scenario or role that was asked for, and says how it ended.
async function run(scenarios) {
  const started = Date.now();
  let error = null;
  try {
    check(scenarios[role], `the program has no scenario ${role}`);
    await scenarios[role]();
  } catch (failure) {
    console.error(failure);
    error = String(failure);
  }
  emit("result", { scenario: role, passed: error === null, seconds: (Date.now() - started) / 1000, error });
  process.exit(error === null ? 0 : 1);
}

module.exports = {
  START,
  TWELVE_MEGABYTES,
  bootstrap,
  check,
  checkEqual,
  emit,
  eventually,
  options,
  run,
  said,
  sleep,
  stopped,
};
