#!/usr/bin/env bash
# graft check --json: each mistake's range is exactly the text it is about;
# columns count characters, whatever their bytes.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

# ranges NAME FILE: each `#> LINE: TEXT` of the file is a range of the output,
# in order, and there are no others.
ranges() {
    run check --json "$2"
    python3 - "$2" >err 2>&1 <<'PY'
import json, sys
lines = open(sys.argv[1], encoding="utf-8").read().split("\n")
want = [l[3:].split(": ", 1) for l in lines if l.startswith("#> ")]
got = []
for e in json.load(open("out"))["errors"]:
    assert e["file"] == sys.argv[1], e
    assert 1 <= e["col"] < e["end"], e
    text = lines[e["line"] - 1] if e["line"] <= len(lines) else ""
    assert e["message"] and "\n" not in e["message"][:1], e
    got.append([str(e["line"]), text[e["col"] - 1:e["end"] - 1]])
assert sorted(got) == sorted(want), (got, want)
PY
    ok "$1: the ranges are those of the text"
}

cat >plain.graft <<'SPEC'
module m(D, E, K) {
  weight gate[E, D]
  forward(x[T, D]) -> [T, E] {
    s = softmax(x @ gate, D)
    return s + unknown
  }
}
#> 4: D
#> 5: unknown
SPEC
ranges "a plain text" plain.graft

cat >utf8.graft <<'SPEC'
use llama   # Größe: ∑ 𝛼 日本語
transform t(E = 4) {
  require E > 0, "größer als 0: ∑ 𝛼"; match ffn: swigul(D, F)
  replace with swiglu(D, F) { each w = ffn.w }
}
#> 3: swigul
SPEC
ranges "after characters of 2, 3 and 4 bytes" utf8.graft

printf 'module m(D) {\n\tweight w[D]\n' >tab.graft
printf '\tforward(x[T, D]) -> [T, D] {\n' >>tab.graft
printf '\t\treturn x *\tnone_such\n\t}\n}\n#> 4: none_such\n' >>tab.graft
ranges "after tabs" tab.graft

printf 'module m(D) {\r\n  weight w[D]\r\n  forward(x[T, D]) -> [T, D] {' \
    >crlf.graft
printf ' return x * nope }\r\n}\r\n#> 3: nope\n' >>crlf.graft
ranges "lines that end as on Windows" crlf.graft

# A range over several lines ends with its first.
cat >lines.graft <<'SPEC'
module m(D) {
  forward(x[T, D]) -> [T, D] {
    v, i = topk(x,
                3)
    return v
  }
}
#> 3: topk(x,
SPEC
ranges "a mistake over two lines" lines.graft

printf 'module m(D) {\n  weight w[D]\n' >open.graft
ends 1 "an open brace" check --json open.graft
for key in file line col end message; do
    has_key "an open brace" "errors.0.$key"
done
[ "$(json out errors.0.end)" -gt "$(json out errors.0.col)" ]
ok "an open brace: its range is not empty"
printf 'module \377(D) {\n' >bytes.graft
ends 1 "bytes that are no UTF-8" check --json bytes.graft
has_key "bytes that are no UTF-8" errors.0.message
python3 -c 'import json; json.load(open("out"))' 2>err
ok "bytes that are no UTF-8: still JSON"

finish
