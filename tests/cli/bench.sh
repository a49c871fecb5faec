#!/usr/bin/env bash
# graft bench: small layers and a tiny model; keys of its JSON; wrong usage.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
"$2" tiny layers=2 >/dev/null

ends 0 "moe" bench moe --sizes 64,96 --tokens 1,7 --tries 2
says out "moe" "peaks of"
says out "moe" "mixtral"
ends 0 "moe json" bench --sizes 64,96 --tokens 3 --tries 1 --json
for key in machine.read_gbps rows.0.what rows.0.tokens rows.0.ms \
    rows.1.gflops rows.1.gbps rows.1.peak_share; do
    has_key "moe json" $key
done
[ "$(json out rows.1.what)" = mixtral ]
ok "moe json: the second is mixtral"
ends 0 "matmul" bench matmul --sizes 70,33 --tokens 5 --tries 1 --dtype f32
ends 0 "model" bench model tiny --tokens 1,9 --tries 1 --kernels
says out "model" "gr_attend"
ends 2 "no model" bench model
ends 2 "unknown" bench mo
ends 1 "no such model" bench model nowhere
finish
