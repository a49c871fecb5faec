/* A recipe's expressions evaluated: numbers, texts, lists, data, and models
 * that are only described. */
#include "cli/train/value.h"
#include <math.h>
#include <string.h>

/* A value that cannot be: with the place in the text. */
Value value_wrong(Eval *e, const Ast *a, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!e->failed) {
        error_at(a->src, a->loc, "%s", text);
        err_set(e->err, "the recipe cannot run like this, see above");
    }
    e->failed = true;
    return (Value){0};
}

const Value *value_find(const Eval *e, const char *name)
{
    for (int i = e->known.n - 1; i >= 0; i--)
        if (!strcmp(e->known.at[i].name, name))
            return &e->known.at[i].value;
    return NULL;
}

void value_set(Eval *e, const char *name, Value v)
{
    for (int i = 0; i < e->known.n; i++)
        if (!strcmp(e->known.at[i].name, name)) {
            e->known.at[i].value = v;
            return;
        }
    list_push(&e->p->arena, &e->known, (struct Known){name, v});
}

static Value eval_name(Eval *e, const Ast *a)
{
    const Value *v = value_find(e, a->text);
    if (v)
        return *v;
    bool yes = !strcmp(a->text, "true");
    if (yes || !strcmp(a->text, "false"))
        return (Value){.kind = V_truth, .number = yes};
    return value_wrong(e, a, "nothing is called `%s` here", a->text);
}

Value value_wanted(Eval *e, const Ast *a, Kind kind, const char *what)
{
    Value v = value_of(e, a);
    if (!e->failed && v.kind == V_pair && kind == V_data)
        return value_wrong(e, a, "split gives two: `tune, held = split(..)`");
    return e->failed || v.kind == kind ? v : value_wrong(e, a, "%s", what);
}

double value_real(Eval *e, const Ast *a)
{
    return value_wanted(e, a, V_number, "a number is wanted").number;
}

const RunModel *value_model(Eval *e, const Ast *a)
{
    return value_wanted(e, a, V_model, "a model is wanted").model;
}

const char *value_called(const Ast *call)
{
    return call->kid[0]->kind == AST_name ? call->kid[0]->text : "";
}

/* ---- functions ---- */

static const Ast *named(const Ast *call, const char *name)
{
    for (int i = 1; i < call->nkid; i++)
        if (call->kid[i]->kind == AST_named &&
            !strcmp(call->kid[i]->text, name))
            return call->kid[i]->kid[0];
    return NULL;
}

static const char *named_text(Eval *e, const Ast *call, const char *name)
{
    const Ast *a = named(call, name);
    return a ? value_wanted(e, a, V_text, "a text is wanted").text : NULL;
}

static Value load(Eval *e, const Ast *call)
{
    RunModel *m = arena_alloc(&e->p->arena, sizeof *m);
    m->folder = value_wanted(e, call->kid[1], V_text, "load wants a path").text;
    m->stage = -1;
    const char *dtype = named_text(e, call, "dtype");
    m->has_dtype = dtype && type_find(dtype, &m->dtype);
    return (Value){.kind = V_model, .model = m};
}

static Value data_of(Eval *e, const Ast *call, DataKind kind)
{
    RunData *d = arena_alloc(&e->p->arena, sizeof *d);
    const Ast *length = named(call, "length"), *skip = named(call, "skip_bad");
    DataSpec *s = &d->spec;
    *s = (DataSpec){.kind = kind,
                    .path = value_wanted(e, call->kid[1], V_text,
                                   "data wants a path").text,
                    .style = named_text(e, call, "style"),
                    .system = named_text(e, call, "system"),
                    .instruction = named_text(e, call, "instruction"),
                    .input = named_text(e, call, "input"),
                    .output = named_text(e, call, "output"),
                    .messages = named_text(e, call, "messages")};
    if (skip)
        s->skip_bad = value_wanted(e, skip, V_truth, "true or false is wanted")
                          .number;
    double most = length ? value_wanted(e, length, V_number,
                                  "length wants a number").number
                         : 1024;
    if (!e->failed && (most < 2 || most > 1 << 24 || most != floor(most)))
        return value_wrong(e, length, "length is a whole number from 2 to %d",
                     1 << 24);
    s->length = (int64_t)most;
    return (Value){.kind = V_data, .data = d};
}

static RunData *part_of_split(Eval *e, const RunData *of, double share,
                              double seed, bool held)
{
    RunData *d = arena_alloc(&e->p->arena, sizeof *d);
    *d = (RunData){.spec = of->spec};
    for (int i = 0; i < of->split.n; i++)
        list_push(&e->p->arena, &d->split, of->split.at[i]);
    struct RunSplit one = {share, (uint64_t)seed, held};
    list_push(&e->p->arena, &d->split, one);
    return d;
}

static Value split(Eval *e, const Ast *call)
{
    Value d = value_wanted(e, call->kid[1], V_data, "split wants data");
    double share = value_real(e, call->kid[2]);
    double seed = call->nkid > 3 ? value_real(e, call->kid[3]) : 0;
    if (e->failed)
        return d;
    if (!(share > 0 && share < 1))
        return value_wrong(e, call->kid[2],
                     "the share that is held out is above 0 and below 1");
    if (!(seed >= 0 && seed < 9e15))
        return value_wrong(e, call, "a seed is at least 0");
    return (Value){.kind = V_pair,
                   .data = part_of_split(e, d.data, share, seed, false),
                   .held = part_of_split(e, d.data, share, seed, true)};
}

