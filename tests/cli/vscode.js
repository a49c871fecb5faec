// vscode.js GRAFT: docs/editors/vscode/extension.js with a stand-in for the
// editor's module, against the real server.
const assert = require("assert");
const Module = require("module");
const path = require("path");

const made = {};
class Pair { constructor(...v) { this.v = v; } }
const register = (kind) => (language, provider) => (made[kind] = provider, {});
const on = {};
const listen = (kind) => (f) => (on[kind] = f, {});
const text = "module m(D) {\n  weight w[D]\n  forward(x[T, D]) -> [T, D] { return x * w }\n}\n";
const document = {
  languageId: "graft", version: 1, getText: () => document.text, text,
  uri: { toString: () => "file:///x.graft" },
};
const shown = [];
const stub = {
  Position: Pair, Range: Pair, Hover: Pair, Location: Pair, TextEdit: Pair,
  MarkdownString: Pair, DocumentSymbol: Pair, CompletionItem: Pair,
  Diagnostic: Pair, Uri: { parse: (s) => s },
  window: { showWarningMessage: (m) => { throw new Error(m); } },
  workspace: {
    getConfiguration: () => ({ get: () => process.argv[2] }),
    onDidOpenTextDocument: listen("open"), textDocuments: [document],
    onDidChangeTextDocument: listen("change"),
    onDidCloseTextDocument: listen("close"),
  },
  languages: {
    createDiagnosticCollection: () => ({ set: (u, d) => shown.push(d), delete() {} }),
    registerHoverProvider: register("hover"),
    registerDefinitionProvider: register("definition"),
    registerDocumentSymbolProvider: register("symbols"),
    registerDocumentFormattingEditProvider: register("format"),
    registerCompletionItemProvider: register("complete"),
  },
};
const load = Module._load;
Module._load = (name, ...rest) => (name === "vscode" ? stub : load(name, ...rest));
const extension = require(path.join(__dirname, "../../docs/editors/vscode/extension.js"));

const until = async (what) => {
  for (let i = 0; i < 200 && !what(); i++) await new Promise((d) => setTimeout(d, 50));
  assert(what());
};

(async () => {
  await extension.activate({ subscriptions: [] });
  const place = { line: 2, character: text.split("\n")[2].indexOf("w }") };
  const hover = await made.hover.provideHover(document, place);
  assert(hover.v[0].v[0].includes("[D]"), JSON.stringify(hover));
  const found = await made.definition.provideDefinition(document, place);
  assert.deepStrictEqual(found.v[1].v[0].v, [1, 9]);
  assert.strictEqual((await made.symbols.provideDocumentSymbols(document)).length, 1);
  const items = await made.complete.provideCompletionItems(document, place);
  assert(items.some((i) => i.v[0] === "softmax"));
  await until(() => shown.length);
  assert.deepStrictEqual(shown[0], []);
  document.text = text.replace("x * w", "x * v");
  on.change({ document });
  assert.deepStrictEqual(await made.format.provideDocumentFormattingEdits(document), []);
  await until(() => shown[shown.length - 1].length === 1);
  await extension.deactivate();
  console.log("ok 1 - the VS Code extension asks and shows");
  process.exit(0);
})().catch((e) => { console.log(`not ok 1 - the VS Code extension\n# ${e.stack}`); process.exit(1); });
