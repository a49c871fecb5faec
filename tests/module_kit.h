/* For tests: a module of the library with its parameters given, as a graph. */
#pragma once
#include "compiler/lang/lang.h"
#include "codegen/program/program.h"
#include "tests/graph_kit.h"

typedef struct {
    Arena arena;
    Diags diags;
    Spec *spec;
    Model *model;
    Graph *graph;
} Module;

/* args: "D=40 F=75". */
static inline void module_open(Module *m, const char *name, const char *args,
                               Dtype t)
{
    Err err = {""};
    Arg arg[32];
    int n = 0;
    *m = (Module){0};
    m->spec = spec_new(&m->arena, &m->diags);
    spec_whole_library(m->spec);
    char *text = arena_strn(&m->arena, args, strlen(args)), *save = NULL;
    for (char *p = strtok_r(text, " ", &save); p;
         p = strtok_r(NULL, " ", &save)) {
        char *eq = strchr(p, '=');
        *eq = 0;
        arg[n++] = (Arg){p, eq + 1};
    }
    const Ast *def = spec_find(m->spec, AST_module, name);
    assert_non_null(def);
    m->model = module_model(m->spec, def, arg, n, t, &err);
    if (!m->model)
        fail_msg("%s: %s", name, err.text);
    m->graph = model_graph(m->model, &m->arena);
}

static inline void module_close(Module *m)
{
    diags_free(&m->diags);
    arena_free(&m->arena);
}
