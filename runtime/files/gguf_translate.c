/* From a GGUF file's metadata and tensor names to a Hugging Face config and
 * Hugging Face's names, by the tables of gguf_arch.c. */
#include "runtime/files/gguf_arch.h"
#include <math.h>
#include <string.h>

const FileTensor *raw_find(const Translation *t, const char *name)
{
    for (int i = 0; i < t->n; i++)
        if (!strcmp(t->raw[i].info.name, name))
            return &t->raw[i];
    return NULL;
}

double config_number(const Translation *t, const char *field)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(t->config, field);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

PRINTF(2, 3) static bool bad(Translation *t, const char *fmt, ...)
{
    char why[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    err_set(t->err, "%s: %s", t->g->path, why);
    return false;
}

/* ---- config ---- */

/* The shortest decimal that gives the same f32: 1e-05, not 9.99999974e-06. */
static double shortest(double value)
{
    char text[32];
    float f = (float)value;
    if ((double)f != value)
        return value;
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtof(text, NULL) == f)
            break;
    }
    return strtod(text, NULL);
}

static void set(Translation *t, const char *field, cJSON *item)
{
    cJSON_DeleteItemFromObjectCaseSensitive(t->config, field);
    cJSON_AddItemToObject(t->config, field, item);
}

static bool absent(Translation *t, const KeyRow *row, const char *key)
{
    if (row->otherwise == NONE)
        return true;
    if (row->otherwise != NEEDED)
        set(t, row->field,
            row->kind == KEY_bool    ? cJSON_CreateBool(row->otherwise != 0)
            : row->kind == KEY_float ? json_real(row->otherwise)
                                     : cJSON_CreateNumber(row->otherwise));
    else if (raw_find(t, "token_embd.weight"))
        return bad(t, "metadata key %s is missing", key);
    return true;
}

/* What no model of this architecture reads may have one value alone. */
static bool is_constant(Translation *t, const KeyRow *row, const char *key)
{
    double x;
    return !gguf_float(t->g, key, &x) || x == row->otherwise || x == 0 ||
           bad(t, "metadata key %s is %g; graft computes this architecture "
               "with %g", key, x, row->otherwise);
}

bool gguf_add_key(Translation *t, const KeyRow *row)
{
    int64_t n;
    double x;
    bool b;
    const char *key = gguf_key(t->g, row->key);
    const GgufValue *v = gguf_value(t->g, key);
    if (!*row->field)
        return is_constant(t, row, key);
    if (!v)
        return absent(t, row, key);
    if (v->array)
        return bad(t, "metadata key %s is an array (a value for each layer), "
                   "graft reads a single one", key);
    if (row->kind == KEY_bool && gguf_bool(t->g, key, &b))
        set(t, row->field, cJSON_CreateBool(b));
    else if (row->kind == KEY_int && gguf_int(t->g, key, &n) && n >= 0 &&
             n < INT32_MAX)
        set(t, row->field, cJSON_CreateNumber((double)n));
    else if (row->kind == KEY_float && gguf_float(t->g, key, &x) &&
             isfinite(x))
        set(t, row->field, json_real(shortest(x)));
    else
        return bad(t, "metadata key %s is no %s", key,
                   row->kind == KEY_int     ? "size"
                   : row->kind == KEY_float ? "finite number"
                                            : "boolean");
    return true;
}

static bool add_heads(Translation *t)
{
    double heads = config_number(t, "num_attention_heads");
    double size = config_number(t, "hidden_size");
    const KeyRow kv = {"attention.head_count_kv", "num_key_value_heads",
                       KEY_int, heads};
    if (!heads && !raw_find(t, "token_embd.weight"))
        return true; /* a vocabulary, or tensors that make no model */
    if (heads < 1 || size < 1)
        return bad(t, "%.0f heads for an embedding of %.0f", heads, size);
    double dim = floor(size / heads);
    const KeyRow own = {"attention.key_length", "head_dim", KEY_int, dim};
    if (!gguf_add_key(t, &kv) || !gguf_add_key(t, &own))
        return false;
    double kept = config_number(t, "head_dim");
    int64_t value = (int64_t)kept;
    gguf_int(t->g, gguf_key(t->g, "attention.value_length"), &value);
    if (value != (int64_t)kept)
        return bad(t, "values of %lld beside keys of %.0f in a head are not "
                   "supported", (long long)value, kept);
    if (!t->arch->head_dim) {
        if (kept * heads != size)
            return bad(t, "%.0f heads of %.0f do not make up the embedding of "
                       "%.0f", heads, kept, size);
        cJSON_DeleteItemFromObjectCaseSensitive(t->config, "head_dim");
    }
    return true;
}

