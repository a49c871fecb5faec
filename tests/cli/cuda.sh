#!/usr/bin/env bash
# cuda GRAFT MAKE_TINY STUBS: --target cuda, with libraries in the place of the
# driver and of NVRTC that run kernels under the emulator: whole models beside
# the interpreter, the cache of compiled kernels, each thing that may be wrong.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
make_tiny=$2 stubs=$3

with_gpu() { # NAME=VALUE... ARGS...: of graft
    local set=()
    while [[ $1 == *=* && $1 != -* ]]; do
        set+=("$1")
        shift
    done
    status=0
    env LD_LIBRARY_PATH="$stubs" STUB_NVRTC_LOG="$PWD/compiles" "${set[@]}" \
        "$graft" "$@" >out 2>err </dev/null || status=$?
}

gpu_ends() { # STATUS NAME ARGS...
    local want=$1 name=$2
    shift 2
    with_gpu "$@"
    [ "$status" = "$want" ] && ! grep -q 'Sanitizer\|runtime error\|stub: ' err
    ok "$name: ends with $want"
}

# The same text as the interpreter's, the first step of several tokens.
same_text() { # NAME MODEL
    run generate "$2" -p "Once upon a" -n 8 --temp 0 --target interp
    mv out want
    gpu_ends 0 "$1" generate "$2" -p "Once upon a" -n 8 --temp 0 --target cuda
    cmp -s out want && [ -s out ]
    ok "$1: the interpreter's text"
}

"$make_tiny" tiny hidden=48 inner=44 layers=2 heads=3 kv_heads=1 || exit 2
"$make_tiny" half hidden=64 inner=80 layers=2 dtype=bf16 || exit 2
run apply sparse_upcycling half -o moe E=4 K=2
[ "$status" = 0 ]
ok "a mixture of experts is made"
same_text "f32, heads of 16" tiny
same_text "bf16" half
same_text "experts" moe

# logits near the interpreter's, of 67 tokens
ids=$(seq -s, 1 67)
for model in tiny moe; do
    run logits "$model" --ids "$ids" -o want.npy --target interp
    gpu_ends 0 "logits of $model" logits "$model" --ids "$ids" -o is.npy \
        --target cuda --device 1
    apart want.npy is.npy >apart.txt
    most=1e-5
    [ $model = moe ] && most=0.03
    between "logits of $model" 0 $most "$(cat apart.txt)"
done
printf 'Once upon a time there was a graph.' >text
run eval tiny --nll text --target interp --json
mv out want
gpu_ends 0 "eval" eval tiny --nll text --target cuda --json
python3 - <<'PY'
import json
a, b = json.load(open("want")), json.load(open("out"))
key = [k for k in a if "nll" in k][0]
raise SystemExit(not abs(a[key] - b[key]) < 1e-4)
PY
ok "eval: the interpreter's loss"

