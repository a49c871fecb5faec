#!/usr/bin/env python3
"""train PART GRAFT MAKE_TINY DATA: recipes run. PART golden holds runs in f64
against golden ones: two of our own (bench/peers/train_golden.py), and those of
DATA/train where it is there."""
import json
import math
import os
import shutil
import struct
import subprocess
import sys
import tempfile

PART, GRAFT, MAKE_TINY, DATA = sys.argv[1:5]
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ALL = os.environ.get("GRAFT_ALL") == "1"
count = failures = 0


def ok(name, verdict, why=""):
    global count, failures
    count += 1
    print(("ok" if verdict else "not ok"), count, "-", name, flush=True)
    if not verdict:
        failures += 1
        print("#  ", str(why)[:700].replace("\n", "\n#   "), flush=True)
    return verdict


def skip(name, why):
    global count
    count += 1
    print("ok", count, "# SKIP", name + ":", why, flush=True)


def graft(*args, **more):
    return subprocess.run([GRAFT, *map(str, args)], capture_output=True,
                          text=True, stdin=subprocess.DEVNULL, **more)


def load(*path):
    with open(os.path.join(*path)) as f:
        return json.load(f)


def log_of(out):
    with open(out + ".run/log.jsonl") as f:
        return [json.loads(line) for line in f]


def tensors(path):
    """Name to numbers (f32, f64) of a safetensors file or folder."""
    if os.path.isdir(path):
        path = os.path.join(path, "model.safetensors")
    with open(path, "rb") as f:
        size, = struct.unpack("<Q", f.read(8))
        head = json.loads(f.read(size))
        data = f.read()
    out = {}
    for name, t in head.items():
        if name == "__metadata__":
            continue
        kind = {"F32": "f", "F64": "d"}[t["dtype"]]
        a, b = t["data_offsets"]
        out[name] = struct.unpack(f"<{(b - a) // (4 if kind == 'f' else 8)}"
                                  f"{kind}", data[a:b])
    return out


def norm(x):
    return math.sqrt(math.fsum(v * v for v in x))


def off(a, b):
    return abs(a - b) / abs(b) if b else abs(a)


class Worst:
    """The largest difference seen, and where."""

    def __init__(self):
        self.at, self.where = 0, ""

    def see(self, value, where):
        if not value <= self.at:
            self.at, self.where = value, where

    def __str__(self):
        return f"{self.at:.2e} at {self.where}"


F64 = ("--target", "interp", "--dtype", "f64", "--quiet")


def run(work, name, recipe, base, data, *more):
    """Runs the recipe anew; its OUT, or None after a failed check."""
    out = os.path.join(work, name)
    for path in out, out + ".run":
        shutil.rmtree(path, ignore_errors=True)
    p = graft("run", recipe, f"base={base}", f"data={data}", f"out={out}",
              *more)
    if p.returncode:
        ok(name + ": runs", False, p.stderr)
        return None
    return out


def compare_history(worst, log, want):
    for a, b in zip(log, want):
        for key in ("loss", "grad_norm", "lr", "labelled", "tokens", "total"):
            if key in b:
                worst.see(off(a[key], b[key]), f"step {a['step']} {key}")
        for key, v in b.get("losses", {}).items():
            worst.see(off(a["losses"][key], v), f"step {a['step']} {key}")
    if len(log) != len(want):
        worst.see(math.inf, f"{len(log)} steps, not {len(want)}")


def compare_tensors(worst, found, want):
    """want: norm and first elements by name, or the norm alone."""
    for name, v in want.items():
        v = v if isinstance(v, dict) else {"norm": v, "first": []}
        if name not in found:
            worst.see(math.inf, f"{name} is missing")
            continue
        worst.see(abs(norm(found[name]) - v["norm"]) / (v["norm"] or 1),
                  name + "'s norm")
        for a, b in zip(found[name], v["first"]):
            worst.see(abs(a - b) / (v["norm"] or 1), name)


