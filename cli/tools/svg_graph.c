/* The picture of a graph: operations as boxes inside the modules they are of,
 * weights as tinted boxes, shapes on the edges. A repeated layer's body is
 * drawn once. Casts and copies along dims are left out, numbers stand in the
 * operation that reads them. */
#include "cli/tools/svg.h"
#include <string.h>

typedef struct {
    const Picture *p;
    int side;
    FILE *out;
    int nbody;          /* numbers bodies */
    LIST(const Dim *) dim; /* all that stand on edges */
    Arena arena;
} Draw;

/* One graph of the picture: the whole, or a body. */
typedef struct {
    const Graph *g;
    int id;                 /* 0: the whole */
    const Iteration *it;    /* a body: its first pass; else NULL */
    int times;
    const char *layers;     /* "0, 2, 4" */
    const char *from, *to;  /* names of its input and its result */
} Piece;

/* ---- which nodes are drawn ---- */

static const Node *drawn(const Node *n)
{
    while (n->op == OP_cast || n->op == OP_expand)
        n = n->arg[0];
    return n;
}

static bool is_number(const Node *n)
{
    return n->op == OP_number || n->op == OP_scalar;
}

static const char *number(const Node *n)
{
    return n->op == OP_number ? intern_printf("%g", n->num)
                              : size_text(n->size);
}

/* ---- what stands in a box ---- */

static const char *operand(const Node *n)
{
    const Node *d = drawn(n);
    return is_number(d) ? number(d) : "·";
}

static const char *dims_of(const Node *n, int count)
{
    const char *text = "";
    for (int i = 0; i < count; i++)
        text = intern_printf("%s%s%s", text, i ? ", " : "", n->dim[i]->name);
    return text;
}

static bool has_number(const Node *n)
{
    for (int i = 0; i < node_args(n); i++)
        if (is_number(drawn(n->arg[i])))
            return true;
    return false;
}

/* "· + 1", "· ? · : 0"; where no number stands in it just "+". */
static const char *sign_text(const Node *n)
{
    const OpInfo *op = &op_info[n->op];
    if (!has_number(n))
        return op->nargs > 2 ? op->name : op->sign;
    const char *text = operand(n->arg[0]);
    for (int i = 1; i < op->nargs; i++)
        text = intern_printf("%s %s %s", text, i > 1 ? ":" : op->sign,
                             operand(n->arg[i]));
    return text;
}

static const char *op_text(const Node *n)
{
    const OpInfo *op = &op_info[n->op];
    const char *name = n->op == OP_contract ? "@" : op->name;
    if (n->op == OP_mul && drawn(n->arg[0]) == drawn(n->arg[1]))
        return "square";
    if (op->sign && op->nargs > 1)
        return sign_text(n);
    if (n->op == OP_input)
        return intern_printf("input %s", n->name);
    if (n->op == OP_attend && n->size)
        return intern_printf("attend, window %s", size_text(n->size));
    if (op_over(n))
        return intern_printf("%s over %s", name, dims_of(n, op_over(n)));
    return n->ndim ? intern_printf("%s [%s]", name, dims_of(n, n->ndim)) : name;
}

