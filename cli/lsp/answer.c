/* What an editor shows: mistakes, what a name is, where it comes from, the
 * definitions of a text, its layout. */
#define _GNU_SOURCE /* asprintf */
#include "cli/lsp/server.h"
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

cJSON *answer_diagnostics(const Server *s, const Document *d)
{
    const Analysis *a = d->now;
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < a->diags.said.n; i++) {
        const Diag *said = &a->diags.said.at[i];
        bool here = said->src == a->src;
        cJSON *o = cJSON_CreateObject();
        Loc loc = here ? said->loc : (Loc){0};
        const char *text =
            here ? said->text
                 : intern_printf("%s: %s", said->src->path, said->text);
        loc.len += !loc.len;
        cJSON_AddItemToObject(o, "range", place_range(s, d->text, loc));
        cJSON_AddNumberToObject(o, "severity",
                                said->severity == SEVERITY_error ? 1 : 2);
        cJSON_AddStringToObject(o, "source", "graft");
        cJSON_AddStringToObject(o, "message", text);
        cJSON_AddItemToArray(list, o);
    }
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "uri", d->uri);
    cJSON_AddItemToObject(o, "diagnostics", list);
    return o;
}

/* ---- what a name is ---- */

static int line_begin(const char *text, int at)
{
    while (at > 0 && text[at - 1] != '\n')
        at--;
    return at;
}

/* The declaration's first line, without the brace that opens a body; and the
 * comment lines right above it. */
static void print_declaration(FILE *out, const Found *f)
{
    const char *text = f->at->src->text;
    int begin = line_begin(text, f->name.at), top = begin;
    int len = (int)strcspn(text + begin, "\n");
    while (len > 0 && strchr(" {\r", text[begin + len - 1]))
        len--;
    int indent = (int)strspn(text + begin, " \t");
    fprintf(out, "```graft\n%.*s\n```\n", len - indent, text + begin + indent);
    while (top > 0 && text[line_begin(text, top - 1)] == '#')
        top = line_begin(text, top - 1);
    for (int at = top; at < begin; at += (int)strcspn(text + at, "\n") + 1) {
        int skip = (int)strspn(text + at, "# ");
        fprintf(out, "%.*s\n", (int)strcspn(text + at + skip, "\n"),
                text + at + skip);
    }
}

/* The value of the name at a place; of what is declared there, the value that
 * it gets. */
static const Seen *value_at(const Analysis *a, int at)
{
    const Ast *chain[256];
    int n = analysis_chain(a, at, chain, 256);
    for (int i = n - 1; i >= 0 && i >= n - 3; i--) {
        if (chain[i]->kind == AST_assign && chain[i]->kid[0]->nkid == 1)
            return analysis_seen(a, chain[i]->kid[1]);
        const Seen *seen = analysis_seen(a, chain[i]);
        if (seen)
            return seen;
    }
    return NULL;
}

static cJSON *markdown(const char *text)
{
    cJSON *o = cJSON_CreateObject(), *c = cJSON_AddObjectToObject(o,
                                                                  "contents");
    cJSON_AddStringToObject(c, "kind", "markdown");
    cJSON_AddStringToObject(c, "value", text);
    return o;
}

static bool is_builtin_name(const char *name)
{
    for (int i = 0; name && builtin_name(i); i++)
        if (!strcmp(builtin_name(i), name))
            return true;
    return false;
}

cJSON *answer_hover(const Document *d, int at)
{
    const Ast *chain[256];
    int n = d->now->tree ? analysis_chain(d->now, at, chain, 256) : 0;
    const Ast *e = n ? chain[n - 1] : NULL;
    if (!e || e->kind == AST_file)
        return NULL;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        die("no memory for an answer");
    Found f = analysis_find(d->now, at);
    const Seen *value = value_at(d->now, at);
    if (value)
        fprintf(out, "`%s`\n\n", value->what);
    if (f.file)
        fprintf(out, "the definitions of `%s.graft`\n", f.file);
    else if (f.at)
        print_declaration(out, &f);
    else if (is_builtin_name(e->text))
        fprintf(out, "`%s` is built in: docs/language.md\n", e->text);
    fclose(out);
    cJSON *o = len ? markdown(text) : NULL;
    free(text);
    return o;
}

/* ---- where it comes from ---- */

