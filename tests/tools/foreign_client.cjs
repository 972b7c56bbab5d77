// Calls one tool with the TypeScript SDK of MCP, shows its progress, and cancels it where told.
//
//     npx -y -p @modelcontextprotocol/sdk@1 node foreign_client.cjs '{"target": {"url": …} or
//         {"command": …, "args": […]}, "tool": …, "arguments": {…}, "cancelAfter": 2,
//         "emptyAfterwards": FOLDER}'
//
// Prints one JSON object: the progress, and the result or, after a cancel, that FOLDER became
// empty while the connection stayed open and that the server still answers.

const fs = require("node:fs");
const path = require("node:path");
const { createRequire } = require("node:module");
const { setTimeout: pause } = require("node:timers/promises");

// npx puts the package somewhere of its own and tells only through PATH.
const modules = process.env.PATH.split(path.delimiter)
  .map((folder) => path.dirname(folder))
  .find((folder) => fs.existsSync(path.join(folder, "@modelcontextprotocol", "sdk")));
const load = createRequire(path.join(modules, "here.js"));
const { Client } = load("@modelcontextprotocol/sdk/client/index.js");
const { StdioClientTransport } = load("@modelcontextprotocol/sdk/client/stdio.js");
const { StreamableHTTPClientTransport } = load("@modelcontextprotocol/sdk/client/streamableHttp.js");

async function becomesEmpty(folder) {
  for (let attempt = 0; attempt < 500; attempt += 1) {
    if (fs.readdirSync(folder).length === 0) return true;
    await pause(20);
  }
  return false;
}

async function main(wish) {
  const client = new Client({ name: "foreign", version: "1" });
  const transport = wish.target.url
    ? new StreamableHTTPClientTransport(new URL(wish.target.url))
    : new StdioClientTransport({ ...wish.target, env: process.env, stderr: "inherit" });
  await client.connect(transport);
  const shown = { progress: [], result: null, cancelled: false };
  const controller = new AbortController();
  const onprogress = (step) => {
    shown.progress.push(step);
    if (shown.progress.length === wish.cancelAfter) controller.abort("enough");
  };
  try {
    shown.result = await client.callTool(
      { name: wish.tool, arguments: wish.arguments },
      undefined,
      { onprogress, signal: controller.signal },
    );
  } catch (error) {
    if (!controller.signal.aborted) throw error;
    shown.cancelled = true;
    shown.empty = await becomesEmpty(wish.emptyAfterwards);
    shown.answersStill = (await client.listTools()).tools.length > 0;
  }
  await client.close();
  console.log(JSON.stringify(shown));
}

main(JSON.parse(process.argv[2])).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
