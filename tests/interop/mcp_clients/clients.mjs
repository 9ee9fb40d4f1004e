// The TypeScript SDK of both lines, and Mastra: tools, errors, and a conversation of which the model sees the texts.
//
//   clients.mjs sdk-1|sdk-2|mastra DATA
//
// HEALTHIMAGING_BIN is our server; DATA a store with one data store and the patient MCP_CLIENTS_PATIENT.
import assert from "node:assert/strict";

const [name, data] = process.argv.slice(2);
const server = {
  command: process.env.HEALTHIMAGING_BIN,
  args: ["--backend", "local", "--data-dir", data, "stdio"],
};
const patient = process.env.MCP_CLIENTS_PATIENT;
const UNKNOWN = "0".repeat(32);

async function sdk(version) {
  const base = version === 1 ? "@modelcontextprotocol/sdk/client" : "@modelcontextprotocol/client";
  const { Client } = await import(version === 1 ? `${base}/index.js` : base);
  const { StdioClientTransport } = await import(version === 1 ? `${base}/stdio.js` : `${base}/stdio`);
  const client = new Client({ name: "interop", version: "1" });
  await client.connect(new StdioClientTransport({ ...server, env: process.env }));
  return client;
}

/** A value that a schema allows, of things that are not there. */
function unknown(schema, key) {
  if (schema.enum) return schema.enum[0];
  if (schema.const !== undefined) return schema.const;
  const options = schema.anyOf ?? schema.oneOf;
  if (options) return unknown(options.find((option) => option.type !== "null"), key);
  const type = Array.isArray(schema.type) ? schema.type.find((one) => one !== "null") : schema.type;
  switch (type) {
    case "boolean":
      return false;
    case "integer":
    case "number":
      return schema.minimum ?? 1;
    case "array":
      return [unknown(schema.items ?? { type: "string" }, key)];
    case "object":
      return everything(schema);
    default:
      if (/uids?$/i.test(key)) return "1.2.3.4";
      if (/uri$/i.test(key)) return "file:///nowhere/";
      if (/arn$/i.test(key)) return `arn:aws:medical-imaging:us-east-1:123456789012:datastore/${UNKNOWN}`;
      if (/version/i.test(key)) return "1";
      return UNKNOWN;
  }
}

function everything(schema) {
  const needed = Object.entries(schema.properties ?? {}).filter(([key]) => (schema.required ?? []).includes(key));
  return Object.fromEntries(needed.map(([key, part]) => [key, unknown(part, key)]));
}

/** The one text that a model is shown, which is JSON. */
function shown(result) {
  const texts = result.content.filter((block) => block.type === "text");
  return JSON.parse(texts[0].text);
}

/** Every tool, called with ids of nothing: what comes is the tool's own answer or error, and never the client's. */
async function errors(client) {
  const { tools } = await client.listTools();
  let failed = 0;
  for (const tool of tools) {
    const words = everything(tool.inputSchema);
    for (const key of Object.keys(tool.inputSchema.properties ?? {})) {
      // An id that may be left out would have a tool act on what there is.
      if (/_(id|uid|arn)s?$/.test(key)) words[key] ??= unknown(tool.inputSchema.properties[key], key);
    }
    delete words.confirmation_token;
    delete words.next_token;
    const result = await client.callTool({ name: tool.name, arguments: words }).catch((error) => {
      throw new Error(`${tool.name} ${JSON.stringify(words)}: the client's error hides the tool's: ${error.message}`);
    });
    const told = shown(result);
    if (result.isError) {
      failed += 1;
      assert.equal(told.error, true, tool.name);
      assert.match(told.type, /^(validation_error|not_found|auth_error|service_error)$/, `${tool.name}: ${JSON.stringify(told)}`);
      assert.equal(result.structuredContent, undefined, tool.name);
    } else if (tool.outputSchema) {
      assert.deepEqual(result.structuredContent, told, tool.name);
    }
  }
  console.log(`${tools.length} tools called with ids of nothing: ${failed} errors of their own, no -32602`);
  assert.ok(failed > tools.length / 2, "too few tools refuse what is not there");
}

