/* Experts packed into one tensor, as transformers 5 has them in memory and some
 * files do: gate_up_proj [E, 2F, D], gate above up, and down_proj [E, D, F].
 * Each expert's part is contiguous, so it becomes a tensor of its own under
 * the name that the unpacked layout has. */
#include "runtime/files/files_private.h"
#include <string.h>

typedef struct {
    const char *gate, *up, *down; /* after PREFIX.EXPERTS.{}. */
    const char *experts;          /* what "mlp" becomes */
} Names;

enum { MOST_EXPERTS = 65536 };

static const Names usual = {"gate_proj", "up_proj", "down_proj", "mlp"};
static const Names mixtral = {"w1", "w3", "w2", "block_sparse_moe"};

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

static const char *text_of(const Checkpoint *c, const char *field)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(c->config, field);
    return cJSON_IsString(item) ? item->valuestring : "";
}

/* The model's width, or 0: which dim is which is told by it. */
static int64_t width(const Checkpoint *c)
{
    int64_t n = 0;
    json_size(cJSON_GetObjectItemCaseSensitive(c->config, "hidden_size"), &n);
    return n;
}

static bool packed(const FileTensor *t, int64_t d)
{
    const TensorInfo *i = &t->info;
    if (i->rank != 3 || d < 1)
        return false;
    if (ends_with(i->name, ".mlp.experts.gate_up_proj"))
        return i->shape[2] == d && i->shape[1] % 2 == 0;
    return ends_with(i->name, ".mlp.experts.down_proj") && i->shape[1] == d;
}

/* Rows `from` .. of expert e, as PREFIX.mlp.experts.e.part.weight. */
static FileTensor part_of(const FileTensor *t, int64_t e, int64_t from,
                          int64_t rows, const Names *names, const char *part)
{
    FileTensor one = *t;
    int64_t row = t->info.shape[2] * type_info[t->info.dtype].block_bytes;
    int64_t at = (e * t->info.shape[1] + from) * row;
    int prefix = (int)(strstr(t->info.name, ".mlp.experts.") - t->info.name);
    one.info.name = intern_printf("%.*s.%s.experts.%lld.%s.weight", prefix,
                                  t->info.name, names->experts, (long long)e,
                                  part);
    one.info.rank = 2;
    one.info.shape[0] = rows;
    one.info.shape[1] = t->info.shape[2];
    one.info.bytes = rows * row;
    one.info.data = (const char *)t->info.data + at;
    one.offset = t->offset + at;
    return one;
}

static bool split(Checkpoint *c, const FileTensor *t, const Names *names,
                  Err *err)
{
    int64_t rows = t->info.shape[1];
    bool down = ends_with(t->info.name, ".down_proj"), good = true;
    if (t->info.shape[0] > MOST_EXPERTS || t->info.bytes == 0)
        return err_set(err, "%s: tensor %.200s packs %lld experts of %lld "
                       "bytes: 1 to %d, none empty", t->path, t->info.name,
                       (long long)t->info.shape[0], (long long)t->info.bytes,
                       MOST_EXPERTS);
    for (int64_t e = 0; e < t->info.shape[0] && good; e++)
        if (down)
            good = checkpoint_add(c, part_of(t, e, 0, rows, names,
                                             names->down), err);
        else
            good = checkpoint_add(c, part_of(t, e, 0, rows / 2, names,
                                             names->gate), err) &&
                   checkpoint_add(c, part_of(t, e, rows / 2, rows / 2, names,
                                             names->up), err);
    return good;
}

/* Mixtral's router goes with its experts. */
static FileTensor renamed(FileTensor t, const Names *names)
{
    const char *at = strstr(t.info.name, ".mlp.gate.weight");
    if (at && names != &usual)
        t.info.name = intern_printf("%.*s.%s.gate.weight",
                                    (int)(at - t.info.name), t.info.name,
                                    names->experts);
    return t;
}

bool packed_split(Checkpoint *c, Err *err)
{
    const Names *names = strcmp(text_of(c, "model_type"), "mixtral")
                             ? &usual : &mixtral;
    FileTensor *old = c->tensor;
    int n = c->tensors, found = 0;
    int64_t d = width(c);
    if (!strcmp(text_of(c, "model_type"), "gpt_oss") ||
        !strncmp(text_of(c, "model_type"), "llama4", 6))
        return true; /* [E, D, 2F]: their models' text says so */
    for (int i = 0; i < n; i++)
        found += packed(&old[i], d);
    if (!found)
        return true;
    c->tensor = NULL;
    c->tensors = 0;
    names_free(c->index);
    bool good = true;
    for (int i = 0; i < n && good; i++)
        good = packed(&old[i], d)
                   ? split(c, &old[i], names, err)
                   : checkpoint_add(c, renamed(old[i], names), err);
    free(old);
    return good;
}
