#!/usr/bin/env bash
# graft build: a tiny model's code, compiled and run; what it refuses.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
"$2" tiny layers=2 >/dev/null

ends 0 "build" build tiny -o code --name tiny --tokens 16
for file in tiny.o tiny.c tiny.h example.c; do
    [ -s code/$file ]
    ok "build: writes $file"
done
if cc --version >/dev/null 2>&1; then
    (cd code && cc -O1 -Wall -Wextra -Werror -fopenmp example.c tiny.c tiny.o \
        -lm -o example && ./example) >out 2>err
    ok "build: the example compiles and runs"
    says out "build" "1 token"
else
    skip "build: the example compiles and runs" "no cc"
fi

# ---- layers ----
ends 0 "layer" build swiglu D=8 F=12 -o layer --dtype bf16
says err "layer" "cc -O2 -fopenmp example.c layer.c layer.o -lm -o example"
says layer/layer.h "layer" "gate_proj.weight: bf16[F = 12, D = 8]"
says layer/layer.h "layer" "in_x: bf16[T, D = 8]"
! grep -q "pos" layer/layer.h
ok "layer: its tokens have no positions"
ends 0 "attention" build llama.graft:attention D=8 H=2 G=1 hd=4 theta=1e4 \
    scaling=none window=none -o attention --name att
says attention/att.h "attention" "pos"
says attention/att.h "attention" "remembers up to 2048 tokens"
! grep -rq "$scratch" layer attention
ok "layers: no paths of this machine"
for cpu in x86-64 x86-64-v3 x86-64-v4 sapphirerapids aarch64; do
    ends 0 "$cpu" build xft_moe D=8 F=12 E=3 K=2 -o $cpu --cpu $cpu
    says $cpu/layer.h "$cpu" "for $cpu."
done
mkdir empty
PATH=$PWD/empty run build swiglu D=8 F=12 -o without
[ "$status" = 0 ]
ok "no compiler: none is needed"
PATH=$PWD/empty run build swiglu D=8 F=12 -o other --lib shared
[ "$status" = 1 ]
ok "no compiler for a library: ends with 1"
says err "no compiler for a library" "cc: No such file or directory"
if cc --version >/dev/null 2>&1; then
    ends 0 "static" build swiglu D=8 F=12 -o static --lib static --name ffn
    ends 0 "shared" build swiglu D=8 F=12 -o shared --lib shared --name more
    cat >both.c <<'EOF'
#include "static/ffn.h"
#include "shared/more.h"
int main(void)
{
    static float x[8], y[8];
    ffn *a = ffn_new(1);
    more *b = more_new(2);
    int64_t n = ffn_run(a, 1, x, y) + more_run(b, 1, x, y);
    ffn_free(a);
    more_free(b);
    return n != 2;
}
EOF
    cc -Wall -Wextra -Werror both.c -Lstatic -lffn -Lshared -lmore -fopenmp \
        -lm -Wl,-rpath,"$PWD/shared" -o both >out 2>err && ./both
    ok "two libraries in one program"
    ! nm -D shared/libmore.so | grep -q ' T more_gr_'
    ok "shared: kernels are not seen from outside"
    (cd x86-64 && cc example.c layer.c layer.o -lm -o example && ./example) \
        >out 2>err
    ok "any x86-64: runs here" # on another machine the compiler says no
    CC=false ends 1 "a compiler that fails" build swiglu D=8 F=12 -o other \
        --lib static
    says err "a compiler that fails" "false failed"
else
    skip "libraries" "no cc"
fi

# ---- what it refuses ----
ends 1 "draws" build expert_choice D=8 F=12 E=4 capacity=2 -o other
says err "draws" "<library>/expert_choice.graft:"
says err "draws" "only runs inside graft"
ends 1 "unknown module" build xft_mo D=8 -o other
says err "unknown module" 'no module `xft_mo` in the library (did you mean `xft'
ends 1 "unknown module of a file" build llama.graft:swigul D=8 -o other
says err "unknown module of a file" 'did you mean `swiglu`?'
ends 1 "missing parameter" build swiglu D=8 -o other
says err "missing parameter" 'needs a value for `F` (<library>/llama.graft:'
ends 1 "bad value" build swiglu D=8 F=1.5 -o other
says err "bad value" "F = 1.5"
ends 1 "a file of several" build llama.graft -o other
says err "a file of several" "which module? llama.graft:NAME says"
ends 1 "a model's parameters" build tiny D=8 -o other
says err "a model's parameters" "a model takes no name=value"
ends 2 "not name=value" build swiglu 8 12 -o other
ends 2 "unknown CPU" build swiglu D=8 F=12 -o other --cpu arm
says err "unknown CPU" "aarch64"
ends 2 "unknown library" build swiglu D=8 F=12 -o other --lib so
ends 1 "there already" build tiny -o code
says err "there already" "code: is there already"
ends 1 "no folder to write to" build tiny -o nowhere/code
says err "no folder to write to" "No such file or directory"
ends 1 "bad name" build tiny -o other --name 1st
says err "bad name" "1st: a name of letters, digits and _ is needed"
[ ! -e other ] && [ -z "$(ls -d other.* 2>/dev/null)" ]
ok "bad name: nothing half-written"
ends 1 "a word of C" build tiny -o other --name int
[ ! -e other ] && [ -z "$(ls -d other.* 2>/dev/null)" ]
ok "refused: nothing half-written"
ends 2 "no output" build tiny
ends 0 "json" build tiny -o more --json
has_key "json" tokens
finish
