#!/usr/bin/env bash
# PEFT adapters (tests/cases/p_*): LoRA is merged as it is read, into what peft
# computes with the adapter beside its base (expected.npy, in f32); what is no
# plain LoRA is refused by its name. $2 is compare_npy.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
compare=$2
export HF_HUB_CACHE=$PWD/hub

for case in "$repo"/tests/cases/p_*; do
    name=${case##*/}
    cp -r "$case" "$name"
    ids=$(cat "$name/ids.txt")
    ends 0 "$name" logits "$name" --ids "$ids" -o got.npy --dtype f32
    says err "$name" "$name is merged into $name/base"
    "$compare" got.npy "$name/expected.npy" 1e-5 >out 2>err
    ok "$name: peft's logits"
    ends 0 "$name: a copy" apply copy "$name" -o "$name.copy" --dtype f32
    run logits "$name.copy" --ids "$ids" -o copy.npy --dtype f32
    "$compare" copy.npy got.npy 1e-6 >out 2>err
    ok "$name: the copy is the merged model"
    ! compgen -G "$name.copy/adapter*" >out
    ok "$name: the copy has no adapter"
done

grep -q '"tie_word_embeddings": *false' p_tied_embed.copy/config.json &&
    grep -q '"tie_word_embeddings": *false' p_tied_saved.copy/config.json
ok "one of a tied pair is trained: the copy's are two"
grep -q '"dtype": *"bfloat16"' p_phi3_bf16/base/config.json
run apply copy p_phi3_bf16 -o kept
grep -q '"bfloat16"' kept/config.json
ok "a merged model has its base's type"
run logits p_pattern --ids 1,2 -o interp.npy --target interp
run logits p_pattern --ids 1,2 -o cpu.npy
"$compare" interp.npy cpu.npy 1e-5 >out 2>err
ok "every target has the adapter"
ends 0 "as GGUF" apply copy p_dora_rs -o dora.gguf
ends 0 "upcycled" apply sparse_upcycling p_pattern -o moe E=2 K=1

# ---- where its base is ----

cp -r p_pattern moved
sed -i 's|p_pattern/base|org/base|' moved/adapter_config.json
ends 1 "a base that is not here" logits moved --ids 1 -o x.npy
says err "a base that is not here" "org/base"
says err "a base that is not here" "--base MODEL"
ends 0 "--base" logits moved --base p_pattern/base --ids 1,2 -o x.npy
cmp -s x.npy cpu.npy
ok "--base: the same logits"
mkdir -p hub/models--org--base/refs hub/models--org--base/snapshots
printf abc123 >hub/models--org--base/refs/main
cp -r p_pattern/base hub/models--org--base/snapshots/abc123
ends 0 "a base in the hub's cache" logits moved --ids 1,2 -o x.npy
cmp -s x.npy cpu.npy
ok "a base in the hub's cache: the same logits"
ends 1 "a base that is an adapter" logits moved --base moved --ids 1 -o x.npy
ends 1 "a base that is no model" logits moved --base hub --ids 1 -o x.npy
ends 0 "a model has no base" logits p_pattern/base --base moved --ids 1 -o x.npy
says err "a model has no base" "is no adapter"
sed -i 's|org/base|../../org|' moved/adapter_config.json
ends 1 "a name that leaves the cache" logits moved --ids 1 -o x.npy

# ---- what is refused ----

refused() { # what, sed's text, words of the message
    cp p_pattern/adapter_config.json moved/adapter_config.json
    sed -i "$2" moved/adapter_config.json
    ends 1 "$1" logits moved --ids 1 -o x.npy
    says err "$1" "$3"
}
refused "another kind" 's/"LORA"/"IA3"/' IA3
refused "token rows" 's/\(token_indices": \)null/\1[1]/' trainable_token
refused "aLoRA" 's/\(alora_invocation_tokens": \)null/\1[1]/' alora
refused "biases of LoRA" 's/\(lora_bias": \)false/\1true/' lora_bias
refused "experts' tensors" 's/\(target_parameters": \)null/\1["x"]/' \
    target_parameters
refused "a changed base" 's/\(init_lora_weights": \)true/\1"pissa_niter_4"/' \
    pissa
refused "a turned matrix" 's/\(fan_in_fan_out": \)false/\1true/' "does not fit"
refused "DoRA without lengths" 's/\(use_dora": \)false/\1true/' magnitude
refused "no pattern" 's/"layers.0.self_attn.q_proj": 1/"(": 1/' "pattern ("
refused "no JSON" 's/{/[/' "JSON"
cp p_pattern/adapter_config.json moved/
rm moved/adapter_model.safetensors
ends 1 "an adapter without tensors" logits moved --ids 1 -o x.npy
says err "an adapter without tensors" adapter_model.safetensors
cp p_dora_rs/adapter_model.safetensors moved/
ends 1 "tensors of another model" logits moved --ids 1 -o x.npy

finish
