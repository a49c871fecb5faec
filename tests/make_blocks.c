/* make_blocks MODEL OUT.gguf [PART=TYPE...]: the model with random blocks in
 * place of some matrices: of TYPE where a tensor's name has PART in it; of
 * several that fit the last counts. */
#include "runtime/files/files.h"
#include <string.h>

typedef struct {
    const Checkpoint *c;
    TensorInfo *info;
    char **rule;
    int rules;
} Job;

static int64_t count_of(const TensorInfo *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++)
        n *= t->shape[i];
    return n;
}

/* False: a rule names no type. */
static bool choose(const Job *j, TensorInfo *t)
{
    for (int i = 0; i < j->rules; i++) {
        const char *type = strchr(j->rule[i], '=');
        const char *part = type ? intern_printf("%.*s",
                                                (int)(type - j->rule[i]),
                                                j->rule[i])
                                : "";
        Dtype to;
        if (!type || !type_find(type + 1, &to))
            return false;
        if (t->rank > 1 && strstr(t->name, part))
            t->dtype = to;
    }
    t->bytes = type_bytes(t->dtype, count_of(t));
    return true;
}

/* Where a block's f16 scales are, and how many. */
static int scales_at(Dtype t, int *n)
{
    bool low = t == TYPE_q4_1 || t == TYPE_q5_1 || t == TYPE_q4_k ||
               t == TYPE_q5_k;
    *n = low ? 2 : 1;
    return t == TYPE_q6_k ? 208 : 0;
}

/* Any bits are codes; scales such that values are no larger than about 1/8. */
static void draw(const TensorInfo *t, char *raw)
{
    const TypeInfo *type = &type_info[t->dtype];
    uint64_t state = hash_bytes(7, t->name, strlen(t->name));
    float size = type->block_len > 32      ? 0x1p-14f
                 : t->dtype == TYPE_q8_0 ? 0x1p-11f
                                         : 0x1p-8f;
    for (int64_t i = 0; i < t->bytes; i++) {
        state = hash_bytes(state, &i, sizeof i);
        raw[i] = (char)(state >> 24);
    }
    int n, at = scales_at(t->dtype, &n);
    for (int64_t b = 0; b < t->bytes; b += type->block_bytes)
        for (int i = 0; i < n; i++) {
            char *to = raw + b + at + 2 * i;
            uint16_t half = f16_of_f32(size * (float)*to / 128);
            memcpy(to, &half, 2);
        }
}

static bool put_all(const Job *j, Writer *w, Err *err)
{
    bool good = true;
    for (int i = 0; good && i < j->c->tensors; i++) {
        const TensorInfo *t = &j->info[i];
        char *raw = xmalloc((size_t)t->bytes + 1);
        if (type_info[t->dtype].block_len > 1)
            draw(t, raw);
        else
            tensor_read_all(&j->c->tensor[i], t->dtype, raw);
        good = writer_put(w, raw, t->bytes, err);
        free(raw);
    }
    return good;
}

static bool write_file(const Job *j, const char *path, Err *err)
{
    const GgufSpec spec = {.tensor = j->info, .tensors = j->c->tensors,
                           .config = j->c->config,
                           .tokenizer = j->c->tokenizer};
    Writer *w = gguf_begin(path, &spec, err);
    if (w && put_all(j, w, err))
        return writer_finish(w, err);
    if (w)
        writer_cancel(w);
    return false;
}

int main(int argc, char **argv)
{
    Err err = {""};
    if (argc < 3) {
        fputs("Usage: make_blocks MODEL OUT.gguf [PART=TYPE...]\n", stderr);
        return 2;
    }
    Checkpoint *c = checkpoint_open(argv[1], &err);
    Job j = {.c = c, .rule = argv + 3, .rules = argc - 3};
    bool good = c != NULL;
    if (c)
        j.info = xmalloc((size_t)c->tensors * sizeof *j.info);
    for (int i = 0; good && i < c->tensors; i++) {
        j.info[i] = c->tensor[i].info;
        good = choose(&j, &j.info[i]) || err_set(&err, "PART=TYPE is wanted");
    }
    good = good && write_file(&j, argv[2], &err);
    if (!good)
        fprintf(stderr, "make_blocks: %s\n", err.text);
    free(j.info);
    checkpoint_close(c);
    return good ? 0 : 1;
}
