/* An example put together of pieces that are tokenised one after the other. */
#include "runtime/data/data_private.h"

static void label_from(Pieces *p, size_t from, bool learned)
{
    for (size_t i = from; i < p->id.n; i++)
        ids_push(&p->label, learned ? p->id.at[i] : NO_LABEL);
}

bool pieces_text(Pieces *p, const char *text, size_t len, bool learned)
{
    Err why;
    size_t from = p->id.n;
    if (!tokenizer_encode(p->l->use->tokenizer, text, len, ENCODE_special,
                          &p->id, &why))
        return bad(p->l, "%.400s", why.text);
    label_from(p, from, learned);
    return true;
}

void pieces_token(Pieces *p, int32_t id, bool learned)
{
    if (id < 0)
        return;
    ids_push(&p->id, id);
    label_from(p, p->id.n - 1, learned);
}

bool pieces_joined(Pieces *p, const char *text, size_t prompt, size_t len)
{
    Ids alone = {0};
    Err why;
    size_t from = p->id.n;
    bool fine = tokenizer_encode(p->l->use->tokenizer, text, prompt,
                                 ENCODE_special, &alone, &why) &&
                tokenizer_encode(p->l->use->tokenizer, text, len,
                                 ENCODE_special, &p->id, &why);
    for (size_t i = from; fine && i < p->id.n; i++)
        ids_push(&p->label, i - from < alone.n ? NO_LABEL : p->id.at[i]);
    ids_free(&alone);
    return fine || bad(p->l, "%.400s", why.text);
}

void pieces_free(Pieces *p)
{
    ids_free(&p->id);
    ids_free(&p->label);
}
