/* One self-contained page that steps through the levels of a spec or a model,
 * lines linked to the spec's: html.c frames it, html_levels.c and
 * html_code.c write the levels, html_text.c their lines. */
#pragma once
#include "cli/tools/subject.h"

/* malloc'ed; NULL with err set. */
char *html_page(Subject *s, const Common *common, Err *err);

/* ---- shared by the files ---- */

typedef struct {
    const char *id, *title;
    char *text; /* malloc'ed */
} Level;

typedef struct {
    Subject *subject;
    const Common *common;
    Arena arena;
    LIST(const Source *) source; /* each text once */
    LIST(Level) level;
} Page;

/* Notes the sources that definitions, graphs and trees come from. */
void page_sources(Page *p);
/* All levels that the subject has. */
bool page_levels(Page *p, Err *err);
const Ast *page_tree(const Page *p, const Source *src); /* or NULL */

/* A level being written. */
typedef struct {
    Page *page;
    FILE *out;
    char *text;
    size_t len;
} Writing;
void page_begin(Writing *w, Page *p);
void page_end(Writing *w, const char *id, const char *title);
/* What marks a line: where it comes from, and whether it is new. */
void page_mark(FILE *out, const Source *src, Loc loc, int look);
bool page_code(Page *p, Err *err); /* kernels, llvm, cuda */

/* A text as lines of a <pre>. A line may begin with \1 CLASSES \2. */
void html_lines(FILE *out, const char *text);
/* The same of one source, numbered, coloured, each line linked. */
void html_source(FILE *out, const Source *src);
