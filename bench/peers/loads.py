"""Does what graft writes load in transformers and in llama.cpp, and do they
compute the same logits? For each model: the folder that graft writes, loaded by
transformers; the GGUF file that it writes, loaded by llama.cpp; both against
graft's own logits of the same.

usage: loads.py [MODEL...]      (default: all of the shared tiny ones)
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from common import (CACHE, DATA, REPO, LlamaCpp, graft, graft_logits, table,
                    transformers_logits)

# What is written: a name, the source, the transform and its parameters.
WANTED = [
    ("llama", "hf_tiny/llama", ["copy"]),
    ("llama, linear rope", "hf_tiny/llama_linear_rope", ["copy"]),
    ("llama, llama3 rope", "hf_tiny/llama3_rope", ["copy"]),
    ("stories260K", "stories260K", ["copy"]),
    ("stories260K of GGUF", "stories260K/stories260K.gguf", ["copy"]),
    ("llama, sparse_upcycling E=4 K=2", "hf_tiny/llama",
     ["sparse_upcycling", "E=4", "K=2"]),
    ("stories260K, sparse_upcycling", "stories260K", ["sparse_upcycling"]),
    ("mixtral", "hf_tiny/mixtral", ["copy"]),
    ("mistral, window 16", "hf_tiny/mistral_window", ["copy"]),
    ("qwen2", "hf_tiny/qwen2", ["copy"]),
    ("qwen3", "hf_tiny/qwen3", ["copy"]),
    ("qwen2_moe", "hf_tiny/qwen2_moe", ["copy"]),
    ("qwen3_moe", "hf_tiny/qwen3_moe", ["copy"]),
    ("stablelm", "hf_tiny/stablelm", ["copy"]),
    ("gpt_neox", "hf_tiny/gpt_neox", ["copy"]),
    ("olmoe", "hf_tiny/olmoe", ["copy"]),
    ("SmolLM2-135M", "cache:SmolLM2-135M-Instruct.Q4_1.gguf", ["copy"]),
    ("SmolLM2-135M, sparse_upcycling E=2",
     "cache:SmolLM2-135M-Instruct.Q4_1.gguf",
     ["sparse_upcycling", "E=2", "K=2"]),
    ("gpt_neox, half of a head turned", "made:gpt_neox", ["copy"]),
    ("olmoe, 4 key heads", "made:olmoe", ["copy"]),
    ("deepseek", "made:deepseek", ["copy"]),
    ("llama, biases everywhere", "case:m_llama_biases", ["copy"]),
    ("llama, a share to turn that it passes over",
     "case:g_llama_partial_rotary", ["copy"]),
    ("llama, a window that it passes over", "case:m_llama_sliding_window",
     ["copy"]),
    ("llama, yarn", "case:m_yarn_no_original", ["copy"]),
    ("llama, dynamic rope", "case:m_rope_dynamic", ["copy"]),
    ("qwen2, yarn", "case:g_yarn", ["copy"]),
    ("mistral, window 8, sparse_upcycling E=2 K=1", "case:g_upcycle_window",
     ["sparse_upcycling", "E=2", "K=1"]),
    ("mixtral, its defaults", "case:m_mixtral_defaults", ["copy"]),
    ("olmoe, tied", "case:g_tied_olmoe", ["copy"]),
    ("stablelm, tied", "case:g_tied_stablelm", ["copy"]),
    ("gpt_neox, gelu_fast", "case:m_neox_gelu_fast", ["copy"]),
    ("deepseek, a scale that it passes over", "case:g_deepseek_scale",
     ["copy"]),
    ("deepseek, normed weights of one expert", "case:m_deepseek_k1_norm",
     ["copy"]),
    ("llama of GPTQ", "case:q_gptq", ["copy"]),
    ("llama of nf4", "case:q_nf4", ["copy"]),
]
LENGTH = 40


def deepseek(out):
    """A random DeepSeek-MoE: transformers has no class to make one with."""
    import numpy
    from safetensors.numpy import save_file
    width, inner, small, experts, shared, layers = 64, 96, 32, 6, 2, 3
    config = dict(
        architectures=["DeepseekForCausalLM"], model_type="deepseek",
        vocab_size=128, hidden_size=width, intermediate_size=inner,
        moe_intermediate_size=small, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=4,
        n_shared_experts=shared, n_routed_experts=experts,
        num_experts_per_tok=2, moe_layer_freq=1, first_k_dense_replace=1,
        norm_topk_prob=False, scoring_func="softmax", hidden_act="silu",
        max_position_embeddings=256, rms_norm_eps=1e-6, rope_theta=10000.0,
        attention_bias=False, tie_word_embeddings=False)
    draw, made_of = numpy.random.default_rng(0), {}

    def matrix(name, rows, cols):
        made_of[name + ".weight"] = (draw.standard_normal((rows, cols)) *
                                     1.5 / cols ** 0.5).astype("f4")

    def norm(name):
        made_of[name + ".weight"] = (
            1 + 0.1 * draw.standard_normal(width)).astype("f4")

    def ffn(at, size):
        matrix(at + "gate_proj", size, width)
        matrix(at + "up_proj", size, width)
        matrix(at + "down_proj", width, size)

    matrix("model.embed_tokens", 128, width)
    for i in range(layers):
        at = f"model.layers.{i}."
        norm(at + "input_layernorm")
        norm(at + "post_attention_layernorm")
        for part in "qkvo":
            matrix(at + f"self_attn.{part}_proj", width, width)
        if i == 0:
            ffn(at + "mlp.", inner)
            continue
        matrix(at + "mlp.gate", experts, width)
        ffn(at + "mlp.shared_experts.", small * shared)
        for e in range(experts):
            ffn(at + f"mlp.experts.{e}.", small)
    norm("model.norm")
    matrix("lm_head", 128, width)
    out.mkdir()
    (out / "config.json").write_text(json.dumps(config))
    save_file(made_of, out / "model.safetensors", metadata={"format": "pt"})
    return out


def made(kind, out):
    """A random model of a shape that llama.cpp takes too."""
    if kind == "deepseek":
        return deepseek(out)
    import torch
    from transformers import (GPTNeoXConfig, GPTNeoXForCausalLM, OlmoeConfig,
                              OlmoeForCausalLM)
    torch.manual_seed(1)
    common = dict(vocab_size=128, hidden_size=64, intermediate_size=96,
                  num_hidden_layers=2, num_attention_heads=4,
                  max_position_embeddings=256, initializer_range=0.2)
    if kind == "olmoe":
        model = OlmoeForCausalLM(OlmoeConfig(
            num_key_value_heads=4, num_experts=4, num_experts_per_tok=2,
            **common))
    else:
        model = GPTNeoXForCausalLM(GPTNeoXConfig(
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0,
                             "partial_rotary_factor": 0.5}, **common))
    model.save_pretrained(out)
    return out


def case(name, out):
    """A folder of tests/cases, put together."""
    cases = REPO / "tests" / "cases"
    shutil.copytree(cases / name, out)
    for line in (out / "weights").read_text().splitlines():
        own, there = line.split()
        shutil.copy(cases / "weights" / there, out / own)
    return out


def found(source, scratch):
    kind, _, name = source.rpartition(":")
    if kind == "case":
        return case(name, scratch / "case")
    if kind == "made":
        return made(name, scratch / "made")
    if kind == "cache":
        return CACHE / name
    return DATA / source


def ids_for(model):
    """Some ids that its vocabulary has."""
    most = 90 if str(model).startswith("case:") else 120
    return [1 + (7 * i * i + 3 * i) % most for i in range(LENGTH)]


def difference(a, b):
    """The largest, beside the largest logit."""
    return f"{abs(a - b).max():.1e} of {abs(b).max():.2g}"


def in_transformers(source, transform, ids, scratch):
    out = scratch / "out"
    graft("apply", transform[0], source, "-o", out, *transform[1:])
    logits, kind, odd = transformers_logits(out, ids)
    found = difference(logits, graft_logits(out, ids, scratch))
    return f"{found} ({kind})" + (f" {odd}" if odd else "")


def in_llama_cpp(source, transform, dtype, ids, scratch):
    out = scratch / f"out-{dtype}.gguf"
    graft("apply", transform[0], source, "-o", out, *transform[1:],
          "--dtype", dtype)
    model = LlamaCpp(out)
    logits = model.logits(ids)
    return difference(logits, graft_logits(out, ids, scratch))


def attempt(work, *args):
    try:
        return work(*args)
    except Exception as why:  # a row of the table, not the end of it
        return "no: " + str(why).splitlines()[-1][:160]


def one(name, source, transform):
    """A row, or why there is none."""
    ids = ids_for(source)
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        path = found(source, scratch)
        return [name] + [
            attempt(in_transformers, path, transform, ids, scratch)] + [
            attempt(in_llama_cpp, path, transform, t, ids, scratch)
            for t in ("f32", "q8_0")]


def in_a_child(*what):
    """llama.cpp ends its process where it does not like a model."""
    code = f"import loads, json; print(json.dumps(loads.one(*{what!r})))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True,
        cwd=pathlib.Path(__file__).parent,
        env=os.environ | {"GGML_NO_BACKTRACE": "1"})
    if done.returncode:
        said = [s for s in done.stderr.splitlines() if "GGML_ASSERT" in s]
        return [what[0], "", "no: " + (said or ["it ended"])[-1], ""]
    return json.loads(done.stdout.splitlines()[-1])


def main():
    chosen = sys.argv[1:]
    rows = []
    for wanted in WANTED:
        if not chosen or wanted[0] in chosen:
            rows.append(in_a_child(*wanted))
            print(rows[-1], file=sys.stderr)
    table(["model", "transformers", "llama.cpp, f32", "llama.cpp, q8_0"], rows)


if __name__ == "__main__":
    main()
