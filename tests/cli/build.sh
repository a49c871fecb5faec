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
ends 1 "there already" build tiny -o code
says err "there already" "code: is there already"
ends 1 "no folder to write to" build tiny -o nowhere/code
says err "no folder to write to" "No such file or directory"
ends 1 "bad name" build tiny -o other --name 1st
says err "bad name" "1st: a name of letters, digits and _ is needed"
[ ! -e other ] && [ -z "$(ls -d other.* 2>/dev/null)" ]
ok "bad name: nothing half-written"
ends 2 "no output" build tiny
ends 0 "json" build tiny -o more --json
has_key "json" tokens
finish
