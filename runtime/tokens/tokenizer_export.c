/* The vocabulary of a Hugging Face folder as a GGUF file has it: the way back
 * of tokenizer_gguf.c. */
#define _GNU_SOURCE
#include "runtime/files/files_private.h"
#include "runtime/tokens/tokenizer_read.h"
#include <string.h>

typedef struct {
    const char *path; /* of tokenizer.json */
    Arena *a;
    const Tokenizer *t;
    const cJSON *root, *config; /* config may be NULL */
    Vocabulary *v;
    Err *err;
} Export;

static bool fail(Export *x, const char *what)
{
    return err_set(x->err, "%s: %s", x->path, what);
}

static bool is_type(const cJSON *step, const char *type)
{
    const cJSON *t = field(step, "type");
    return cJSON_IsString(t) && !strcmp(t->valuestring, type);
}

/* ---- how texts are cut into words ---- */

typedef struct {
    const char *pattern[COUNT(((PreTable *)0)->pattern)];
    size_t n;
    bool bytes, gpt2, prefix, metaspace, other;
} Cuts;

static void add_pattern(Cuts *c, const char *pattern)
{
    if (c->n + 1 < COUNT(c->pattern))
        c->pattern[c->n++] = pattern;
    else
        c->other = true;
}

static void read_cut(Cuts *c, const cJSON *step)
{
    const cJSON *regex = field(field(step, "pattern"), "Regex");
    const cJSON *how = field(step, "behavior");
    if (is_type(step, "ByteLevel")) {
        c->bytes = true;
        c->gpt2 |= field_bool(step, "use_regex", true);
        c->prefix |= field_bool(step, "add_prefix_space", true);
    } else if (is_type(step, "Digits") &&
               field_bool(step, "individual_digits", false)) {
        add_pattern(c, "\\p{N}");
    } else if (is_type(step, "Metaspace")) {
        const cJSON *scheme = field(step, "prepend_scheme");
        c->metaspace = true;
        c->prefix |= cJSON_IsString(scheme)
                         ? strcmp(scheme->valuestring, "never") != 0
                         : field_bool(step, "add_prefix_space", true);
    } else if (is_type(step, "Split") && cJSON_IsString(regex) &&
               cJSON_IsString(how) && !field_bool(step, "invert", false) &&
               !strcmp(how->valuestring, "Isolated")) {
        add_pattern(c, regex->valuestring);
    } else {
        c->other = true;
    }
}

static void read_cuts(Cuts *c, const cJSON *pre)
{
    if (is_type(pre, "Sequence"))
        for (const cJSON *s = field(pre, "pretokenizers")
                                  ? field(pre, "pretokenizers")->child : NULL;
             s; s = s->next)
            read_cut(c, s);
    else if (pre)
        read_cut(c, pre);
}

/* The normalizer of a SentencePiece model, or none that changes words. */
static bool read_normalizer(Export *x, const cJSON *norm)
{
    const cJSON *list = is_type(norm, "Sequence") ? field(norm, "normalizers")
                                                  : NULL;
    const cJSON *s = list ? list->child : norm;
    for (; s; s = list ? s->next : NULL)
        if (is_type(s, "Prepend"))
            x->v->space_prefix = true;
        else if (!is_type(s, "Replace") && !is_type(s, "NFC"))
            return fail(x, "its normalizer is none that llama.cpp has");
    return true;
}

static bool read_words(Export *x)
{
    Cuts c = {0};
    read_cuts(&c, field(x->root, "pre_tokenizer"));
    if (!read_normalizer(x, field(x->root, "normalizer")))
        return false;
    x->v->space_prefix |= c.prefix;
    if (!c.bytes && !c.n && !c.other && x->t->byte_fallback)
        return true; /* SentencePiece */
    if (c.bytes && !c.other && !c.metaspace)
        x->v->pre = pre_match(c.pattern, c.gpt2, x->t->ignore_merges);
    return x->v->pre || fail(x, "the way it cuts texts into words is none "
                                "that llama.cpp has a name for");
}

/* ---- tokens ---- */

static TokenKind kind_of(const Export *x, int id)
{
    const Token *k = &x->t->token.at[id];
    size_t len = strlen(k->text);
    if (id == x->t->unk)
        return KIND_unknown;
    if (k->added)
        return k->special ? KIND_control : KIND_user;
    return !x->v->pre && len == 6 && !strncmp(k->text, "<0x", 3) &&
                   k->text[5] == '>' ? KIND_byte : KIND_normal;
}

