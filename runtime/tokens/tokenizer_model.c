/* Reads the model of a tokenizer.json: its vocabulary, BPE's merges, Unigram's
 * scores. */
#include "runtime/tokens/tokenizer_read.h"
#include <string.h>

static bool read_vocab(Reader *r, const cJSON *vocab)
{
    if (!cJSON_IsObject(vocab) || !vocab->child)
        return reader_fail(r, "model.vocab: an object of tokens and their ids "
                              "is needed");
    for (const cJSON *v = vocab->child; v; v = v->next) {
        int32_t id;
        if (!read_id(v, &id))
            return reader_fail(r,
                               "model.vocab: the id of %s is not a whole "
                               "number from 0 to %d",
                               quoted(r, v->string), MAX_TOKENS - 1);
        if (!token_put(r, v->string, id))
            return false;
        str_put(&r->t->model_ids, span(r->t->token.at[id].text), id);
    }
    return true;
}

/* The two texts of a merge: "a b" or ["a", "b"]. */
static bool merge_texts(const cJSON *m, Span *left, Span *right)
{
    if (cJSON_IsString(m)) {
        const char *gap = strchr(m->valuestring, ' ');
        if (!gap || strchr(gap + 1, ' '))
            return false;
        *left = (Span){m->valuestring, (size_t)(gap - m->valuestring)};
        *right = span(gap + 1);
        return true;
    }
    if (!cJSON_IsArray(m) || cJSON_GetArraySize(m) != 2 ||
        !cJSON_IsString(m->child) || !cJSON_IsString(m->child->next))
        return false;
    *left = span(m->child->valuestring);
    *right = span(m->child->next->valuestring);
    return true;
}

/* The token that both make: the right one's prefix goes. */
static int32_t made_by(const Tokenizer *t, Span left, Span right)
{
    if (span_starts(right, t->prefix))
        right.at += t->prefix.len, right.len -= t->prefix.len;
    char small[128], *both = small;
    size_t len = left.len + right.len;
    if (len > sizeof small)
        both = xmalloc(len);
    memcpy(both, left.at, left.len);
    memcpy(both + left.len, right.at, right.len);
    int32_t id = str_get(&t->model_ids, (Span){both, len});
    if (both != small)
        free(both);
    return id;
}

static bool read_merge(Reader *r, const cJSON *m, int place)
{
    Tokenizer *t = r->t;
    Span left, right;
    if (!merge_texts(m, &left, &right))
        return reader_fail(r, "model.merges[%d]: two tokens are needed", place);
    Merge merge = {str_get(&t->model_ids, left), str_get(&t->model_ids, right),
                   made_by(t, left, right)};
    if (merge.left < 0 || merge.right < 0 || merge.made < 0) {
        char text[80];
        snprintf(text, sizeof text, "%.*s %.*s", (int)left.len, left.at,
                 (int)right.len, right.at);
        size_t bad;
        if (!utf8_valid(text, strlen(text), &bad))
            text[bad] = 0;
        return reader_fail(r,
                           "model.merges[%d]: %s: %s is not in the "
                           "vocabulary",
                           place, quoted(r, text),
                           merge.left < 0    ? "the first token"
                           : merge.right < 0 ? "the second token"
                                             : "what they make");
    }
    pair_put(&t->ranks, merge.left, merge.right, t->merge.n);
    list_push(&t->arena, &t->merge, merge);
    return true;
}

static bool read_merges(Reader *r, const cJSON *merges)
{
    if (!cJSON_IsArray(merges))
        return reader_fail(r, "model.merges: a list is needed");
    int i = 0;
    for (const cJSON *m = merges->child; m; m = m->next, i++) {
        bool version =
            cJSON_IsString(m) && !strncmp(m->valuestring, "#version", 8);
        if (!version && !read_merge(r, m, i))
            return false;
    }
    return true;
}

static Span affix(Tokenizer *t, const cJSON *model, const char *name)
{
    const cJSON *s = field(model, name);
    if (!cJSON_IsString(s))
        return (Span){0};
    return span(arena_printf(&t->arena, "%s", s->valuestring));
}

static bool read_unknown(Reader *r, const cJSON *unk)
{
    if (!unk)
        return true;
    if (!cJSON_IsString(unk))
        return reader_fail(r, "model.unk_token: a string is needed");
    r->t->unk = str_get(&r->t->model_ids, span(unk->valuestring));
    return r->t->unk >= 0 ||
           reader_fail(r, "model.unk_token: %s is not in the vocabulary",
                       quoted(r, unk->valuestring));
}