static void add_vocabulary(Translation *t)
{
    const FileTensor *embed = raw_find(t, "token_embd.weight");
    int64_t n;
    if (embed)
        n = embed->info.shape[0];
    else if (!gguf_int(t->g, gguf_key(t->g, "vocab_size"), &n) &&
             !gguf_strings(t->g, "tokenizer.ggml.tokens", &n))
        return;
    set(t, "vocab_size", cJSON_CreateNumber((double)n));
}

static void add_token(Translation *t, const char *key, const char *field)
{
    int64_t id;
    if (gguf_int(t->g, key, &id) && id >= 0 && id < INT32_MAX)
        set(t, field, cJSON_CreateNumber((double)id));
}

/* As torch calls the type that most values have. */
static const char *torch_dtype(const Translation *t)
{
    int64_t sum[TYPE_COUNT] = {0};
    for (int i = 0; i < t->n; i++)
        sum[t->raw[i].info.dtype] += t->raw[i].info.bytes;
    if (sum[TYPE_bf16] > sum[TYPE_f32] && sum[TYPE_bf16] > sum[TYPE_f16])
        return "bfloat16";
    return sum[TYPE_f16] > sum[TYPE_f32] ? "float16" : "float32";
}

static bool fill_config(Translation *t)
{
    const Arch *a = t->arch;
    cJSON *list = cJSON_AddArrayToObject(t->config, "architectures");
    cJSON_AddItemToArray(list, cJSON_CreateString(a->class));
    cJSON_AddStringToObject(t->config, "model_type", a->type);
    for (const FixedRow *f = a->fixed; f->field; f++)
        set(t, f->field, cJSON_Parse(f->json));
    for (size_t i = 0; i < COUNT(a->keys) && a->keys[i]; i++)
        for (const KeyRow *k = a->keys[i]; k->key; k++)
            if (!gguf_add_key(t, k))
                return false;
    if (!add_heads(t) || !gguf_add_rope(t))
        return false;
    add_vocabulary(t);
    add_token(t, "tokenizer.ggml.bos_token_id", "bos_token_id");
    add_token(t, "tokenizer.ggml.eos_token_id", "eos_token_id");
    if (t->n)
        cJSON_AddBoolToObject(t->config, "tie_word_embeddings",
                              !raw_find(t, "output.weight"));
    cJSON_AddStringToObject(t->config, "torch_dtype", torch_dtype(t));
    return !a->more || a->more(t);
}

/* ---- names ---- */

bool gguf_fits(const char *pattern, const char *name, int at[2],
               const char **rest)
{
    for (; *pattern; pattern++) {
        if (*pattern != '#' && *pattern != '@') {
            if (*pattern != *name++)
                return false;
            continue;
        }
        char *end;
        if (*name < '0' || *name > '9')
            return false;
        long n = strtol(name, &end, 10);
        if (n > 999999)
            return false;
        at[*pattern == '@'] = (int)n;
        name = end;
    }
    *rest = name;
    return !*name || !strcmp(name, ".weight") || !strcmp(name, ".bias");
}

const char *gguf_fill(const char *pattern, const int at[2], const char *rest)
{
    char out[1024];
    int n = 0;
    for (; *pattern && n < 900; pattern++)
        if (*pattern == '#' || *pattern == '@')
            n += snprintf(out + n, sizeof out - (size_t)n, "%d",
                          at[*pattern == '@']);
        else
            out[n++] = *pattern;
    return intern_printf("%.*s%s", n, out, rest);
}

static const NameRow *find_row(const Arch *a, const char *name, int at[2],
                               const char **rest)
{
    for (size_t i = 0; i < COUNT(a->names) && a->names[i]; i++)
        for (const NameRow *row = a->names[i]; row->gguf; row++)
            if (gguf_fits(row->gguf, name, at, rest))
                return row;
    return NULL;
}

/* Sets the row order of q and k, or of a qkv. */
static bool set_rows(Translation *t, FileTensor *one, As as)
{
    const char *field = as == AS_k ? "num_key_value_heads"
                                   : "num_attention_heads";
    if (as == AS_is || as == AS_row || (as != AS_qkv && !t->arch->paired))
        return true;
    one->rows = as == AS_qkv ? ROWS_by_part : ROWS_paired;
    one->heads = (int)config_number(t, field);
    int64_t group = as == AS_qkv ? 3 : 2;
    if (one->heads < 1 || one->info.shape[0] % (one->heads * group))
        return bad(t, "tensor %s: its rows are no %d heads",
                   tensor_text(&one->info), one->heads);
    if (one->info.rank == 1 && type_info[one->info.dtype].block_len > 1)
        return bad(t, "tensor %s: a quantised bias cannot be put in order",
                   tensor_text(&one->info));
    return true;
}

