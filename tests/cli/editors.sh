#!/usr/bin/env bash
# docs/editors: the words that editors colour are the language's, and the JSON
# is JSON. Vim tries its files where it is installed.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
editors=$repo/docs/editors

sed -n 's/^WORD([A-Z]*, *"\([a-z]*\)").*/\1/p' "$repo/dsl/words.def" |
    sort >words
builtins >built
[ -s words ] && [ -s built ]
ok "the tables of words and built-in functions are found"

same() { # NAME WANT: stdin, sorted, is the file WANT
    sort -u | diff "$2" - >out 2>err
    ok "$1"
}

vim=$editors/vim/syntax/graft.vim
vim_words() { # GROUP...
    for group in "$@"; do
        sed -n "s/^syntax keyword $group //p" "$vim"
    done | tr ' ' '\n' | grep .
}
same "Vim: words" words < <(vim_words graftDefine graftWord graftOperatorWord)
same "Vim: built-in functions" built < <(vim_words graftBuiltin)

code=$editors/vscode
code_words() { # NAME...
    python3 - "$code/syntaxes/graft.tmLanguage.json" "$@" <<'PY'
import json, re, sys
rules = json.load(open(sys.argv[1]))["repository"]
for name in sys.argv[2:]:
    longest = max(re.findall(r"\(\??:?([a-z0-9_|]+)\)", rules[name]["match"]),
                  key=len)
    print(longest.replace("|", "\n"))
PY
}
same "VS Code: words" words < <(code_words define word operatorword)
same "VS Code: built-in functions" built < <(code_words builtin)

for file in package.json language-configuration.json \
    syntaxes/graft.tmLanguage.json; do
    python3 -m json.tool "$code/$file" >out 2>err
    ok "VS Code: $file is JSON"
done
python3 - "$code" >out 2>err <<'PY'
import json, os, re, sys
has = json.load(open(sys.argv[1] + "/package.json"))["contributes"]
for path in [has["grammars"][0]["path"], has["languages"][0]["configuration"]]:
    assert os.path.exists(os.path.join(sys.argv[1], path)), path
pattern = has["problemMatchers"][0]["pattern"]
found = re.match(pattern["regexp"], "a b.graft:3:5: error: no dim `K`")
assert found.group(pattern["line"]) == "3", found.groups()
assert found.group(pattern["message"]) == "no dim `K`", found.groups()
rules = json.load(open(sys.argv[1] + "/syntaxes/graft.tmLanguage.json"))
for name, rule in rules["repository"].items():
    for key in ("match", "begin", "end"):
        re.compile(rule.get(key, ""))
word = rules["repository"]["word"]["match"]
assert re.search(word, "return x") and not re.search(word, "moe.on")
assert not re.search(word, "input: 3") and re.search(word, "a for b")
PY
ok "VS Code: what package.json names is there, its patterns work"

if command -v vim >/dev/null; then
    printf 'module m(D) {\n  weight w[D]\n}\n' >a.graft
    timeout 20 vim -Nu NONE -es --cmd "set rtp^=$editors/vim" \
        -c 'filetype plugin on' -c 'syntax on' -c 'edit a.graft' \
        -c 'redir! > out' -c 'echo &filetype' \
        -c 'echo synIDattr(synID(1, 1, 1), "name")' \
        -c 'echo synIDattr(synID(2, 3, 1), "name")' -c 'redir END' -c 'qa!' \
        </dev/null >/dev/null 2>err
    grep -q graftDefine out && grep -q graftWord out && grep -q '^graft$' out
    ok "Vim: a file is known and coloured"
else
    skip "Vim: a file is known and coloured" "no vim here"
fi

if command -v node >/dev/null; then
    node "$repo/tests/cli/vscode.js" "$graft" >out 2>err
    ok "VS Code: the extension asks the server and shows what it says"
else
    skip "VS Code: the extension" "no node here"
fi
finish
