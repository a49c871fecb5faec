/* Specs: files read with what they use, and their definitions by name. */
#include "compiler/lang/elab.h"
#include "compiler/lang/stdlib.h"
#include <string.h>
#include <unistd.h>

Spec *spec_new(Arena *arena, Diags *diags)
{
    Spec *s = arena_alloc(arena, sizeof *s);
    s->arena = arena;
    s->diags = diags;
    s->spent = arena_alloc(arena, sizeof *s->spent);
    return s;
}

const Ast *spec_find(const Spec *s, AstKind kind, const char *name)
{
    for (int i = 0; i < s->def.n; i++)
        if (s->def.at[i]->kind == kind && s->def.at[i]->text &&
            !strcmp(s->def.at[i]->text, name))
            return s->def.at[i];
    return NULL;
}

const char *spec_nearest(const Spec *s, AstKind kind, const char *name)
{
    const char *names[512];
    int n = 0;
    for (int i = 0; i < s->def.n && n < 512; i++)
        if (s->def.at[i]->kind == kind && s->def.at[i]->text)
            names[n++] = s->def.at[i]->text;
    return nearest(name, names, n);
}

static void define(Spec *s, const Ast *def)
{
    const Ast *old = def->kind == AST_prove
                         ? NULL
                         : spec_find(s, def->kind, def->text);
    if (!old) {
        list_push(s->arena, &s->def, def);
        return;
    }
    int line, col;
    loc_place(old->src, old->name_loc.at, &line, &col);
    error_at(def->src, def->name_loc,
             "there is a %s `%s` already, at %s:%d:%d",
             ast_kind_name[def->kind], def->text, old->src->path, line, col);
}

/* Where the file stands in the chain of those being read, or NULL. */
static SpecFile *find_file(Spec *s, const char *key)
{
    for (int i = 0; i < s->seen.n; i++)
        if (!strcmp(s->seen.at[i]->key, key))
            return s->seen.at[i];
    return NULL;
}

static bool use(Spec *s, const Source *from, const Ast *at);

static bool read_source(Spec *s, SpecFile *f, Source *src)
{
    int before = s->diags->errors;
    Ast *tree = dsl_parse(s->arena, src);
    bool ok = true;
    s->unread |= s->diags->errors > before;
    f->reading = true;
    for (int i = 0; i < tree->nkid; i++)
        if (tree->kid[i]->kind == AST_use)
            ok &= use(s, src, tree->kid[i]);
    f->reading = false;
    f->tree = tree;
    list_push(s->arena, &s->file, tree);
    for (int i = 0; i < tree->nkid; i++)
        if (tree->kid[i]->kind != AST_use)
            define(s, tree->kid[i]);
    return ok && !s->diags->errors;
}

static SpecFile *add_file(Spec *s, const char *key)
{
    SpecFile *f = arena_alloc(s->arena, sizeof *f);
    f->key = intern(key);
    list_push(s->arena, &s->seen, f);
    return f;
}

static Source *source_new(Spec *s, const char *path, const char *text,
                          size_t len)
{
    Source *src = arena_alloc(s->arena, sizeof *src);
    *src = (Source){intern(path), arena_strn(s->arena, text, len), (int)len,
                    s->diags};
    return src;
}

bool spec_text(Spec *s, const char *label, const char *text)
{
    return read_source(s, add_file(s, label),
                       source_new(s, label, text, strlen(text)));
}

bool spec_file(Spec *s, const char *path, Err *err)
{
    if (find_file(s, path))
        return true;
    size_t len;
    const char *given = s->text ? s->text(s->texts, path) : NULL;
    if (given)
        return spec_text(s, path, given);
    char *text = read_file(path, &len, err);
    if (!text)
        return false;
    if (len > (1 << 24)) {
        free(text);
        return err_set(err, "%s: a text of over 16 MB", path);
    }
    Source *src = source_new(s, path, text, len);
    free(text);
    err->text[0] = 0;
    return read_source(s, add_file(s, path), src);
}

void spec_watch(Spec *s, SpecWatch *watch, void *user)
{
    s->watch = watch;
    s->watcher = user;
}

void spec_overlay(Spec *s, SpecText *text, void *user)
{
    s->text = text;
    s->texts = user;
}

const char *spec_library_name(int i)
{
    return library[i].name;
}

const char *spec_library_text(int i)
{
    return library[i].text;
}

static const LibraryFile *library_file(const char *name)
{
    for (const LibraryFile *f = library; f->name; f++)
        if (!strcmp(f->name, name))
            return f;
    return NULL;
}

bool spec_library(Spec *s, const char *name)
{
    const LibraryFile *f = library_file(name);
    const char *key = intern_printf("<library>/%s.graft", name);
    if (!f)
        return false;
    if (find_file(s, key))
        return true;
    return read_source(s, add_file(s, key),
                       source_new(s, key, f->text, strlen(f->text)));
}

void spec_whole_library(Spec *s)
{
    for (const LibraryFile *f = library; f->name; f++)
        spec_library(s, f->name);
}

/* Does the text define it, at a line's start? */
static bool defines(const char *text, const char *head)
{
    size_t len = strlen(head);
    for (const char *s = text; s; s = strchr(s, '\n')) {
        s += *s == '\n';
        if (!strncmp(s, head, len) && strchr(" ({", s[len]))
            return true;
    }
    return false;
}

