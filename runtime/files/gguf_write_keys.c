/* A GGUF file's metadata from a Hugging Face config: the tables of gguf_arch.c
 * read from the right. */
#include "runtime/files/gguf_write.h"
#include <math.h>
#include <string.h>

bool gguf_refuse(GgufPlan *p, const char *fmt, ...)
{
    char why[700];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    return err_set(p->err, "it cannot be written as GGUF: %s", why);
}

/* ---- bytes ---- */

static void put(GgufPlan *p, const void *data, size_t len)
{
    if (len && fwrite(data, len, 1, p->out) != 1)
        die("out of memory");
}

static void put_u64(GgufPlan *p, uint64_t value)
{
    put(p, &value, sizeof value);
}

void put_u32(GgufPlan *p, uint32_t value)
{
    put(p, &value, sizeof value);
}

void put_f32(GgufPlan *p, float value)
{
    put(p, &value, sizeof value);
}

void put_string(GgufPlan *p, const char *s, size_t len)
{
    put_u64(p, len);
    put(p, s, len);
}

static void key(GgufPlan *p, const char *name, GgufType type)
{
    put_string(p, name, strlen(name));
    put_u32(p, (uint32_t)type);
    p->keys++;
}

void key_u32(GgufPlan *p, const char *name, uint32_t value)
{
    key(p, name, GGUF_u32);
    put_u32(p, value);
}

void key_f32(GgufPlan *p, const char *name, float value)
{
    key(p, name, GGUF_f32);
    put_f32(p, value);
}

void key_bool(GgufPlan *p, const char *name, bool value)
{
    uint8_t byte = value;
    key(p, name, GGUF_bool);
    put(p, &byte, 1);
}

void key_string(GgufPlan *p, const char *name, const char *value)
{
    key(p, name, GGUF_string);
    put_string(p, value, strlen(value));
}

void key_array(GgufPlan *p, const char *name, GgufType of, int64_t count)
{
    key(p, name, GGUF_array);
    put_u32(p, (uint32_t)of);
    put_u64(p, (uint64_t)count);
}

const char *arch_key(GgufPlan *p, const char *name)
{
    return arena_printf(p->arena, "%s.%s", p->arch->arch, name);
}

/* ---- the config ---- */

static const cJSON *field_of(const GgufPlan *p, const char *name)
{
    return config_field(p->spec->config, name);
}

/* A window that is switched off, or 0, is none. */
static bool is_off(const GgufPlan *p, const KeyRow *row, const cJSON *item)
{
    return !strcmp(row->field, "sliding_window") &&
           (cJSON_IsFalse(field_of(p, "use_sliding_window")) ||
            (cJSON_IsNumber(item) && !(item->valuedouble > 0)));
}

static bool plan_key(GgufPlan *p, const KeyRow *row)
{
    int64_t n;
    if (!*row->field) {
        key_f32(p, arch_key(p, row->key), (float)row->otherwise);
        return true;
    }
    const cJSON *item = field_of(p, row->field);
    const char *name = arch_key(p, row->key);
    if (!item && row->otherwise == NEEDED)
        return gguf_refuse(p, "its config has no %s", row->field);
    if (!item || is_off(p, row, item))
        return true;
    if (row->kind == KEY_bool && cJSON_IsBool(item))
        key_bool(p, name, cJSON_IsTrue(item));
    else if (row->kind == KEY_int && json_size(item, &n) && n < INT32_MAX)
        key_u32(p, name, (uint32_t)n);
    else if (row->kind == KEY_float && cJSON_IsNumber(item))
        key_f32(p, name, (float)item->valuedouble);
    else
        return gguf_refuse(p, "its config's %s is no %s", row->field,
                           row->kind == KEY_int     ? "size"
                           : row->kind == KEY_float ? "number"
                                                    : "boolean");
    return true;
}

