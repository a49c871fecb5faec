/* A tokenizer from GGUF metadata: its vocabulary is written as the files of a
 * Hugging Face folder, and those are read, so that both are one tokenizer. */
#include "runtime/files/files.h"
#include "runtime/tokens/tokenizer_read.h"
#include <string.h>

typedef struct {
    const Gguf *g;
    const char *name;
    Arena *a;
    Vocabulary *v;
    Err *err;
} Import;

#define KEY "tokenizer.ggml."

static bool fail(Import *in, const char *what)
{
    return err_set(in->err, "%s: %s", in->name, what);
}

/* A text of the vocabulary that JSON can hold; NULL with err set. */
static const char *text_of(Import *in, const Bytes *b, const char *key,
                           int64_t i)
{
    size_t bad;
    if (utf8_valid(b->at, b->len, &bad) && !memchr(b->at, 0, b->len))
        return arena_strn(in->a, b->at, b->len);
    err_set(in->err, "%s: " KEY "%s[%lld] is not UTF-8 text", in->name, key,
            (long long)i);
    return NULL;
}

static bool read_kinds(Import *in)
{
    int64_t n;
    Vocabulary *v = in->v;
    v->kind = arena_alloc(in->a, (size_t)v->tokens * sizeof *v->kind);
    const int64_t *kind = gguf_ints(in->g, KEY "token_type", &n);
    if (kind && n != v->tokens)
        return fail(in, KEY "token_type and " KEY "tokens differ in length");
    for (int i = 0; i < v->tokens; i++) {
        v->kind[i] = kind ? (TokenKind)kind[i] : KIND_normal;
        if (kind && (kind[i] < KIND_normal || kind[i] > KIND_byte))
            v->kind[i] = KIND_unused; /* files made by old tools have 0 */
    }
    return true;
}

/* An empty text, or one that an earlier token has, cannot be met in a text,
 * but the id must have some name. */
static bool read_tokens(Import *in)
{
    int64_t n = 0;
    const Bytes *token = gguf_strings(in->g, KEY "tokens", &n);
    if (!token || n < 1)
        return fail(in, KEY "tokens is missing");
    if (n > MAX_TOKENS)
        return fail(in, KEY "tokens has too many");
    Vocabulary *v = in->v;
    v->tokens = (int)n;
    v->token = arena_alloc(in->a, (size_t)n * sizeof *v->token);
    StrTable seen = {0};
    bool ok = read_kinds(in);
    for (int i = 0; ok && i < v->tokens; i++) {
        const char *text = text_of(in, &token[i], "tokens", i);
        ok = text;
        if (ok && !*text)
            text = arena_printf(in->a, "[EMPTY_%d]", i);
        if (ok && str_get(&seen, span(text)) >= 0)
            text = arena_printf(in->a, "[DUPLICATE_%d]", i);
        v->token[i] = text;
        if (ok)
            str_put(&seen, span(text), i);
    }
    str_free(&seen);
    return ok;
}

static bool read_merges(Import *in)
{
    int64_t n = 0;
    const Bytes *merge = gguf_strings(in->g, KEY "merges", &n);
    if (!merge)
        return fail(in, KEY "merges is missing");
    if (n > 4 * MAX_TOKENS)
        return fail(in, KEY "merges has too many");
    in->v->merges = (int)n;
    in->v->merge = arena_alloc(in->a, (size_t)n * sizeof *in->v->merge);
    for (int i = 0; i < in->v->merges; i++)
        if (!(in->v->merge[i] = text_of(in, &merge[i], "merges", i)))
            return false;
    return true;
}

static bool read_pieces(Import *in)
{
    int64_t n;
    in->v->score = gguf_floats(in->g, KEY "scores", &n);
    if (!in->v->score)
        return fail(in, KEY "scores is missing");
    if (n != in->v->tokens)
        return fail(in, KEY "scores and " KEY "tokens differ in length");
    for (int i = 0; i < in->v->tokens; i++)
        if (strlen(in->v->token[i]) > 4096)
            return fail(in, KEY "tokens has one of more than 4096 bytes");
    pieces_to_merges(in->a, in->v);
    return true;
}

/* A token's id; files write 2^32 - 1 for none. */
static int id_of(Import *in, const char *key, int otherwise)
{
    int64_t id;
    if (!gguf_int(in->g, key, &id))
        return otherwise;
    return id >= 0 && id < in->v->tokens ? (int)id : -1;
}

/* SentencePiece's own ids where the file does not say. */
static int usual(const Vocabulary *v, int id, TokenKind kind)
{
    return !v->pre && id < v->tokens && v->kind[id] == kind ? id : -1;
}

