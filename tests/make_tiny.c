/* make_tiny OUT [name=value...]: writes a small Llama of seeded random weights
 * as a Hugging Face folder, with a byte-level tokenizer. The tests use it, and
 * the demo where no real model can be had. It says nothing sensible, but every
 * part is there. */
#include "runtime/runtime.h"
#include <math.h>
#include <string.h>

typedef struct {
    int hidden, inner, layers, heads, kv_heads, tied, seed;
    Dtype dtype;
} Shape;

static const struct {
    const char *name;
    size_t at;
} settings[] = {
    {"hidden", offsetof(Shape, hidden)},     {"inner", offsetof(Shape, inner)},
    {"layers", offsetof(Shape, layers)},     {"heads", offsetof(Shape, heads)},
    {"kv_heads", offsetof(Shape, kv_heads)}, {"tied", offsetof(Shape, tied)},
    {"seed", offsetof(Shape, seed)},
};

/* ---- the tokenizer: 256 bytes, a few merges, two special tokens ---- */

static const char *const merges[] = {
    "h e",   "i n", "\u0120 t", "\u0120t he", "a n",
    "an d",  "o n", "e r",      "r e",        "\u0120 a",
};
static const char begin_token[] = "<|begin|>", end_token[] = "<|end|>";
enum {
    BEGIN = 256 + COUNT(merges),
    END,
    VOCABULARY,
};

/* How byte-level vocabularies write a byte: as a printable character. */
static void byte_text(int byte, char out[8])
{
    int code = 0, next = 256;
    for (int b = 0; b <= byte; b++) {
        bool printable = (b >= 33 && b <= 126) || (b >= 161 && b != 173);
        code = printable ? b : next++;
    }
    if (code < 128)
        snprintf(out, 8, "%c", code);
    else
        snprintf(out, 8, "%c%c", 0xc0 | code >> 6, 0x80 | (code & 63));
}

static cJSON *vocabulary(void)
{
    cJSON *vocab = cJSON_CreateObject();
    char text[64];
    for (int b = 0; b < 256; b++) {
        byte_text(b, text);
        cJSON_AddNumberToObject(vocab, text, b);
    }
    for (size_t i = 0; i < COUNT(merges); i++) {
        const char *gap = strchr(merges[i], ' ');
        snprintf(text, sizeof text, "%.*s%s", (int)(gap - merges[i]),
                 merges[i], gap + 1);
        cJSON_AddNumberToObject(vocab, text, 256 + (double)i);
    }
    return vocab;
}

static cJSON *byte_level(void)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "type", "ByteLevel");
    cJSON_AddBoolToObject(o, "add_prefix_space", false);
    cJSON_AddBoolToObject(o, "trim_offsets", true);
    cJSON_AddBoolToObject(o, "use_regex", true);
    return o;
}

static void add_special(cJSON *list, int id, const char *text)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "id", id);
    cJSON_AddStringToObject(o, "content", text);
    cJSON_AddBoolToObject(o, "single_word", false);
    cJSON_AddBoolToObject(o, "lstrip", false);
    cJSON_AddBoolToObject(o, "rstrip", false);
    cJSON_AddBoolToObject(o, "normalized", false);
    cJSON_AddBoolToObject(o, "special", true);
    cJSON_AddItemToArray(list, o);
}

static char *tokenizer_text_json(void)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "version", "1.0");
    cJSON_AddNullToObject(o, "truncation");
    cJSON_AddNullToObject(o, "padding");
    cJSON *added = cJSON_AddArrayToObject(o, "added_tokens");
    add_special(added, BEGIN, begin_token);
    add_special(added, END, end_token);
    cJSON_AddNullToObject(o, "normalizer");
    cJSON_AddItemToObject(o, "pre_tokenizer", byte_level());
    cJSON_AddNullToObject(o, "post_processor");
    cJSON_AddItemToObject(o, "decoder", byte_level());
    cJSON *model = cJSON_AddObjectToObject(o, "model");
    cJSON_AddStringToObject(model, "type", "BPE");
    cJSON_AddItemToObject(model, "vocab", vocabulary());
    cJSON_AddItemToObject(model, "merges",
                          cJSON_CreateStringArray(merges, COUNT(merges)));
    char *text = cJSON_Print(o);
    cJSON_Delete(o);
    return text;
}

