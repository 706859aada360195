// Creates, reads and changes a note with a client whose types come from docs/openapi.json alone. Compiling shows that the
// document says enough; running shows that it says the truth.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

const baseUrl = process.env["DAYBOOK_URL"] ?? "http://127.0.0.1:8080";
const api = createClient<paths>({ baseUrl });

// Reads wait for what was written before.
let position: string | null = null;
api.use({
  onRequest({ request }) {
    if (request.method !== "GET" || position === null) return;
    const url = new URL(request.url);
    url.searchParams.set("after", position);
    return new Request(url, request);
  },
  onResponse({ response }) {
    position = response.headers.get("Position") ?? position;
  },
});

function answered<T>(result: { data?: T; error?: components["schemas"]["Problem"]; response: Response }): T {
  if (result.data === undefined) throw new Error(`${result.response.status}: ${result.error?.detail}`);
  return result.data;
}

const username = `ada-${randomUUID().slice(0, 8)}`;
const password = "analytical engine";
answered(await api.POST("/api/v1/auth/register", { body: { email: `${username}@example.org`, username, password } }));
const tokens = answered(await api.POST("/api/v1/auth/login", { body: { login: username, password } }));
api.use({
  onRequest({ request }) {
    request.headers.set("Authorization", `Bearer ${tokens.access_token}`);
  },
});

const notebook = answered(await api.POST("/api/v1/notebooks", { body: { name: "Lab" } }));
const key = randomUUID();
const create = () =>
  api.POST("/api/v1/notes", {
    params: { header: { "Idempotency-Key": key } },
    body: {
      notebook_id: notebook.id,
      title: "Dreams",
      blocks: [
        { type: "header", content: { level: 1, text: "Tonight" } },
        { type: "text", content: { text: "Flying", spans: [{ start: 0, end: 6, kind: "bold" }] } },
        { type: "code", content: { language: null, text: "let x = 1;" } },
      ],
    },
  });
const created = await create();
const { id } = answered(created);
assert.equal(answered(await create()).id, id, "the same key makes one note");

const read = async () => answered(await api.GET("/api/v1/notes/{id}", { params: { path: { id } } }));
const note = await read();
assert.equal(note.title, "Dreams");
const [header, text] = note.blocks;
assert(header?.type === "header" && text?.type === "text");
// The type of a block decides what its content has, for the compiler too.
assert.equal(header.content.level, 1);
assert.deepEqual(text.content.spans, [{ start: 0, end: 6, kind: "bold" }]);
// @ts-expect-error a text block has no level
assert.equal(text.content.level, undefined);

const etag = created.response.headers.get("ETag");
assert(etag !== null);
const change = (title: string) =>
  api.PATCH("/api/v1/notes/{id}", { params: { path: { id }, header: { "If-Match": etag } }, body: { title } });
assert.equal(answered(await change("Plans")).version, 2);
assert.equal((await read()).title, "Plans");

const late = await change("Too late");
assert.equal(late.response.status, 412);
assert.equal(late.error?.status, 412);
// @ts-expect-error a title cannot be cleared
const cleared = await api.PATCH("/api/v1/notes/{id}", { params: { path: { id } }, body: { title: null } });
assert.equal(cleared.response.status, 422);
assert.deepEqual(cleared.error?.errors?.map((error) => error.pointer), ["/title"]);

const page = answered(await api.GET("/api/v1/notes", { params: { query: { notebook_id: notebook.id, limit: 1 } } }));
assert.deepEqual(page.items.map((item) => item.title), ["Plans"]);
assert.equal(page.next_cursor, null);
console.log("The typed client created, read and changed a note.");