def check_run(work, name, recipe, base, data, want):
    out = run(work, name, recipe, base, data, *F64)
    if not out:
        return
    worst = Worst()
    compare_history(worst, log_of(out), want["history"])
    ok(f"{name}: losses and norms", worst.at < 1e-9, worst)
    worst = Worst()
    compare_tensors(worst, tensors(out),
                    want.get("folded_weights") or want["final_weights"])
    ok(f"{name}: final weights, as f32 holds them", worst.at < 1e-7, worst)
    if "learned" in want:
        worst, found = Worst(), load(out, "learned.json")
        for key, v in want["learned"].items():
            for a, b in zip(found[key], v):
                worst.see(abs(a - b) / norm(v), key)
        ok(f"{name}: what was learned", worst.at < 1e-9, worst)
    file = os.path.join(work, "gradients.safetensors")
    if run(work, name, recipe, base, data, "--gradients", file, *F64):
        worst, found = Worst(), tensors(file)
        compare_tensors(worst, found, want["first_gradients"])
        ok(f"{name}: first gradients, of these and no others", worst.at < 1e-9
           and set(found) == set(want["first_gradients"]), worst)


RECIPE = """use llama
recipe r(base, data, out) {{
  sample = ids(data)
  m = load(base)
  train m on sample {{ {} }}
  save m to out
}}
"""


def options(o, *more):
    text = [f"batch {o['batch']}", f"steps {o['steps']}",
            f"lr {o['lr']} {o['schedule']}", f"warmup {o['warmup']}",
            f"optimizer {o['optimizer']}", f"decay {o['decay']}",
            "order given"]
    text += [f"{k} {o[k]}" for k in ("beta1", "beta2", "eps", "momentum",
                                     "clip") if k in o]
    return ", ".join([*text, *more])


def recipe_file(work, text):
    path = os.path.join(work, "recipe.graft")
    with open(path, "w") as f:
        f.write(text)
    return path + ":r"


def own_goldens(work):
    golden = load(HERE, "train", "golden.json")
    data = os.path.join(HERE, "train", "data.jsonl")
    for name, want in golden["cases"].items():
        base = os.path.join(work, "base_" + name)
        shape = dict(golden["shape"], tied=want["options"]["tied"])
        subprocess.run([MAKE_TINY, base, *[f"{k}={v}" for k, v in
                                           shape.items()]], check=True)
        want["final_weights"] = want["final_norms"]
        recipe = recipe_file(work, RECIPE.format(options(want["options"])))
        check_run(work, "our golden " + name, recipe, base, data, want)


SOME = ("packed", "adafactor_dense", "xft_cv2", "xft_merge", "lora",
        "expert_choice")


def shared_goldens(work):
    folder = os.path.join(DATA, "train")
    if not os.path.isdir(folder):
        skip("golden training runs", f"no {folder}")
        return
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if not os.path.exists(os.path.join(path, "golden.json")):
            continue
        if not ALL and name not in SOME:
            continue
        want = load(path, "golden.json")
        base = os.path.join(folder if want["base"].startswith("models")
                            else DATA, want["base"])
        check_run(work, "golden " + name, path + "/train.graft:golden", base,
                  path + "/data.jsonl", want)


def micro_batches(work):
    """However a step is cut: the same."""
    path = os.path.join(DATA, "train", "accumulate")
    if not os.path.isdir(path):
        skip("micro-batches", f"no {path}")
        return
    with open(path + "/train.graft") as f:
        text = f.read()
    for folder in "accumulate", "packed":
        path = os.path.join(DATA, "train", folder)
        want = load(path, "golden.json")
        with open(path + "/train.graft") as f:
            text = f.read()
        for micro in 1, 16, 40, 100000:
            recipe = recipe_file(work, text.replace(
                "order given", f"order given, micro {micro}").replace(
                "recipe golden", "recipe r"))
            out = run(work, "cut", recipe, os.path.join(DATA, "train",
                                                        want["base"]),
                      path + "/data.jsonl", *F64)
            worst = Worst()
            if out:
                compare_history(worst, log_of(out), want["history"])
                ok(f"{folder}: micro {micro}", worst.at < 1e-9, worst)


def golden(work):
    own_goldens(work)
    shared_goldens(work)
    micro_batches(work)


PARTS = {"golden": golden}
with tempfile.TemporaryDirectory() as folder:
    PARTS[PART](folder)
print(f"1..{count}")
sys.exit(failures > 0)