static char *tokenizer_config(void)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "tokenizer_class", "PreTrainedTokenizerFast");
    cJSON_AddStringToObject(o, "bos_token", begin_token);
    cJSON_AddStringToObject(o, "eos_token", end_token);
    cJSON_AddBoolToObject(o, "add_bos_token", false);
    char *text = cJSON_Print(o);
    cJSON_Delete(o);
    return text;
}

/* ---- the model ---- */

static char *config(const Shape *s)
{
    const char *architecture = "LlamaForCausalLM";
    cJSON *o = cJSON_CreateObject();
    cJSON_AddItemToObject(o, "architectures",
                          cJSON_CreateStringArray(&architecture, 1));
    cJSON_AddStringToObject(o, "model_type", "llama");
    cJSON_AddNumberToObject(o, "vocab_size", VOCABULARY);
    cJSON_AddNumberToObject(o, "hidden_size", s->hidden);
    cJSON_AddNumberToObject(o, "intermediate_size", s->inner);
    cJSON_AddNumberToObject(o, "num_hidden_layers", s->layers);
    cJSON_AddNumberToObject(o, "num_attention_heads", s->heads);
    cJSON_AddNumberToObject(o, "num_key_value_heads", s->kv_heads);
    cJSON_AddNumberToObject(o, "max_position_embeddings", 512);
    cJSON_AddNumberToObject(o, "rms_norm_eps", 1e-5);
    cJSON_AddNumberToObject(o, "rope_theta", 10000);
    cJSON_AddStringToObject(o, "hidden_act", "silu");
    cJSON_AddBoolToObject(o, "tie_word_embeddings", s->tied);
    cJSON_AddNumberToObject(o, "bos_token_id", BEGIN);
    cJSON_AddNumberToObject(o, "eos_token_id", END);
    cJSON_AddStringToObject(o, "torch_dtype",
                            s->dtype == TYPE_bf16  ? "bfloat16"
                            : s->dtype == TYPE_f16 ? "float16"
                                                   : "float32");
    char *text = cJSON_Print(o);
    cJSON_Delete(o);
    return text;
}

typedef struct {
    const Shape *shape;
    Arena arena;
    LIST(TensorInfo) list;
} Plan;

static void add(Plan *p, const char *name, int64_t rows, int64_t cols)
{
    TensorInfo t = {.name = name, .dtype = p->shape->dtype,
                    .rank = cols ? 2 : 1, .shape = {rows, cols}};
    t.bytes = type_bytes(t.dtype, rows * (cols ? cols : 1));
    list_push(&p->arena, &p->list, t);
}

static void add_layer(Plan *p, int l)
{
    const Shape *s = p->shape;
    int64_t d = s->hidden, kv = s->hidden / s->heads * s->kv_heads;
    const struct {
        const char *name;
        int64_t rows, cols;
    } part[] = {
        {"input_layernorm", d, 0},     {"post_attention_layernorm", d, 0},
        {"self_attn.q_proj", d, d},    {"self_attn.k_proj", kv, d},
        {"self_attn.v_proj", kv, d},   {"self_attn.o_proj", d, d},
        {"mlp.gate_proj", s->inner, d}, {"mlp.up_proj", s->inner, d},
        {"mlp.down_proj", d, s->inner},
    };
    for (size_t i = 0; i < COUNT(part); i++)
        add(p,
            arena_printf(&p->arena, "model.layers.%d.%s.weight", l,
                         part[i].name),
            part[i].rows, part[i].cols);
}

static void plan(Plan *p)
{
    add(p, "model.embed_tokens.weight", VOCABULARY, p->shape->hidden);
    for (int l = 0; l < p->shape->layers; l++)
        add_layer(p, l);
    add(p, "model.norm.weight", p->shape->hidden, 0);
    if (!p->shape->tied)
        add(p, "lm_head.weight", VOCABULARY, p->shape->hidden);
}

