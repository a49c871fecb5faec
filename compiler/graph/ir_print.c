/* The text of a graph: dims, weights, bodies, repeat tables, the graph itself.
 *
 *     dim T = T
 *     dim E = 8 - 1
 *     weight @w1 "embed.table" "model.embed_tokens.weight": f32[V, D]
 *     body block slots=2 {
 *       x: f32[T, D]  = input("x")
 *       %1: f32[F, D] = weight(slot=1)
 *       h: f32[T, F]  = contract(x, %1, [D])
 *       ...
 *       output y = %5
 *     }
 *     repeat @r1
 *       stack "stat.usage" [L] {
 *       block @w2 @w3
 *       block @w4 @w5
 *     }
 *     graph llama {
 *       token: V[T]  = input("token")
 *       ...
 *     }
 *
 * Of two dims or bodies of one name the second gets a suffix. A node has its
 * label, with its number (h%5) where others have it too, or its number alone.
 * An index over V is a V[..]. A repeat's further values stand behind its name:
 * carry "in" "out" (from pass to pass), same "in" (to every pass),
 * each "in" [L] 0 1 (the part that each pass gets), stack "out" [L] (from
 * each). */
#include "compiler/graph/ir.h"
#include <math.h>
#include <string.h>

/* ---- what is declared before it is used ---- */

static void collect_dim(IrText *p, const Dim *d)
{
    if (!ir_has_name(&p->dim, d))
        ir_give_name(p, &p->dim, d, d->name);
}

static void collect_type(IrText *p, const Type *t)
{
    for (int i = 0; i < t->rank; i++)
        collect_dim(p, t->dim[i]);
    if (t->index_of)
        collect_dim(p, t->index_of);
}

static void collect_weight(IrText *p, const Weight *w);

static void collect_node(IrText *p, const Node *n)
{
    collect_type(p, &n->type);
    for (int i = 0; i < n->ndim; i++)
        collect_dim(p, n->dim[i]);
    if (n->weight)
        collect_weight(p, n->weight);
}

static void collect_weight(IrText *p, const Weight *w)
{
    if (ir_has_name(&p->weight, w))
        return;
    collect_type(p, &w->type);
    Formula f = {0};
    if (w->value)
        formula_of(&p->arena, w->value, &f);
    for (int i = 0; i < f.n; i++)
        if (f.at[i]->weight != w)
            collect_node(p, f.at[i]);
    if (ir_has_name(&p->weight, w))
        BUG("weight %s is made of itself", w->path);
    list_push(&p->arena, &p->order, w);
    const char *name = intern_printf("@w%d", p->order.n);
    list_push(&p->arena, &p->weight, ((IrName){w, name}));
}

static void collect_table(IrText *p, const Repeat *r)
{
    for (int i = 0; i < r->nin; i++)
        if (r->in[i].each)
            collect_dim(p, r->in[i].each);
    for (int i = 0; i < r->nout; i++)
        collect_dim(p, r->out[i].dim);
}

static void collect_graph(IrText *p, const Graph *g)
{
    for (int i = 0; i < g->node.n; i++)
        collect_node(p, g->node.at[i]);
    for (int i = 0; i < g->node.n; i++)
        if (g->node.at[i]->repeat)
            collect_table(p, g->node.at[i]->repeat);
    for (int i = 0; i < g->node.n; i++) {
        const Repeat *r = g->node.at[i]->repeat;
        for (int j = 0; r && j < r->n; j++) {
            collect_graph(p, r->at[j].body);
            for (int k = 0; k < r->at[j].body->nslots; k++)
                collect_weight(p, r->at[j].weight[k]);
        }
    }
}

/* ---- parts of a line ---- */

void ir_print_number(FILE *out, double v)
{
    char s[40] = "nan";
    if (v == floor(v) && fabs(v) < 1e15) {
        fprintf(out, "%.0f", v);
        return;
    }
    for (int digits = 1; digits <= 17 && !isnan(v); digits++) {
        snprintf(s, sizeof s, "%.*g", digits, v);
        if (strtod(s, NULL) == v)
            break;
    }
    fputs(s, out);
}

/* In quotes; "-" for none. */
static char *quoted(IrText *p, const char *s)
{
    if (!s)
        return "-";
    char *text = arena_alloc(&p->arena, 2 * strlen(s) + 3), *to = text;
    *to++ = '"';
    for (; *s; s++) {
        if (*s == '"' || *s == '\\' || *s == '\n')
            *to++ = '\\';
        *to++ = *s == '\n' ? 'n' : *s;
    }
    *to = '"';
    return text;
}

static const char *title(IrText *p, const char *name)
{
    return ir_is_word(name) ? name : quoted(p, name);
}

