/* Specs and their parameters as arguments: FILE.graft:NAME name=value. */
#include "cli/driver/loaded.h"
#include <string.h>
#include <unistd.h>

void args_add(ArgList *to, Arena *a, const char *what, const char *text,
              struct argp_state *state)
{
    const char *eq = strchr(text, '=');
    if (!eq || eq == text)
        argp_error(state, "%s needs name=value, got `%s`", what, text);
    Arg arg = {arena_strn(a, text, (size_t)(eq - text)), eq + 1};
    list_push(a, to, arg);
}

With *with_shape(Arena *a, const ArgList *with, Model *m)
{
    With *all = arena_alloc(a, (size_t)(with->n + 1) * sizeof *all);
    for (int i = 0; i < with->n; i++)
        all[i] = (With){intern(with->at[i].name), m};
    return all;
}

static const char ext[] = ".graft";

/* FILE.graft or FILE.graft:NAME; *len gets FILE.graft's. */
static bool is_file(const char *what, size_t *len, const char **name)
{
    const char *colon = strrchr(what, ':'), *slash = strrchr(what, '/');
    if (colon && slash && slash > colon)
        colon = NULL;
    *len = colon ? (size_t)(colon - what) : strlen(what);
    *name = colon ? colon + 1 : NULL;
    return !strcmp(what, "-") ||
           (*len >= sizeof ext - 1 &&
            !strncmp(what + *len - (sizeof ext - 1), ext, sizeof ext - 1));
}

static bool library_has(const char *name)
{
    Arena a = {0};
    Diags diags = {.quiet = true};
    Spec *s = spec_new(&a, &diags);
    spec_whole_library(s);
    bool has = spec_define(s, name) != NULL;
    diags_free(&diags);
    arena_free(&a);
    return has;
}

bool is_spec(const char *what, const char **name)
{
    size_t len;
    const char *of_file;
    bool file = is_file(what, &len, &of_file);
    bool module = !file && access(what, F_OK) && library_has(what);
    if (name)
        *name = file ? of_file : module ? what : NULL;
    return file || module;
}

Spec *spec_open(Arena *a, Diags *diags, const char *what, Err *err)
{
    size_t len;
    const char *name;
    Err why = {""};
    Spec *s = spec_new(a, diags);
    if (!is_file(what, &len, &name)) {
        spec_whole_library(s);
        return s;
    }
    const char *path = arena_strn(a, what, len);
    bool there = !access(path, F_OK) || strchr(path, '/');
    if (!there &&
        spec_library(s, arena_strn(a, what, len - (sizeof ext - 1))))
        return s;
    if (spec_file(s, path, &why))
        return s;
    err_set(err, "%s", *why.text ? why.text
                                 : "the text has mistakes, see above");
    return NULL;
}
