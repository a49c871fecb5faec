/* Terms as a user would write them, and the record of what was done. A part
 * that the text gave a name is shown by that name. */
#include "compiler/prove/term.h"
#include <string.h>

enum { LONGEST = 400 };
enum { PREC_sum, PREC_product, PREC_atom };

typedef struct {
    Prover *p;
    FILE *out;
    int depth;
} Printer;

static void print(Printer *t, const Term *x, int prec);

static const char *label_of(const Prover *p, const Term *x)
{
    for (int i = 0; i < p->label.n; i++)
        if (p->label.at[i].term == x)
            return p->label.at[i].text;
    return NULL;
}

static void print_list(Printer *t, int n, Term *const *x)
{
    for (int i = 0; i < n; i++) {
        if (i)
            fputs(", ", t->out);
        print(t, x[i], PREC_sum);
    }
}

static const char *plain_name(const Node *n)
{
    return n->label  ? n->label
           : n->weight ? n->weight->path
           : n->name   ? n->name
                       : op_info[n->op].name;
}

/* [E: i] for each place of a leaf that is not just its dim. */
static void print_places(Printer *t, int n, Term *const *at,
                         const Dim *const *dim)
{
    int m = 0;
    for (int i = 0; i < n; i++) {
        if (at[i]->kind == TERM_var && at[i]->names[0]->name == dim[i]->name)
            continue;
        fprintf(t->out, "%s%s: ", m++ ? ", " : "[", dim[i]->name);
        print(t, at[i], PREC_sum);
    }
    if (m)
        fputc(']', t->out);
}

static void print_size(Printer *t, const Size *s)
{
    bool sum = strchr(size_text(s), ' ');
    fprintf(t->out, sum ? "(%s)" : "%s", size_text(s));
}

static void print_factors(Printer *t, const Mono *m, bool first)
{
    for (int below = 0; below < 2; below++)
        for (int i = 0; i < m->n; i++) {
            int power = below ? -m->f[i].power : m->f[i].power;
            if (power <= 0)
                continue;
            if (first && below)
                fputc('1', t->out);
            if (!first || below)
                fputs(below ? " / " : " * ", t->out);
            first = false;
            print(t, m->f[i].atom, PREC_atom);
            if (power > 1)
                fprintf(t->out, "^%d", power);
        }
}

static void print_mono(Printer *t, const Mono *m, bool lead)
{
    double c = 0;
    bool number = size_is_num(m->coef, &c);
    const Size *coef = m->coef;
    if (number && c < 0) {
        fputs(lead ? "-" : " - ", t->out);
        coef = size_mul(coef, size_num(-1));
        c = -c;
    } else if (!lead) {
        fputs(" + ", t->out);
    }
    bool one = number && c == 1;
    if (!one && !m->n && lead)
        fputs(size_text(coef), t->out);
    else if (!one || !m->n)
        print_size(t, coef);
    print_factors(t, m, one);
}

static void print_poly(Printer *t, const Term *x, int prec)
{
    bool paren = x->nmono > 1 ? prec > PREC_sum
                              : prec > PREC_product && x->nmono;
    if (paren)
        fputc('(', t->out);
    if (!x->nmono)
        fputc('0', t->out);
    for (int i = 0; i < x->nmono; i++)
        print_mono(t, &x->mono[i], !i);
    if (paren)
        fputc(')', t->out);
}

static void print_fun(Printer *t, const Term *x)
{
    const char *sign = op_info[x->op].sign;
    if (sign && x->narg > 1) {
        fputc('(', t->out);
        print(t, x->arg[0], PREC_atom);
        for (int i = 1; i < x->narg; i++) {
            fprintf(t->out, " %s ", i > 1 ? ":" : sign);
            print(t, x->arg[i], PREC_atom);
        }
        fputc(')', t->out);
        return;
    }
    fprintf(t->out, "%s(", op_info[x->op].name);
    print_list(t, x->narg, x->arg);
    fputc(')', t->out);
}

/* Opened with the dims' own variables, so that names of parts are found. */
static void open_named(Printer *t, const Term *x, Term **var, Term **body)
{
    for (int i = 0; i < x->nbound; i++) {
        Term like = {.size = x->bound[i]->size, .names = &x->names[i]};
        var[i] = term_var(t->p, x->names[i]);
        bool taken = var[i]->size[0] != x->bound[i]->size[0];
        for (int j = 0; j < x->narg; j++)
            taken |= term_has(x->arg[j], var[i]);
        for (int j = 0; j < i; j++)
            taken |= var[j] == var[i];
        if (taken)
            var[i] = term_fresh(t->p, &like);
    }
    term_open_with(t->p, x, var, body);
}