static bool plan_heads(GgufPlan *p)
{
    int64_t heads = 0, kv = 0, size = 0, dim = 0;
    json_size(field_of(p, "num_attention_heads"), &heads);
    json_size(field_of(p, "hidden_size"), &size);
    if (heads < 1 || heads > INT32_MAX || size < heads)
        return gguf_refuse(p, "%lld heads for an embedding of %lld",
                           (long long)heads, (long long)size);
    if (!json_size(field_of(p, "num_key_value_heads"), &kv))
        kv = heads;
    if (!json_size(field_of(p, "head_dim"), &dim))
        dim = size / heads;
    if (!p->arch->head_dim && dim * heads != size)
        return gguf_refuse(p, "%lld heads of %lld do not make up the "
                           "embedding of %lld", (long long)heads,
                           (long long)dim, (long long)size);
    key_u32(p, arch_key(p, "attention.head_count_kv"), (uint32_t)kv);
    if (p->arch->head_dim) {
        key_u32(p, arch_key(p, "attention.key_length"), (uint32_t)dim);
        key_u32(p, arch_key(p, "attention.value_length"), (uint32_t)dim);
    }
    return true;
}

/* What the architecture implies must be so. */
static bool check_fixed(GgufPlan *p)
{
    for (const FixedRow *f = p->arch->fixed; f->field; f++) {
        const cJSON *item = field_of(p, f->field);
        cJSON *want = cJSON_Parse(f->json);
        cJSON *also = f->same ? cJSON_Parse(f->same) : NULL;
        bool same = !item || cJSON_Compare(item, want, true) ||
                    (also && cJSON_Compare(item, also, true));
        cJSON_Delete(want);
        cJSON_Delete(also);
        char *found = same ? NULL : cJSON_PrintUnformatted(item);
        if (!same)
            gguf_refuse(p, "llama.cpp's %s has %s %s, this model %.100s",
                        p->arch->arch, f->field, f->json, found);
        cJSON_free(found);
        if (!same)
            return false;
    }
    return true;
}

static int64_t embedding_rows(const GgufPlan *p)
{
    for (int i = 0; i < p->tensor.n; i++)
        if (!strcmp(p->tensor.at[i].info.name, "token_embd.weight"))
            return p->tensor.at[i].info.shape[0];
    return 0;
}

/* llama.cpp's number of the type that most values have; only said, not used. */
static uint32_t file_type(const GgufPlan *p)
{
    static const struct {
        Dtype type;
        uint32_t number;
    } numbers[] = {
        {TYPE_f32, 0}, {TYPE_f16, 1}, {TYPE_bf16, 32}, {TYPE_q8_0, 7}};
    int64_t sum[TYPE_COUNT] = {0}, best = 0;
    uint32_t number = 0;
    for (int i = 0; i < p->tensor.n; i++)
        sum[p->tensor.at[i].info.dtype] += p->tensor.at[i].info.bytes;
    for (size_t i = 0; i < COUNT(numbers); i++)
        if (sum[numbers[i].type] > best) {
            best = sum[numbers[i].type];
            number = numbers[i].number;
        }
    return number;
}

static void plan_general(GgufPlan *p, const char *name)
{
    uint32_t type = file_type(p);
    key_string(p, "general.architecture", p->arch->arch);
    key_string(p, "general.type", "model");
    key_string(p, "general.name", name);
    key_u32(p, "general.file_type", type);
    if (type == 7)
        key_u32(p, "general.quantization_version", 2);
}

/* The whole config, for what GGUF has no key for. */
static void plan_config(GgufPlan *p)
{
    char *text = json_text(p->spec->config);
    key_string(p, GGUF_CONFIG, text);
    free(text);
    for (int i = 0; i < p->spec->metas; i++)
        key_string(p, p->spec->meta[i][0], p->spec->meta[i][1]);
}

bool gguf_plan_keys(GgufPlan *p, const char *name)
{
    const Arch *a = p->arch;
    int64_t rows = embedding_rows(p);
    plan_general(p, name);
    for (size_t i = 0; i < COUNT(a->keys) && a->keys[i]; i++)
        for (const KeyRow *k = a->keys[i]; k->key; k++)
            if (!plan_key(p, k))
                return false;
    if (!check_fixed(p) || !plan_heads(p) || !gguf_plan_rope(p))
        return false;
    key_u32(p, arch_key(p, "vocab_size"), (uint32_t)rows);
    if (!gguf_plan_words(p, rows))
        return false;
    plan_config(p);
    return true;
}
