#!/usr/bin/env python3
"""models PART GRAFT MAKE_TINY COMPARE_WEIGHTS DATA: real and random models
through the commands. PART golden holds them against golden values
(DATA/README.md says how those were made), transforms what transforms and
merges make against the models they start from, smollm2 a real model."""
import json
import math
import os
import shutil
import struct
import subprocess
import sys
import tempfile

PART, GRAFT, MAKE_TINY, COMPARE, DATA = sys.argv[1:6]
REPO = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
QUICK = os.environ.get("GRAFT_QUICK") == "1" or "asan" in GRAFT
count = failures = 0


def ok(name, verdict, why=""):
    global count, failures
    count += 1
    print(("ok" if verdict else "not ok"), count, "-", name, flush=True)
    if not verdict:
        failures += 1
        print("#  ", str(why)[:500].replace("\n", "\n#   "), flush=True)


def skip(name, why):
    global count
    count += 1
    print("ok", count, "# SKIP", name + ":", why, flush=True)


def graft(*args):
    return subprocess.run([GRAFT, *map(str, args)], capture_output=True,
                          text=True, stdin=subprocess.DEVNULL)


def result(name, *args):
    """What a command prints as JSON; a failure is a failed check and {}."""
    p = graft(*args, "--json", "--quiet")
    if p.returncode == 0:
        return json.loads(p.stdout)
    ok(name + ": runs", False, p.stderr)
    return {}


def text_of(ids):
    return ",".join(map(str, ids))


def golden(*path):
    with open(os.path.join(DATA, *path)) as f:
        return json.load(f)


def npy(path):
    with open(path, "rb") as f:
        magic, _, length = struct.unpack("<6s2sH", f.read(10))
        header = eval(f.read(length).decode())
        values = f.read()
    assert magic == b"\x93NUMPY" and header["descr"] == "<f4"
    rows, cols = header["shape"]
    flat = struct.unpack("<%df" % (rows * cols), values)
    return [flat[i * cols:(i + 1) * cols] for i in range(rows)]


def near(name, got, want, bound):
    good = got is not None and abs(got - want) <= bound
    ok("%s within %g" % (name, bound), good, "%s, not %s" % (got, want))


def all_near(name, got, want, bound):
    worst = max((abs(a - b) for a, b in zip(got, want)), default=math.inf)
    ok("%s within %g" % (name, bound),
       len(got) == len(want) and worst <= bound,
       "%d of %d values, off by %g" % (len(got), len(want), worst))


def logits(name, model, ids, *flags):
    out = tempfile.mktemp(suffix=".npy", dir=".")
    got = result(name, "logits", model, "--ids", text_of(ids), "-o", out,
                 *flags)
    if not got:
        return [[]]
    rows = npy(out)
    os.remove(out)
    return rows


def nll_of_ids(name, model, ids, *flags):
    return result(name, "eval", model, "--ids", text_of(ids),
                  *flags).get("nll")


def greedy(name, model, ids, n, *flags):
    return result(name, "generate", model, "--ids", text_of(ids), "-n", n,
                  "--temp", 0, *flags).get("ids")


# ---- golden values ----

def stories(name, model):
    g = golden("stories260K", "golden.json")
    new = len(g["greedy_ids"]) - 1
    got = result(name, "generate", model, "-p", "", "-n", new, "--temp", 0)
    ok(name + ": an empty prompt is BOS", got.get("prompt_ids") == [1], got)
    ok(name + ": greedy ids", got.get("ids") == g["greedy_ids"][1:], got)
    ok(name + ": greedy text",
       got.get("text", "").strip() == g["greedy_text"].strip(), got)
    p = graft("generate", model, "-p", "", "-n", new, "--quiet")
    ok(name + ": the text is what streams out",
       p.stdout.strip() == g["greedy_text"].strip(), p.stdout + p.stderr)
    with open("text.txt", "w") as f:
        f.write(g["text"])
    got = result(name, "eval", model, "--nll", "text.txt")
    ok(name + ": tokens predicted",
       got.get("tokens") == len(g["text_ids"]) - 1, got)
    near(name + ": nll", got.get("nll"), g["text_nll_nats_per_token"], 1e-5)
    got = result(name, "generate", model, "-p", g["text"], "-n", 1)
    ok(name + ": ids of the text", got.get("prompt_ids") == g["text_ids"], got)
    rows = logits(name, model, g["ids"])
    ok(name + ": a row of logits for each id", len(rows) == len(g["ids"]))
    all_near(name + ": last logits", rows[-1], g["logits_last_f64"], 1e-4)
    near(name + ": nll in short windows",
         result(name, "eval", model, "--nll", "text.txt", "--length",
                400).get("nll"), g["text_nll_nats_per_token"], 1e-5)