const char *spec_hint(const Spec *s, AstKind kind, const char *name)
{
    const char *head = intern_printf("%s %s", ast_kind_name[kind], name);
    for (const LibraryFile *f = library; f->name; f++)
        if (*name && defines(f->text, head))
            return intern_printf(": it is in %s.graft (`use %s`)", f->name,
                                 f->name);
    return near_text(spec_nearest(s, kind, name));
}

static const char *beside(Spec *s, const Source *from, const char *name)
{
    const char *slash = strrchr(from->path, '/');
    int len = slash ? (int)(slash - from->path) + 1 : 0;
    if (s->alone || !strncmp(from->path, "<library>/", 10))
        return NULL;
    const char *path =
        arena_printf(s->arena, "%.*s%s.graft", len, from->path, name);
    return access(path, F_OK) ? NULL : path;
}

static bool report_unknown(Spec *s, const Source *from, const Ast *at)
{
    const char *names[256];
    int n = 0;
    for (const LibraryFile *f = library; f->name && n < 256; f++)
        names[n++] = f->name;
    const char *near = nearest(at->text, names, n);
    s->unread = true;
    error_at(from, at->name_loc,
             "no %s.graft beside this file or in the library%s",
             at->text, near_text(near));
    return false;
}

static bool use(Spec *s, const Source *from, const Ast *at)
{
    const char *path = beside(s, from, at->text);
    const char *key =
        path ? path : intern_printf("<library>/%s.graft", at->text);
    SpecFile *seen = find_file(s, key);
    if (seen && seen->reading) {
        s->unread = true;
        error_at(from, at->name_loc,
                 "`%s` uses this file in turn: a circle of `use`", at->text);
        return false;
    }
    if (seen)
        return true;
    if (!path)
        return library_file(at->text) ? spec_library(s, at->text)
                                      : report_unknown(s, from, at);
    Err err = {""};
    bool ok = spec_file(s, path, &err);
    seen = find_file(s, path);
    if (seen)
        seen->used = true;
    if (!ok && err.text[0]) {
        s->unread = true;
        error_at(from, at->name_loc, "%s", err.text);
    }
    return !s->diags->errors;
}

/* ---- which files a definition needs ---- */

static bool is_in(const Ast *tree, const Ast *def)
{
    for (int i = 0; i < tree->nkid; i++)
        if (tree->kid[i] == def)
            return true;
    return false;
}

/* The file that `use NAME` meant, by the last part of its path. */
static const Ast *used_file(const Spec *s, const char *name)
{
    const char *end = intern_printf("%s.graft", name);
    for (int i = 0; i < s->seen.n; i++) {
        const char *slash = strrchr(s->seen.at[i]->key, '/');
        const char *last = slash ? slash + 1 : s->seen.at[i]->key;
        if (!strcmp(last, end))
            return s->seen.at[i]->tree;
    }
    return NULL;
}

static void need(const Spec *s, Trees *t, const Ast *tree)
{
    for (int i = 0; i < t->n; i++)
        if (t->at[i] == tree)
            return;
    if (tree)
        list_push(s->arena, t, tree);
}

Trees spec_needs(const Spec *s, const Ast *def)
{
    Trees t = {0};
    for (int i = 0; i < s->file.n; i++)
        if (is_in(s->file.at[i], def))
            need(s, &t, s->file.at[i]);
    for (int i = 0; i < t.n; i++)
        for (int j = 0; j < t.at[i]->nkid; j++)
            if (t.at[i]->kid[j]->kind == AST_use)
                need(s, &t, used_file(s, t.at[i]->kid[j]->text));
    return t;
}

const Ast *spec_model_of(const Spec *s, const Ast *def)
{
    Trees t = spec_needs(s, def);
    for (int i = 0; i < t.n; i++)
        for (int j = 0; j < t.at[i]->nkid; j++)
            if (t.at[i]->kid[j]->kind == AST_model)
                return t.at[i]->kid[j];
    return NULL;
}

/* What a folder must carry to be read without the library: the files, used
 * ones first, without their `use` lines. */
char *spec_closure(const Spec *s)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    for (int i = 0; i < s->file.n; i++) {
        Ast copy = *s->file.at[i];
        Ast **kid = xmalloc((size_t)(copy.nkid + 1) * sizeof *kid);
        int n = 0;
        for (int j = 0; j < copy.nkid; j++)
            if (copy.kid[j]->kind != AST_use &&
                copy.kid[j]->kind != AST_recipe)
                kid[n++] = copy.kid[j];
        copy.kid = kid;
        copy.nkid = n;
        char *one = dsl_format(&copy);
        fprintf(out, "%s%s", i ? "\n" : "", one);
        free(one);
        free(kid);
    }
    fclose(out);
    return text;
}

const Ast *spec_define(const Spec *s, const char *name)
{
    static const AstKind kind[] = {AST_transform, AST_module, AST_model};
    for (size_t i = 0; i < COUNT(kind); i++) {
        const Ast *def = spec_find(s, kind[i], name);
        if (def)
            return def;
    }
    return NULL;
}

int spec_definitions(const Spec *s, const Ast *const **out)
{
    *out = s->def.at;
    return s->def.n;
}

int spec_files(const Spec *s, const Ast *const **out)
{
    *out = s->file.at;
    return s->file.n;
}
