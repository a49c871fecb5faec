/* What begins a text (the post-processor's template, tokenizer_config.json)
 * and what ends it (generation_config.json). */
#include "runtime/tokens/tokenizer_read.h"
#include <string.h>

static bool push_first(Reader *r, const cJSON *n, const char *where)
{
    int32_t id;
    if (!read_id(n, &id) || !tokenizer_text(r->t, id))
        return reader_fail(r, "post_processor: %s: its id is no token", where);
    list_push(&r->t->arena, &r->t->first, id);
    return true;
}

/* The ids that the template's table gives for one of its special tokens. */
static bool push_special(Reader *r, const cJSON *post, const cJSON *name)
{
    if (!cJSON_IsString(name))
        return reader_fail(r, "post_processor.single: a SpecialToken needs an "
                              "id that is a string");
    const cJSON *table = field(post, "special_tokens");
    const cJSON *ids = field(field(table, name->valuestring), "ids");
    if (!cJSON_IsArray(ids))
        return reader_fail(r,
                           "post_processor.special_tokens: %s needs a list "
                           "of ids",
                           quoted(r, name->valuestring));
    for (const cJSON *i = ids->child; i; i = i->next)
        if (!push_first(r, i, quoted(r, name->valuestring)))
            return false;
    return true;
}

static bool read_single(Reader *r, const cJSON *post)
{
    const cJSON *single = field(post, "single");
    if (!cJSON_IsArray(single))
        return reader_fail(r, "post_processor.single: a list is needed");
    for (const cJSON *p = single->child; p; p = p->next) {
        const cJSON *special = field(p, "SpecialToken");
        if (!special)
            break; /* the text; what comes after it ends a text */
        if (!push_special(r, post, field(special, "id")))
            return false;
    }
    return true;
}

static bool read_processor(Reader *r, const cJSON *post)
{
    const cJSON *type = field(post, "type");
    const char *name = cJSON_IsString(type) ? type->valuestring : "(none)";
    if (!strcmp(name, "ByteLevel"))
        return true;
    if (!strcmp(name, "TemplateProcessing"))
        return read_single(r, post);
    if (!strcmp(name, "RobertaProcessing") || !strcmp(name, "BertProcessing"))
        return push_first(r, cJSON_GetArrayItem(field(post, "cls"), 1), "cls");
    return reader_fail(r, "post_processor: %s is not supported",
                       quoted(r, name));
}

bool read_template(Reader *r, const cJSON *post)
{
    if (!post)
        return true;
    const cJSON *type = field(post, "type");
    if (!cJSON_IsString(type) || strcmp(type->valuestring, "Sequence"))
        return read_processor(r, post);
    const cJSON *list = field(post, "processors");
    if (!cJSON_IsArray(list))
        return reader_fail(r, "post_processor.processors: a list is needed");
    for (const cJSON *p = list->child; p; p = p->next)
        if (!read_processor(r, p))
            return false;
    return true;
}

/* A token that tokenizer_config.json names: text, or an object with one. */
static int32_t named_token(const Tokenizer *t, const cJSON *config,
                           const char *name)
{
    const cJSON *s = field(config, name);
    if (cJSON_IsObject(s))
        s = field(s, "content");
    return cJSON_IsString(s) ? tokenizer_find(t, s->valuestring) : -1;
}

static void add_end(Tokenizer *t, int32_t id)
{
    if (id >= 0 && !tokenizer_is_end(t, id))
        list_push(&t->arena, &t->end, id);
}

static bool read_end_ids(Reader *r, const cJSON *ids)
{
    int32_t id;
    if (!ids)
        return true;
    const cJSON *one = cJSON_IsArray(ids) ? ids->child : ids;
    for (; one; one = cJSON_IsArray(ids) ? one->next : NULL) {
        if (!read_id(one, &id))
            return reader_fail(r, "generation_config.json: eos_token_id: a "
                                  "token's id is needed");
        add_end(r->t, id);
    }
    return true;
}

static void set_first(Tokenizer *t, const cJSON *add)
{
    if (!cJSON_IsBool(add) || t->bos < 0)
        return;
    bool there = t->first.n && t->first.at[0] == t->bos;
    if (cJSON_IsTrue(add) && !there) {
        t->first.n = 0;
        list_push(&t->arena, &t->first, t->bos);
    } else if (cJSON_IsFalse(add) && there) {
        t->first.at++, t->first.n--, t->first.room--;
    }
}

bool read_ends(Reader *r, const cJSON *config, const cJSON *generation)
{
    Tokenizer *t = r->t;
    int32_t id;
    t->bos = named_token(t, config, "bos_token");
    if (t->bos < 0 && read_id(field(generation, "bos_token_id"), &id) &&
        tokenizer_text(t, id))
        t->bos = id;
    if (t->bos < 0 && t->first.n)
        t->bos = t->first.at[0];
    set_first(t, field(config, "add_bos_token"));
    add_end(t, named_token(t, config, "eos_token"));
    return read_end_ids(r, field(generation, "eos_token_id"));
}
