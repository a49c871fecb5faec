#!/usr/bin/env python3
"""make.py: the models of tests/cli/merge_methods.sh and what mergekit makes of
them, beside this file. Needs numpy, safetensors, PyYAML and mergekit 0.1.5; the
tests need none of them.

base has a model around it: near and far are fine-tunes, same is base but for one
tensor, zero has tensors of zeros, small differs in the last digits."""
import json
import pathlib
import tempfile

import numpy
import yaml
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions
from safetensors.numpy import load_file, save_file

HERE = pathlib.Path(__file__).parent
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama",
    "hidden_size": 6, "intermediate_size": 8, "num_hidden_layers": 1,
    "num_attention_heads": 1, "num_key_value_heads": 1, "vocab_size": 7,
    "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
    "tie_word_embeddings": False, "max_position_embeddings": 64,
    "torch_dtype": "float32"}

# name of the golden: graft's words, mergekit's method, others, its parameters
# (of all; of each other), base: as a model too, or apart
CASES = {
    "linear": ("linear own=1 theirs=3", "linear", ["near", "far"],
               {}, {"weight": 3.0}, True),
    "slerp": ("slerp t=0.3", "slerp", ["near"], {"t": 0.3}, {}, True),
    "slerp_same": ("slerp t=0.3", "slerp", ["same"], {"t": 0.3}, {}, True),
    "slerp_zero": ("slerp t=0.3", "slerp", ["zero"], {"t": 0.3}, {}, True),
    "task_arithmetic": ("task_arithmetic scale=0.7", "task_arithmetic",
                        ["near", "far"], {"lambda": 0.7}, {"weight": 1.0},
                        False),
    "ties": ("ties density=0.4 scale=0.7", "ties", ["near", "far"],
             {"lambda": 0.7, "normalize": True},
             {"weight": 1.0, "density": 0.4}, False),
    "ties_little": ("ties density=0.01", "ties", ["near", "far"],
                    {"normalize": True}, {"weight": 1.0, "density": 0.01},
                    False),
    "model_stock": ("model_stock", "model_stock", ["near", "far"], {}, {},
                    False),
    "model_stock_three": ("model_stock", "model_stock",
                          ["near", "far", "same"], {}, {}, False),
    "model_stock_half": ("model_stock", "model_stock", ["same", "far"], {},
                         {}, False),
    "model_stock_small": ("model_stock", "model_stock", ["small", "near"], {},
                          {}, False),
    "breadcrumbs": ("breadcrumbs density=0.6 gamma=0.1", "breadcrumbs",
                    ["near", "far"], {},
                    {"weight": 1.0, "density": 0.6, "gamma": 0.1}, False),
    "breadcrumbs_few": ("breadcrumbs density=0.95 gamma=0.2 scale=0.5",
                        "breadcrumbs", ["near", "same"], {"lambda": 0.5},
                        {"weight": 1.0, "density": 0.95, "gamma": 0.2},
                        False),
    "breadcrumbs_ties": ("breadcrumbs_ties density=0.6 gamma=0.1",
                         "breadcrumbs_ties", ["near", "far"], {},
                         {"weight": 1.0, "density": 0.6, "gamma": 0.1},
                         False),
    "sce": ("sce", "sce", ["near", "far"], {}, {}, False),
    "sce_select": ("sce select=0.3", "sce", ["near", "far", "same"],
                   {"select_topk": 0.3}, {}, False),
    "sce_small": ("sce", "sce", ["small", "same"], {}, {}, False),
    "nuslerp": ("nuslerp own=1 theirs=3", "nuslerp", ["near"], {},
                {"weight": 3.0}, True),
    "nuslerp_zero": ("nuslerp", "nuslerp", ["zero"], {}, {"weight": 1.0},
                     True),
    "nuslerp_tasks": ("nuslerp_tasks first=1 second=2", "nuslerp",
                      ["near", "far"], {}, [{"weight": 1.0},
                                            {"weight": 2.0}], False),
    "nuslerp_tasks_same": ("nuslerp_tasks", "nuslerp", ["near", "same"], {},
                           {"weight": 1.0}, False),
    "karcher": ("karcher", "karcher", ["near", "far"], {}, {}, True),
    "karcher_same": ("karcher", "karcher", ["same", "near"], {}, {}, True),
    "karcher_zero": ("karcher", "karcher", ["zero", "far"], {}, {}, True),
    "nearswap": ("nearswap t=0.05", "nearswap", ["near"], {"t": 0.05}, {},
                 True),
    "nearswap_same": ("nearswap t=0.05", "nearswap", ["same"], {"t": 0.05},
                      {}, True),
}


def shapes():
    d, f, v = 6, 8, 7
    yield "model.embed_tokens.weight", (v, d)
    for n in "qkvo":
        yield f"model.layers.0.self_attn.{n}_proj.weight", (d, d)
    for n, s in ("gate", (f, d)), ("up", (f, d)), ("down", (d, f)):
        yield f"model.layers.0.mlp.{n}_proj.weight", s
    for n in "input_layernorm", "post_attention_layernorm":
        yield f"model.layers.0.{n}.weight", (d,)
    yield "model.norm.weight", (d,)
    yield "lm_head.weight", (v, d)


def write(name, tensors):
    out = HERE / name
    out.mkdir(exist_ok=True)
    (out / "config.json").write_text(json.dumps(CONFIG))
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})


def models():
    draw = numpy.random.default_rng(7)
    names = dict(shapes())

    def around(base, by):
        return {k: (v + by * draw.standard_normal(v.shape)).astype("f4")
                for k, v in base.items()}
    base = {k: draw.standard_normal(s).astype("f4") for k, s in names.items()}
    gate, up = (f"model.layers.0.mlp.{n}_proj.weight" for n in ("gate", "up"))
    write("base", base)
    write("near", around(base, 0.1))
    write("far", around(base, 0.7))
    write("same", base | {gate: around(base, 0.2)[gate]})
    write("zero", around(base, 0.3) | {up: numpy.zeros(names[up], "f4"),
                                       "model.norm.weight":
                                       numpy.zeros(6, "f4")})
    write("small", around(base, 1e-6))


def merge_text(case):
    words, method, others, shared, own, listed = case
    each = own if isinstance(own, list) else [own] * len(others)
    part = [{"model": str(HERE / o)} | ({"parameters": p} if p else {})
            for o, p in zip(others, each)]
    base = {"model": str(HERE / "base")}
    if listed and (method in ("linear", "nuslerp")):
        base["parameters"] = {"weight": 1.0}
    text = {"merge_method": method, "dtype": "float32",
            "models": ([base] if listed else []) + part}
    if shared:
        text["parameters"] = shared
    if method not in ("linear", "karcher") and not (method == "nuslerp" and
                                                    listed):
        text["base_model"] = str(HERE / "base")
    return yaml.safe_dump(text)


def golden(name, case, scratch):
    plan = MergeConfiguration.model_validate(
        yaml.safe_load(merge_text(case)))
    run_merge(plan, str(scratch / name), MergeOptions(quiet=True, copy_tokenizer=False))
    found = {}
    for path in (scratch / name).glob("*.safetensors"):
        found |= load_file(path)
    out = HERE / "golden" / name
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps(CONFIG))
    save_file(found, out / "model.safetensors", metadata={"format": "pt"})


def main():
    models()
    with tempfile.TemporaryDirectory() as folder:
        for name, case in CASES.items():
            golden(name, case, pathlib.Path(folder))
    with open(HERE / "cases.txt", "w") as f:
        for name, (words, method, others, *_) in CASES.items():
            f.write(f"{name} {','.join(others)} {words}\n")


main()