/* Splitmix64: uniform in (0, 1). */
static double uniform(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return ((double)((z ^ z >> 31) >> 12) + 0.5) * 0x1p-52;
}

static double gaussian(uint64_t *state)
{
    double radius = sqrt(-2 * log(uniform(state)));
    return radius * cos(2 * 3.14159265358979323846 * uniform(state));
}

/* Matrices keep the size of what goes through them; norms are about 1. */
static void fill(const TensorInfo *t, int seed, void *out)
{
    uint64_t state = hash_bytes((uint64_t)seed, t->name, strlen(t->name));
    bool norm = t->rank == 1;
    int64_t count = t->shape[0] * (norm ? 1 : t->shape[1]);
    double scale = norm ? 0.1 : 1 / sqrt((double)t->shape[1]);
    for (int64_t i = 0; i < count; i++)
        type_store(t->dtype, out, i, norm + scale * gaussian(&state));
}

static bool write_model(const char *path, const Shape *s, Err *err)
{
    Plan p = {.shape = s};
    plan(&p);
    char *text[3] = {config(s), tokenizer_text_json(), tokenizer_config()};
    const FileSpec files[] = {
        {"config.json", text[0], strlen(text[0]), NULL},
        {"tokenizer.json", text[1], strlen(text[1]), NULL},
        {"tokenizer_config.json", text[2], strlen(text[2]), NULL},
    };
    const FolderSpec spec = {.tensor = p.list.at, .tensors = p.list.n,
                             .file = files, .files = COUNT(files)};
    Writer *w = folder_begin(path, &spec, err);
    bool fine = w != NULL;
    for (int i = 0; fine && i < p.list.n; i++) {
        void *values = arena_alloc(&p.arena, (size_t)p.list.at[i].bytes);
        fill(&p.list.at[i], s->seed, values);
        fine = writer_put(w, values, p.list.at[i].bytes, err);
    }
    if (w && fine)
        fine = writer_finish(w, err);
    else if (w)
        writer_cancel(w);
    for (size_t i = 0; i < COUNT(text); i++)
        cJSON_free(text[i]);
    arena_free(&p.arena);
    return fine;
}

static bool set(Shape *s, const char *arg)
{
    const char *eq = strchr(arg, '=');
    if (!eq)
        return false;
    if (!strncmp(arg, "dtype=", 6))
        return type_find(eq + 1, &s->dtype);
    for (size_t i = 0; i < COUNT(settings); i++)
        if (strlen(settings[i].name) == (size_t)(eq - arg) &&
            !strncmp(arg, settings[i].name, (size_t)(eq - arg))) {
            *(int *)((char *)s + settings[i].at) = atoi(eq + 1);
            return true;
        }
    return false;
}

int main(int argc, char **argv)
{
    Shape s = {.hidden = 64, .inner = 176, .layers = 4, .heads = 4,
               .kv_heads = 2, .seed = 1, .dtype = TYPE_f32};
    Err err;
    for (int i = 2; i < argc; i++)
        if (!set(&s, argv[i])) {
            fprintf(stderr, "make_tiny: no setting `%s`\n", argv[i]);
            return 2;
        }
    if (argc < 2) {
        fputs("Usage: make_tiny OUT [hidden=64] [inner=176] [layers=4] "
              "[heads=4] [kv_heads=2] [tied=0] [seed=1] [dtype=f32]\n",
              stderr);
        return 2;
    }
    if (s.heads < 1 || s.hidden % s.heads || s.layers < 1 || s.inner < 1 ||
        s.kv_heads < 1 || s.heads % s.kv_heads) {
        fputs("make_tiny: heads must divide hidden, kv_heads heads\n", stderr);
        return 2;
    }
    if (write_model(argv[1], &s, &err))
        return 0;
    fprintf(stderr, "make_tiny: %s\n", err.text);
    return 1;
}
