/* Opens a tokenizer.json: its parts are read by the files beside, in an order
 * in which each needs only those before. */
#define _GNU_SOURCE
#include "runtime/files/files_private.h"
#include "runtime/tokens/tokenizer_read.h"
#include <string.h>
#include <unistd.h>

bool reader_fail(Reader *r, const char *fmt, ...)
{
    char text[900];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_set(r->err, "%s: %s", r->name, text);
}

const cJSON *field(const cJSON *object, const char *name)
{
    const cJSON *f = cJSON_IsObject(object)
                         ? cJSON_GetObjectItemCaseSensitive(object, name)
                         : NULL;
    return cJSON_IsNull(f) ? NULL : f;
}

bool field_bool(const cJSON *object, const char *name, bool otherwise)
{
    const cJSON *f = field(object, name);
    return cJSON_IsBool(f) ? cJSON_IsTrue(f) : otherwise;
}

bool read_id(const cJSON *n, int32_t *out)
{
    if (!cJSON_IsNumber(n) || !(n->valuedouble >= 0) ||
        n->valuedouble >= MAX_TOKENS ||
        n->valuedouble != (int32_t)n->valuedouble)
        return false;
    *out = (int32_t)n->valuedouble;
    return true;
}

const char *quoted(Reader *r, const char *text)
{
    size_t len = strlen(text), end = 0;
    while (end < len && end < 60)
        end += (size_t)char_length(text + end, len - end);
    cJSON *s = cJSON_CreateString(arena_strn(&r->t->arena, text, end));
    char *json = cJSON_PrintUnformatted(s);
    char *copy = arena_printf(&r->t->arena, "%s", json ? json : "?");
    cJSON_free(json);
    cJSON_Delete(s);
    return copy;
}

bool token_put(Reader *r, const char *text, int32_t id)
{
    Tokenizer *t = r->t;
    int32_t old = str_get(&t->ids, span(text));
    if (old >= 0 && old != id)
        return reader_fail(r, "token %s has two ids, %d and %d",
                           quoted(r, text), old, id);
    while (t->token.n <= id)
        list_push(&t->arena, &t->token, (Token){0});
    Token *k = &t->token.at[id];
    if (k->text && strcmp(k->text, text))
        return reader_fail(r, "id %d has two tokens, %s and %s", id,
                           quoted(r, k->text), quoted(r, text));
    if (!k->text)
        k->text = arena_strn(&t->arena, text, strlen(text));
    str_put(&t->ids, span(k->text), id);
    return true;
}

/* cJSON would end a string at \u0000 and say nothing. */
static bool has_nul(const char *json)
{
    for (const char *p = json; (p = strstr(p, "\\u0000")); p += 6) {
        size_t slashes = 1;
        while (p - slashes >= json && p[-(ptrdiff_t)slashes] == '\\')
            slashes++;
        if (slashes % 2)
            return true;
    }
    return false;
}

static cJSON *parse(Reader *r, const char *what, const char *json)
{
    size_t bad;
    const char *end;
    if (!utf8_valid(json, strlen(json), &bad)) {
        reader_fail(r, "%snot UTF-8 at byte %zu", what, bad);
        return NULL;
    }
    if (has_nul(json)) {
        reader_fail(r, "%s\\u0000 in a string is not supported", what);
        return NULL;
    }
    Err why;
    if (!json_fits("a tree", json, strlen(json), &why)) {
        reader_fail(r, "%s%s", what, why.text);
        return NULL;
    }
    cJSON *root = cJSON_ParseWithOpts(json, &end, true);
    if (!root) {
        int line = 1;
        for (const char *p = json; p < end; p++)
            line += *p == '\n';
        reader_fail(r, "%snot valid JSON at byte %td, line %d", what,
                    end - json, line);
    } else if (!cJSON_IsObject(root)) {
        reader_fail(r, "%sa JSON object is needed", what);
        cJSON_Delete(root);
        return NULL;
    }
    return root;
}

static bool read_root(Reader *r, const cJSON *root)
{
    return read_model(r, field(root, "model")) && read_steps(r, root) &&
           read_added(r, field(root, "added_tokens")) &&
           read_template(r, field(root, "post_processor"));
}

static bool read_all(Reader *r, const char *json, const char *config,
                     const char *generation)
{
    cJSON *root = parse(r, "", json);
    bool ok = root && read_root(r, root);
    cJSON_Delete(root);
    if (!ok)
        return false;
    cJSON *c = NULL, *g = NULL;
    ok = (!config || (c = parse(r, "tokenizer_config.json: ", config))) &&
         (!generation ||
          (g = parse(r, "generation_config.json: ", generation))) &&
         read_ends(r, c, g);
    cJSON_Delete(c);
    cJSON_Delete(g);
    return ok;
}

Tokenizer *tokenizer_parse(const char *json, const char *config,
                           const char *generation, const char *name, Err *err)
{
    Tokenizer *t = xmalloc(sizeof *t);
    *t = (Tokenizer){.unk = -1, .bos = -1};
    t->name = arena_printf(&t->arena, "%s", name);
    Reader r = {t->name, t, err};
    if (!read_all(&r, json, config, generation)) {
        tokenizer_close(t);
        return NULL;
    }
    bpe_prepare(t);
    return t;
}

static void steps_free(Steps *s)
{
    for (int i = 0; i < s->n; i++)
        regex_free(s->at[i].pattern.regex);
}

void tokenizer_close(Tokenizer *t)
{
    if (!t)
        return;
    steps_free(&t->normalizer);
    steps_free(&t->pre);
    steps_free(&t->decoder);
    str_free(&t->ids);
    str_free(&t->model_ids);
    pair_free(&t->ranks);
    arena_free(&t->arena);
    free(t);
}

/* A file of the same folder; NULL where there is none. */
static char *beside(const char *path, const char *name, bool *ok, Err *err)
{
    const char *slash = strrchr(path, '/');
    char *other = NULL, *text = NULL;
    size_t len;
    if (asprintf(&other, "%.*s%s", slash ? (int)(slash - path) + 1 : 0, path,
                 name) < 0)
        die("out of memory");
    if (!access(other, F_OK)) {
        text = read_file(other, &len, err);
        *ok = *ok && text;
    }
    free(other);
    return text;
}

Tokenizer *tokenizer_open_json(const char *path, Err *err)
{
    size_t len;
    char *json = read_file(path, &len, err);
    if (!json)
        return NULL;
    if (strlen(json) != len) {
        err_set(err, "%s: not valid JSON at byte %zu: a zero byte", path,
                strlen(json));
        free(json);
        return NULL;
    }
    bool ok = true;
    char *config = beside(path, "tokenizer_config.json", &ok, err);
    char *generation =
        ok ? beside(path, "generation_config.json", &ok, err) : NULL;
    if (ok && !generation)
        generation = beside(path, "config.json", &ok, err);
    Tokenizer *t =
        ok ? tokenizer_parse(json, config, generation, path, err) : NULL;
    free(json);
    free(config);
    free(generation);
    return t;
}