def hf_tiny(kind):
    g, model = golden("hf_tiny", kind, "golden.json"), os.path.join(
        DATA, "hf_tiny", kind)
    near(kind + ": nll", nll_of_ids(kind, model, g["ids"]), g["mean_nll"],
         1e-5)
    got = greedy(kind, model, g["greedy_prompt"], len(g["greedy_ids"]))
    ok(kind + ": greedy ids", got == g["greedy_ids"],
       "%s, not %s" % (got, g["greedy_ids"]))
    rows = logits(kind, model, g["ids"])
    all_near(kind + ": last logits", rows[-1], g["logits_last"], 1e-4)
    all_near(kind + ": sums of logits", [math.fsum(r) for r in rows],
             g["logits_sum"], 1e-3)


def interpreter():
    g = golden("stories260K", "golden.json")
    model = os.path.join(DATA, "stories260K")
    for dtype in "f32", "f64":
        rows = logits("interp", model, g["ids"], "--target", "interp",
                      "--dtype", dtype)
        all_near("interp in %s: last logits" % dtype, rows[-1],
                 g["logits_last_f64"], 1e-4)
    g = golden("hf_tiny", "mixtral", "golden.json")
    model = os.path.join(DATA, "hf_tiny", "mixtral")
    near("interp, mixtral: nll",
         nll_of_ids("interp", model, g["ids"], "--target", "interp"),
         g["mean_nll"], 1e-5)


def smollm2():
    p = subprocess.run([os.path.join(REPO, "scripts", "get-model"),
                        "--cached"], capture_output=True, text=True)
    if p.returncode != 0:
        return skip("SmolLM2", "not in the cache; scripts/get-model gets it")
    model, g = p.stdout.strip(), golden("smollm2", "golden.json")
    for one in g["prompts"]:
        name = "SmolLM2, " + " ".join(one["text"].split())[:24]
        got = result(name, "generate", model, "-p", one["text"], "-n",
                     len(one["greedy_ids"]), "--temp", 0)
        ok(name + ": token ids", got.get("prompt_ids") == one["ids"], got)
        ok(name + ": greedy ids", got.get("ids") == one["greedy_ids"], got)
        text = one["greedy_text"].removesuffix("<|im_end|>")
        ok(name + ": text", got.get("text") == text, got)
    for i, one in enumerate(g["texts"]):
        with open("text.txt", "w") as f:
            f.write(one["text"])
        got = result("SmolLM2", "eval", model, "--nll", "text.txt")
        want = [one[k] for k in one if "nll" in k][0]
        near("SmolLM2, text %d: nll" % i, got.get("nll"), want, 1e-3)


# ---- transforms ----

def apply(name, transform, model, out, *args):
    shutil.rmtree(out, ignore_errors=True)
    got = result(name, "apply", transform, model, "-o", out, *args)
    ok("%s: %s is written" % (name, out), got.get("tensors", 0) > 0, got)


def ulps(name, a, b, bound):
    p = subprocess.run([COMPARE, a, b], capture_output=True, text=True)
    worst = p.stdout.rsplit("most ", 1)[-1].split(" ")[0]
    ok("%s: weights equal within %d ulp" % (name, bound),
       p.returncode == 0 and int(worst) <= bound, p.stdout + p.stderr)