/* Those that have a name of their own. */
static void read_templates(Import *in)
{
    int64_t n = 0;
    const Bytes *name = gguf_strings(in->g, "tokenizer.chat_templates", &n);
    for (int64_t i = 0; i < n && i < 100; i++) {
        const char *s = arena_strn(in->a, name[i].at, name[i].len);
        const char *text = gguf_string(
            in->g, arena_printf(in->a, "tokenizer.chat_template.%s", s));
        if (text && utf8_valid(text, strlen(text), NULL) &&
            utf8_valid(s, strlen(s), NULL))
            list_push(in->a, &in->v->template,
                      (NamedTemplate){s, text});
    }
}

static void read_ids(Import *in)
{
    Vocabulary *v = in->v;
    v->unk = id_of(in, KEY "unknown_token_id", usual(v, 0, KIND_unknown));
    v->bos = id_of(in, KEY "bos_token_id", usual(v, 1, KIND_control));
    v->eos = id_of(in, KEY "eos_token_id", usual(v, 2, KIND_control));
    v->pad = id_of(in, KEY "padding_token_id", -1);
    int end[] = {v->eos, id_of(in, KEY "eot_token_id", -1),
                 id_of(in, KEY "eom_token_id", -1)};
    for (size_t i = 0; i < COUNT(end); i++) {
        bool there = end[i] < 0;
        for (int j = 0; j < v->end.n; j++)
            there |= v->end.at[j] == end[i];
        if (!there)
            list_push(in->a, &v->end, end[i]);
    }
    v->add_bos = v->pre ? v->pre->add_bos : true;
    v->space_prefix = !v->pre;
    gguf_bool(in->g, KEY "add_bos_token", &v->add_bos);
    gguf_bool(in->g, KEY "add_space_prefix", &v->space_prefix);
    read_templates(in);
    v->chat_template = gguf_string(in->g, "tokenizer.chat_template");
    if (v->chat_template &&
        !utf8_valid(v->chat_template, strlen(v->chat_template), NULL))
        v->chat_template = NULL;
}

static bool read_by_model(Import *in, const char *model)
{
    if (!strcmp(model, "llama"))
        return read_tokens(in) && read_pieces(in);
    if (strcmp(model, "gpt2"))
        return err_set(in->err,
                       "%s: " KEY "model: llama and gpt2 are "
                       "supported, found \"%.40s\"",
                       in->name, model);
    const char *pre = gguf_string(in->g, KEY "pre");
    in->v->pre = pre_find(pre ? pre : "default");
    if (!in->v->pre)
        return err_set(in->err, "%s: " KEY "pre: \"%.40s\" is not known",
                       in->name, pre);
    return read_tokens(in) && read_merges(in);
}

static bool read_vocabulary(Import *in)
{
    const char *model = gguf_string(in->g, KEY "model");
    if (!model)
        return fail(in, "it has no tokenizer (" KEY "model is missing)");
    if (!read_by_model(in, model))
        return false;
    read_ids(in);
    return true;
}

static char *written(void (*write)(FILE *, const Vocabulary *),
                     const Vocabulary *v)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    if (!f)
        die("out of memory");
    write(f, v);
    if (fclose(f))
        die("out of memory");
    return text;
}

bool tokenizer_files_gguf(const Gguf *g, const char *name, TokenizerFiles *out,
                          Err *err)
{
    Arena a = {0};
    Vocabulary v = {0};
    Import in = {g, name, &a, &v, err};
    bool ok = read_vocabulary(&in);
    if (ok)
        *out = (TokenizerFiles){written(write_tokenizer, &v),
                                written(write_tokenizer_config, &v),
                                written(write_generation_config, &v)};
    arena_free(&a);
    return ok;
}

void tokenizer_files_free(TokenizerFiles *f)
{
    free(f->tokenizer);
    free(f->config);
    free(f->generation);
    *f = (TokenizerFiles){0};
}

Tokenizer *tokenizer_open_gguf(const Gguf *g, const char *name, Err *err)
{
    TokenizerFiles f;
    if (!tokenizer_files_gguf(g, name, &f, err))
        return NULL;
    Tokenizer *t =
        tokenizer_parse(f.tokenizer, f.config, f.generation, name, err);
    tokenizer_files_free(&f);
    return t;
}

Tokenizer *tokenizer_open(const Checkpoint *c, Err *err)
{
    if (c->tokenizer)
        return tokenizer_open_json(c->tokenizer, err);
    if (c->gguf)
        return tokenizer_open_gguf(c->gguf, c->path, err);
    err_set(err, "%s: it has no tokenizer.json: it takes token ids alone",
            c->path);
    return NULL;
}
