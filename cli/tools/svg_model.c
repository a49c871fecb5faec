/* The picture of a model: a tree of tables, one a module, with its weights.
 * Layers that are alike are one table. */
#include "cli/tools/svg.h"
#include <inttypes.h>
#include <string.h>

typedef struct {
    const Picture *p;
    int side, next; /* numbers nodes */
    FILE *out;
} Tree;

static double elements(const Weight *w)
{
    return (double)type_count(&w->type, 0);
}

static bool sizes_known(const Type *t)
{
    for (int i = 0; i < t->rank; i++)
        if (!size_is_num(t->dim[i]->size, NULL))
            return false;
    return true;
}

static double total(const View *v)
{
    double n = 0;
    for (int i = 0; i < v->nweight; i++) {
        if (!sizes_known(&v->weight[i].w->type))
            return 0;
        n += elements(v->weight[i].w);
    }
    for (int i = 0; i < v->npart; i++)
        n += total(&v->part[i]);
    return n;
}

/* "1.23 M" */
static const char *amount(double n)
{
    static const char unit[] = " kMGT";
    int i = 0;
    while (n >= 999.5 && i < 4)
        n /= 1000, i++;
    if (!i)
        return intern_printf("%.0f", n);
    return intern_printf("%.*f %c", n < 9.995 ? 2 : n < 99.95 ? 1 : 0, n,
                         unit[i]);
}

/* Breaks a long list after commas. */
static void wrapped(FILE *out, const char *text, int width)
{
    int col = 0;
    for (const char *s = text; *s; s++) {
        char one[2] = {*s, 0};
        put_html(out, one);
        if (++col > width && *s == ',' && s[1]) {
            fputs("<br align=\"left\"/>", out);
            col = 0;
        }
    }
}

static void cell(FILE *out, const char *colour, const char *text)
{
    fprintf(out, "<td align=\"left\"><font color=\"%s\">", colour);
    put_html(out, text);
    fputs("</font></td>", out);
}

static const char *sizes(const Type *t)
{
    const char *text = "";
    for (int i = 0; i < t->rank; i++)
        text = intern_printf("%s%s%s", text, i ? " × " : "",
                             size_text(t->dim[i]->size));
    return t->rank ? text : "1";
}

static void weight_row(const Tree *t, const ViewWeight *w)
{
    int look = svg_weight_look(t->p, t->side, w->w->path, w->made);
    fprintf(t->out, "<tr><td align=\"left\" bgcolor=\"%s\">",
            svg_fill(look, "#e3edfb"));
    put_html(t->out, w->name);
    fputs("</td>", t->out);
    cell(t->out, "#111827", type_text(&w->w->type));
    if (sizes_known(&w->w->type))
        cell(t->out, "#374151", sizes(&w->w->type));
    else
        fputs("<td></td>", t->out);
    const char *from = w->origin;
    if (!strncmp(from, "file ", 5))
        from += 5;
    cell(t->out, w->made ? svg_line(LOOK_new) : "#6b7280", from);
    fputs("</tr>", t->out);
}

static void title(const Tree *t, const View *v, const View *last)
{
    int look = svg_look(t->p, t->side, v->path);
    double n = total(v);
    fprintf(t->out, "<tr><td colspan=\"4\" align=\"left\" bgcolor=\"%s\"><b>",
            svg_fill(look, "#eef0f3"));
    put_html(t->out, *v->name ? v->name : "model");
    if (last != v) {
        fputs(" .. ", t->out);
        const char *index = strrchr(last->name, '[');
        put_html(t->out, index ? index : last->name);
    }
    if (v->array)
        fprintf(t->out, "[%s]", v->array->name);
    fputs("</b>: ", t->out);
    put_html(t->out, v->def->text);
    if (last != v)
        fprintf(t->out, "   <b>× %d</b>", (int)(last - v) + 1);
    if (v->array && size_is_num(v->array->size, NULL))
        fprintf(t->out, "   <b>× %s</b>", size_text(v->array->size));
    if (n > 0)
        fprintf(t->out, "   <font color=\"#6b7280\">%s weights%s</font>",
                amount(n), last != v ? " each" : "");
    fputs("</td></tr>", t->out);
}

static void table(Tree *t, const View *v, const View *last, int id)
{
    int look = svg_look(t->p, t->side, v->path);
    const Ast *at = v->decl ? v->decl : v->def;
    fprintf(t->out, "s%dn%d [", t->side, id);
    svg_class(t->out, "module", at->src, at->name_loc.len ? at->name_loc
                                                           : at->loc);
    fprintf(t->out, " color=\"%s\" label=<<table border=\"1\" color=\"%s\" "
                    "cellborder=\"0\" cellspacing=\"0\" cellpadding=\"3\" "
                    "style=\"rounded\" bgcolor=\"white\">",
            svg_line(look), svg_line(look));
    title(t, v, last);
    if (*v->params) {
        fputs("<tr><td colspan=\"4\" align=\"left\" balign=\"left\">"
              "<font color=\"#374151\" point-size=\"9\">", t->out);
        wrapped(t->out, v->params, 50);
        fputs("</font></td></tr>", t->out);
    }
    for (int i = 0; i < v->nweight; i++)
        weight_row(t, &v->weight[i]);
    fputs("</table>>];\n", t->out);
}

/* v and those after it, to `last`, that are alike. */
static void subtree(Tree *t, const View *v, const View *last, int parent)
{
    int id = t->next++;
    table(t, v, last, id);
    if (parent >= 0)
        fprintf(t->out, "s%dn%d -> s%dn%d;\n", t->side, parent, t->side, id);
    for (int i = 0; i < v->npart;) {
        int j = i;
        while (j + 1 < v->npart && v->part[i].decl == v->part[j + 1].decl &&
               view_alike(&v->part[i], &v->part[j + 1]))
            j++;
        subtree(t, &v->part[i], &v->part[j], id);
        i = j + 1;
    }
}

char *svg_model(const Picture *p, Err *err)
{
    char *dot;
    size_t len;
    Tree t = {.p = p, .out = open_memstream(&dot, &len)};
    if (!t.out)
        die("out of memory");
    fputs("digraph model {\nrankdir=LR; ordering=out; ranksep=0.45; "
          "nodesep=0.12; bgcolor=\"transparent\"; fontname=\"Helvetica\";\n"
          "node [shape=plain fontname=\"Helvetica\" fontsize=10];\n"
          "edge [color=\"#9ca3af\" arrowhead=none];\n", t.out);
    for (t.side = 0; t.side < p->n; t.side++) {
        t.next = 0;
        fprintf(t.out, "subgraph cluster_%d { style=\"%s\"; "
                       "color=\"#d1d5db\"; labeljust=l; label=\"",
                t.side, p->n > 1 ? "rounded" : "invis");
        put_html(t.out, p->side[t.side].title);
        fputs("\";\n", t.out);
        subtree(&t, p->side[t.side].view, p->side[t.side].view, -1);
        fputs("}\n", t.out);
    }
    fputs("}\n", t.out);
    fclose(t.out);
    return svg_layout(dot, err);
}