# ---- the cache ----
rm -f compiles
gpu_ends 0 "again" generate tiny -p a -n 1 --target cuda
[ ! -e compiles ]
ok "again: nothing is compiled"
entry=$(ls -t cache/graft/*.o | head -1)
printf 'spoiled' | dd of="$entry" bs=1 seek=200 conv=notrunc 2>/dev/null
gpu_ends 0 "a damaged file" generate tiny -p a -n 1 --target cuda
[ "$(wc -l <compiles)" -le 1 ]
ok "a damaged file: no more than that is compiled again"
rm -f compiles
gpu_ends 0 "without NVRTC" GRAFT_NVRTC=/nowhere generate tiny -p a -n 1 \
    --target cuda
gpu_ends 0 "a newer GPU" STUB_NVRTC=archs=80 XDG_CACHE_HOME="$PWD/other" \
    generate tiny -p a -n 1 --target cuda
grep -q 'compute_80' compiles
ok "a newer GPU: PTX of the newest that NVRTC knows"
rm -f compiles
gpu_ends 0 "a newer NVRTC" STUB_NVRTC=version=14 generate tiny -p a -n 1 \
    --target cuda
[ -s compiles ]
ok "a newer NVRTC: its own kernels"
rm -f compiles
gpu_ends 0 "and the older one" generate tiny -p a -n 1 --target cuda
[ ! -e compiles ]
ok "and the older one: finds its own"
gpu_ends 0 "no cache folder" XDG_CACHE_HOME=/dev/null/none generate tiny -p a \
    -n 1 --target cuda
[ "$(grep -c 'are not kept' err)" = 1 ]
ok "no cache folder: said once"
mkdir closed
chmod 500 closed
gpu_ends 0 "a closed cache" XDG_CACHE_HOME="$PWD/closed" generate tiny -p a \
    -n 1 --target cuda
chmod 700 closed

# ---- what may be wrong ----
wrong() { # NAME TEXT ARGS...
    local name=$1 text=$2
    shift 2
    gpu_ends 1 "$name" "$@" generate tiny -p a -n 1 --target cuda
    says err "$name" "$text"
    # not the sanitizer's word on fibers
    [ "$(grep -vc '^==.*swapcontext' err)" = 1 ]
    ok "$name: one line"
    silent out "$name"
}
wrong "no GPU" "the CUDA driver finds no GPU" STUB_CUDA=count=0
wrong "an old GPU" "compute capability 7.5; kernels need 8.0" STUB_CUDA=cc=75
wrong "little memory" "the weights need" STUB_CUDA=memory=20000
wrong "little memory" "are free" STUB_CUDA=memory=20000
wrong "an old driver" "its driver, of CUDA 12.0, does not take gr_" \
    STUB_CUDA=driver=12000,load=222
wrong "a launch" "gr_map_x_0: an illegal memory access" STUB_CUDA=launch=700
wrong "a fault" "GRAFT_CUDA_SYNC=1 says which" STUB_CUDA=wait=700
wrong "a fault, waited for" "gr_map_x_0: unspecified launch failure" \
    STUB_CUDA=wait=719 GRAFT_CUDA_SYNC=1
wrong "no NVRTC" "scripts/get-nvrtc fetches it" GRAFT_NVRTC=/nowhere \
    XDG_CACHE_HOME="$PWD/none"
wrong "an old NVRTC" "knows nothing that a GPU of compute capability 9.0" \
    STUB_NVRTC=archs=75 XDG_CACHE_HOME="$PWD/none"
gpu_ends 1 "no such device" generate tiny -p a -n 1 --target cuda --device 2
says err "no such device" "no device 2: there are 2, from 0 on"
with_gpu STUB_NVRTC=refuse=1 XDG_CACHE_HOME="$PWD/none" generate tiny -p a \
    -n 1 --target cuda
[ "$status" = 3 ] && file=$(grep -o '/tmp/graft-[A-Za-z0-9]*' err) &&
    grep -q GRAFT_KERNEL "$file"
ok "a text that NVRTC refuses: ends with 3, and says where it is"
rm -f "$file"
gpu_ends 1 "an id out of range" logits tiny --ids 99999 -o y.npy --target cuda
[ ! -e y.npy ]
ok "an id out of range: nothing is written"
gpu_ends 2 "--quantize" generate tiny -p a -n 1 --target cuda --quantize q8
gpu_ends 1 "a step of training" show tiny --step --stage cuda
says err "a step of training" "CUDA has no text for"
silent out "a step of training"
gpu_ends 1 "ptx without NVRTC" GRAFT_NVRTC=/nowhere show tiny --stage ptx
says err "ptx without NVRTC" "scripts/get-nvrtc fetches it"
silent out "ptx without NVRTC"
if "$graft" doctor | grep -q 'NVRTC *[0-9]'; then
    ends 0 "ptx" show tiny --stage ptx
    says out "ptx" ".entry gr_attend"
else
    skip "ptx" "no NVRTC"
fi
gpu_ends 0 "doctor" doctor
says out "doctor" "stub 1"
finish
