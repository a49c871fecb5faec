#!/usr/bin/env bash
# --quantize: blocks made while a model is loaded are those that a GGUF file
# would have, the interpreter agrees with what they stand for, and what cannot
# be is refused.
# $2 is make_tiny.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
make_tiny=$2
ids=5,17,3,250,9,44,12,101,7,60,33

"$make_tiny" tiny hidden=64 inner=96 2>err
ok "make_tiny writes a model"
ends 0 "a mixture" apply sparse_upcycling tiny -o moe E=4 K=2
for model in tiny moe; do
    # a folder of what the blocks of a file stand for: made blocks again, they
    # are the same, and the router of a mixture is not among them
    ends 0 "$model to q8_0" apply copy $model -o $model.gguf --dtype q8_0
    ends 0 "$model and back" apply copy $model.gguf -o $model-back
    ends 0 "$model, a file's" logits $model.gguf --ids $ids -o file.npy
    ends 0 "$model, made" \
        logits $model-back --ids $ids -o made.npy --quantize q8
    cmp file.npy made.npy >out 2>err
    ok "$model: blocks made are those of the file, bit for bit"
    ends 0 "$model, interpreted" \
        logits $model-back --ids $ids -o interp.npy --target interp
    between "$model: from the interpreter" 0 5e-4 "$(apart interp.npy made.npy)"
    ends 0 "$model as it is" logits $model --ids $ids -o whole.npy
    ends 0 "$model in 8 bits" logits $model --ids $ids -o q8.npy --quantize q8
    ends 0 "$model in 4 bits" logits $model --ids $ids -o q4.npy --quantize q4
    between "$model: 8 bits" 1e-5 0.05 "$(apart whole.npy q8.npy)"
    between "$model: 4 bits" 1e-3 0.8 "$(apart whole.npy q4.npy)"
    ends 0 "$model, one thread" logits $model --ids $ids -o one.npy \
        --quantize q4 --threads 1
    cmp q4.npy one.npy >out 2>err
    ok "$model: one thread has the bits of two"
done
ends 0 "bf16" logits tiny --ids $ids -o half.npy --quantize q8 --dtype bf16
between "bf16" 1e-5 0.05 "$(apart whole.npy half.npy)"
ends 0 "generate" generate tiny -p "the band" -n 4 --quantize q4
ends 0 "bench" bench model tiny --tokens 1 --tries 1 --quantize q4 --json
has_key "bench" rows.0.ms

ends 1 "blocks already" logits tiny.gguf --ids 1 -o x.npy --quantize q8
says err "blocks already" "no matmul here has a float weight"
"$make_tiny" odd hidden=48 inner=80 heads=3 kv_heads=3 2>err
ends 1 "no whole blocks" logits odd --ids 1 -o x.npy --quantize q4
says err "no whole blocks" "whole blocks of 32"
ends 2 "another kind" logits tiny --ids 1 -o x.npy --quantize q5
says err "another kind" "no kind of quantize"
ends 2 "interpreted" logits tiny --ids 1 -o x.npy --quantize q8 --target interp
says err "interpreted" "--quantize needs --target cpu"
ends 2 "apply" apply copy tiny -o x --quantize q8
[ ! -e x.npy ] && [ ! -e x ]
ok "nothing is written by what was refused"

finish