static bool read_bpe(Reader *r, const cJSON *model)
{
    const cJSON *dropout = field(model, "dropout");
    if (cJSON_IsNumber(dropout) && dropout->valuedouble > 0)
        return reader_fail(r, "model.dropout: merges left out at random (%g) "
                              "are not supported", dropout->valuedouble);
    r->t->prefix = affix(r->t, model, "continuing_subword_prefix");
    r->t->suffix = affix(r->t, model, "end_of_word_suffix");
    r->t->byte_fallback = field_bool(model, "byte_fallback", false);
    r->t->fuse_unk = field_bool(model, "fuse_unk", false);
    r->t->ignore_merges = field_bool(model, "ignore_merges", false);
    return read_vocab(r, field(model, "vocab")) &&
           read_merges(r, field(model, "merges")) &&
           read_unknown(r, field(model, "unk_token"));
}

/* ---- Unigram ---- */

/* ["piece", score], whose id is its place. */
static bool read_piece(Reader *r, const cJSON *v, int32_t id)
{
    Tokenizer *t = r->t;
    const cJSON *score = cJSON_GetArrayItem(v, 1);
    if (!cJSON_IsArray(v) || !cJSON_IsString(v->child) ||
        !cJSON_IsNumber(score))
        return reader_fail(r, "model.vocab[%d]: a piece and its score are "
                              "needed", id);
    if (!token_put(r, v->child->valuestring, id))
        return false;
    Span text = span(t->token.at[id].text);
    str_put(&t->model_ids, text, id);
    trie_add(&t->arena, &t->piece, text, id);
    t->score[id] = score->valuedouble;
    if (!id || t->unknown_score > score->valuedouble)
        t->unknown_score = score->valuedouble;
    return true;
}

static bool read_unigram(Reader *r, const cJSON *model)
{
    enum { UNKNOWN_COSTS = 10 }; /* below the worst piece */
    Tokenizer *t = r->t;
    const cJSON *vocab = field(model, "vocab"), *unk = field(model, "unk_id");
    int32_t id = 0, n = cJSON_GetArraySize(vocab);
    if (!cJSON_IsArray(vocab) || n < 1 || n > MAX_TOKENS)
        return reader_fail(r, "model.vocab: a list of pieces and their scores "
                              "is needed");
    t->score = arena_alloc(&t->arena, (size_t)n * sizeof *t->score);
    for (const cJSON *v = vocab->child; v; v = v->next)
        if (!read_piece(r, v, id++))
            return false;
    t->unknown_score -= UNKNOWN_COSTS;
    t->fuse_unk = true;
    t->byte_fallback = field_bool(model, "byte_fallback", false);
    return (unk && read_id(unk, &t->unk) && t->unk < n) ||
           reader_fail(r, "model.unk_id: the id of a piece is needed, for "
                          "characters that are none");
}

/* ---- WordPiece, and WordLevel, which has less ---- */

static bool read_word_piece(Reader *r, const cJSON *model)
{
    const cJSON *most = field(model, "max_input_chars_per_word");
    r->t->prefix = field(model, "continuing_subword_prefix")
                       ? affix(r->t, model, "continuing_subword_prefix")
                       : span("##");
    r->t->word_most = cJSON_IsNumber(most) && most->valuedouble >= 0 &&
                              most->valuedouble < INT32_MAX
                          ? (size_t)most->valuedouble : 100;
    return read_vocab(r, field(model, "vocab")) &&
           (field(model, "unk_token") ||
            reader_fail(r, "model.unk_token: a string is needed")) &&
           read_unknown(r, field(model, "unk_token"));
}

static const struct {
    const char *type;
    ModelKind kind;
    bool (*read)(Reader *r, const cJSON *model);
} models[] = {{"BPE", MODEL_bpe, read_bpe},
              {"Unigram", MODEL_unigram, read_unigram},
              {"WordPiece", MODEL_word_piece, read_word_piece},
              {"WordLevel", MODEL_word_level, read_word_piece}};

bool read_model(Reader *r, const cJSON *model)
{
    if (!cJSON_IsObject(model))
        return reader_fail(r, "model: an object is needed");
    const cJSON *type = field(model, "type");
    const char *name = cJSON_IsString(type)     ? type->valuestring
                       : field(model, "merges") ? "BPE" /* old files */
                                                : "(none)";
    for (size_t i = 0; i < COUNT(models); i++)
        if (!strcmp(models[i].type, name)) {
            r->t->model = models[i].kind;
            return models[i].read(r, model);
        }
    return reader_fail(r, "model.type: BPE, Unigram, WordPiece or WordLevel is "
                          "needed, found %s", quoted(r, name));
}
