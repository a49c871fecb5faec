"""The programs that `graft bench --peers` compares with: worker.py PROGRAM.

graft sends lines of JSON, each of which gets one back:
    {"subject": {..}}       {"ways": ["eager", ..], "version": "torch 2.15"}
    {"run": "eager"}        {"seconds": 0.0123}
and {"error": "why"} to what fails. A subject has `what` (moe, matmul, model,
train), `tokens`, `threads`, `dtype`; a layer `width`, `inner`, `experts`, `active`,
`routing`; a model its path as `model`, and `before`: tokens seen before.
"""
import ctypes
import functools
import json
import os
import sys
import time


def ids(n, vocabulary):
    return [i * 7919 % vocabulary for i in range(n)]


# ---- PyTorch and transformers ----

def torch_for(s):
    import torch
    torch.set_num_threads(s["threads"])
    torch.set_grad_enabled(False)
    return torch, {"f32": torch.float32, "bf16": torch.bfloat16}[s["dtype"]]


def torch_input(s):
    """Random, its first elements what the router is to say of each expert."""
    torch, dtype = torch_for(s)
    x = torch.rand(s["tokens"], s["width"]) * 2 - 1
    rank = torch.arange(s["experts"], dtype=torch.float32)
    if s["routing"] == "one":
        x[:, :s["experts"]] = -8 * rank
    elif s["experts"]:
        u = torch.rand(s["tokens"], s["experts"]).clamp(1e-6, 1 - 1e-6)
        skew = (rank + 1).log() if s["routing"] == "zipf" else 0
        x[:, :s["experts"]] = -torch.log(-torch.log(u)) - skew
    return x.to(dtype)


def torch_matmul(s):
    torch, dtype = torch_for(s)
    w = (torch.rand(s["inner"], s["width"]) / 16 - 1 / 32).to(dtype)
    x = torch_input(s)
    return {"linear": lambda: torch.nn.functional.linear(x, w)}


@functools.cache
def mixtral_block(width, inner, experts, active, dtype):
    import torch
    from transformers import MixtralConfig
    from transformers.models.mixtral.modeling_mixtral import \
        MixtralSparseMoeBlock
    config = MixtralConfig(
        hidden_size=width, intermediate_size=inner, num_local_experts=experts,
        num_experts_per_tok=active, num_attention_heads=1,
        num_key_value_heads=1)
    config._experts_implementation = "eager"
    torch.set_default_dtype(dtype)
    block = MixtralSparseMoeBlock(config).eval()
    torch.set_default_dtype(torch.float32)
    for p in block.parameters():
        p.uniform_(-1 / 32, 1 / 32)
    block.gate.weight.copy_(torch.eye(experts, width))
    return block


def transformers_moe(s):
    torch, dtype = torch_for(s)
    from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS
    block = mixtral_block(s["width"], s["inner"], s["experts"], s["active"],
                          dtype)
    x = torch_input(s)[None]

    def run(way):
        block.experts.config._experts_implementation = way
        block(x)

    # batched_mm copies the weights of every pick
    ways = ["eager", "grouped_mm"] + ["batched_mm"] * (s["tokens"] <= 2)
    return {w: functools.partial(run, w) for w in ways
            if w == "eager" or w in ALL_EXPERTS_FUNCTIONS}


@functools.cache
def causal_lm(path, dtype):
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    where = {}
    if path.endswith(".gguf"):
        path, where["gguf_file"] = os.path.split(os.path.abspath(path))
    return AutoModelForCausalLM.from_pretrained(path, dtype=dtype,
                                                **where).eval()


def transformers_model(s):
    torch, dtype = torch_for(s)
    from transformers import DynamicCache
    model = causal_lm(s["model"], dtype)
    vocabulary = model.config.vocab_size
    before, n = s["before"], s["tokens"]
    cache = DynamicCache(config=model.config)
    token = torch.tensor([ids(max(before, n), vocabulary)])
    if before:
        model(token[:, :before], past_key_values=cache)

    def decode():
        if cache.get_seq_length() > before:
            cache.crop(before - cache.get_seq_length())
        model(token[:, :n], past_key_values=cache, logits_to_keep=1)

    def prefill():
        model(token, logits_to_keep=1)

    return {"sdpa": decode if before else prefill}


