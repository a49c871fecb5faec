#!/usr/bin/env bash
# Which experts a model chooses: trace beside a stat of the model's own, on both
# targets, over windows, beside a second model; its table and its picture.
# trace.sh GRAFT MAKE_TINY
. "$(dirname "$0")/lib.sh"
make_tiny=$2

"$make_tiny" tiny >/dev/null
cat >moe.graft <<'TEXT'
use llama

module moe(D, F, E, K) {
  weight router[E, D]
  expert[E]: swiglu(D, F)

  forward(x[T, D]) -> [T, D] {
    p    = softmax(f32(x) @ router, E)
    a, i = topk(p, k: K)
    stat usage  = sum(count(i, E), T)
    stat weight = sum(count(i, E) * p, T)
    return sum(a * expert[i](x), k)
  }
}

transform half(E = 4, K = 2) {
  match ffn: swiglu(D, F) in layer[l] where l % 2 == 1
  replace with moe(D, F, E, K) { expert = ffn; router = normal(0, 0.5) }
}

transform mixed() {
  match ffn: swiglu(D, F) in layer[l] where l > 0
  replace with moe(D, F, l + 2, 1) { expert = ffn; router = normal(0, 0.5) }
}
TEXT
ids=3,5,7,9,2,4,6,8,1
for t in half mixed; do
    "$graft" apply moe.graft:$t tiny -o $t --quiet 2>err
    ok "apply $t"
    ends 0 "$t: eval --stats" eval $t --ids $ids,0 --stats --json
    cp out stats
    ends 0 "$t: trace" trace $t --ids $ids --json
    cp out cpu
    ends 0 "$t: on the interpreter" trace $t --ids $ids --json --target interp
    cp out interp
    python3 - stats cpu interp 2>err <<'PY'
import json, math, sys
stats, cpu, interp = (json.load(open(p)) for p in sys.argv[1:])
# stats by the experts' number and layer; trace's routes likewise
want = {}
for name, s in stats["stats"].items():
    kind = name.split(".")[2]
    for layer, row in zip(s["layers"], s["values"]):
        want[kind, layer] = row
for v in cpu, interp:
    (t,) = v["traces"]
    assert t["tokens"] == 9 and len(t["routes"]) >= 1
    seen = 0
    for r in t["routes"]:
        for layer, share, weight, even in zip(
                r["layers"], r["share"], r["weight"], r["evenness"]):
            usage = want["usage", layer]
            assert len(usage) == r["experts"] == len(share), r
            for n, s in zip(usage, share):
                assert abs(n / 9 - s) < 1e-12, (n, s)
            for n, w, all in zip(usage, weight, want["weight", layer]):
                assert abs(w * n - all) < 1e-5, (w, n, all)
            p = [n / sum(usage) for n in usage if n]
            e = -sum(x * math.log(x) for x in p) / math.log(len(usage))
            assert abs(e - even) < 1e-9, (e, even)
            seen += 1
    assert seen == sum(k == "usage" for k, _ in want), (seen, want)
PY
    ok "$t: shares, weights, evenness as the model's own stats have them"
done

ends 0 "windows" trace half --ids $ids --length 4 --json
python3 - 2>err <<'PY'
import json
(t,) = json.load(open("out"))["traces"]
for r in t["routes"]:
    for row in r["share"]:
        assert abs(sum(row) - 2) < 1e-12, row
PY
ok "over windows each token has its choices"

echo 'a text' >'a"b<&>.txt'
ends 0 "a second model, a table, a picture" trace half --beside mixed \
    --ids $ids --csv t.csv --svg t.svg
python3 - 2>err <<'PY'
import csv, xml.dom.minidom as dom
rows = list(csv.DictReader(open("t.csv", newline="")))
models = {r["model"] for r in rows}
assert models == {"half", "mixed"}, models
half = [r for r in rows if r["model"] == "half"]
layers = {r["layer"] for r in half}
assert len(half) == 4 * len(layers)
for layer in layers:
    assert sum(int(r["chosen"]) for r in half if r["layer"] == layer) == 18
svg = dom.parse("t.svg").documentElement
cells = [r for r in svg.getElementsByTagName("rect")
         if r.getElementsByTagName("title")]
assert len(cells) == len(rows), (len(cells), len(rows))
PY
ok "the table has a row an expert and layer, the picture a cell"

ends 1 "a dense model" trace tiny --ids $ids
says err "which says so" 'no token chooses an expert'
ends 1 "an id out of range" trace half --ids 1,999999
ends 2 "neither data nor ids" trace half
ends 2 "both" trace half x.txt --ids 1
ends 1 "a file that is not there" trace half none.txt
ends 1 "a folder that is not there" trace half --ids 1 --csv no/where.csv
exit $((failures > 0))