static void print_bind(Printer *t, const Term *x)
{
    Term *var[MAX_BOUND], *body[MAX_ARGS];
    open_named(t, x, var, body);
    fprintf(t->out, "%s(", op_info[x->op].name);
    print_list(t, x->narg, body);
    for (int i = 0; i < x->nbound && !x->node; i++)
        fprintf(t->out, ", %s", var[i]->names[0]->name);
    fputc(')', t->out);
    if (x->node)
        print_places(t, x->nat, x->at, x->node->type.dim);
    else if (x->op != OP_topk)
        print_places(t, x->nat, x->at, x->names);
    else if (x->at[0]->kind != TERM_var) {
        fputc('[', t->out);
        print_list(t, 1, x->at);
        fputc(']', t->out);
    }
}

static void print_kind(Printer *t, const Term *x, int prec)
{
    switch (x->kind) {
    case TERM_var:
        fputs(x->names[0]->name, t->out);
        break;
    case TERM_leaf:
        fputs(plain_name(x->node), t->out);
        print_places(t, x->nat, x->at, x->node->type.dim);
        break;
    case TERM_size:
        print_size(t, x->size[0]);
        break;
    case TERM_poly:
        print_poly(t, x, prec);
        break;
    case TERM_fun:
        print_fun(t, x);
        break;
    case TERM_bind:
        print_bind(t, x);
        break;
    case TERM_delta:
        fputc('(', t->out);
        print(t, x->arg[0], PREC_atom);
        fputs(" == ", t->out);
        print(t, x->arg[1], PREC_atom);
        fputc(')', t->out);
        break;
    case TERM_pair:
        fputc('(', t->out);
        print_list(t, x->narg, x->arg);
        fputc(')', t->out);
        break;
    case TERM_part:
        print(t, x->arg[0], PREC_atom);
        fprintf(t->out, ".%s", x->names[0]->name);
        break;
    }
}

static void print(Printer *t, const Term *x, int prec)
{
    const char *label = label_of(t->p, x);
    if (label && t->depth) {
        fputs(label, t->out);
        return;
    }
    if (t->depth > 24) {
        fputs("..", t->out);
        return;
    }
    t->depth++;
    print_kind(t, x, prec);
    t->depth--;
}

static const char *printed(Prover *p, char *text)
{
    if (strlen(text) > LONGEST)
        strcpy(text + LONGEST, " ..");
    const char *kept = arena_strn(p->arena, text, strlen(text));
    free(text);
    return kept;
}

/* Opening binders to print them makes terms, which costs no fuel and leaves
 * no steps. */
static Printer start(Prover *p, char **text, size_t *size)
{
    return (Printer){p, open_memstream(text, size), 0};
}

static const char *text_at(Prover *p, const Term *x, int depth)
{
    char *text;
    size_t size;
    int fuel = p->fuel;
    bool quiet = p->quiet;
    p->quiet = true;
    Printer t = start(p, &text, &size);
    t.depth = depth;
    print(&t, x, PREC_sum);
    fclose(t.out);
    p->quiet = quiet;
    p->fuel = fuel;
    return printed(p, text);
}

const char *term_text(Prover *p, const Term *x)
{
    return text_at(p, x, 1);
}

const char *term_text_full(Prover *p, const Term *x)
{
    return text_at(p, x, 0);
}

const char *prover_sum_text(Prover *p, Op op, int n, Term **var, int nbody,
                            Term **body)
{
    char *text;
    size_t size;
    int fuel = p->fuel;
    bool quiet = p->quiet;
    p->quiet = true;
    Printer t = start(p, &text, &size);
    fprintf(t.out, "%s(", op_info[op].name);
    t.depth = 1;
    print_list(&t, nbody, body);
    for (int i = 0; i < n; i++)
        fprintf(t.out, ", %s", var[i]->names[0]->name);
    fputc(')', t.out);
    fclose(t.out);
    p->quiet = quiet;
    p->fuel = fuel;
    return printed(p, text);
}

/* ---- the record ---- */

void prover_used(Prover *p, const Rule *r)
{
    if (!r || p->quiet)
        return;
    for (int i = 0; i < p->used.n; i++)
        if (p->used.at[i] == r)
            return;
    list_push(p->arena, &p->used, r);
}

void prover_step(Prover *p, const Rule *r, const char *from, const Term *to)
{
    if (!r || p->quiet)
        return;
    prover_used(p, r);
    const char *text = term_text(p, to);
    for (int i = 0; i < p->derived.n; i++)
        if (!strcmp(p->derived.at[i].from, from))
            return;
    if (p->derived.n < 200 && strcmp(from, text)) {
        Derived d = {r, from, text};
        list_push(p->arena, &p->derived, d);
    }
}
