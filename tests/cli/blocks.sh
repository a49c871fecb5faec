#!/usr/bin/env bash
# Files of several quantised types, as Q4_K_M and its like are: layers stored in
# different ways, gate and up too, and rows that are no whole super-blocks; all
# stay as they are, and agree with the interpreter on what they stand for.
# $2 is make_tiny, $3 make_blocks.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
make_tiny=$2 make_blocks=$3
ids=5,17,3,250,9,44,12,101,7,60,33

# agrees NAME TYPES BODIES MODEL: no matmul's weights are but of these types
agrees() {
    ends 0 "$1: its kernels" show "$4" --stage kernels
    sed -n 's/.*weights .* as \([a-z0-9_]*\) \[.*/\1/p' out | sort -u |
        tr '\n' ' ' >types
    [ "$(cat types)" = "$2 " ]
    ok "$1: read as $2"
    [ "$(grep -c '^body ' out)" = "$3" ]
    ok "$1: bodies: $3"
    cp out kernels.txt
    ends 0 "$1: the text read again" show kernels.txt --stage kernels
    cmp -s out kernels.txt
    ok "$1: prints the same"
    ends 0 "$1, interpreted" logits "$4" --ids $ids -o interp.npy \
        --target interp
    ends 0 "$1, two threads" logits "$4" --ids $ids -o two.npy --threads 2
    between "$1: from the interpreter" 0 1e-4 "$(apart interp.npy two.npy)"
    ends 0 "$1, one thread" logits "$4" --ids $ids -o one.npy --threads 1
    cmp -s one.npy two.npy
    ok "$1: one thread has the bits of two"
}

"$make_tiny" tiny hidden=256 inner=512 layers=5 2>err
ok "make_tiny writes a model"
"$make_blocks" tiny k_m.gguf _proj=q4_k lm_head=q6_k embed=q4_k \
    layers.1.self_attn.v_proj=q6_k layers.1.mlp.down_proj=q6_k \
    layers.4.self_attn.v_proj=q6_k layers.4.mlp.down_proj=q6_k 2>err
ok "as Q4_K_M"
agrees "as Q4_K_M" "q4_k q6_k" 2 k_m.gguf

"$make_blocks" tiny all.gguf _proj=q5_k q_proj=q5_0 k_proj=q5_1 v_proj=q8_0 \
    gate_proj=q4_1 up_proj=q4_0 lm_head=q5_k layers.2.mlp.up_proj=q4_1 \
    layers.3.self_attn.o_proj=f16 layers.4.self_attn.o_proj=q6_k 2>err
ok "every type"
agrees "every type" "f16 q4_0 q4_1 q5_0 q5_1 q5_k q6_k q8_0" 4 all.gguf

# 96 is no multiple of 256: what llama.cpp falls back to
"$make_tiny" odd hidden=96 inner=160 heads=3 kv_heads=3 layers=3 2>err
"$make_blocks" odd odd.gguf _proj=q5_0 lm_head=q8_0 \
    layers.0.self_attn.v_proj=q8_0 layers.0.mlp.down_proj=q8_0 2>err
ok "as Q4_K_M with rows of 96"
agrees "rows of 96" "q5_0 q8_0" 2 odd.gguf

# experts: one by one, stacked in the file
ends 0 "a mixture" apply sparse_upcycling tiny -o moe E=4 K=2
"$make_blocks" moe moe.gguf _proj=q4_k w1=q4_k w2=q5_k w3=q4_k lm_head=q6_k \
    layers.3.block_sparse_moe.experts.0.w2=q6_k \
    layers.3.block_sparse_moe.experts.1.w2=q6_k \
    layers.3.block_sparse_moe.experts.2.w2=q6_k \
    layers.3.block_sparse_moe.experts.3.w2=q6_k 2>err
ok "a mixture's blocks"
agrees "a mixture" "f32 q4_k q5_k q6_k" 2 moe.gguf

finish
