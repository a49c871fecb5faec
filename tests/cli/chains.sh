#!/usr/bin/env bash
# What apply writes can be read, runs and is applied to again, whatever came
# before; several other models by name; what it must refuse.
# $2 is make_tiny, $3 compare_weights.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
make_tiny=$2 compare_weights=$3 files=$here/chains

"$make_tiny" a seed=1 && "$make_tiny" b seed=2 && "$make_tiny" c seed=3
ok "models to begin with"
ends 0 "logits of the first" logits a --ids 1,2,3,4,5 -o a.npy

# step NAME TRANSFORM FROM TO ARGS...: applied, read back, run; `graft` once.
step() {
    ends 0 "$1" apply "$2" "$3" -o "$4" "${@:5}"
    ends 0 "$1, read back" logits "$4" --ids 1,2,3,4,5 -o "$4.npy" \
        --target interp
    [ "$(grep -c '"graft":' "$4/config.json")" -le 1 ]
    ok "$1: one graft in config.json"
}

same_function() { # NAME FOLDER: that of a
    between "$1" 0 1e-5 "$(apart a.npy "$2.npy")"
}

same_weights() { # NAME A B
    "$compare_weights" "$2" "$3" >out 2>err && grep -q ' 0 differ' out
    ok "$1: every weight bit for bit"
}

architecture() { json "$1/config.json" architectures.0; }

# ---- chains ----

step "a Mixtral" sparse_upcycling a mixtral E=4
step "a copy of it" copy mixtral mixtral2
same_weights "a copy of a Mixtral" mixtral mixtral2
[ "$(architecture mixtral2)" = MixtralForCausalLM ] &&
    [ ! -e mixtral2/model.graft ]
ok "it is still a Mixtral"
step "Mixtral to an own layer" "$files/half.graft:rename" mixtral half
same_function "Mixtral to an own layer" half
step "a copy of that" copy half half2
same_function "a copy of that" half2
step "xft" xft a xft experts=4 active=3
step "xft's experts behind a switch" "$files/regroup.graft:regroup" xft re K=3
step "Mixtral to a switch" "$files/regroup.graft:as_switch" mixtral switch
step "to dense under another name" "$files/regroup.graft:to_dense" \
    mixtral dense
same_function "to dense under another name" dense
step "and up again" sparse_upcycling dense up E=2
same_function "and up again" up
step "and down again" mean_of_experts up down
same_function "and down again" down
step "pesc" pesc a pesc
step "a step inside it" sparse_upcycling pesc inside E=2
step "Mixtral by another's text" "$files/mine.graft:mine" a mine
step "a copy of that" copy mine mine2
same_function "Mixtral by another's text" mine2
step "back to dense" mean_of_experts mixtral back
same_weights "back to dense" a back
python3 - a back <<'PY' >out 2>err
import json, sys
a, b = (json.load(open(p + "/config.json")) for p in sys.argv[1:])
assert {k: b.get(k) for k in a} == a and "graft" not in b, (a, b)
PY
ok "back to dense: the config it had"

# ---- names that clash ----

step "one layer by the first file" "$files/first.graft:mine" a one
step "the other by the second" "$files/second.graft:mine" one two
same_function "two layers of one name" two
step "one of them back" "$files/second.graft:back" two three
same_function "one of them back" three
step "and again" "$files/second.graft:mine" three four
same_function "and again" four
step "another sparse_upcycling" "$files/second.graft:sparse_upcycling" a other
same_function "another sparse_upcycling" other
[ "$(architecture other)" = GraftForCausalLM ]
ok "it computes otherwise than Mixtral, and is none"
step "Mistral's own name" copy a mistral
sed -i 's/LlamaForCausalLM/MistralForCausalLM/; s/"llama"/"mistral"/' \
    mistral/config.json
step "a Mistral up" sparse_upcycling mistral mup E=2
step "and down" mean_of_experts mup mdown
[ "$(architecture mdown)" = MistralForCausalLM ]
ok "it is a Mistral again"

