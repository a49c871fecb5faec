#!/usr/bin/env bash
# What fails under us: the n-th open, write, fsync, malloc .. of a run. It ends
# with 0 or with a message and 1; what it writes is whole or not there.
# GRAFT_ALL tries every n, else a few.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
library=${2:-} data_model=$data/hf_tiny/llama
if [ -z "$library" ] || [ ! -e "$library" ]; then
    skip "failing calls" "built with sanitizers, which have their own"
    finish
    exit
fi
if [ ! -d "$data_model" ]; then
    skip "failing calls" "no data"
    finish
    exit
fi
"$graft" apply copy "$data_model" -o whole >/dev/null 2>&1
cat >small.graft <<'TEXT'
use llama
module half(D) {
  weight w[D]
  forward(x[T, D]) -> [T, D] { return x * w / 2 }
}
TEXT

# try KIND N ARGS...: runs with that call failing; 0 if it ends well
try() {
    local fault="$1 $2"
    shift 2
    rm -rf out .out.graft-* made
    status=0
    GRAFT_FAULT=$fault LD_PRELOAD=$library timeout 60 "$graft" "$@" \
        >said 2>told </dev/null || status=$?
    if [ $status -gt 1 ] || { [ $status = 1 ] && ! [ -s told ]; }; then
        echo "$fault: $* ends with $status" >>err
        cat told >>err
        return 1
    fi
    if [ -e out ] && ! diff -r out whole >>err 2>&1; then
        echo "$fault: $* leaves half a folder" >>err
        return 1
    fi
    # without files to open, a folder cannot be emptied: the next run does
    if [[ $fault != open*+ ]] && compgen -G '.out.graft-*' >/dev/null; then
        echo "$fault: $* leaves a temporary" >>err
        return 1
    fi
}

# numbers COUNT: which of them are tried
numbers() {
    local n=$1 most=4
    [ -n "${GRAFT_ALL:-}" ] && most=2000
    if [ "$n" -le $most ]; then
        seq "$n"
    else
        shuf -n $most -i "1-$n" --random-source=<(yes "${GRAFT_SEED:-1}")
    fi
}

# sweep NAME ARGS...
sweep() {
    local name=$1 kind nth many bad=0 tried=0
    shift
    : >err
    for kind in open read write fsync close rename mkdir readdir mmap thread \
        malloc; do
        rm -rf out
        GRAFT_FAULT="$kind 0" GRAFT_FAULT_COUNT=$PWD/count \
            LD_PRELOAD=$library "$graft" "$@" >/dev/null 2>&1 </dev/null
        many=$(cat count)
        for nth in $(numbers "$many"); do
            try $kind "$nth" "$@" || bad=1
            try $kind "$nth+" "$@" || bad=1
            tried=$((tried + 2))
        done
    done
    [ $bad = 0 ]
    ok "$name: $tried failures end well"
}

sweep apply apply copy "$data_model" -o out
rm -rf out
sweep check check small.graft
sweep generate generate "$data_model" --ids 1,2 -n 2
finish