static const char *tail(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

static void note_dims(Draw *d, const Type *t)
{
    for (int i = 0; i < t->rank; i++) {
        bool known = false;
        for (int j = 0; j < d->dim.n; j++)
            known |= !strcmp(d->dim.at[j]->name, t->dim[i]->name) &&
                     d->dim.at[j]->size == t->dim[i]->size;
        if (!known)
            list_push(&d->arena, &d->dim, t->dim[i]);
    }
}

static const char *shape(Draw *d, const Type *t)
{
    const char *text = "";
    note_dims(d, t);
    for (int i = 0; i < t->rank; i++)
        text = intern_printf("%s%s%s", text, i ? ", " : "", t->dim[i]->name);
    text = t->rank ? intern_printf("[%s]", text) : "";
    return t->index_of ? intern_printf("%s%s", t->index_of->name, text) : text;
}

/* ---- modules as clusters ---- */

static const char *cluster_title(const Draw *d, const Piece *b,
                                 const char *path)
{
    const View *v = view_find(d->p->side[d->side].view, path);
    if (!v)
        return path;
    const char *array = v->array ? intern_printf("[%s]", v->array->name) : "";
    if (b->it && !strchr(path, '.'))
        return intern_printf("%.*s[%s]: %s, %d of them",
                             (int)strcspn(v->name, "["), v->name, b->layers,
                             v->def->text, b->times);
    return intern_printf("%s%s: %s", v->name, array, v->def->text);
}

/* Opens the clusters of a path; gives how many. Opening one again adds to it.*/
static int open_clusters(Draw *d, const Piece *b, const char *path)
{
    int n = 0;
    for (const char *s = path; *s; n++) {
        s += strcspn(s, ".");
        const char *here = intern_n(path, (size_t)(s - path));
        const View *v = view_find(d->p->side[d->side].view, here);
        int look = svg_look(d->p, d->side, here);
        fprintf(d->out, "subgraph \"cluster_%d_%d_%s\" { style=\"rounded%s\"; "
                        "color=\"%s\"; fillcolor=\"%s\"; labeljust=l; ",
                d->side, b->id, here, look ? ",filled" : "",
                look ? svg_line(look) : "#c3c8d0",
                look == LOOK_new ? "#fff6e9" : "#fdf0f1");
        svg_class(d->out, "part", v ? v->def->src : NULL,
                  v ? v->def->name_loc : (Loc){0, 0});
        fputs("; label=\"", d->out);
        put_html(d->out, cluster_title(d, b, here));
        fputs("\";\n", d->out);
        s += *s == '.';
    }
    return n;
}

static void close_clusters(Draw *d, int n)
{
    while (n-- > 0)
        fputs("} ", d->out);
    fputc('\n', d->out);
}

/* ---- nodes and edges ---- */

static void draw_weight(Draw *d, const Piece *b, const Node *n,
                        const char *name)
{
    const Weight *w = node_weight(n, b->it);
    const View *v = d->p->side[1].view;
    bool made = false;
    const char *dot = w ? strrchr(w->path, '.') : NULL;
    if (w && d->p->n > 1 && d->side == 1 && dot)
        v = view_find(v, intern_n(w->path, (size_t)(dot - w->path)));
    for (int i = 0; v && w && d->p->n > 1 && i < v->nweight; i++)
        made |= v->weight[i].w == w && v->weight[i].made;
    int look = svg_weight_look(d->p, d->side, w ? w->path : n->path, made);
    fprintf(d->out, "%s [", name);
    svg_class(d->out, "weight", n->src, n->loc);
    fprintf(d->out, " shape=box style=filled fillcolor=\"%s\" color=\"%s\" "
                    "tooltip=\"",
            svg_fill(look, "#dbe8fb"), svg_line(look));
    put_html(d->out, w ? w->path : "weight");
    fputs(": ", d->out);
    put_html(d->out, type_text(&n->type));
    fputs("\" label=<<b>", d->out);
    put_html(d->out, w ? tail(w->path) : "weight");
    fputs("</b>>];\n", d->out);
}

static void draw_op(Draw *d, const Node *n, const char *name)
{
    int look = svg_look(d->p, d->side, n->path);
    fprintf(d->out, "%s [", name);
    svg_class(d->out, n->op == OP_input ? "input" : "op", n->src, n->loc);
    fprintf(d->out, " shape=box style=\"rounded,filled\" fillcolor=\"%s\" "
                    "color=\"%s\" tooltip=\"",
            svg_fill(look, n->op == OP_input ? "#e5e7eb" : "#ffffff"),
            svg_line(look));
    put_html(d->out, op_info[n->op].name);
    fputs(": ", d->out);
    put_html(d->out, type_text(&n->type));
    fputs("\" label=<", d->out);
    if (n->label && n->op != OP_input) {
        fputs("<b>", d->out);
        put_html(d->out, n->label);
        fputs("</b>  ", d->out);
    }
    put_html(d->out, op_text(n));
    fputs(">];\n", d->out);
}

static const char *node_name(const Draw *d, const Piece *b, const Node *n)
{
    return intern_printf("s%db%dn%d", d->side, b->id, n->id);
}

static void edge(Draw *d, const char *from, const char *to, const Type *t)
{
    fprintf(d->out, "%s -> %s [label=\" ", from, to);
    put_html(d->out, shape(d, t));
    fputs("\"];\n", d->out);
}

static void draw_piece(Draw *d, Piece *b);

/* "0..4" or "0, 2, 4" */
static const char *layers_of(const Repeat *r, const Graph *body, int *times)
{
    const char *text = "";
    *times = 0;
    for (int i = 0; i < r->n; i++) {
        int j = i;
        if (r->at[i].body != body)
            continue;
        while (j + 1 < r->n && r->at[j + 1].body == body)
            j++;
        text = intern_printf(j > i ? "%s%s%d..%d" : "%s%s%d", text,
                             *times ? ", " : "", i, j);
        *times += j - i + 1;
        i = j;
    }
    return text;
}

/* Its bodies one after the other; the name of the last one's result. */
static const char *draw_repeat(Draw *d, const Node *n, const char *from)
{
    const Repeat *r = n->repeat;
    fprintf(d->out, "subgraph cluster_%d_repeat%d { style=\"rounded,dashed\"; "
                    "color=\"#4b5563\"; labeljust=l; label=\"repeat: %d "
                    "times\";\n",
            d->side, n->id, r->n);
    for (int i = 0; i < r->n; i++) {
        bool seen = false;
        for (int j = 0; j < i; j++)
            seen |= r->at[j].body == r->at[i].body;
        if (seen)
            continue;
        Piece b = {.g = r->at[i].body, .id = ++d->nbody, .it = &r->at[i]};
        b.layers = layers_of(r, b.g, &b.times);
        draw_piece(d, &b);
        edge(d, from, b.from, &n->type);
        from = b.to;
    }
    fputs("}\n", d->out);
    return from;
}

static void draw_node(Draw *d, Piece *b, const Node *n, const char **name)
{
    int depth = n->path ? open_clusters(d, b, n->path) : 0;
    name[n->id] = node_name(d, b, n);
    if (n->op == OP_weight || n->op == OP_learned)
        draw_weight(d, b, n, name[n->id]);
    else
        draw_op(d, n, name[n->id]);
    close_clusters(d, depth);
    if (n->op == OP_input && (!b->from || !strcmp(n->name, "x")))
        b->from = name[n->id];
    for (int i = 0; i < node_args(n); i++) {
        const Node *a = drawn(n->arg[i]);
        bool twice = i > 0 && a == drawn(n->arg[0]) && n->op == OP_mul;
        if (!is_number(a) && !twice)
            edge(d, name[a->id], name[n->id], &n->arg[i]->type);
    }
}

static bool *reached(const Graph *g)
{
    bool *mark = xmalloc((size_t)g->node.n + 1);
    memset(mark, 0, (size_t)g->node.n + 1);
    for (int i = 0; i < g->output.n; i++)
        mark[drawn(g->output.at[i].node)->id] = true;
    for (int i = g->node.n - 1; i >= 0; i--)
        for (int j = 0; mark[i] && j < node_args(g->node.at[i]); j++)
            mark[drawn(g->node.at[i]->arg[j])->id] = true;
    return mark;
}

static void draw_piece(Draw *d, Piece *b)
{
    const Graph *g = b->g;
    bool *mark = reached(g);
    const char **name = xmalloc((size_t)(g->node.n + 1) * sizeof *name);
    for (int i = 0; i < g->node.n; i++) {
        const Node *n = g->node.at[i];
        if (!mark[i] || is_number(n))
            continue;
        if (n->op == OP_repeat)
            name[i] = draw_repeat(d, n, name[drawn(n->arg[0])->id]);
        else
            draw_node(d, b, n, name);
    }
    for (int i = 0; i < g->output.n; i++) {
        const char *from = name[drawn(g->output.at[i].node)->id];
        b->to = from;
        if (b->it)
            continue;
        fprintf(d->out, "s%dout%d [class=output shape=ellipse style=filled "
                        "fillcolor=\"#e5e7eb\" color=\"#6b7280\" label=\"",
                d->side, i);
        put_html(d->out, g->output.at[i].name);
        fputs("\"];\n", d->out);
        edge(d, from, intern_printf("s%dout%d", d->side, i),
             &g->output.at[i].node->type);
    }
    free(name);
    free(mark);
}

static void legend(Draw *d)
{
    fputs("label=\"", d->out);
    for (int i = 0, n = 0; i < d->dim.n; i++) {
        if (!size_is_num(d->dim.at[i]->size, NULL))
            continue;
        fprintf(d->out, "%s%s = %s", n++ ? ",  " : "", d->dim.at[i]->name,
                size_text(d->dim.at[i]->size));
    }
    fputs("\"; labelloc=b; labeljust=l;\n", d->out);
}

char *svg_graph(const Picture *p, Err *err)
{
    char *dot;
    size_t len;
    Draw d = {.p = p, .out = open_memstream(&dot, &len)};
    if (!d.out)
        die("out of memory");
    fputs("digraph graph_ {\nranksep=0.28; nodesep=0.22; "
          "bgcolor=\"transparent\"; fontname=\"Helvetica\"; fontsize=11;\n"
          "node [fontname=\"Helvetica\" fontsize=11 height=0.28 width=0.3 "
          "margin=\"0.09,0.03\"];\n"
          "edge [fontname=\"Helvetica\" fontsize=9 fontcolor=\"#4b5563\" "
          "color=\"#6b7280\" arrowsize=0.6];\n", d.out);
    for (d.side = 0; d.side < p->n; d.side++) {
        Piece whole = {.g = p->side[d.side].graph};
        fprintf(d.out, "subgraph cluster_side%d { style=\"%s\"; "
                       "color=\"#9ca3af\"; labeljust=l; label=\"",
                d.side, p->n > 1 ? "rounded" : "invis");
        put_html(d.out, p->n > 1 ? p->side[d.side].title : "");
        fputs("\";\n", d.out);
        draw_piece(&d, &whole);
        fputs("}\n", d.out);
    }
    legend(&d);
    fputs("}\n", d.out);
    fclose(d.out);
    arena_free(&d.arena);
    return svg_layout(dot, err);
}
