#!/usr/bin/env bash
# Models that are wrong in one way each: graft ends with 1 and one line that
# names the file and what in it, and writes nothing.
# $2 is make_tiny.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
make_tiny=$2

"$make_tiny" tiny 2>err
ok "make_tiny writes a model"
ends 0 "the model as it is" logits tiny --ids 1,2,3 -o whole.npy

nothing_written() { # name
    [ "$(find . -maxdepth 1 ! -name . ! -name out ! -name err ! -name model \
        ! -name tiny ! -name whole.npy ! -name cache)" = "" ]
    ok "$1: nothing is left behind"
}

one_line() { # name, words that it must have
    local name=$1
    shift
    [ "$(grep -c . err)" = 1 ]
    ok "$name: one line"
    for word in "$@"; do
        says err "$name" "$word"
    done
}

# bad KIND WORD...: a copy broken in that way, to logits and to apply.
bad() {
    local kind=$1 name=${1//_/ }
    shift
    rm -rf model
    cp -r tiny model
    python3 "$here/spoil.py" "$kind" model 2>err
    ok "$name: made"
    ends 1 "$name" logits model --ids 1,2 -o x.npy
    one_line "$name" "$@"
    ends 1 "$name, apply" apply xft model -o x
    nothing_written "$name"
}

up=model.layers.1.mlp.up_proj.weight
file=model/model.safetensors
bad truncated $file
bad cut_header $file
bad empty_file $file
bad huge_header $file
bad header_not_json $file
bad unknown_dtype $file $up F33
bad whole_numbers $up
bad past_end $file $up
bad overlap $file $up
bad wrong_size $file $up
bad negative_shape $file $up
bad transposed $up
bad missing_tensor $up
bad extra_tensor model.layers.1.mlp.bias
bad missing_shard model-00002-of-00002.safetensors
bad no_weights model
bad no_config config.json
bad config_not_json model/config.json
bad nan_config model/config.json
bad unknown_architecture LamaForCausalLM
bad missing_field hidden_size
bad text_field model four
bad negative_field model "L (num_hidden_layers) = -4"
bad odd_heads model "hd = 12.8"
bad another_act gelu

rm -rf model
ends 1 "no such model" logits none --ids 1 -o x.npy
one_line "no such model" none
ends 1 "not a model" logits "$0" --ids 1 -o x.npy
one_line "not a model" bad_input.sh
ends 1 "an id too large" logits tiny --ids 1,999999 -o x.npy
one_line "an id too large" 999999
ends 1 "logits to nowhere" logits tiny --ids 1 -o none/x.npy
one_line "logits to nowhere" none/x.npy
nothing_written "logits to nowhere"

mkdir there
ends 1 "the output exists" apply xft tiny -o there
one_line "the output exists" there
[ -z "$(ls -A there)" ]
ok "the output exists: it is left alone"
rmdir there

ends 1 "an unknown transform" apply xfr tiny -o x
says err "an unknown transform" "xft"
ends 1 "an unknown parameter" apply xft tiny -o x exprts=4
says err "an unknown parameter" "experts"
ends 1 "a parameter out of range" apply xft tiny -o x experts=4 active=9
says err "a parameter out of range" "2 to 4"
ends 2 "apply without -o" apply xft tiny
ends 1 "no such file" apply none.graft:xft tiny -o x
says err "no such file" "none.graft"
nothing_written "wrong parameters"

printf 'use b\n' >a.graft
printf 'use a\n' >b.graft
ends 1 "a circle of use" check a.graft
says err "a circle of use" "b.graft"
ends 1 "a circle of use, apply" apply a.graft:t tiny -o x
rm a.graft b.graft
printf 'module \377one() {}\n' >latin.graft
ends 1 "a spec that is not UTF-8" check latin.graft
says err "a spec that is not UTF-8" "UTF-8"
rm latin.graft

# A disk that fills up: no file may grow past 200 kB.
(
    trap '' XFSZ
    ulimit -f 200
    "$graft" apply xft tiny -o x 2>err
)
[ $? = 1 ]
ok "disk full: ends with 1"
one_line "disk full" "File too large"
nothing_written "disk full"
( ulimit -f 200 && "$graft" apply xft tiny -o x 2>err )
[ $? = 1 ]
ok "disk full, with a signal: ends with 1"
nothing_written "disk full, with a signal"
status=0
"$graft" logits tiny --ids 1 -o /dev/full >out 2>err || status=$?
[ $status = 1 ]
ok "logits to a full device: ends with 1"

# Ctrl-C in the middle of a write.
"$make_tiny" model hidden=512 inner=1408 layers=8 heads=8 kv_heads=4 2>err
ok "make_tiny writes a larger model"
"$graft" apply xft model -o x experts=48 active=4 >out 2>err &
pid=$!
for _ in $(seq 500); do
    [ -n "$(find . -maxdepth 2 -path '*x*' -name '*.safetensors*' \
        ! -path './model/*' ! -path './tiny/*')" ] && break
    sleep 0.01
done
kill -INT $pid
status=0
wait $pid || status=$?
[ $status = 1 ]
ok "Ctrl-C in a write: ends with 1 (got $status)"
grep -q interrupt err
ok "Ctrl-C in a write: says so"
nothing_written "Ctrl-C in a write"

finish
