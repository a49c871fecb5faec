#!/usr/bin/env bash
# Modules with more weights, products, sums, operations and results than one
# kernel has room for: they are cut into several, which compute the same.
# wide.sh GRAFT MAKE_TINY
. "$(dirname "$0")/lib.sh"
make_tiny=$2
"$make_tiny" tiny >/dev/null

each() { # COUNT TEXT: the text with each number for #
    for i in $(seq "$1"); do printf '%s' "${2//\#/$i}"; done
}

# module NAME WEIGHTS STATEMENTS RESULT
module() {
    cat <<TEXT

module $1(D, F) {
  weight own[D]$2
  forward(x[T, D]) -> [T, D] {
    y = x * own
    $3return $4
  }
}

transform to_$1() {
  match ffn: swiglu(D, F)
  replace with $1(D, F) { each w = normal(0, 0.3) }
}
TEXT
}

{
    echo 'use llama'
    module weights "$(each 60 ', w#[D]')" "$(each 60 'y = tanh(y + w#); ')" y
    module picks '' "$(each 60 'y = y[D: 0] + 0.1 * y[D: 1] + tanh(y); ')" \
        'tanh(y)'
    module products "$(each 50 ', m#[F, D]')" '' \
        "x * tanh(sum(0$(each 50 ' + x @ m#'), F))"
    module behind ", m[F, D]$(each 60 ', w#[F]')" \
        "z = x @ m; $(each 60 'z = tanh(z * w#); ')" 'x * sum(z, F)'
    module before ", m[F, D]$(each 60 ', w#[D]')" \
        "$(each 60 'y = y + w#; ')" 'x * sum(y @ m, F)'
    module sums '' "$(each 70 'y = tanh(y + sum(y, D) / #); ')" y
    module long '' "$(each 1100 'y = relu(y + 0.01); ')" y
    module stats '' "$(each 60 'stat s# = sum(y * #, D, T); ')" y
} >wide.graft

for kind in weights picks products behind before sums long stats; do
    ends 0 "apply $kind" apply wide.graft:to_$kind tiny -o $kind --quiet
    ends 0 "$kind as CUDA" show --stage cuda $kind
done
for kind in weights behind stats; do
    for target in cpu interp; do
        run logits $kind --ids 3,5,7,9 -o $target.npy --target $target
    done
    between "$kind: the CPU and the interpreter" 0 1e-5 \
        "$(apart interp.npy cpu.npy)"
done
for kind in products stats; do # a plan of each kind
    ends 0 "$kind as kernels" show --stage kernels $kind
    cp out plan
    run show --stage kernels plan
    cmp -s out plan
    ok "$kind: its kernels' text is read back"
done
for target in cpu interp; do
    ends 0 "stats on $target" eval stats --ids 3,5,7,9 --stats \
        --target $target
    grep s60 -A 2 out >$target
done
between "stats: as many on the CPU" 1 9 "$(grep -c . cpu)"
[ "${GRAFT_ALL:-0}" = 0 ] || # 15 s
    ends 0 "training weights" show --step --stage kernels weights

finish