void ir_text_type(const IrText *p, FILE *out, const Type *t)
{
    fputs(t->index_of ? ir_name_of(&p->dim, t->index_of)
                      : type_info[t->dtype].name, out);
    for (int i = 0; i < t->rank; i++)
        fprintf(out, "%s%s", i ? ", " : "[", ir_name_of(&p->dim, t->dim[i]));
    if (t->rank)
        fputc(']', out);
}

static void print_rope(FILE *out, const Rope *r)
{
    if (r->divisor)
        fprintf(out, ", divisor=\"%s\"", r->divisor);
    fprintf(out, ", rotary=%d", r->rotary);
    if (r->kind != ROPE_default)
        fprintf(out, ", kind=%s", rope_kind[r->kind]);
    for (int i = 0; i < ROPE_FIELDS; i++) {
        double v;
        memcpy(&v, (const char *)r + rope_field[i].at, sizeof v);
        if (v == 0)
            continue;
        fprintf(out, ", %s=", rope_field[i].name);
        ir_print_number(out, v);
    }
}

static void print_dims(const IrText *p, const Node *n, const char **comma)
{
    fprintf(p->out, "%s[", *comma);
    for (int i = 0; i < n->ndim; i++)
        fprintf(p->out, "%s%s", i ? ", " : "", ir_name_of(&p->dim, n->dim[i]));
    fputc(']', p->out);
    *comma = ", ";
}

static void print_value(IrText *p, const Node *n)
{
    const char *comma = "";
    fprintf(p->out, "%s(", op_info[n->op].name);
    for (int i = 0; i < node_args(n); i++, comma = ", ")
        fprintf(p->out, "%s%s", comma, ir_name_of_node(p, n->arg[i]));
    if (n->ndim)
        print_dims(p, n, &comma);
    if (n->name) {
        fputs(comma, p->out);
        fputs(quoted(p, n->name), p->out);
        comma = ", ";
    }
    if ((op_info[n->op].flags & HAS_num) && n->op != OP_cast) {
        fputs(comma, p->out);
        ir_print_number(p->out, n->num);
    }
    if (n->size)
        fprintf(p->out, "%ssize=%s", comma, size_text(n->size));
    if (n->num != 0 && (op_info[n->op].flags & HAS_cap)) {
        fprintf(p->out, "%scap=", comma);
        ir_print_number(p->out, n->num);
    }
    if (n->slot)
        fprintf(p->out, "%sslot=%d", comma, n->slot);
    if (n->weight)
        fprintf(p->out, "%s%s", comma, ir_name_of(&p->weight, n->weight));
    if (n->rope)
        print_rope(p->out, n->rope);
    if (n->repeat)
        fprintf(p->out, "%s%s", comma, ir_name_of(&p->repeat, n->repeat));
    fputc(')', p->out);
    const Weight *w = n->slot && p->column ? p->column[n->slot - 1] : n->weight;
    if (w) /* for the reader's eye */
        fprintf(p->out, "  # %s%s", w->path, n->slot ? ", ..." : "");
}

/* ---- sections ---- */

enum { WIDEST = 36 }; /* of "name: type", where = is lined up */

static char *left_side(IrText *p, const Node *n)
{
    char text[4096];
    FILE *out = fmemopen(text, sizeof text, "w");
    fprintf(out, "%s: ", ir_name_of_node(p, n));
    ir_text_type(p, out, &n->type);
    fputc(0, out);
    fclose(out);
    return arena_strn(&p->arena, text, strlen(text));
}

static void print_nodes(IrText *p, const Node *const *node, int n)
{
    char **left = arena_alloc(&p->arena, (size_t)(n + 1) * sizeof *left);
    int width = 0;
    ir_name_nodes(p, node, n);
    for (int i = 0; i < n; i++) {
        left[i] = left_side(p, node[i]);
        int len = (int)strlen(left[i]);
        if (len > width)
            width = len > WIDEST ? WIDEST : len;
    }
    for (int i = 0; i < n; i++) {
        if (p->mark)
            p->mark(p->out, node[i], p->user);
        fprintf(p->out, "  %-*s = ", width, left[i]);
        print_value(p, node[i]);
        fputc('\n', p->out);
    }
}

static void print_graph(IrText *p, const Graph *g, const char *name)
{
    fputs(" {\n", p->out);
    print_nodes(p, (const Node *const *)g->node.at, g->node.n);
    list_push(&p->arena, &p->graph,
              ((struct IrPrinted){g, name, p->node}));
    for (int i = 0; i < g->output.n; i++) {
        fputs("  output ", p->out);
        fprintf(p->out, "%s = %s\n", title(p, g->output.at[i].name),
                ir_name_of_node(p, g->output.at[i].node));
    }
    fputs("}\n", p->out);
}

