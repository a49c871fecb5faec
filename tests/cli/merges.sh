#!/usr/bin/env bash
# Several checkpoints in one: merges whose result is known bit for bit, experts
# from other models and back; models that do not fit.
# $2 is make_tiny, $3 compare_weights.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
make_tiny=$2 compare_weights=$3

"$make_tiny" a seed=1 && "$make_tiny" b seed=2 && "$make_tiny" c seed=3 &&
    "$make_tiny" small seed=4 hidden=32
ok "models to merge"

# merged NAME LIKE TRANSFORM ARGS...: of a; the weights are those of LIKE
merged() {
    local name=$1 like=$2
    shift 2
    rm -rf out.model
    ends 0 "$name" apply "$1" a -o out.model "${@:2}"
    "$compare_weights" out.model "$like" >out 2>err && grep -q ' 0 differ' out
    ok "$name: every weight of $like"
}

merged "a soup of one model" a soup --with other=a
merged "linear, the other alone" b linear own=0 theirs=1 --with other=b
merged "task arithmetic, nothing of it" a task_arithmetic scale=0 \
    --with other=b --with other=c
for name in slerp ties dare model_stock; do
    more=$([ $name = slerp ] || echo "--with other=c")
    # shellcheck disable=SC2086 # none or two words
    ends 0 "$name" apply $name a -o "out.$name" --with other=b $more
    "$compare_weights" "out.$name" a >out 2>err && grep -q ' 0 differ' out
    [ $? != 0 ]
    ok "$name: something changed"
    "$graft" logits "out.$name" --ids 1,2,3 -o out.npy >out 2>err
    ok "$name: it runs"
done

# Experts that are all b's, averaged again; what is not replaced is b's mean.
ends 0 "branch_train_mix" apply branch_train_mix a -o mixed K=1 \
    --with other=b --with other=b
ends 0 "branch_train_mix runs" logits mixed --ids 1,2,3 -o out.npy
ends 0 "and back" apply mean_of_experts mixed -o back
"$compare_weights" back b >out 2>err && grep -q ' 0 differ' out
ok "and back: every weight of b"

ends 1 "two shapes" apply soup a -o none --with other=b --with other=small
says err "two shapes" 'small: tensor lm_head.weight is'
[ ! -e none ]
ok "two shapes: nothing written"
ends 1 "another shape" apply soup a -o none --with other=small
[ ! -e none ]
ok "another shape: nothing written"
ends 0 "experts" apply sparse_upcycling a -o moe E=4
ends 1 "counts without a recipe" apply mean_by_use moe -o none
says err "counts without a recipe" 'is counted by `observe` in a recipe'
[ ! -e none ]
ok "counts without a recipe: nothing written"
finish