def transformers_train(s):
    """Steps as graft times them: AdamW on all weights, examples of 256 tokens.
    bf16 has weights and moments so, amp f32 ones beside bf16 products."""
    torch, _ = torch_for(s)
    torch.set_grad_enabled(True)
    length = min(s["tokens"], 256)

    def way(dtype, amp):
        model = causal_lm.__wrapped__(s["model"], dtype).train()
        x = torch.randint(0, model.config.vocab_size,
                          (s["tokens"] // length, length))
        moves = torch.optim.AdamW(model.parameters(), lr=1e-5,
                                  weight_decay=0.1, fused=True)

        def run():
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=amp):
                loss = model(input_ids=x, labels=x, use_cache=False).loss
            loss.backward()
            moves.step()
            moves.zero_grad(set_to_none=True)
        return run

    return {"f32": way(torch.float32, False), "amp": way(torch.float32, True),
            "bf16": way(torch.bfloat16, False)}


# ---- ggml, llama.cpp ----

GGML_F32, GGML_BF16 = 0, 30


class Params(ctypes.Structure):
    """ggml_init_params"""
    _fields_ = [("size", ctypes.c_size_t), ("memory", ctypes.c_void_p),
                ("no_alloc", ctypes.c_bool)]


@functools.cache
def llama_folder():
    """Of the libraries, without importing what loads llama.cpp."""
    from importlib.util import find_spec
    found = find_spec("llama_cpp")
    if not found:
        raise ModuleNotFoundError("No module named 'llama_cpp'")
    return os.path.join(os.path.dirname(found.origin), "lib")


class Ggml:
    """The C functions by name, without `ggml_`. Python's integers are 64 bits
    wide to them, which is what they want or drop; pointers come back."""

    def __init__(self):
        self.libraries = [
            ctypes.CDLL(os.path.join(llama_folder(), f"lib{n}.so"),
                        ctypes.RTLD_GLOBAL)
            for n in ("ggml-base", "ggml-cpu")]

    def __getattr__(self, name):
        for library in self.libraries:
            try:
                found = getattr(library, "ggml_" + name)
            except AttributeError:
                continue
            found.restype = ctypes.c_void_p

            def call(*args):
                return found(*(
                    a if not isinstance(a, int) else ctypes.c_int64(a)
                    for a in args))
            setattr(self, name, call)
            return call
        raise AttributeError(f"ggml has no ggml_{name}")

    def context(self):
        return self.init(Params(1 << 20, None, True))


@functools.cache
def ggml_weights(width, inner, experts, dtype, threads):
    import numpy
    g = Ggml()
    backend = g.backend_cpu_init()
    g.backend_cpu_set_n_threads(backend, threads)
    context = g.context()
    kind = {"f32": GGML_F32, "bf16": GGML_BF16}[dtype]
    shapes = {"gate": (width, inner), "up": (width, inner),
              "down": (inner, width)}
    w = {n: g.new_tensor_3d(context, kind, *shape, experts)
         for n, shape in shapes.items()}
    w["router"] = g.new_tensor_2d(context, GGML_F32, width, experts)
    g.backend_alloc_ctx_tensors(context, backend)
    draw = numpy.random.default_rng(1)

    def fill(tensor, values):
        g.backend_tensor_set(tensor, values.ctypes.data_as(ctypes.c_void_p), 0,
                             values.nbytes)

    for n in shapes:
        values = draw.random(width * inner * experts, "f4") / 16 - 1 / 32
        if dtype == "bf16":
            values = (values.view("u4") >> 16).astype("u2")
        fill(w[n], values)
    fill(w["router"], numpy.eye(experts, width, dtype="f4"))
    return g, backend, w, fill


def ggml_graph(g, c, w, s):
    """Mixtral's block as llama.cpp builds it; the graph and its input."""
    width, T, active = s["width"], s["tokens"], s["active"]
    x = g.new_tensor_2d(c, GGML_F32, width, T)
    p = g.soft_max(c, g.mul_mat(c, w["router"], x))
    picked = g.argsort_top_k(c, p, active)
    share = g.get_rows(c, g.reshape_3d(c, p, 1, s["experts"], T), picked)
    share = g.reshape_2d(c, share, active, T)
    share = g.div(c, share, g.sum_rows(c, share))
    share = g.reshape_3d(c, share, 1, active, T)
    x3 = g.reshape_3d(c, x, width, 1, T)
    up = g.mul_mat_id(c, w["up"], x3, picked)
    gate = g.mul_mat_id(c, w["gate"], x3, picked)
    h = g.swiglu_split(c, gate, up)
    y = g.mul(c, g.mul_mat_id(c, w["down"], h, picked), share)
    views = [g.view_2d(c, y, width, T, 4 * width * active, 4 * width * i)
             for i in range(active)]
    for v in views:
        g.build_forward_expand(s["graph"], v)
    y = functools.reduce(lambda a, b: g.add(c, a, b), views)
    g.build_forward_expand(s["graph"], y)
    return x


def ggml_moe(s):
    g, backend, w, fill = ggml_weights(s["width"], s["inner"], s["experts"],
                                       s["dtype"], s["threads"])
    c = g.context()
    graph = g.new_graph(c)
    x = ggml_graph(g, c, w, s | {"graph": graph})
    room = g.gallocr_new(g.backend_cpu_buffer_type())
    g.gallocr_alloc_graph(room, graph)
    fill(x, torch_input(s | {"dtype": "f32"}).numpy())

    def run():
        if g.backend_graph_compute(backend, graph):
            raise RuntimeError("ggml cannot run it")

    def free():
        g.gallocr_free(room)
        g.free(c)

    run.free = free
    return {"mul_mat_id": run}


@functools.cache
def llama_model(path):
    import llama_cpp
    quiet = llama_cpp.llama_log_callback(lambda *_: None)
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p())
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(
        path.encode(), llama_cpp.llama_model_default_params())
    if not model:
        raise RuntimeError("llama.cpp cannot load the model")
    return llama_cpp, model, quiet


