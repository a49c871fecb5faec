/* The levels of a page: tree, model, graph, proofs. */
#include "cli/tools/html.h"
#include "dsl/dsl.h"
#include <string.h>

/* ---- a level's text ---- */

void page_begin(Writing *w, Page *p)
{
    *w = (Writing){.page = p};
    w->out = open_memstream(&w->text, &w->len);
    if (!w->out)
        die("out of memory");
}

void page_end(Writing *w, const char *id, const char *title)
{
    fclose(w->out);
    list_push(&w->page->arena, &w->page->level, ((Level){id, title, w->text}));
}

static void heading(FILE *out, const char *text, int look)
{
    fputs("<h2>", out);
    if (look)
        fprintf(out, "<span class=\"note %s\">",
                look == LOOK_new ? "new" : "gone");
    put_html(out, text);
    fputs(look ? "</span></h2>\n" : "</h2>\n", out);
}

void page_mark(FILE *out, const Source *src, Loc loc, int look)
{
    int line, col;
    fputc('\1', out);
    if (look)
        fputs(look == LOOK_new ? "new " : "gone ", out);
    if (src) {
        loc_place(src, loc.at, &line, &col);
        svg_at(out, src, line);
    }
    fputc('\2', out);
}

/* ---- ast ---- */

/* The place of a line is what stands behind its last @. */
static void ast_lines(FILE *out, const Source *src, const char *text)
{
    char *marked;
    size_t len;
    FILE *to = open_memstream(&marked, &len);
    while (*text) {
        int n = (int)strcspn(text, "\n"), line = 0;
        for (int i = n - 1; i >= 0 && !line; i--)
            if (text[i] == '@')
                line = atoi(text + i + 1);
        if (line > 0) { /* else it is the - of what is absent */
            fputc('\1', to);
            svg_at(to, src, line);
            fprintf(to, "\2%.*s\n", n, text);
        }
        text += n + (text[n] == '\n');
    }
    fclose(to);
    html_lines(out, marked);
    free(marked);
}

static void level_ast(Page *p)
{
    Writing w;
    page_begin(&w, p);
    fputs("<p>The tree of the text: a node a line, with its place.</p>\n",
          w.out);
    for (int i = 0; i < p->source.n; i++) {
        const Ast *tree = page_tree(p, p->source.at[i]);
        char *text;
        size_t len;
        if (!tree)
            continue;
        FILE *to = open_memstream(&text, &len);
        dsl_print(tree, to);
        fclose(to);
        heading(w.out, p->source.at[i]->path, 0);
        ast_lines(w.out, p->source.at[i], text);
        free(text);
    }
    page_end(&w, "ast", "ast");
}

/* ---- model ---- */

typedef struct {
    FILE *out;
    const Picture *p;
    int side;
} Tree;

static void tree_lines(const Tree *t, const View *v, int depth);

static void tree_part(const Tree *t, const View *v, const View *last,
                      int depth)
{
    page_mark(t->out, v->decl ? v->decl->src : v->def->src,
              v->decl ? v->decl->name_loc : v->def->name_loc,
              svg_look(t->p, t->side, v->path));
    fprintf(t->out, "%*s%s", 2 * depth, "", v->name);
    if (last != v)
        fprintf(t->out, " .. %s", last->name);
    if (v->array)
        fprintf(t->out, "[%s]", v->array->name);
    fprintf(t->out, ": %s(%s)", v->def->text, v->params);
    if (last != v)
        fprintf(t->out, "  × %d", (int)(last - v) + 1);
    fputc('\n', t->out);
    tree_lines(t, v, depth + 1);
}

static void tree_lines(const Tree *t, const View *v, int depth)
{
    for (int i = 0; i < v->nweight; i++) {
        const ViewWeight *w = &v->weight[i];
        page_mark(t->out, w->decl->src, w->decl->name_loc,
                  svg_weight_look(t->p, t->side, w->w->path, w->made));
        fprintf(t->out, "%*s%-10s %-24s %s\n", 2 * depth, "", w->name,
                type_text(&w->w->type), w->origin);
    }
    for (int i = 0; i < v->npart;) {
        int j = i;
        while (j + 1 < v->npart && v->part[i].decl == v->part[j + 1].decl &&
               view_alike(&v->part[i], &v->part[j + 1]))
            j++;
        tree_part(t, &v->part[i], &v->part[j], depth);
        i = j + 1;
    }
}

