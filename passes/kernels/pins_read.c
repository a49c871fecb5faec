/* A pin of a `schedule` definition, from its tree:
 *     matmul bf16 bf16 [2048 -> 5504 + F] { tokens 12, tasks 4 4 10 10 }
 */
#include "passes/kernels/choice.h"
#include <math.h>
#include <string.h>

static bool wrong_word(const Ast *at, Loc loc, const char *what,
                       const char *word, const char *const *names, int n)
{
    const char *near = nearest(word, names, n);
    char list[512] = "";
    for (int i = 0; i < n; i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "",
                 names[i]);
    }
    if (near)
        error_at(at->src, loc, "no %s `%s` (did you mean `%s`?)", what, word,
                 near);
    else
        error_at(at->src, loc, "no %s `%s`; there are: %s", what, word, list);
    return false;
}

static bool read_skeleton(Pin *p, const Ast *pin)
{
    static const char *const names[] = {"matmul", "grouped", "attend", "map"};
    static const Skeleton kinds[] = {SKEL_matmul, SKEL_grouped, SKEL_attend,
                                     SKEL_map};
    for (size_t i = 0; i < COUNT(names); i++)
        if (!strcmp(pin->text, names[i])) {
            p->skeleton = kinds[i];
            return true;
        }
    return wrong_word(pin, pin->name_loc, "kernel with choices", pin->text,
                      names, COUNT(names));
}

static bool read_types(Pin *p, const Ast *list)
{
    Dtype *to[] = {&p->x, &p->w};
    const char *names[TYPE_COUNT];
    for (int i = 0; i < TYPE_COUNT; i++)
        names[i] = type_info[i].name;
    p->typed = list->nkid > 0;
    for (int i = 0; i < list->nkid && i < 2; i++)
        if (!type_find(list->kid[i]->text, to[i]))
            return wrong_word(list->kid[i], list->kid[i]->loc, "type",
                              list->kid[i]->text, names, TYPE_COUNT);
    if (!list->nkid || (list->nkid == 2 && p->skeleton != SKEL_map))
        return true;
    const Ast *last = list->kid[list->nkid - 1];
    if (p->skeleton == SKEL_map)
        error_at(last->src, last->loc, "a map has no types here");
    else
        error_at(last->src, last->loc,
                 "types are two, of what comes in and of the weights (or "
                 "keys), or none for any; here %s",
                 list->nkid == 1 ? "is one" : "are more");
    return false;
}

/* ---- the shape ---- */

static bool read_size(PinPart *to, const Ast *e)
{
    if (e->kind == AST_number && e->num >= 1 && e->num == floor(e->num) &&
        e->num < 0x1p53 && !to->n) {
        to->size = (int64_t)e->num;
        return true;
    }
    if (e->kind == AST_name && to->n < MAX_RANK && !to->size) {
        to->name[to->n++] = e->text;
        return true;
    }
    if (e->kind == AST_binary && !strcmp(e->text, "*") && !to->size)
        return read_size(to, e->kid[0]) && read_size(to, e->kid[1]);
    error_at(e->src, e->loc, "a size is a whole number above 0, a dim's name, "
                             "or names with `*` between");
    return false;
}

static bool read_part(Pin *p, const Ast *e, char before)
{
    if (e->kind == AST_binary && !strcmp(e->text, "+"))
        return read_part(p, e->kid[0], before) &&
               read_part(p, e->kid[1], '+');
    if (p->n == KEY_PARTS) {
        error_at(e->src, e->loc, "more than %d sizes", KEY_PARTS);
        return false;
    }
    p->part[p->n] = (PinPart){.before = before};
    return read_size(&p->part[p->n++], e);
}

static bool read_shape(Pin *p, const Ast *shape)
{
    for (int i = 0; i < shape->nkid; i++)
        if (!read_part(p, shape->kid[i], !i ? 0 : i == 1 ? '>' : ','))
            return false;
    bool fits = p->skeleton == SKEL_map      ? p->n == 1
                : p->skeleton == SKEL_attend ? p->n == 3 && shape->nkid == 3
                                             : p->n > 1;
    fits = fits && (p->n == 1 || p->part[1].before != '+');
    if (!fits)
        error_at(shape->src, shape->loc, "the shape of %s is %s",
                 skeleton_name[p->skeleton],
                 p->skeleton == SKEL_map      ? "[elements of a row]"
                 : p->skeleton == SKEL_attend ? "[size of a head -> heads, "
                                                "heads of keys]"
                                              : "[K -> N], with more N after "
                                                "`+` (side by side) or `,`");
    return fits;
}

/* ---- the choices ---- */

static bool read_value(const Choice *c, const Ast *e, int *to)
{
    if (e->kind == AST_number && choice_takes(c, e->num)) {
        *to = (int)e->num;
        return true;
    }
    error_at(e->src, e->loc, "%s", choice_rule(c));
    return false;
}

static const Choice *find_choice(const Pin *p, const Ast *o)
{
    const char *names[32];
    int n = 0;
    const char *skeleton = skeleton_name[p->skeleton];
    for (int i = 0; i < schedule_choices && n < 32; i++)
        if (strstr(schedule_choice[i].skeletons, skeleton))
            names[n++] = schedule_choice[i].name;
    const Choice *c = choice_find(o->text);
    if (c && strstr(c->skeletons, skeleton))
        return c;
    char what[64];
    snprintf(what, sizeof what, "choice of %s", skeleton);
    wrong_word(o, o->name_loc, what, o->text, names, n);
    return NULL;
}

static bool given_before(const Ast *pin, int i)
{
    const Ast *o = pin->kid[i];
    for (int j = 2; j < i; j++)
        if (pin->kid[j]->kind == o->kind && o->text &&
            !strcmp(pin->kid[j]->text, o->text)) {
            error_at(o->src, o->name_loc, "%s is given twice", o->text);
            return true;
        }
    return false;
}

static bool read_option(Pin *p, const Ast *o)
{
    if (o->kind != AST_option) {
        error_at(o->src, o->loc, "a schedule has choices alone: `tokens 8`");
        return false;
    }
    const Choice *c = find_choice(p, o);
    int value[BUCKETS] = {0};
    if (!c)
        return false;
    if (o->nkid != 1 && o->nkid != c->n) {
        error_at(o->src, o->loc,
                 c->n > 1 ? "%s has one value, or four: for T = 1, up to 8, up "
                            "to 64, more"
                          : "%s has one value",
                 c->name);
        return false;
    }
    for (int i = 0; i < o->nkid; i++)
        if (!read_value(c, o->kid[i], &value[i]))
            return false;
    return schedule_list(&p->schedule, c->name, o->nkid, value);
}

bool pin_read(Pin *p, const Ast *pin)
{
    *p = (Pin){.ast = pin};
    bool good = read_skeleton(p, pin) && read_types(p, pin->kid[0]) &&
                read_shape(p, pin->kid[1]);
    for (int i = 2; i < pin->nkid && (good || i > 2); i++)
        good = !given_before(pin, i) && read_option(p, pin->kid[i]) && good;
    return good;
}