static bool read_tokens(Export *x, int64_t rows)
{
    const Tokenizer *t = x->t;
    Vocabulary *v = x->v;
    if (t->token.n > rows)
        return err_set(x->err, "%s: %d tokens, but the embedding has %lld rows",
                       x->path, t->token.n, (long long)rows);
    v->tokens = (int)rows;
    v->token = arena_alloc(x->a, (size_t)rows * sizeof *v->token);
    v->kind = arena_alloc(x->a, (size_t)rows * sizeof *v->kind);
    for (int i = 0; i < v->tokens; i++) {
        bool there = i < t->token.n && t->token.at[i].text;
        v->token[i] = there ? t->token.at[i].text
                            : arena_printf(x->a, "[PAD%d]", i);
        v->kind[i] = there ? kind_of(x, i) : KIND_unused;
    }
    return true;
}

static void read_merges(Export *x)
{
    const Tokenizer *t = x->t;
    Vocabulary *v = x->v;
    v->merges = t->merge.n;
    v->merge = arena_alloc(x->a, (size_t)v->merges * sizeof *v->merge);
    for (int i = 0; i < v->merges; i++)
        v->merge[i] = arena_printf(x->a, "%s %s",
                                   t->token.at[t->merge.at[i].left].text,
                                   t->token.at[t->merge.at[i].right].text);
}

/* A piece is the better the earlier the first merge that makes it. */
static void read_scores(Export *x)
{
    const Tokenizer *t = x->t;
    Vocabulary *v = x->v;
    float *score = arena_alloc(x->a, (size_t)v->tokens * sizeof *score);
    int rank = 0;
    for (int i = 0; i < t->merge.n; i++)
        if (score[t->merge.at[i].made] >= 0)
            score[t->merge.at[i].made] = (float)-++rank;
    for (int i = 0; i < v->tokens; i++)
        if (score[i] >= 0 && v->kind[i] == KIND_normal)
            score[i] = (float)-(rank + 1);
    v->score = score;
}

static int named_token(const Export *x, const char *name)
{
    const cJSON *s = field(x->config, name);
    if (cJSON_IsObject(s))
        s = field(s, "content");
    return cJSON_IsString(s) ? tokenizer_find(x->t, s->valuestring) : -1;
}

static void read_ids(Export *x)
{
    const Tokenizer *t = x->t;
    Vocabulary *v = x->v;
    v->bos = t->bos;
    v->unk = t->unk;
    v->pad = named_token(x, "pad_token");
    v->eos = named_token(x, "eos_token");
    if (v->eos < 0 && t->end.n)
        v->eos = t->end.at[0];
    for (int i = 0; i < t->end.n; i++)
        list_push(x->a, &v->end, t->end.at[i]);
    v->add_bos = t->first.n && t->first.at[0] == t->bos;
    vocabulary_templates(v, x->a, x->path, x->config);
}

static bool export(Export *x, int64_t rows)
{
    if (x->t->model != MODEL_bpe)
        return fail(x, "its model is no BPE: graft writes no other as GGUF");
    if (!read_words(x) || !read_tokens(x, rows))
        return false;
    read_ids(x);
    if (x->v->pre)
        read_merges(x);
    else
        read_scores(x);
    return true;
}

static cJSON *parse(const char *path, Err *err)
{
    size_t len;
    char *text = read_file(path, &len, err);
    cJSON *root = text ? json_object(path, text, len, err) : NULL;
    free(text);
    return root;
}

bool vocabulary_of_folder(const char *path, int64_t rows, Arena *a,
                          Vocabulary *out, Err *err)
{
    const char *slash = strrchr(path, '/');
    const char *beside = arena_printf(
        a, "%.*stokenizer_config.json",
        slash ? (int)(slash - path) + 1 : 0, path);
    Err ignored;
    Tokenizer *t = tokenizer_open_json(path, err);
    cJSON *root = t ? parse(path, err) : NULL;
    cJSON *config = root && path_exists(beside) ? parse(beside, &ignored)
                                                : NULL;
    *out = (Vocabulary){0};
    Export x = {path, a, t, root, config, out, err};
    bool good = root && export(&x, rows);
    for (int i = 0; good && i < out->tokens; i++)
        out->token[i] = arena_printf(a, "%s", out->token[i]);
    cJSON_Delete(root);
    cJSON_Delete(config);
    tokenizer_close(t);
    return good;
}
