/* Pictures: a model's tree or a graph, alone or before and after a transform,
 * laid out by Graphviz. svg.c has what both share, svg_model.c and svg_graph.c
 * write the text that Graphviz reads. */
#pragma once
#include "cli/common/common.h"
#include "compiler/check/check.h"

typedef struct {
    const char *title;
    const View *view;
    const Graph *graph;
} Side;

typedef struct {
    Side side[2];
    int n; /* 2: before and after a transform */
} Picture;

/* malloc'ed, no XML head: fit for a page too; NULL with err set. */
char *svg_model(const Picture *p, Err *err);
char *svg_graph(const Picture *p, Err *err);
/* A file of its own; "-" is stdout. */
bool svg_save(const char *path, const char *svg, Err *err);
bool text_save(const char *path, const char *text, Err *err);

/* ---- shared by the two ---- */

enum { LOOK_plain, LOOK_new, LOOK_gone };
/* Is what stands at the path new on side 1, going away on side 0? */
int svg_look(const Picture *p, int side, const char *path);
int svg_weight_look(const Picture *p, int side, const char *path, bool made);
const char *svg_fill(int look, const char *plain);
const char *svg_line(int look);
char *svg_layout(char *dot, Err *err); /* frees dot */
/* Class names, for pages: `kind`, and where it came from. */
void svg_class(FILE *out, const char *kind, const Source *src, Loc loc);
/* "at-llama_graft-1a2b-12": the name that all has that comes from a line; the
 * text's hash tells two files of one name apart. */
void svg_at(FILE *out, const Source *src, int line);
