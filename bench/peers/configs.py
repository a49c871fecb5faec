"""Does graft compute what transformers computes, whatever the config says? Tiny
models of each family, their fields drawn at random, made and saved by
transformers' own classes; its logits against graft's.

usage: configs.py [--count N] [--seed S] [--keep FOLDER] [FAMILY...]
"""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import numpy
import torch
import transformers
from transformers.utils import logging
from common import GRAFT

VOCAB = 96
IDS = [3, 17, 5, 90, 41, 41, 7, 66, 12, 80, 2, 55, 9, 33, 71, 4, 28, 60, 19, 95,
       1, 50, 38, 77]


def some(draw, p, value):
    return value if draw.random() < p else None


def rope(draw, dim, positions, theta_names=("rope_theta",)):
    """rope_parameters of every kind that the classes take."""
    kind = draw.choice(["default"] * 4 + ["linear", "llama3", "yarn", "dynamic",
                                          "longrope"])
    out = {"rope_type": kind, "rope_theta": draw.choice([1e4, 5e5, 1e6, 777.0])}
    if kind in ("linear", "dynamic", "llama3", "yarn"):
        out["factor"] = draw.choice([2.0, 4.0, 8.0])
    if kind in ("llama3", "yarn", "longrope"):
        out["original_max_position_embeddings"] = draw.choice([8, 16, 32])
    if kind == "llama3":
        out.update(low_freq_factor=1.0, high_freq_factor=4.0)
    if kind == "yarn":
        for name, value in (("beta_fast", 16.0), ("beta_slow", 2.0),
                            ("attention_factor", 1.3), ("truncate", False)):
            if draw.random() < 0.3:
                out[name] = value
        if draw.random() < 0.3:
            out.update(mscale=0.7, mscale_all_dim=1.2)
    if kind == "longrope":
        out["short_factor"] = [1 + draw.random() for _ in range(dim // 2)]
        out["long_factor"] = [1 + 4 * draw.random() for _ in range(dim // 2)]
        if draw.random() < 0.5:
            out["factor"] = 4.0
    return out


def layer_types(draw, layers):
    return some(draw, 0.5, [draw.choice(["sliding_attention", "full_attention"])
                            for _ in range(layers)])


def drop_none(fields):
    return {k: v for k, v in fields.items() if v is not None}


def common(draw, part=None):
    heads = draw.choice([2, 4, 8])
    dim = draw.choice([8, 16])
    layers = draw.choice([1, 2, 3])
    positions = draw.choice([16, 64, 4096])
    turned = dim if part is None else int(dim * part)
    fields = dict(
        vocab_size=VOCAB, hidden_size=heads * dim,
        intermediate_size=draw.choice([24, 40, 64]), num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=draw.choice([h for h in (1, 2, 4, 8)
                                         if h <= heads]),
        max_position_embeddings=positions, initializer_range=0.3,
        tie_word_embeddings=draw.random() < 0.4,
        rope_parameters=rope(draw, turned, positions))
    return fields, dim, layers


def act(draw):
    return draw.choice(["silu"] * 6 + ["swish", "gelu", "gelu_new", "gelu_fast",
                                       "gelu_pytorch_tanh", "quick_gelu",
                                       "relu"])


def llama(draw):
    f, dim, layers = common(draw)
    f.update(attention_bias=draw.random() < 0.4, mlp_bias=draw.random() < 0.4,
             hidden_act=act(draw), rms_norm_eps=draw.choice([1e-5, 1e-6, 1e-3]),
             pretraining_tp=draw.choice([1, 2]))
    extra = {"sliding_window": draw.choice([4, 9])}
    return f, some(draw, 0.3, extra)


def mistral(draw):
    f, dim, layers = common(draw)
    f.update(hidden_act=act(draw),
             sliding_window=draw.choice([None, 3, 8, 4096]))
    if draw.random() < 0.3:
        f["head_dim"] = dim * 2
        f["rope_parameters"] = rope(draw, dim * 2, 64)
    types = layer_types(draw, layers) if f["sliding_window"] else None
    return f, {"layer_types": types} if types else None


def mixtral(draw):
    f, dim, layers = common(draw)
    experts = draw.choice([2, 4, 5])
    f.update(num_local_experts=experts,
             num_experts_per_tok=draw.randint(1, min(3, experts)),
             sliding_window=draw.choice([None, 3, 8]), head_dim=dim)
    return f, None


def qwen2(draw):
    f, dim, layers = common(draw)
    f.update(hidden_act=act(draw), use_sliding_window=draw.random() < 0.6,
             sliding_window=draw.choice([3, 8]),
             max_window_layers=draw.choice([0, 1, 2, 28]))
    if f["use_sliding_window"]:
        f["layer_types"] = layer_types(draw, layers)
    return f, None


def qwen3(draw):
    f, extra = qwen2(draw)
    f.update(attention_bias=draw.random() < 0.4,
             head_dim=f["hidden_size"] // f["num_attention_heads"])
    return f, extra


def sparse(draw, f, layers):
    experts = draw.choice([4, 6])
    f.update(num_experts=experts, num_experts_per_tok=draw.randint(1, 3),
             moe_intermediate_size=draw.choice([16, 24]),
             decoder_sparse_step=draw.choice([1, 1, 2]),
             norm_topk_prob=draw.random() < 0.5,
             mlp_only_layers=draw.choice([[], [], [0]]))


def qwen2_moe(draw):
    f, extra = qwen2(draw)
    f["hidden_act"] = "silu"
    sparse(draw, f, f["num_hidden_layers"])
    f.update(shared_expert_intermediate_size=draw.choice([16, 40]),
             qkv_bias=draw.random() < 0.5)
    return f, extra


def qwen3_moe(draw):
    f, dim, layers = common(draw)
    sparse(draw, f, layers)
    f.update(attention_bias=draw.random() < 0.4, head_dim=dim,
             use_sliding_window=draw.random() < 0.5,
             sliding_window=draw.choice([3, 8]))
    return f, None


def stablelm(draw):
    part = draw.choice([0.25, 0.5, 1.0])
    f, dim, layers = common(draw, part)
    f["rope_parameters"]["partial_rotary_factor"] = part
    f.update(hidden_act=act(draw), use_qkv_bias=draw.random() < 0.5,
             qk_layernorm=draw.random() < 0.4,
             use_parallel_residual=draw.random() < 0.4,
             layer_norm_eps=draw.choice([1e-5, 1e-3]))
    return f, None


def gpt_neox(draw):
    part = draw.choice([0.25, 0.5, 1.0])
    f, dim, layers = common(draw, part)
    f.pop("num_key_value_heads")
    f["rope_parameters"]["partial_rotary_factor"] = part
    f.update(hidden_act=draw.choice(["gelu", "gelu_fast", "gelu_new", "relu",
                                     "gelu_pytorch_tanh", "silu"]),
             attention_bias=draw.random() < 0.7,
             use_parallel_residual=draw.random() < 0.5)
    return f, None


def olmoe(draw):
    f, dim, layers = common(draw)
    experts = draw.choice([4, 6])
    f.update(num_experts=experts, num_experts_per_tok=draw.randint(1, 3),
             norm_topk_prob=draw.random() < 0.5,
             attention_bias=draw.random() < 0.4,
             clip_qkv=draw.choice([None, 1.0]))
    return f, None


FAMILIES = {"llama": llama, "mistral": mistral, "mixtral": mixtral,
            "qwen2": qwen2, "qwen3": qwen3, "qwen2_moe": qwen2_moe,
            "qwen3_moe": qwen3_moe, "stablelm": stablelm,
            "gpt_neox": gpt_neox, "olmoe": olmoe}


def older(draw, config):
    """The same in the notation before transformers 5, now and then."""
    rope_of = config.pop("rope_parameters", None)
    if rope_of is None or config["model_type"] == "gpt_neox":
        return config | ({"rope_parameters": rope_of} if rope_of else {})
    config["rope_theta"] = rope_of.pop("rope_theta")
    if "partial_rotary_factor" in rope_of:
        config["partial_rotary_factor"] = rope_of.pop("partial_rotary_factor")
    if rope_of.get("rope_type") != "default":
        config["rope_scaling"] = rope_of
    return config


def make(draw, family, seed, folder):
    fields, extra = FAMILIES[family](draw)
    torch.manual_seed(seed)
    kind = transformers.CONFIG_MAPPING[family]
    config = kind(**drop_none(fields) | {"sliding_window":
                                         fields["sliding_window"]}
                  if "sliding_window" in fields else drop_none(fields))
    model = transformers.AutoModelForCausalLM.from_config(
        config, attn_implementation="eager", dtype=torch.float32)
    for name, p in model.named_parameters():
        if p.dim() == 1:
            with torch.no_grad():
                p.add_(0.2 * torch.randn_like(p))
    model.save_pretrained(folder)
    path = folder / "config.json"
    said = json.loads(path.read_text())
    if extra:
        said.update(extra)
    if draw.random() < 0.4:
        said = older(draw, said)
    path.write_text(json.dumps(said, indent=1))


def reference(folder, ids):
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, attn_implementation="eager", dtype=torch.float32).eval()
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].numpy()


def nll(logits, ids):
    x = logits[:-1].astype("f8")
    x = x - x.max(-1, keepdims=True)
    p = x - numpy.log(numpy.exp(x).sum(-1, keepdims=True))
    return -p[numpy.arange(len(ids) - 1), ids[1:]].mean()


def compare(folder):
    want = reference(folder, IDS)
    out = folder / "out.npy"
    done = subprocess.run(
        [GRAFT, "logits", str(folder), "--ids", ",".join(map(str, IDS)), "-o",
         str(out), "--dtype", "f32"], capture_output=True, text=True)
    if done.returncode:
        return None, None, done.stderr.strip()
    got = numpy.load(out)
    return (float(abs(got - want).max()), abs(nll(got, IDS) - nll(want, IDS)),
            done.stderr)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("family", nargs="*")
    a = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    families = a.family or list(FAMILIES)
    bad, worst, worst_nll = 0, 0.0, 0.0
    with tempfile.TemporaryDirectory() as scratch:
        for i in range(a.count):
            seed = a.seed * 1000 + i
            draw = random.Random(seed)
            family = families[i % len(families)]
            folder = (a.keep or pathlib.Path(scratch)) / f"{family}_{seed}"
            try:
                make(draw, family, seed, folder)
                off, loss, said = compare(folder)
            except Exception as e: # a config that transformers refuses
                print(f"skip {family} {seed}: {str(e)[:150]}")
                continue
            if off is None or off > 2e-4 or loss > 1e-5 or "not know" in said:
                bad += 1
                print(f"BAD  {family} {seed}: logits {off} nll {loss} {said}")
            else:
                worst, worst_nll = max(worst, off), max(worst_nll, loss)
    print(f"{a.count} configs, {bad} bad; the others: logits {worst:.2g}, "
          f"nll {worst_nll:.2g}")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
