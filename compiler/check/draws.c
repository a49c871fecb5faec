/* Numbers for what a text leaves open: modules and whole models of drawn
 * sizes, as small as can be. */
#include "compiler/check/trial.h"
#include <math.h>
#include <string.h>

void draws_start(Draws *d, Judge *j, Arena *a, Style style, uint64_t seed)
{
    *d = (Draws){.spec = j->spec, .roles = &j->roles, .arena = a,
                 .style = style, .said = "",
                 .seed = random_key(seed, "trial")};
    d->common = floor(1 + 3 * draw_uniform(d));
}

double draw_uniform(Draws *d)
{
    return random_uniform(d->seed, d->drawn++);
}

static double among(Draws *d, int n, const double *list)
{
    return list[(int)(draw_uniform(d) * n)];
}

void draws_numbers(Draws *d, const Ast *e)
{
    for (int i = 0; e && i < e->nkid; i++)
        draws_numbers(d, e->kid[i]);
    if (e && e->kind == AST_number && d->nnumber < (int)COUNT(d->number))
        d->number[d->nnumber++] = e->num;
}

/* ---- one value ---- */

static double size_drawn(Draws *d, double standard)
{
    switch (d->style) {
    case STYLE_ones:  return 1;
    case STYLE_equal: return d->common;
    default:          break;
    }
    if (d->style == STYLE_defaults && standard >= 1 && standard <= 8)
        return standard;
    if (d->nnumber && draw_uniform(d) < 0.15)
        return fabs(floor(among(d, d->nnumber, d->number)));
    return floor(1 + 4 * draw_uniform(d));
}

static double number_drawn(Draws *d, double standard)
{
    static const double some[] = {0, 1, -1, 2, 3, 0.5, -0.5, 0.25, 4, 10};
    switch (d->style) {
    case STYLE_defaults: return isnan(standard) ? 1 : standard;
    case STYLE_zero:     return 0;
    case STYLE_negative: return -floor(1 + 4 * draw_uniform(d)) / 2;
    case STYLE_large:    return 100;
    default:             break;
    }
    double u = draw_uniform(d);
    if (u < 0.3 && d->nnumber) {
        double near[] = {0, 0, 0, 1, -1, 1e-3, -1e-3};
        return among(d, d->nnumber, d->number) + among(d, 7, near);
    }
    return u < 0.7 ? among(d, (int)COUNT(some), some)
                   : floor(16 * draw_uniform(d)) / 8;
}

static Val scaling_drawn(Draws *d)
{
    static const char *const text[] = {
        "{\"rope_type\":\"linear\",\"factor\":2.0}",
        "{\"rope_type\":\"llama3\",\"factor\":4.0,\"low_freq_factor\":1.0,"
        "\"high_freq_factor\":4.0,\"original_max_position_embeddings\":4}"};
    static cJSON *kept[COUNT(text)];
    size_t i = (size_t)(3 * draw_uniform(d));
    if (i >= COUNT(text) || d->style == STYLE_defaults)
        return (Val){.kind = V_none};
    if (!kept[i])
        kept[i] = cJSON_Parse(text[i]);
    return (Val){.kind = V_json, .json = kept[i]};
}

/* A string that the definition compares something with, or "none". */
static void find_strings(const Ast *e, const char **list, int *n)
{
    if (e && e->kind == AST_string && *n < 16)
        list[(*n)++] = e->text;
    for (int i = 0; e && i < e->nkid; i++)
        find_strings(e->kid[i], list, n);
}

static Val text_drawn(Draws *d, const Ast *def)
{
    const char *list[16];
    int n = 0;
    for (int i = 0; i < def->nkid; i++)
        if (def->kid[i] && def->kid[i]->kind == AST_config)
            for (int j = 1; j < def->kid[i]->nkid; j++)
                find_strings(def->kid[i]->kid[j], list, &n);
        else
            find_strings(def->kid[i], list, &n);
    return n ? val_string(list[(int)(draw_uniform(d) * n)])
             : (Val){.kind = V_none};
}

Val draw_value(Draws *d, const Ast *def, const char *name,
               const Val *standard)
{
    unsigned role = role_in(d->roles, def, name);
    double v = NAN;
    static const double bases[] = {10000, 10, 2, 500000};
    if (standard && standard->kind == V_size)
        size_is_num(standard->size, &v);
    bool usual = standard && d->style == STYLE_defaults;
    if (usual && standard->kind != V_size)
        return *standard;
    if (role & ROLE_scaling)
        return scaling_drawn(d);
    if (role & ROLE_list)
        return (Val){.kind = V_none};
    if (role & ROLE_window)
        return draw_uniform(d) < 0.4
                   ? (Val){.kind = V_none}
                   : val_size(size_num(floor(1 + 3 * draw_uniform(d))));
    if (role & ROLE_text)
        return text_drawn(d, def);
    if ((role & ROLE_none) && draw_uniform(d) < 0.4)
        return (Val){.kind = V_none};
    if (role & ROLE_size)
        return val_size(size_num(size_drawn(d, v)));
    if ((role & ROLE_truth) || (standard && standard->kind == V_bool))
        return val_bool(draw_uniform(d) < 0.5);
    if (role & ROLE_base)
        return val_size(size_num(among(d, 4, bases)));
    if (role & ROLE_share)
        return val_size(size_num(draw_uniform(d) < 0.5 ? 1 : 0.5));
    return val_size(size_num(number_drawn(d, v)));
}

