#!/usr/bin/env bash
# Several models made one: what must be exact is; models that do not go
# together are refused.
# $2 is make_tiny, $3 compare_weights.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
make_tiny=$2 compare_weights=$3

for seed in 1 2 3; do
    "$make_tiny" "m$seed" seed=$seed layers=2 2>err
    ok "make_tiny writes model $seed"
done

same_weights() { # name, A, B
    "$compare_weights" "$2" "$3" >out 2>err && grep -q ' 0 differ' out
    ok "$1: every weight bit for bit"
}

# merged NAME TRANSFORM MODEL OTHER... [name=value...]
merged() {
    local name=$1 transform=$2 model=$3 args=()
    shift 3
    for word in "$@"; do
        case $word in
        *=*) args+=("$word") ;;
        *) args+=(--with "other=$word") ;;
        esac
    done
    rm -rf "$name"
    ends 0 "$name" apply "$transform" "$model" -o "$name" "${args[@]}"
}

merged alone soup m1 m1
same_weights "a soup of one model twice" alone m1
merged ab soup m1 m2
merged ba soup m2 m1
same_weights "a soup, either way round" ab ba
"$compare_weights" ab m1 >out 2>err
! grep -q ' 0 differ' out
ok "a soup of two is not the first"
merged nothing task_arithmetic m1 m2 m3 scale=0
same_weights "tasks of scale 0" nothing m1
merged "one of three" linear m1 m2 m3 own=1 theirs=0
same_weights "the weight of one alone" "one of three" m1
merged between slerp m1 m2 t=0.3
merged kept ties m1 m2 m3
merged gguf.gguf soup m1 m2
same_weights "a soup as GGUF" ab gguf.gguf

ends 1 "no other model" apply soup m1 -o x
says err "no other model" "--with other=MODEL"
ends 1 "two for slerp" apply slerp m1 -o x --with other=m2 --with other=m3
"$make_tiny" large hidden=128 layers=2 2>err
ends 1 "another width" apply soup m1 -o x --with other=large
ends 1 "others of two widths" \
    apply soup m1 -o x --with other=m2 --with other=large
says err "others of two widths" "lm_head.weight is [268, 128]"
"$make_tiny" deep layers=3 2>err
ends 1 "a shallower model beside" apply soup deep -o x --with other=m2
[ ! -e x ]
ok "nothing is left of what was refused"

finish
