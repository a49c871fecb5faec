#!/usr/bin/env bash
# graft check: mistakes with their places, claims and what becomes of them.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

for name in llama sparse_upcycling xft; do
    ends 0 "check $name" check "$repo/stdlib/$name.graft"
    ! grep -q error err
    ok "check $name: no error"
done
says out "check xft" "xft: preserves: proved"
says out "check xft" "xft_noisy: preserves: proved"
says out "check xft" "xft_merge(xft(m)) == m: proved"
says out "check xft" "sum_softmax"
says out "check xft" \
    "xft.graft: checked 2 modules, 3 transforms, 1 recipe, 1 proof"
run check "$repo/stdlib/sparse_upcycling.graft"
says out "check sparse_upcycling" "sparse_upcycling: preserves: proved"
says out "check sparse_upcycling" \
    "switch_upcycling: preserves: not claimed, and it does not hold"
says out "check sparse_upcycling" "factor: sum(a, k)"

ends 0 "check --json" check --json "$repo/stdlib/xft.graft"
[ "$(json out errors)" = "[]" ]
ok "check --json: no errors"
for key in name text result factor rules; do
    has_key "check --json, a claim" "claims.0.$key"
done
[ "$(json out claims.0.result)" = proved ]
ok "check --json: the first claim is proved"
silent err "check --json"
ends 0 "check -v" check -v "$repo/stdlib/xft.graft"
says out "check -v" "[gather_constant]"
ends 0 "check --quiet" check --quiet "$repo/stdlib/xft.graft"
silent out "check --quiet"

# A claim that does not hold is an error at its place.
cat >claim.graft <<'SPEC'
use sparse_upcycling

transform too_much(E = 4, K = 1) {
  match ffn: swiglu(D, F)
  replace with switch_moe(D, F, E, K) { expert = ffn; router = zeros }
  preserves
}
SPEC
ends 1 "a false claim" check claim.graft
says err "a false claim" "claim.graft:6:3: error: this does not hold"
says out "a false claim" "too_much: preserves: refuted"
ends 1 "a false claim, --json" check --json claim.graft
[ "$(json out claims.0.result)" = refuted ]
ok "a false claim, --json: refuted"
[ "$(json out errors.0.line)" = 6 ]
ok "a false claim, --json: its line"

# Mistakes: all of them in one run, each once, where they are.
mistakes=$data/../examples/mistakes.graft
if [ -e "$mistakes" ]; then
    ends 1 "mistakes.graft" check "$mistakes"
    for line in 9 11 12 18 20 21; do
        grep -q "mistakes.graft:$line:[0-9]*: error: " err
        ok "mistakes.graft: an error at line $line"
    done
    [ "$(grep -c ': error: ' err)" = 6 ]
    ok "mistakes.graft: six errors, no more"
    says err "mistakes.graft" "did you mean \`router\`?"
    ends 1 "mistakes.graft, --json" check --json "$mistakes"
    for key in file line col end message; do
        has_key "mistakes.graft, --json" "errors.5.$key"
    done
    silent err "mistakes.graft, --json"
    for name in llama sparse_upcycling xft; do
        ends 0 "example $name" check "$data/../examples/$name.graft"
    done
else
    skip "mistakes.graft" "the examples are not there"
fi

ends 1 "check of no file" check none.graft
says err "check of no file" "none.graft"
ends 1 "check of no file, --json" check --json none.graft
has_key "check of no file, --json" "errors.0.message"
ends 2 "check without a file" check
ends 1 "check of a good and a bad file" check "$repo/stdlib/xft.graft" \
    claim.graft
says out "check of a good and a bad file" "xft: preserves: proved"
printf 'use nowhere\n' >use.graft
ends 1 "an unknown use" check use.graft
says err "an unknown use" "use.graft:1:5: error: no nowhere.graft"
printf 'use xfd\n' >use.graft
ends 1 "a slip in a use" check use.graft
says err "a slip in a use" "did you mean \`xft\`?"

# A file beside the spec comes before the library's.
mkdir beside
printf 'module mine(D) {\n  forward(x[T, D]) -> [T, D] { return x }\n}\n' \
    >beside/llama.graft
printf 'use llama\nmodule two(D) {\n  part: mine(D)\n' >beside/a.graft
printf '  forward(x[T, D]) -> [T, D] { return part(x) }\n}\n' >>beside/a.graft
ends 0 "use of a file beside" check beside/a.graft

# Weights are never touched: a model's sizes are known from its config.
for stage in model graph; do
    if [ -d "$data/stories260K" ]; then
        ends 0 "show --stage $stage" show --stage $stage "$data/stories260K"
        says out "show --stage $stage" "model.layers.4.mlp.up_proj.weight"
    else
        skip "show --stage $stage" "no data"
    fi
done
ends 2 "show model of a spec" show --stage model "$repo/stdlib/xft.graft"
ends 2 "show ast of a model" show --stage ast "$data/stories260K"
ends 1 "show of no model" show nowhere
says err "show of no model" "nowhere"

finish