static void print_weight(IrText *p, const Weight *w, int path, int file)
{
    fprintf(p->out, "weight %-4s %-*s %-*s ", ir_name_of(&p->weight, w), path,
            quoted(p, w->path), file, quoted(p, w->file));
    ir_text_type(p, p->out, &w->type);
    if (w->stacked)
        fprintf(p->out, " stacked=%d", w->stacked);
    fputs(w->value ? " made {\n" : "\n", p->out);
    if (!w->value)
        return;
    Formula f = {0};
    formula_of(&p->arena, w->value, &f);
    print_nodes(p, f.at, f.n);
    fprintf(p->out, "  value %s\n}\n", ir_name_of_node(p, w->value));
}

static void print_weights(IrText *p)
{
    int path = 0, file = 0;
    for (int i = 0; i < p->order.n; i++) {
        int a = (int)strlen(quoted(p, p->order.at[i]->path)),
            b = (int)strlen(quoted(p, p->order.at[i]->file));
        path = a > path ? a : path;
        file = b > file ? b : file;
    }
    for (int i = 0; i < p->order.n; i++)
        print_weight(p, p->order.at[i], path, file);
    if (p->order.n)
        fputc('\n', p->out);
}

static void print_along(IrText *p, const char *word, const char *name,
                        const Dim *along, const char **before)
{
    fprintf(p->out, "%s\n  %s %s", *before, word, quoted(p, name));
    if (along)
        fprintf(p->out, " [%s]", ir_name_of(&p->dim, along));
    *before = ",";
}

/* What goes in and comes out besides x and y. */
static void print_further(IrText *p, const Repeat *r)
{
    const char *before = "";
    for (int i = 0; i < r->nin; i++) {
        const RepeatIn *in = &r->in[i];
        print_along(p, in->next ? "carry" : in->each ? "each" : "same",
                    in->name, in->each, &before);
        if (in->next)
            fprintf(p->out, " %s", quoted(p, in->next));
        for (int j = 0; j < in->nparts; j++)
            fprintf(p->out, " %d", in->part[j]);
    }
    for (int i = 0; i < r->nout; i++)
        print_along(p, "stack", r->out[i].name, r->out[i].dim, &before);
}

static void print_table(IrText *p, const Repeat *r)
{
    const char *name = intern_printf("@r%d", p->repeat.n + 1);
    list_push(&p->arena, &p->repeat, ((IrName){r, name}));
    fprintf(p->out, "repeat %s", name);
    print_further(p, r);
    fputs(" {\n", p->out);
    for (int i = 0; i < r->n; i++) {
        const Iteration *it = &r->at[i];
        fprintf(p->out, "  %s", ir_name_of(&p->body, it->body));
        for (int k = 0; k < it->body->nslots; k++)
            fprintf(p->out, " %-*s", k + 1 < it->body->nslots ? 5 : 0,
                    ir_name_of(&p->weight, it->weight[k]));
        fputc('\n', p->out);
    }
    fputs("}\n\n", p->out);
}

/* The bodies and tables that g's nodes need, each once. */
static void print_needs(IrText *p, const Graph *g)
{
    for (int i = 0; i < g->node.n; i++) {
        const Repeat *r = g->node.at[i]->repeat;
        if (!r || ir_has_name(&p->repeat, r))
            continue;
        for (int j = 0; j < r->n; j++) {
            const Graph *body = r->at[j].body;
            if (ir_has_name(&p->body, body))
                continue;
            print_needs(p, body);
            ir_give_name(p, &p->body, body,
                         ir_is_word(body->name) ? body->name : "body");
            const char *name = ir_name_of(&p->body, body);
            fprintf(p->out, "body %s slots=%d", name, body->nslots);
            p->column = r->at[j].weight;
            print_graph(p, body, name);
            p->column = NULL;
            fputc('\n', p->out);
        }
        print_table(p, r);
    }
}

IrText *ir_text(const Graph *g, FILE *out,
                void (*mark)(FILE *out, const Node *n, void *user), void *user)
{
    IrText *p = xmalloc(sizeof *p);
    *p = (IrText){.out = out, .mark = mark, .user = user};
    collect_graph(p, g);
    for (int i = 0; i < p->dim.n; i++)
        fprintf(out, "dim %s = %s\n", p->dim.at[i].name,
                size_text(((const Dim *)p->dim.at[i].of)->size));
    fputs(p->dim.n ? "\n" : "", out);
    print_weights(p);
    print_needs(p, g);
    const char *name = title(p, g->name);
    fprintf(out, "graph %s", name);
    print_graph(p, g, name);
    return p;
}

void ir_print_marked(const Graph *g, FILE *out,
                     void (*mark)(FILE *out, const Node *n, void *user),
                     void *user)
{
    ir_text_free(ir_text(g, out, mark, user));
}

void ir_print(const Graph *g, FILE *out)
{
    ir_print_marked(g, out, NULL, NULL);
}
