#!/usr/bin/env bash
# What the language has beyond one model's text: modules as parameters, names at
# any depth, transforms in each other, experts in an array, parts of tensors.
# $2 is make_tiny, $3 compare_weights.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
make_tiny=$2 compare_weights=$3
"$make_tiny" tiny >/dev/null 2>&1 || "$make_tiny" tiny

same() { # name, A, B
    "$compare_weights" "$2" "$3" >out 2>err && grep -q ' 0 differ' out
    ok "$1: every weight bit for bit"
}

# ---- graft list ----
ends 0 "list" list
says out "list" "sparse_upcycling(E = 8, K = 2)"
says out "list" "LlamaForCausalLM"
says out "list" "other: model[N]"
ends 0 "list --json" list --json
python3 -c 'import json,sys
l = json.load(open("out"))
assert {"models", "transforms", "recipes", "modules"} <= set(l)
assert any(m["name"] == "xft" for m in l["transforms"])' 2>err
ok "list --json: an object of four lists"
ends 1 "list of no file" list none.graft

# ---- one mistake, one message ----
ends 1 "half an expert" apply xft tiny -o half experts=4.5 active=2
says err "half an expert" "a dim's size must be a whole number"
[ "$(grep -c "error:" err)" = 1 ]
ok "half an expert: one message"

# ---- modules as parameters, patterns by form ----
cat >any.graft <<'X'
use llama

# Any FFN as experts. More of it.
module any_moe(D, F, E, K, ffn: module = swiglu) {
  weight router[E, D]
  expert[E]: ffn(D, F)
  forward(x[T, D]) -> [T, D] {
    logit, i = topk(f32(x) @ router, k: K)
    return sum(softmax(logit, k) * expert[i](x), k)
  }
}
transform up(E = 4, K = 2) {
  match ffn: module(D, F)
  replace with any_moe(D, F, E, K, ffn) {
    expert = ffn
    each ..router = normal(0, 0.02)
  }
  preserves
}
transform down() {
  match moe: any_moe(D, F, E, K, ffn)
  replace with ffn(D, F) as "mlp" { each w = mean(moe.expert.w, E) }
}
transform tune(R = 2) {
  match ffn: swiglu(D, F)
  learn a[D, R] = uniform(0.1), b[F, R] = zeros
  ffn.gate = ffn.gate + b @ a
  preserves
}
prove down(up(m)) == m for m: llama
X
ends 0 "any FFN: check" check any.graft
says out "any FFN" "up: preserves (swiglu): proved"
says out "any FFN and back" "down(up(m)) == m: proved"
ends 0 "list of a file" list any.graft
says out "list of a file" "any_moe(D, F, E, K, ffn: module = swiglu)"
says out "list of a file" "Any FFN as experts"
ends 0 "up" apply any.graft:up tiny -o up
ends 0 "down" apply any.graft:down up -o down
same "up and down" tiny down
ends 0 "experts in an array are matched" apply any.graft:tune up -o tuned
ends 0 "they run" logits tuned --ids 1,2,3 -o x.npy

# ---- in each other ----
ends 0 "composed" apply 'any.graft:down(up(m, E: 8))' tiny -o both
same "composed" tiny both
ends 1 "no such inner transform" apply 'xft_merge(xfd(m))' tiny -o none
ends 1 "a slip in the text" apply 'xft_merge(xft(m experts: 4))' tiny -o none
says err "a slip in the text" "is needed at"
ends 1 "no such parameter" apply 'xft_merge(xft(m, expert: 4))' tiny -o none

# ---- lists as parameters ----
cat >lists.graft <<'X'
use llama
transform layers(t = [1, 1]) {
  match ffn: swiglu(D, F) in layer[l]
  each ffn.w = t[l % 2] * w
}
transform weighted(other: model[N], t = [0.5, 0.25]) {
  each w = (1 - t[0] - t[1]) * w + sum(t[N] * other.w, N)
}
X
ends 0 "lists" check lists.graft
ends 0 "a number for each layer" apply lists.graft:layers tiny -o ones
same "a number for each layer, all 1" tiny ones
ends 0 "a number for each model" apply lists.graft:weighted tiny -o mixed \
    --with other=tiny --with other=ones 't=[0.5,0.25]'
same "a number for each model, all the same" tiny mixed
ends 1 "a list too short" apply lists.graft:weighted tiny -o none \
    --with other=tiny 't=[1]'
says err "a list too short" "has 1 elements: there is none at 1"

# ---- each b, where a weight is called b ----
cat >each.graft <<'X'
use llama
module lin(D, R) {
  weight a[R, D], b[D, R]
  forward(x[.., D]) -> [.., D] { return x @ a @ b }
}
module with_lin(D, F, R) {
  core: swiglu(D, F)
  side: lin(D, R)
  forward(x[.., D]) -> [.., D] { return core(x) + side(x) }
}
transform t(R = 2) {
  match ffn: swiglu(D, F)
  replace with with_lin(D, F, R) {
    core = ffn
    each ..a = uniform(0.1)
    each ..b = zeros
  }
  preserves
}
X
sed '/^transform t/,$d' each.graft >slip.graft
cat >>slip.graft <<'X'
transform slip(R = 2) {
  match ffn: swiglu(D, F)
  replace with with_lin(D, F, R) { each b = zeros }
}
X
ends 0 "each ..b" check each.graft
says out "each ..b" "t: preserves: proved"
ends 1 "each b" check slip.graft
says err "each b" "all that are called b are \`each ..b\`"
cat >none.graft <<'X'
use llama
transform t() {
  match ffn: swiglu(D, F)
  each ..nothing = zeros
}
X
ends 1 "no weight of the name" check none.graft
says err "no weight of the name" "no weight is called \`nothing\`"

# ---- parts that do not fit ----
cat >part.graft <<'X'
module m(D, F) {
  weight up[F, D] as "w" rows 0 .. F + 1
  forward(x[.., D]) -> [.., F] { return x @ up }
}
X
ends 1 "rows that are not the weight's" show part.graft:m D=4 F=6 --stage model
says err "rows that are not the weight's" "7 rows are not what"
cat >slices.graft <<'X'
module m(D, H) {
  weight w[H, D]
  forward(x[T, D]) -> [T, D] {
    y = x @ w
    return x * sum(y[H: 1 .. H + 1], H)
  }
}
X
ends 1 "a part beyond the dim" show slices.graft:m D=4 H=6 --stage graph
says err "a part beyond the dim" "does not lie within H"

finish