# ---- a model that only its own text reads ----

cp -r a own
sed -i 's/LlamaForCausalLM/OwnForCausalLM/' own/config.json
sed 's/"LlamaForCausalLM", "MistralForCausalLM"/"OwnForCausalLM"/' \
    "$repo/stdlib/llama.graft" >own/model.graft
step "an own model" copy own own2
[ -e own2/model.graft ]
ok "its text travels"
same_function "an own model" own2
step "upcycled" xft own2 own3 experts=3 active=2
step "and merged" xft_merge own3 own4
same_function "and merged" own4
same_weights "and merged" own own4

# ---- other models by name ----

two="--with a=b --with b=c"
# shellcheck disable=SC2086 # words
step "two others" "$files/three.graft:three" a sum $two
step "the other way round" "$files/three.graft:three" a sum2 \
    --with b=c --with a=b
same_weights "whatever the order" sum sum2
ends 1 "one is missing" apply "$files/three.graft:three" a -o none --with a=b
says err "one is missing" "--with b=MODEL"
ends 1 "one too many" apply "$files/three.graft:three" a -o none \
    --with a=b --with b=c --with b=c
says err "one too many" 'takes one model as `b`, not 2'
ends 1 "an unknown one" apply "$files/three.graft:three" a -o none \
    --with a=b --with b=c --with d=c
says err "an unknown one" 'has no `d` that is a model'
ends 1 "others for none" apply copy a -o none --with other=b
says err "others for none" "takes no other models"
step "several of each" "$files/three.graft:both" a several \
    --with near=b --with far=c --with near=c
"$make_tiny" half16 seed=2 dtype=bf16
step "bf16 among f32" branch_train_mix a types --with other=half16 \
    --with other=b
step "in another order" branch_train_mix a types2 --with other=b \
    --with other=half16
[ "$(json types/config.json torch_dtype)" = float32 ] &&
    [ "$(json types2/config.json torch_dtype)" = float32 ]
ok "both are f32"
ends 0 "it says the types" apply soup a -o said --with other=half16
says err "it says the types" "half16 is bf16"

# ---- what must not be written ----

refused() { # NAME WHAT ARGS...
    ends 1 "$1" apply "${@:3}" -o none
    says err "$1" "$2"
    [ ! -e none ]
    ok "$1: nothing is left"
}
refused "a weight of NaN" "becomes NaN, though all" \
    "$files/three.graft:no_number" a
refused "a weight of infinity" "becomes infinite, though all" \
    "$files/three.graft:infinite" a
ends 0 "large weights" apply "$files/three.graft:infinite" a -o large s=1e15
refused "too large for f16" "too large for f16" copy large --dtype f16
ends 1 "too large for GGUF's f16" apply copy large -o none.gguf --dtype f16
says err "too large for GGUF's f16" "too large for f16"
[ ! -e none.gguf ]
ok "too large for GGUF's f16: nothing is left"

# ---- warnings ----

ends 0 "a claim that fails" apply "$files/three.graft:claims_too_much" a -o x2
says err "a claim that fails" "warning: this does not hold"
ends 0 "expert choice" apply expert_choice a -o choice E=4
says err "expert choice" "warning: this goes over T"
ends 0 "its warnings as JSON" apply expert_choice a -o choice2 E=4 --json
grep -q 'goes over T' <<<"$(json out warnings.0)"
ok "its warnings as JSON: there"

# ---- layers that look at all tokens ----

ends 0 "Soft MoE" apply "$files/soft.graft:soft" a -o soft
for model in choice soft; do
    for target in cpu interp; do
        ends 0 "$model on $target" generate $model --ids 1,2,3,4,5 -n 8 \
            --target $target
        says err "$model on $target" "computes the whole text again"
        [ "$(grep -c "whole text again" err)" = 1 ]
        ok "$model on $target: said once"
        mv out "$model.$target"
    done
    cmp "$model.cpu" "$model.interp" >out 2>err
    ok "$model generates the same on every target"
