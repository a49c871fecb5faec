#!/usr/bin/env bash
# A new elementwise operation is one row of ops.def: a scratch copy of the tree
# gets one (and one of three arguments) and the gradient that it names, is
# built, and has it in the language, the interpreter, the CPU's and the CUDA
# code, the prover and the docs.
# $2: the C compiler's launcher, or nothing
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

mkdir tree
for part in CMakeLists.txt base dsl compiler passes codegen runtime cli stdlib \
    scripts tests bench docs; do
    cp -r "$repo/$part" tree/
done
cat >>tree/compiler/graph/ops.def <<'ROW'
MAP(softsign, 1, map, IS_exact_at_0, a, 4, 0, softsign, "a",
    a / (1 + fabs(a)),
    quot(e, a, add(e, magnitude(e, a), like(a, 1))),
    "$a2 / (1.0~ + fabs~($a9))", PRODUCT) /* `x / (1 + abs(x))` */
MAP(lerp, 3, map, 0, false, 3, 0, lerp, "abc",
    a + (b - a) * c,
    add(e, a, mul(e, sub(e, b, a), c)),
    "$a3 + ($b3 - $a2) * $c1", SUM) /* from a to b by the share c */
ROW
cat >>tree/compiler/grad/rules_map.c <<'RULE'

void grad_softsign(Back *b, const Node *n, Node *g)
{
    Node *a = g_map1(b->g, OP_abs, n->arg[0]);
    Node *d = plus(b->g, num_like(b->g, a, 1), a);
    back_give(b, n->arg[0], over(b->g, g, square(b->g, d)));
}

void grad_lerp(Back *b, const Node *n, Node *g)
{
    Node *c = n->arg[2], *one = num_like(b->g, c, 1);
    back_give(b, n->arg[0], times(b->g, g, minus(b->g, one, c)));
    back_give(b, n->arg[1], times(b->g, g, c));
    back_give(b, c, times(b->g, g, minus(b->g, n->arg[1], n->arg[0])));
}
RULE
launcher=
[ -z "${2:-}" ] || launcher=-DCMAKE_C_COMPILER_LAUNCHER=$2
# shellcheck disable=SC2086
cmake -S tree -B made -DCMAKE_BUILD_TYPE=None -DCMAKE_C_FLAGS=-O0 $launcher \
    >out 2>err &&
    cmake --build made -j 2 --target graft test_ops test_jit \
        test_grad >>out 2>>err
ok "a row more: it builds"
graft=$scratch/made/graft

made/test_grad >out 2>err
ok "its gradient is that of central differences"
made/test_ops >out 2>err
ok "what its rows say is what they compute"
made/test_jit >out 2>err
ok "the CPU computes what the interpreter does"

cat >new.graft <<'SPEC'
module soft(D, F) {
  weight up[F, D], down[D, F]
  forward(x[.., D]) -> [.., D] {
    h = softsign(x @ up)
    return lerp(x, h @ down, 0.5)
  }
}
module soft_by_one(D, F) {
  weight up[F, D], down[D, F]
  forward(x[.., D]) -> [.., D] {
    one = softsign(exp(x)) / softsign(exp(x)) # above 0, so it cancels
    h = softsign(x @ up)
    return lerp(x, h @ down, 0.5) * one
  }
}
module soft_by_some(D, F) {
  weight up[F, D], down[D, F]
  forward(x[.., D]) -> [.., D] {
    h = softsign(x @ up) * 0.5
    return lerp(x, h @ down, 0.5)
  }
}
transform by_one() {
  match m: soft(D, F)
  replace with soft_by_one(D, F) { up = m.up; down = m.down }
  preserves
}
transform by_some() {
  match m: soft(D, F)
  replace with soft_by_some(D, F) { up = m.up; down = m.down }
}
rule softsign_twice: softsign(abs(x)) => abs(softsign(x))
rule wrong_rule: softsign(x) => x
SPEC
ends 1 "the prover tries rules with it" check new.graft
says err "a wrong rule of it" "wrong_rule"
silent_about() { # file, what, text
    ! grep -q "$3" "$1"
    ok "$2: nothing of $3"
}
silent_about err "a right rule of it" "softsign_twice"
sed -i '/^rule wrong_rule/d' new.graft
ends 0 "the language has it" check -v new.graft
says out "the prover, its sign" "by_one"
says out "the prover, its sign" "proved"
says out "the interpreter, a counterexample" "by_some"
ends 0 "the graph" show new.graft:soft D=8 F=16 --stage graph
says out "the graph" "softsign("
says out "the graph" "lerp("
ends 0 "the CPU's code" show new.graft:soft D=8 F=16 --stage llvm
says out "the CPU's code" "llvm.fabs"
ends 0 "the CUDA code" show new.graft:soft D=8 F=16 --stage cuda
says out "the CUDA code" "fabsf("
cat >slip.graft <<'SPEC'
module m(D) { forward(x[.., D]) -> [.., D] { return softsing(x) } }
SPEC
ends 1 "a slip" check slip.graft
says err "a slip" "did you mean \`softsign\`?"

(cd tree && scripts/docs_ops --check) >out 2>err
[ $? = 1 ]
ok "docs without it are told"
(cd tree && scripts/docs_ops) >out 2>err
tree/tests/cli/editors.sh "$graft" >out 2>err
ok "editors have it"
grep -qF "| \`softsign(x)\` | \`x / (1 + abs(x))\` |" tree/docs/language.md &&
    grep -qF "\`lerp\`" tree/docs/ir.md
ok "the docs have it"
finish
