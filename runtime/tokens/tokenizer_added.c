/* Reads the added tokens of a tokenizer.json, those that a text is cut at
 * before anything else, and answers what the tokenizer knows. */
#include "runtime/tokens/tokenizer_read.h"
#include <string.h>

static bool find_later(Reader *r, int32_t id)
{
    Tokenizer *t = r->t;
    Matcher m = {0};
    Piece p = {span(t->token.at[id].text), true};
    bool ok = normalize(&t->normalizer, &t->arena, &m, &p, r->err);
    matcher_free(&m);
    if (ok && p.text.len)
        trie_add(&t->arena, &t->normal, p.text, id);
    return ok;
}

static bool read_token(Reader *r, const cJSON *a, int place)
{
    const cJSON *content = field(a, "content");
    int32_t id;
    if (!cJSON_IsString(content))
        return reader_fail(r, "added_tokens[%d].content: a string is needed",
                           place);
    if (!read_id(field(a, "id"), &id))
        return reader_fail(r,
                           "added_tokens[%d].id: a whole number from 0 to "
                           "%d is needed",
                           place, MAX_TOKENS - 1);
    if (!token_put(r, content->valuestring, id))
        return false;
    Token *k = &r->t->token.at[id];
    k->added = true;
    k->special = field_bool(a, "special", false);
    k->single_word = field_bool(a, "single_word", false);
    k->lstrip = field_bool(a, "lstrip", false);
    k->rstrip = field_bool(a, "rstrip", false);
    if (field_bool(a, "normalized", !k->special))
        return find_later(r, id);
    if (k->text[0])
        trie_add(&r->t->arena, &r->t->raw, span(k->text), id);
    return true;
}

bool read_added(Reader *r, const cJSON *tokens)
{
    if (!tokens)
        return true;
    if (!cJSON_IsArray(tokens))
        return reader_fail(r, "added_tokens: a list is needed");
    int i = 0;
    for (const cJSON *a = tokens->child; a; a = a->next)
        if (!read_token(r, a, i++))
            return false;
    return true;
}

int tokenizer_size(const Tokenizer *t)
{
    return t->token.n;
}

const char *tokenizer_text(const Tokenizer *t, int32_t id)
{
    return id >= 0 && id < t->token.n ? t->token.at[id].text : NULL;
}

int32_t tokenizer_find(const Tokenizer *t, const char *text)
{
    return str_get(&t->ids, span(text));
}

int32_t tokenizer_bos(const Tokenizer *t)
{
    return t->bos;
}

int32_t tokenizer_eos(const Tokenizer *t)
{
    return t->end.n ? t->end.at[0] : -1;
}

const int32_t *tokenizer_ends(const Tokenizer *t, int *count)
{
    *count = t->end.n;
    return t->end.at;
}

bool tokenizer_is_end(const Tokenizer *t, int32_t id)
{
    for (int i = 0; i < t->end.n; i++)
        if (t->end.at[i] == id)
            return true;
    return false;
}
