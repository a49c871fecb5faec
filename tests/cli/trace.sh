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

# ---- data with labels, beside goldens of PyTorch's ----
printf '{"ids": [1,2,3], "labels": [-100,-100,3]}\n{"ids": [4,5]}\n' >d.jsonl
ends 0 "eval on labels" eval tiny --data d.jsonl --json
cp out some
ends 0 "eval on ids" eval tiny --ids 4,5 --json
cp out two
ends 0 "all of three" eval tiny --ids 1,2,3 --json
python3 - 2>err <<'PY'
import json, math
some, two, three = (json.load(open(p)) for p in ("some", "two", "out"))
assert some["tokens"] == 2 and two["tokens"] == 1 and three["tokens"] == 2
assert "stderr" not in two
# x, y: the losses of 3 behind 1 2, and of 5 behind 4
y = two["nll"]
x = 2 * some["nll"] - y
first = 2 * three["nll"] - x
for v, pair in (some, (x, y)), (three, (x, first)):
    m = sum(pair) / 2
    sd = math.sqrt(sum((p - m) ** 2 for p in pair))  # over n - 1 = 1
    assert abs(v["stderr"] - sd / math.sqrt(2)) < 1e-6, (v, pair)
PY
ok "the mean over labels and its standard error"
printf '{"ids": [1,2,999999]}\n' >bad.jsonl
ends 1 "an id that the model has not" eval tiny --data bad.jsonl
says err "its file and line" 'bad.jsonl:1'
ends 1 "the same in trace" trace half bad.jsonl
ends 2 "a text and data" eval tiny --data d.jsonl --nll d.jsonl
for t in xft_adamw xft_router switch_aux olmoe qwen2_moe deepseek pesc; do
    if [ ! -f "$data/train/$t/golden.json" ]; then
        skip "$t: usage and loss of the first step" "no $data/train"
        continue
    fi
    python3 - "$data/train" $t >base 2>err <<'PY'
import json, os, sys
root, t = sys.argv[1:]
g = json.load(open(f"{root}/{t}/golden.json"))
lines = open(f"{root}/{t}/data.jsonl").readlines()
open("first.jsonl", "w").writelines(lines[:g["settings"]["batch"]])
at = os.path.join(root, g["base"])
print(at if os.path.exists(at) else os.path.join(root, "..", g["base"]))
PY
    base=$(cat base)
    "$graft" trace "$base" first.jsonl --csv t.csv --quiet >/dev/null 2>err &&
        "$graft" eval "$base" --data first.jsonl --json >out 2>>err &&
        python3 - "$data/train/$t/golden.json" 2>>err <<'PY'
import csv, json, sys
g = json.load(open(sys.argv[1]))
usage = {}
for r in csv.DictReader(open("t.csv", newline="")):
    usage.setdefault(int(r["layer"]), []).append(int(r["chosen"]))
got = [usage[k] for k in sorted(usage)]
want = [u for u in g["first_usage"] if u]
assert got == want, (got, want)
nll = json.load(open("out"))["nll"]
loss = g["history"][0]["loss"]
assert abs(nll - loss) < 2e-5 * abs(loss), (nll, loss)
PY
    ok "$t: usage and loss of the first step"
done
exit $((failures > 0))