/** Finds an image set and deletes it, by the texts alone. */
async function converse(call) {
  const [{ datastore_id }] = (await call("list_datastores", {})).datastore_summaries;
  const filters = [{ values: [{ DICOMPatientId: patient }], operator: "EQUAL" }];
  const search = () => call("search_image_sets", { datastore_id, search_criteria: { filters } });
  const found = (await search()).image_sets_metadata_summaries;
  const ids = { datastore_id, image_set_id: found[0].image_set_id };
  const plan = await call("delete_image_set", ids);
  assert.ok(plan.plan && plan.confirmation_token, JSON.stringify(plan));
  assert.equal((await search()).image_sets_metadata_summaries.length, found.length, "the plan deleted something");
  await call("delete_image_set", { ...ids, confirmation_token: plan.confirmation_token });
  for (let turn = 0; turn < 100; turn += 1) {
    if ((await call("get_image_set", ids)).image_set_state !== "LOCKED") break;
    await new Promise((done) => setTimeout(done, 50));
  }
  const left = (await search()).image_sets_metadata_summaries;
  assert.ok(left.every((one) => one.image_set_id !== ids.image_set_id), "it is still there");
  console.log("found, planned, confirmed, gone");
}

/** The parameters that a schema names, at every depth. */
function parameters(schema, path = "") {
  if (!schema || typeof schema !== "object") return [];
  const found = Object.entries(schema.properties ?? {}).flatMap(([key, part]) => [
    `${path}/${key}`,
    ...parameters(part, `${path}/${key}`),
  ]);
  for (const key of ["items", "additionalProperties"]) found.push(...parameters(schema[key], `${path}/*`));
  for (const key of ["anyOf", "oneOf", "allOf"]) {
    for (const part of schema[key] ?? []) found.push(...parameters(part, path));
  }
  return found;
}

/** Mastra's tools, as it has them and as its layers for providers convert them. */
async function mastra() {
  const { MCPClient } = await import("@mastra/mcp");
  const compat = await import("@mastra/schema-compat");
  const client = await sdk(2);
  const { tools } = await client.listTools();
  await client.close();
  const mcp = new MCPClient({ servers: { hi: { ...server, env: process.env, timeout: 120_000 } } });
  const made = await mcp.listTools();
  let lost = 0;
  const providers = {
    none: null,
    OpenAI: new compat.OpenAISchemaCompatLayer({ provider: "openai", modelId: "gpt-4o", supportsStructuredOutputs: false }),
    Anthropic: new compat.AnthropicSchemaCompatLayer({ provider: "anthropic", modelId: "claude", supportsStructuredOutputs: false }),
    Google: new compat.GoogleSchemaCompatLayer({ provider: "google", modelId: "gemini", supportsStructuredOutputs: false }),
  };
  for (const [provider, layer] of Object.entries(providers)) {
    let count = 0;
    for (const tool of tools) {
      const schema = made[`hi_${tool.name}`].inputSchema;
      const converted = layer
        ? compat.standardSchemaToJSONSchema(layer.processToCompatSchema(schema), { io: "input" })
        : compat.standardSchemaToJSONSchema(schema, { io: "input" });
      const kept = new Set(parameters(converted));
      for (const path of new Set(parameters(tool.inputSchema))) {
        if (kept.has(path)) count += 1;
        else {
          lost += 1;
          console.log(`  Mastra for ${provider}: ${tool.name}: lost ${path}`);
        }
      }
    }
    console.log(`Mastra for ${provider}: ${tools.length} tools, ${count} parameters, ${lost} lost`);
  }
  await converse(async (tool, words) => {
    const answer = await made[`hi_${tool}`].execute(words, {});
    if (answer?.content) return shown(answer);
    assert.ok(!answer?.error || answer.error === true, JSON.stringify(answer));
    return answer;
  });
  await mcp.disconnect();
  assert.equal(lost, 0, "parameters are lost");
}

if (name === "mastra") {
  await mastra();
} else {
  const client = await sdk(name === "sdk-1" ? 1 : 2);
  await errors(client);
  await converse(async (tool, words) => shown(await client.callTool({ name: tool, arguments: words })));
  await client.close();
}
process.exit(0);
