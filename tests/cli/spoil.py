"""spoil KIND FOLDER: breaks a Hugging Face folder (one model.safetensors, as
make_tiny writes it) in one way; the tests see what graft says about it."""
import json
import os
import struct
import sys


def read(folder):
    with open(os.path.join(folder, "model.safetensors"), "rb") as f:
        (length,) = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(length))
        return header, f.read()


def write(folder, header, data, name="model.safetensors"):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    with open(os.path.join(folder, name), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def config(folder, **fields):
    path = os.path.join(folder, "config.json")
    with open(path) as f:
        c = json.load(f)
    c.update(fields)
    with open(path, "w") as f:
        json.dump({k: v for k, v in c.items() if v != "drop"}, f)


UP = "model.layers.1.mlp.up_proj.weight"
DOWN = "model.layers.1.mlp.down_proj.weight"


def truncated(folder):
    path = os.path.join(folder, "model.safetensors")
    os.truncate(path, os.path.getsize(path) - 100)


def cut_header(folder):
    os.truncate(os.path.join(folder, "model.safetensors"), 500)


def empty_file(folder):
    os.truncate(os.path.join(folder, "model.safetensors"), 0)


def huge_header(folder):
    with open(os.path.join(folder, "model.safetensors"), "r+b") as f:
        f.write(struct.pack("<Q", 2 << 30))


def header_not_json(folder):
    write(folder, b"{ not json", read(folder)[1])


def change(folder, name, **fields):
    header, data = read(folder)
    header[name].update(fields)
    write(folder, header, data)


def unknown_dtype(folder):
    change(folder, UP, dtype="F33")


def whole_numbers(folder):
    change(folder, UP, dtype="I32")


def past_end(folder):
    header, data = read(folder)
    a, b = header[UP]["data_offsets"]
    header[UP]["data_offsets"] = [a + len(data), b + len(data)]
    write(folder, header, data)


def overlap(folder):
    header, data = read(folder)
    header[UP]["data_offsets"] = header[DOWN]["data_offsets"]
    write(folder, header, data)


def wrong_size(folder):
    header, data = read(folder)
    rows, cols = header[UP]["shape"]
    header[UP]["shape"] = [rows + 1, cols]
    write(folder, header, data)


def negative_shape(folder):
    header, data = read(folder)
    rows, cols = header[UP]["shape"]
    header[UP]["shape"] = [-rows, -cols]
    write(folder, header, data)


def transposed(folder):
    header, data = read(folder)
    header[UP]["shape"].reverse()
    write(folder, header, data)


def missing_tensor(folder):
    header, data = read(folder)
    header["spare"] = header.pop(UP)
    write(folder, header, data)
    header.pop("spare")
    keep = b"".join(
        data[slice(*t["data_offsets"])]
        for k, t in header.items() if k != "__metadata__")
    at = 0
    for k, t in header.items():
        if k != "__metadata__":
            size = t["data_offsets"][1] - t["data_offsets"][0]
            t["data_offsets"] = [at, at + size]
            at += size
    write(folder, header, keep)


def extra_tensor(folder):
    header, data = read(folder)
    header["model.layers.1.mlp.bias"] = {
        "dtype": "F32", "shape": [4],
        "data_offsets": [len(data), len(data) + 16]}
    write(folder, header, data + bytes(16))


def missing_shard(folder):
    header, data = read(folder)
    names = [k for k in header if k != "__metadata__"]
    os.rename(os.path.join(folder, "model.safetensors"),
              os.path.join(folder, "model-00001-of-00002.safetensors"))
    index = {k: "model-00001-of-00002.safetensors" for k in names}
    index[UP] = "model-00002-of-00002.safetensors"
    with open(os.path.join(folder, "model.safetensors.index.json"), "w") as f:
        json.dump({"metadata": {}, "weight_map": index}, f)


def no_weights(folder):
    os.remove(os.path.join(folder, "model.safetensors"))


def no_config(folder):
    os.remove(os.path.join(folder, "config.json"))


def config_not_json(folder):
    with open(os.path.join(folder, "config.json"), "w") as f:
        f.write('{"hidden_size": 64,')


def nan_config(folder):
    path = os.path.join(folder, "config.json")
    with open(path) as f:
        text = f.read().replace("1e-05", "NaN").replace("1e-5", "NaN")
    with open(path, "w") as f:
        f.write(text.replace("1.0000000000000001NaN", "NaN"))
    if "NaN" not in text:
        config(folder, rms_norm_eps=float("nan"))


def unknown_architecture(folder):
    config(folder, architectures=["LamaForCausalLM"])


def missing_field(folder):
    config(folder, hidden_size="drop")


def text_field(folder):
    config(folder, num_hidden_layers="four")


def negative_field(folder):
    config(folder, num_hidden_layers=-4)


def odd_heads(folder):
    config(folder, num_attention_heads=5)


def another_act(folder):
    config(folder, hidden_act="gelu_10")


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