static void side_heading(FILE *out, const Picture *p, int side)
{
    heading(out, *p->side[side].title ? p->side[side].title : "the model",
            p->n < 2 ? 0 : side ? LOOK_new : LOOK_gone);
}

static void model_text(FILE *out, const Picture *p)
{
    for (int side = 0; side < p->n; side++) {
        char *text;
        size_t len;
        const View *v = p->side[side].view;
        Tree t = {open_memstream(&text, &len), p, side};
        page_mark(t.out, v->def->src, v->def->name_loc,
                  svg_look(p, side, v->path));
        fprintf(t.out, "%s(%s)\n", v->def->text, v->params);
        tree_lines(&t, v, 1);
        fclose(t.out);
        side_heading(out, p, side);
        html_lines(out, text);
        free(text);
    }
}

/* ---- graph ---- */

typedef struct {
    const Picture *p;
    int side;
} GraphMark;

static void graph_mark(FILE *out, const Node *n, void *user)
{
    const GraphMark *m = user;
    page_mark(out, n->src, n->loc, svg_look(m->p, m->side, n->path));
}

static void graph_text(FILE *out, const Picture *p)
{
    for (int side = 0; side < p->n; side++) {
        char *text;
        size_t len;
        FILE *to = open_memstream(&text, &len);
        GraphMark m = {p, side};
        ir_print_marked(p->side[side].graph, to, graph_mark, &m);
        fclose(to);
        side_heading(out, p, side);
        html_lines(out, text);
        free(text);
    }
}

/* ---- one level for all pictures ---- */

static bool picture(FILE *out, const Picture *p, bool graph, Err *err)
{
    char *svg = graph ? svg_graph(p, err) : svg_model(p, err);
    if (!svg)
        return false;
    fputs("<div class=pic><div class=zoom><button data-zoom=fit>fit</button>"
          "<button data-zoom=1>1 : 1</button><button data-zoom=1.25>+"
          "</button><button data-zoom=0.8>−</button></div>\n", out);
    fputs(svg, out);
    fputs("</div>\n", out);
    free(svg);
    return true;
}

static bool level_of(Page *p, bool graph, bool drawn, Err *err)
{
    Writing w;
    bool fine = true;
    int n = subject_pictures(p->subject);
    page_begin(&w, p);
    for (int i = 0; fine && i < n; i++) {
        Picture pic = subject_picture(p->subject, i);
        if (n > 1)
            heading(w.out, pic.side[0].title, 0);
        if (drawn)
            fine = picture(w.out, &pic, graph, err);
        else if (graph)
            graph_text(w.out, &pic);
        else
            model_text(w.out, &pic);
    }
    page_end(&w, graph ? drawn ? "graph-picture" : "graph"
                  : drawn ? "model-picture" : "model",
        graph ? drawn ? "graph, drawn" : "graph"
              : drawn ? "model, drawn" : "model");
    return fine;
}

/* ---- proofs ---- */

static void claim_text(FILE *out, const Claim *c)
{
    static const char *const result[] = {"proved", "refuted", "open"};
    const Proof *p = c->proof;
    int line, col;
    loc_place(c->at->src, c->at->loc.at, &line, &col);
    fputs("<div class=\"claim ", out);
    svg_at(out, c->at->src, line);
    fputs("\">", out);
    if (strcmp(c->name, c->text)) {
        put_html(out, c->name);
        fputs(": ", out);
    }
    put_html(out, c->text);
    fprintf(out, "%s: <b class=%s>%s</b>", c->silent ? " (not claimed)" : "",
            result[p->result], result[p->result]);
    fputs("<p>", out);
    put_html(out, p->why);
    fputs("</p>", out);
    if (*p->derivation) {
        fputs("<details><summary>derivation</summary>", out);
        html_lines(out, p->derivation);
        fputs("</details>", out);
    }
    fputs("</div>\n", out);
}

static void level_proofs(Page *p)
{
    Claims claims = {0};
    Writing w;
    spec_check(p->subject->spec, &claims);
    if (!claims.n)
        return;
    page_begin(&w, p);
    for (int i = 0; i < claims.n; i++)
        claim_text(w.out, &claims.at[i]);
    page_end(&w, "proofs", "proofs");
}

bool page_levels(Page *p, Err *err)
{
    level_ast(p);
    if (subject_pictures(p->subject) &&
        !(level_of(p, false, false, err) && level_of(p, false, true, err) &&
          level_of(p, true, false, err) && level_of(p, true, true, err)))
        return false;
    if (p->subject->nmodel)
        return page_code(p, err);
    level_proofs(p);
    return true;
}
