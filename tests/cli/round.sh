#!/usr/bin/env bash
# Models written and read again: a folder, a GGUF file, a folder; the weights
# bit for bit, the config with all its fields, the same text.
# $2 is make_tiny, $3 compare_weights.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
make_tiny=$2 compare_weights=$3

same_weights() { # name, A, B
    "$compare_weights" "$2" "$3" >out 2>err && grep -q ' 0 differ' out
    ok "$1: every weight bit for bit"
}

same_fields() { # name, A, B: all fields of A's config are B's
    python3 - "$2/config.json" "$3/config.json" >out 2>err <<'PY'
import json, sys
a, b = (json.load(open(p)) for p in sys.argv[1:])
for key, value in a.items():
    found = b.get(key)
    if not (found == value and type(found) is type(value)) and value:
        sys.exit(f"{key} was {value!r}, is {found!r}")
PY
    ok "$1: every field of the config"
}

# there_and_back NAME MODEL: by a folder, by a GGUF file, by both.
there_and_back() {
    rm -rf folder file.gguf back again.gguf
    ends 0 "$1, a folder" apply copy "$2" -o folder
    same_weights "$1, a folder" "$2" folder
    same_fields "$1, a folder" "$2" folder
    ends 0 "$1, a GGUF file" apply copy "$2" -o file.gguf
    same_weights "$1, a GGUF file" "$2" file.gguf
    ends 0 "$1, back" apply copy file.gguf -o back
    same_weights "$1, back" "$2" back
    same_fields "$1, back" "$2" back
    ends 0 "$1, GGUF again" apply copy back -o again.gguf
    same_weights "$1, GGUF again" file.gguf again.gguf
}

# ---- made here ----

for dtype in f32 bf16 f16; do
    "$make_tiny" "tiny-$dtype" dtype=$dtype layers=2 2>err
    ok "make_tiny writes $dtype"
    there_and_back "$dtype" "tiny-$dtype"
done
"$make_tiny" tied tied=1 layers=1 2>err
there_and_back "tied" tied

# ---- the same text from each ----

rm -rf tiny tiny.gguf
"$make_tiny" tiny 2>err
ends 0 "to GGUF" apply copy tiny -o tiny.gguf
for model in tiny tiny.gguf; do
    ends 0 "$model continues" generate $model -p "the band and a" -n 12
    mv out "text-$model"
done
cmp text-tiny text-tiny.gguf >out 2>err
ok "the same text from the folder and the GGUF file"

# ---- transformed on the way ----

ends 0 "a mixture" apply sparse_upcycling tiny -o moe.gguf E=4 K=2
ends 0 "and its folder" apply sparse_upcycling tiny -o moe E=4 K=2
same_weights "the mixture" moe moe.gguf
ends 0 "a mixture of a GGUF file" \
    apply sparse_upcycling tiny.gguf -o moe2 E=4 K=2
same_weights "from either" moe moe2
for model in tiny moe moe.gguf; do
    ends 0 "$model continues" generate $model -p "the band and a" -n 12
    cmp out text-tiny 2>err
    ok "$model: the text of the dense one"
done

# ---- types ----

ends 0 "q8_0" apply copy tiny -o q8.gguf --dtype q8_0
ends 0 "f16 in a folder" apply copy tiny -o half --dtype f16
[ "$(wc -c <q8.gguf)" -lt "$(wc -c <tiny.gguf)" ]
ok "q8_0 is smaller"
ends 0 "q8_0 continues" generate q8.gguf -p "the band and a" -n 4
[ "$(json half/config.json torch_dtype)" = float16 ]
ok "the config says f16"

# ---- refused ----

ends 2 "q8_0 in a folder" apply copy tiny -o q8 --dtype q8_0
says err "q8_0 in a folder" "q8_0 needs -o OUT.gguf"
ends 2 "f64 stored" apply copy tiny -o q8 --dtype f64
ends 2 "f16 to compute in" logits tiny --ids 1 -o x.npy --dtype f16
ends 1 "a file that is there" apply copy tiny -o tiny.gguf
says err "a file that is there" "is there already"
ends 1 "what llama.cpp has not" apply xft tiny -o xft.gguf experts=4 active=2
says err "what llama.cpp has not" "GraftForCausalLM"
[ ! -e xft.gguf ] && [ ! -e q8 ]
ok "nothing is left of what was refused"

# ---- models of others ----

for name in llama llama_linear_rope llama3_rope mistral_window mixtral qwen2 \
    qwen2_moe qwen3 qwen3_moe stablelm gpt_neox olmoe; do
    if [ -d "$data/hf_tiny/$name" ]; then
        there_and_back "$name" "$data/hf_tiny/$name"
    else
        skip "$name there and back" "no $data/hf_tiny/$name"
    fi
done
if [ -f "$data/stories260K/stories260K.gguf" ]; then
    rm -rf folder again.gguf
    ends 0 "stories260K.gguf, a folder" \
        apply copy "$data/stories260K/stories260K.gguf" -o folder
    ends 0 "and a GGUF file again" apply copy folder -o again.gguf
    same_weights "stories260K.gguf, a folder" \
        "$data/stories260K/stories260K.gguf" folder
    same_weights "stories260K.gguf, again" \
        "$data/stories260K/stories260K.gguf" again.gguf
else
    skip "stories260K.gguf there and back" "no shared data"
fi

finish
