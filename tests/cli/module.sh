#!/usr/bin/env bash
# FILE.graft:MODULE name=value: one module with its parameters given, at every
# stage; what is said of parameters that do not fit.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

cat >own.graft <<'EOF'
use llama

module two(D, E, F = 2 * D, sums = true) {
  weight mix[E, D]
  input  kind[T]: E
  ffn: swiglu(D, F) as "mlp"

  forward(x[T, D], y[T, D]) -> [T, D] {
    stat seen = count(kind, E)
    return sums ? ffn(x) + y * mix[E: kind] : ffn(x)
  }
}
EOF
ends 0 "model" show own.graft:two D=8 E=3 --stage model
says out "model" "module two, f32"
says out "model" "  F = 16"
says out "model" "f32[F, D]                file mlp.gate_proj.weight"
ends 0 "graph" show own.graft:two D=8 E=3 F=5 --dtype bf16
says out "graph" "dim F = 5"
says out "graph" 'input("x")'
says out "graph" 'E[T] '
grep -q 'bf16\[T, D\] *= input("y")' out
ok "graph: an input an argument"
[ "$(grep -c 'output' out)" = 2 ] && grep -q 'output y = ' out &&
    grep -q 'output stat.seen = ' out
ok "graph: its output and its stat"
run show own.graft:two D=8 E=3 --stage kernels
[ "$(grep -c 'output' out)" = 1 ] && ! grep -q 'stat' out
ok "kernels: no stat"
for stage in kernels llvm asm cuda; do
    ends 0 "$stage" show own.graft:two D=8 E=3 --stage $stage
done
ends 0 "the library's" show xft_moe D=8 F=6 E=3 K=2 --stage kernels
mv out named
ends 0 "the library's file" show xft.graft:xft_moe D=8 F=6 E=3 K=2 \
    --stage kernels
cmp -s out named
ok "the library's: the same by its file"
ends 0 "every parameter unknown" show xft_moe
says out "every parameter unknown" "dim D = D"
export ASAN_OPTIONS=detect_leaks=0 # Graphviz keeps its fonts
ends 0 "page" show own.graft:two D=8 E=3 --html page.html
grep -q 'id="kernels"' page.html || grep -q 'data-for="kernels"' page.html
ok "page: has the kernels"
ends 0 "picture" show own.graft:two D=8 E=3 --svg two.svg
[ -s two.svg ]
ok "picture: is there"
unset ASAN_OPTIONS

ends 1 "missing" show own.graft:two D=8
says err "missing" 'module `two` needs a value for `E` (own.graft:3:15): E=val'
ends 1 "missing, several" show own.graft:two --stage kernels
says err "missing, several" 'needs a value for `D`, `E` (own.graft:3:12)'
ends 1 "a slip" show own.graft:two D=8 E=3 sum=false
says err "a slip" 'no parameter `sum` (did you mean `sums`?): it has 4 param'
says err "a slip" 'own.graft:3:'
ends 0 "a flag" show own.graft:two D=8 E=3 sums=false
! grep -q 'mix' out
ok "a flag: folded"
ends 1 "twice" show own.graft:two D=8 E=3 D=9
says err "twice" '`D` is given twice'
for value in wide true none nan ""; do
    ends 1 "D=$value" show own.graft:two E=3 D=$value
    says err "D=$value" "own.graft:3:"
done
for value in 2.5 0 -1 1e15; do
    ends 1 "D=$value" show own.graft:two E=3 D=$value
    says err "D=$value" "own.graft:4:"
    says err "D=$value" "a whole number of at least 1"
done
ends 1 "more elements than there can be" show own.graft:two \
    D=1000000000 E=1000000000
says err "more elements than there can be" 'weight `mix` [1000000000, 10000'
ends 1 "top-k" show xft_moe D=8 F=6 E=3 K=4
says err "top-k" "K = 4 of E = 3"
ends 1 "unknown module" show own.graft:tow D=8
says err "unknown module" 'no module `tow` in own.graft:tow (did you mean `two`'
ends 1 "a model" show llama.graft:llama D=8
says err "a model" "a checkpoint"
ends 2 "a model's" show nothing D=8
ends 2 "a file's" show own.graft D=8
ends 2 "transform" show own.graft:two --transform xft D=8
finish
