#!/usr/bin/env node
// Runs the program of the platform's package, with the same arguments, streams and exit code.
"use strict";

const { spawn } = require("node:child_process");

const name = "healthimaging-mcp-server";
const platform = `${process.platform}-${process.arch}`;
const file = process.platform === "win32" ? `${name}.exe` : name;

let program;
try {
  program = require.resolve(`@${name}/${platform}/bin/${file}`);
} catch {
  console.error(`${name}: the package @${name}/${platform} is not installed.`);
  console.error("Install again without --omit=optional; if the platform has no package, build from source.");
  process.exit(1);
}

const child = spawn(program, process.argv.slice(2), { stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => child.kill(signal));
}
child.on("error", (error) => {
  console.error(`${name}: cannot run ${program}: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => {
  if (signal) {
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  } else {
    process.exit(code);
  }
});