static void make_folders(char *path)
{
    for (char *s = path + 1; *s; s++)
        if (*s == '/') {
            *s = 0;
            mkdir(path, 0755); /* where that fails, opening a file tells */
            *s = '/';
        }
}

/* A library's file as one that an editor can open, in the user's cache;
 * malloc'ed; NULL: it cannot be written. */
static char *library_copy(const char *name, const char *text)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (!cache && !home)
        return NULL;
    char *path = NULL;
    if (asprintf(&path, "%s%s/graft/library/%s.graft", cache ? cache : home,
                 cache ? "" : "/.cache", name) < 0)
        die("no memory for a path");
    make_folders(path);
    unlink(path);
    FILE *out = fopen(path, "wx");
    if (out && fputs(text, out) >= 0 && !fclose(out))
        return path;
    free(path);
    return NULL;
}

static const char *library_text(const char *name)
{
    for (int i = 0; spec_library_name(i); i++)
        if (!strcmp(spec_library_name(i), name))
            return spec_library_text(i);
    return NULL;
}

/* "<library>/llama.graft" is the library's llama. */
static char *real_path(const char *path)
{
    char name[256];
    if (strncmp(path, "<library>/", 10))
        return strdup(path);
    snprintf(name, sizeof name, "%s", path + 10);
    name[strcspn(name, ".")] = 0;
    const char *text = library_text(name);
    return text ? library_copy(name, text) : NULL;
}

static cJSON *location(const Server *s, const char *path, const char *text,
                       Loc loc)
{
    char *real = real_path(path);
    if (!real)
        return NULL;
    char *uri = path_uri(real);
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "uri", uri);
    cJSON_AddItemToObject(o, "range", place_range(s, text, loc));
    free(uri);
    free(real);
    return o;
}

cJSON *answer_definition(const Server *s, const Document *d, int at)
{
    if (!d->now->tree)
        return NULL;
    Found f = analysis_find(d->now, at);
    if (f.at && !f.file)
        return location(s, f.at->src->path, f.at->src->text, f.name);
    if (!f.file)
        return NULL;
    const Ast *const *file;
    int n = spec_files(d->now->spec, &file);
    const char *end = intern_printf("/%s.graft", f.file);
    for (int i = 0; i < n; i++) {
        const char *path = file[i]->src->path;
        size_t len = strlen(path), tail = strlen(end);
        if (len >= tail && !strcmp(path + len - tail, end))
            return location(s, path, file[i]->src->text, (Loc){0});
    }
    return NULL;
}

/* ---- definitions of a text, its layout ---- */

static int symbol_kind(const Ast *def)
{
    return def->kind == AST_module      ? 5  /* class */
           : def->kind == AST_model     ? 2  /* module */
           : def->kind == AST_transform ? 12 /* function */
           : def->kind == AST_recipe    ? 24 /* event */
           : def->kind == AST_rule      ? 25 /* operator */
                                        : 0;
}

cJSON *answer_symbols(const Server *s, const Document *d)
{
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; d->now->tree && i < d->now->tree->nkid; i++) {
        const Ast *def = d->now->tree->kid[i];
        if (!symbol_kind(def) || !def->text)
            continue;
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "name", def->text);
        cJSON_AddNumberToObject(o, "kind", symbol_kind(def));
        cJSON_AddItemToObject(o, "range", place_range(s, d->text, def->loc));
        cJSON_AddItemToObject(o, "selectionRange",
                              place_range(s, d->text, def->name_loc));
        cJSON_AddItemToArray(list, o);
    }
    return list;
}

cJSON *answer_format(const Server *s, const Document *d)
{
    Arena arena = {0};
    Diags diags = {.quiet = true};
    Source src = {d->path, d->text, (int)strlen(d->text), &diags};
    const Ast *file = dsl_parse(&arena, &src);
    cJSON *edits = NULL;
    if (!diags.errors) {
        char *text = dsl_format(file);
        edits = cJSON_CreateArray();
        if (strcmp(text, d->text)) {
            cJSON *o = cJSON_CreateObject();
            cJSON_AddItemToObject(o, "range",
                                  place_range(s, d->text, (Loc){0, src.len}));
            cJSON_AddStringToObject(o, "newText", text);
            cJSON_AddItemToArray(edits, o);
        }
        free(text);
    }
    diags_free(&diags);
    arena_free(&arena);
    return edits;
}
