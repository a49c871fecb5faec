#!/usr/bin/env python3
"""lsp GRAFT: drives the language server over its protocol."""
import json, os, subprocess, sys, tempfile

graft = sys.argv[1]
n = failures = 0


def ok(good, name, found=""):
    global n, failures
    n += 1
    print(f"{'ok' if good else 'not ok'} {n} - {name}", flush=True)
    if not good:
        failures += 1
        print(f"# found: {found!r}"[:600])


class Server:
    def __init__(self, env, encodings=None):
        self.p = subprocess.Popen([graft, "lsp"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, env=env)
        self.id, self.notes = 0, []
        general = {"positionEncodings": encodings} if encodings else {}
        self.can = self.ask("initialize", {
            "capabilities": {"general": general}})["capabilities"]
        self.tell("initialized", {})

    def raw(self, data):
        self.p.stdin.write(b"Content-Length: %d\r\n\r\n" % len(data) + data)
        self.p.stdin.flush()

    def send(self, **m):
        self.raw(json.dumps({"jsonrpc": "2.0", **m}).encode())

    def read(self):
        length = 0
        while (line := self.p.stdout.readline().strip()):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return json.loads(self.p.stdout.read(length))

    def tell(self, method, params):
        self.send(method=method, params=params)

    def answer(self):
        while "id" not in (m := self.read()):
            self.notes.append(m)
        return m

    def ask(self, method, params):
        self.id += 1
        self.send(id=self.id, method=method, params=params)
        m = self.answer()
        assert m["id"] == self.id, m
        return m.get("result", m.get("error"))

    def open(self, uri, text):
        self.tell("textDocument/didOpen", {"textDocument": {
            "uri": uri, "languageId": "graft", "version": 1, "text": text}})
        return self.diagnostics(uri)

    def change(self, uri, changes):
        self.tell("textDocument/didChange", {
            "textDocument": {"uri": uri, "version": 2},
            "contentChanges": changes})
        return self.diagnostics(uri)

    def diagnostics(self, uri):
        while True:
            m = self.read()
            if m.get("params", {}).get("uri") == uri:
                return m["params"]["diagnostics"]

    def at(self, what, uri, text, needle, extra=0):
        before = text[:text.index(needle) + extra]
        line = before.count("\n")
        column = before[before.rfind("\n") + 1:]
        return self.ask("textDocument/" + what, {
            "textDocument": {"uri": uri},
            "position": {"line": line,
                         "character": len(column.encode("utf-16-le")) // 2}})

    def end(self):
        self.ask("shutdown", None)
        self.tell("exit", None)
        return self.p.wait(10)


TEXT = """use llama

# Scales what it gets.
module scaled(D, F) {
  weight by[D]
  inner: swiglu(D, F)

  forward(x[T, D]) -> [T, D] {
    h = x * by
    return inner(h) + h @ inner.gate @ inner.down
  }
}

transform scale(rate = 2) {
  match ffn: swiglu(D, F)
  replace with scaled(D, F) {
    inner = ffn
    by    = ones
  }
}
"""


def hover(s, uri, text, needle, extra=0):
    h = s.at("hover", uri, text, needle, extra)
    return h["contents"]["value"] if h else ""


def labels(s, uri, text, needle, extra=0):
    return [i["label"] for i in s.at("completion", uri, text, needle, extra)]


def test(folder):
    env = {**os.environ, "XDG_CACHE_HOME": folder + "/cache"}
    s = Server(env)
    for ability in ("hover", "definition", "documentFormatting",
                    "documentSymbol", "completion"):
        ok(s.can.get(ability + "Provider"), "it can do " + ability, s.can)
    uri = "file://" + folder + "/a%20b.graft"

    text = TEXT
    ok([d for d in s.open(uri, text) if d["severity"] == 1] == [],
       "a sound text has no mistakes")
    bad = text.replace("x * by", "x * bye")
    found = s.change(uri, [{"text": bad}])
    line = bad[:bad.index("bye")].count("\n")
    ok(len(found) == 1 and "bye" in found[0]["message"] and
       found[0]["range"]["start"] == {"line": line, "character": 12} and
       found[0]["range"]["end"] == {"line": line, "character": 15},
       "a mistake has its place", found)
    found = s.change(uri, [{"range": {
        "start": {"line": line, "character": 14},
        "end": {"line": line, "character": 15}}, "text": ""}])
    ok([d for d in found if d["severity"] == 1] == [],
       "a change of a range mends it", found)

    h = hover(s, uri, text, "x * by")
    ok("f32[T, D]" in h or "[T, D]" in h, "hover: a name's type and dims", h)
    h = hover(s, uri, text, "h = x")
    ok("[T, D]" in h, "hover: the type of what is assigned", h)
    h = hover(s, uri, text, "scaled(D, F) {\n    inner")
    ok("module scaled(D, F)" in h and "Scales what it gets." in h,
       "hover: a module's head and comment", h)
    h = hover(s, uri, text, "swiglu(D, F)\n\n")
    ok("module swiglu(D, F)" in h, "hover: a module of the library", h)
    h = hover(s, uri, text, "inner.down", 7)
    ok("down[D, F]" in h, "hover: a part's weight", h)

    d = s.at("definition", uri, text, "by\n")
    ok(d and d["uri"] == uri and d["range"]["start"]["line"] == 4,
       "definition: a weight", d)
    d = s.at("definition", uri, text, "h) +")
    ok(d and d["range"]["start"] == {"line": 8, "character": 4},
       "definition: a local name", d)
    d = s.at("definition", uri, text, "inner = ffn")
    ok(d and d["range"]["start"]["line"] == 5,
       "definition: a left side of replace", d)
    d = s.at("definition", uri, text, "ffn\n    by")
    ok(d and d["range"]["start"]["line"] == 14,
       "definition: what is matched", d)
    d = s.at("definition", uri, text, "swiglu(D, F)\n\n")
    path = d["uri"][7:] if d else ""
    ok(os.path.isfile(path) and "module swiglu" in
       open(path).read().split("\n")[d["range"]["start"]["line"]],
       "definition: of the library, in a file that is there", d)
    d = s.at("definition", uri, text, "llama")
    ok(d and d["uri"].endswith("/llama.graft"), "definition: use", d)
    d = s.at("definition", uri, text, "inner.gate", 7)
    ok(d and d["uri"].endswith("/llama.graft"),
       "definition: a weight of a part", d)

    names = labels(s, uri, text, "inner.down", 6)
    ok(sorted(names) == ["D", "F", "down", "gate", "up"],
       "completion: a part's weights", names)
    names = labels(s, uri, text, "h) +")
    ok({"x", "h", "by", "inner", "softmax", "swiglu", "return"} <= set(names),
       "completion: names, functions, modules, words", names)
    half = text.replace("inner(h) + h @ inner.gate @ inner.down", "inner.")
    s.change(uri, [{"text": half}])
    names = labels(s, uri, half, "return inner.", 13)
    ok({"down", "gate", "up"} <= set(names),
       "completion: in a line that is not done", names)
    used = text.replace("use llama", "use lla")
    s.change(uri, [{"text": used}])
    names = labels(s, uri, used, "use lla", 7)
    ok("llama" in names and "softmax" not in names,
       "completion: files after use", names)

    loose = text.replace("h = x * by", "h=x*by")
    s.change(uri, [{"text": loose}])
    edits = s.ask("textDocument/formatting", {
        "textDocument": {"uri": uri}, "options": {"tabSize": 2,
                                                  "insertSpaces": True}})
    ok(edits and "h = x * by" in edits[0]["newText"] and
       edits[0]["range"]["start"] == {"line": 0, "character": 0},
       "format: as fmt does", edits)
    s.change(uri, [{"text": loose + "module {"}])
    edits = s.ask("textDocument/formatting", {"textDocument": {"uri": uri},
                                              "options": {}})
    ok(edits is None, "format: a text with mistakes stays", edits)
    s.change(uri, [{"text": text}])
    symbols = s.ask("textDocument/documentSymbol",
                    {"textDocument": {"uri": uri}})
    ok([x["name"] for x in symbols] == ["scaled", "scale"],
       "symbols: the definitions", symbols)

    # Columns are UTF-16 units: a character beyond the first plane is two.
    wide = '# 𝒳𝒳\nmodule m(D) {\n  forward(x[T, D]) -> [T, D] { return "𝒳" }\n}\n'
    wide = wide.replace('return "𝒳"', 'return f("𝒳", y)')
    w = "file://" + folder + "/wide.graft"
    found = s.open(w, wide)
    line = wide.split("\n")[2]
    ok(any(d["range"]["start"] == {
        "line": 2, "character": line.index("f(")} for d in found),
       "columns before a wide character", found)
    eight = Server(env, ["utf-8", "utf-16"])
    ok(eight.can.get("positionEncoding") == "utf-8", "bytes where asked for")
    ok(eight.end() == 0, "shutdown and exit end with 0")

    # A file that another uses, as it stands in the editor.
    other = "file://" + folder + "/parts.graft"
    s.open(other, "module p(D) {\n  weight w[D]\n  forward(x[.., D]) "
           "-> [.., D] { return x * w }\n}\n")
    user = "file://" + folder + "/user.graft"
    open(folder + "/parts.graft", "w").write("module old(D) { }\n")
    found = s.open(user, "use parts\nmodule q(D) {\n  a: p(D)\n  forward("
                   "x[T, D]) -> [T, D] { return a(x) }\n}\n")
    ok(found == [], "an open file stands in for the one on disk", found)

    # What is no claim's truth is said where the claim is.
    false = TEXT.replace("    by    = ones\n  }\n",
                         "    by    = ones\n  }\n  preserves\n")
    found = s.change(uri, [{"text": false}])
    at = false[:false.index("preserves")].count("\n")
    ok(any(d["range"]["start"]["line"] == at and d["severity"] == 1
           for d in found),
       "claims are judged as you type", found)
    ok(s.ask("textDocument/rename", {})["code"] == -32601,
       "an unknown request is refused")
    s.raw(b"{ no JSON")
    ok(s.answer()["error"]["code"] == -32700, "what is no JSON is refused")
    gone = s.at("hover", "file:///none.graft", text, "x")
    ok(gone is None, "a text that is not open has no answer", gone)
    for place in (-5, 10 ** 9):
        h = s.ask("textDocument/hover", {
            "textDocument": {"uri": uri},
            "position": {"line": place, "character": place}})
        ok(h is None or "contents" in h, f"a place outside: {place}", h)
    s.tell("textDocument/didClose", {"textDocument": {"uri": w}})
    ok(s.end() == 0, "it ends with 0 after shutdown")

    cut = subprocess.run([graft, "lsp"], input=b"Content-Length: 5\r\n\r\n{}",
                         capture_output=True, timeout=20)
    ok(cut.returncode == 1, "a message cut short ends it with 1",
       cut.returncode)
    big = subprocess.run([graft, "lsp"],
                         input=b"Content-Length: 99999999999\r\n\r\n",
                         capture_output=True, timeout=20)
    ok(big.returncode == 1, "a message too long ends it", big.returncode)
    library = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                           "../../stdlib")
    s = Server(env)
    wrong = []
    for name in sorted(os.listdir(library)):
        path = os.path.join(library, name)
        if name.endswith(".graft") and name != "rules.graft":
            found = s.open("file://" + path, open(path).read())
            wrong += [(name, d) for d in found if d["severity"] == 1]
    ok(not wrong, "the library's files have no mistakes in it", wrong)
    ok(s.end() == 0, "it ends after the whole library")


with tempfile.TemporaryDirectory() as folder:
    test(folder)
print(f"1..{n}")
sys.exit(failures > 0)