static void say(Draws *d, const char *name, const Val *v)
{
    const char *text = v->kind == V_json ? "{..}" : val_text(v);
    d->said = arena_printf(d->arena, "%s%s%s = %s", d->said,
                           *d->said ? ", " : "", name, text);
}

/* ---- modules ---- */

Model *draw_module(Draws *d, const Ast *def, const char *name)
{
    Model *m = model_new(d->arena, d->spec, def, TYPE_f32);
    Inst *inst = inst_new(m, d->spec, def, NULL, name, name);
    const Ast *params = def->kid[0];
    Scope own = {.spec = d->spec, .model = m, .g = m->weights, .inst = inst};
    m->root = inst;
    for (int i = 0; i < params->nkid; i++) {
        const Ast *p = params->kid[i];
        Val v = val_error, usual = val_error;
        if (p->nkid && p->kid[0])
            usual = eval(&own, p->kid[0]);
        if (usual.kind != V_error && draw_uniform(d) < 0.5)
            v = usual;
        else
            v = draw_value(d, def, p->text,
                           usual.kind == V_error ? NULL : &usual);
        v.dim = NULL;
        names_set(d->arena, &inst->param, p->text, v);
        say(d, p->text, &v);
    }
    inst_build(m, inst, &own);
    return m;
}

/* ---- whole models ---- */

static bool is_config_name(const Ast *e)
{
    return e->kind == AST_dot ||
           (e->kind == AST_name && strcmp(e->text, "none") &&
            strcmp(e->text, "true") && strcmp(e->text, "false"));
}

/* The last alternative that is no field of the config. */
static bool formula_of(Scope *s, const Ast *f, Val *out)
{
    const Ast *e = f->nkid ? f->kid[f->nkid - 1] : NULL;
    if (!e || (is_config_name(e) && !(e->kind == AST_name &&
                                      names_find(&s->inst->param, e->text))))
        return false;
    *out = e->kind == AST_name && names_find(&s->inst->param, e->text)
               ? *names_find(&s->inst->param, e->text)
               : eval(s, e);
    return out->kind != V_error;
}

static bool too_large(const Val *v)
{
    double n;
    return v->kind == V_size && size_is_num(v->size, &n) &&
           (n > 8 || n != floor(n));
}

static Val field_drawn(Draws *d, Scope *s, const Ast *def, const Ast *f)
{
    Val v = val_error;
    bool has = formula_of(s, f, &v);
    if (has && f->nkid == 1) /* it follows from others */
        return v;
    unsigned role = role_in(d->roles, def, f->text);
    if (has && !((role & ROLE_size) && too_large(&v)) &&
        (d->style == STYLE_defaults ||
         draw_uniform(d) < (role & ROLE_text ? 0.8 : 0.5)))
        return v;
    if (role & ROLE_size) /* also of the vocabulary, of layers */
        return val_size(size_num(d->style == STYLE_ones ? 1
                                 : 1 + floor(3 * draw_uniform(d))));
    return draw_value(d, def, f->text, has ? &v : NULL);
}

static bool bind_fields(Draws *d, Scope *s, const Ast *def)
{
    const Ast *config = first_of(def, AST_config);
    for (int i = 1; config && i < config->nkid; i++) {
        const Ast *item = config->kid[i];
        Val v;
        if (item->kind == AST_field) {
            v = field_drawn(d, s, def, item);
            v.dim = NULL;
            names_set(d->arena, &s->inst->param, item->text, v);
            if (role_in(d->roles, def, item->text))
                say(d, item->text, &v);
            continue;
        }
        v = eval(s, item->kid[0]);
        if (v.kind == V_bool && !v.truth)
            return false;
    }
    return true;
}

Model *draw_model(Draws *d, const Ast *def)
{
    Model *m = model_new(d->arena, d->spec, def, TYPE_f32);
    Scope s = {.spec = d->spec, .model = m, .g = m->weights, .inst = m->root};
    if (!bind_fields(d, &s, def))
        return NULL;
    inst_build(m, m->root, &s);
    return m;
}

int draw_args(Draws *d, const Ast *def, Arg *arg)
{
    const Ast *params = def->kid[0];
    Model *m = model_new(d->arena, d->spec, def, TYPE_f32);
    Scope own = {.spec = d->spec, .model = m, .g = m->weights};
    int n = 0;
    for (int i = 0; i < params->nkid && n < 32; i++) {
        const Ast *p = params->kid[i];
        if (p->kind == AST_param_model)
            continue;
        Val usual = p->nkid && p->kid[0] ? eval(&own, p->kid[0]) : val_error;
        Val v = draw_value(d, def, p->text,
                           usual.kind == V_error ? NULL : &usual);
        if (v.kind == V_json || v.kind == V_string || v.kind == V_error)
            continue;
        names_set(d->arena, &own.local, p->text, v);
        arg[n++] = (Arg){p->text, val_text(&v)};
        say(d, p->text, &v);
    }
    return n;
}