/* Index e of a stack, as a tensor of its own. */
static FileTensor slice(const FileTensor *stack, int e)
{
    FileTensor one = *stack;
    one.info.rank--;
    memmove(one.info.shape, one.info.shape + 1,
            (size_t)one.info.rank * sizeof *one.info.shape);
    one.info.bytes = stack->info.bytes / stack->info.shape[0];
    one.offset += e * one.info.bytes;
    one.info.data = (const char *)stack->info.data + e * one.info.bytes;
    return one;
}

static bool add_stack(Translation *t, const FileTensor *raw, const NameRow *row,
                      int at[2], const char *rest)
{
    int64_t n = raw->info.shape[0];
    if (raw->info.rank < 2 || n > 100000)
        return bad(t, "tensor %s: no stack of experts",
                   tensor_text(&raw->info));
    for (at[1] = 0; at[1] < n; at[1]++) {
        FileTensor one = slice(raw, at[1]);
        one.info.name = gguf_fill(row->name, at, rest);
        if (!checkpoint_add(t->c, one, t->err))
            return false;
    }
    return true;
}

/* What no row names keeps its name: no model reads it, and that is an error
 * which says so. */
static bool add_tensor(Translation *t, const FileTensor *raw)
{
    int at[2] = {0};
    const char *rest;
    const NameRow *row = find_row(t->arch, raw->info.name, at, &rest);
    FileTensor one = *raw;
    if (!strcmp(raw->info.name, "rope_freqs.weight") ||
        !strncmp(raw->info.name, "rope_factors_", 13))
        return true; /* went into the config */
    if (!row)
        return checkpoint_add(t->c, one, t->err);
    if (strchr(row->name, '@') && !strchr(row->gguf, '@'))
        return add_stack(t, raw, row, at, rest);
    one.info.name = gguf_fill(row->name, at, rest);
    if (row->as == AS_row && one.info.rank == 1) {
        one.info.shape[1] = one.info.shape[0];
        one.info.shape[0] = 1;
        one.info.rank = 2;
    }
    return set_rows(t, &one, row->as) && checkpoint_add(t->c, one, t->err);
}

/* The rows of the file's architecture that fit it best: the class that it says
 * it was, else by experts and window. */
static const Arch *find_arch(const Translation *t)
{
    int64_t experts = 0, window = 0;
    const Gguf *g = t->g;
    const char *class = config_class(t->kept);
    const Arch *found = NULL;
    gguf_int(g, gguf_key(g, "expert_count"), &experts);
    gguf_int(g, gguf_key(g, "attention.sliding_window"), &window);
    for (int i = 0, best = 0; i < gguf_archs; i++) {
        const Arch *a = &gguf_arch[i];
        int fit = 1 + (a->window == (window > 0)) +
                  2 * (a->experts == (experts > 0)) +
                  4 * (a->experts == (experts > 0) && !strcmp(a->class, class));
        if (!strcmp(a->arch, g->arch) && fit > best) {
            found = a;
            best = fit;
        }
    }
    return found;
}

/* A vocabulary needs no architecture that we know. */
static bool unknown(Translation *t)
{
    char known[512] = "";
    int n = 0;
    if (!t->n) {
        cJSON_AddStringToObject(t->config, "model_type", t->g->arch);
        return true;
    }
    for (int i = 0; i < gguf_archs; i++)
        if (!i || strcmp(gguf_arch[i].arch, gguf_arch[i - 1].arch))
            n += snprintf(known + n, sizeof known - (size_t)n, "%s%s",
                          n ? ", " : "", gguf_arch[i].arch);
    if (!*t->g->arch)
        return bad(t, "metadata key general.architecture is missing");
    return bad(t, "architecture %.60s is none that graft reads (%s)",
               t->g->arch, known);
}

static bool translate(Translation *t)
{
    t->arch = find_arch(t);
    if (!t->arch)
        return unknown(t);
    if (!fill_config(t))
        return false;
    for (int i = 0; i < t->n; i++)
        if (!add_tensor(t, &t->raw[i]))
            return false;
    return true;
}

bool gguf_translate(Checkpoint *c, const FileTensor *raw, int n, Err *err)
{
    Translation t = {.c = c, .g = c->gguf, .raw = raw, .n = n, .err = err};
    cJSON *kept = gguf_kept_config(t.g);
    t.config = c->config = cJSON_CreateObject();
    t.kept = kept;
    bool good = translate(&t);
    if (good && t.arch)
        gguf_keep_fields(&t, kept);
    cJSON_Delete(kept);
    return good;
}
