#!/usr/bin/env bash
# Losses and stats of a model's modules: outputs of its graph, printed by eval;
# what needs the logits alone does not have them. Loops that carry several
# values, and read others.
# effects.sh GRAFT MAKE_TINY
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
    hit  = mean(count(i, E), T) / K
    loss balance = E * sum(hit * mean(p, T), E)
    loss one     = mean(sum(p, E), T)
    stat usage   = sum(count(i, E), T)
    return sum(a * expert[i](x), k)
  }
}

transform half(E = 4, K = 2) {
  match ffn: swiglu(D, F) in layer[l] where l % 2 == 1
  replace with moe(D, F, E, K) { expert = ffn; router = normal(0, 0.02) }
}

transform all(E = 4, K = 2) {
  match ffn: swiglu(D, F)
  replace with moe(D, F, E, K) { expert = ffn; router = normal(0, 0.02) }
}
TEXT
ids=3,5,7,9,2,4,6,8,1
for t in half all; do
    "$graft" apply moe.graft:$t tiny -o $t --quiet 2>err
    ok "apply $t"
    ends 0 "$t: eval --stats" eval $t --ids $ids --stats --json
    cp out cpu
    ends 0 "$t: on the interpreter" eval $t --ids $ids --stats --json \
        --target interp
    cp out interp
    python3 - $t cpu interp 2>err >out <<'PY'
import json, sys
which = sys.argv[1]
cpu, interp = (json.load(open(p)) for p in sys.argv[2:])
for v in cpu, interp:
    stat = v["stats"]["layer.ffn.usage"]
    layers = stat["layers"]
    step = 2 if which == "half" else 1
    assert layers == list(range(step - 1, step * len(layers), step)), layers
    for row in stat["values"]:
        assert len(row) == 4 and sum(row) == v["tokens"] * 2, row
    # each layer's probabilities sum to 1
    assert abs(v["losses"]["one"] - len(layers)) < 1e-5 * len(layers), v
    assert len(layers) * 0.9 < v["losses"]["balance"] < len(layers) * 4
assert cpu["stats"] == interp["stats"]
assert abs(cpu["losses"]["balance"] - interp["losses"]["balance"]) < 1e-5
PY
    ok "$t: each layer's usage, losses summed over layers, both targets alike"
    run eval $t --ids $ids
    grep -q '^loss balance' out && ! grep -q '^stat' out
    ok "$t: eval has losses, and stats only if asked"
    run show $t --stage graph
    cp out text.ir
    grep -q '^  output loss.balance = ' out &&
        grep -q '^  output stat.layer.ffn.usage = ' out
    ok "$t: both are outputs of the graph"
    run show text.ir --stage graph
    cmp -s out text.ir
    ok "$t: its text reads back"
    run show $t --stage kernels
    ! grep -q 'loss\|stat' out
    ok "$t: kernels of y alone do not make them"
done
run eval tiny --ids $ids --stats
says err "a model without stats" 'no module of this model has a `stat`'
run eval all --ids $ids --stats --json --length 4
python3 - 2>err <<'PY'
import json
v = json.load(open("out"))
for row in v["stats"]["layer.ffn.usage"]["values"]:
    assert sum(row) == 2 * v["tokens"], row
layers = len(v["stats"]["layer.ffn.usage"]["layers"])
assert abs(v["losses"]["one"] / layers - 1) < 1e-5
PY
ok "over windows stats are sums, losses means"

ends 0 "a dense model's eval --stats" eval tiny --ids $ids --stats --json
! grep -q 'losses\|stats' out
ok "a dense model has neither"

# A module's loops, as a repeat and (with a number that is carried) written out.
cat >loops.graft <<'TEXT'
module step(D) {
  weight w[D]
  forward(a[T, D], b[T, D], c[T, D]) -> [T, D] {
    return silu(a) * w + b - c / 2
  }
}

module loops(D, n) {
  s[4]: step(D)
  forward(x[T, D]) -> [T, D] {
    h = x * 2
    c = cos(x)
    k = n
    for i in 4 {
      old = x
      x = s[i](x, h, c)
      h = s[i](h, old, c)
TEXT
cp loops.graft inline.graft
cat >>loops.graft <<'TEXT'
    }
    return x + 3 * h + k * c
  }
}
TEXT
cat >>inline.graft <<'TEXT'
      k = k
    }
    return x + 3 * h + k * c
  }
}
TEXT
for f in loops inline; do
    ends 0 "$f" show $f.graft:loops D=7 n=1 --stage graph
    cp out $f.ir
done
grep -q 'carry "x.h" "y.h"' loops.ir && grep -q 'same "same.c"' loops.ir
ok "a loop carries x and h, and reads c"
! grep -q repeat inline.ir
ok "with a number that changes it is written out"
exit $((failures > 0))