def same_function(name, a, b, ids, bound):
    near(name + ": nll as before", nll_of_ids(name, b, ids),
         nll_of_ids(name, a, ids) or 0, bound)
    ok(name + ": greedy ids as before",
       greedy(name, a, ids[:8], 16) == greedy(name, b, ids[:8], 16))


def round_trip(name, model, ids, ulp=2, args=()):
    apply(name + ", xft", "xft", model, "moe", *args)
    same_function(name + ", xft", model, "moe", ids, 1e-6)
    apply(name + ", xft_merge", "xft_merge", "moe", "merged")
    ulps(name + ", xft_merge", model, "merged", ulp)
    same_function(name + ", xft_merge", model, "merged", ids, 1e-5)
    with open("merged/config.json") as f:
        ok(name + ", xft_merge: a plain Llama again",
           json.load(f)["architectures"][0] in
           ("LlamaForCausalLM", "MistralForCausalLM"))


def narrow(dtype):
    model = "tiny_" + dtype
    subprocess.run([MAKE_TINY, model, "dtype=" + dtype], check=True)
    apply(model, "xft", model, "moe", "experts=5", "active=3")
    apply(model, "xft_merge", "moe", "merged")
    ulps(model + ", xft_merge", model, "merged", 0)
    with open("merged/model.safetensors", "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
    header.pop("__metadata__")
    ok(model + ": the type stays",
       {t["dtype"] for t in header.values()} == {dtype.upper()})


def mixtral_layout(ids):
    model = os.path.join(DATA, "stories260K")
    name = "sparse_upcycling"
    apply(name, "sparse_upcycling", model, "mixtral", "E=4", "K=2")
    same_function(name, model, "mixtral", ids, 1e-6)
    with open("mixtral/config.json") as f:
        config = json.load(f)
    ok(name + ": says that it is Mixtral",
       config["architectures"] == ["MixtralForCausalLM"], config)
    ok(name + ": its sizes", (config["num_local_experts"],
                              config["num_experts_per_tok"]) == (4, 2), config)
    for field in "rope_theta", "rms_norm_eps", "num_key_value_heads":
        ok("%s: writes %s out" % (name, field),
           config.get(field) is not None or
           field in config.get("rope_parameters", {}), config)
    ok(name + ": no text of ours", not os.path.exists("mixtral/model.graft"))
    ok(name + ": the tokenizer comes along",
       os.path.exists("mixtral/tokenizer.json"))


def no_match():
    model = os.path.join(DATA, "hf_tiny", "mixtral")
    p = graft("apply", "xft", model, "-o", "none")
    ok("xft on mixtral: ends with 1", p.returncode == 1, p.stderr)
    ok("xft on mixtral: says that nothing matches", "match" in p.stderr,
       p.stderr)
    ok("xft on mixtral: writes nothing", not os.path.exists("none"))


def graft_folder(ids):
    """What apply writes says what it is, and needs no library."""
    apply("a folder of ours", "xft", os.path.join(DATA, "stories260K"),
          "moe", "experts=4", "active=3")
    with open("moe/config.json") as f:
        config = json.load(f)
    ok("a folder of ours: its architecture",
       config["architectures"] == ["GraftForCausalLM"], config)
    text = json.dumps(config.get("graft"))
    ok("a folder of ours: the base and the transform",
       "LlamaForCausalLM" in text and "xft" in text, text)
    p = graft("fmt", "--check", "moe/model.graft")
    ok("a folder of ours: its text is whole", p.returncode in (0, 1) and
       "error" not in p.stderr, p.stderr)
    p = graft("check", "moe/model.graft")
    ok("a folder of ours: its text checks", p.returncode == 0, p.stderr)
    with open("moe/model.safetensors", "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
    meta = header["__metadata__"]
    for k in "version", "transform", "parameters", "text", "source":
        ok("a folder of ours: its metadata has graft." + k,
           "graft." + k in meta, meta)
    ok("a folder of ours: transforms apply to it",
       graft("apply", "xft_merge", "moe", "-o", "back",
             "rate=0.5").returncode == 0)
    same_function("another rate", os.path.join(DATA, "stories260K"), "back",
                  ids, 1e-5)


def repeatable(ids):
    """Same input, same bits, whatever the thread count."""
    model = os.path.join(DATA, "stories260K")
    one = logits("threads", model, ids, "--threads", 1)
    ok("one thread and two: the same bits",
       one == logits("threads", model, ids, "--threads", 2) != [[]])
    for flags in (["--seed", 1], ["--seed", 1], ["--seed", 2]):
        p = graft("generate", model, "-p", "One day", "-n", 30, "--temp", 1,
                  "--top-p", 0.9, "--quiet", *flags)
        with open("drawn", "a") as f:
            f.write(p.stdout.replace("\n", " ") + "\n")
    with open("drawn") as f:
        a, b, c = f.read().splitlines()[:3]
    ok("the same seed draws the same", a == b and a.strip() != "")
    ok("another seed draws something else", a != c)


def tensor(folder, name):
    """The f32 values of a tensor."""
    with open(os.path.join(folder, "model.safetensors"), "rb") as f:
        length = struct.unpack("<Q", f.read(8))[0]
        t = json.loads(f.read(length))[name]
        first, end = t["data_offsets"]
        f.seek(8 + length + first)
        return struct.unpack("<%df" % ((end - first) // 4), f.read(end - first))


def merges():
    """Whole models merged: formulas over several checkpoints."""
    for seed in 1, 2, 3:
        subprocess.run([MAKE_TINY, "t%d" % seed, "seed=%d" % seed, "layers=2"],
                       check=True)
    apply("a soup of equals", "soup", "t1", "y", "--with", "other=t1")
    ulps("a soup of equals", "t1", "y", 0)
    apply("task arithmetic by 0", "task_arithmetic", "t1", "y", "--with",
          "other=t2", "scale=0")
    ulps("task arithmetic by 0", "t1", "y", 0)
    apply("a soup of three", "soup", "t1", "y", "--with", "other=t2",
          "--with", "other=t3")
    for name in "model.norm.weight", "model.layers.1.mlp.down_proj.weight":
        parts = [tensor("t%d" % seed, name) for seed in (1, 2, 3)]
        all_near("a soup of three: " + name, tensor("y", name),
                 [math.fsum(v) / 3 for v in zip(*parts)], 2e-7)
    subprocess.run([MAKE_TINY, "small", "hidden=32"], check=True)
    for why, word, args in (
            ("another shape", "small", ["--with", "other=small"]),
            ("no other model", "--with other=MODEL", []),
            ("a slip in its name", "`other`", ["--with", "othr=t2"])):
        p = graft("apply", "soup", "t1", "-o", "none", *args)
        ok("a merge with %s: ends with 1" % why, p.returncode == 1, p.stderr)
        ok("a merge with %s: says %s" % (why, word), word in p.stderr,
           p.stderr)


def part_golden():
    folder = os.path.join(DATA, "stories260K")
    if not os.path.isdir(folder):
        return skip("golden values", "no data at " + DATA)
    stories("stories260K", folder)
    stories("stories260K.gguf", os.path.join(folder, "stories260K.gguf"))
    for kind in ("llama", "llama_linear_rope", "llama3_rope",
                 "mistral_window", "mixtral"):
        hf_tiny(kind)
    interpreter()


# Families of models, and what is made of each: a copy, and (where it has a
# dense swiglu) XFT's and PESC's layers, which compute the same at the start.
FAMILIES = {
    "phi3": "xft pesc", "gemma2": "", "gemma3": "", "olmo2": "xft",
    "granite": "xft pesc", "granitemoe": "", "gpt2": "", "falcon": "",
    "llama4_text": "xft", "deepseek_v2": "xft", "deepseek_v3": "xft",
    "glm4_moe": "xft", "phimoe": "", "smollm3": "xft", "gpt_oss": "",
    "phi3_longrope": "", "llama_yarn": "", "llama_dynamic": "",
    "llama_biases": "", "qwen2_layer_types": "", "qwen3_moe_mixed": ""}
# Rope that changes with the text's length: eval's windows are shorter than the
# golden text, and ids made without a cache are not what a cache gives.
BY_LENGTH = ("phi3_longrope", "llama_dynamic")


def nll_of_rows(rows, ids):
    return math.fsum(math.log(math.fsum(map(math.exp, row))) - row[i]
                     for row, i in zip(rows, ids[1:])) / (len(ids) - 1)


def family_values(name, model, g, *flags):
    rows = logits(name, model, g["ids"], *flags)
    all_near(name + ": last logits", rows[-1], g["logits_last"], 2e-4)
    near(name + ": nll of the logits", nll_of_rows(rows, g["ids"]),
         g["mean_nll"], 1e-5)
    if name.split(",")[0] in BY_LENGTH:
        return
    near(name + ": nll", nll_of_ids(name, model, g["ids"], *flags),
         g["mean_nll"], 1e-5)
    want = g["greedy_ids"]
    if 2 in want:
        want = want[:want.index(2) + 1]
    got = greedy(name, model, g["greedy_prompt"], len(g["greedy_ids"]), *flags)
    ok(name + ": greedy ids", got == want, "%s, not %s" % (got, want))


def family(kind, transforms):
    g = golden("hf_tiny2", kind, "golden.json")
    model = os.path.join(DATA, "hf_tiny2", kind)
    for target in "cpu", "interp":
        family_values("%s, %s" % (kind, target), model, g, "--target", target)
    out = kind + "_copy"
    apply(kind, "copy", model, out)
    p = subprocess.run([COMPARE, model, out], capture_output=True, text=True)
    ok(kind + ": a copy, every weight bit for bit",
       p.returncode == 0 and " 0 differ" in p.stdout, p.stdout + p.stderr)
    for transform in transforms.split():
        out = "%s_%s" % (kind, transform)
        apply(out, transform, model, out)
        family_values(out, out, g)
        shutil.rmtree(out, ignore_errors=True)


def part_families():
    if not os.path.isdir(os.path.join(DATA, "hf_tiny2")):
        return skip("families", "no data at " + DATA)
    for kind, transforms in FAMILIES.items():
        family(kind, transforms)


def part_transforms():
    narrow("bf16")
    narrow("f16")
    merges()
    folder = os.path.join(DATA, "stories260K")
    if not os.path.isdir(folder):
        subprocess.run([MAKE_TINY, "tiny"], check=True)
        round_trip("tiny", "tiny", list(range(40, 80)))
        return skip("transforms of real models", "no data at " + DATA)
    ids = golden("stories260K", "golden.json")["text_ids"]
    round_trip("stories260K", folder, ids)
    round_trip("stories260K.gguf", os.path.join(folder, "stories260K.gguf"),
               ids, args=("experts=4", "active=3"))
    for kind in ("llama", "llama_linear_rope", "llama3_rope",
                 "mistral_window"):
        round_trip(kind, os.path.join(DATA, "hf_tiny", kind),
                   golden("hf_tiny", kind, "golden.json")["ids"])
    graft_folder(ids)
    mixtral_layout(ids)
    no_match()
    repeatable(ids[:20])


def part_smollm2():
    if QUICK:
        skip("SmolLM2", "GRAFT_QUICK, or a build with sanitizers")
    else:
        smollm2()


if __name__ == "__main__":
    DATA = os.path.abspath(DATA)
    scratch = tempfile.mkdtemp()
    os.chdir(scratch)
    try:
        globals()["part_" + PART]()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print("1..%d" % count)
    sys.exit(failures > 0)
