#!/usr/bin/env bash
# graft show of texts: a graph's or kernels', as printed or edited.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
make_tiny=$2

same() { # NAME FILE: out has the bytes of FILE
    cmp -s out "$2"
    ok "$1: the same bytes"
}

"$make_tiny" tiny >out 2>err
ok "a model"
for subject in "tiny" "swiglu D=40 F=30" "xft_moe D=48 F=40 E=5 K=3"; do
    for stage in kernels graph asm cuda; do
        # shellcheck disable=SC2086 # a name and its parameters
        ends 0 "$subject" show $subject --stage $stage
        mv out "want.$stage"
    done
    # shellcheck disable=SC2086
    ends 0 "$subject" show $subject --stage kernels --target cuda
    mv out cuda.kernels
    ends 0 "$subject, CUDA's kernels" show cuda.kernels --target cuda
    same "$subject, CUDA's kernels" cuda.kernels
    ends 0 "$subject, CUDA's kernels to cuda" show cuda.kernels --stage cuda
    same "$subject, CUDA's kernels to cuda" want.cuda
    for stage in kernels asm; do
        ends 0 "$subject, kernels to $stage" show want.kernels --stage $stage
        same "$subject, kernels to $stage" "want.$stage"
    done
    for stage in kernels asm cuda; do
        ends 0 "$subject, graph to $stage" show want.graph --stage $stage
        same "$subject, graph to $stage" "want.$stage"
    done
    ends 0 "$subject, graph" show want.graph --stage graph
    same "$subject, graph" want.graph
    ends 0 "$subject, kernels to graph" show want.kernels --stage graph
    sed '/^# The graph/,/^$/d; /^# Its kernels/,$d' want.kernels |
        sed '$d' >after
    same "$subject, kernels to graph" after
done

"$graft" show - --stage kernels <want.kernels >out 2>err
same "standard input" want.kernels
ends 0 "no stage" show want.graph
same "no stage" want.kernels

sed 's/mul(silu(/mul(relu(/' want.kernels >bad.txt
ends 1 "a wrong tree" show bad.txt --stage asm
silent out "a wrong tree"
says err "a wrong tree" "bad.txt:$(grep -n 'relu(<' bad.txt | head -1 |
    cut -d: -f1):"
says err "a wrong tree" "or silu(..), found relu"
sed 's/tokens [0-9]*/tokens 33/' want.kernels >bad.txt
ends 1 "a wrong choice" show bad.txt --stage asm
says err "a wrong choice" "is a whole number from 1 to 32"
ends 0 "a model" show tiny --stage kernels
mv out tiny.kernels
ends 1 "rows computed on load" show tiny.kernels --stage cuda
says err "rows computed on load" "CUDA's matmuls compute no rows"
sed 's/tokens [0-9]*/tokens 31/' want.kernels >bad.txt
ends 1 "too many registers" show bad.txt --stage asm
says err "too many registers" "needs more registers than this machine has"
"$graft" show "$repo/stdlib/xft.graft:xft_moe" >open.txt
ends 1 "unknown sizes" show open.txt --stage kernels
says err "unknown sizes" "kernels need every size but T"
for stage in ast model; do
    ends 2 "stage $stage" show want.kernels --stage $stage
done
ends 2 "a parameter" show want.kernels D=3
ends 2 "a picture" show want.kernels --svg x.svg
finish
