// Starts `graft lsp` and hands its answers to the editor. No package is needed.
const { spawn } = require("child_process");
const vscode = require("vscode");

let server, mistakes;
let last = 0;
const waiting = new Map(); // id of a request: what is done with its answer

function send(message) {
  if (!server) return;
  const text = JSON.stringify({ jsonrpc: "2.0", ...message });
  server.stdin.write(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
}

function ask(method, params) {
  if (!server) return Promise.resolve(null);
  const id = ++last;
  const answer = new Promise((done) => waiting.set(id, done));
  send({ id, method, params });
  return answer;
}

const place = (p) => new vscode.Position(p.line, p.character);
const range = (r) => new vscode.Range(place(r.start), place(r.end));

function show({ uri, diagnostics }) {
  mistakes.set(
    vscode.Uri.parse(uri),
    diagnostics.map((d) => {
      const one = new vscode.Diagnostic(range(d.range), d.message, d.severity - 1);
      one.source = d.source;
      return one;
    })
  );
}

function got(message) {
  if (message.method === "textDocument/publishDiagnostics") show(message.params);
  const done = waiting.get(message.id);
  waiting.delete(message.id);
  if (done) done(message.error ? null : message.result);
}

function listen(stream) {
  let bytes = Buffer.alloc(0);
  stream.on("data", (more) => {
    bytes = Buffer.concat([bytes, more]);
    for (;;) {
      const head = bytes.indexOf("\r\n\r\n");
      if (head < 0) return;
      const length = Number(/Content-Length: (\d+)/i.exec(bytes.toString("latin1", 0, head))[1]);
      if (bytes.length < head + 4 + length) return;
      got(JSON.parse(bytes.toString("utf8", head + 4, head + 4 + length)));
      bytes = bytes.subarray(head + 4 + length);
    }
  });
}

const named = (document) => ({ textDocument: { uri: document.uri.toString() } });
const at = (document, position) => ({
  ...named(document),
  position: { line: position.line, character: position.character },
});

function opened(document) {
  if (document.languageId !== "graft") return;
  send({
    method: "textDocument/didOpen",
    params: {
      textDocument: {
        uri: document.uri.toString(),
        languageId: "graft",
        version: document.version,
        text: document.getText(),
      },
    },
  });
}

function changed({ document }) {
  if (document.languageId !== "graft") return;
  send({
    method: "textDocument/didChange",
    params: {
      textDocument: { uri: document.uri.toString(), version: document.version },
      contentChanges: [{ text: document.getText() }],
    },
  });
}

function closed(document) {
  if (document.languageId !== "graft") return;
  send({ method: "textDocument/didClose", params: named(document) });
  mistakes.delete(document.uri);
}

const answers = {
  async provideHover(document, position) {
    const h = await ask("textDocument/hover", at(document, position));
    return h && new vscode.Hover(new vscode.MarkdownString(h.contents.value));
  },
  async provideDefinition(document, position) {
    const d = await ask("textDocument/definition", at(document, position));
    return d && new vscode.Location(vscode.Uri.parse(d.uri), range(d.range));
  },
  async provideDocumentSymbols(document) {
    const list = await ask("textDocument/documentSymbol", named(document));
    return (list || []).map(
      (s) => new vscode.DocumentSymbol(s.name, "", s.kind - 1, range(s.range), range(s.selectionRange))
    );
  },
  async provideDocumentFormattingEdits(document) {
    const edits = await ask("textDocument/formatting", { ...named(document), options: {} });
    return (edits || []).map((e) => new vscode.TextEdit(range(e.range), e.newText));
  },
  async provideCompletionItems(document, position) {
    const list = await ask("textDocument/completion", at(document, position));
    return (list || []).map((i) => {
      const one = new vscode.CompletionItem(i.label, i.kind - 1);
      one.detail = i.detail;
      return one;
    });
  },
};

async function activate(context) {
  const path = vscode.workspace.getConfiguration("graft").get("path");
  mistakes = vscode.languages.createDiagnosticCollection("graft");
  server = spawn(path, ["lsp"], { stdio: ["pipe", "pipe", "ignore"] });
  server.on("error", (e) => {
    server = undefined;
    vscode.window.showWarningMessage(`graft: ${path} does not start (${e.message}); set graft.path`);
  });
  listen(server.stdout);
  await ask("initialize", { processId: process.pid, capabilities: {} });
  send({ method: "initialized", params: {} });
  const { languages, workspace } = vscode;
  context.subscriptions.push(
    mistakes,
    languages.registerHoverProvider("graft", answers),
    languages.registerDefinitionProvider("graft", answers),
    languages.registerDocumentSymbolProvider("graft", answers),
    languages.registerDocumentFormattingEditProvider("graft", answers),
    languages.registerCompletionItemProvider("graft", answers, "."),
    workspace.onDidOpenTextDocument(opened),
    workspace.onDidChangeTextDocument(changed),
    workspace.onDidCloseTextDocument(closed)
  );
  workspace.textDocuments.forEach(opened);
}

async function deactivate() {
  await ask("shutdown");
  send({ method: "exit" });
}

module.exports = { activate, deactivate };