def llama_cpp_model(s):
    lib, model, _ = llama_model(s["model"])
    before, n = s["before"], s["tokens"]
    params = lib.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = max(64, before + n)
    params.n_threads = params.n_threads_batch = s["threads"]
    context = lib.llama_init_from_model(model, params)
    if not context:
        raise RuntimeError("llama.cpp has no room for it")
    memory = lib.llama_get_memory(context)
    words = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(model))
    batch = lib.llama_batch_init(max(before, n), 0, 1)

    def decode(first, count):
        batch.n_tokens = count
        for i, token in enumerate(ids(count, words)):
            batch.token[i], batch.pos[i] = token, first + i
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
            batch.logits[i] = i + 1 == count
        if lib.llama_decode(context, batch):
            raise RuntimeError("llama.cpp cannot run it")
        lib.llama_get_logits_ith(context, -1)

    def run():
        lib.llama_memory_seq_rm(memory, 0, before, -1)
        decode(before, n)

    def free():
        lib.llama_batch_free(batch)
        lib.llama_free(context)

    if before:
        decode(0, before)
    run.free = free
    return {"llama_decode": run}


# ---- answers ----

PROGRAMS = {
    ("moe", "transformers"): (transformers_moe, "transformers", "torch"),
    ("moe", "ggml"): (ggml_moe, "llama-cpp-python"),
    ("matmul", "torch"): (torch_matmul, "torch"),
    ("model", "transformers"): (transformers_model, "transformers", "torch"),
    ("train", "transformers"): (transformers_train, "transformers", "torch"),
    ("model", "llama.cpp"): (llama_cpp_model, "llama-cpp-python"),
}


class Worker:
    def __init__(self, program):
        self.program, self.ways = program, {}

    def subject(self, s):
        from importlib.metadata import version
        for run in self.ways.values():
            getattr(run, "free", lambda: None)()
        make, *packages = PROGRAMS[s["what"], self.program]
        self.ways = make(s)
        for run in self.ways.values():
            run()
        said = ", ".join(f"{p} {version(p)}" for p in packages)
        return {"ways": list(self.ways), "version": said}

    def run(self, way):
        began = time.perf_counter()
        self.ways[way]()
        return {"seconds": time.perf_counter() - began}

    def answer(self, line):
        try:
            asked = json.loads(line)
            if "subject" in asked:
                return self.subject(asked["subject"])
            return self.run(asked["run"])
        except Exception as why:  # graft says it, and does without
            text = " ".join(str(why).split())[:200]
            return {"error": text or type(why).__name__}


def main():
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else is printed
    worker = Worker(sys.argv[1])
    for line in sys.stdin:
        print(json.dumps(worker.answer(line)), file=out, flush=True)


if __name__ == "__main__":
    main()