/* ---- transforms ---- */

static const Ast *param_of(const Ast *def, const char *name)
{
    for (int i = 0; i < def->kid[0]->nkid; i++)
        if (!strcmp(def->kid[0]->kid[i]->text, name))
            return def->kid[0]->kid[i];
    return NULL;
}

static const char *value_text(Eval *e, const Ast *a, Value v)
{
    Arena *arena = &e->p->arena;
    const char *text = "";
    switch (v.kind) {
    case V_number: return arena_printf(arena, "%.17g", v.number);
    case V_truth:  return v.number ? "true" : "false";
    case V_text:   return v.text;
    case V_list:
        for (int i = 0; i < v.n; i++)
            text = arena_printf(arena, "%s%s%s", text, i ? "," : "",
                                value_text(e, a, v.list[i]));
        return arena_printf(arena, "[%s]", text);
    default:
        value_wrong(e, a, "a number, a text or a list of them is wanted");
        return "";
    }
}

static void add_models(Eval *e, RunStep *s, const Ast *a, const char *name,
                       Value v)
{
    if (v.kind == V_model) {
        struct RunWith one = {name, v.model};
        list_push(&e->p->arena, &s->with, one);
    } else if (v.kind == V_list) {
        for (int i = 0; i < v.n; i++)
            add_models(e, s, a, name, v.list[i]);
    } else if (!e->failed) {
        value_wrong(e, a, "`%s` wants models", name);
    }
}

RunStep value_step(Eval *e, const Ast *def, const Ast *call, int from)
{
    RunStep s = {.def = def};
    for (int i = from; i < call->nkid; i++) {
        const Ast *a = call->kid[i];
        const Ast *p = a->kind == AST_named ? param_of(def, a->text) : NULL;
        if (!p) {
            value_wrong(e, a, "arguments of a transform are named");
            continue;
        }
        Value v = value_of(e, a->kid[0]);
        if (p->kind == AST_param_model) {
            add_models(e, &s, a, a->text, v);
            continue;
        }
        Arg arg = {a->text, e->failed ? "" : value_text(e, a, v)};
        list_push(&e->p->arena, &s.arg, arg);
    }
    return s;
}

static Value apply(Eval *e, const Ast *def, const Ast *call)
{
    Arena *a = &e->p->arena;
    RunModel *m = arena_alloc(a, sizeof *m);
    Value from = value_wanted(e, call->kid[1], V_model, "a model is wanted");
    RunStep s = value_step(e, def, call, 2);
    if (e->failed)
        return from;
    *m = *from.model;
    m->step = (RunSteps){0};
    m->all = (RunSteps){0};
    for (int i = 0; i < from.model->step.n; i++)
        list_push(a, &m->step, from.model->step.at[i]);
    for (int i = 0; i < from.model->all.n; i++)
        list_push(a, &m->all, from.model->all.at[i]);
    list_push(a, &m->step, s);
    list_push(a, &m->all, s);
    return (Value){.kind = V_model, .model = m};
}

static Value eval_call(Eval *e, const Ast *a)
{
    const char *name = value_called(a);
    const Ast *def = recipe_transform(e->p->spec, a);
    if (def)
        return apply(e, def, a);
    if (!strcmp(name, "load"))
        return load(e, a);
    if (!strcmp(name, "ids"))
        return data_of(e, a, DATA_ids);
    if (!strcmp(name, "instruct"))
        return data_of(e, a, DATA_instruct);
    if (!strcmp(name, "text"))
        return data_of(e, a, DATA_text);
    return split(e, a); /* check knows no other */
}

/* ---- expressions ---- */

static Value eval_list(Eval *e, const Ast *a)
{
    Value *all = arena_alloc(&e->p->arena, (size_t)a->nkid * sizeof *all + 1);
    for (int i = 0; i < a->nkid; i++)
        all[i] = value_of(e, a->kid[i]);
    return (Value){.kind = V_list, .list = all, .n = a->nkid};
}

static Value eval_index(Eval *e, const Ast *a)
{
    Value l = value_wanted(e, a->kid[0], V_list, "a list is wanted");
    double i = value_real(e, a->kid[1]);
    if (e->failed)
        return l;
    if (!(i >= 0 && i < l.n && i == floor(i)))
        return value_wrong(e, a, "the list has elements 0 to %d, not %g",
                           l.n - 1, i);
    return l.list[(int)i];
}

static Value eval_binary(Eval *e, const Ast *a)
{
    double x = value_real(e, a->kid[0]), y = value_real(e, a->kid[1]);
    switch (a->text[0]) {
    case '+': return value_number(x + y);
    case '-': return value_number(x - y);
    case '*': return value_number(x * y);
    case '/': return value_number(x / y);
    case '^': return value_number(pow(x, y));
    default:
        return value_wrong(e, a, "`%s` cannot stand in a recipe", a->text);
    }
}

Value value_of(Eval *e, const Ast *a)
{
    if (e->failed)
        return (Value){0};
    switch (a->kind) {
    case AST_name:   return eval_name(e, a);
    case AST_number: return value_number(a->num);
    case AST_string: return (Value){.kind = V_text, .text = a->text};
    case AST_list:   return eval_list(e, a);
    case AST_call:   return eval_call(e, a);
    case AST_index:  return eval_index(e, a);
    case AST_binary: return eval_binary(e, a);
    case AST_neg:
        return value_number(-value_real(e, a->kid[0]));
    default: return value_wrong(e, a, "this cannot stand in a recipe");
    }
}
