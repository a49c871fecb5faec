/* A tokenizer as GGUF metadata: of a tokenizer.json, or copied as another
 * GGUF file has it. */
#include "runtime/files/gguf_write.h"
#include "runtime/tokens/tokenizer_read.h"
#include <ctype.h>
#include <string.h>

#define KEY "tokenizer.ggml."

/* ---- copied ---- */

static const int scalar_bytes[GGUF_TYPES] = {1, 1, 2, 2, 4, 4, 4,
                                             1, 0, 0, 8, 8, 8};

static size_t value_bytes(const GgufValue *v)
{
    if (v->type != GGUF_string)
        return (size_t)v->count * (size_t)scalar_bytes[v->type];
    size_t at = 0;
    uint64_t len;
    for (int64_t i = 0; i < v->count; i++) {
        memcpy(&len, v->at + at, sizeof len);
        at += sizeof len + (size_t)len;
    }
    return at;
}

static void copy_key(GgufPlan *p, const GgufValue *v)
{
    size_t len = value_bytes(v);
    if (v->array) {
        key_array(p, v->key, v->type, v->count);
    } else {
        put_string(p, v->key, strlen(v->key));
        put_u32(p, (uint32_t)v->type);
        p->keys++;
    }
    if (len && fwrite(v->at, len, 1, p->out) != 1)
        die("out of memory");
}

/* What a model is and where it is from stays true of what is made of it;
 * these are said anew. */
static bool copied(const GgufValue *v)
{
    static const char *const anew[] = {
        "general.architecture", "general.type", "general.name",
        "general.file_type", "general.quantization_version",
        "general.alignment"};
    for (size_t i = 0; i < COUNT(anew); i++)
        if (!strcmp(v->key, anew[i]))
            return false;
    return v->type != GGUF_array && (!strncmp(v->key, "tokenizer.", 10) ||
                                     !strncmp(v->key, "general.", 8));
}

/* ---- made ---- */

static void put_ids(GgufPlan *p, const Vocabulary *v)
{
    static const char *const more[] = {KEY "eot_token_id", KEY "eom_token_id"};
    const struct {
        const char *key;
        int id;
    } ids[] = {{KEY "bos_token_id", v->bos},
               {KEY "eos_token_id", v->eos},
               {KEY "unknown_token_id", v->unk},
               {KEY "padding_token_id", v->pad}};
    for (size_t i = 0; i < COUNT(ids); i++)
        if (ids[i].id >= 0)
            key_u32(p, ids[i].key, (uint32_t)ids[i].id);
    size_t others = 0;
    for (int i = 0; i < v->end.n; i++)
        if (v->end.at[i] != v->eos && others < COUNT(more))
            key_u32(p, more[others++], (uint32_t)v->end.at[i]);
}

/* A name as a key has it: letters and digits. */
static const char *plain_name(GgufPlan *p, const char *name)
{
    char *s = (char *)arena_printf(p->arena, "%s", name);
    for (char *at = s; *at; at++)
        if (!isalnum((unsigned char)*at) || (unsigned char)*at > 127)
            *at = '_';
    return s;
}

static void put_templates(GgufPlan *p, const Vocabulary *v)
{
    if (v->chat_template)
        key_string(p, "tokenizer.chat_template", v->chat_template);
    if (!v->template.n)
        return;
    for (int i = 0; i < v->template.n; i++)
        key_string(p, arena_printf(p->arena, "tokenizer.chat_template.%s",
                                   plain_name(p, v->template.at[i].name)),
                   v->template.at[i].text);
    key_array(p, "tokenizer.chat_templates", GGUF_string, v->template.n);
    for (int i = 0; i < v->template.n; i++) {
        const char *name = plain_name(p, v->template.at[i].name);
        put_string(p, name, strlen(name));
    }
}

static void put_vocabulary(GgufPlan *p, const Vocabulary *v)
{
    key_string(p, KEY "model", v->pre ? "gpt2" : "llama");
    key_string(p, KEY "pre", v->pre ? pre_name(v->pre) : "default");
    key_array(p, KEY "tokens", GGUF_string, v->tokens);
    for (int i = 0; i < v->tokens; i++)
        put_string(p, v->token[i], strlen(v->token[i]));
    if (v->score) {
        key_array(p, KEY "scores", GGUF_f32, v->tokens);
        for (int i = 0; i < v->tokens; i++)
            put_f32(p, v->score[i]);
    }
    key_array(p, KEY "token_type", GGUF_i32, v->tokens);
    for (int i = 0; i < v->tokens; i++)
        put_u32(p, (uint32_t)v->kind[i]);
    if (v->pre) {
        key_array(p, KEY "merges", GGUF_string, v->merges);
        for (int i = 0; i < v->merges; i++)
            put_string(p, v->merge[i], strlen(v->merge[i]));
    }
    put_ids(p, v);
    key_bool(p, KEY "add_bos_token", v->add_bos);
    key_bool(p, KEY "add_eos_token", false);
    key_bool(p, KEY "add_space_prefix", v->space_prefix);
    put_templates(p, v);
}

/* Ids in, ids out. */
static bool put_none(GgufPlan *p)
{
    key_string(p, KEY "model", "no_vocab");
    return true;
}

bool gguf_plan_words(GgufPlan *p, int64_t rows)
{
    const Gguf *g = p->spec->gguf;
    Vocabulary v;
    if (rows > MAX_TOKENS)
        return gguf_refuse(p, "an embedding of %lld rows", (long long)rows);
    if (g) {
        for (int i = 0; i < g->values; i++)
            if (copied(&g->value[i]))
                copy_key(p, &g->value[i]);
        return gguf_value(g, KEY "model") || put_none(p);
    }
    if (!p->spec->tokenizer)
        return put_none(p);
    if (!vocabulary_of_folder(p->spec->tokenizer, rows, p->arena, &v, p->err))
        return false;
    put_vocabulary(p, &v);
    return true;
}