done
ends 0 "a causal one" generate mixtral --ids 1,2,3 -n 2
! grep -q "whole text" err
ok "a causal one is not computed again"
ends 0 "the four best tokens" apply "$files/fixed.graft:best" a -o best
ends 0 "the fourth token" apply "$files/fixed.graft:at3" a -o fourth
ends 0 "more than there are" apply expert_choice a -o most E=4 capacity=8
for target in cpu interp; do
    for model in best fourth most; do
        ends 1 "$model of three on $target" \
            logits $model --ids 1,2,3 -o x.npy --target $target
        says err "$model of three on $target" "asked for, which has 3"
    done
    for model in best fourth; do
        ends 0 "$model of four on $target" \
            logits $model --ids 1,2,3,4 -o x.npy --target $target
        ends 1 "$model generates from one on $target" \
            generate $model --ids 1 --target $target
    done
done

# ---- draws ----

differ() { # NAME FOLDER TENSOR TENSOR same|other
    python3 - "$2" "$3" "$4" "$5" <<'PY' >out 2>err
import json, struct, sys
folder, a, b, want = sys.argv[1:]
data = open(folder + "/model.safetensors", "rb").read()
n, = struct.unpack("<Q", data[:8])
head = json.loads(data[8:8 + n])
x, y = (data[8 + n:][slice(*head[k]["data_offsets"])] for k in (a, b))
assert (x == y) == (want == "same") and len(x) == len(y) and any(x)
PY
    ok "$1: $5"
}
ends 0 "drop-upcycling" apply "$files/drop.graft:drop_upcycling" a -o drop E=3
moe=model.layers.0.block_sparse_moe.experts
differ "experts' noise" drop $moe.0.w1.weight $moe.1.w1.weight other
ends 0 "noise" apply "$files/three.graft:noise" a -o noise
ends 0 "noise as it is asked for" apply "$files/three.graft:alike" a -o alike
ffn() { echo "model.layers.$1.mlp.$2_proj.weight"; }
differ "layers' noise" noise "$(ffn 0 gate)" "$(ffn 1 gate)" other
differ "the same noise" alike "$(ffn 0 gate)" "$(ffn 1 gate)" same
differ "beside it another" alike "$(ffn 0 up)" "$(ffn 1 up)" other
ends 0 "dealt out" apply split a -o dealt E=4 K=4
part() { echo "model.layers.$1.mlp.expert.0.gate_proj.weight"; }
differ "layers' permutations" dealt "$(part 0)" "$(part 1)" other

# ---- merges at their ends ----

python3 - a zero <<'PY' >out 2>err
import json, os, shutil, struct, sys
src, to = sys.argv[1:]
shutil.copytree(src, to)
path = to + "/model.safetensors"
data = bytearray(open(path, "rb").read())
n, = struct.unpack("<Q", data[:8])
head = json.loads(data[8:8 + n])
a, b = head["model.layers.0.mlp.up_proj.weight"]["data_offsets"]
data[8 + n + a:8 + n + b] = bytes(b - a)
open(path, "wb").write(data)
PY
ok "a model with a tensor of zeros"
step "slerp of zeros" slerp zero slerped t=0.3 --with other=b
step "slerp to zeros" slerp b slerped2 t=0.3 --with other=zero
step "model stock of what did not change" model_stock a stock \
    --with other=a --with other=a
same_weights "model stock of what did not change" a stock
step "model stock with one that did not" model_stock a stock2 \
    --with other=a --with other=b
same_function "model stock with one that did not" stock2
ends 0 "one expert" apply sparse_upcycling a -o single E=1 K=1
step "averaged with no others" ewa_average single average
same_weights "averaged with no others" single average
ends 0 "a neuron an expert" apply split a -o neurons E=88 K=88
step "and back" unsplit neurons whole
same_function "and back" whole

finish
